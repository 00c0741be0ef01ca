"""The Lambda authorizer, called as API Gateway calls it."""

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.auth_servers.issuer import CANARY, CLIENT, SCOPE, Issuer
from tests.auth_servers.keys import MISSING, ec_key, published
from tests.fakes.api_gateway import ARN, EVENTS, STAGE, Event, allows, http_event, request_event, status, token_event
from tests.hosting.auth.asking import HOUR_S, an_api_key, bearer, environment_for
from tests.hosting.serving import SetClock
from tollbook.hosting.auth.authorizer import Authorizer
from tollbook.hosting.auth.settings import auth_settings_from
from tollbook.hosting.stores.sqlite import SqliteStore

Open = Callable[..., Authorizer]
ToEvent = Callable[..., Event]

KEYS: Final = "/jwks.json"
DISCOVERY: Final = "/.well-known/openid-configuration"


@pytest.fixture
def issuer(clock: SetClock) -> Iterator[Issuer]:
    with Issuer(clock=clock) as running:
        yield running


@pytest.fixture
def open_authorizer(issuer: Issuer, clock: SetClock) -> Iterator[Open]:
    """Makes an authorizer that trusts `issuer`, of the variables of its environment, with a store for API keys."""
    opened: list[Authorizer] = []

    def authorizer(store: Path | None = None, **environment: str) -> Authorizer:
        settings = auth_settings_from({**environment_for(issuer), **environment})
        opened.append(Authorizer(settings, partial(SqliteStore, store) if store else None, clock=clock))
        return opened[-1]

    yield authorizer
    for each in opened:
        each.close()


@pytest.fixture
def authorizer(open_authorizer: Open) -> Authorizer:
    return open_authorizer()


@pytest.fixture(params=EVENTS)
def event(request: pytest.FixtureRequest) -> ToEvent:
    """Makes an event of each kind in turn."""
    return EVENTS[request.param]


