"""Model invocation logging, switched on: a log group, a role that may write to it and nothing else, and the setting.

Prompts and answers are left out of it. They are people's texts, and may hold anything; a report needs counts alone,
which every record has without them. Nothing is lost for tollbook by it.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from tollbook.core.errors import TollbookError
from tollbook.core.settings import whole
from tollbook.deploy.plan import limits
from tollbook.doctor.invocation_logs import judged_settings
from tollbook.sources.aws.trouble import Denied, translated
from tollbook.sources.named import LOG_GROUP

WHY_NO_TEXT: Final = (
    "Prompts and answers are not written down: they are people's texts, and a report needs counts alone. Nothing is "
    "lost for tollbook by it; whoever wants them too can switch them on in the Bedrock console."
)

_POLICY: Final = "write-invocation-logs"
# A new role takes some seconds until every service knows it:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 8.0, 8.0)

Pause = Callable[[float], None]


class AlreadyOn(TollbookError):
    """Somebody has switched it on; what he chose is not touched."""


class SomebodyElses(TollbookError):
    """What bears the name of ours is none of ours."""


class SwitchOn(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made in one region.

    Attributes:
        retention_days: of the log group, if it is made here.
    """

    region: str
    account: str
    partition: str = "aws"
    log_group: str = LOG_GROUP
    retention_days: int

    @property
    def role(self) -> str:
        return f"tollbook-bedrock-logging-{self.region}"

    @property
    def role_arn(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.role}"

    @property
    def steps(self) -> tuple[str, ...]:
        """What will be done, a sentence each."""
        return (
            f"Make the log group {self.log_group} in {self.region} unless it is there. If it is new, or empty and "
            f"without a retention, have it keep records for {self.retention_days} days.",
            f"Make the role {self.role} unless it is there, by which Bedrock of this account and region may "
            "write to that group.",
            f"Have Bedrock write each call in {self.region} there: who, when, which model, how many tokens.",
            WHY_NO_TEXT,
        )

    @property
    def trust(self) -> str:
        """Who may assume the role: Bedrock, for this account and region."""
        source = f"arn:{self.partition}:bedrock:{self.region}:{self.account}:*"
        return _document(
            {
                "Effect": "Allow",
                "Principal": {"Service": "bedrock.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": self.account},
                    "ArnLike": {"aws:SourceArn": source},
                },
            }
        )

    @property
    def permissions(self) -> str:
        """What the role may: write to the one stream that Bedrock writes to."""
        stream = f"log-group:{self.log_group}:log-stream:aws/bedrock/modelinvocations"
        return _document(
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": f"arn:{self.partition}:logs:{self.region}:{self.account}:{stream}",
            }
        )


def read_retention(text: str) -> int:
    """Days as CloudWatch takes them.

    Raises:
        ValueError: it does not take so many.
    """
    days = whole(1, 3653)(text)
    if days not in limits.RETENTIONS:
        raise ValueError(f"one of {', '.join(map(str, limits.RETENTIONS))} days is wanted, not '{text}'")
    return days


def switch_on(wanted: SwitchOn, bedrock: Any, logs: Any, iam: Any, pause: Pause) -> Iterator[str]:
    """Does it, and says after each step what is done. What is there already stays; it may be called again.

    Args:
        pause: waits so many seconds.

    Raises:
        AlreadyOn: it is on by now.
        SomebodyElses: a role of that name is for something else.
        SourceError: AWS refuses or fails; what was done so far is taken up by the next call.
    """
    _see_that_it_is_off(wanted, bedrock)
    yield _make_group(wanted, logs)
    made = _make_role(wanted, iam)
    yield f"The role {wanted.role} {'is made' if made else 'was there'}."
    _see_that_it_is_off(wanted, bedrock)
    _set(wanted, bedrock, pause)
    yield f"Model invocation logging is on in {wanted.region}, without prompts and answers."


def _see_that_it_is_off(wanted: SwitchOn, bedrock: Any) -> None:
    with _asking(f"Bedrock's settings in {wanted.region}", "bedrock:GetModelInvocationLoggingConfiguration"):
        answer = bedrock.get_model_invocation_logging_configuration()
    delivery, finding = judged_settings(answer.get("loggingConfig") or {}, wanted.region)
    if delivery is not None:
        raise AlreadyOn(f"{finding.said} It was left as it is; change it in the Bedrock console.")


