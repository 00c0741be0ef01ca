"""The query language of CloudWatch Logs Insights, as much of it as tollbook writes, run over events.

It runs a query from its text, so that a wrong one gives wrong numbers. The rules stand on these pages of AWS; where
they are silent, it does what helps a query least:

- The first 200 fields of a JSON event are extracted, in their order; nested ones with dots, those of lists by number;
  none at all in a group of the class Infrequent Access.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
- Names with other characters than letters, digits, `@`, `.` and `_` stand in backticks.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
- `parse` with a regular expression: named groups become fields; an event that does not match goes on without them.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Parse.html
- `count(*)`, `count(field)` of events that have it, `sum`; `by`; after `stats` there is nothing but its results.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Stats.html
- `limit`: 10,000 rows if none is given, at most 100,000; what is beyond it is gone without a word.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Limit.html
- Functions, operators, `bin` in UTC, `jsonParse` with `map.name`, ``map.`name` `` and `list[0]`.
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html

Not on a page, but seen by others: a name that is made twice is refused, and what a command makes is known only to the
next. Null makes null of whatever it meets, but for `coalesce`; a text is no number until it is added to one.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Value = Any
"""What a field holds: a text, a number, a map, a list, or None where it does not exist."""

_FIELDS: Final = 200


class Malformed(Exception):
    """A query that AWS would refuse."""


_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<regex>/(?:\\.|[^/\\\n])+/)
      | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<number>\d+(?:\.\d+)?(?![\w@]))
      | (?P<name>(?:[A-Za-z@_][\w@]*|`[^`\n]+`)(?:\.(?:[\w@]+|`[^`\n]+`)|\[\d+\])*)
      | (?P<period>\d+(?:ms|s|m|h|d))
      | (?P<sign><=|>=|!=|=~|[-+*/^%(),=<>|])
    )""",
    re.VERBOSE,
)
_NOT_A_REGEX: Final = re.compile(_TOKEN.pattern.replace("(?P<regex>/(?:", "(?P<regex>(?!)/(?:", 1), re.VERBOSE)
_PATTERN_FOLLOWS: Final = ("like", "=~")


@dataclass(frozen=True)
class Token:
    kind: str
    text: str


