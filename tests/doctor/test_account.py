"""The doctor at an AWS account, which moto plays; and, where that lacks something, botocore's Stubber, which checks
requests against AWS's own model."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from botocore.stub import Stubber

from tests.doctor.aws import Aws
from tests.fakes.moto import REGION
from tests.fakes.processes import free_port
from tollbook.core.errors import SourceError
from tollbook.deploy.cloudformation.stacks import TAG
from tollbook.deploy.patience import Patience
from tollbook.doctor import credentials, invocation_logs, kept, permissions
from tollbook.doctor.account import Account, Question
from tollbook.doctor.finding import Finding
from tollbook.doctor.switch_on import AlreadyOn, SomebodyElses, SwitchOn, read_retention, switch_on
from tollbook.sources.aws.reach.policy import policy_for
from tollbook.sources.named import named

ACCOUNT: Final = "123456789012"
GROUP: Final = "/aws/bedrock/modelinvocations"
STREAM: Final = "aws/bedrock/modelinvocations"
WANTED: Final = SwitchOn(region=REGION, account=ACCOUNT, retention_days=90)
READ: Final = named(f"cloudwatch:{GROUP}")


def switched_on(aws: Aws, wanted: SwitchOn = WANTED) -> list[str]:
    waited: list[float] = []
    return list(switch_on(wanted, aws("bedrock"), aws("logs"), aws("iam"), waited.append))


class TestCredentials:
    def test_it_says_who_asks(self, aws: Aws) -> None:
        caller, finding = credentials.caller(aws("sts"))
        assert caller is not None
        assert caller.account == ACCOUNT
        assert finding.status == "ok"
        assert finding.said == f"You are {caller.arn}."

    def test_there_are_none(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        caller, finding = credentials.caller(aws("sts"))
        assert caller is None
        assert finding.status == "failed"
        assert finding.said.startswith("No AWS credentials were found")
        assert "aws sso login" in finding.remedy

    @pytest.mark.parametrize(
        ("code", "said", "remedy"),
        [
            ("ExpiredToken", "have expired", "Log in to AWS again"),
            ("InvalidClientTokenId", "does not know the credentials", "Check the access key"),
            ("SignatureDoesNotMatch", "does not accept the signature", "clock"),
        ],
    )
    def test_they_are_not_good(self, aws: Aws, code: str, said: str, remedy: str) -> None:
        client = aws("sts")
        with Stubber(client) as stub:
            stub.add_client_error("get_caller_identity", code, "no", 403)
            caller, finding = credentials.caller(client)
        assert caller is None
        assert said in finding.said
        assert remedy in finding.remedy

    def test_nobody_answers(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{free_port()}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        _, finding = credentials.caller(aws("sts"))
        assert finding.status == "failed"
        assert "No connection to 127.0.0.1" in finding.said


class TestInvocationLogging:
    def test_it_is_off(self, aws: Aws) -> None:
        delivery, finding = invocation_logs.delivery_in(aws("bedrock"), REGION)
        assert delivery is None
        assert finding.status == "failed"
        assert finding.said == f"Model invocation logging is off in {REGION}: nothing tells what is spent there."
        assert "--switch-on-logging" in finding.remedy

    def test_it_may_not_be_looked_at_which_need_not_be_wrong(self, aws: Aws) -> None:
        client = aws("bedrock")
        with Stubber(client) as stub:
            stub.add_client_error("get_model_invocation_logging_configuration", "AccessDeniedException", "no", 403)
            delivery, finding = invocation_logs.delivery_in(client, REGION)
        assert delivery is None
        assert finding.status == "unknown"
        assert "bedrock:GetModelInvocationLoggingConfiguration" in finding.remedy

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"cloudWatchConfig": {"logGroupName": GROUP, "roleArn": "r"}}, f"to {GROUP}, without prompts and answers"),
            (
                {"s3Config": {"bucketName": "b", "keyPrefix": "p"}, "textDataDeliveryEnabled": True},
                "to s3://b/p, with prompts and answers (text)",
            ),
        ],
    )
    def test_it_is_on(self, settings: Mapping[str, Any], said: str) -> None:
        delivery, finding = invocation_logs.judged_settings(settings, REGION)
        assert delivery is not None
        assert finding.status == "ok"
        assert said in finding.said

    @pytest.mark.parametrize(
        "source",
        [
            f"cloudwatch:{GROUP}",
            "cloudwatch",
            f"insights:{GROUP}",
            "s3://logs/p",
            "s3://logs/p/",
            f"s3://logs/p/AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/{REGION}/",
        ],
    )
    def test_tollbook_reads_what_bedrock_writes(self, source: str) -> None:
        delivery = invocation_logs.Delivery(log_group=GROUP, bucket="s3://logs/p")
        assert invocation_logs.judged_sources(delivery, [named(source)], REGION) is None

    def test_tollbook_reads_elsewhere(self) -> None:
        finding = invocation_logs.judged_sources(invocation_logs.Delivery(log_group="/mine"), [READ], REGION)
        assert finding is not None
        assert finding.status == "failed"
        assert finding.remedy == "Name it as the source: --source cloudwatch:/mine."

    @pytest.mark.parametrize(
        ("source", "read"),
        [
            ("s3://logs/p", "s3://logs/p"),
            ("athena:finops.bedrock", "the table finops.bedrock"),
            ("cloudwatch:/other", "the log group /other"),
        ],
    )
    def test_of_one_kind_tollbook_reads_and_bedrock_writes_to_another(self, source: str, read: str) -> None:
        finding = invocation_logs.judged_sources(invocation_logs.Delivery(log_group=GROUP), [named(source)], REGION)
        assert finding is not None
        assert finding.status == "failed"
        assert finding.said.endswith(f"and tollbook would read {read}.")

    @pytest.mark.parametrize("source", ["s3://other/p", "s3://logs", "s3://logs/p2", "cloudwatch"])
    def test_bedrock_writes_to_another_bucket_or_place_in_it(self, source: str) -> None:
        finding = invocation_logs.judged_sources(
            invocation_logs.Delivery(bucket="s3://logs/p"), [named(source)], REGION
        )
        assert finding is not None
        assert finding.status == "failed"
        assert finding.remedy == "Name it as the source: --source s3://logs/p."

    def test_where_a_table_lies_is_not_known(self) -> None:
        read = [named("athena:finops.bedrock")]
        finding = invocation_logs.judged_sources(invocation_logs.Delivery(bucket="s3://logs/p"), read, REGION)
        assert finding is not None
        assert finding.status == "unknown"
        assert "SHOW CREATE TABLE finops.bedrock" in finding.remedy


def group(aws: Aws, *, is_written: bool = True) -> Finding:
    return invocation_logs.group_in(aws("logs"), READ, REGION, is_written=is_written, retention_days=90)


class TestTheLogGroup:
    def test_it_is_not_there(self, aws: Aws) -> None:
        finding = group(aws)
        assert finding.status == "failed"
        assert finding.remedy.startswith("Make it: aws logs create-log-group")
        assert finding.remedy.endswith("--retention-in-days 90.")

    def test_one_that_bedrock_does_not_write_to_need_not_be_made(self, aws: Aws) -> None:
        finding = group(aws, is_written=False)
        assert finding.status == "failed"
        assert "create" not in finding.remedy

    def test_one_of_a_longer_name_is_another(self, aws: Aws) -> None:
        aws("logs").create_log_group(logGroupName=f"{GROUP}-old")
        assert group(aws).status == "failed"

    def test_it_is_there(self, aws: Aws) -> None:
        logs = aws("logs")
        logs.create_log_group(logGroupName=GROUP)
        assert "for ever" in group(aws).said
        logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
        finding = group(aws)
        assert finding.status == "ok"
        assert finding.said.startswith(f"{GROUP} in {REGION} keeps its records for 30 days")

    @pytest.mark.parametrize(
        ("kind", "source", "status", "word"),
        [
            ("INFREQUENT_ACCESS", "cloudwatch", "ok", "Logs Insights alone"),
            ("INFREQUENT_ACCESS", f"events:{GROUP}", "failed", "FilterLogEvents cannot read"),
            ("DELIVERY", "cloudwatch", "failed", "nothing can query"),
            ("NEWER", "cloudwatch", "unknown", "nothing is known"),
        ],
    )
    def test_its_class_decides_who_can_read_it(self, kind: str, source: str, status: str, word: str) -> None:
        finding = invocation_logs.judged_group({"logGroupName": GROUP, "logGroupClass": kind}, named(source), REGION)
        assert finding.status == status
        assert word in finding.said


class TestSwitchingOn:
    def test_the_whole_of_it(self, aws: Aws) -> None:
        assert len(switched_on(aws)) == 3
        settings = aws("bedrock").get_model_invocation_logging_configuration()["loggingConfig"]
        assert settings["cloudWatchConfig"] == {
            "logGroupName": GROUP,
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/tollbook-bedrock-logging-{REGION}",
        }
        assert not any(settings[name] for name in settings if name.endswith("DataDeliveryEnabled"))
        (group,) = aws("logs").describe_log_groups()["logGroups"]
        assert group["retentionInDays"] == 90
        assert invocation_logs.delivery_in(aws("bedrock"), REGION)[1].status == "ok"

    def test_the_role_is_bedrocks_alone_and_may_write_to_that_group_alone(self, aws: Aws) -> None:
        switched_on(aws)
        trust = aws("iam").get_role(RoleName=WANTED.role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert trust == [
            {
                "Effect": "Allow",
                "Principal": {"Service": "bedrock.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    "ArnLike": {"aws:SourceArn": f"arn:aws:bedrock:{REGION}:{ACCOUNT}:*"},
                },
            }
        ]
        (name,) = aws("iam").list_role_policies(RoleName=WANTED.role)["PolicyNames"]
        policy = aws("iam").get_role_policy(RoleName=WANTED.role, PolicyName=name)["PolicyDocument"]["Statement"]
        assert policy == [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:log-stream:{STREAM}",
            }
        ]

    def test_what_somebody_has_set_is_never_touched(self, aws: Aws) -> None:
        theirs = {"s3Config": {"bucketName": "theirs"}, "textDataDeliveryEnabled": True}
        aws("bedrock").put_model_invocation_logging_configuration(loggingConfig=theirs)
        with pytest.raises(AlreadyOn, match="It was left as it is"):
            switched_on(aws)
        assert aws("bedrock").get_model_invocation_logging_configuration()["loggingConfig"] == theirs
        assert not aws("logs").describe_log_groups()["logGroups"]

    def test_it_goes_on_where_it_was_broken_off(self, aws: Aws) -> None:
        aws("logs").create_log_group(logGroupName=GROUP)
        aws("logs").put_retention_policy(logGroupName=GROUP, retentionInDays=7)
        steps = switch_on(WANTED, aws("bedrock"), aws("logs"), aws("iam"), lambda _: None)
        assert next(steps) == f"The log group {GROUP} was there."
        next(steps)
        steps.close()  # type: ignore[attr-defined]  # it is a generator
        assert switched_on(aws)[1] == f"The role {WANTED.role} was there."
        (group,) = aws("logs").describe_log_groups()["logGroups"]
        assert group["retentionInDays"] == 7, "how long it keeps them was somebody's choice"

    def test_a_group_that_was_left_without_a_retention_gets_it(self, aws: Aws) -> None:
        aws("logs").create_log_group(logGroupName=f"{GROUP}-of-others")
        aws("logs").create_log_group(logGroupName=GROUP)
        assert switched_on(aws)[0] == f"The log group {GROUP} was there, empty; it keeps records for 90 days now."
        groups = {each["logGroupName"]: each for each in aws("logs").describe_log_groups()["logGroups"]}
        assert groups[GROUP]["retentionInDays"] == 90
        assert "retentionInDays" not in groups[f"{GROUP}-of-others"]

    def test_records_that_are_kept_for_ever_are_not_lost_by_it(self, aws: Aws) -> None:
        aws("logs").create_log_group(logGroupName=GROUP)
        aws("logs").create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
        said = switched_on(aws)[0]
        assert "keeps its records for ever" in said
        assert f"put-retention-policy --region {REGION} --log-group-name {GROUP} --retention-in-days 90" in said
        (group,) = aws("logs").describe_log_groups()["logGroups"]
        assert "retentionInDays" not in group

    def test_a_role_that_bedrock_does_not_know_yet_is_waited_for(self, aws: Aws) -> None:
        waited: list[float] = []
        bedrock = aws("bedrock")
        with Stubber(bedrock) as stub:
            for _ in range(2):
                stub.add_response("get_model_invocation_logging_configuration", {})
            stub.add_client_error("put_model_invocation_logging_configuration", "ValidationException", "role?", 400)
            stub.add_response("put_model_invocation_logging_configuration", {})
            steps = list(switch_on(WANTED, bedrock, aws("logs"), aws("iam"), waited.append))
            stub.assert_no_pending_responses()
        assert waited == [1.0]
        assert steps[-1].startswith("Model invocation logging is on")

    def test_one_that_it_never_knows_is_given_up(self, aws: Aws) -> None:
        waited: list[float] = []
        bedrock = aws("bedrock")
        with Stubber(bedrock) as stub:
            for _ in range(2):
                stub.add_response("get_model_invocation_logging_configuration", {})
            for _ in range(7):
                stub.add_client_error("put_model_invocation_logging_configuration", "ValidationException", "no", 400)
            with pytest.raises(SourceError):
                list(switch_on(WANTED, bedrock, aws("logs"), aws("iam"), waited.append))
            stub.assert_no_pending_responses()
        assert sum(waited) == 31

    def test_a_role_of_that_name_that_is_somebody_elses_gets_no_permissions(self, aws: Aws) -> None:
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
        aws("iam").create_role(RoleName=WANTED.role, AssumeRolePolicyDocument=json.dumps(trust))
        with pytest.raises(SomebodyElses, match="Remove or mend it"):
            switched_on(aws)
        assert not aws("iam").list_role_policies(RoleName=WANTED.role)["PolicyNames"]
        assert invocation_logs.delivery_in(aws("bedrock"), REGION)[0] is None

    def test_who_may_not_do_it_is_told_what_he_lacks(self, aws: Aws) -> None:
        iam = aws("iam")
        with Stubber(iam) as stub:
            stub.add_client_error("create_role", "AccessDenied", "no", 403)
            with pytest.raises(SourceError, match="does not let you do iam:CreateRole"):
                list(switch_on(WANTED, aws("bedrock"), aws("logs"), iam, lambda _: None))

    def test_cloudwatch_takes_only_some_spans(self) -> None:
        assert read_retention("365") == 365
        with pytest.raises(ValueError, match="one of 1, 3, 5"):
            read_retention("100")


class TestPermissions:
    STATEMENTS: Final = policy_for(f"events:{GROUP}", region=REGION, account=ACCOUNT).statement
    USER: Final = f"arn:aws:iam::{ACCOUNT}:user/ana"

    def simulated(self, client: Any, arn: str = USER) -> Any:
        return permissions.simulated(client, arn, self.STATEMENTS, REGION, f"tollbook iam events:{GROUP}")

    def expected(self, arn: str, statement: int = 0) -> dict[str, Any]:
        """The request that AWS is to be sent for a statement."""
        found = self.STATEMENTS[statement]
        resources = [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUP}:tollbook-doctor"] if statement == 0 else ["*"]
        entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyValues": [REGION], "ContextKeyType": "string"}
        return {
            "PolicySourceArn": arn,
            "ActionNames": list(found.action),
            "ResourceArns": resources,
            "ContextEntries": [entry],
        }

    def test_all_is_allowed(self, aws: Aws) -> None:
        client = aws("iam")
        with Stubber(client) as stub:
            for number in range(2):
                stub.add_response("simulate_principal_policy", _decided("allowed"), self.expected(self.USER, number))
            finding = self.simulated(client)
            stub.assert_no_pending_responses()
        assert finding.status == "ok"
        assert finding.said.endswith(f"may do all that is needed in {REGION}.")

    @pytest.mark.parametrize(
        ("decision", "said", "remedy"),
        [("implicitDeny", "lacks logs:FilterLogEvents", "tollbook iam"), ("explicitDeny", "is denied", "take it back")],
    )
    def test_something_is_missing(self, aws: Aws, decision: str, said: str, remedy: str) -> None:
        client = aws("iam")
        with Stubber(client) as stub:
            stub.add_response("simulate_principal_policy", _decided(decision))
            stub.add_response("simulate_principal_policy", _decided("allowed", "logs:DescribeLogGroups"))
            finding = self.simulated(client)
        assert finding.status == "failed"
        assert said in finding.said
        assert remedy in finding.remedy
        assert finding.facts["missing"] == ["logs:FilterLogEvents"]

    def test_of_a_session_its_role_is_asked_with_the_path_that_the_session_does_not_tell(self, aws: Aws) -> None:
        iam = aws("iam")
        role = iam.create_role(RoleName="dev", Path="/aws-reserved/sso/", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        asked: list[dict[str, Any]] = []

        def hear(params: dict[str, Any], **_: Any) -> None:
            asked.append(params)

        iam.meta.events.register("provide-client-params.iam.SimulatePrincipalPolicy", hear)
        finding = self.simulated(iam, f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/ana")
        assert [each["PolicySourceArn"] for each in asked] == [role]
        assert finding.status == "unknown", "moto does not work it out"

    @pytest.mark.parametrize("arn", [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:sts::{ACCOUNT}:federated-user/ana"])
    def test_of_others_nothing_is_known(self, aws: Aws, arn: str) -> None:
        finding = self.simulated(aws("iam"), arn)
        assert finding.status == "unknown"
        assert "tollbook iam" in finding.remedy

    def test_who_may_not_ask_learns_nothing_and_need_lack_nothing(self, aws: Aws) -> None:
        client = aws("iam")
        with Stubber(client) as stub:
            stub.add_client_error("simulate_principal_policy", "AccessDenied", "no", 403)
            finding = self.simulated(client)
        assert finding.status == "unknown"
        assert "iam:SimulatePrincipalPolicy: AccessDenied" in finding.said

    def test_an_answer_in_pages_is_read_to_its_end(self, aws: Aws) -> None:
        client = aws("iam")
        with Stubber(client) as stub:
            first = {**_decided("allowed"), "IsTruncated": True, "Marker": "more"}
            stub.add_response("simulate_principal_policy", first)
            stub.add_response("simulate_principal_policy", _decided("implicitDeny"))
            stub.add_response("simulate_principal_policy", _decided("allowed"))
            assert self.simulated(client).status == "failed"
            stub.assert_no_pending_responses()

    def test_what_is_denied_on_purpose_is_not_asked_for(self, aws: Aws) -> None:
        client = aws("iam")
        statements = list(policy_for("s3://logs/p", region=REGION, account=ACCOUNT).statement)
        assert {each.effect for each in statements} == {"Allow", "Deny"}
        with Stubber(client) as stub:
            for _ in (each for each in statements if each.effect == "Allow"):
                stub.add_response("simulate_principal_policy", _decided("allowed"))
            finding = permissions.simulated(client, self.USER, statements, REGION, "tollbook iam s3://logs/p")
            stub.assert_no_pending_responses()
        assert finding.status == "ok"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("AccessDeniedException", "unknown", "may not look"),
        ("ExpiredTokenException", "failed", "have expired"),
        ("ServiceUnavailableException", "failed", "AWS fails"),
        ("ValidationException", "unknown", "ValidationException"),
    ],
)
def test_what_aws_refuses_is_wrong_only_if_it_keeps_everyone_from_asking(
    aws: Aws, code: str, status: str, said: str
) -> None:
    logs, dynamodb = aws("logs"), aws("dynamodb")
    with Stubber(logs) as stub, Stubber(dynamodb) as other:
        stub.add_client_error("describe_log_groups", code, "no", 400)
        other.add_client_error("describe_table", code, "no", 400)
        group = invocation_logs.group_in(logs, READ, REGION, is_written=True, retention_days=90)
        findings = [group, kept.table(dynamodb, "tollbook")]
    assert {each.status for each in findings} == {status}
    assert all(said in each.said for each in findings)


class Nobody:
    """A `Person` who is not there."""

    def agrees(self, wanted: SwitchOn, off: Finding) -> bool:
        return False

    def tell(self, text: str) -> None:
        raise AssertionError


class TestAStack:
    def findings(self, aws: Aws, status: str, regions: tuple[str, ...] = (), **parameters: str) -> list[Finding]:
        cloudformation = aws("cloudformation")
        stack = {
            "StackName": "tollbook",
            "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/tollbook/1",
            "StackStatus": status,
            "CreationTime": datetime.now(UTC),
            "Tags": [{"Key": TAG, "Value": "tollbook"}],
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        }
        question = Question(stack="tollbook", regions=regions, retention_days=90)
        with Stubber(cloudformation) as stub:
            stub.add_response("describe_stacks", {"Stacks": [stack]})
            stub.add_response("get_template", {"TemplateBody": "{}"})
            account = Account(
                question,
                lambda service, _: cloudformation if service == "cloudformation" else aws(service),
                REGION,
                Nobody(),
                Patience(lambda: 0.0, lambda _: None),
            )
            return list(account.findings())

    def test_one_whose_update_failed(self, aws: Aws) -> None:
        (finding,) = (each for each in self.findings(aws, "UPDATE_ROLLBACK_FAILED") if each.check == "stack")
        assert finding.status == "failed"
        assert "goes on from there" in finding.remedy

    @pytest.mark.parametrize("regions", [(), (REGION,)])
    def test_the_logs_that_it_reads_are_looked_at(self, aws: Aws, regions: tuple[str, ...]) -> None:
        found = self.findings(aws, "UPDATE_COMPLETE", regions, TollbookRegions="us-east-1,us-west-2")
        assert [each.facts["region"] for each in found if each.check == "permissions"] == ["us-east-1", "us-west-2"]

    def test_several_regions_that_are_named_go_before_those_that_it_reads(self, aws: Aws) -> None:
        found = self.findings(aws, "UPDATE_COMPLETE", (REGION, "us-west-2"), TollbookRegions="us-east-1")
        permissions = [each for each in found if each.check == "permissions"]
        assert [each.facts["region"] for each in permissions] == [REGION, "us-west-2"]
        assert all(each.facts["region"] in each.said for each in permissions)

    def test_where_logging_is_off_there_is_no_use_in_looking_at_the_group(self, aws: Aws) -> None:
        (finding,) = (each for each in self.findings(aws, "UPDATE_COMPLETE") if each.check == "log group")
        assert finding.status == "skipped"
        assert finding.said == f"'invocation logging' failed in {REGION}"

    def test_each_group_that_it_reads_is_looked_at(self, aws: Aws) -> None:
        switched_on(aws)
        aws("logs").delete_log_group(logGroupName=GROUP)
        found = self.findings(aws, "UPDATE_COMPLETE", TollbookSource=f"cloudwatch:{GROUP},cloudwatch:/b")
        groups = [each for each in found if each.check == "log group"]
        assert [each.said for each in groups] == [
            f"There is no log group {GROUP} in {REGION}.",
            f"There is no log group /b in {REGION}.",
        ]
        assert ["put-retention-policy" in each.remedy for each in groups] == [True, False]

    def test_another_group_than_bedrock_writes_to_is_not_looked_for(self, aws: Aws) -> None:
        switched_on(aws)
        found = self.findings(aws, "UPDATE_COMPLETE", TollbookSource="cloudwatch:/b")
        assert [each.check for each in found if each.status == "failed"] == ["source"]
        assert next(each for each in found if each.check == "log group").said == f"'source' failed in {REGION}"

    def test_a_source_that_it_cannot_read_is_found(self, aws: Aws) -> None:
        found = self.findings(aws, "UPDATE_COMPLETE", TollbookSource="AWSLogs")
        assert "'AWSLogs' is no place on AWS" in next(each for each in found if each.check == "source").said
        assert next(each for each in found if each.check == "permissions").said == "'source' failed"

    def test_what_a_query_of_athena_needs_is_not_known_without_the_place_of_its_files(self, aws: Aws) -> None:
        found = self.findings(aws, "UPDATE_COMPLETE", TollbookSource="athena:finops.bedrock")
        (finding,) = (each for each in found if each.check == "permissions")
        assert finding.status == "unknown"
        assert next(each for each in found if each.check == "log group").said == f"none is read in {REGION}"


class TestWhatIsKept:
    def make(self, aws: Aws, keys: tuple[str, str] = ("partition", "key")) -> Any:
        client = aws("dynamodb")
        client.create_table(
            TableName="tollbook",
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        return client

    def expire(self, client: Any, attribute: str = "expires") -> None:
        setting = {"Enabled": True, "AttributeName": attribute}
        client.update_time_to_live(TableName="tollbook", TimeToLiveSpecification=setting)

    def test_a_table_as_it_should_be(self, aws: Aws) -> None:
        client = self.make(aws)
        self.expire(client)
        assert kept.table(client, "tollbook").status == "ok"

    def test_there_is_none(self, aws: Aws) -> None:
        finding = kept.table(aws("dynamodb"), "tollbook")
        assert finding.status == "failed"
        assert finding.said == "There is no table tollbook."
        assert "drift-aware change set" in finding.remedy

    def test_other_keys(self, aws: Aws) -> None:
        finding = kept.table(self.make(aws, ("id", "sort")), "tollbook")
        assert "other keys" in finding.said
        assert finding.status == "failed"

    @pytest.mark.parametrize("attribute", ["", "until"])
    def test_nothing_ever_goes(self, aws: Aws, attribute: str) -> None:
        client = self.make(aws)
        if attribute:
            self.expire(client, attribute)
        finding = kept.table(client, "tollbook")
        assert finding.status == "failed"
        assert "never go" in finding.said

    def test_one_that_is_being_deleted(self) -> None:
        keys = [{"AttributeName": "partition", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}]
        kinds = [{"AttributeName": name, "AttributeType": "S"} for name in ("partition", "key")]
        described = {"TableStatus": "DELETING", "KeySchema": keys, "AttributeDefinitions": kinds}
        assert "it is DELETING" in kept.judged_table(described, {}, "tollbook").said

    def test_the_bucket(self, aws: Aws) -> None:
        client = aws("s3")
        finding = kept.bucket(client, "results-of-ours")
        assert finding.status == "failed"
        assert finding.said == "There is no bucket results-of-ours."
        client.create_bucket(Bucket="results-of-ours", CreateBucketConfiguration={"LocationConstraint": REGION})
        assert kept.bucket(client, "results-of-ours").status == "ok"

    def test_a_bucket_that_may_not_be_looked_at(self, aws: Aws) -> None:
        client = aws("s3")
        with Stubber(client) as stub:
            stub.add_client_error("head_bucket", "403", "Forbidden", 403)
            assert kept.bucket(client, "theirs").status == "unknown"


def _decided(decision: str, action: str = "logs:FilterLogEvents") -> dict[str, Any]:
    return {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}], "IsTruncated": False}
