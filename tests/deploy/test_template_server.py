"""What the template tells the server and the authorizer, and how they are called."""

import re
from typing import Final

from tests.deploy.choices import CHECKED, DOMAIN, HOSTS, KNOWN_URL, LAMBDA, MAILED, READY, SNAPSHOT, URL, made
from tests.deploy.choices import door as door
from tests.deploy.choices import login as login
from tests.deploy.evaluation import parsed
from tollbook.app.aws_settings import AWS_SETTINGS
from tollbook.app.budget_check import TOPIC, check_in, handler
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


OF_A_CHECK: Final = {"TOLLBOOK_BUDGETS", "TOLLBOOK_SOURCE", "TOLLBOOK_PRICES", "TOLLBOOK_NAMES", "LOG_LEVEL"}
"""What the check of budgets is told beside what concerns logs on AWS: see `tollbook.app.budget_check`."""


class TestTheCheckOfBudgets:
    def test_is_told_what_the_server_is_and_whom_to_tell(self) -> None:
        stack = made(**CHECKED, TollbookSource="insights:/logs", TollbookTags="team", LogLevel="debug")
        server, check = (stack.variables(name) for name in ("ServerFunction", "BudgetFunction"))
        read = {setting.variable for setting in AWS_SETTINGS}
        assert check.keys() == {*OF_A_CHECK, *read, "TOLLBOOK_BUCKET", TOPIC}
        assert check.items() - server.items() == {(TOPIC, "BudgetTopic")}
        said = check_in({**check, TOPIC: "arn:aws:sns:eu-west-1:123456789012:budgets"})
        assert [(budget.name, str(budget.usd)) for budget in said.budgets] == [("all", "100")]
        assert (said.source[0].name, said.aws.tags) == ("/logs", ("team",))

    def test_runs_our_handler_in_the_servers_image_by_the_schedule(self) -> None:
        stack = made(**CHECKED)
        function, server = stack.properties("BudgetFunction"), stack.properties("ServerFunction")
        assert function["ImageConfig"]["Command"] == [f"{handler.__module__}:{handler.__name__}"]
        assert (function["Code"], function["Architectures"]) == (server["Code"], server["Architectures"])
        assert stack.properties("BudgetRule")["ScheduleExpression"] == "rate(1 day)"
        assert stack.properties("BudgetRule")["Targets"] == [{"Id": "check", "Arn": "BudgetFunction.Arn"}]

    def test_is_there_only_where_it_is_wanted(self) -> None:
        kinds = {name for name in made().resources if name.startswith(("Budget", "Schedule"))}
        assert kinds == set()
        assert made(**CHECKED).outputs["BudgetTopicArn"] == "BudgetTopic"

    def test_tells_an_address_where_one_is_named(self) -> None:
        assert "Subscription" not in made(**CHECKED).properties("BudgetTopic")
        assert made(**MAILED).properties("BudgetTopic")["Subscription"] == [
            {"Protocol": "email", "Endpoint": "finops@example.com"}
        ]

    def test_that_fails_raises_an_alarm(self) -> None:
        alarm = made(**CHECKED).properties("BudgetAlarm")
        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": "BudgetFunction"}]
        assert (alarm["MetricName"], alarm["Threshold"]) == ("Errors", 0)


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
