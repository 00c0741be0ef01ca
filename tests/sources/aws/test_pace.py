"""How fast requests follow one another; time passes only where somebody waits."""

import random
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from tollbook.sources.aws.cloudwatch.pace import QUOTAS, Pace, Paces
from tollbook.sources.reading import Halted, Place, Watch


class Waiting(Watch):
    """A watch by which time passes when somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def a_pace(quota: float, watch: Waiting) -> Pace:
    return Pace(quota, clock=lambda: watch.now, draw=lambda: 0.5)


def sent(pace: Pace, watch: Waiting, number: int) -> list[float]:
    """When so many requests are sent, each as soon as it may be."""
    times = []
    for _ in range(number):
        pace.turn(watch)
        times.append(watch.now)
    return times


def most_in_a_second(times: list[float]) -> int:
    return max(sum(start <= time < start + 1 for time in times) for start in times)


@pytest.mark.parametrize("quota", [5.0, 10.0, 25.0, 100.0])
def test_no_second_has_more_requests_than_the_quota_and_nine_tenths_of_it_are_used(quota: float) -> None:
    watch = Waiting()
    times = sent(a_pace(quota, watch), watch, 500)
    assert most_in_a_second(times) <= quota
    assert 499 / (times[-1] - times[0]) >= 0.9 * quota


def test_requests_are_spaced_evenly() -> None:
    watch = Waiting()
    times = sent(a_pace(25, watch), watch, 50)
    gaps = {round(then - now, 6) for now, then in pairwise(times)}
    assert gaps == {round(1 / 24, 6)}


def test_turns_that_nobody_took_are_not_made_up_for() -> None:
    watch = Waiting()
    pace = a_pace(10, watch)
    sent(pace, watch, 5)
    watch.now += 60
    assert most_in_a_second(sent(pace, watch, 30)) <= 10


class Crowd(Watch):
    """Several who send, each in a thread; one runs at a time, and time passes when all wait. Some oversleep."""

    def __init__(self, oversleeps: Callable[[], float]) -> None:
        super().__init__()
        self.now = 1000.0
        self._oversleeps = oversleeps
        self._sleeping: dict[threading.Event, float] = {}
        self._all_wait = threading.Semaphore(0)

    def wait(self, seconds: float) -> None:
        mine = threading.Event()
        self._sleeping[mine] = self.now + seconds + self._oversleeps()
        self._all_wait.release()
        mine.wait()

    def send(self, pace: Pace, people: int, each: int) -> list[float]:
        """When their requests are sent, as soon as they may be."""
        times: list[float] = []

        def work() -> None:
            self.wait(0)
            for _ in range(each):
                pace.turn(self)
                times.append(self.now)
                self.wait(0.3)  # for the answer
            self._all_wait.release()

        threads = [threading.Thread(target=work) for _ in range(people)]
        for thread in threads:
            thread.start()
            self._all_wait.acquire()
        while self._sleeping:
            first = min(self._sleeping, key=lambda mine: self._sleeping[mine])
            self.now = max(self.now, self._sleeping.pop(first))
            first.set()
            self._all_wait.acquire()
        for thread in threads:
            thread.join()
        return times


@pytest.mark.parametrize("quota", [5.0, 25.0])
def test_those_behind_one_who_slept_too_long_do_not_follow_too_closely(quota: float) -> None:
    draw = random.Random(4)  # noqa: S311 - the same each time
    crowd = Crowd(lambda: draw.choice([0.0] * 9 + [0.4]))
    times = crowd.send(Pace(quota, clock=lambda: crowd.now), people=16, each=20)
    assert len(times) == 320
    assert most_in_a_second(times) <= quota


def test_as_many_as_read_at_once_use_up_the_quota() -> None:
    crowd = Crowd(lambda: 0.0)
    times = crowd.send(Pace(25, clock=lambda: crowd.now), people=16, each=20)
    assert most_in_a_second(times) <= 25
    assert 319 / (times[-1] - times[0]) >= 0.95 * 25


def test_it_is_known_when_a_turn_is_free() -> None:
    watch = Waiting()
    pace = a_pace(10, watch)
    assert pace.free_in() == 0
    pace.turn(watch)
    assert pace.free_in() == pytest.approx(1 / 9.6)
    watch.now += 1
    assert pace.free_in() < 0


def test_throttling_slows_requests_down_and_answers_speed_them_up_to_the_quota_again() -> None:
    watch = Waiting()
    pace = a_pace(25, watch)
    full = pace.rate
    pace.throttled()
    slowed = pace.rate
    assert slowed < 0.7 * full
    times = sent(pace, watch, 20)
    assert most_in_a_second(times) <= slowed + 1
    for _ in range(10):
        pace.succeeded()
    assert slowed < pace.rate < full
    for _ in range(100):
        pace.succeeded()
    assert pace.rate == full


def test_refusals_of_requests_that_were_under_way_together_slow_down_once() -> None:
    watch = Waiting()
    pace = a_pace(25, watch)
    pace.throttled()
    slowed = pace.rate
    pace.throttled()
    assert pace.rate == slowed
    watch.now += 2
    pace.throttled()
    assert pace.rate < slowed


def test_the_pace_never_comes_to_a_stop() -> None:
    watch = Waiting()
    pace = a_pace(5, watch)
    for _ in range(1000):
        watch.now += 2
        pace.throttled()
    assert pace.rate > 0.2


def test_pauses_grow_with_the_tries_are_spread_and_have_an_end() -> None:
    watch = Waiting()
    pauses = [a_pace(5, watch).pause(tries) for tries in range(1, 10)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] == a_pace(5, watch).pause(10**6)
    draws = iter((0.0, 0.999))
    spread = Pace(5, draw=lambda: next(draws))
    assert spread.pause(3) < 0.6 * spread.pause(3)


def test_nobody_gets_a_turn_once_the_reading_is_halted() -> None:
    pace, watch = Pace(25), Watch()
    watch.halt()
    with pytest.raises(Halted):
        pace.turn(watch)
    with pytest.raises(Halted):
        pace.turn(watch)


def test_all_readings_of_one_account_and_region_share_a_pace() -> None:
    paces = Paces()
    one = paces.of(Place("1", "us-east-1", "/a"))
    assert one is paces.of(Place("1", "us-east-1", "/b"))
    assert one is not paces.of(Place("2", "us-east-1", "/a"))
    assert one is not paces.of(Place("1", "us-west-2", "/a"))


def test_the_quota_is_that_of_the_region_unless_it_is_said_otherwise() -> None:
    quotas = {
        region: Paces().of(Place("1", region, "/a")).quota for region in ("us-east-1", "eu-central-1", "eu-west-1")
    }
    assert quotas == {"us-east-1": 25, "eu-central-1": 5, "eu-west-1": 10}
    assert Paces({**QUOTAS, "eu-west-1": 50}).of(Place("1", "eu-west-1", "/a")).quota == 50
