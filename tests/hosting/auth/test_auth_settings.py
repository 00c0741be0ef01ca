"""What is set about who may ask, by the variables of the original and by ours."""

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.hosting.wire import instances
from tests.logs import Answer, Ask
from tollbook.app.settings import ServerSettings, read_settings
from tollbook.core.caller import Caller
from tollbook.core.errors import UsageError
from tollbook.hosting.auth.settings import AUTH_SETTINGS, AuthSettings, allows
from tollbook.hosting.auth.token import Rules

SIGHT: Final = {"SEES_ALL": "group:finops"}
OURS: Final = {
    **SIGHT,
    "OAUTH_ISSUER": "https://login.example/tenant",
    "OAUTH_REQUIRED_SCOPE": "tollbook/use",
    "PUBLIC_URL": "https://tollbook.example/mcp",
}
COGNITOS: Final = {
    **SIGHT,
    "COGNITO_REGION": "eu-west-1",
    "COGNITO_USER_POOL_ID": "eu-west-1_AbCdEfGhI",
    "COGNITO_ALLOWED_CLIENT_IDS": "one, two",
    "COGNITO_REQUIRED_SCOPES": "tollbook/use",
    "PUBLIC_URL": "https://tollbook.example/mcp",
}
ANYWHERE: Final = {"TOLLBOOK_HOST": "0.0.0.0", "ALLOWED_HOSTS": "tollbook.example"}  # noqa: S104
# What is wrong in any case: so that no test serves for ever where nothing else is found wrong.
AND_THIS: Final = ("--session-idle", "60")
AND_THAT: Final = "--port=none"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {setting.variable for setting in AUTH_SETTINGS} & os.environ.keys():
        monkeypatch.delenv(name)


def read(environment: Mapping[str, str], **changes: str) -> ServerSettings:
    return read_settings({**environment, **changes}, {})


def access(environment: Mapping[str, str], **changes: str) -> AuthSettings:
    found = read(environment, **changes).access
    assert found is not None
    return found


