"""What a deployment may be told, and how it must be said."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.evaluation import parsed
from tollbook.app.deployed import EVERY_OPTION
from tollbook.core.errors import UsageError
from tollbook.deploy.plan.document import defaults
from tollbook.deploy.plan.options import OPTIONS, flag_of, given, team_file
from tollbook.deploy.template import template

ORIGINAL: Final = """
    --function-name --role-arn --bedrock-role-arn --region --memory --timeout --api-gateway --api-name --stage-name
    --auth-method --lambda-authorizer-name --cognito-user-pool-id --cognito-domain --cognito-client-ids --image-uri
""".split()  # noqa: SIM905 # as its README has them
DECIDED: Final = {"ApiLogRole", "FunctionUrlHost", "OwnPool"}
"""Parameters that nobody is asked for."""
BY_FLAG: Final = {flag: option for option in EVERY_OPTION for flag in option.setting.flags}


def said(*words: str) -> Any:
    """What `FLAG VALUE …` comes to."""
    flags = {BY_FLAG[flag].name: value for flag, value in zip(words[::2], words[1::2], strict=True)}
    return given(EVERY_OPTION, flags, {})


def refusal(*words: str) -> tuple[str, ...]:
    with pytest.raises(UsageError) as caught:
        said(*words)
    assert caught.value.message == "The deployment cannot be planned:"
    return caught.value.more


def test_every_option_of_the_original_is_one_here() -> None:
    assert set(ORIGINAL) <= BY_FLAG.keys()


def test_no_flag_and_no_parameter_means_two_things() -> None:
    assert max(Counter(flag for option in EVERY_OPTION for flag in option.setting.flags).values()) == 1
    assert max(Counter(option.parameter for option in EVERY_OPTION if option.parameter).values()) == 1
    assert max(Counter(option.name for option in EVERY_OPTION).values()) == 1


def test_each_parameter_of_the_template_can_be_told_or_is_decided_by_the_plan() -> None:
    told = {option.parameter for option in EVERY_OPTION if option.parameter}
    assert told | DECIDED == defaults(template()).keys()
    assert not told & DECIDED


def test_a_parameter_is_shown_by_the_flag_that_sets_it() -> None:
    told = {option.parameter: option.setting.flag for option in EVERY_OPTION if option.parameter}
    assert {parameter: flag_of(parameter) for parameter in told} == told


def test_no_option_says_what_holds_on_ones_own_machine_alone() -> None:
    for option in EVERY_OPTION:
        assert not re.search(r"--public-url|user's (cache|state) folder|loopback", option.setting.what), option.name


def test_a_door_that_is_always_there_cannot_be_left_out() -> None:
    (problem,) = refusal("--api-gateway", "no")
    assert problem.startswith("--api-gateway: there always is an API Gateway")


def test_a_stack_begins_with_a_letter() -> None:
    assert "that begins with a letter" in refusal("--stack", "1abc")[0]


@pytest.mark.parametrize("flag", ["--sees-all", "--profile", "--accounts"])
def test_what_is_not_text_is_refused(flag: str) -> None:
    assert refusal(flag, "group:\udcff") == (f"{flag}: what is written there is not text in UTF-8. Type it anew.",)


def test_no_option_brings_a_default_of_its_own() -> None:
    # What is not said must stay as it is on the running stack.
    assert [option.name for option in EVERY_OPTION if option.setting.default is not None] == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda each: each.name)
def test_an_option_takes_what_the_template_takes_and_no_more(option: Any) -> None:
    declared = parsed(template())["Parameters"].get(option.parameter, {})
    least, most, values = (declared.get(name) for name in ("MinValue", "MaxValue", "AllowedValues"))
    if declared.get("Type") == "Number" and least is not None:
        assert str(option.setting.read(str(max(least, 1)))) == str(max(least, 1))
        with pytest.raises(ValueError, match="is wanted"):
            option.setting.read(str(least - 1))
    if most is not None:
        option.setting.read(str(most))
        with pytest.raises(ValueError, match="is wanted"):
            option.setting.read(str(most + 1))
    for value in values or ():
        assert str(option.setting.read(str(value))) == str(value)
    if values:
        with pytest.raises(ValueError, match="is wanted"):
            option.setting.read("4")
    default = declared.get("Default")
    if default not in (None, "", 0):
        assert given([option], {option.name: str(default)}, {}).parameters == {option.parameter: str(default)}


@pytest.mark.parametrize(
    ("flag", "good", "bad"),
    [
        ("--function-name", "tollbook_1-x", "a b"),
        ("--function-name", "x" * 64, "x" * 65),
        ("--role-arn", "arn:aws:iam::123456789012:role/path/ours", "arn:aws:iam::123456789012:user/ours"),
        ("--policy-arns", "arn:aws:iam::aws:policy/One,arn:aws:iam::123456789012:policy/p/Two", "policy/One"),
        ("--image-uri", f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:{'0' * 64}", "python:3.13"),
        ("--image-uri", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a:v1", "public.ecr.aws/x/y:1"),
        ("--app", "my_pkg.server:app", "my-server:app"),
        ("--architecture", "x86_64", "riscv"),
        ("--memory", "10240", "511"),
        ("--memory", "2048", "2 GB"),
        ("--timeout", "900", "901"),
        ("--snap-start", "yes", "maybe"),
        ("--provisioned-concurrency", "10", "-1"),
        ("--log-retention-days", "3653", "31"),
        ("--api-name", "My API", "<b>"),
        ("--stage-name", "prod", "pro/d"),
        ("--throttle-rate", "1", "0"),
        ("--domain-name", "mcp.example.com", "https://mcp.example.com"),
        ("--domain-name", "xn--bcher-kva.example", "mcp_.example.com"),
        ("--certificate-arn", "arn:aws:acm:eu-west-1:123456789012:certificate/1-a", "certificate/1"),
        ("--hosted-zone-id", "Z0123456789ABCDEFGHIJ", "/hostedzone/Z1"),
        ("--auth-method", "lambda", "none"),
        ("--login-prefix", "our-books", "our--Books"),
        ("--login-prefix", "b" * 63, "b" * 64),
        ("--callback-urls", "http://localhost:1/callback,cursor://x/y", "https://a.example/#x"),
        ("--callback-urls", "https://a.example/cb", "http://a.example/cb"),
        ("--first-user", "cleo@example.com", "cleo"),
        ("--alarm-topic-arn", "arn:aws:sns:eu-west-1:123456789012:alarms", "alarms"),
        ("--alarm-email", "finops+aws@example.com", "finops@example"),
        ("--alarm-scan-usd", "0.50", "0"),
        ("--budget-schedule", "rate(1 day)", "rate(1 days)"),
        ("--budget-schedule", "rate(12 hours)", "rate(12 hour)"),
        ("--budget-schedule", "cron(0 6 * * ? *)", "0 6 * * *"),
        ("--budget-schedule", "cron(0 6 ? * MON-FRI *)", "cron(0 6 * * * *)"),
        ("--budget-schedule", "rate(1 minute)", "daily"),
        ("--budget-email", "finops@example.com", "finops"),
        ("--stack", "my-books", "1st"),
        ("--region", "us-gov-west-1", "Mars"),
        ("--cognito-client-ids", "one,two", "one two"),
        ("--sees-all", "group:finops", "finops"),
    ],
)
def test_a_value_that_aws_would_refuse_is_refused_before(flag: str, good: str, bad: str) -> None:
    taken = said(flag, good)
    assert good in (*taken.parameters.values(), *taken.others.values())
    (problem,) = refusal(flag, bad)
    assert problem.startswith(f"{BY_FLAG[flag].setting.flag}: ")
    assert "wanted" in problem or "must begin with https://" in problem


@pytest.mark.parametrize("word", ["aws", "amazon", "cognito"])
def test_a_login_prefix_with_a_word_that_cognito_keeps_to_itself_is_refused(word: str) -> None:
    assert refusal("--login-prefix", f"my-{word}-books") == (
        f"--login-prefix: Cognito takes no prefix with '{word}' in it, as 'my-{word}-books' has",
    )


def test_every_wrong_value_is_told_at_once() -> None:
    assert [problem.partition(":")[0] for problem in refusal("--memory", "1", "--timeout", "x")] == [
        "--memory",
        "--timeout",
    ]


def test_equal_values_are_written_alike() -> None:
    assert said("--snap-start", "YES", "--memory", "01024", "--cognito-client-ids", " a , b ").parameters == {
        "SnapStart": "yes",
        "MemorySize": "1024",
        "CognitoAllowedClientIds": "a,b",
    }


def test_an_empty_text_says_that_something_shall_not_be_set() -> None:
    assert said("--domain-name", "", "--memory", " ").parameters == {"DomainName": "", "MemorySize": ""}


def test_what_cloudformation_need_not_know_is_no_parameter() -> None:
    taken = said("--api-gateway", "yes", "--first-user", "cleo@example.com", "--stack", "x", "--region", "eu-west-1")
    assert taken.parameters == {}
    assert taken.others == {
        "api_gateway": "yes",
        "first_user": "cleo@example.com",
        "stack": "x",
        "region": "eu-west-1",
    }


class TestTheFileOfATeam:
    def read(self, path: Path, text: str) -> Any:
        file = path / "tollbook.toml"
        file.write_text(text, encoding="utf-8")
        return team_file(file, EVERY_OPTION)

    def problems(self, path: Path, text: str) -> tuple[str, ...]:
        with pytest.raises(UsageError) as caught:
            self.read(path, text)
        assert caught.value.message == f"{path / 'tollbook.toml'} cannot be used:"
        return caught.value.more

    def test_it_says_what_flags_say(self, tmp_path: Path) -> None:
        told = self.read(
            tmp_path,
            """
            [deploy]
            memory = 2048
            function_name = "ours"
            snap-start = true
            api-keys = false
            cognito-client-ids = ["first", "second"]
            alarm-scan-usd = 2.5
            domain-name = ""
            """,
        )
        taken = given(EVERY_OPTION, {}, told)
        assert taken.parameters == {
            "MemorySize": "2048",
            "FunctionName": "ours",
            "SnapStart": "yes",
            "ApiKeys": "no",
            "CognitoAllowedClientIds": "first,second",
            "AlarmScanUsd": "2.5",
            "DomainName": "",
        }

    def test_a_flag_goes_before_it(self, tmp_path: Path) -> None:
        told = self.read(tmp_path, "[deploy]\nmemory = 2048\ntimeout = 60\n")
        assert given(EVERY_OPTION, {"memory": "1024"}, told).parameters == {"MemorySize": "1024", "Timeout": "60"}

    def test_an_empty_one_says_nothing(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, "") == {}

    def test_what_is_no_option_is_named_with_what_may_be_meant(self, tmp_path: Path) -> None:
        assert self.problems(tmp_path, "[deploy]\nmemroy = 1\nxyzzy = 2\n") == (
            "memroy: there is no such option; memory is one.",
            "xyzzy: there is no such option; 'tollbook deploy --help' lists them.",
        )

    def test_a_switch_alone_is_true_or_false(self, tmp_path: Path) -> None:
        assert self.problems(tmp_path, "[deploy]\nmemory = true\n") == (
            "memory: MB is wanted, and not true, which is for switches.",
        )

    @pytest.mark.parametrize("name", ["engine", "project", "dry_run", "yes"])
    def test_what_says_how_the_command_goes_about_it_is_not_for_a_team(self, tmp_path: Path, name: str) -> None:
        flag = name.replace("_", "-")
        assert self.problems(tmp_path, f'[deploy]\n{name} = "x"\n') == (
            f"{name}: it is for the command line alone; say --{flag} there.",
        )

    def test_the_same_under_two_names_is_refused(self, tmp_path: Path) -> None:
        text = '[deploy]\ncognito-client-ids = "a"\ncognito-allowed-client-ids = "b"\n'
        assert self.problems(tmp_path, text) == (
            "cognito-allowed-client-ids: it means the same as cognito-client-ids; leave one of them out.",
        )

    def test_another_table_is_named(self, tmp_path: Path) -> None:
        assert self.problems(tmp_path, "memory = 1\n[server]\nport = 1\n") == (
            "[memory] or memory = …: only [deploy] and [budgets] are read.",
            "[server] or server = …: only [deploy] and [budgets] are read.",
        )
        assert self.problems(tmp_path, "deploy = 1\n") == ("deploy: a table is wanted; begin it with a line [deploy].",)

    def test_its_budgets_are_said_as_json(self, tmp_path: Path) -> None:
        said = self.read(
            tmp_path, '[budgets.all]\nusd = 100\nwarn = 0.5\n[budgets.t]\nusd = 1\ntag = {team = "\u00fc"}\n'
        )
        assert json.loads(said["budgets"]) == {
            "all": {"usd": 100, "warn": 0.5},
            "t": {"usd": 1, "tag": {"team": "\u00fc"}},
        }
        assert said["budgets"].isascii()
        plain = given(EVERY_OPTION, {}, said)
        assert plain.parameters == {"TollbookBudgets": said["budgets"]}

    def test_budgets_that_cannot_be_used_are_told_by_name_and_key(self, tmp_path: Path) -> None:
        said = self.read(tmp_path, "[budgets.all]\nusd = 100\nmodels = 3\n")
        with pytest.raises(UsageError, match=r"--budgets: .* budgets\.all: There is no key models"):
            given(EVERY_OPTION, {}, said)
        assert self.problems(tmp_path, "[budgets.all]\nusd = 2026-01-01\n") == (
            "[budgets]: dates and times mean nothing there; leave them out.",
        )
        assert self.problems(tmp_path, "[deploy]\nbudgets = 'b.toml'\n[budgets.all]\nusd = 1\n") == (
            "[budgets]: budgets means the same; leave one of them out.",
        )

    @pytest.mark.parametrize("value", ["{a = 1}", "2026-01-01", '[["a"]]', "[true]"])
    def test_a_value_that_nobody_could_type_is_refused(self, tmp_path: Path, value: str) -> None:
        assert self.problems(tmp_path, f"[deploy]\nmemory = {value}\n") == (
            "memory: a text, a number, true, false or a list of texts is wanted.",
        )

    def test_a_comma_within_a_part_of_a_list_is_refused(self, tmp_path: Path) -> None:
        assert self.problems(tmp_path, '[deploy]\ncallback-urls = ["a,b"]\n') == (
            "callback-urls: no part of a list may have a comma in it.",
        )

    def test_one_that_is_no_toml_is_refused_with_the_line(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"is not TOML: .*at line 2, column \d+.*Mend it, or move it away\."):
            self.read(tmp_path, "[deploy]\nmemory = \n")

    def test_one_that_cannot_be_read_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"^Cannot read .*missing\.toml: no such file or directory\.$"):
            team_file(tmp_path / "missing.toml", EVERY_OPTION)
        (tmp_path / "bytes.toml").write_bytes(b"\xff")
        with pytest.raises(UsageError, match=r"is not text in UTF-8\. Write it anew\.$"):
            team_file(tmp_path / "bytes.toml", EVERY_OPTION)
