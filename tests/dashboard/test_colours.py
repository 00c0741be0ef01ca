"""The colours of the style, against each other and as colour-blind eyes see them."""

import math
import re
from importlib import resources
from itertools import combinations, pairwise

import pytest

STYLE = resources.files("tollbook.spend.render.dashboard").joinpath("style.css").read_text()
SERIES = [*(f"series-{number}" for number in range(1, 8)), "series-other"]
Linear = tuple[float, float, float]

# How red- and green-blind eyes see linear RGB. Source: Machado, Oliveira and Fernandes, "A Physiologically-based Model
# for Simulation of Color Vision Deficiency" (2009), severity 1.0.
VISIONS: dict[str, tuple[Linear, Linear, Linear]] = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def colour(name: str, theme: int) -> Linear:
    """A variable's own colour, in linear RGB; `theme` is 0 for light and 1 for dark."""
    found = re.search(rf"--{name}:.*light-dark\((#[0-9a-f]{{6}}), (#[0-9a-f]{{6}})\)", STYLE)
    assert found, name
    r, g, b = (int(found[theme + 1][place : place + 2], 16) / 255 for place in (1, 3, 5))
    return _linear(r), _linear(g), _linear(b)


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def contrast(one: Linear, other: Linear) -> float:
    """Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    dark, light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (light + 0.05) / (dark + 0.05)


def distance(one: Linear, other: Linear, vision: str) -> float:
    """How far apart two colours are to that vision, in OKLab: 0.02 is just noticed side by side."""
    return math.dist(_oklab(_seen(one, vision)), _oklab(_seen(other, vision)))


def _seen(linear: Linear, vision: str) -> Linear:
    r, g, b = (sum(a * c for a, c in zip(row, linear, strict=True)) for row in VISIONS[vision])
    return min(1.0, max(0.0, r)), min(1.0, max(0.0, g)), min(1.0, max(0.0, b))


def _oklab(linear: Linear) -> Linear:
    """Source: https://bottosson.github.io/posts/oklab/"""
    r, g, b = linear
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", [*SERIES, "rise", "fall", "accent", "mark"])
def test_what_is_drawn_stands_out_from_the_panel(name: str, theme: int) -> None:
    assert contrast(colour(name, theme), colour("panel", theme)) >= 3
    assert contrast(colour(name, theme), colour("soft", theme)) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["page", "panel", "soft"])
@pytest.mark.parametrize("name", ["ink", "quiet"])
def test_text_can_be_read_on_every_ground(name: str, ground: str, theme: int) -> None:
    assert contrast(colour(name, theme), colour(ground, theme)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["warning", "grave"])
def test_notices_can_be_read(name: str, theme: int) -> None:
    assert contrast(colour(f"{name}-ink", theme), colour(f"{name}-back", theme)) >= 4.5


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_neighbours_in_the_stack_are_told_apart_by_every_eye(theme: int, vision: str) -> None:
    colours = [colour(name, theme) for name in SERIES]
    assert min(distance(one, other, vision) for one, other in pairwise(colours)) >= 0.075
    assert min(distance(one, other, vision) for one, other in combinations(colours, 2)) >= 0.05
    assert distance(colour("rise", theme), colour("fall", theme), vision) >= 0.075