def asked(ask: Ask, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> Answer:
    """What `tollbook serve` says in an environment in which it does not start."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    answer = ask("serve", *AND_THIS)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("tollbook: The server cannot start:\n  --")
    return answer


def variables_in(answer: Answer) -> list[str]:
    """Those that its lines begin with."""
    return re.findall(r"^  --[a-z-]+ \(([A-Z_]+)\): ", answer.err, re.MULTILINE)


def without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("environment", "missing"),
        [
            ({**OURS, "AUTH_METHOD": "oauth"}, "OAUTH_ISSUER"),
            ({**OURS, "AUTH_METHOD": "lambda"}, "OAUTH_ISSUER"),
            (OURS, "OAUTH_REQUIRED_SCOPE"),
            ({**OURS, **ANYWHERE}, "PUBLIC_URL"),
            (COGNITOS, "COGNITO_REGION"),
            (COGNITOS, "COGNITO_USER_POOL_ID"),
            (COGNITOS, "COGNITO_ALLOWED_CLIENT_IDS"),
            ({**COGNITOS, "OAUTH_REQUIRED_SCOPE": COGNITOS["COGNITO_REQUIRED_SCOPES"]}, "OAUTH_REQUIRED_SCOPE"),
            ({**COGNITOS, **ANYWHERE}, "PUBLIC_URL"),
        ],
    )
    @pytest.mark.parametrize("is_empty", [False, True])
    def test_is_named_and_stops_the_start(
        self,
        ask: Ask,
        monkeypatch: pytest.MonkeyPatch,
        environment: Mapping[str, str],
        missing: str,
        is_empty: bool,
    ) -> None:
        others = without(environment, missing, *(["COGNITO_REQUIRED_SCOPES"] if "REQUIRED" in missing else []))
        answer = asked(ask, monkeypatch, {**others, **({missing: ""} if is_empty else {})})
        assert variables_in(answer) == [missing]
        assert "it is missing; " in answer.err

    def test_is_named_all_at_once(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = asked(ask, monkeypatch, {**SIGHT, **ANYWHERE, "AUTH_METHOD": "oauth"})
        assert variables_in(answer) == ["OAUTH_ISSUER", "OAUTH_REQUIRED_SCOPE", "PUBLIC_URL"]

    def test_is_named_all_at_once_of_a_pool_too(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = asked(ask, monkeypatch, {**SIGHT, **ANYWHERE, "COGNITO_USER_POOL_ID": "eu-west-1_AbCdEfGhI"})
        assert variables_in(answer) == [
            "COGNITO_REGION",
            "COGNITO_ALLOWED_CLIENT_IDS",
            "OAUTH_REQUIRED_SCOPE",
            "PUBLIC_URL",
        ]

    def test_is_not_asked_of_who_needs_no_login(self) -> None:
        assert read({"AUTH_METHOD": "none", "OAUTH_ISSUER": "https://login.example"}).access is None

    def test_a_pool_of_another_region_is_no_pool(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = asked(ask, monkeypatch, {**COGNITOS, "COGNITO_REGION": "us-east-1"})
        assert variables_in(answer) == ["COGNITO_USER_POOL_ID"]
        assert "a pool of us-east-1 begins with 'us-east-1_'" in answer.err

    def test_a_prefix_is_no_domain_where_no_region_is_known(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = asked(ask, monkeypatch, {**OURS, "COGNITO_DOMAIN": "login-of-ours"})
        assert variables_in(answer) == ["COGNITO_DOMAIN"]
        assert access(OURS, COGNITO_DOMAIN="login.tollbook.example").login_domain == "login.tollbook.example"


class TestWhichLogin:
    @pytest.mark.parametrize("environment", [OURS, COGNITOS])
    def test_that_of_an_issuer_if_one_is_named(self, environment: Mapping[str, str]) -> None:
        assert read(environment).auth == "oauth"
        assert read(environment, **ANYWHERE).auth == "oauth"
        assert read(environment, AUTH_METHOD="Lambda").access == read(environment).access

    def test_none_on_a_loopback_address_else(self) -> None:
        assert [read({"TOLLBOOK_HOST": host}).auth for host in ("127.0.0.1", "localhost", "::1")] == ["none"] * 3

    def test_and_elsewhere_no_server(self, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
        answer = asked(ask, monkeypatch, {**ANYWHERE, **SIGHT})
        assert variables_in(answer) == ["AUTH_METHOD"]
        assert "nobody would be asked who he is" in answer.err

    def test_nor_behind_a_public_url(self, ask: Ask) -> None:
        answer = ask("serve", "--public-url", "https://tollbook.example/mcp")
        assert answer.code == 2
        assert "--auth (AUTH_METHOD): https://tollbook.example/mcp can be reached from elsewhere" in answer.err
        assert read({"PUBLIC_URL": "http://localhost:3000/mcp"}).auth == "none"

    def test_unless_it_is_said_that_nobody_need_log_in(self) -> None:
        assert read({**ANYWHERE, "AUTH_METHOD": "none"}).auth == "none"

    @pytest.mark.parametrize("method", ["jwt", "cognito", "oauth2", "oauth none", "off"])
    def test_one_that_there_is_not(self, ask: Ask, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        answer = asked(ask, monkeypatch, {**OURS, "AUTH_METHOD": method})
        assert variables_in(answer) == ["AUTH_METHOD"]
        assert f"one of oauth, lambda, dev, none is wanted, not '{method}'" in answer.err

    def test_a_server_without_one_says_so_in_one_line(self, tmp_path: Path) -> None:
        with instances(tmp_path, 1, ["--session-store", "memory"]) as (server,):
            said = server.log.read_text()
        assert said.count("There is no login") == 1
        (line,) = [each for each in said.splitlines() if "There is no login" in each]
        assert line == ("There is no login: every program on this machine can read the report. --auth dev shows one.")

    def test_a_server_with_one_says_whose_it_is_and_asks_for_it(self, tmp_path: Path) -> None:
        environment = without(OURS, "PUBLIC_URL")
        with instances(tmp_path, 1, ["--session-store", "memory"], environment) as (server,):
            response = httpx2.post(server.url, json={})
            about = httpx2.get(server.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
            said = server.log.read_text()
        assert "Callers log in with https://login.example/tenant, or send an API key." in said.splitlines()
        assert "There is no login" not in said
        assert response.status_code == 401
        assert about["resource"] == server.url
        assert (
            f'resource_metadata="{server.url.replace("/mcp", "")}/.well-known' in response.headers["www-authenticate"]
        )


class TestAnIssuersVariables:
    def test_have_these_defaults(self) -> None:
        assert access(OURS) == AuthSettings(
            rules=Rules(issuer="https://login.example/tenant", audience="https://tollbook.example/mcp"),
            public_url="https://tollbook.example/mcp",
            scopes=("tollbook/use",),
            offered_scopes=("tollbook/use",),
        )

    def test_say_all_there_is_to_say(self) -> None:
        found = access(
            OURS,
            OAUTH_JWKS_URL="https://keys.example/jwks.json",
            OAUTH_AUDIENCE="api://tollbook",
            OAUTH_REQUIRED_SCOPE="read, write read  more",
            OAUTH_CLIENTS_WITHOUT_AUD="machine, batch:noscope,https://client.example/metadata.json",
            AUTH_METADATA="Shim",
        )
        assert found == AuthSettings(
            rules=Rules(
                issuer="https://login.example/tenant",
                audience="api://tollbook",
                without_audience=frozenset(["machine", "batch", "https://client.example/metadata.json"]),
            ),
            public_url="https://tollbook.example/mcp",
            scopes=("read", "write", "more"),
            without_scope=frozenset(["batch"]),
            offered_scopes=("read", "write", "more"),
            keys_url="https://keys.example/jwks.json",
            has_shim=True,
        )

    def test_of_a_local_server_need_no_public_url(self) -> None:
        found = access(without(OURS, "PUBLIC_URL"), PORT="3456")
        assert (found.public_url, found.rules.audience) == ("http://127.0.0.1:3456/mcp",) * 2
        assert access(without(OURS, "PUBLIC_URL"), TOLLBOOK_HOST="::1").public_url == "http://[::1]:3000/mcp"

    def test_give_way_to_flags(self) -> None:
        found = read_settings(OURS, {"oauth_issuer": "https://other.example", "public_url": None}).access
        assert found is not None
        assert (found.rules.issuer, found.public_url) == ("https://other.example", "https://tollbook.example/mcp")

    def test_name_the_host_that_is_served(self) -> None:
        served = read(OURS, **without(ANYWHERE, "ALLOWED_HOSTS")).allowed_hosts
        assert served == ("tollbook.example",)
        assert read(OURS).allowed_hosts == ("tollbook.example", "localhost:*", "127.0.0.1:*", "[::1]:*")

    @pytest.mark.parametrize(
        "url",
        [
            "https://tollbook.example/mcp",
            "https://tollbook.example:8443/mcp",
            "https://a1b2.execute-api.eu-west-1.amazonaws.com/prod/mcp",
            "https://[2001:db8::1]/mcp",
            "https://tollbook.example/a%20b/~c;d=e,f",
            "http://127.0.0.1:3000/mcp",
            "http://localhost/mcp",
            "http://[::1]:3000/mcp",
        ],
    )
    def test_take_a_public_url_as_it_is_written(self, url: str) -> None:
        found = access(OURS, PUBLIC_URL=url)
        assert (found.public_url, found.rules.audience) == (url, url)

    @pytest.mark.parametrize("issuer", ["https://login.example", "https://login.example/", "http://127.0.0.1:9/x"])
    def test_take_an_issuer_as_he_writes_himself(self, issuer: str) -> None:
        assert access(OURS, OAUTH_ISSUER=issuer).rules.issuer == issuer


class TestAPoolsVariables:
    def test_have_the_names_and_the_meaning_of_the_original(self) -> None:
        found = access(
            COGNITOS,
            COGNITO_DOMAIN="login-of-ours",
            COGNITO_REQUIRED_SCOPES="tollbook/use tollbook/read",
            COGNITO_SUPPORTED_SCOPES="openid email tollbook/use",
        )
        assert found == AuthSettings(
            rules=Rules(
                issuer="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI",
                audience="https://tollbook.example/mcp",
                clients=frozenset(["one", "two"]),
                is_cognito=True,
            ),
            public_url="https://tollbook.example/mcp",
            scopes=("tollbook/use", "tollbook/read"),
            offered_scopes=("tollbook/use", "tollbook/read", "openid", "email"),
            has_shim=True,
            login_domain="login-of-ours.auth.eu-west-1.amazoncognito.com",
        )

    def test_take_another_issuer_of_the_same_pool(self) -> None:
        """Newer pools have `issuer-cognito-idp…`: it is configuration, and no formula."""
        issuer = "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
        found = access(COGNITOS, OAUTH_ISSUER=issuer)
        assert (found.rules.issuer, found.rules.is_cognito) == (issuer, True)

    def test_take_a_whole_domain(self) -> None:
        assert access(COGNITOS, COGNITO_DOMAIN="login.tollbook.example").login_domain == "login.tollbook.example"

    def test_may_leave_the_metadata_where_it_is(self) -> None:
        assert not access(COGNITOS, AUTH_METADATA="direct").has_shim

    def test_go_after_ours_where_both_say_a_thing(self) -> None:
        assert access(COGNITOS, OAUTH_REQUIRED_SCOPE="ours").scopes == ("ours",)

    @pytest.mark.parametrize(
        ("scopes", "whole"),
        [
            ("use", ("tollbook/use",)),
            ("use other/read", ("tollbook/use", "other/read")),
            ("openid use email", ("openid", "tollbook/use", "email")),
            ("aws.cognito.signin.user.admin", ("aws.cognito.signin.user.admin",)),
            ("tollbook/use", ("tollbook/use",)),
        ],
    )
    def test_put_the_resource_server_before_scopes_without_one(self, scopes: str, whole: tuple[str, ...]) -> None:
        assert access(COGNITOS, COGNITO_REQUIRED_SCOPES=scopes, COGNITO_RESOURCE_ID="tollbook").scopes == whole

    def test_put_a_resource_server_that_is_an_address_before_them_too(self) -> None:
        url = "https://tollbook.example/mcp"
        found = access(COGNITOS, COGNITO_REQUIRED_SCOPES="use", COGNITO_RESOURCE_ID=url)
        assert found.scopes == (f"{url}/use",)

    def test_let_clients_in_that_are_listed_for_want_of_an_audience(self) -> None:
        rules = access(COGNITOS, OAUTH_CLIENTS_WITHOUT_AUD="machine,batch:noscope").rules
        assert rules.clients == {"one", "two", "machine", "batch"}
        assert rules.without_audience == {"machine", "batch"}


class TestClientsWithoutAScope:
    @pytest.mark.parametrize(
        ("client", "scopes", "claims", "is_allowed"),
        [
            ("machine", ["tollbook/use"], {}, True),
            ("machine", [], {}, False),
            ("batch", [], {}, True),
            ("batch", [], {"aud": "https://tollbook.example/mcp"}, False),  # that one could have said its scope
            ("batch:noscope", [], {}, False),
            ("other", [], {}, False),
            ("", [], {}, False),
        ],
    )
    def test_are_those_that_are_marked(
        self, client: str, scopes: list[str], claims: dict[str, Any], is_allowed: bool
    ) -> None:
        settings = access(OURS, OAUTH_CLIENTS_WITHOUT_AUD="machine,batch:noscope")
        caller = Caller("subject", client, "issuer", frozenset(scopes), claims)
        assert allows(caller, settings) == is_allowed


PLAIN_TEXTS: Final = ("a b", "a\nb", "a\x00b", "a\x1b[31mb", "a\u202eb", "a\x7fb", "a\u00a0b")
HOSTILE: Final = {
    "PUBLIC_URL": (
        "tollbook.example/mcp",
        "https://tollbook.example",
        "https://tollbook.example/",
        "https://tollbook.example/mcp/",
        "http://tollbook.example/mcp",
        "http://127.0.0.1.evil.example/mcp",
        "http://localhost.evil.example/mcp",
        "http://169.254.169.254/mcp",
        "ftp://tollbook.example/mcp",
        "javascript:alert(1)",
        "file:///mcp",
        "https:///mcp",
        "https://tollbook.example/mcp?x=1",
        "https://tollbook.example/mcp?",
        "https://tollbook.example/mcp#x",
        "https://tollbook.example/mcp#",
        'https://tollbook.example/m"cp',
        "https://tollbook.example\\evil/mcp",
        "https://tollbook.example/<mcp>",
        "https://tollbook.example:port/mcp",
        "https://tollbook.example:99999/mcp",
        "https://[tollbook.example/mcp",
        "https://tollbook.example/mcp\r\nx-evil: 1",
        "https://tollbook.example/mcp ",
        "https://tollbook.example/\u00e4",
        "https://tollbook.example/" + "m" * 500,
    ),
    "OAUTH_ISSUER": ("login.example", "http://login.example", "https://login.example/x?y", "https://", *PLAIN_TEXTS),
    "OAUTH_JWKS_URL": (
        "keys.json",
        "http://keys.example/k",
        "file:///etc/passwd",
        "https://k.example/\n",
        *PLAIN_TEXTS,
    ),
    "OAUTH_AUDIENCE": ("a b", "a\nb", "a\x00b", "a\x1b[31mb", "a\x7fb", "a\u00a0b", "a" * 513),
    "OAUTH_REQUIRED_SCOPE": (",", " , ", 'a"b', "a\\b", "a\x1b", "\u00e4", "s" * 257),
    "OAUTH_CLIENTS_WITHOUT_AUD": (",", ":noscope", "a,:noscope", "a:noscope b", "a:noscope:noscope", *PLAIN_TEXTS),
    "AUTH_METADATA": ("proxy", "shim,direct", "\x1b[31m"),
    "COGNITO_REGION": ("mars", "eu-west", "eu-west-1/", "EU-WEST-1", "eu-west-1.evil.example", *PLAIN_TEXTS),
    "COGNITO_USER_POOL_ID": (
        "AbC",
        "eu-west-1_",
        "eu-west-1_A/../B",
        "eu-west-1_A?x",
        "eu-west-1_\u00e4",
        *PLAIN_TEXTS,
    ),
    "COGNITO_ALLOWED_CLIENT_IDS": (",", " ", "a:noscope", *PLAIN_TEXTS),
    "COGNITO_DOMAIN": (
        "https://login.example",
        "login.example/x",
        "login..example",
        ".login",
        "-login",
        "login-",
        "Login",
        "login.example:8443",
        "login@evil.example",
        *PLAIN_TEXTS,
    ),
    "COGNITO_SUPPORTED_SCOPES": ('a"b', "a\\b", "a\x1b"),
    "COGNITO_RESOURCE_ID": ('a"b', "a b", "a\\b", "\u00e4", *PLAIN_TEXTS),
}


class TestHostileText:
    def test_is_thought_of_for_every_variable(self) -> None:
        assert HOSTILE.keys() == {setting.variable for setting in AUTH_SETTINGS}

    @pytest.mark.parametrize(("variable", "text"), [(name, text) for name, texts in HOSTILE.items() for text in texts])
    def test_is_refused_and_shown_on_one_line_without_what_a_terminal_obeys(
        self, ask: Ask, variable: str, text: str
    ) -> None:
        flag = next(setting.flag for setting in AUTH_SETTINGS if setting.variable == variable)
        answer = ask("serve", AND_THAT, f"{flag}={text}")
        assert (answer.code, answer.out) == (2, "")
        assert variables_in(answer) == ["PORT", variable]
        assert answer.err.count("\n") == 3
        assert not {unicodedata.category(each) for each in answer.err.replace("\n", "")} & {"Cc", "Cf", "Cs"}

    @pytest.mark.parametrize("variable", ["PUBLIC_URL", "OAUTH_ISSUER", "OAUTH_JWKS_URL"])
    @pytest.mark.parametrize("who", ["user:hunter2", "user", ":hunter2", ""])
    def test_of_a_password_in_an_address_is_refused_and_not_shown(
        self, ask: Ask, monkeypatch: pytest.MonkeyPatch, variable: str, who: str
    ) -> None:
        answer = asked(ask, monkeypatch, {"PORT": "none", variable: f"https://{who}@tollbook.example/mcp"})
        assert variables_in(answer) == ["PORT", variable]
        assert "hunter2" not in answer.err

    def test_is_refused_all_at_once(self) -> None:
        with pytest.raises(UsageError) as refusal:
            read({variable: texts[0] for variable, texts in HOSTILE.items()})
        assert len(refusal.value.more) == len(HOSTILE)
