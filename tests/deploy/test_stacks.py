"""What CloudFormation does that no server plays, against AWS's own model of it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
import pytest
from botocore import exceptions as aws
from botocore.config import Config
from botocore.stub import ANY, Stubber

from tests.fakes.processes import free_port
from tollbook.deploy.aws import clients
from tollbook.deploy.cloudformation.change_sets import ChangeSet, ResourceChange
from tollbook.deploy.cloudformation.events import Event, Line
from tollbook.deploy.cloudformation.stacks import Stacks
from tollbook.deploy.patience import Patience
from tollbook.deploy.template import bootstrap, template
from tollbook.deploy.trouble import Denied, DeployError, NotLoggedIn, StackTrouble, Unreachable, translated

_ID: Final = "arn:aws:cloudformation:eu-west-1:111122223333:stack/book/0f0e0d0c"
_SET: Final = "arn:aws:cloudformation:eu-west-1:111122223333:changeSet/tollbook-0/0a0b0c0d"
_START: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
_BY_NAME: Final = {"StackName": "book"}
_BY_ID: Final = {"StackName": _ID}
_CHANGE: Final = ChangeSet(id=_SET, stack="book", stack_id=_ID, is_new=False)
_OURS: Final = [{"Key": "tollbook:stack", "Value": "book"}]
_STACK: Final = "AWS::CloudFormation::Stack"
_FUNCTION: Final = "AWS::Lambda::Function"


def _client(url: str) -> Any:
    """That asks once."""
    return boto3.client(
        "cloudformation",
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106
        endpoint_url=url,
        config=Config(retries={"total_max_attempts": 1}),
    )


class Formation:
    """CloudFormation, which answers what it was told to, in that order, and nothing else."""

    def __init__(self) -> None:
        client = _client("https://127.0.0.1")
        self._stub = Stubber(client)
        self._stub.activate()
        self._events = 0
        self.now = 0.0
        self.told: list[Event | Line] = []
        self.stacks = Stacks(client, Patience(lambda: self.now, self._pause))

    def _pause(self, seconds: float) -> None:
        self.now += seconds

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(each.resource, each.status) for each in self.told if isinstance(each, Event)]

    @property
    def lines(self) -> list[str]:
        return [each.text for each in self.told if isinstance(each, Line)]

    def answers(self, operation: str, answer: dict[str, Any], asked: dict[str, Any] | None = None) -> None:
        self._stub.add_response(operation, answer, asked)

    def refuses(self, operation: str, code: str, message: str = "", status: int = 400) -> None:
        self._stub.add_client_error(operation, code, message, status)

    def is_(
        self, status: str, asked: dict[str, Any] = _BY_NAME, of: Sequence[str] = ("tollbook-1",), **more: Any
    ) -> None:
        """The next time that it is asked for.

        Args:
            of: the change sets of a stack in review; nobody asks for them where there are none.
        """
        stack = {"StackName": "book", "StackId": _ID, "CreationTime": _START, "StackStatus": status}
        if status != "REVIEW_IN_PROGRESS":  # its tags come with the execution
            stack = stack | {"Tags": _OURS}
        self.answers("describe_stacks", {"Stacks": [stack | more]}, asked)
        if status == "REVIEW_IN_PROGRESS" and of:
            self.answers("list_change_sets", {"Summaries": [{"ChangeSetName": name} for name in of]}, _BY_NAME)

    def is_not_there(self) -> None:
        self.refuses("describe_stacks", "ValidationError", "Stack with id book does not exist")

    def runs(self, **more: Any) -> None:
        """What `find` asks for."""
        self.is_("UPDATE_COMPLETE", ANY_STACK, **more)
        self.answers("get_template", {"TemplateBody": "Resources: {}"}, _BY_ID | {"TemplateStage": "Original"})

    def event(self, resource: str, status: str, reason: str = "") -> dict[str, Any]:
        self._events += 1
        return {
            "StackId": _ID,
            "StackName": "book",
            "EventId": f"event-{self._events}",
            "LogicalResourceId": resource,
            "ResourceType": _STACK if resource == "book" else _FUNCTION,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": _START + timedelta(seconds=self._events),
        }

    def tells(self, events: Sequence[dict[str, Any]], more: str = "", page: str = "") -> None:
        """The events to be shown next, in the order in which they happened; CloudFormation tells the newest first."""
        answer = {"StackEvents": list(reversed(events))} | ({"NextToken": more} if more else {})
        self.answers("describe_stack_events", answer, _BY_ID | ({"NextToken": page} if page else {}))

    def is_done(self) -> None:
        """Everything was asked for that was expected."""
        self._stub.assert_no_pending_responses()


ANY_STACK: Final = {"StackName": ANY}


def _description_of(text: str) -> str:
    (found,) = [line.removeprefix("Description: ") for line in text.splitlines() if line.startswith("Description: ")]
    return found


@pytest.fixture
def formation() -> Iterator[Formation]:
    played = Formation()
    yield played
    played.is_done()


def _prepared(formation: Formation) -> ChangeSet | None:
    return formation.stacks.prepare("book", "Resources: {}", {"MemorySize": "1024"}, {"a": "b"}, formation.told.append)


def _make_change_set(formation: Formation, answer: dict[str, Any], *, is_new: bool = False) -> None:
    formation.is_not_there() if is_new else formation.is_("UPDATE_COMPLETE")
    formation.answers(
        "create_change_set",
        {"Id": _SET, "StackId": _ID},
        {
            "StackName": "book",
            "ChangeSetName": "tollbook-0",
            "ClientToken": "tollbook-0",
            "ChangeSetType": "CREATE" if is_new else "UPDATE",
            "TemplateBody": "Resources: {}",
            "Parameters": [{"ParameterKey": "MemorySize", "ParameterValue": "1024"}],
            "Tags": [{"Key": "a", "Value": "b"}] if is_new else [*_OURS, {"Key": "a", "Value": "b"}],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        },
    )
    asked = {"ChangeSetName": _SET}
    formation.answers("describe_change_set", {"Status": "CREATE_PENDING"}, asked)
    formation.answers("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}, asked)
    formation.answers("describe_change_set", answer, asked)


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
)
def test_a_change_set_without_changes_is_none_and_is_taken_away(formation: Formation, reason: str) -> None:
    _make_change_set(formation, {"Status": "FAILED", "StatusReason": reason})
    formation.answers("delete_change_set", {}, {"ChangeSetName": _SET})
    assert _prepared(formation) is None


def test_a_change_that_is_refused_at_once_because_nothing_changes_is_none(formation: Formation) -> None:
    formation.is_("CREATE_COMPLETE")
    formation.refuses("create_change_set", "ValidationError", "No updates are to be performed.")
    assert _prepared(formation) is None


def test_a_change_that_aws_does_not_understand_is_told_in_its_words(formation: Formation) -> None:
    formation.is_("UPDATE_COMPLETE")
    formation.refuses("create_change_set", "ValidationError", "Template format error: unsupported structure.")
    with pytest.raises(DeployError, match=r"CreateChangeSet with ValidationError: Template format error: unsupported"):
        _prepared(formation)


def test_the_tags_that_others_gave_a_stack_stay_and_ours_win(formation: Formation) -> None:
    present = {"cost-center": "12", "a": "c", "aws:cloudformation:stack-name": "book"}
    formation.is_("UPDATE_COMPLETE", Tags=[{"Key": key, "Value": value} for key, value in present.items()])
    asked = dict.fromkeys(("StackName", "ChangeSetName", "TemplateBody", "Parameters", "Capabilities"), ANY)
    tags = [{"Key": "cost-center", "Value": "12"}, {"Key": "a", "Value": "b"}]
    asked |= {"ChangeSetType": "UPDATE", "ClientToken": ANY, "Tags": tags}
    formation.answers("create_change_set", {"Id": _SET, "StackId": _ID}, asked)
    for _ in range(2):
        formation.answers("describe_change_set", {"Status": "CREATE_COMPLETE"})
    assert _prepared(formation) is not None


def test_a_stack_that_is_but_a_change_set_is_still_to_be_made(formation: Formation) -> None:
    formation.is_("REVIEW_IN_PROGRESS", of=())
    asked = dict.fromkeys(("StackName", "ChangeSetName", "TemplateBody", "Parameters", "Tags", "Capabilities"), ANY)
    asked |= {"ChangeSetType": "CREATE", "ClientToken": ANY}
    formation.answers("create_change_set", {"Id": _SET, "StackId": _ID}, asked)
    for _ in range(2):
        formation.answers("describe_change_set", {"Status": "CREATE_COMPLETE"})
    found = _prepared(formation)
    assert found is not None
    assert found.is_new


def test_a_change_set_tells_what_it_does_to_each_resource_page_after_page(formation: Formation) -> None:
    _make_change_set(formation, {"Status": "CREATE_COMPLETE"})

    def change(action: str, name: str, **more: str) -> dict[str, Any]:
        return {
            "Type": "Resource",
            "ResourceChange": {"Action": action, "LogicalResourceId": name, "ResourceType": _FUNCTION, **more},
        }

    first = {"Changes": [change("Modify", "Server", Replacement="Conditional")], "NextToken": "2"}
    formation.answers("describe_change_set", first, {"ChangeSetName": _SET})
    formation.answers(
        "describe_change_set", {"Changes": [change("Add", "Url")]}, {"ChangeSetName": _SET, "NextToken": "2"}
    )
    found = _prepared(formation)
    assert found is not None
    assert found.changes == (
        ResourceChange("Modify", "Server", _FUNCTION, "Conditional"),
        ResourceChange("Add", "Url", _FUNCTION),
    )


def test_a_change_of_outputs_alone_has_no_changes_of_resources_and_is_one_all_the_same(formation: Formation) -> None:
    _make_change_set(formation, {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE"})
    formation.answers("describe_change_set", {"Changes": []}, {"ChangeSetName": _SET})
    found = _prepared(formation)
    assert found is not None
    assert found.changes == ()


_REFUSED: Final = {
    "Status": "FAILED",
    "StatusReason": "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. To "
    "troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information.",
}


def test_what_cloudformation_finds_before_it_begins_is_told_and_a_new_stack_is_nothing_again(
    formation: Formation,
) -> None:
    _make_change_set(formation, _REFUSED, is_new=True)
    said = "Resource of type 'AWS::Lambda::Function' with identifier 'book' already exists."
    event = {
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": "Server",
        "ResourceType": _FUNCTION,
        "ValidationStatusReason": said,
    }
    formation.answers(
        "describe_events",
        {"OperationEvents": [event, event, {"EventType": "STACK_EVENT"}]},
        {"ChangeSetName": _SET, "Filters": {"FailedEvents": True}},
    )
    formation.answers("delete_stack", {}, _BY_ID)
    formation.is_("DELETE_IN_PROGRESS", _BY_ID)
    formation.is_("DELETE_COMPLETE", _BY_ID)
    with pytest.raises(StackTrouble, match="refuses this change of the stack 'book', and nothing was done") as refused:
        _prepared(formation)
    assert refused.value.more == (f"Server ({_FUNCTION}): {said}",)


def test_who_may_not_ask_for_details_is_told_what_the_change_set_says(formation: Formation) -> None:
    _make_change_set(formation, _REFUSED)
    formation.refuses("describe_events", "AccessDenied")
    formation.answers("delete_change_set", {}, {"ChangeSetName": _SET})
    with pytest.raises(StackTrouble) as refused:
        _prepared(formation)
    assert refused.value.more == (_REFUSED["StatusReason"],)


def test_a_change_set_that_is_never_made_is_not_waited_for_for_ever(formation: Formation) -> None:
    _make_change_set(formation, {"Status": "CREATE_IN_PROGRESS"})
    for _ in range(1199):
        formation.answers("describe_change_set", {"Status": "CREATE_IN_PROGRESS"})
    with pytest.raises(Unreachable, match="told nothing of what changes in the stack 'book' for 60 minutes"):
        _prepared(formation)


def _execute(formation: Formation, after: Sequence[dict[str, Any]] = ()) -> None:
    """What is asked for before anything happens."""
    formation.tells(after)
    formation.answers("execute_change_set", {}, {"ChangeSetName": _SET, "DisableRollback": False})


def test_events_are_told_once_each_in_order_and_none_of_an_earlier_operation(formation: Formation) -> None:
    earlier = [formation.event("book", "CREATE_IN_PROGRESS"), formation.event("book", "CREATE_COMPLETE")]
    _execute(formation, earlier)
    # The stack may be as it was for a moment, and then there is nothing new.
    formation.is_("CREATE_COMPLETE", _BY_ID)
    formation.tells(earlier)
    first = [formation.event("book", "UPDATE_IN_PROGRESS"), formation.event("Server", "UPDATE_IN_PROGRESS")]
    formation.is_("UPDATE_IN_PROGRESS", _BY_ID)
    formation.tells([*earlier, *first])
    second = [formation.event("Server", "UPDATE_COMPLETE"), formation.event("Alias", "UPDATE_COMPLETE")]
    last = [formation.event("book", "UPDATE_COMPLETE")]
    formation.is_("UPDATE_COMPLETE", _BY_ID)
    formation.tells([*second[1:], *last], more="2")
    formation.tells([*earlier, *first, *second[:1]], page="2")
    formation.runs(Outputs=[{"OutputKey": "Url", "OutputValue": "https://x"}])
    stack = formation.stacks.execute(_CHANGE, formation.told.append)
    assert stack.outputs == {"Url": "https://x"}
    assert formation.events == [
        ("book", "UPDATE_IN_PROGRESS"),
        ("Server", "UPDATE_IN_PROGRESS"),
        ("Server", "UPDATE_COMPLETE"),
        ("Alias", "UPDATE_COMPLETE"),
        ("book", "UPDATE_COMPLETE"),
    ]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("ROLLBACK_COMPLETE", "could not be made, and CloudFormation took everything back"),
        ("ROLLBACK_FAILED", "could not be made, nor taken back whole"),
        ("UPDATE_ROLLBACK_COMPLETE", "could not be changed, and is again as it was"),
        ("UPDATE_ROLLBACK_FAILED", "could not be changed, nor go back whole"),
        ("DELETE_COMPLETE", "CloudFormation left the stack 'book' in DELETE_COMPLETE"),
    ],
)
def test_a_failure_is_told_with_what_began_it_and_not_with_what_it_stopped(
    formation: Formation, status: str, sentence: str
) -> None:
    _execute(formation)
    formation.is_(status, _BY_ID)
    formation.tells(
        [
            formation.event("book", "UPDATE_IN_PROGRESS"),
            formation.event("Server", "UPDATE_FAILED", "The image \x1b[31mdoes not exist."),
            formation.event("Alarm", "CREATE_FAILED", "Resource creation cancelled"),
            formation.event("book", "UPDATE_FAILED", "The following resource(s) failed to update: [Server]."),
            formation.event("book", status),
        ]
    )
    with pytest.raises(StackTrouble, match=sentence) as failed:
        formation.stacks.execute(_CHANGE, formation.told.append)
    assert failed.value.status == status
    assert failed.value.more == (f"Server ({_FUNCTION}): The image <U+001B>[31mdoes not exist.",)
    assert failed.value.message.endswith("run the same command again.")


def test_a_failure_of_the_stack_alone_is_told_as_the_stack_tells_it(formation: Formation) -> None:
    _execute(formation)
    formation.is_("UPDATE_ROLLBACK_COMPLETE", _BY_ID)
    said = "Template error: the output Url names no attribute of Api"
    formation.tells(
        [formation.event("book", "UPDATE_FAILED", said), formation.event("book", "UPDATE_ROLLBACK_COMPLETE")]
    )
    with pytest.raises(StackTrouble) as failed:
        formation.stacks.execute(_CHANGE, formation.told.append)
    assert failed.value.more == (f"{said}.",)


def test_a_failure_without_a_resource_is_told_with_the_reason_of_the_stack(formation: Formation) -> None:
    _execute(formation)
    formation.is_("UPDATE_ROLLBACK_COMPLETE", _BY_ID)
    formation.tells([formation.event("book", "UPDATE_ROLLBACK_COMPLETE")])
    formation.is_("UPDATE_ROLLBACK_COMPLETE", _BY_ID, StackStatusReason="Validation failure detected.")
    with pytest.raises(StackTrouble) as failed:
        formation.stacks.execute(_CHANGE, formation.told.append)
    assert failed.value.more == ("Validation failure detected.",)


def test_a_request_whose_answer_got_lost_is_not_done_twice(formation: Formation) -> None:
    formation.tells([])
    formation.refuses("execute_change_set", "InvalidChangeSetStatus", "ChangeSet is in EXECUTE_IN_PROGRESS status")
    formation.answers("describe_change_set", {"ExecutionStatus": "EXECUTE_IN_PROGRESS"}, {"ChangeSetName": _SET})
    formation.is_("UPDATE_COMPLETE", _BY_ID)
    formation.tells([formation.event("book", "UPDATE_COMPLETE")])
    formation.runs()
    assert formation.stacks.execute(_CHANGE, formation.told.append).status == "UPDATE_COMPLETE"


def test_a_change_set_that_somebody_overtook_is_not_executed(formation: Formation) -> None:
    formation.tells([])
    formation.refuses("execute_change_set", "InvalidChangeSetStatus", "ChangeSet is in OBSOLETE status.")
    formation.answers("describe_change_set", {"ExecutionStatus": "OBSOLETE"}, {"ChangeSetName": _SET})
    with pytest.raises(DeployError, match="InvalidChangeSetStatus: ChangeSet is in OBSOLETE status"):
        formation.stacks.execute(_CHANGE, formation.told.append)


def test_throttling_is_waited_out(formation: Formation) -> None:
    formation.refuses("describe_stacks", "Throttling", "Rate exceeded")
    formation.refuses("describe_stacks", "RequestLimitExceeded", status=503)
    formation.runs()
    assert formation.stacks.find("book") is not None
    assert formation.now == 7


def test_throttling_without_an_end_is_told_in_a_sentence(formation: Formation) -> None:
    for _ in range(4):
        formation.refuses("describe_stacks", "Throttling", "Rate exceeded")
    with pytest.raises(Unreachable) as throttled:
        formation.stacks.find("book")
    assert throttled.value.message == (
        "AWS throttles or fails at cloudformation:DescribeStacks (Throttling): wait a minute, then run the same "
        "command again, which goes on from here."
    )


def test_a_stack_of_which_nothing_is_heard_is_not_waited_for_for_ever(formation: Formation) -> None:
    _execute(formation)
    began = [formation.event("book", "UPDATE_IN_PROGRESS")]
    for _ in range(1202):
        formation.is_("UPDATE_IN_PROGRESS", _BY_ID)
        formation.tells(began)
    with pytest.raises(Unreachable, match="told nothing of the stack 'book' for 60 minutes, and goes on by itself"):
        formation.stacks.execute(_CHANGE, formation.told.append)


def _settled(formation: Formation) -> Any:
    return formation.stacks.settle("book", formation.told.append)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_never_came_to_be_is_deleted_before_it_is_made(formation: Formation, status: str) -> None:
    formation.is_(status)
    _delete(formation, status)
    formation.is_not_there()
    assert _settled(formation) is None
    assert formation.lines == [f"The stack 'book' never came to be, or went in part ({status}): it is deleted first."]
    assert formation.events == [("book", "DELETE_COMPLETE")]


def _delete(formation: Formation, status: str) -> None:
    formation.is_(status, _BY_ID)
    before = [formation.event("book", status)]
    formation.tells(before)
    formation.answers("delete_stack", {}, _BY_ID)
    formation.is_("DELETE_COMPLETE", _BY_ID)
    formation.tells([*before, formation.event("book", "DELETE_COMPLETE")])


def test_a_stack_that_is_but_a_change_set_is_deleted_first(formation: Formation) -> None:
    formation.is_("REVIEW_IN_PROGRESS")
    _delete(formation, "REVIEW_IN_PROGRESS")
    formation.is_not_there()
    assert _settled(formation) is None
    assert formation.lines == ["The stack 'book' is but a change set that nobody executed: it is deleted first."]


@pytest.mark.parametrize("names", [("tollbook-1", "release-42"), ()])
def test_a_stack_that_awaits_somebody_elses_review_is_left_alone(formation: Formation, names: tuple[str, ...]) -> None:
    formation.is_("REVIEW_IN_PROGRESS", of=())
    formation.answers("list_change_sets", {"Summaries": [{"ChangeSetName": name} for name in names]}, _BY_NAME)
    with pytest.raises(StackTrouble, match="'book' is but a change set of somebody else's that awaits review: execute"):
        _settled(formation)


def test_what_is_under_way_is_followed_from_where_it_began(formation: Formation) -> None:
    formation.is_("UPDATE_IN_PROGRESS")
    earlier = [formation.event("book", "CREATE_IN_PROGRESS"), formation.event("book", "CREATE_COMPLETE")]
    now = [formation.event("book", "UPDATE_IN_PROGRESS"), formation.event("Server", "UPDATE_IN_PROGRESS")]
    formation.is_("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", _BY_ID)
    formation.tells([*earlier, *now])
    formation.is_("UPDATE_COMPLETE", _BY_ID)
    formation.tells([*earlier, *now, formation.event("book", "UPDATE_COMPLETE")])
    formation.is_("UPDATE_COMPLETE")
    formation.runs()
    assert _settled(formation) is not None
    assert formation.lines == [
        "CloudFormation is still at work on the stack 'book' (UPDATE_IN_PROGRESS): it may end first."
    ]
    assert [status for _, status in formation.events] == ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


@pytest.mark.parametrize(
    ("status", "operation"),
    [("UPDATE_ROLLBACK_FAILED", "continue_update_rollback"), ("UPDATE_FAILED", "rollback_stack")],
)
def test_a_stack_that_is_stuck_goes_back_first(formation: Formation, status: str, operation: str) -> None:
    formation.is_(status)
    formation.tells([])
    formation.answers(operation, {}, _BY_ID)
    formation.is_("UPDATE_ROLLBACK_COMPLETE", _BY_ID)
    formation.tells([formation.event("book", "UPDATE_ROLLBACK_COMPLETE")])
    formation.is_("UPDATE_ROLLBACK_COMPLETE")
    formation.runs()
    assert _settled(formation) is not None


def test_a_stack_that_cannot_go_back_says_what_holds_it(formation: Formation) -> None:
    formation.is_("UPDATE_ROLLBACK_FAILED")
    formation.tells([])
    formation.answers("continue_update_rollback", {}, _BY_ID)
    formation.is_("UPDATE_ROLLBACK_FAILED", _BY_ID)
    formation.tells(
        [
            formation.event("book", "UPDATE_ROLLBACK_IN_PROGRESS"),
            formation.event("Server", "UPDATE_FAILED", "The role is gone"),
            formation.event("book", "UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: [Server]."),
        ]
    )
    with pytest.raises(StackTrouble, match=r"'book' cannot go back by itself .* continue its rollback") as stuck:
        _settled(formation)
    assert stuck.value.more == (f"Server ({_FUNCTION}): The role is gone.",)


def test_a_stack_whose_import_is_stuck_is_left_to_its_owner(formation: Formation) -> None:
    formation.is_("IMPORT_ROLLBACK_FAILED")
    with pytest.raises(StackTrouble, match=r"cannot be changed as it is \(IMPORT_ROLLBACK_FAILED\)"):
        _settled(formation)


def test_a_stack_that_cannot_be_deleted_says_what_holds_it(formation: Formation) -> None:
    formation.is_("UPDATE_COMPLETE")
    formation.tells([])
    formation.answers("delete_stack", {}, _BY_ID)
    formation.is_("DELETE_FAILED", _BY_ID)
    formation.tells(
        [
            formation.event("Role", "DELETE_FAILED", "Cannot delete entity, must detach all policies first."),
            formation.event("book", "DELETE_FAILED", "The following resource(s) failed to delete: [Role]. "),
        ]
    )
    with pytest.raises(StackTrouble, match=r"could not be deleted \(DELETE_FAILED\)") as failed:
        formation.stacks.delete("book", formation.told.append)
    assert failed.value.more == (f"Role ({_FUNCTION}): Cannot delete entity, must detach all policies first.",)


def test_a_deletion_that_is_under_way_is_not_asked_for_again(formation: Formation) -> None:
    formation.is_("DELETE_IN_PROGRESS")
    formation.is_("DELETE_COMPLETE", _BY_ID)
    formation.tells([formation.event("book", "DELETE_IN_PROGRESS"), formation.event("book", "DELETE_COMPLETE")])
    formation.stacks.delete("book", formation.told.append)
    assert formation.events == [("book", "DELETE_IN_PROGRESS"), ("book", "DELETE_COMPLETE")]


def test_a_stack_that_leaves_no_trace_is_gone(formation: Formation) -> None:
    formation.is_("REVIEW_IN_PROGRESS")
    formation.tells([])
    formation.answers("delete_stack", {}, _BY_ID)
    formation.is_not_there()
    formation.stacks.delete("book", formation.told.append)
    assert not formation.told


def test_a_stack_that_may_not_be_deleted_says_who_may_not(formation: Formation) -> None:
    formation.is_("UPDATE_COMPLETE")
    formation.tells([])
    formation.refuses("delete_stack", "AccessDenied", "no")
    with pytest.raises(Denied, match="may not cloudformation:DeleteStack"):
        formation.stacks.delete("book", formation.told.append)


def test_a_stack_that_is_always_under_way_is_left_alone_in_the_end(formation: Formation) -> None:
    for _ in range(6):
        formation.is_("UPDATE_IN_PROGRESS")
        formation.is_("UPDATE_COMPLETE", _BY_ID)
        formation.tells([formation.event("book", "UPDATE_COMPLETE")])
    with pytest.raises(StackTrouble, match=r"'book' cannot be changed as it is \(UPDATE_IN_PROGRESS\)"):
        _settled(formation)


def test_a_stack_that_somebody_deletes_at_once_is_said_to_be_gone(formation: Formation) -> None:
    _execute(formation)
    formation.is_("UPDATE_COMPLETE", _BY_ID)
    formation.tells([formation.event("book", "UPDATE_COMPLETE")])
    formation.is_("DELETE_IN_PROGRESS", _BY_ID)
    with pytest.raises(StackTrouble, match="Somebody deleted the stack 'book' just now"):
        formation.stacks.execute(_CHANGE, formation.told.append)


def test_a_stack_that_is_not_there_has_no_resources(formation: Formation) -> None:
    formation.is_not_there()
    assert formation.stacks.resources("book") == ()


def test_a_stack_that_is_gone_need_not_be_deleted(formation: Formation) -> None:
    formation.is_not_there()
    formation.stacks.delete("book", formation.told.append)
    assert not formation.told


@pytest.mark.parametrize(
    "status",
    ["CREATE_FAILED", "DELETE_FAILED", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"],
)
def test_a_stack_that_does_not_last_is_not_found(formation: Formation, status: str) -> None:
    formation.is_(status)
    assert formation.stacks.find("book") is None


@pytest.mark.parametrize(
    ("name", "owner", "marks"),
    [
        ("book", "book", {"Tags": [{"Key": "tollbook:stack", "Value": "another"}]}),
        ("book", "book", {"Description": "Roles and queues that tollbook and others use"}),
        ("book", "book", {"Description": _description_of(bootstrap())}),
        ("book-bootstrap", "book", {"Description": _description_of(template())}),
        ("book-bootstrap", "book", {"Tags": [{"Key": "tollbook:stack", "Value": "book-bootstrap"}]}),
        ("book-bootstrap", "book-bootstrap", {"Tags": _OURS}),
        ("book-bootstrap", "book-bootstrap", {"Description": _description_of(bootstrap())}),
    ],
)
def test_a_stack_that_only_mentions_tollbook_or_has_another_part_is_not_taken(
    formation: Formation, name: str, owner: str, marks: dict[str, Any]
) -> None:
    for _ in range(3):
        formation.is_("UPDATE_COMPLETE", ANY_STACK, StackName=name, **({"Tags": []} | marks))
    with pytest.raises(StackTrouble, match=f"^The stack '{name}' is no"):
        formation.stacks.status(name, owner)
    with pytest.raises(StackTrouble):
        formation.stacks.delete(name, formation.told.append, owner)
    assert not formation.stacks.is_there(name, owner)


@pytest.mark.parametrize(
    ("name", "text"), [("book", template()), ("book-bootstrap", bootstrap())], ids=["server", "images"]
)
def test_a_stack_that_was_made_of_a_template_by_hand_is_ours(formation: Formation, name: str, text: str) -> None:
    formation.is_("UPDATE_COMPLETE", StackName=name, Tags=[], Description=_description_of(text))
    assert formation.stacks.is_there("book", "book")


def test_what_stacks_let_go_is_found_of_those_that_were_deleted_and_are_ours(formation: Formation) -> None:
    ours, theirs = f"{_ID}1", f"{_ID}2"

    def deleted(name: str, stack_id: str) -> dict[str, Any]:
        return {"StackName": name, "StackId": stack_id, "CreationTime": _START, "StackStatus": "DELETE_COMPLETE"}

    filtered = {"StackStatusFilter": ["DELETE_COMPLETE"]}
    formation.answers("list_stacks", {"StackSummaries": [deleted("book", ours)], "NextToken": "2"}, filtered)
    formation.answers(
        "list_stacks",
        {"StackSummaries": [deleted("another", "x"), deleted("book", theirs)]},
        filtered | {"NextToken": "2"},
    )
    had = [{"ParameterKey": "CognitoUserPoolId", "ParameterValue": "eu-west-1_x"}]
    formation.is_("DELETE_COMPLETE", {"StackName": ours}, Parameters=had)
    formation.is_("DELETE_COMPLETE", {"StackName": theirs}, Tags=[], Description="as tollbook's")
    formation.is_not_there()
    skipped = formation.event("Table", "DELETE_SKIPPED") | {"PhysicalResourceId": "book-Table-1"}
    formation.answers("describe_stack_events", {"StackEvents": [skipped]}, {"StackName": ours})
    found = formation.stacks.left_behind(["book"], "book")
    assert [(each.name, each.physical_id) for each in found.resources] == [("Table", "book-Table-1")]
    assert found.parameters == ({"CognitoUserPoolId": "eu-west-1_x"},)


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("ExpiredToken", NotLoggedIn, "The AWS credentials have expired: log in to AWS again"),
        ("InvalidClientTokenId", NotLoggedIn, r"does not accept the credentials \(InvalidClientTokenId\)"),
        ("SignatureDoesNotMatch", NotLoggedIn, "check the access key, the clock of this machine"),
        ("AccessDenied", Denied, "whoever asks may not cloudformation:DescribeStacks: let an administrator allow it"),
        ("InternalFailure", DeployError, "AWS answers cloudformation:DescribeStacks with InternalFailure: said"),
    ],
)
def test_what_aws_refuses_is_told_in_a_sentence(
    formation: Formation, code: str, kind: type[DeployError], sentence: str
) -> None:
    formation.refuses("describe_stacks", code, "said")
    with pytest.raises(kind, match=sentence) as refused:
        formation.stacks.find("book")
    assert refused.value.code == code
    assert not refused.value.more


def test_a_name_that_no_stack_can_have_is_no_stack_that_is_not_there(formation: Formation) -> None:
    formation.refuses("describe_stacks", "ValidationError", "Value 'a_b' at 'stackName' failed to satisfy constraint")
    with pytest.raises(DeployError, match=r"with ValidationError: Value 'a_b' at 'stackName' failed"):
        formation.stacks.find("a_b")


def test_a_denial_names_who_lacks_what_and_where(formation: Formation) -> None:
    who, where = "arn:aws:sts::111122223333:assumed-role/dev/ana", "arn:aws:iam::111122223333:role/book-ServerRole-1"
    formation.refuses(
        "describe_stacks",
        "AccessDenied",
        f"User: {who} is not authorized to perform: iam:CreateRole on resource: {where} because no identity-based "
        "policy allows the iam:CreateRole action",
        403,
    )
    with pytest.raises(Denied) as denied:
        formation.stacks.find("book")
    assert denied.value.message.startswith(f"{who} may not iam:CreateRole on {where}: let an administrator allow it")
    assert denied.value.action == "iam:CreateRole"


def test_a_message_that_may_hold_a_token_is_not_shown(formation: Formation) -> None:
    formation.refuses("describe_stacks", "SignatureDoesNotMatch", "x-amz-security-token:IQoJb3JpZ2luX2VjEJr")
    with pytest.raises(NotLoggedIn) as refused:
        formation.stacks.find("book")
    assert "IQoJ" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (aws.UnauthorizedSSOTokenError(), NotLoggedIn, "The AWS credentials have expired: log in to AWS again"),
        (
            aws.SSLError(endpoint_url="https://cloudformation.eu-west-1.amazonaws.com/", error="verify failed"),
            DeployError,
            r"^No safe connection to cloudformation\.eu-west-1\.amazonaws\.com: if a proxy shows a certificate",
        ),
        (
            aws.EndpointConnectionError(endpoint_url="https://[broken"),
            Unreachable,
            "^No connection to AWS: check the network",
        ),
        (aws.InvalidRegionError(region_name="a b"), DeployError, "^AWS cannot be asked: .*'a b'"),
    ],
)
def test_what_keeps_boto_from_asking_is_told_in_a_sentence(
    fault: Exception, kind: type[DeployError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence), translated("cloudformation"):
        raise fault


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """A machine that knows nothing of AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("_nobody")
def test_without_credentials_it_says_where_they_come_from() -> None:
    stacks = Stacks(clients("eu-west-1")("cloudformation"), Patience(lambda: 0, _never))
    with pytest.raises(NotLoggedIn, match="No AWS credentials were found: pass --profile, set AWS_PROFILE"):
        stacks.find("book")


@pytest.mark.usefixtures("_nobody")
def test_without_a_region_it_says_how_to_name_one() -> None:
    with pytest.raises(DeployError, match=r"^No region is named: pass --region, or set AWS_REGION\.$"):
        clients()("cloudformation")


@pytest.mark.usefixtures("_nobody")
def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(NotLoggedIn, match="no profile 'finance': pass --profile with one that"):
        clients("eu-west-1", "finance")


@pytest.mark.usefixtures("_nobody")
def test_a_network_that_is_not_there_is_told_without_an_address_that_may_hold_a_password() -> None:
    client = _client(f"http://user:hidden@127.0.0.1:{free_port()}")
    waited: list[float] = []
    with pytest.raises(Unreachable, match=r"^No connection to 127\.0\.0\.1: check the network, then run") as lost:
        Stacks(client, Patience(lambda: 0, waited.append)).find("book")
    assert waited == [2, 5, 10]
    assert "hidden" not in str(lost.value)


def _never(seconds: float) -> None:
    raise AssertionError("nothing is waited for")
