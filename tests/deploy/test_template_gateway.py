"""The gateway that the template makes: whom it lets through, and what it answers itself."""

import json
import re
from pathlib import Path
from typing import Any

from tests.deploy.choices import DOMAIN, ISSUER, KEYS, LAMBDA, LOG_ROLE, NO_SCOPES, OWN, POOL, SILENT, ZONE, made
from tests.deploy.choices import door as door
from tests.deploy.choices import login as login
from tests.deploy.evaluation import Made
from tollbook.app.on_lambda import lambda_settings
from tollbook.client.login.browser import KNOWN_PORTS
from tollbook.deploy.template import bootstrap
from tollbook.hosting import HostSettings
from tollbook.hosting.answers import Exchange
from tollbook.hosting.auth.challenge import Challenges
from tollbook.hosting.auth.metadata import places_of
from tollbook.hosting.edge import Edge


class TestTheGateway:
    def test_streams_for_a_quarter_of_an_hour_through_the_alias(self) -> None:
        methods = made().of_type("AWS::ApiGateway::Method")
        assert len(methods) == 5
        for each in methods.values():
            uri = each["Integration"].pop("Uri")
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode-lambda.html
            streamed = r"arn:aws:apigateway:eu-west-1:lambda:path/2021-11-15/functions/ServerAlias/"
            assert re.fullmatch(streamed + "response-streaming-invocations", uri)
            assert each["Integration"] == {
                "Type": "AWS_PROXY",
                "IntegrationHttpMethod": "POST",
                "ResponseTransferMode": "STREAM",
                "TimeoutInMillis": 900_000,
            }

    def test_lets_nobody_to_the_endpoint_without_a_token(self, login: dict[str, str]) -> None:
        stack = made(**login)
        open_to_all = {
            (stack.properties(each["ResourceId"])["PathPart"], each["HttpMethod"])
            for each in stack.of_type("AWS::ApiGateway::Method").values()
            if each["AuthorizationType"] == "NONE"
        }
        metadata = {("{proxy+}", "GET"), ("{proxy+}", "OPTIONS")}
        assert open_to_all == {("mcp", "OPTIONS"), ("healthz", "GET"), *metadata}
        assert stack.properties("MetadataResource")["ParentId"] == "WellKnownResource"
        assert stack.properties("WellKnownResource")["PathPart"] == ".well-known"
        endpoint = stack.properties("McpMethod")
        assert endpoint["HttpMethod"] == "ANY"
        authorizer = stack.properties(endpoint["AuthorizerId"])
        if login.get("AuthMethod") == "lambda":
            assert (endpoint["AuthorizationType"], authorizer["Type"]) == ("CUSTOM", "TOKEN")
            assert "AuthorizationScopes" not in endpoint
            assert authorizer["AuthorizerResultTtlInSeconds"] <= 60
        else:
            assert (endpoint["AuthorizationType"], authorizer["Type"]) == ("COGNITO_USER_POOLS", "COGNITO_USER_POOLS")
            assert endpoint["AuthorizationScopes"] == ["tollbook/use"]
            pool = (
                "UserPool.Arn"
                if login == OWN
                else f"arn:aws:cognito-idp:us-east-1:123456789012:userpool/{POOL['CognitoUserPoolId']}"
            )
            assert authorizer["ProviderARNs"] == [pool]

    def test_shows_a_deployment_only_when_all_of_it_is_there(self) -> None:
        stack = made(**KEYS)
        needed = stack.resources["ApiDeploymentHASH"]["DependsOn"]
        kinds = ("AWS::ApiGateway::Method", "AWS::ApiGateway::GatewayResponse")
        assert {*stack.of_type(*kinds), "ApiMayInvoke"} == set(needed)
        assert "GatewayMayAuthorize" in stack.properties("ApiDeploymentHASH")["Description"]
        assert stack.properties("Stage")["DeploymentId"] == "ApiDeploymentHASH"

    def test_is_shown_when_whoever_asks_for_a_token_is_there_and_may_be_called(
        self, login: dict[str, str], door: dict[str, str]
    ) -> None:
        stack = made(**login, **door, **LOG_ROLE)
        first = {"McpMethod", "ServerVersionHASH", "ServerAlias", "ApiMayInvoke", "Unauthorized", "ApiAccount"}
        if login.get("AuthMethod") == "lambda":
            first |= {"LambdaAuthorizer", "AuthorizerFunction", "AuthorizerRole", "GatewayMayAuthorize"}
        else:
            first |= {"CognitoAuthorizer"}
        assert first <= stack.before("Stage")

    def test_sends_whoever_has_no_token_to_the_login_as_the_server_does(
        self, login: dict[str, str], door: dict[str, str]
    ) -> None:
        stack = made(**login, **door)
        settings = lambda_settings(stack.variables("ServerFunction")).access
        assert settings is not None
        challenges = Challenges(places_of(settings.public_url, "/mcp").document, settings.scopes)
        for name, status, refusal in (
            ("Unauthorized", "401", challenges.login()),
            ("AccessDenied", "403", challenges.insufficient()),
        ):
            answer = stack.properties(name)
            header = answer["ResponseParameters"]["gatewayresponse.header.WWW-Authenticate"]
            assert header == f"'{dict(refusal.headers)[b'www-authenticate'].decode()}'"
            assert (answer["StatusCode"], refusal.status) == (status, int(status))
            body = json.loads(answer["ResponseTemplates"]["application/json"])
            where = {"resource_metadata": challenges.metadata_url, "scope": " ".join(settings.scopes)}
            assert body["error"].pop("data") == where
            assert body == json.loads(refusal.answer(None).body)

    def test_lets_pages_read_whatever_it_answers_itself(self) -> None:
        answers = made().of_type("AWS::ApiGateway::GatewayResponse").values()
        kinds = {"UNAUTHORIZED", "ACCESS_DENIED", "DEFAULT_4XX", "DEFAULT_5XX"}
        assert {each["ResponseType"] for each in answers} == kinds
        scope: dict[str, Any] = {"headers": [(b"host", b"here"), (b"origin", b"https://page.example")]}
        edge = Edge(HostSettings(allowed_hosts=("here",), allowed_origins=("https://page.example",)))
        server = dict(edge.check(Exchange(scope, _none, _none)))  # type: ignore[arg-type] # nothing is received or sent
        for each in answers:
            sent = each["ResponseParameters"]
            assert sent["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"
            exposed = server[b"access-control-expose-headers"].decode()
            assert sent["gatewayresponse.header.Access-Control-Expose-Headers"] == f"'{exposed}'"
            body = each["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"why"')
            assert json.loads(body)["jsonrpc"] == "2.0"

    def test_limits_how_much_comes_and_logs_it_without_credentials(self) -> None:
        stage = made(ThrottleRate="7", ThrottleBurst="9").properties("Stage")
        (method,) = stage["MethodSettings"]
        assert (method["ThrottlingRateLimit"], method["ThrottlingBurstLimit"]) == ("7", "9")
        told = set(json.loads(stage["AccessLogSetting"]["Format"]).values())
        assert not [each for each in told if "header" in each.lower() or "query" in each.lower()]
        assert "$context.path" in told
        assert "AccessLogSetting" not in made(**SILENT).properties("Stage")

    def test_is_reached_by_a_domain_alone_where_there_is_one(self) -> None:
        assert made().properties("Api")["DisableExecuteApiEndpoint"] is False
        stack = made(**ZONE)
        assert stack.properties("Api")["DisableExecuteApiEndpoint"] is True
        assert stack.properties("Domain")["SecurityPolicy"] == "TLS_1_2"
        assert "BasePath" not in stack.properties("DomainMapping")
        assert stack.properties("DomainRecord")["AliasTarget"]["DNSName"] == "Domain.RegionalDomainName"
        assert "DomainRecord" not in made(**DOMAIN).resources


async def _none(*_: object) -> None:
    raise AssertionError


class TestThePool:
    def test_lets_nobody_make_himself_a_user_or_another_one(self) -> None:
        stack = made()
        assert stack.properties("UserPool")["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
        assert stack.properties("UserPool")["UserPoolTier"] == "ESSENTIALS"
        client = stack.properties("UserPoolClient")
        assert client["GenerateSecret"] is False
        assert client["PreventUserExistenceErrors"] == "ENABLED"
        assert client["RefreshTokenRotation"]["Feature"] == "ENABLED"
        assert "ALLOW_REFRESH_TOKEN_AUTH" not in client["ExplicitAuthFlows"]
        assert set(client["WriteAttributes"]).isdisjoint({"email", "email_verified"})
        assert client["AllowedOAuthFlows"] == ["code"]
        assert client["AccessTokenValidity"] <= 60

    def test_offers_what_the_server_asks_for(self) -> None:
        assert made().properties("UserPoolClient")["AllowedOAuthScopes"] == ["tollbook/use", "openid"]
        assert made(**NO_SCOPES).properties("UserPoolClient")["AllowedOAuthScopes"] == ["tollbook/use"]
        more = made(CognitoSupportedScopes="openid,email").properties("UserPoolClient")
        assert more["AllowedOAuthScopes"] == ["tollbook/use", "openid", "email"]
        server = made().properties("ResourceServer")
        assert f"{server['Identifier']}/{server['Scopes'][0]['ScopeName']}" == made().outputs["Scope"]
        assert f"group:{made().properties('FinOps')['GroupName']}" == made().variables("ServerFunction")["SEES_ALL"]

    def test_leads_back_to_every_host_that_the_page_on_cognito_lists(self) -> None:
        page = Path("docs/cognito.md").read_text(encoding="utf-8")
        table = page[page.index("| host | callback URL |") : page.index("Refresh token rotation")]
        listed = set(re.findall(r"`((?:https?|cursor)://[^`]+)`", table))
        own = {f"http://localhost:{port}/callback" for port in KNOWN_PORTS}
        assert listed & own
        assert set(made().properties("UserPoolClient")["CallbackURLs"]) == listed | own

    def test_is_not_made_where_another_is_brought(self) -> None:
        assert any(each["Type"].startswith("AWS::Cognito") for each in made().resources.values())
        for brought in (POOL, {**ISSUER, **LAMBDA}):
            assert not any(each["Type"].startswith("AWS::Cognito") for each in made(**brought).resources.values())


class TestWhatIsSafeByDefault:
    def test_logins_of_the_own_pool_are_hard_to_guess_and_can_be_ended(self) -> None:
        stack = made()
        pool, client = stack.properties("UserPool"), stack.properties("UserPoolClient")
        rules = pool["Policies"]["PasswordPolicy"]
        assert rules["MinimumLength"] >= 14
        assert all(rules[f"Require{kind}"] for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols"))
        assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
        assert client["EnableTokenRevocation"] is True
        assert client["PreventUserExistenceErrors"] == "ENABLED"

    def test_a_line_of_the_access_log_holds_nothing_that_a_client_sent_but_its_path(self) -> None:
        line = json.loads(made().properties("Stage")["AccessLogSetting"]["Format"])
        assert {each.removeprefix("$context.") for each in line.values()} == {
            *("requestTime", "requestId", "identity.sourceIp", "httpMethod", "path", "status", "responseLength"),
            *("responseLatency", "integration.status", "authorizer.status", "error.responseType"),
        }

    def test_two_stacks_of_a_region_have_alarms_of_their_own(self) -> None:
        stack = made()
        namespace = stack.variables("ServerFunction")["TOLLBOOK_METRICS"].removeprefix("emf:")
        for name in ("LatencyAlarm", "ScanAlarm"):
            assert stack.properties(name)["Namespace"] == namespace != "tollbook/"

    def test_enough_images_are_kept_for_a_way_back(self) -> None:
        rules = json.loads(Made(bootstrap()).properties("Repository")["LifecyclePolicy"]["LifecyclePolicyText"])[
            "rules"
        ]
        assert [each["selection"]["countNumber"] for each in rules if each["selection"]["tagStatus"] == "any"] == [20]