@pytest.fixture
def reasons(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the log was told so far."""
    caplog.set_level("DEBUG")
    return lambda: [record.reason for record in caplog.records if hasattr(record, "reason")]


def turned_away(event: ToEvent) -> int:
    """How an API answers where nobody is let in: those of format 2.0 know yes and no alone, and no 401."""
    return 403 if event is http_event else 401


class TestWhoIsLetIn:
    def test_one_with_a_good_token(self, authorizer: Authorizer, issuer: Issuer, event: ToEvent) -> None:
        assert status(authorizer, event(bearer(issuer))) == 200

    def test_one_whose_key_is_an_elliptic_one(self, authorizer: Authorizer, issuer: Issuer, event: ToEvent) -> None:
        issuer.keys.append(published(ec_key()))
        assert status(authorizer, event(bearer(issuer, key=ec_key()))) == 200

    def test_a_machine_whose_tokens_say_no_audience_and_no_scope(
        self, open_authorizer: Open, issuer: Issuer, event: ToEvent
    ) -> None:
        authorizer = open_authorizer(OAUTH_CLIENTS_WITHOUT_AUD=f"{CLIENT}:noscope")
        assert status(authorizer, event(bearer(issuer, aud=MISSING, scope=MISSING))) == 200
        assert status(authorizer, event(bearer(issuer, aud=MISSING, client_id="other"))) == turned_away(event)

    def test_one_who_writes_the_header_and_the_scheme_in_another_case(
        self, authorizer: Authorizer, issuer: Issuer
    ) -> None:
        given = request_event(f"bEARER   {issuer.token()}")
        given["multiValueHeaders"]["aUTHORIZATION"] = given["multiValueHeaders"].pop("Authorization")
        assert status(authorizer, given) == 200

    def test_one_whose_headers_come_in_one_form_only(self, authorizer: Authorizer, issuer: Issuer) -> None:
        given = request_event(bearer(issuer))
        assert status(authorizer, {**given, "multiValueHeaders": None}) == 200
        assert status(authorizer, {**given, "headers": None}) == 200

    def test_one_with_a_good_api_key(
        self, open_authorizer: Open, clock: SetClock, tmp_path: Path, issuer: Issuer, event: ToEvent
    ) -> None:
        path = tmp_path / "keys.db"
        authorizer = open_authorizer(path)
        assert status(authorizer, event(f"Bearer {an_api_key(path, clock)}")) == 200
        assert not issuer.visits


class TestTheAnswer:
    def test_is_a_policy_for_the_stage_that_names_nobody(self, authorizer: Authorizer, issuer: Issuer) -> None:
        answer = authorizer(request_event(bearer(issuer, sub="alice@example.com")))
        owner = answer["principalId"]
        assert re.fullmatch("[0-9a-f]{32}", owner)
        assert answer == {
            "principalId": owner,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{STAGE}/*"}],
            },
            "context": {"caller": owner[:12]},
        }

    def test_is_yes_in_the_simple_format(self, authorizer: Authorizer, issuer: Issuer) -> None:
        answer = authorizer(http_event(bearer(issuer)))
        assert re.fullmatch("[0-9a-f]{12}", answer["context"]["caller"])
        assert answer == {"isAuthorized": True, "context": {"caller": answer["context"]["caller"]}}

    def test_tells_one_caller_from_another(self, authorizer: Authorizer, issuer: Issuer) -> None:
        tokens = [bearer(issuer), bearer(issuer), bearer(issuer, sub="bob"), bearer(issuer, client_id="other")]
        alice, again, bob, elsewhere = (authorizer(token_event(each))["principalId"] for each in tokens)
        assert alice == again
        assert len({alice, bob, elsewhere}) == 3

    @pytest.mark.parametrize("scope", [MISSING, "", "other", f"{SCOPE}s", SCOPE.upper()])
    def test_is_no_where_a_scope_is_missing(
        self,
        authorizer: Authorizer,
        issuer: Issuer,
        event: ToEvent,
        scope: str,
        reasons: Callable[[], list[str]],
    ) -> None:
        assert status(authorizer, event(bearer(issuer, scope=scope))) == 403
        assert reasons() == ["scope"]

    def test_denies_the_whole_stage_or_says_no(self, authorizer: Authorizer, issuer: Issuer) -> None:
        (denial,) = authorizer(token_event(bearer(issuer, scope="")))["policyDocument"]["Statement"]
        assert denial == {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": f"{STAGE}/*"}
        assert authorizer(http_event(bearer(issuer, scope=""))) == {"isAuthorized": False}

    @pytest.mark.parametrize("to_event", [token_event, request_event])
    def test_may_be_kept_for_every_method_and_path_of_the_stage(
        self, authorizer: Authorizer, issuer: Issuer, to_event: ToEvent
    ) -> None:
        answer = authorizer(to_event(bearer(issuer), arn=f"{STAGE}/GET/.well-known/oauth-protected-resource"))
        for method, path in (("POST", "mcp"), ("GET", "mcp"), ("DELETE", "mcp"), ("OPTIONS", "")):
            assert allows(answer, f"{STAGE}/{method}/{path}")
        assert not allows(answer, ARN.replace("/test/", "/prod/"))
        assert not allows(answer, ARN.replace("abcdef123", "abcdef124"))

    @pytest.mark.parametrize(
        "stage",
        [
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/$default",
            "arn:aws:execute-api:us-east-1:123456789012:abcdef123/a_B-9",
            "arn:aws-us-gov:execute-api:us-gov-west-1:123456789012:abcdef123/test",
            "arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef123/test",
        ],
    )
    @pytest.mark.parametrize("rest", ["/POST/mcp", "/POST/", "/GET/" + "a/" * 700, "/GET/*/line\nbreak/arn:aws:s3:::x"])
    def test_is_for_that_stage_whatever_the_path_is(
        self, authorizer: Authorizer, issuer: Issuer, event: ToEvent, stage: str, rest: str
    ) -> None:
        given = event(bearer(issuer), arn=stage + rest)
        assert status(authorizer, given) == 200
        if event is not http_event:
            assert authorizer(given)["policyDocument"]["Statement"][0]["Resource"] == f"{stage}/*"


class TestWhoIsTurnedAway:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda issuer: "",
            lambda issuer: "Bearer",
            lambda issuer: "Bearer ",
            lambda issuer: issuer.token(),
            lambda issuer: f"Basic {issuer.token()}",
            lambda issuer: "Basic dXNlcjpwYXNzd29yZA==",
            lambda issuer: f"Bearer {issuer.token()} ",
            lambda issuer: f"Bearer\t{issuer.token()}",
            lambda issuer: f"Bearer {issuer.token()[:-8]}",
            lambda issuer: f"Bearer {issuer.token(exp=issuer.now() - 31)}",
            lambda issuer: f"Bearer {issuer.token(aud='https://other.example/mcp')}",
            lambda issuer: f"Bearer {issuer.token(aud=MISSING)}",
            lambda issuer: f"Bearer {issuer.token(iss='https://other.example')}",
            lambda issuer: f"Bearer {issuer.token(header={'alg': 'none'})}",
            lambda issuer: f"Bearer {issuer.token(header={'kid': '../../x'})}",
            lambda issuer: f"Bearer {issuer.id_token()}",
            lambda issuer: f"Bearer {'a' * 1_000_000}",
            lambda issuer: "Bearer tbk_" + "0" * 16 + "_" + "0" * 64,
            lambda issuer: "Bearer \u0661\u0662\ud800",
        ],
    )
    def test_one_whose_credential_is_bad(
        self, authorizer: Authorizer, issuer: Issuer, event: ToEvent, spoil: Callable[[Issuer], str]
    ) -> None:
        assert status(authorizer, event(spoil(issuer))) == turned_away(event)

    def test_one_without_the_header(self, authorizer: Authorizer, issuer: Issuer, event: ToEvent) -> None:
        assert status(authorizer, event()) == turned_away(event)
        assert not issuer.visits

    @pytest.mark.parametrize("to_event", [request_event, EVENTS["HTTP, 1.0"], http_event])
    def test_one_with_two_authorization_headers(
        self, authorizer: Authorizer, issuer: Issuer, to_event: ToEvent
    ) -> None:
        good = bearer(issuer)
        for others in ([good, good], [good, "Bearer bad"], ["Bearer bad", good], ["Basic YTpi", good], ["", good]):
            assert status(authorizer, to_event(*others)) == turned_away(to_event)

    def test_one_with_two_of_them_in_different_case(self, authorizer: Authorizer, issuer: Issuer) -> None:
        given = request_event(bearer(issuer))
        given["multiValueHeaders"]["authorization"] = ["Bearer bad"]
        assert status(authorizer, given) == 401

    def test_one_who_puts_the_token_elsewhere(self, authorizer: Authorizer, issuer: Issuer) -> None:
        token = issuer.token()
        bare = request_event()
        elsewhere = {"Cookie": token, "X-Authorization": f"Bearer {token}", "X-User": "alice", "X-Api-Key": token}
        given = {
            **bare,
            "queryStringParameters": {"access_token": token, "Authorization": f"Bearer {token}"},
            "headers": {**bare["headers"], **elsewhere},
            "multiValueHeaders": bare["multiValueHeaders"] | {name: [value] for name, value in elsewhere.items()},
            "stageVariables": {"Authorization": f"Bearer {token}"},
            "authorizationToken": f"Bearer {token}",
        }
        assert status(authorizer, given) == 401
        given = {**http_event(), "cookies": [f"access_token={token}"], "identitySource": [f"Bearer {token}"]}
        assert status(authorizer, given) == 403

    def test_one_whose_event_says_that_he_was_let_in_before(self, authorizer: Authorizer, event: ToEvent) -> None:
        """Threat 26: whoever may invoke the function can put anything into its event."""
        given = event()
        given["requestContext"] = {
            **given.get("requestContext", {}),
            "authorizer": {"principalId": "alice", "scope": SCOPE, "jwt": {"claims": {"sub": "alice"}}, "lambda": {}},
            "identity": {"userArn": "arn:aws:iam::123456789012:root", "caller": "alice", "user": "alice"},
        }
        assert status(authorizer, given) == turned_away(event)

    @pytest.mark.parametrize(
        "given",
        [
            {},
            [],
            None,
            "Bearer x",
            7,
            True,
            {"type": ["TOKEN"]},
            {"version": ["2.0"]},
            {"version": 2.0},
            {"headers": []},
            {"headers": "Authorization"},
            {"headers": {"Authorization": {"Bearer": "x"}}},
            {"headers": {"Authorization": ["GOOD"]}},
            {"headers": {"Authorization": None}},
            {"multiValueHeaders": ["Authorization"]},
            {"multiValueHeaders": {"Authorization": "GOOD"}},
            {"multiValueHeaders": {"Authorization": [["GOOD"]]}},
            {"multiValueHeaders": {"Authorization": 7}},
            {"type": "TOKEN"},
            {"type": "TOKEN", "authorizationToken": ["GOOD"]},
            {"type": "TOKEN", "authorizationToken": {"GOOD": "GOOD"}},
            {"authorizationToken": "GOOD"},
            *(
                {"type": "TOKEN", "authorizationToken": "GOOD", "methodArn": arn}
                for arn in (
                    "",
                    None,
                    [ARN],
                    {"arn": ARN},
                    "*",
                    "arn:aws:s3:::bucket/key",
                    "arn:aws:execute-api:us-east-1:123456789012:abcdef123",
                    "arn:aws:execute-api:us-east-1:123456789012:abcdef123/*/POST/mcp",
                    "arn:aws:execute-api:*:123456789012:abcdef123/test/POST/mcp",
                    "arn:aws:execute-api:us-east-1:123456789012:*/test/POST/mcp",
                    f"x{ARN}",
                    f"\n{ARN}",
                )
            ),
        ],
    )
    def test_one_who_invokes_the_function_with_what_he_likes(
        self, authorizer: Authorizer, issuer: Issuer, given: Any
    ) -> None:
        filled = json.loads(json.dumps(given).replace("GOOD", bearer(issuer)))
        if isinstance(filled, dict):
            filled.setdefault("methodArn", ARN)
        with pytest.raises(Exception, match=r"^Unauthorized$") as refusal:
            authorizer(filled)
        assert refusal.type is Exception

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"headers": []},
            {"headers": {"authorization": ["GOOD"]}},
            {"headers": {"authorization": "GOOD"}},
            {"headers": {"authorization": "GOOD"}, "routeArn": ["arn"]},
        ],
    )
    def test_and_hears_no_in_the_simple_format(
        self, authorizer: Authorizer, issuer: Issuer, given: Mapping[str, Any]
    ) -> None:
        filled = json.loads(json.dumps(given).replace("GOOD", bearer(issuer)))
        assert authorizer({**filled, "version": "2.0"}) == {"isAuthorized": False}

    def test_one_whose_api_key_is_revoked_or_ended_or_lacks_the_scope(
        self, open_authorizer: Open, clock: SetClock, tmp_path: Path, event: ToEvent
    ) -> None:
        path = tmp_path / "keys.db"
        good, poor = an_api_key(path, clock), an_api_key(path, clock, ["other"])
        revoked = an_api_key(path, clock, revoked=True)
        authorizer = open_authorizer(path)
        assert status(authorizer, event(f"Bearer {revoked}")) == turned_away(event)
        assert status(authorizer, event(f"Bearer {good[:-1]}")) == turned_away(event)
        assert status(authorizer, event(f"Bearer {poor}")) == 403
        assert status(authorizer, event(f"Bearer {good}")) == 200
        clock.now += HOUR_S
        assert status(authorizer, event(f"Bearer {good}")) == turned_away(event)

    def test_one_with_an_api_key_where_none_is_kept(
        self, authorizer: Authorizer, clock: SetClock, tmp_path: Path, event: ToEvent
    ) -> None:
        assert status(authorizer, event(f"Bearer {an_api_key(tmp_path / 'keys.db', clock)}")) == turned_away(event)

    def test_one_with_an_api_key_while_the_store_is_down(
        self,
        open_authorizer: Open,
        clock: SetClock,
        tmp_path: Path,
        issuer: Issuer,
        event: ToEvent,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = tmp_path / "keys.db"
        key = an_api_key(path, clock)
        authorizer = open_authorizer(tmp_path)  # a folder is no database
        assert status(authorizer, event(f"Bearer {key}")) == turned_away(event)
        (line,) = caplog.records
        assert (line.levelname, line.message) == ("WARNING", "API keys cannot be looked up")
        assert status(authorizer, event(bearer(issuer))) == 200  # a token needs no store


def test_what_is_raised_says_one_word_and_nothing_else(authorizer: Authorizer, issuer: Issuer) -> None:
    said = set()
    events: list[Event] = [
        token_event(f"Bearer {issuer.token(aud='other')}"),
        request_event("Basic YTpi"),
        {"headers": []},
    ]
    for given in events:
        with pytest.raises(Exception, match="Unauthorized") as refusal:
            authorizer(given)
        assert (refusal.type, refusal.value.args) == (Exception, ("Unauthorized",))
        shown = "".join(traceback.format_exception(refusal.value))
        assert "Authorization" not in shown
        assert "BadToken" not in shown
        said.add(shown.splitlines()[-1])
    assert said == {"Exception: Unauthorized"}


class TestTheIssuersKeys:
    def test_are_asked_for_once_for_many_events(self, authorizer: Authorizer, issuer: Issuer) -> None:
        assert not issuer.visits
        for number in range(100):
            assert status(authorizer, token_event(bearer(issuer, sub=f"user-{number}"))) == 200
        assert issuer.asked == {DISCOVERY: 1, KEYS: 1}

    def test_are_where_a_variable_says(self, open_authorizer: Open, issuer: Issuer) -> None:
        authorizer = open_authorizer(OAUTH_JWKS_URL=issuer.jwks_url)
        assert status(authorizer, token_event(bearer(issuer))) == 200
        assert issuer.asked == {KEYS: 1}

    def test_are_not_asked_for_by_tokens_that_could_not_be_good(self, authorizer: Authorizer, issuer: Issuer) -> None:
        for spoilt in ({"aud": "other"}, {"exp": 1}, {"iss": "https://other.example"}):
            assert status(authorizer, token_event(bearer(issuer, **spoilt))) == 401
        assert not issuer.visits

    def test_are_asked_for_once_in_30_seconds_however_many_are_unknown(
        self, authorizer: Authorizer, issuer: Issuer, clock: SetClock
    ) -> None:
        began = clock.now
        for number in range(120):
            clock.now = began + number
            assert status(authorizer, token_event(bearer(issuer, header={"kid": f"flood-{number}"}))) == 401
        assert issuer.asked[KEYS] == 4
        assert status(authorizer, token_event(bearer(issuer))) == 200

    def test_are_asked_for_anew_when_one_is_unknown(
        self, authorizer: Authorizer, issuer: Issuer, clock: SetClock
    ) -> None:
        old = token_event(bearer(issuer))
        assert status(authorizer, old) == 200
        issuer.rotate()
        clock.now += 31
        assert status(authorizer, old) == 200  # it is remembered
        assert status(authorizer, token_event(bearer(issuer))) == 200
        assert status(authorizer, old) == 401  # no more, since its key is gone
        assert issuer.asked[KEYS] == 2

    def test_serve_on_while_the_issuer_is_away_for_a_day(
        self, authorizer: Authorizer, issuer: Issuer, clock: SetClock, reasons: Callable[[], list[str]]
    ) -> None:
        assert status(authorizer, token_event(bearer(issuer))) == 200
        issuer.dead()
        clock.now += 16 * 60
        for _ in range(10):
            assert status(authorizer, token_event(bearer(issuer))) == 200
        assert len(reasons()) == 1
        assert "cannot be reached" in reasons()[0]
        assert status(authorizer, token_event(bearer(issuer, header={"kid": "new"}))) == 401
        clock.now += 23 * HOUR_S
        assert status(authorizer, token_event(bearer(issuer))) == 200
        clock.now += HOUR_S
        assert status(authorizer, token_event(bearer(issuer))) == 401
        issuer.well()
        clock.now += 31
        assert status(authorizer, token_event(bearer(issuer))) == 200

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda issuer: issuer.dead(),
            lambda issuer: issuer.fail(500),
            lambda issuer: issuer.fail(204),
            lambda issuer: issuer.garbage(),
            lambda issuer: issuer.garbage(b"[]", KEYS),
            lambda issuer: issuer.garbage(b"\xff", KEYS),
            lambda issuer: issuer.huge(KEYS),
            lambda issuer: issuer.redirect(issuer.jwks_url + "?", path=KEYS),
            lambda issuer: issuer.keys.clear(),
            lambda issuer: issuer.documents[DISCOVERY].pop("jwks_uri"),
        ],
    )
    def test_that_cannot_be_had_let_nobody_in_until_they_can(
        self,
        authorizer: Authorizer,
        issuer: Issuer,
        clock: SetClock,
        event: ToEvent,
        spoil: Callable[[Issuer], object],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        keys, about = list(issuer.keys), dict(issuer.documents[DISCOVERY])
        spoil(issuer)
        token = bearer(issuer)
        for _ in range(3):
            assert status(authorizer, event(token)) == turned_away(event)
        warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert warnings == ["the issuer's keys cannot be had"]
        issuer.keys[:], issuer.documents[DISCOVERY] = keys, about
        issuer.well()
        clock.now += 31
        assert status(authorizer, event(token)) == 200


def test_a_token_that_is_remembered_ends_nevertheless(
    authorizer: Authorizer, issuer: Issuer, clock: SetClock, event: ToEvent
) -> None:
    token = bearer(issuer, exp=issuer.now() + 60)
    assert status(authorizer, event(token)) == 200
    clock.now += 60
    assert status(authorizer, event(token)) == 200  # clocks may be 30 seconds apart
    clock.now += 30
    assert status(authorizer, event(token)) == turned_away(event)


def test_no_log_line_holds_a_credential(
    open_authorizer: Open, issuer: Issuer, clock: SetClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "keys.db"
    key = an_api_key(path, clock)
    authorizer = open_authorizer(path)
    tokens = [issuer.token(), issuer.token(scope=""), issuer.token(aud="other"), issuer.token(header={"kid": "x"})]
    for text in (*tokens, key, f"{key}0"):
        for event in EVENTS.values():
            status(authorizer, event(f"Bearer {text}"))
    assert caplog.records
    written = repr([vars(record) for record in caplog.records])
    assert CANARY not in written
    assert not any(part in written for text in tokens for part in text.split("."))
    assert key[21:] not in written