def _make_group(wanted: SwitchOn, logs: Any) -> str:
    """Sees to the log group, and says how it was found. A retention that it has, and records, are somebody's choice."""
    group = wanted.log_group
    with _asking(f"the log group {group} in {wanted.region}", "logs:CreateLogGroup"):
        is_new = _made(lambda: logs.create_log_group(logGroupName=group), "ResourceAlreadyExistsException")
        if not is_new and not _keeps_for_ever(logs, group):
            return f"The log group {group} was there."
        # Without a stream there is no record. One that is new and without a retention, a call broken off has left.
        if not is_new and logs.describe_log_streams(logGroupName=group, limit=1)["logStreams"]:
            return (
                f"The log group {group} was there, and keeps its records for ever. If they are to go: aws logs "
                f"put-retention-policy --region {wanted.region} --log-group-name {group} "
                f"--retention-in-days {wanted.retention_days}."
            )
        logs.put_retention_policy(logGroupName=group, retentionInDays=wanted.retention_days)
    if is_new:
        return f"The log group {group} is made."
    return f"The log group {group} was there, empty; it keeps records for {wanted.retention_days} days now."


def _keeps_for_ever(logs: Any, name: str) -> bool:
    # Those of longer names come behind it.
    found = logs.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
    return any(each["logGroupName"] == name and "retentionInDays" not in each for each in found)


def _make_role(wanted: SwitchOn, iam: Any) -> bool:
    with _asking(f"the role {wanted.role}", "iam:CreateRole"):
        made = _made(
            lambda: iam.create_role(
                RoleName=wanted.role,
                AssumeRolePolicyDocument=wanted.trust,
                Description="Lets Amazon Bedrock write model invocation logs. Made by tollbook doctor.",
            ),
            "EntityAlreadyExists",
        )
        if not made and iam.get_role(RoleName=wanted.role)["Role"]["AssumeRolePolicyDocument"] != json.loads(
            wanted.trust
        ):
            raise SomebodyElses(
                f"There is a role {wanted.role} already, which others than Bedrock of this account and region may "
                "assume. Remove or mend it, and ask again."
            )
        iam.put_role_policy(RoleName=wanted.role, PolicyName=_POLICY, PolicyDocument=wanted.permissions)
        return made


def _set(wanted: SwitchOn, bedrock: Any, pause: Pause) -> None:
    settings = {
        "cloudWatchConfig": {"logGroupName": wanted.log_group, "roleArn": wanted.role_arn},
        "textDataDeliveryEnabled": False,
        "imageDataDeliveryEnabled": False,
        "embeddingDataDeliveryEnabled": False,
        "videoDataDeliveryEnabled": False,
        "audioDataDeliveryEnabled": False,
    }
    for seconds in (*_PAUSES_S, None):
        with _asking(f"Bedrock's settings in {wanted.region}", "bedrock:PutModelInvocationLoggingConfiguration"):
            try:
                bedrock.put_model_invocation_logging_configuration(loggingConfig=settings)
            except ClientError as fault:
                # Bedrock tries the role at once, and may not know it yet.
                if seconds is None or fault.response["Error"].get("Code") != "ValidationException":
                    raise
                pause(seconds)
            else:
                return


def _made(make: Callable[[], Any], exists: str) -> bool:
    """Whether there was none before."""
    try:
        make()
    except ClientError as fault:
        if fault.response["Error"].get("Code") != exists:
            raise
        return False
    return True


@contextmanager
def _asking(what: str, action: str) -> Iterator[None]:
    """Makes sentences of what AWS answers within the block.

    Raises:
        SourceError: AWS refused or failed.
    """
    try:
        with translated(what, action):
            yield
    except Denied as fault:
        raise Denied(
            f"AWS does not let you do {fault.action}, which switching on model invocation logging takes. Have that "
            "allowed, or ask an administrator to switch it on.",
            None,
            fault.action,
            fault.code,
        ) from fault


def _document(statement: dict[str, Any]) -> str:
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}).decode()
