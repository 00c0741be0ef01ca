"""What the template tells the server and the authorizer, and how they are called."""

import re
from typing import Final

from tests.deploy.choices import DOMAIN, HOSTS, KNOWN_URL, LAMBDA, READY, SNAPSHOT, URL, made
from tests.deploy.choices import door as door
from tests.deploy.choices import login as login
from tests.deploy.evaluation import parsed
from tollbook.app.on_lambda import lambda_settings
from tollbook.app.settings import SETTINGS
from tollbook.deploy.template import template
from tollbook.hosting.auth.settings import AUTH_SETTINGS, auth_settings_from

MEANINGLESS: Final = {
    "TOLLBOOK_HOST": "nothing listens on Lambda",
    "PORT": "nothing listens on Lambda",
    "TOLLBOOK_WORKERS": "Lambda starts what is needed",
    "DRAIN_SECONDS": "nothing is told to stop there",
    "TOLLBOOK_NOW": "it is for tests",
    "COGNITO_RESOURCE_ID": "the gateway lists scopes too, and there is nothing that could complete them: they are "
    "written out in OauthRequiredScope",
}
"""Variables of the server that nothing sets, with the reason."""
MADE: Final = {
    "AUTH_METHOD",
    "PUBLIC_URL",
    "COGNITO_REGION",
    "SESSION_STORE",
    "TOLLBOOK_BUCKET",
    "REQUEST_STATE_KEYS",
    "TOLLBOOK_METRICS",
}
"""Variables that come of the stack itself, or are always the same."""
ONLY_TOLD: Final = {"AUTH_METADATA", "COGNITO_DOMAIN", "COGNITO_SUPPORTED_SCOPES"}
"""Variables of which the server makes what it tells clients; no credential is checked by them."""
OTHER_PARAMETERS: Final = {"TOLLBOOK_APP": "App"}


class TestTheServer:
    def test_is_told_each_variable_unless_there_is_a_reason(self) -> None:
        told = made().variables("ServerFunction").keys()
        every = {setting.variable for setting in SETTINGS}
        assert told & MEANINGLESS.keys() == set()
        assert told | MEANINGLESS.keys() == every

    def test_is_told_what_a_parameter_says(self) -> None:
        declared, told = parsed(template())["Parameters"], made().variables("ServerFunction").keys()
        for variable in told - MADE:
            name = OTHER_PARAMETERS.get(variable, variable.title().replace("_", ""))
            said = declared[name].get("AllowedValues", ["", "said-so"])[-1]
            assert said in made(**{"OwnPool": "no", name: said}).variables("ServerFunction")[variable], variable

    def test_starts_and_takes_the_tokens_that_the_authorizer_takes(
        self, login: dict[str, str], door: dict[str, str]
    ) -> None:
        stack = made(**login, **door)
        settings = lambda_settings(stack.variables("ServerFunction"))
        access = settings.access
        assert access is not None
        assert settings.public_url == stack.outputs["Url"]
        assert access.rules.issuer == stack.outputs["Issuer"]
        assert " ".join(access.scopes) == stack.outputs["Scope"]
        assert settings.session_store == "dynamodb:books-table"
        assert settings.bucket == "s3://books-bucket/tollbook"
        if "AuthMethod" in login:
            own = stack.variables("AuthorizerFunction")
            authorizer = auth_settings_from(own)
            assert (authorizer.rules, authorizer.scopes) == (access.rules, access.scopes)
            assert own["SESSION_STORE"] == ("dynamodb:books-table" if "ApiKeys" in login else "")

    def test_is_asked_after_by_an_authorizer_that_is_told_the_same(self, login: dict[str, str]) -> None:
        parameters = {**login, **LAMBDA, "OauthClientsWithoutAud": "machine", "OauthAudience": "books"}
        stack = made(**parameters, OauthJwksUrl="https://keys.example.com", LogLevel="debug")
        server, authorizer = (stack.variables(name) for name in ("ServerFunction", "AuthorizerFunction"))
        checked = {setting.variable for setting in AUTH_SETTINGS} - MEANINGLESS.keys() - ONLY_TOLD
        assert authorizer.keys() == {*checked, "SESSION_STORE", "LOG_LEVEL"}
        assert {name: server[name] for name in {*checked, "LOG_LEVEL"}}.items() <= authorizer.items()

    def test_says_who_sees_what_where_the_stack_knows_it_and_nowhere_else(self) -> None:
        def sight(**parameters: str) -> tuple[str, str]:
            variables = made(**parameters).variables("ServerFunction")
            return variables["SEES_ALL"], variables["OWN_CALLS"]

        assert sight() == ("group:finops", "role/AWSReservedSSO_*/{username}")
        assert sight(SeesAll="group:x") == ("group:x", "")
        assert sight(OwnCalls="user/{username}") == ("", "user/{username}")
        assert sight(OwnPool="no", CognitoUserPoolId="eu-west-1_A") == ("", "")

    def test_serves_the_hosts_that_clients_may_call_it_by(self) -> None:
        def hosts(**parameters: str) -> tuple[str, ...]:
            return lambda_settings(made(**parameters).variables("ServerFunction")).allowed_hosts

        api = "abcde12345.execute-api.eu-west-1.amazonaws.com"
        assert hosts() == (api,)
        assert hosts(**URL) == (api,)
        assert hosts(**KNOWN_URL) == (api, "x.lambda-url.eu-west-1.on.aws")
        assert hosts(**KNOWN_URL, **HOSTS) == (api, "a.example.com", "b.example.com", "x.lambda-url.eu-west-1.on.aws")
        assert hosts(**DOMAIN, **HOSTS) == ("mcp.example.com", "a.example.com", "b.example.com")
        assert hosts(FunctionUrlHost="gone.lambda-url.eu-west-1.on.aws") == (api,)

    def test_has_a_secret_that_is_long_enough_and_one(self) -> None:
        drawn = made().properties("StateKeys")["GenerateSecretString"]
        assert drawn["PasswordLength"] >= 32
        assert drawn["ExcludePunctuation"]  # no comma, which would make two of it
        key = made().variables("ServerFunction")["REQUEST_STATE_KEYS"]
        assert re.fullmatch(r"\{\{resolve:secretsmanager:arn:[\w:-]+:SecretString\}\}", key)

    def test_is_reached_by_an_alias_that_moves_to_each_content(self) -> None:
        stack = made(**URL)
        assert stack.properties("ServerAlias")["FunctionVersion"] == "ServerVersionHASH.Version"
        assert stack.properties("ServerUrl")["Qualifier"] == stack.properties("ServerAlias")["Name"]
        assert stack.properties("ServerUrl")["InvokeMode"] == "RESPONSE_STREAM"
        allowed = stack.of_type("AWS::Lambda::Permission").values()
        assert {each["FunctionName"] for each in allowed} == {"ServerAlias"}

    def test_starts_in_one_way(self) -> None:
        assert made().properties("ServerFunction")["SnapStart"] == {"ApplyOn": "None"}
        assert "ProvisionedConcurrencyConfig" not in made().properties("ServerAlias")
        assert made(**SNAPSHOT).properties("ServerFunction")["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        ready = made(**READY).properties("ServerAlias")["ProvisionedConcurrencyConfig"]
        assert ready == {"ProvisionedConcurrentExecutions": "2"}
