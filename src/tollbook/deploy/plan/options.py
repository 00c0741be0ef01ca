"""What `tollbook deploy` may be told, on the command line or in a team's `tollbook.toml`.

No option has a default here: what is not said stays as it is on the running stack, and is the template's default on a
new one. An empty text says that something shall not be set.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tollbook.core.errors import UsageError, why
from tollbook.core.settings import Setting, choice, module_and_name, whole
from tollbook.deploy.plan import limits

TEAM_FILE: Final = "tollbook.toml"
_TABLE: Final = "deploy"
_HELP: Final = f"'tollbook {_TABLE} --help'"
_SWITCH: Final = "yes|no"
YES: Final = "yes"


class Option(msgspec.Struct, frozen=True):
    """Something that a deployment may be told.

    Attributes:
        setting: its flags, how it is read and what it means. Its variable is the parameter: the environment says
            nothing here.
        parameter: of the template; empty for what is not CloudFormation's to know.
        table: of a team's file, which as a whole says the same as JSON would; empty where none does.
    """

    setting: Setting
    parameter: str = ""
    table: str = ""

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def is_switch(self) -> bool:
        """Whether the flag alone means yes."""
        return self.setting.metavar == _SWITCH


class Given(msgspec.Struct, frozen=True):
    """What was said of the options, as it would be written plainly: `yes` of `YES`, `a,b` of `a, b`.

    Attributes:
        parameters: by the template's names.
        others: by the settings' names.
    """

    parameters: Mapping[str, str]
    others: Mapping[str, str]


def given(options: Iterable[Option], flags: Mapping[str, str | None], team: Mapping[str, str]) -> Given:
    """What `flags` and `team`, by the settings' names, say of `options`; a flag goes before the team's file.

    Raises:
        UsageError: with every value that cannot be, each on a line that begins with its flag.
    """
    parameters: dict[str, str] = {}
    others: dict[str, str] = {}
    problems: list[str] = []
    for option in options:
        flag = flags.get(option.name)
        text = team.get(option.name) if flag is None else flag
        if text is None:
            continue
        try:
            text.encode()
            plain = _plain(text.strip(), option.setting.read) if text.strip() else ""
        except UnicodeEncodeError:
            problems.append(f"{option.setting.flag}: what is written there is not text in UTF-8. Type it anew.")
            continue
        except (ValueError, UsageError) as fault:
            problems.append(f"{option.setting.flag}: {fault}")
            continue
        if option.parameter:
            parameters[option.parameter] = plain
        else:
            others[option.name] = plain
    if problems:
        raise UsageError("The deployment cannot be planned:", problems)
    return Given(parameters, others)


def _plain(text: str, read: Callable[[str], Any]) -> str:
    """`text` in the form in which values are compared: an equal value changes nothing."""
    value = read(text)
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return text


def team_file(path: Path, options: Iterable[Option]) -> Mapping[str, str]:
    """What a team's file says, by the settings' names and as it would be written on the command line.

    Args:
        path: of a TOML file with a table `[deploy]`, in which flags stand without their dashes, and those of options
            that have one of their own.

    Raises:
        UsageError: the file cannot be read, is no TOML, or says something that is no option.
    """
    content = _toml(path)
    known = {flag.removeprefix("--"): option for option in options for flag in option.setting.flags}
    tables = {option.table: option for option in known.values() if option.table}
    read = " and ".join(f"[{name}]" for name in (_TABLE, *tables))
    others = [name for name in content if name not in (_TABLE, *tables)]
    problems = [f"[{name}] or {name} = …: only {read} are read." for name in others]
    table = content.get(_TABLE, {})
    said: dict[str, str] = {}
    keys: dict[str, str] = {}
    if not isinstance(table, dict):
        problems.append(f"{_TABLE}: a table is wanted; begin it with a line [{_TABLE}].")
        table = {}
    for key, value in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            problems.append(f"{key}: {_unknown(key, known)}.")
        elif option.name in keys:
            problems.append(f"{key}: it means the same as {keys[option.name]}; leave one of them out.")
        else:
            keys[option.name] = key
            try:
                said[option.name] = _written(value, option)
            except ValueError as fault:
                problems.append(f"{key}: {fault}")
    for name in (name for name in tables if name in content):
        option = tables[name]
        try:
            if option.name in keys:
                raise ValueError(f"{keys[option.name]} means the same; leave one of them out.")
            said[option.name] = _as_json(content[name])
        except ValueError as fault:
            problems.append(f"[{name}]: {fault}")
    if problems:
        raise UsageError(f"{path} cannot be used:", problems)
    return said


def _as_json(table: object) -> str:
    """In ASCII, as CloudFormation keeps it."""
    try:
        return json.dumps(table, separators=(",", ":"))
    except TypeError as fault:
        raise ValueError("dates and times mean nothing there; leave them out.") from fault


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise UsageError(f"{path} is not TOML: {fault}. Mend it, or move it away.") from fault
    except UnicodeDecodeError as fault:
        raise UsageError(f"{path} is not text in UTF-8. Write it anew.") from fault
    except OSError as fault:
        raise UsageError(f"Cannot read {path}: {why(fault)}.") from fault


def _unknown(key: str, known: Iterable[str]) -> str:
    name = key.replace("_", "-")
    if name in _OF_COMMAND:
        return f"it is for the command line alone; say --{name} there"
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"there is no such option; {near[0]} is one" if near else f"there is no such option; {_HELP} lists them"


def _written(value: object, option: Option) -> str:
    """A TOML value as one would type it."""
    if isinstance(value, bool) and option.is_switch:
        return YES if value else "no"
    if isinstance(value, bool):
        raise ValueError(f"{option.setting.metavar} is wanted, and not {str(value).lower()}, which is for switches.")
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(each, str | int) and not isinstance(each, bool) for each in value):
        parts = [str(each) for each in value]
        if not any("," in part for part in parts):
            return ",".join(parts)
        raise ValueError("no part of a list may have a comma in it.")
    raise ValueError("a text, a number, true, false or a list of texts is wanted.")


_OF_COMMAND: Final = frozenset({"config", "dry-run", "engine", "no-check", "permissions", "project", "yes"})
"""Flags that say how the command goes about it, and nothing of what is deployed."""
_NEEDLESS: Final = frozenset(
    {
        # Nothing listens on Lambda, and one instance has one invocation at a time.
        "TOLLBOOK_HOST",
        "PORT",
        "TOLLBOOK_WORKERS",
        "DRAIN_SECONDS",
        # For demonstrations and tests.
        "TOLLBOOK_NOW",
        # Another option says it: `--app`.
        "TOLLBOOK_APP",
        # The gateway lists scopes too, and cannot complete them: they are written out.
        "COGNITO_RESOURCE_ID",
        # The template knows them of its own resources, or fixes them.
        "AUTH_METHOD",
        "COGNITO_REGION",
        "PUBLIC_URL",
        "REQUEST_STATE_KEYS",
        "SESSION_STORE",
        "TOLLBOOK_BUCKET",
        "TOLLBOOK_METRICS",
    }
)
_TABLES: Final = {"TOLLBOOK_BUDGETS": "budgets"}
_OTHER_FLAGS: Final = {"COGNITO_ALLOWED_CLIENT_IDS": ("--cognito-client-ids",)}
_OTHER_NAMES: Final = {"TOLLBOOK_REGION": "default_region"}
"""`--region` is the stack's."""
_OTHER_WORDS: Final = {
    "ALLOWED_HOSTS": "Host headers that are served beside that of the server's URL, separated by commas",
    "COGNITO_ALLOWED_CLIENT_IDS": "the app clients whose tokens are accepted, separated by commas; needed with "
    "--cognito-user-pool-id; where a pool is made, they come beside the client that is made in it",
    "OAUTH_AUDIENCE": "whom a token must be meant for (default: the server's URL)",
    "TOLLBOOK_BUDGETS": "budgets that can be asked about, and that --budget-schedule checks: a TOML file with tables "
    "[budgets.NAME] (default: those of the team's file)",
    "TOLLBOOK_CLOSED_DAYS": "where days that are over are kept, so that they are read once: s3://BUCKET/PREFIX or none "
    "(default: the stack's bucket)",
    "TOLLBOOK_NAMES": "which models opaque ids stand for: a file in an image that you bring with --image-uri",
    "TOLLBOOK_PRICES": "rates of your own, which go before the price book's: a file in an image that you bring with "
    "--image-uri",
    "TOLLBOOK_REGIONS": "regions whose log groups are read, separated by commas (default: the stack's)",
}
"""Where a setting means something else than on one's own machine."""


