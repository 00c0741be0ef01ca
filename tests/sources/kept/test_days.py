"""A kept day: what it answers, what it is found by, and what is made of bytes that are no such day."""

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs import ACCOUNT, SONNET, call, lines
from tests.sources.kept.conftest import DAY, DAY_S, NOON, PLACE, a_day, kept_days, row_of
from tollbook.sources.kept.days import (
    LARGEST,
    KeptDay,
    Key,
    counted_of,
    counts_alike,
    decoded,
    encoded,
    kept_of,
    key_of,
)
from tollbook.sources.reading import Place, Taken
from tollbook.spend import prices
from tollbook.spend.ledger import ledger_query
from tollbook.spend.model import Named
from tollbook.spend.query import Query
from tollbook.spend.record import PERMISSION_LINE, Reason
from tollbook.spend.render.machine import as_json
from tollbook.spend.report import report_of
from tollbook.spend.tally import Counted, Tally
from tollbook.spend.usage import Usage
from tollbook.spend.window import Window, zone_of

KEY: Final = key_of(PLACE, DAY, False, ("team",))
MIDNIGHT: Final = datetime(2026, 11, 20, tzinfo=UTC)
MIDNIGHT_S: Final = int(MIDNIGHT.timestamp())
WHOLE: Final = Window(MIDNIGHT, MIDNIGHT + timedelta(days=1), zone_of("UTC"))
PROFILE: Final = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/abc"
Logged = Callable[[], str]


def counted(records: list[Any], query: Query) -> Counted:
    seen: set[int] = set()

    def claim(hashes: list[int]) -> list[bool]:
        return [not (each in seen or seen.add(each)) for each in hashes]  # type: ignore[func-returns-value]

    tally = Tally(query, claim)
    tally.read(lines(records))
    return tally.counted()


def a_log() -> list[Any]:
    """Of one day: copies, broken lines, and calls without tokens among the records."""
    one = call(timestamp="2026-11-20T03:15:00Z", requestMetadata={"team": "search"})
    broken = [PERMISSION_LINE.decode(), "broken", "{}", call(timestamp="never")]
    return [one, one, call(tokens=(None, None)), call(errorCode="ThrottlingException"), *broken]


def taken(records: list[Any], notes: tuple[str, ...] = ()) -> Taken:
    query = ledger_query(MIDNIGHT, MIDNIGHT + timedelta(days=1), KEY.tags)
    return Taken(counted(records, query), notes, bytes=1234)


def kept(records: list[Any], names: dict[str, Named] | None = None) -> KeptDay:
    return kept_of(taken(records, ("a note",)), KEY, engine="Insights", blind_to=("tags",), read_at=NOON, names=names)


def again(day: KeptDay, key: Key = KEY) -> KeptDay:
    """The day, written down and read."""
    blob = encoded(key, day)
    assert blob is not None
    found = decoded(key, blob)
    assert found is not None
    return found


class TestAnswers:
    def test_of_a_day_that_was_kept_are_those_of_its_records(self) -> None:
        query = Query(WHOLE, ("hour", "model", "principal", "error", "tag:team"))
        day = again(kept(a_log()))
        said = [
            as_json(report_of(each, query, query.by, prices.load(), {}))
            for each in (counted_of(day, query), counted(a_log(), query))
        ]
        assert said[0] == said[1]
        assert '"duplicates": 1' in said[0]
        assert all(f'"{reason}": 1' in said[0] for reason in (Reason.NOT_JSON, Reason.BAD_TIMESTAMP))

    def test_what_was_known_of_the_reading_is_kept_with_it(self) -> None:
        day = again(kept(a_log()))
        assert (day.day, day.tags, day.quarters, day.engine, day.blind_to, day.notes, day.bytes, day.read_at) == (
            DAY,
            ("team",),
            False,
            "Insights",
            ("tags",),
            ("a note",),
            1234,
            NOON,
        )
        assert (day.duplicates, day.tokenless, day.permission_lines) == (1, 1, 1)
        assert day.rejected == {Reason.NOT_JSON: 1, Reason.NOT_AN_INVOCATION: 1, Reason.BAD_TIMESTAMP: 1}

    def test_tell_of_a_day_that_the_window_cuts_all_that_is_no_row(self) -> None:
        half = Query(Window(MIDNIGHT + timedelta(hours=9), None, zone_of("UTC")), ("day",))
        part = counted_of(kept(a_log()), half)
        assert sum(row.usage.calls for row in part.rows()) == 1
        assert (part.duplicates, part.tokenless, part.permission_lines) == (1, 1, 1)
        assert sum(part.rejected.values()) == 3

    @pytest.mark.parametrize(
        ("since", "until"), [(WHOLE.until, None), (None, WHOLE.since), (WHOLE.until, MIDNIGHT + timedelta(days=9))]
    )
    def test_tell_nothing_of_a_day_outside_of_the_window(self, since: datetime | None, until: datetime | None) -> None:
        nothing = counted_of(kept(a_log()), Query(Window(since, until, zone_of("UTC")), ("day",)))
        assert nothing == Counted()

    def test_are_not_made_up_of_hours_where_quarters_are_needed(self) -> None:
        query = Query(Window(None, None, zone_of("Asia/Kolkata")), ("day",))
        with pytest.raises(ValueError, match="quarters"):
            counted_of(kept(a_log()), query)
        fine = msgspec.structs.replace(kept(a_log()), quarters=True)
        assert sum(row.usage.calls for row in counted_of(fine, query).rows()) == 2

    def test_change_when_an_opaque_id_turns_out_to_be_of_openai(self) -> None:
        """Whose input counts hold the cached tokens, too."""
        openai, other = {PROFILE: Named("openai.gpt-oss-120b-1:0")}, {PROFILE: Named(SONNET)}
        blind, knowing = (again(kept([call(model=PROFILE)], names)) for names in (None, openai))
        assert (counts_alike(blind, {}), counts_alike(blind, other), counts_alike(blind, openai)) == (True, True, False)
        assert (counts_alike(knowing, openai), counts_alike(knowing, {})) == (True, False)


