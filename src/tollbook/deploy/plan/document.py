"""A template as data: the defaults of its parameters, and which resources it makes of them. Pure.

Sources:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-conditions.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import yaml

_HASH: Final = re.compile(r"(?<=[a-z])(?:HASH|[0-9a-f]{10})$")


class _Function(msgspec.Struct, frozen=True):
    """A function of CloudFormation's in short form, such as `!Ref`."""

    name: str
    of: Any


_Base = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the first where libyaml is there, and ten times as fast


class _Loader(_Base):  # type: ignore[misc,valid-type]
    """Texts stay texts, whatever they look like: so they are compared."""


def _function(loader: _Loader, name: str, node: yaml.Node) -> _Function:
    if isinstance(node, yaml.SequenceNode):
        return _Function(name, loader.construct_sequence(node, deep=True))
    if isinstance(node, yaml.MappingNode):
        return _Function(name, loader.construct_mapping(node, deep=True))
    return _Function(name, node.value)


_Loader.add_multi_constructor("!", _function)


def defaults(text: str) -> Mapping[str, str | None]:
    """The default of each parameter of the template `text`; None where it has none."""
    return {name: parameter.get("Default") for name, parameter in _document(text).get("Parameters", {}).items()}


def resources(text: str, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The types of the resources that the template `text` makes, by their logical ids without hashes, in its order.

    Args:
        parameters: all of them, with their values; pseudo parameters too, if conditions ask for them.

    Raises:
        ValueError: it is no YAML, or a condition of it cannot be worked out.
    """
    document = _document(text)
    conditions = _Conditions(document.get("Conditions", {}), parameters)
    return {
        _HASH.sub("", name): resource["Type"]
        for name, resource in document.get("Resources", {}).items()
        if "Condition" not in resource or conditions.hold(resource["Condition"])
    }


def hash_in(text: str) -> str:
    """The hash of its content in a template; the word HASH in one that was not rendered; empty where there is none."""
    names = _document(text).get("Resources", {})
    return next((found[0] for found in map(_HASH.search, names) if found), "")


class _Conditions:
    """The conditions of a template, for some parameters."""

    def __init__(self, written: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._written, self._parameters = written, parameters

    def hold(self, name: str) -> bool:
        found = self._worth(self._written.get(name))
        if not isinstance(found, bool):
            raise ValueError(f"The template's condition {name} comes to neither yes nor no.")
        return found

    def _worth(self, value: Any) -> Any:
        match value:
            case _Function("Condition", str(name)) if name in self._written:
                return self.hold(name)
            case _Function("Ref", str(name)) if name in self._parameters:
                return self._parameters[name]
            case _Function(name, [*several]) if name in _OPERATIONS:
                return _OPERATIONS[name](list(map(self._worth, several)))
            case _Function(name, of):
                raise ValueError(f"The template's !{name} {of} cannot be worked out here.")
        return value


_OPERATIONS: Final[Mapping[str, Callable[[Sequence[Any]], bool]]] = {
    "Equals": lambda values: values[0] == values[1],
    "Not": lambda values: not values[0],
    "And": all,
    "Or": any,
}


@lru_cache(maxsize=8)
def _document(text: str) -> Mapping[str, Any]:
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 # it makes texts, lists and mappings of them
    except yaml.YAMLError as fault:
        raise ValueError("The template is no YAML.") from fault
    return found if isinstance(found, dict) else {}
