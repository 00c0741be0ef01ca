"""Which model is meant by what someone typed."""

import re
from collections import Counter, defaultdict
from difflib import get_close_matches
from typing import Final

from tollbook.core.errors import UsageError
from tollbook.core.text import printable
from tollbook.spend.model import Model, label, model_of
from tollbook.spend.prices import PriceBook

_MOST_NAMED, _MOST_NEAR = 8, 3
_STAMP: Final = re.compile(r"-(20\d{6})")


def model_meant(text: str, book: PriceBook) -> Model:
    """The model of `book` that `text` names.

    An id counts first, with a profile's prefix or without; then a name such as `Claude Haiku 4.5`; then some of its
    words in any order; then a part of an id or a name. Of models that share their name the newest is meant. The kind
    `profile` tells that the scope was named too.

    Raises:
        UsageError: there is none, or there are several; the message names the nearest.
    """
    wanted = text.strip().casefold()
    asked = model_of(wanted)
    entries = Counter(rate.model for rate in book)
    ids: dict[str, list[str]] = defaultdict(list)
    for model_id in sorted(entries):
        ids[label(model_id)].append(model_id)
    if asked.id in entries:
        return asked
    words = set(wanted.split())
    for found in (
        # One word may be the name of a model of long ago, and part of the names of many.
        [name for name in ids if name.casefold() == wanted and len(words) > 1],
        [name for name in ids if words and words <= set(name.casefold().split())],
        [name for name in ids if wanted and any(wanted in each.casefold() for each in (name, *ids[name]))],
    ):
        if len(found) == 1:
            return model_of(max(ids[found[0]], key=lambda model_id: (_stamp(model_id), entries[model_id], model_id)))
        if found:
            raise UsageError(f"'{printable(text)}' may mean {_listed(found)}. Name one of them in full.")
    folded = {name.casefold(): name for name in ids}
    nearest = [folded[name] for name in get_close_matches(wanted, folded, _MOST_NEAR, 0.5)]
    advice = f"Nearest are {_listed(nearest)}." if nearest else "'tollbook prices show' lists the models."
    raise UsageError(f"No model in the price book is called '{printable(text)}'. {advice}")


def _stamp(model_id: str) -> str:
    """The day in a model's id, or nothing."""
    found = _STAMP.search(model_id)
    return found[1] if found else ""


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
