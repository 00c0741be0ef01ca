"""A deployment from nothing, its changes, its failures and its end, on a server that plays all of AWS."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.deploy.cloud import Cloud, image, watched
from tests.fakes.ministack import ACCOUNT, go_to_ministack, ministack_server
from tollbook.deploy.aws import Clients, clients
from tollbook.deploy.cloudformation.change_sets import ChangeSet
from tollbook.deploy.cloudformation.stacks import TAG
from tollbook.deploy.found import Stack
from tollbook.deploy.remains import Thing
from tollbook.deploy.trouble import Declined, GoesOn, StackTrouble

_BROUGHT: Final = {
    "CognitoUserPoolId": "eu-west-1_AbCdEfGhI",
    "CognitoAllowedClientIds": "its-client",
    "OwnCalls": "role/reader/{username}",
}
_ISSUER: Final = {"OauthIssuer": "https://issuer.example.com", "OwnCalls": "role/reader/{sub}"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    folder = tmp_path_factory.mktemp("ministack")
    with ministack_server(folder) as url, pytest.MonkeyPatch.context() as patch:
        go_to_ministack(url, patch, folder)
        yield clients()


@pytest.fixture
def cloud(aws: Clients) -> Cloud:
    account = Cloud(aws)
    # So that no stack makes the role which then stays, except where that is the point.
    _let_apis_log(account, f"arn:aws:iam::{ACCOUNT}:role/logs")
    return account


def _let_apis_log(cloud: Cloud, role: str) -> None:
    cloud.aws("apigateway").update_account(
        patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}]
    )


def _built(stack: Stack) -> str:
    return f"{stack.outputs['RepositoryUri']}@sha256:{'b' * 64}"


def _mcp(cloud: Cloud, stack: str) -> Any:
    """How `/mcp` is guarded."""
    gateway = cloud.aws("apigateway")
    (api,) = [each["id"] for each in gateway.get_rest_apis()["items"] if each["name"] == stack]
    (path,) = [each["id"] for each in gateway.get_resources(restApiId=api)["items"] if each["path"] == "/mcp"]
    return gateway.get_method(restApiId=api, resourceId=path, httpMethod="ANY")


def _function(cloud: Cloud, stack: str) -> Any:
    """What runs behind the alias that the gateway calls."""
    return cloud.aws("lambda").get_function(FunctionName=stack, Qualifier="live")


def test_an_account_without_anything_gets_a_repository_a_server_and_its_url(cloud: Cloud) -> None:
    stack = cloud.deploy("first", built=_built)
    assert stack.status == "CREATE_COMPLETE"
    assert stack.outputs["Url"].endswith("/v1/mcp")
    assert [each.stack for each in cloud.asked if isinstance(each, ChangeSet)] == ["first-bootstrap", "first"]
    assert _function(cloud, "first")["Code"]["ImageUri"] == stack.outputs["ImageUri"]
    told = [each for each in cloud.told if getattr(each, "stack", "") == "first"]
    assert (told[0].status, told[-1].status) == ("CREATE_IN_PROGRESS", "CREATE_COMPLETE")  # type: ignore[union-attr]


def test_every_resource_that_outlives_a_stack_bears_its_name_as_a_tag(cloud: Cloud) -> None:
    cloud.deploy("tagged", built=_built)
    found = cloud.aws("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": TAG, "Values": ["tagged"]}])
    services = {each["ResourceARN"].split(":")[2] for each in found["ResourceTagMappingList"]}
    assert {"cognito-idp", "dynamodb", "ecr", "lambda"} <= services


def test_deploying_again_changes_nothing_and_asks_nothing(cloud: Cloud) -> None:
    before = cloud.deploy("again", built=_built)
    cloud.asked.clear()
    cloud.told.clear()
    after = cloud.deploy("again", built=_built)
    assert after == before
    assert not cloud.asked
    assert cloud.lines[-1] == "Nothing changes in the stack 'again'."
    assert len(cloud.lines) == len(cloud.told)
    assert not cloud.change_sets("again")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param({"AuthMethod": "lambda"}, "CUSTOM", id="lambda"),
        pytest.param({"MemorySize": "2048"}, "COGNITO_USER_POOLS", id="memory"),
        pytest.param({"StageName": "v2"}, "COGNITO_USER_POOLS", id="stage"),
        pytest.param({"ImageUri": image("c")}, "COGNITO_USER_POOLS", id="image"),
        pytest.param(_BROUGHT, "COGNITO_USER_POOLS", id="pool"),
        pytest.param(_ISSUER, "CUSTOM", id="issuer"),
    ],
)
def test_a_switch_on_a_running_stack_is_one_change_and_it_goes_back_in_one(
    cloud: Cloud, change: dict[str, str], kind: str, request: pytest.FixtureRequest
) -> None:
    name = f"switch-{request.node.callspec.id}"
    before = cloud.deploy(name)
    url, versions = before.outputs["Url"], {_function(cloud, name)["Configuration"]["Version"]}
    assert _mcp(cloud, name)["authorizationType"] == "COGNITO_USER_POOLS"

    cloud.asked.clear()
    after = cloud.deploy(name, change)
    assert len(cloud.asked) == 1
    assert {key: after.parameters[key] for key in change} == change
    assert _mcp(cloud, name)["authorizationType"] == kind
    runs = _function(cloud, name)
    assert runs["Configuration"]["Version"] not in versions
    assert runs["Configuration"]["MemorySize"] == int(change.get("MemorySize", 1024))
    assert runs["Code"]["ImageUri"] == change.get("ImageUri", image("a"))
    assert after.outputs["Url"] == url.replace("/v1/", f"/{change.get('StageName', 'v1')}/")

    cloud.deploy(name, {key: before.parameters[key] for key in (*change, "AuthMethod")})
    assert len(cloud.asked) == 2
    assert _mcp(cloud, name)["authorizationType"] == "COGNITO_USER_POOLS"


def test_what_is_not_said_stays_as_it_is(cloud: Cloud) -> None:
    cloud.deploy("stays", MemorySize="2048", AuthMethod="lambda")
    after = cloud.deploy("stays", Timeout="600")
    assert (after.parameters["MemorySize"], after.parameters["AuthMethod"]) == ("2048", "lambda")


def test_a_server_is_told_its_own_url_in_a_second_change_that_nobody_is_asked_about(cloud: Cloud) -> None:
    stack = cloud.deploy("own-url", FunctionUrl="yes")
    assert len(cloud.asked) == 1
    host = stack.outputs["FunctionUrl"].split("/")[2].partition(":")[0]
    variables = _function(cloud, "own-url")["Configuration"]["Environment"]["Variables"]
    assert variables["ALLOWED_HOSTS"] == host
    cloud.asked.clear()
    cloud.deploy("own-url")
    assert not cloud.asked


def test_a_second_change_that_somebody_else_made_necessary_is_asked_about(cloud: Cloud) -> None:
    cloud.deploy("raced")
    other = Cloud(cloud.aws)

    class Raced(list[Any]):
        def append(self, told: Any) -> None:
            if getattr(told, "is_of_stack", False) and told.status == "UPDATE_COMPLETE" and not other.told:
                other.deploy("raced", MemorySize="4096", Timeout="77")

    cloud.told = Raced()
    cloud.asked.clear()
    after = cloud.deploy("raced", MemorySize="2048")
    assert (after.parameters["MemorySize"], after.parameters["Timeout"]) == ("2048", "77")
    assert len(cloud.asked) == 2


def test_the_first_user_gets_an_invitation_and_sees_everything(cloud: Cloud) -> None:
    stack = cloud.deploy("users", first_user="ana@example.com")
    pool, cognito = stack.outputs["UserPoolId"], cloud.aws("cognito-idp")
    ana = cognito.admin_get_user(UserPoolId=pool, Username="ana@example.com")
    assert ana["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    attributes = {each["Name"]: each["Value"] for each in ana["UserAttributes"]}
    assert (attributes["email"], attributes["email_verified"]) == ("ana@example.com", "true")
    groups = cognito.admin_list_groups_for_user(UserPoolId=pool, Username="ana@example.com")["Groups"]
    assert [each["GroupName"] for each in groups] == ["finops"]
    assert cloud.lines[-1] == "The user 'ana@example.com' was made; Cognito sends him a first password."

    cloud.deploy("users", first_user="ana@example.com")
    assert cloud.lines[-1] == "The user 'ana@example.com' is there already."


def test_who_says_no_finds_everything_as_it_was(cloud: Cloud) -> None:
    before = cloud.everything()
    cloud.answer = False
    with pytest.raises(Declined, match=r"^The stack 'no-new' was not changed\.$"):
        cloud.deploy("no-new")
    assert cloud.everything() == before

    cloud.answer = True
    stack = cloud.deploy("no-change")
    cloud.answer = False
    with pytest.raises(Declined):
        cloud.deploy("no-change", MemorySize="2048")
    assert cloud.stacks.find("no-change") == stack
    assert not cloud.change_sets("no-change")


def test_a_creation_that_fails_says_why_and_the_next_one_succeeds(cloud: Cloud) -> None:
    cloud.deploy("taker", LoginPrefix="taken")
    before = cloud.everything()
    with pytest.raises(StackTrouble, match="took everything back") as failed:
        cloud.deploy("late", LoginPrefix="taken")
    assert failed.value.status == "ROLLBACK_COMPLETE"
    (reason,) = failed.value.more
    assert reason.startswith("UserPoolDomain (AWS::Cognito::UserPoolDomain): ")
    assert "taken already exists" in reason
    assert cloud.everything() - before == {"cloudformation late"}

    assert cloud.deploy("late", LoginPrefix="free").status == "CREATE_COMPLETE"
    assert any("(ROLLBACK_COMPLETE): it is deleted first" in line for line in cloud.lines)


def test_a_change_that_fails_leaves_what_ran_and_the_next_one_succeeds(cloud: Cloud) -> None:
    cloud.deploy("holder", LoginPrefix="held")
    before = cloud.deploy("mover", AuthMethod="lambda")
    gone = _function(cloud, "mover")["Configuration"]["Version"]
    # The template as a deployment of tomorrow might have it: a domain more, whose name somebody else has.
    parameters = dict(before.parameters) | {"MemorySize": "2048"}
    text = before.template.replace(
        "\nOutputs:\n",
        "\n  Another:\n    Type: AWS::Cognito::UserPoolDomain\n    DependsOn: Stage\n"
        "    Properties: {UserPoolId: !Ref UserPool, Domain: held}\n\nOutputs:\n",
    )
    change_set = cloud.stacks.prepare("mover", text, parameters, {TAG: "mover"}, cloud.told.append)
    assert change_set is not None
    with pytest.raises(StackTrouble, match="could not be changed, and is again as it was") as failed:
        cloud.stacks.execute(change_set, cloud.told.append)
    assert failed.value.status == "UPDATE_ROLLBACK_COMPLETE"
    assert failed.value.more[0].startswith("Another (AWS::Cognito::UserPoolDomain): ")

    after = cloud.stacks.find("mover")
    assert after is not None
    assert (after.parameters, after.outputs, after.template) == (before.parameters, before.outputs, before.template)
    runs = _function(cloud, "mover")["Configuration"]
    assert (runs["MemorySize"], runs["Version"]) == (1024, gone)
    assert _mcp(cloud, "mover")["authorizationType"] == "CUSTOM"

    assert cloud.deploy("mover", MemorySize="2048").status == "UPDATE_COMPLETE"
    assert _function(cloud, "mover")["Configuration"]["MemorySize"] == 2048


class _Interruption:
    """Ctrl-C at one request of many."""

    def __init__(self, when: str, name: str, turn: int) -> None:
        self._left, self._point = turn, (when, name)

    def __call__(self, when: str, name: str) -> None:
        self._left -= (when, name) == self._point
        if not self._left:
            self._left = -1
            raise KeyboardInterrupt


@pytest.mark.parametrize("turn", [1, 2], ids=["bootstrap", "stack"])
@pytest.mark.parametrize("name", ["CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deployment_goes_on_wherever_it_was_interrupted(cloud: Cloud, when: str, name: str, turn: int) -> None:
    stack = f"cut-{when}-{name}-{turn}"
    # A change set is asked about twice: whether it is made, and for what is in it.
    turn = 2 * turn if name == "DescribeChangeSet" else turn
    with (
        watched(cloud.aws, ["cloudformation"], _Interruption(when, name, turn)),
        pytest.raises((KeyboardInterrupt, GoesOn)),
    ):
        cloud.deploy(stack, built=_built)
    assert cloud.deploy(stack, built=_built).status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert cloud.stacks.status(f"{stack}-bootstrap") == "CREATE_COMPLETE"
    assert not cloud.change_sets(stack)
    assert len([each for each in cloud.everything() if each.startswith(f"dynamodb {stack}-")]) == 1


def test_an_interruption_while_cloudformation_works_says_that_it_goes_on(cloud: Cloud) -> None:
    with (
        watched(cloud.aws, ["cloudformation"], _Interruption("after", "ExecuteChangeSet", 1)),
        pytest.raises(GoesOn, match="goes on by itself with the stack 'gone-on': run the same command again") as end,
    ):
        cloud.deploy("gone-on")
    assert end.value.exit_code == 130
    cloud.asked.clear()
    assert cloud.deploy("gone-on").status == "CREATE_COMPLETE"
    assert not cloud.asked


def test_an_interruption_at_the_question_leaves_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cloud.everything()

    class Hesitant(list[Any]):
        def append(self, _: Any) -> None:
            raise KeyboardInterrupt

    cloud.asked = Hesitant()
    with pytest.raises(KeyboardInterrupt):
        cloud.deploy("hesitant")
    assert cloud.everything() == before


def _fill(cloud: Cloud, stack: Stack, name: str) -> None:
    """Puts something into everything that can hold something, and protects what can be protected."""
    s3, bucket = cloud.aws("s3"), stack.outputs["Bucket"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket=bucket, Key="tollbook/days/a", Body=str(number).encode())
    s3.put_object(Bucket=bucket, Key="tollbook/days/b", Body=b"b")
    s3.delete_object(Bucket=bucket, Key="tollbook/days/b")
    s3.create_multipart_upload(Bucket=bucket, Key="tollbook/days/c")
    cloud.aws("dynamodb").update_table(TableName=stack.outputs["Table"], DeletionProtectionEnabled=True)
    repository = cloud.stacks.find(f"{name}-bootstrap")
    if repository:
        cloud.aws("ecr").put_image(
            repositoryName=repository.outputs["RepositoryName"], imageManifest='{"schemaVersion": 2}', imageTag="one"
        )


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="oauth-own"),
        pytest.param({"AuthMethod": "lambda"}, id="lambda-own"),
        pytest.param(_BROUGHT, id="oauth-brought"),
        pytest.param(_BROUGHT | {"AuthMethod": "lambda"}, id="lambda-brought"),
        pytest.param(_ISSUER | {"FunctionUrl": "yes", "AlarmEmail": "ops@example.com"}, id="issuer"),
    ],
)
def test_what_was_deployed_can_be_removed_and_nothing_is_left(
    cloud: Cloud, given: dict[str, str], request: pytest.FixtureRequest
) -> None:
    name = f"end-{request.node.callspec.id}"
    before = cloud.everything()
    _fill(cloud, cloud.deploy(name, given, built=_built), name)
    cloud.asked.clear()
    assert cloud.destroy(name) == ()
    assert cloud.everything() == before
    (asked,) = cloud.asked
    assert not isinstance(asked, ChangeSet)
    assert [str(each) for each in asked.going[:2]] == [f"stack {name}", f"stack {name}-bootstrap"]
    kinds = {"bucket", "table", "log group", "repository"} | ({"user pool"} if "OwnCalls" not in given else set())
    assert {each.kind for each in asked.going[2:]} == kinds
    assert asked.staying == ()
    assert cloud.destroy(name) == ()
    assert cloud.lines[-1] == f"There is nothing of '{name}' to remove."


def test_data_can_be_kept_and_removed_later(cloud: Cloud) -> None:
    before = cloud.everything()
    stack = cloud.deploy("kept", built=_built, AuthMethod="lambda")
    kept = cloud.destroy("kept", keeps_data=True)
    assert {each.kind for each in kept} == {"bucket", "table", "user pool", "log group"}
    assert Thing("table", stack.outputs["Table"]) in kept
    left = cloud.everything() - before
    assert {each.split()[0] for each in left} == {"cognito-idp", "dynamodb", "logs", "s3"}
    assert len(left) == len(kept) == 6

    assert cloud.destroy("kept") == ()
    assert cloud.everything() == before


def test_what_a_stack_left_is_found_when_somebody_else_deleted_it(cloud: Cloud) -> None:
    before = cloud.everything()
    cloud.deploy("console", built=_built, AuthMethod="lambda")
    cloud.deploy("console", _BROUGHT | {"AuthMethod": "oauth"}, built=_built)
    # The pool and the authorizer's logs are no longer in the stack.
    kinds = [each.kind for each in cloud.remains("console").going]
    assert (kinds.count("user pool"), kinds.count("log group")) == (1, 3)
    for name in ("console", "console-bootstrap"):
        cloud.stacks.delete(name, cloud.told.append)
    found = cloud.remains("console").going
    assert {each.kind for each in found} == {"bucket", "table", "user pool", "log group", "repository"}
    cloud.destroy("console")
    assert cloud.everything() == before


@pytest.mark.parametrize("way", ["pool", "issuer"])
def test_a_pool_that_a_stack_brings_stays_though_an_earlier_one_of_its_name_made_it(cloud: Cloud, way: str) -> None:
    name = f"brings-{way}"
    pool = cloud.deploy(name).outputs["UserPoolId"]
    cloud.destroy(name, keeps_data=True)
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{pool}"
    brought = {"pool": _BROUGHT | {"CognitoUserPoolId": pool}, "issuer": _ISSUER | {"OauthIssuer": issuer}}
    cloud.deploy(name, brought[way])
    for _ in range(2):
        assert cloud.destroy(name) == (Thing("user pool", pool),)
        assert f"cognito-idp {pool}" in cloud.everything()


def test_a_server_whose_name_ends_like_that_of_a_stack_with_images_is_not_removed_with_another(cloud: Cloud) -> None:
    cloud.deploy("base")
    before = cloud.deploy("base-bootstrap")
    assert cloud.destroy("base") == ()
    assert cloud.stacks.find("base-bootstrap") == before


def test_who_says_no_to_a_removal_keeps_everything(cloud: Cloud) -> None:
    cloud.deploy("wanted")
    before, cloud.answer = cloud.everything(), False
    with pytest.raises(Declined, match=r"^Nothing was removed\.$"):
        cloud.destroy("wanted")
    assert cloud.everything() == before


def test_what_somebody_else_adds_while_it_is_asked_is_removed_too(cloud: Cloud) -> None:
    before, other = cloud.everything(), Cloud(cloud.aws)
    other.deploy("meddled")

    class Meddling(list[Any]):
        def append(self, _: Any) -> None:
            other.deploy("meddled", AuthMethod="lambda")  # with a log group more

    cloud.asked = Meddling()
    assert cloud.destroy("meddled") == ()
    assert cloud.everything() == before


def test_a_removal_goes_on_however_often_it_is_interrupted(cloud: Cloud) -> None:
    before = cloud.everything()
    _fill(cloud, cloud.deploy("tenacious", built=_built), "tenacious")
    services = ["cloudformation", "cognito-idp", "dynamodb", "ecr", "logs", "s3"]
    done: list[str] = []

    def after_each_removal(when: str, name: str) -> None:
        if when == "after" and name.startswith(("Abort", "Delete")):
            done.append(name)
            raise KeyboardInterrupt

    ends = 0
    with watched(cloud.aws, services, after_each_removal):
        while True:
            try:
                cloud.destroy("tenacious")
                break
            except GoesOn:
                ends += 1
    assert ends == len(done) >= 9
    assert set(done) >= {"AbortMultipartUpload", "DeleteBucket", "DeleteLogGroup", "DeleteObjects", "DeleteRepository"}
    assert cloud.everything() == before


def test_the_role_that_writes_the_logs_of_all_apis_stays_and_is_named(cloud: Cloud) -> None:
    _let_apis_log(cloud, "")
    cloud.deploy("role")
    (kept,) = cloud.destroy("role")
    assert kept.kind == "role of API Gateway"
    assert f"iam {kept.name}" in cloud.everything()


def test_a_protected_stack_is_not_removed_and_it_says_how_it_can_be(cloud: Cloud) -> None:
    cloud.deploy("protected")
    formation = cloud.aws("cloudformation")
    formation.update_termination_protection(StackName="protected", EnableTerminationProtection=True)
    with pytest.raises(StackTrouble, match="'protected' is protected: switch off its termination protection"):
        cloud.destroy("protected")
    assert cloud.stacks.status("protected") == "CREATE_COMPLETE"


def test_two_stacks_in_an_account_do_not_know_each_other(cloud: Cloud) -> None:
    cloud.deploy("one")
    other = cloud.deploy("other")
    cloud.destroy("one")
    assert cloud.stacks.find("other") == other
    assert cloud.remains("one").going == ()
    assert Thing("bucket", other.outputs["Bucket"]) in cloud.remains("other").going


def test_a_stack_whose_template_is_json_is_found_with_its_text(cloud: Cloud) -> None:
    text = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    change_set = cloud.stacks.prepare("json", text, {}, {TAG: "json"}, cloud.told.append)
    assert change_set is not None
    assert cloud.stacks.execute(change_set, cloud.told.append).template == text


def test_somebody_elses_stack_is_neither_changed_nor_removed(cloud: Cloud) -> None:
    formation = cloud.aws("cloudformation")
    text = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    formation.create_stack(StackName="theirs", TemplateBody=text)
    sentence = r"^The stack 'theirs' is none of tollbook's: name another one with --stack\.$"
    with pytest.raises(StackTrouble, match=sentence):
        cloud.deploy("theirs")
    with pytest.raises(StackTrouble, match=sentence):
        cloud.destroy("theirs")
    for act in (cloud.stacks.delete, cloud.stacks.settle):
        with pytest.raises(StackTrouble, match=sentence):
            act("theirs", cloud.told.append)
    assert formation.describe_stacks(StackName="theirs")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    assert not cloud.asked


def test_somebody_elses_change_set_that_awaits_review_stays(cloud: Cloud) -> None:
    formation = cloud.aws("cloudformation")
    text = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    formation.create_change_set(
        StackName="review", ChangeSetName="release-42", ChangeSetType="CREATE", TemplateBody=text
    )
    with pytest.raises(StackTrouble, match="'review' is but a change set of somebody else's"):
        cloud.deploy("review")
    assert cloud.change_sets("review") == ["release-42"]


def test_a_stack_that_was_made_of_the_template_by_hand_is_taken_over(cloud: Cloud) -> None:
    planned = cloud.plan("by-hand", {"ImageUri": image("a")})
    cloud.aws("cloudformation").create_stack(
        StackName="by-hand",
        TemplateBody=planned.template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in planned.parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    cloud.stacks.settle("by-hand", cloud.told.append)
    assert cloud.deploy("by-hand", MemorySize="2048").parameters["MemorySize"] == "2048"
