"""The list of accounts: what is on it is read, and what is wrong with it is said in sentences."""

import json
from typing import Any, Final

import pytest

from tollbook.core.errors import UsageError
from tollbook.sources.aws.reach.accounts import MOST_ACCOUNTS, Accounts, Entry, read_accounts

PROD: Final = "111122223333"
SANDBOX: Final = "444455556666"
ROLE: Final = f"arn:aws:iam::{PROD}:role/tollbook-reader"
LIST: Final[Any] = {PROD: {"role": ROLE, "external_id": "Example/7:x", "name": "prod"}, SANDBOX: "oam"}


def read(listed: Any, **more: str) -> Accounts:
    return read_accounts(json.dumps(listed), "accounts.json", **more)


def problems_of(text: str, **more: str) -> tuple[str, ...]:
    with pytest.raises(UsageError) as raised:
        read_accounts(text, "accounts.json", **more)
    assert raised.value.message == "The list of accounts in accounts.json cannot be used."
    return raised.value.more


def problems(listed: Any, **more: str) -> tuple[str, ...]:
    return problems_of(json.dumps(listed), **more)


def problem(fields: Any) -> str:
    """That of an entry for PROD."""
    (only,) = problems({PROD: fields})
    return only


class TestWhatIsListed:
    def test_an_account_is_reached_by_its_role_or_through_oam(self) -> None:
        assert read(LIST).listed == {
            PROD: Entry("role", ROLE, "Example/7:x", "prod"),
            SANDBOX: Entry("oam"),
        }

    def test_a_role_needs_neither_external_id_nor_name_and_may_have_a_path(self) -> None:
        role = f"arn:aws-us-gov:iam::{PROD}:role/team/of~readers/tollbook+reader=1,x@y.z-w_v"
        entry = read({PROD: {"role": role}}).listed[PROD]
        assert entry == Entry("role", role)
        assert (entry.account, entry.partition) == (PROD, "aws-us-gov")

    def test_what_is_shared_through_oam_may_have_a_name(self) -> None:
        assert read({SANDBOX: {"via": "oam", "name": "sandbox"}}).listed == {SANDBOX: Entry("oam", name="sandbox")}
        assert (Entry("oam").account, Entry("oam").partition) == ("", "")

    def test_via_role_may_be_written_out(self) -> None:
        assert read({PROD: {"via": "role", "role": ROLE}}) == read({PROD: {"role": ROLE}})

    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_nothing_lists_nothing(self, text: str) -> None:
        accounts = read_accounts(text, "TOLLBOOK_ACCOUNTS")
        assert (dict(accounts.listed), accounts.own_role) == ({}, None)

    def test_two_hundred_accounts_are_not_too_many(self) -> None:
        assert len(read({f"{number:012}": "oam" for number in range(MOST_ACCOUNTS)}).listed) == MOST_ACCOUNTS

    def test_a_list_cannot_be_changed(self) -> None:
        accounts = read(LIST)
        with pytest.raises(TypeError):
            accounts.listed["999988887777"] = Entry("oam")  # type: ignore[index]
        with pytest.raises(AttributeError):
            accounts.listed = {}  # type: ignore[misc]

    def test_an_account_is_called_by_its_name_where_it_has_one(self) -> None:
        accounts = read(LIST)
        assert accounts.name_of(PROD) == f"prod ({PROD})"
        assert accounts.name_of(SANDBOX) == SANDBOX
        assert accounts.name_of("999988887777") == "999988887777"


class TestTheOwnRole:
    """BEDROCK_ROLE_ARN."""

    def test_it_stands_beside_the_list(self) -> None:
        own = f"arn:aws:iam::{SANDBOX}:role/logs"
        accounts = read({PROD: {"role": ROLE}}, own_role=own)
        assert accounts.own_role == Entry("role", own)
        assert set(accounts.listed) == {PROD}

    def test_it_is_the_arn_of_a_role(self) -> None:
        (said,) = problems_of("", own_role=f"arn:aws:iam::{PROD}:user/x")
        assert said == f"BEDROCK_ROLE_ARN 'arn:aws:iam::{PROD}:user/x' is not the ARN of a role."

    def test_an_account_is_not_reached_in_two_ways(self) -> None:
        (said,) = problems({PROD: "oam"}, own_role=ROLE, own_role_source="--bedrock-role-arn")
        assert said == f"Account {PROD} is reached in two ways, by --bedrock-role-arn and in accounts.json; keep one."


