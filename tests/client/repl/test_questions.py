"""What a server asks in the middle of a call, asked at the prompt."""

from collections.abc import Iterator

import pytest

from tests.client.repl.typist import CTRL_C, CTRL_D, Typist, typist

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def user(agency: str) -> Iterator[Typist]:
    """Someone at a prompt, in the era in which this server can ask."""
    with typist(agency, ERA="handshake") as user:
        user.sees("Connected")
        user.until(lambda: user.is_prompted)
        yield user


def _asked(user: Typist, line: str) -> str:
    """Types a command, and gives who asks."""
    user.press(f"{line}\r")
    user.sees("Ctrl-D declines, Ctrl-C cancels")
    return next(each for each in user.lines if "Ctrl-D declines" in each)


def _answers(user: Typist, label: str, *typed: str) -> None:
    """Types answers after `label`, each when it is asked for anew."""
    row = 0
    for answer in typed:
        user.until(lambda: user.line.strip() == label and user.row > row)  # noqa: B023
        row = user.row
        user.press(f"{answer}\r")


def test_a_form_is_filled_in_field_by_field_and_shown_before_it_is_sent(agency: str, user: Typist) -> None:
    who = _asked(user, "call-tool trip")
    assert who.startswith(f"{agency.split('/')[2]} asks")
    _answers(user, "Destination ›", "Paris", "2")
    _answers(user, "Nights [2] ›", "many", "50", "")
    _answers(user, "Address ›", "", "ann", "ann@example.com")
    _answers(user, "First day ›", "2026-02-30", "")
    _answers(user, "Extras ›", "quiet, bicycle, breakfast", "quiet, 2")
    _answers(user, "Insurance [yes] ›", "perhaps", "n")
    user.until(lambda: user.line.endswith("[Y/n/edit]"))
    for shown in (
        "│ Tell us about your trip.", "│ All of it.", "1 rom  Rome", "One of rom, osl is wanted, or its number.",
        "A whole number is wanted", "A number up to 30 is wanted.", "This is needed.", "An email address such as",
        "A date such as", "A choice of 2 or fewer is wanted.", "y or n is wanted.", "First day: (left out)",
    ):  # fmt: skip
        assert shown in user.text
    user.press("edit\r")
    _answers(user, "Destination [osl] ›", "Rome")
    for label in ("Nights [2] ›", "Address [ann@example.com] ›", "First day ›", "Extras [quiet, bicycle] ›"):
        _answers(user, label, "")
    _answers(user, "Insurance [no] ›", "")
    user.until(lambda: user.line.endswith("[Y/n/edit]"))
    user.press("\r")
    user.sees("accept: {")
    answer = " ".join(user.text[user.text.index("accept: {") :].split())
    for value in ("'destination': 'rom'", "'nights': 2", "'extras': ['quiet', 'bicycle']", "'insured': False"):
        assert value in answer
    assert "'from'" not in answer


@pytest.mark.parametrize(
    ("keys", "action"), [(CTRL_D, "decline"), ("decline\r", "decline"), (CTRL_C, "cancel")], ids=["d", "word", "c"]
)
def test_a_question_can_be_declined_and_cancelled(user: Typist, keys: str, action: str) -> None:
    _asked(user, "call-tool colour")
    user.until(lambda: user.line.strip() == "colour ›")
    user.press(keys)
    user.sees(f"{action}: None")
    assert user.does("help quit")


def test_what_is_asked_at_once_is_asked_one_after_the_other(user: Typist) -> None:
    _asked(user, "call-tool two_colours")
    for label, colour in (("wall ›", "red"), ("door ›", "green")):
        _answers(user, label, colour)
    user.sees("{'wall': 'red'} and {'door': 'green'}")


def test_ctrl_c_cancels_the_call_after_a_question_as_before_it(user: Typist) -> None:
    _asked(user, "call-tool never_ends")
    _answers(user, "Agree? [y/n]", "y")
    user.sees("waiting")
    user.press(CTRL_C)
    user.sees("Cancelled.")
    assert user.does("call-tool paint shade=dark") == "1 coats of dark"


def test_a_choice_is_completed(user: Typist) -> None:
    _asked(user, "call-tool colour")
    user.until(lambda: user.line.strip() == "colour ›")
    user.press("gr")
    user.until(lambda: user.lines[-1].strip() == "green")
    user.press("\t\r")
    user.sees("accept: {'colour': 'green'}")


def test_a_page_is_opened_only_after_a_yes_to_its_whole_address(user: Typist) -> None:
    url = "https://pay.example.com/bill?id=7"
    assert "wants you to open a page" in _asked(user, "call-tool page")
    user.until(lambda: user.line.endswith("[y/n/self]"))
    assert url in user.text
    assert "It is at pay.example.com." in user.text
    assert "(opening" not in user.text
    user.press("\r")
    user.press("y\r")
    user.sees(f"(opening {url})")
    user.sees("accept")


@pytest.mark.parametrize(("typed", "action"), [("n\r", "decline"), ("self\r", "accept"), (CTRL_C, "cancel")])
def test_a_page_is_not_opened_otherwise(user: Typist, typed: str, action: str) -> None:
    user.press("call-tool page\r")
    user.until(lambda: user.line.endswith("[y/n/self]"))
    user.press(typed)
    user.until(lambda: action in user.lines)
    assert "(opening" not in user.text


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example.com@evil.example.net/",
        "https://evil.example.net/\\u202egro.knab//:sptth",
        "https://evil.example.net\\\\.example.com/",
    ],
)
def test_a_page_whose_address_deceives_is_never_opened(user: Typist, url: str) -> None:
    user.press(f'call-tool page url:="{url}"\r')
    user.sees("is not what it seems")
    user.until(lambda: "decline" in user.lines)


def test_letters_that_look_like_others_are_seen_in_the_host(user: Typist) -> None:
    user.press('call-tool page url:="http://p\\u0430y.example.com:8080/x"\r')
    user.sees("It is at xn--py-7kc.example.com:8080, without encryption.")
    user.press(CTRL_C)
    user.until(lambda: "cancel" in user.lines)
