"""The templates, and the two places where their text is changed before they are deployed.

Everything else about a stack is said by parameters. `template.yaml` can be deployed as it lies there, too.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

import re
from importlib.resources import files
from typing import Final

import msgspec

LARGEST: Final = 51_200
"""Bytes that a template may have in a request. Source:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

# At the end of a logical id or behind a hyphen; DynamoDB's key type of that name stands alone.
_CONTENT: Final = re.compile(r"(?<=[a-z-])HASH\b")
_POLICY: Final = re.compile(r"^( *)# begin: .*\n(?s:.*?)^ *# end\n", re.MULTILINE)
_WHAT: Final = re.compile(r"(?m)(^ {2}\w+: \{Type: .*), Description: '(?:[^']|'')*'")
_NOTHING: Final = re.compile(r"^ *(?:#.*)?\n", re.MULTILINE)


def template() -> str:
    """The stack's template, as it lies in the package."""
    return _text("template.yaml")


def bootstrap() -> str:
    """The template of the stack that holds the images' repository."""
    return _text("bootstrap.yaml")


def rendered(text: str, policy: str, content: str) -> str:
    """What is deployed: without comments, blank lines and what parameters mean: the longest policy needs their room.

    Args:
        text: of a template.
        policy: a JSON list of IAM statements, by which those between `begin` and `end` are replaced.
        content: the digits that tell this content from any other.
    """
    statements = [msgspec.json.encode(each).decode() for each in msgspec.json.decode(policy, type=list[object])]

    def with_indent(found: re.Match[str]) -> str:
        return "".join(f"{found[1]}- {each}\n" for each in statements)

    return _CONTENT.sub(content, _WHAT.sub(r"\1", _NOTHING.sub("", _POLICY.sub(with_indent, text))))


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