class TestWhatIsWrong:
    @pytest.mark.parametrize("text", ["[]", '"oam"', "null", "{", "{'a': 1}", "[" * 100_000, "\ud800"])
    def test_it_is_a_json_object(self, text: str) -> None:
        (said,) = problems_of(text)
        assert said.startswith("It is not a JSON object of accounts. Write {")

    @pytest.mark.parametrize("account", ["", "1" * 11, "1" * 13, "١" * 12, "11112222333x", "*", f"{PROD}\n"])
    def test_an_account_has_twelve_digits(self, account: str) -> None:
        (said,) = problems({account: "oam"})
        assert said.endswith("is not an account of twelve digits.")

    @pytest.mark.parametrize("value", ["role", 1, None, True, [], ["oam"]])
    def test_an_account_has_an_object_or_is_shared_through_oam(self, value: Any) -> None:
        assert problem(value).startswith(f"What is listed of account {PROD} is neither an object nor oam. Write {{")

    def test_the_role_is_of_that_account_and_of_no_other(self) -> None:
        assert problem({"role": f"arn:aws:iam::{SANDBOX}:role/x"}) == (
            f"The role of account {PROD} belongs to account {SANDBOX}."
        )

    @pytest.mark.parametrize(
        "role",
        [
            "tollbook-reader",
            f"arn:aws:iam::{PROD}:role/",
            f"arn:aws:iam::{PROD}:role/a b",
            f"arn:aws:iam::{PROD}:role//x",
            f"arn:aws:iam::{PROD}:role/{'x' * 65}",
            f"arn:aws:iam::{PROD}:role/x\n",
            f"arn:aws:iam::{PROD}:role/*",
            f"arn:aws:iam::{PROD}:user/x",
            f"arn:aws:sts::{PROD}:assumed-role/x/y",
            f"arn:aws:iam:eu-west-1:{PROD}:role/x",
            f"arn:AWS:iam::{PROD}:role/x",
        ],
    )
    def test_a_role_is_named_by_its_arn(self, role: str) -> None:
        assert problem({"role": role}).endswith(f"of account {PROD} is not the ARN of a role.")

    @pytest.mark.parametrize("external_id", ["~", "a b", "é!", "x" * 1225, "a\n", "a;b"])
    def test_an_external_id_is_one_that_sts_takes(self, external_id: str) -> None:
        said = problem({"role": ROLE, "external_id": external_id})
        assert said.startswith(f"The external_id of account {PROD} is not one: it has 2 to 1,224 of ")
        assert external_id not in said

    @pytest.mark.parametrize("external_id", ["xy", "A-z_0+9=,.@:/-", "x" * 1224])
    def test_every_external_id_that_sts_takes_is_one(self, external_id: str) -> None:
        assert read({PROD: {"role": ROLE, "external_id": external_id}}).listed[PROD].external_id == external_id

    @pytest.mark.parametrize("name", ["x" * 101, "a\nb", "\x1b[2J", "\u202e"])
    def test_a_name_is_one_short_line(self, name: str) -> None:
        assert problem({"role": ROLE, "name": name}).startswith(f"The name of account {PROD} is not one line")

    def test_no_field_is_unknown(self) -> None:
        assert problem({"role": ROLE, "external-id": "xy"}) == (
            f"Account {PROD} has a field 'external-id'; it may have role, external_id, name, via."
        )

    @pytest.mark.parametrize("value", [1, None, True, ["x"], {}, ""])
    @pytest.mark.parametrize("field", ["role", "external_id", "name", "via"])
    def test_every_field_is_a_text(self, field: str, value: Any) -> None:
        assert problem({"role": ROLE, field: value}) == f"The {field} of account {PROD} is not a text."

    def test_it_is_by_role_or_through_oam(self) -> None:
        assert problem({"role": ROLE, "via": "ssh"}) == f"Account {PROD} is reached via 'ssh'; it can be role or oam."
        assert problem({"name": "prod"}) == f"Account {PROD} has neither a role nor via oam."
        for field in ({"role": ROLE}, {"external_id": "xy"}):
            said = problem({"via": "oam", **field})
            assert said == f"Account {PROD} is reached via oam, which takes neither role nor external_id."

    def test_nothing_is_said_twice(self) -> None:
        entry = json.dumps({"role": ROLE})
        assert problems_of(f'{{"{PROD}": {entry}, "{PROD}": "oam"}}') == (f"Account '{PROD}' is listed twice.",)
        twice = f'{{"{PROD}": {{"role": "{ROLE}", "role": "{ROLE}"}}}}'
        assert problems_of(twice) == (f"Account {PROD} has a field twice.",)

    def test_it_has_an_end(self) -> None:
        (said,) = problems({f"{number:012}": "oam" for number in range(MOST_ACCOUNTS + 1)})
        assert said == "It lists 201 accounts; 200 are the most."
        assert problems_of(" " * (512 << 10) + "{}") == ("It is longer than 512 KiB.",)

    def test_all_that_is_wrong_is_said_at_once_and_few_of_it_if_it_is_much(self) -> None:
        assert len(problems({PROD: {}, SANDBOX: {"role": ROLE}, "x": "oam"}, own_role="y")) == 4
        said = problems({f"{number}": "oam" for number in range(30)})
        assert len(said) == 21
        assert said[-1] == "10 more of its entries cannot be used."

    def test_what_is_repeated_of_it_is_short_and_harmless(self) -> None:
        (said,) = problems({"\x1b[2J" + "x" * 500: "oam"})
        assert said.startswith("'<U+001B>[2Jxxx")
        assert len(said) < 150
