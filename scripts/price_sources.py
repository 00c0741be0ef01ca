"""What the two published price lists say of Bedrock: litellm's JSON and genai-prices' data.

Left out, because the invocation logs do not hold it or cannot tell it: provisioned throughput, batch, speech
(bidirectional streams), bedrock-mantle, and whatever is sold by the image, the second or the query. A rate of zero
or none is no price, and a model without one is left out: it stays unpriced, never free.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import Any, Final, NamedTuple, TypeAlias

IN_REGION: Final = "in-region"
KINDS: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")

_MODEL_ID = re.compile(r"(?:(us-gov|us|eu|apac|jp|au|ca|in|global)\.)?([a-z0-9]+\.[a-zA-Z][\w.:-]*)")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_LITELLM_KINDS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
}
_LITELLM_RATE = re.compile(rf"({'|'.join(_LITELLM_KINDS)})(?:_above_(\d+)k_tokens)?(?:_(flex|priority|ultrafast))?")
_GENAI_KINDS: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
}


class Key(NamedTuple):
    """What has a price of its own. An empty region is any region, an empty tier the default one."""

    model: str
    scope: str
    region: str = ""
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens by kind; `above` holds those of a whole call whose prompt exceeds so many tokens.

    Attributes:
        corrected: what no source shows so, by the name of the correction.
    """

    by_kind: Mapping[str, Decimal]
    above: Mapping[int, "Rates"]
    corrected: str = field(default="", compare=False)

    @property
    def plain(self) -> "Plain":
        """Input and output, which every source gives for every model."""
        return self.by_kind.get("input"), self.by_kind.get("output")

    def times(self, factor: Decimal) -> "Rates":
        by_kind = {kind: _ten_digits(rate * factor) for kind, rate in self.by_kind.items()}
        return Rates(by_kind, {tokens: rates.times(factor) for tokens, rates in self.above.items()})

    def as_json(self) -> dict[str, Any]:
        by_kind = {kind: f"{self.by_kind[kind]:f}" for kind in KINDS if kind in self.by_kind}
        above = {str(tokens): rates.as_json() for tokens, rates in sorted(self.above.items())}
        corrected = {"corrected": self.corrected} if self.corrected else {}
        return by_kind | ({"above": above} if above else {}) | corrected


Plain: TypeAlias = tuple[Decimal | None, Decimal | None]
Prices: TypeAlias = dict[Key, Rates]


def _ten_digits(number: Decimal) -> Decimal:
    """Exact for every price; it only removes noise such as 0.32999999999."""
    return Context(prec=10).create_decimal(number).normalize()


def _rates(by_size: Mapping[int, Mapping[str, Decimal]]) -> Rates:
    """Rates from their kinds by prompt size in tokens; 0 is any prompt."""
    above = {tokens: Rates(by_kind, {}) for tokens, by_kind in by_size.items() if tokens}
    return Rates(by_size.get(0, {}), above)


# --- litellm


def litellm_prices(document: str) -> Prices:
    """The prices in litellm's JSON, as they stand there."""
    prices: Prices = {}
    entries: dict[str, dict[str, Any]] = json.loads(document, parse_float=Decimal, parse_int=Decimal)
    # `bedrock/ID` and `ID` are the same model: the bare spelling comes last, and so decides.
    for name, entry in sorted(entries.items(), key=lambda item: not item[0].startswith("bedrock/")):
        key = _litellm_key(name)
        if key and entry.get("litellm_provider") in ("bedrock", "bedrock_converse") and entry["mode"] != "realtime":
            for tier, rates in _litellm_rates(entry).items():
                usd_in, usd_out = rates.plain
                if usd_in and (usd_out or entry["mode"] == "embedding"):
                    prices[key._replace(tier=tier)] = rates
    return prices