class TestTheName:
    @pytest.mark.parametrize(
        "name", ["../../../x", "a/../b", "s3://b/p//", "/", "", "ü\n\0\\%2e%2e", "x" * 2000, "a|b"]
    )
    def test_of_any_place_stays_in_its_folder_and_tells_account_region_and_day(self, name: str) -> None:
        found = key_of(Place(ACCOUNT, "us-east-1", name), DAY, True, ("../a", "b")).name
        assert re.fullmatch(r"v1/111122223333/us-east-1/2026-11-20/[A-Za-z0-9-]{0,60}\.[0-9a-f]{32}", found)

    def test_shows_the_log_group(self) -> None:
        assert "/aws-bedrock-modelinvocations." in KEY.name

    def test_is_the_same_in_every_version_that_reads_what_this_one_keeps(self) -> None:
        assert KEY.name == (
            "v1/111122223333/us-east-1/2026-11-20/aws-bedrock-modelinvocations.422f8aa3308fa1ae8e73496615f260b2"
        )

    @pytest.mark.parametrize(
        "place",
        [
            Place("", "us-east-1", "/aws/bedrock/modelinvocations"),
            Place("", "us-east-1", "database.table"),
            Place("1234", "us-east-1", "s3://bucket"),
            Place("../../../../", "us-east-1", "x"),
            Place(f"{ACCOUNT}\n", "us-east-1", "x"),
            Place(ACCOUNT, "", "x"),
            Place(ACCOUNT, "../eu", "x"),
        ],
    )
    def test_is_not_given_where_two_accounts_could_share_it(self, place: Place) -> None:
        with pytest.raises(ValueError, match="kept by"):
            key_of(place, DAY, False, ())

    def test_of_a_bucket_needs_no_account(self) -> None:
        assert key_of(Place("", "us-east-1", "s3://bucket/p"), DAY, False, ()).name.startswith("v1/any/us-east-1/")


