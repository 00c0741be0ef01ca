"""What a server asks the user in the middle of a call, and what it is answered.

Source: https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
"""

from urllib.parse import urlsplit

from tollbook.client.protocol import Answer, Elicitation, Json
from tollbook.client.trouble import RpcError
from tollbook.core.jsonrpc import INVALID_PARAMS


def question_in(params: Json) -> Elicitation:
    """The question that `params` of `elicitation/create` ask.

    Raises:
        RpcError: they ask none that may be shown.
    """
    message = params.get("message")
    if not isinstance(message, str):
        raise _bad("A question needs a message.")
    mode = params.get("mode", "form")
    if mode == "url":
        url = params.get("url")
        if not isinstance(url, str) or not _is_page(url):
            raise _bad("A page to open needs an http or https address.")
        return Elicitation(message=message, url=url)
    if mode != "form":
        raise _bad("A question is a form or a page to open.")
    schema = params.get("requestedSchema")
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        raise _bad("A form needs a requestedSchema with properties.")
    return Elicitation(message=message, schema=schema)


def answer_to(asked: Elicitation, answer: Answer) -> Json:
    """The result of `elicitation/create`. What an accepted form leaves open is filled with the schema's defaults."""
    if answer.action != "accept" or asked.schema is None:
        return {"action": answer.action}
    fields = asked.schema.get("properties", {})
    defaults = {
        name: field["default"] for name, field in fields.items() if isinstance(field, dict) and "default" in field
    }
    return {"action": "accept", "content": {**defaults, **(answer.content or {})}}


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _bad(text: str) -> RpcError:
    return RpcError(text, INVALID_PARAMS, text)
