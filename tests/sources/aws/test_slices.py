"""Slices of time shared out among readers, in any order: every event is read by one of them."""

from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tollbook.sources.aws.cloudwatch.slices import Slice, Slices


def page(times: Sequence[int], piece: Slice, size: int) -> tuple[list[int], str | None]:
    """What CloudWatch would answer: so many events of the window asked for, and where the rest begins."""
    asked = [time for time in times if piece.start <= time < piece.asked_until]
    at = int(piece.token or 0)
    return asked[at : at + size], str(at + size) if at + size < len(asked) else None


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, 400), max_size=200).map(sorted),
    size=st.integers(1, 20),
    at_first=st.integers(1, 5),
    spans=st.sampled_from([[(0, 401)], [(0, 100), (101, 401)], [(5, 6), (50, 300)]]),
    draw=st.randoms(use_true_random=False),
)
def test_every_event_is_read_once_whoever_reads_when(
    times: list[int], size: int, at_first: int, spans: list[tuple[int, int]], draw: Random
) -> None:
    is_free = [True]
    slices = Slices(spans, at_first, lambda: 0.0 if is_free[0] else 1.0)
    read: Counter[int] = Counter()
    hands: list[Slice] = []
    while True:
        is_free[0] = draw.random() < 0.7
        if draw.random() < 0.6 and (piece := slices.take_now()):
            hands.append(piece)
        elif hands:
            piece = hands.pop(draw.randrange(len(hands)))
            found, token = page(times, piece, size)
            until = slices.pass_page(piece, found, token)
            read.update(time for time in found if time < until)
            slices.give_back(piece)
        elif (piece := slices.take_now()) is None:
            break
        else:
            hands.append(piece)
    assert slices.take() is None
    assert read == Counter(time for time in times if any(start <= time < end for start, end in spans))


@settings(deadline=None)
@given(
    times=st.lists(st.integers(0, 400), max_size=200),
    size=st.integers(1, 20),
    draw=st.randoms(use_true_random=False),
)
def test_events_that_come_out_of_order_are_read_once_as_well(times: list[int], size: int, draw: Random) -> None:
    slices = Slices([(0, 401)], 2, lambda: 0.0)
    read: Counter[int] = Counter()
    hands: list[Slice] = []
    while (taken := slices.take_now()) or hands:
        hands += [taken] if taken else []
        piece = hands.pop(draw.randrange(len(hands)))
        found, token = page(times, piece, size)
        until = slices.pass_page(piece, found, token)
        read.update(time for time in found if time < until)
        slices.give_back(piece)
    assert read == Counter(times)


def test_what_was_not_read_is_told_at_the_end() -> None:
    slices = Slices([(0, 100), (200, 300)], 2, lambda: 1.0)
    first = slices.take_now()
    assert first is not None
    slices.pass_page(first, [10, 20], "next")
    second = slices.take_now()
    assert second is not None
    assert slices.give_up(second) == (200, 300)
    assert slices.close() == [(20, 100)]
    assert slices.take() is None


def test_a_slice_with_little_left_is_not_split() -> None:
    slices = Slices([(0, 100)], 1, lambda: 0.0)
    whole = slices.take_now()
    assert whole is not None
    assert slices.take_now() is None  # nothing is known of it yet
    slices.pass_page(whole, [10, 40], "next")
    assert slices.take_now() is None
    slices.pass_page(whole, [41, 50], "after")
    later = slices.take_now()
    assert later is not None
    assert (whole.end, later.start, later.end) == (80, 80, 100)


def test_a_slice_is_not_split_while_every_turn_is_used() -> None:
    slices = Slices([(0, 100)], 1, lambda: 0.01)
    whole = slices.take_now()
    assert whole is not None
    slices.pass_page(whole, [1, 2], "next")
    assert slices.take_now() is None


def test_a_slice_that_was_cut_short_ends_with_the_page_that_passes_its_end() -> None:
    slices = Slices([(0, 100)], 1, lambda: 0.0)
    whole = slices.take_now()
    assert whole is not None
    slices.pass_page(whole, [1, 10], "next")
    assert slices.take_now() is not None
    assert slices.pass_page(whole, [11, 99], "after") == whole.end < 99
    assert whole.ended
    assert whole.asked_until == 100


def test_where_events_came_out_of_order_a_slice_that_was_cut_short_is_read_to_its_last_page() -> None:
    slices = Slices([(0, 100)], 1, lambda: 0.0)
    whole = slices.take_now()
    assert whole is not None
    slices.pass_page(whole, [1, 10], "next")
    assert slices.take_now() is not None
    slices.pass_page(whole, [90, 20], "after")
    assert not whole.ended
    slices.pass_page(whole, [30], None)
    assert whole.ended