class TestBytes:
    @settings(max_examples=150, deadline=None)
    @given(kept_days())
    def test_are_the_same_for_the_same_day_and_give_it_back(self, entry: tuple[Key, KeptDay]) -> None:
        key, day = entry
        assert again(day, key) == day
        assert encoded(key, day) == encoded(key, again(day, key))

    def test_tell_neither_when_they_were_written_nor_in_what_order_things_were_counted(self) -> None:
        numbers = [(Reason.NOT_JSON, 1), (Reason.BAD_TIMESTAMP, 2)]
        days = [msgspec.structs.replace(a_day(KEY), rejected=dict(each)) for each in (numbers, numbers[::-1])]
        one, other = (encoded(KEY, day) or b"" for day in days)
        assert one == other
        assert one[28:32] == bytes(4)  # RFC 1952 §2.3.1: MTIME = 0 means no time stamp is available

    def test_of_many_rows_are_few(self) -> None:
        blob = encoded(KEY, a_day(KEY, rows=20_000))
        assert blob is not None
        assert len(blob) < 1_000_000

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_that_were_damaged_anywhere_are_no_day(self, data: st.DataObject) -> None:
        blob = bytearray(encoded(KEY, a_day(KEY, rows=3)) or b"")
        place = data.draw(st.integers(0, len(blob) - 1))
        blob[place] ^= data.draw(st.integers(1, 255))
        assert decoded(KEY, bytes(blob)) is None
        assert decoded(KEY, bytes(blob[:place])) is None

    @given(st.binary(max_size=300))
    def test_of_anything_else_are_no_day(self, blob: bytes) -> None:
        assert decoded(KEY, blob) is None
        assert decoded(KEY, gzip.compress(blob)) is None
        assert decoded(KEY, enveloped(blob)) is None

    def test_that_cannot_be_used_are_told_of_without_what_they_hold(self, logged: Logged) -> None:
        secret = b"who-spent-what"
        assert decoded(KEY, secret) is None
        assert decoded(KEY, enveloped(msgspec.msgpack.encode([secret]))) is None
        assert logged().count("cannot be used, and is read anew") == 2
        assert secret.decode() not in logged()

    def test_of_another_key_are_no_day_of_this_one(self) -> None:
        """As when someone copies an object, or a row, to another name."""
        for other in (
            key_of(PLACE, DAY + timedelta(days=1), False, ("team",)),
            key_of(PLACE, DAY, False, ("cost",)),
            key_of(Place("444455556666", "us-east-1", PLACE.name), DAY, False, ("team",)),
        ):
            blob = encoded(other, a_day(other))
            assert blob is not None
            assert decoded(other, blob)
            assert decoded(KEY, blob) is None

    def test_of_a_later_form_are_no_day(self) -> None:
        blob = encoded(KEY, a_day(KEY)) or b""
        assert blob.startswith(b"tollday1")
        assert decoded(KEY, b"tollday2" + blob[8:]) is None

    def test_that_swell_are_given_up_in_time(self) -> None:
        written = opened(encoded(KEY, a_day(KEY)) or b"")
        written[1]["notes"] = ["x" * LARGEST]
        blob = enveloped(msgspec.msgpack.encode(written))
        assert len(blob) < LARGEST // 100
        assert decoded(KEY, blob) is None

    @pytest.mark.parametrize(
        ("column", "changed"),
        [
            ("day", {"day": "2026-11-19"}),
            ("day", {"tags": ["cost"]}),
            ("day", {"read_at": "yesterday"}),
            ("day", {"rejected": {"for_fun": 1}}),
            ("kinds", []),
            ("kinds", [[False, None, None, "", 0, "", None, None, None, None, None, None]]),
            ("kind", [7]),
            ("kind", [-1]),
            ("kind", []),
            ("quarter", [96]),
            ("quarter", [-1]),
            ("usages", [[1]] * 9),
            ("usages", [[1]] * 11),
            ("usages", [[1]] * 9 + [[1, 1]]),
            ("usages", [[1]] * 9 + [["1"]]),
            ("traits", [256]),
            ("traits", [1, 1]),
        ],
    )
    def test_that_someone_made_to_measure_are_no_day(self, column: str, changed: Any) -> None:
        written = opened(encoded(KEY, a_day(KEY)) or b"")
        place = ("name", "day", "kinds", "kind", "quarter", "usages", "traits").index(column)
        assert decoded(KEY, enveloped(msgspec.msgpack.encode(written)))
        written[place] = {**written[place], **changed} if isinstance(changed, dict) else changed
        assert decoded(KEY, enveloped(msgspec.msgpack.encode(written))) is None


def opened(blob: bytes) -> list[Any]:
    found: list[Any] = msgspec.msgpack.decode(gzip.decompress(blob[24:]))
    return found


def enveloped(content: bytes) -> bytes:
    """`content` as a day is kept, with the digest that belongs to it."""
    content = gzip.compress(content)
    return b"tollday1" + hashlib.blake2b(content, digest_size=16).digest() + content


class TestADayThatCannotBeKept:
    KIND: Final = (False, "m", None, "", 0, "", "who", None, None, None, None, ("t",))

    @pytest.mark.parametrize(
        ("usage", "key"),
        [
            (Usage(2**64), {}),
            (Usage(1), {"who": "half a character: \ud83d"}),
            (Usage(1), {"utc_day": DAY.toordinal() - 1}),
            (Usage(1), {"start": MIDNIGHT_S - 900}),
            (Usage(1), {"start": MIDNIGHT_S + DAY_S}),
            (Usage(1), {"start": MIDNIGHT_S + 450}),
        ],
    )
    def test_is_left_out_and_told_of(self, usage: Usage, key: dict[str, Any], logged: Logged) -> None:
        row = row_of(DAY, 0, self.KIND, usage, 1)
        strange = msgspec.structs.replace(row, key=msgspec.structs.replace(row.key, **key))
        assert encoded(KEY, msgspec.structs.replace(a_day(KEY), rows=(strange,))) is None
        assert f"The day {KEY.name} is not kept" in logged()

    @pytest.mark.parametrize(
        "key", [key_of(PLACE, DAY, False, ()), key_of(PLACE, DAY + timedelta(days=1), False, ("team",))]
    )
    def test_is_left_out_if_it_is_not_that_of_the_key(self, key: Key) -> None:
        assert encoded(key, a_day(KEY)) is None

    def test_is_left_out_if_it_is_too_large(self, logged: Logged) -> None:
        assert encoded(KEY, msgspec.structs.replace(a_day(KEY), notes=("x" * LARGEST,))) is None
        assert "is not kept: it takes 64 MB, of 64 at most" in logged()