def server_options(settings: Iterable[Setting]) -> tuple[Option, ...]:
    """The options that set variables of the server: of its `settings`, those that mean something on Lambda."""
    return tuple(_of_server(setting) for setting in settings if setting.variable not in _NEEDLESS)


def _of_server(setting: Setting) -> Option:
    parameter = parameter_of(setting.variable)
    ours = msgspec.structs.replace(
        setting,
        name=_OTHER_NAMES.get(setting.variable, setting.name),
        variable=parameter,
        what=_OTHER_WORDS.get(setting.variable, setting.what),
        default=None,
        other_flags=(*setting.other_flags, *_OTHER_FLAGS.get(setting.variable, ())),
        other_variables=(),
    )
    return Option(ours, parameter, _TABLES.get(setting.variable, ""))


def parameter_of(variable: str) -> str:
    """The template's parameter for a variable of the server: `SeesAll` for `SEES_ALL`."""
    return "".join(word.capitalize() for word in variable.split("_"))


def flag_of(parameter: str) -> str:
    """What one types to set a parameter of the template: `--sees-all` for `SeesAll`."""
    ours = next((option.setting.flag for option in OPTIONS if option.parameter == parameter), "")
    if ours:
        return ours
    names = {parameter_of(variable): name for variable, name in _OTHER_NAMES.items()}
    plain = re.sub(r"^Tollbook|(Seconds|Bytes)$", "", parameter)
    name = names.get(parameter) or re.sub(r"(?<=[a-z])(?=[A-Z])", "-", plain).lower()
    return f"--{name.replace('_', '-')}"