def tokens(query: str) -> list[Token]:
    """The words of a query. `/` begins a pattern after `like`, `=~` and the field of a `parse`; else it divides."""
    found: list[Token] = []
    position = 0
    while query[position:].strip():
        last = [token.text for token in found[-2:]]
        has_pattern = bool(last) and (last[-1] in _PATTERN_FOLLOWS or last[0] == "parse")
        match = (_TOKEN if has_pattern else _NOT_A_REGEX).match(query, position)
        if not match or not match.lastgroup:
            raise Malformed(f"unexpected symbol at {query[position : position + 20]!r}")
        found.append(Token(match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class Event:
    """One log event, and what a query made of it. Fields are worked out when they are asked for."""

    def __init__(self, time: int, message: str, discovers: bool, parses: bool) -> None:
        """
        Args:
            time: in milliseconds since 1970.
            discovers: fields of JSON are extracted.
            parses: `jsonParse` gets at what is beyond them.
        """
        self.made: dict[str, Callable[[Event], Value]] = {}
        self._given = {"@timestamp": time, "@message": message}
        self._known: dict[str, Value] = {}
        self._discovers, self.parses = discovers, parses
        self._extracted: dict[str, Value] | None = None

    def __getitem__(self, name: str) -> Value:
        """What commands made."""
        if name not in self._known:
            make = self.made.get(name)
            self._known[name] = None if make is None else make(self)
        return self._known[name]

    def extracted(self, name: str) -> Value:
        """What was in the event."""
        if name in self._given:
            return self._given[name]
        if self._extracted is None:
            value = _json(str(self._given["@message"])) if self._discovers else None
            pairs = _flat("", value) if isinstance(value, dict) else iter(())
            self._extracted = dict(pair for pair, _ in zip(pairs, range(_FIELDS), strict=False))
        return self._extracted.get(name)


def _json(text: str) -> Value:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _flat(name: str, value: Value) -> Iterator[tuple[str, Value]]:
    """Each field of a JSON value, in order, with its whole name."""
    prefix = f"{name}." if name else ""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{prefix}{key}", each)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _flat(f"{prefix}{number}", each)
    else:
        yield name, value


Expression = Callable[[Event], Value]


class Parser:
    """Expressions and commands, from tokens."""

    def __init__(self, query: str) -> None:
        self._tokens = tokens(query)
        self._place = 0
        self._made: set[str] = set()

    # Tokens.

    @property
    def next(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    def take(self, *kinds: str) -> str:
        if self._place >= len(self._tokens) or (kinds and self._tokens[self._place].kind not in kinds):
            raise Malformed(f"unexpected symbol {self.next!r}")
        self._place += 1
        return self._tokens[self._place - 1].text

    def takes(self, *words: str) -> bool:
        if self.next.lower() in words:
            self._place += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.takes(word):
            raise Malformed(f"expected {word!r} and found {self.next!r}")

    # Commands.

    def commands(self) -> list["Command"]:
        found = [self.command()]
        while self.takes("|"):
            found.append(self.command())
        if self.next:
            raise Malformed(f"unexpected symbol {self.next!r}")
        return found

    def command(self) -> "Command":
        word = self.take("name").lower()
        if word not in ("filter", "parse", "fields", "stats", "sort", "limit"):
            raise Malformed(f"unknown command {word!r}")
        made: Command = getattr(self, word)()
        return made

    def filter(self) -> "Command":
        return Filter(self.expression())

    def parse(self) -> "Command":
        source = self.field(self.take("name"))
        pattern = re.compile(self.take("regex")[1:-1].replace("(?<", "(?P<"))
        for name in pattern.groupindex:
            self.makes(name)
        return Parse(source, pattern)

    def fields(self) -> "Command":
        found = {}
        while True:
            start = self._place
            expression = self.expression()
            if self.takes("as"):
                found[self.take("name")] = expression
            elif self._place != start + 1:
                raise Malformed("an expression of `fields` without a name")
            if not self.takes(","):
                break
        for name in found:
            self.makes(name)
        return Fields(found)

    def stats(self) -> "Command":
        sums: dict[str, Sum] = {}
        while True:
            word = self.take("name").lower()
            if word not in ("count", "sum"):
                raise Malformed(f"unknown aggregation {word!r}")
            self.expect("(")
            of = None if word == "count" and self.takes("*") else self.expression()
            self.expect(")")
            self.expect("as")
            name = self.take("name")
            self.makes(name)
            sums[name] = Sum(word, of)
            if not self.takes(","):
                break
        by: dict[str, Expression] = {}
        if self.takes("by"):
            while True:
                start = self._place
                expression = self.expression()
                text = self._tokens[start].text
                if self.takes("as"):
                    text = self.take("name")
                    self.makes(text)
                by[self.name_of(text)] = expression
                if not self.takes(","):
                    break
        return Stats(sums, by)

    def sort(self) -> "Command":
        name = self.name_of(self.take("name"))
        return Sort(name, is_reversed=not self.takes("asc") and (self.takes("desc") or True))

    def limit(self) -> "Command":
        number = int(self.take("number"))
        if not 0 < number <= 100_000:
            raise Malformed("limit must be from 1 to 100000")
        return Limit(number)

    def makes(self, name: str) -> None:
        if name in self._made:
            raise Malformed(f"Ephemeral field is already defined: {name}")
        self._made.add(name)

    # Expressions, by what binds least.

    def expression(self) -> Expression:
        left = self.conjunction()
        while self.takes("or"):
            left = _either(left, self.conjunction())
        return left

    def conjunction(self) -> Expression:
        left = self.comparison()
        while self.takes("and"):
            left = _both(left, self.comparison())
        return left

    def comparison(self) -> Expression:
        if self.takes("not"):
            inner = self.comparison()
            return lambda event: not inner(event)
        left = self.sum()
        if self.takes("like", "=~"):
            pattern = re.compile(self.take("regex")[1:-1])
            return lambda event: isinstance(left(event), str) and bool(pattern.search(left(event)))
        if self.next in _COMPARED:
            return _compared(self.take("sign"), left, self.sum())
        return left

    def sum(self) -> Expression:
        left = self.product()
        while self.next in ("+", "-"):
            left = _arithmetic(self.take("sign"), left, self.product())
        return left

    def product(self) -> Expression:
        left = self.atom()
        while self.next in ("*", "/", "%"):
            left = _arithmetic(self.take("sign"), left, self.atom())
        return left

    def atom(self) -> Expression:
        if self.takes("("):
            inner = self.expression()
            self.expect(")")
            return inner
        token = Token(self._tokens[self._place].kind, self.next) if self.next else Token("", "")
        if token.kind == "number":
            number = float(self.take()) if "." in token.text else int(self.take())
            return lambda event: number
        if token.kind == "text":
            text = re.sub(r"\\(.)", r"\1", self.take()[1:-1])
            return lambda event: text
        name = self.take("name")
        if self.takes("("):
            return self.call(name)
        return self.field(name)

    def call(self, name: str) -> Expression:
        if name.lower() == "bin":
            length = _millis(self.take("period"))
            self.expect(")")
            return lambda event: Instant(event.extracted("@timestamp") // length * length)
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            raise Malformed(f"unknown function {name!r}")
        given = []
        while not self.takes(")"):
            given.append(self.expression())
            if self.next != ")":
                self.expect(",")
        return lambda event: function(event, given)

    def field(self, name: str) -> Expression:
        """A field; or, where its first part was made by `jsonParse`, a member of a map or of a list."""
        whole = self.name_of(name)
        head, *rest = _parts(name)
        if head in self._made:
            return lambda event: _member(event[head], rest)
        if "[" in name:
            raise Malformed(f"{name}: only a list has members in brackets")
        return lambda event: event.extracted(whole)

    @staticmethod
    def name_of(name: str) -> str:
        return "".join(f".{part}" for part in _parts(name))[1:]


def _parts(name: str) -> list[str]:
    found = re.findall(r"`([^`]+)`|\[(\d+)\]|([\w@]+)", name)
    return [quoted or number or plain for quoted, number, plain in found]


def _member(value: Value, path: Sequence[str]) -> Value:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            return None
    return value


def _millis(period: str) -> int:
    """A period; each unit has a largest number, to which a larger one is cut."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", period).groups()  # type: ignore[union-attr]
    length, most = {"ms": (1, 1000), "s": (1000, 60), "m": (60_000, 60), "h": (3_600_000, 24)}[unit]
    return min(int(number), most) * length


@dataclass(frozen=True)
class Instant:
    """A timestamp, in milliseconds since 1970."""

    millis: int

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.millis / 1000, UTC):%Y-%m-%d %H:%M:%S}.{self.millis % 1000:03d}"


def _number(value: Value) -> int | float | None:
    """A number, or what a text says of one; maps and lists are null."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if "." in str(value) else int(str(value))
    except ValueError:
        return None


_COMPARED: Final = ("=", "!=", "<", "<=", ">", ">=")


def _compared(sign: str, left: Expression, right: Expression) -> Expression:
    def compare(event: Event) -> bool:
        a, b = left(event), right(event)
        if isinstance(a, dict | list) or isinstance(b, dict | list) or a is None or b is None:
            return False
        if _number(a) is not None and _number(b) is not None:
            a, b = _number(a), _number(b)
        elif sign not in ("=", "!="):
            return False
        found: bool = {
            "=": lambda: a == b,
            "!=": lambda: a != b,
            "<": lambda: a < b,
            "<=": lambda: a <= b,
            ">": lambda: a > b,
            ">=": lambda: a >= b,
        }[sign]()
        return found

    return compare


def _arithmetic(sign: str, left: Expression, right: Expression) -> Expression:
    operation: Callable[[Any, Any], Any] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b if b else None,
        "%": lambda a, b: a % b if b else None,
    }[sign]

    def work(event: Event) -> Value:
        a, b = _number(left(event)), _number(right(event))
        return None if a is None or b is None else operation(a, b)

    return work


def _either(left: Expression, right: Expression) -> Expression:
    return lambda event: bool(left(event)) or bool(right(event))


def _both(left: Expression, right: Expression) -> Expression:
    return lambda event: bool(left(event)) and bool(right(event))


def _coalesce(event: Event, given: Sequence[Expression]) -> Value:
    return next((value for each in given if (value := each(event)) is not None), None)


def _of_numbers(choose: Callable[[Any], Any]) -> Callable[[Event, Sequence[Expression]], Value]:
    """A function of numbers. A text is none to it: only arithmetic makes one of a text."""

    def function(event: Event, given: Sequence[Expression]) -> Value:
        values = [each(event) for each in given]
        are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        return choose(values) if are_numbers else None

    return function


def _strlen(event: Event, given: Sequence[Expression]) -> Value:
    text = given[0](event)
    return len(text) if isinstance(text, str) else None


def _strcontains(event: Event, given: Sequence[Expression]) -> Value:
    text, part = (each(event) for each in given)
    return int(part in text) if isinstance(text, str) and isinstance(part, str) else None


def _json_parse(event: Event, given: Sequence[Expression]) -> Value:
    value = _json(given[0](event)) if event.parses else None
    return value if isinstance(value, dict | list) else None


_FUNCTIONS: Final[Mapping[str, Callable[[Event, Sequence[Expression]], Value]]] = {
    "coalesce": _coalesce,
    "greatest": _of_numbers(max),
    "ispresent": lambda event, given: given[0](event) is not None,
    "jsonparse": _json_parse,
    "least": _of_numbers(min),
    "strcontains": _strcontains,
    "strlen": _strlen,
    "tomillis": _of_numbers(max),
}


class Command:
    """One step of a query."""

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        raise NotImplementedError


@dataclass
class Filter(Command):
    condition: Expression

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        return (event for event in events if self.condition(event))


@dataclass
class Parse(Command):
    source: Expression
    pattern: re.Pattern[str]

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            found: dict[str, Value] = {}

            def look(event: Event, found: dict[str, Value] = found) -> dict[str, Value]:
                if not found:
                    text = self.source(event)
                    match = self.pattern.search(text) if isinstance(text, str) else None
                    found |= match.groupdict() if match else dict.fromkeys(self.pattern.groupindex)
                return found

            for name in self.pattern.groupindex:
                event.made[name] = lambda event, name=name, look=look: look(event)[name]  # type: ignore[misc]
            yield event


@dataclass
class Fields(Command):
    made: Mapping[str, Expression]

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            event.made.update(self.made)
            yield event


@dataclass
class Sum:
    kind: str
    of: Expression | None

    def start(self) -> list[Any]:
        return [0 if self.kind == "count" else None]

    def add(self, state: list[Any], event: Event) -> None:
        value = True if self.of is None else self.of(event)
        if self.kind == "count":
            state[0] += value is not None
        elif (number := _number(value)) is not None:
            state[0] = number if state[0] is None else state[0] + number


@dataclass
class Stats(Command):
    sums: Mapping[str, Sum]
    by: Mapping[str, Expression]
    matched: int = 0

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        groups: dict[tuple[Value, ...], list[list[Any]]] = {}
        for event in events:
            self.matched += 1
            key = tuple(_scalar(each(event)) for each in self.by.values())
            states = groups.setdefault(key, [each.start() for each in self.sums.values()])
            for each, state in zip(self.sums.values(), states, strict=True):
                each.add(state, event)
        for key, states in groups.items():
            row = Event(0, "", discovers=False, parses=False)
            values = {
                **dict(zip(self.by, key, strict=True)),
                **{n: s[0] for n, s in zip(self.sums, states, strict=True)},
            }
            row.made = {name: lambda event, value=value: value for name, value in values.items()}  # type: ignore[misc]
            yield row


def _scalar(value: Value) -> Value:
    if isinstance(value, dict | list):
        raise Malformed("maps and lists cannot be grouped by")
    return value


@dataclass
class Sort(Command):
    name: str
    is_reversed: bool

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        return iter(sorted(events, key=lambda event: str(event[self.name]), reverse=self.is_reversed))


@dataclass
class Limit(Command):
    number: int

    def run(self, events: Iterator[Event]) -> Iterator[Event]:
        return (event for event, _ in zip(events, range(self.number), strict=False))


@dataclass
class Result:
    """What a query comes to: rows of names and texts."""

    rows: list[list[dict[str, str]]]
    matched: int


def check(query: str) -> None:
    """
    Raises:
        Malformed: it cannot be run.
    """
    Parser(query).commands()


def run(query: str, events: Iterator[Event]) -> Result:
    """Runs a query that ends in rows of `stats`.

    Raises:
        Malformed: it cannot be run.
    """
    commands = Parser(query).commands()
    stats = [command for command in commands if isinstance(command, Stats)]
    if len(stats) != 1:
        raise Malformed("this fake runs queries with one stats command")
    if not any(isinstance(command, Limit) for command in commands):
        commands.append(Limit(10_000))
    for command in commands:
        events = command.run(events)
    names = [*stats[0].by, *stats[0].sums]
    rows = [[{"field": name, "value": str(row[name])} for name in names if row[name] is not None] for row in events]
    return Result(rows, stats[0].matched)