def _litellm_key(name: str) -> Key | None:
    """From `bedrock/REGION/ID`, `bedrock/ID` or `ID`; commitments, image sizes and other paths give None."""
    *path, model_id = name.removeprefix("bedrock/").split("/")
    match = _MODEL_ID.fullmatch(model_id)
    if match is None or len(path) > 1 or not all(map(_REGION.fullmatch, path)):
        return None
    return Key(match[2], match[1] or IN_REGION, "".join(path))


def _litellm_rates(entry: Mapping[str, Any]) -> dict[str, Rates]:
    """By tier, the rates in one entry of litellm's JSON, which are USD per token."""
    by_tier: dict[str, dict[int, dict[str, Decimal]]] = {}
    for cost_field, usd in entry.items():
        match = _LITELLM_RATE.fullmatch(cost_field)
        if match and usd:
            kind, thousands, tier = match.groups(default="")
            by_size = by_tier.setdefault(tier, {})
            by_size.setdefault(int(thousands or 0) * 1000, {})[_LITELLM_KINDS[kind]] = _ten_digits(usd * 1_000_000)
    return {tier: _rates(by_size) for tier, by_size in by_tier.items()}


# --- genai-prices: its data is a Python module of constructor calls, read here without running it


def genai_prices(source: str, on: date) -> Prices:
    """The prices of genai-prices' provider `aws` that hold on the day `on`."""
    prices: Prices = {}
    for model in _aws_models(ast.parse(source)):
        rates = _genai_rates(model["prices"], on)
        if rates is not None and rates.plain[0]:
            prices |= dict.fromkeys(_genai_keys(model), rates)
    return prices


def _aws_models(module: ast.Module) -> list[dict[str, Any]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Provider":
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if _literal(given["id"]) == "aws":
                models: list[dict[str, Any]] = _literal(given["models"])
                return models
    return []


def _literal(node: ast.expr) -> Any:
    """A literal, or a constructor call as a dict of its keyword arguments."""
    match node:
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str(text))]):
            return Decimal(text)
        case ast.Call(func=ast.Name(id="date") | ast.Attribute(attr="date"), args=args):
            return date(*map(_literal, args))
        case ast.Call(keywords=keywords):
            return {str(keyword.arg): _literal(keyword.value) for keyword in keywords}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case _:
            return ast.literal_eval(node)


def _genai_keys(model: Mapping[str, Any]) -> Iterator[Key]:
    """The ids a model is known by. `regional.X` is no id: it stands for those that its match clause spells out.

    us-gov is left out: the clauses name it for completeness, but its rates are about a tenth higher still.
    """
    name = str(model["id"]).removeprefix("regional.")
    spelt = {name} if name == model["id"] else set(_strings(model["match"]))
    for text in sorted(spelt):
        match = _MODEL_ID.fullmatch(text)
        if match and text.endswith(name) and match[1] != "us-gov":
            yield Key(match[2], match[1] or IN_REGION)


def _strings(clause: Any) -> Iterator[str]:
    if isinstance(clause, str):
        yield clause
    elif isinstance(clause, Mapping | list):
        for part in clause.values() if isinstance(clause, Mapping) else clause:
            yield from _strings(part)


def _genai_rates(prices: Any, on: date) -> Rates | None:
    """A price, or the last of a list whose start date has come; None where it depends on anything else."""
    if isinstance(prices, list):
        begun = [
            price for price in prices if price.get("constraint", {"start_date": on}).get("start_date", date.max) <= on
        ]
        return _genai_rates(begun[-1]["prices"], on) if begun else None
    if "input_audio_mtok" in prices:
        return None
    by_size: dict[int, dict[str, Decimal]] = {}
    for cost_field, kind in _GENAI_KINDS.items():
        usd = prices.get(cost_field)
        if isinstance(usd, Mapping):
            for step in usd["tiers"]:
                # Releases differ in whether 272,000 is the last cheap token or the first dear one (271,999).
                by_size.setdefault(round(step["start"], -3), {})[kind] = _ten_digits(step["price"])
            usd = usd["base"]
        if usd:
            by_size.setdefault(0, {})[kind] = _ten_digits(usd)
    return _rates(by_size)