def _option(flag: str, parameter: str, metavar: str, read: Callable[[str], Any], what: str) -> Option:
    name = flag.removeprefix("--").replace("-", "_")
    return Option(Setting(name=name, variable=parameter, metavar=metavar, read=read, what=what), parameter)


def _switch(flag: str, parameter: str, what: str) -> Option:
    return _option(flag, parameter, _SWITCH, limits.yes_or_no, what)


PLACE: Final = (
    _option("--stack", "", "NAME", limits.stack_name, "the stack's name (default: the function's, else tollbook)"),
    _option("--region", "", "REGION", limits.region, "where it is, as boto3 finds it"),
    _option("--profile", "", "NAME", str, "whose credentials, as boto3 finds them"),
)
FUNCTION: Final = (
    _option(
        "--function-name",
        "FunctionName",
        "NAME",
        limits.function_name,
        "the function's name (default: the stack's)",
    ),
    _option(
        "--role-arn",
        "RoleArn",
        "ARN",
        limits.role_arn,
        "the server's role, if you bring one: deploy once without it, and copy the policy of the role that is made; or "
        "put together what 'tollbook iam server --table TABLE --bucket PLACE' and 'tollbook iam SOURCE' print, with "
        "logs:CreateLogStream and logs:PutLogEvents for the function's log group (default: one is made)",
    ),
    _option(
        "--policy-arns",
        "PolicyArns",
        "ARNS",
        limits.policy_arns,
        "managed policies that the role which is made has besides, separated by commas, such as for a server of your "
        "own",
    ),
    _option(
        "--image-uri",
        "ImageUri",
        "URI",
        limits.image_uri,
        "an image that is there already (default: it is built and pushed)",
    ),
    _option(
        "--app",
        "App",
        "MODULE:NAME",
        module_and_name,
        "a server of your own to serve in place of tollbook's, from the project in this folder",
    ),
    _option(
        "--architecture",
        "Architecture",
        "arm64|x86_64",
        choice("arm64", "x86_64"),
        "the processor that the image is for",
    ),
    _option("--memory", "MemorySize", "MB", limits.memory, "the function's memory; its share of CPU grows with it"),
    _option("--timeout", "Timeout", "S", limits.timeout, "when an invocation is ended"),
    _switch("--snap-start", "SnapStart", "start from a snapshot of a server that has started already"),
    _option(
        "--provisioned-concurrency",
        "ProvisionedConcurrency",
        "N",
        whole(0, 10_000),
        "instances that are always ready, which cost by the hour; not together with --snap-start",
    ),
    _option(
        "--log-retention-days", "LogRetentionDays", "DAYS", limits.retention, "how long the functions' logs are kept"
    ),
)
DOOR: Final = (
    _option("--api-gateway", "", _SWITCH, limits.always, "accepted and without effect: there always is an API Gateway"),
    _option(
        "--api-name",
        "ApiName",
        "NAME",
        limits.api_name,
        "the API's name (default: the stack's)",
    ),
    _option(
        "--stage-name",
        "StageName",
        "NAME",
        limits.stage_name,
        "the stage, which is the first part of the URL's path",
    ),
    _option("--throttle-rate", "ThrottleRate", "N", whole(1, 100_000), "requests a second, of everyone together"),
    _option("--throttle-burst", "ThrottleBurst", "N", whole(1, 100_000), "requests at once, of everyone together"),
    _switch("--access-logs", "AccessLogs", "a line for each request to the API; no token is in it"),
    _switch("--function-url", "FunctionUrl", "a function URL as a second door, at which the server alone asks"),
    _option(
        "--domain-name",
        "DomainName",
        "NAME",
        limits.domain_name,
        "a domain of your own, whose root the server then has",
    ),
    _option(
        "--certificate-arn",
        "CertificateArn",
        "ARN",
        limits.certificate_arn,
        "the domain's certificate, in the stack's region",
    ),
    _option(
        "--hosted-zone-id",
        "HostedZoneId",
        "ID",
        limits.zone_id,
        "where the domain's record is made (default: you make it)",
    ),
)
LOGIN: Final = (
    _option(
        "--auth-method",
        "AuthMethod",
        "oauth|lambda",
        choice("oauth", "lambda"),
        "who asks at the gateway: Cognito's authorizer (oauth) or tollbook's (lambda); the server asks again in either "
        "case (default: oauth where it can be)",
    ),
    _option(
        "--lambda-authorizer-name",
        "AuthorizerName",
        "NAME",
        limits.function_name,
        "the authorizer's name (default: made of the stack's)",
    ),
    _switch("--api-keys", "ApiKeys", "let programs in with keys of 'tollbook keys create'; needs lambda"),
    _option(
        "--login-prefix",
        "LoginPrefix",
        "PREFIX",
        limits.login_prefix,
        "of the login pages of a pool that is made here (default: the stack's name and the account)",
    ),
    _option(
        "--callback-urls",
        "CallbackUrls",
        "URLS",
        limits.callback_urls,
        "where logins of a pool that is made here may lead back to, separated by commas (default: those of Claude, "
        "Claude Code, Cursor, VS Code and 'tollbook login')",
    ),
    _option(
        "--first-user",
        "",
        "EMAIL",
        limits.email,
        "somebody to invite into a pool that is made here, and into its group finops",
    ),
)
ALARMS: Final = (
    _option(
        "--alarm-topic-arn",
        "AlarmTopicArn",
        "ARN",
        limits.topic_arn,
        "where alarms are sent, if you bring a topic",
    ),
    _option("--alarm-email", "AlarmEmail", "EMAIL", limits.email, "who is sent alarms"),
    _option(
        "--alarm-latency-ms",
        "AlarmLatencyMs",
        "MS",
        whole(1, 900_000),
        "the time of the slowest answer in a hundred that raises an alarm",
    ),
    _option(
        "--alarm-scan-usd",
        "AlarmScanUsd",
        "USD",
        limits.dollars,
        "the cost of reading logs in an hour that raises an alarm",
    ),
)
BUDGETS: Final = (
    _option(
        "--budget-schedule",
        "BudgetSchedule",
        "WHEN",
        limits.schedule,
        "when budgets are checked, in UTC: rate(1 day) or cron(0 6 * * ? *) (default: never)",
    ),
    _option("--budget-email", "BudgetEmail", "EMAIL", limits.email, "who is told where one is over its limit or near"),
)
GROUPS: Final = {
    "where": PLACE,
    "the function": FUNCTION,
    "the way in": DOOR,
    "who may come in": LOGIN,
    "alarms": ALARMS,
    "the check of budgets": BUDGETS,
}
"""By what they are about; beside them stand the server's own settings: `server_options`."""
OPTIONS: Final = tuple(option for group in GROUPS.values() for option in group)
