"""What CloudFormation makes of a template and its parameters: conditions decided, functions evaluated.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import cfnlint.decode.cfn_yaml  # type: ignore[import-untyped] # the YAML that CloudFormation reads

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
STACK: Final = "books"
IMAGE: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/books@sha256:{'0' * 64}"

_PSEUDO: Final = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": STACK,
    "AWS::URLSuffix": "amazonaws.com",
}
_MADE: Final = {
    "Api": "abcde12345",
    "Bucket": "books-bucket",
    "Bucket.Arn": "arn:aws:s3:::books-bucket",
    "ServerFunction": "books",
    "Table": "books-table",
    "Table.Arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/books-table",
    "UserPool": f"{REGION}_AbCdEfGhI",
    "UserPoolClient": "1h57kf5cpq17m0eml12EXAMPLE",
    "StateKeys": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:books",
}
"""What AWS would give; of what is not here, its logical id and the attribute's name."""
_NOTHING: Final = object()
_VARIABLE: Final = re.compile(r"\$\{([\w:.]+)\}")
_LIST: Final = "CommaDelimitedList"


class DanglingError(Exception):
    """Something refers to what is not there under these parameters."""


@cache
def parsed(text: str) -> Mapping[str, Any]:
    """A template as it is written, with the long names of functions."""
    return dict(cfnlint.decode.cfn_yaml.loads(text))


class Made:
    """A stack as it would be.

    Args:
        text: of a template.
        names: what AWS gives, where it is other than `_MADE`.
        parameters: those that are not at their default; `ImageUri` is always there.

    Attributes:
        resources: by logical id, each with its attributes and properties evaluated.
        outputs: likewise.

    Raises:
        DanglingError: something refers to what is not there.
    """

    def __init__(self, text: str, names: Mapping[str, str] = MappingProxyType({}), /, **parameters: str) -> None:
        self._document = parsed(text)
        self._names = {**_MADE, **names}
        declared = self._document.get("Parameters", {})
        unknown = parameters.keys() - declared.keys()
        assert not unknown, unknown
        given = {"ImageUri": IMAGE, **parameters}
        self._values = {
            name: str(given.get(name, each.get("Default", ""))).split(",")
            if each["Type"] == _LIST
            else str(given.get(name, each.get("Default", "")))
            for name, each in declared.items()
        }
        self._needed: dict[str, set[str]] = {}
        self._needs: set[str] = set()
        self._there = {name for name, each in self._document["Resources"].items() if self._is_there(each)}
        self.resources = {name: self._resource(name) for name in self._there}
        self.outputs = {
            name: self._of(each["Value"]) for name, each in self._document["Outputs"].items() if self._is_there(each)
        }

    def properties(self, name: str) -> Any:
        """Of a resource; nothing, if it is not made."""
        return self.resources.get(name, {}).get("Properties")

    def of_type(self, *types: str) -> dict[str, Any]:
        """The properties of all resources of some types."""
        return {name: each["Properties"] for name, each in self.resources.items() if each["Type"] in types}

    def variables(self, function: str) -> dict[str, str]:
        """The environment of a function."""
        found = self.properties(function)["Environment"]["Variables"]
        assert all(isinstance(value, str) for value in found.values()), found
        return dict(found)

    def before(self, name: str) -> set[str]:
        """The resources that are there before that one is."""
        found, left = set[str](), [name]
        while left:
            new = self._needed[left.pop()] - found
            found |= new
            left += new
        return found

    def _resource(self, name: str) -> Any:
        """A resource, and a note of what it needs."""
        self._needs = self._needed[name] = set()
        return self._of(self._document["Resources"][name])

    def _is_there(self, each: Mapping[str, Any]) -> bool:
        return "Condition" not in each or self._holds(each["Condition"])

    def _holds(self, name: str) -> bool:
        return bool(self._of(self._document["Conditions"][name]))

    def _of(self, node: Any) -> Any:
        """The value of a part of the template."""
        if isinstance(node, list):
            return [value for value in map(self._of, node) if value is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), *_ = node.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return self._evaluated(function, argument)
        self._look_at_order(node)
        return {name: value for name, each in node.items() if (value := self._of(each)) is not _NOTHING}

    def _look_at_order(self, node: Mapping[str, Any]) -> None:
        """Looks whether what must be there first will be."""
        if "Type" in node and "DependsOn" in node:
            first = node["DependsOn"]
            names = {first} if isinstance(first, str) else set(first)
            self._needs |= names
            if absent := names - self._there:
                raise DanglingError(f"DependsOn {sorted(absent)}")

    def _evaluated(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return self._referred(argument)
            case "Condition":
                return self._holds(argument)
            case "Fn::GetAtt":
                name = argument if isinstance(argument, str) else ".".join(argument)
                return self._referred(name)
            case "Fn::If":
                condition, yes, no = argument
                return self._of(yes if self._holds(condition) else no)
            case "Fn::Sub":
                return self._filled_in(argument)
        arguments = self._of(argument)
        match function:
            case "Fn::Equals":
                return str(arguments[0]) == str(arguments[1])
            case "Fn::Not":
                return not arguments[0]
            case "Fn::And":
                return all(arguments)
            case "Fn::Or":
                return any(arguments)
            case "Fn::Join":
                return arguments[0].join(arguments[1])
            case "Fn::Split":
                return arguments[1].split(arguments[0])
            case "Fn::Select":
                return arguments[1][int(arguments[0])]
        raise AssertionError(f"{function} is not known here")

    def _referred(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._values:
            return self._values[name]
        if name in _PSEUDO:
            return _PSEUDO[name]
        resource = name.partition(".")[0]
        if resource not in self._there:
            raise DanglingError(name)
        self._needs.add(resource)
        return self._names.get(name, name)

    def _filled_in(self, argument: Any) -> str:
        text, names = argument if isinstance(argument, list) else (argument, {})
        own = {name: self._of(each) for name, each in names.items()}
        return _VARIABLE.sub(lambda found: str(own[found[1]] if found[1] in own else self._referred(found[1])), text)
