"""What may reach a screen.

Log fields are written by whoever calls the model: a role session may be named anything. Nothing that
moves a cursor, changes a colour, hides or reorders text is passed on; it is shown as its code instead.
"""

import re

# C0 and C1 controls with DEL, the soft hyphen, zero-width and directional marks (Unicode's Bidi_Control and
# the invisible operators), line and paragraph separators, the byte-order mark, interlinear annotations,
# lone surrogates, and the tag characters.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """`text` with every character that could deceive a reader or a terminal shown as `<U+XXXX>`."""
    return _UNSAFE.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)


def json_safe(document: str) -> str:
    r"""A JSON text in which those characters stand as `\uXXXX`: the same values, harmless on a screen.

    Line breaks between values are kept; inside a string, JSON has none.
    """
    return _UNSAFE.sub(lambda match: match[0] if match[0] == "\n" else _escape(match[0]), document)


def _escape(char: str) -> str:
    """RFC 8259 §7: beyond U+FFFF a character is escaped as its UTF-16 surrogate pair."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
