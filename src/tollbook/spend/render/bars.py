"""Bars and sparklines made of block characters, and the colours of all that is drawn on a terminal."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

# Eight hues that stay apart on black and on white, and for colour-blind eyes in neighbouring places.
PALETTE: Final = ("#3987e5", "#1baf7a", "#eda100", "#9085e9", "#e66767", "#d55181", "#d95926", "#8a8a91")
QUIET: Final = "#64748b"
FALL, RISE = PALETTE[0], PALETTE[6]
"""Of amounts below and above zero: cold and warm, not green and red, which many eyes cannot tell apart."""

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_PARTS: Final = " ▏▎▍▌▋▊▉"


def bar(share: Decimal, room: int) -> str:
    """A bar of `share`, 0 to 1, of `room` cells, and blanks up to there."""
    eighths = round(min(max(share, Decimal(0)), Decimal(1)) * room * 8)
    return f"{'█' * (eighths // 8) + _PARTS[eighths % 8].strip():<{room}}"


def sparkline(values: Sequence[float]) -> str:
    """A cell for each of `values`, the highest full; blank where one is not above zero."""
    highest = max(values, default=0)
    return "".join(EIGHTHS[max(1, round(value / highest * 8))] if value > 0 else " " for value in values)


def change_bar(amount: Decimal, lowest: Decimal, highest: Decimal, room: int) -> str:
    """A bar of `amount` to the left or the right of zero, which is at the same place for all of one scale.

    Args:
        lowest, highest: the ends of the scale; zero lies within it.
        room: cells, three or more, of which one is the axis.
    """
    cells, span = room - 1, highest - lowest
    left = round(cells * -lowest / span) if span else 0
    if lowest < 0 < highest:
        left = min(max(left, 1), cells - 1)
    side = left if amount < 0 else cells - left
    halves = min(max(1, round(abs(amount) / span * cells * 2)), side * 2) if amount else 0
    full, half = "█" * (halves // 2), halves % 2
    if amount < 0:
        return f"{'▐' * half + full:>{left}}│{'':{cells - left}}"
    return f"{'':{left}}│{full + '▌' * half:<{cells - left}}"
