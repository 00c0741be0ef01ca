"""What the `modelId` of a log record means."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tollbook.core.errors import UsageError

IN_REGION: Final = "in-region"
GLOBAL: Final = "global"
GEOGRAPHIES: Final = ("us-gov", "us", "eu", "apac", "jp", "au", "ca", "in")
SCOPES: Final = (IN_REGION, GLOBAL, *GEOGRAPHIES)

# Source of the prefixes: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_PROFILE_ID = re.compile(rf"({'|'.join((*GEOGRAPHIES, GLOBAL))})\.([a-z0-9-]+\..+)")
# Source of the forms: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:([a-z-]+)/(.+)", re.DOTALL)
_OPAQUE_KINDS = {
    "application-inference-profile": "application-profile",
    "provisioned-model": "provisioned",
    "imported-model": "imported",
    "custom-model": "custom",
    "custom-model-deployment": "custom",
    "default-prompt-router": "router",
    "prompt-router": "router",
}


class Model(msgspec.Struct, frozen=True):
    """A model as it was called.

    Attributes:
        id: the foundation model, such as `anthropic.claude-sonnet-4-5-20250929-v1:0`; where the log does
            not tell it, the opaque resource, such as `application-inference-profile/abc123def456`.
        vendor: `anthropic`, `amazon`, …; empty where the id is opaque.
        scope: one of `SCOPES`: who may serve the call, and so what it costs.
        kind: `foundation`, `profile`, `application-profile`, `provisioned`, `imported`, `custom` or `router`.
        profile: the name or id of the application profile, provisioned model or router it was called
            through; empty for a plain call.
    """

    id: str
    vendor: str
    scope: str
    kind: str
    profile: str = ""


class Named(msgspec.Struct, frozen=True):
    """What a user's mapping says about an opaque id: the model behind it, and a name for it."""

    model: str
    name: str = ""


def model_of(model_id: str, names: Mapping[str, Named] | None = None) -> Model:
    """What `model_id` means: a bare id, an inference profile's id, or the ARN of any of them.

    Args:
        names: by ARN or by the last part of it, the models behind opaque ids.
    """
    arn = _ARN.fullmatch(model_id)
    if arn is None:
        return _plain(model_id)
    resource, name = arn.groups()
    kind = _OPAQUE_KINDS.get(resource)
    if kind is None:
        return _plain(name)
    known = (names or {}).get(model_id) or (names or {}).get(name)
    if known is None:
        return Model(f"{resource}/{name}", "", IN_REGION, kind, name)
    behind = model_of(known.model)
    return Model(behind.id, behind.vendor, behind.scope, kind, known.name or name)


def routed(router: str, invoked_model_id: str) -> Model:
    """The model that a prompt router chose, called through `router` (its `modelId` in the log)."""
    chosen = model_of(invoked_model_id)
    return Model(chosen.id, chosen.vendor, chosen.scope, "router", router.rpartition("/")[2])


def _plain(name: str) -> Model:
    if profile := _PROFILE_ID.fullmatch(name):
        scope, base = profile.groups()
        return Model(base, base.partition(".")[0], scope, "profile")
    vendor, dot, _ = name.partition(".")
    return Model(name, vendor if dot else "", IN_REGION, "foundation")


# What every id carries and no reader needs: the day, a first version, the revision.
_STAMP = re.compile(r"(-20\d{6}(-v\d+)?|-v1|-1(?=:))?(:\d+)?$")
_SPELT = {
    "gpt": "GPT",
    "oss": "OSS",
    "glm": "GLM",
    "vl": "VL",
    "it": "IT",
    "deepseek": "DeepSeek",
    "minimax": "MiniMax",
}
_NAMED_BY_VENDOR = {"deepseek": "DeepSeek", "writer": "Writer"}


def label(model_id: str) -> str:
    """A short name for a table: `anthropic.claude-sonnet-4-5-20250929-v1:0` is `Claude Sonnet 4.5`.

    Two models can share a label (two dates of one version): whoever shows labels side by side must tell
    them apart. An opaque id stays itself.
    """
    vendor, dot, name = model_id.partition(".")
    if not dot or "/" in model_id:
        return model_id
    words = [_NAMED_BY_VENDOR[vendor]] if vendor in _NAMED_BY_VENDOR else []
    for word in filter(None, _STAMP.sub("", name).split("-")):
        if word.isdigit() and len(word) < 3 and words and words[-1].replace(".", "").isdigit():
            words[-1] += f".{word}"
        else:
            words.append(_SPELT.get(word) or (word.upper() if word[0].isdigit() else word[0].upper() + word[1:]))
    return " ".join(words) or model_id


def read_names(content: bytes, name: str) -> dict[str, Named]:
    """What opaque ids stand for, from JSON: `{"abc123": {"model": "us.amazon.nova-pro-v1:0", "name": "search"}}`.

    A key is an ARN or its last part; `name` may be left out.

    Raises:
        UsageError: `content`, a file called `name`, is not of that form.
    """
    try:
        return msgspec.json.decode(content, type=dict[str, Named])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        form = '{"<id or ARN>": {"model": "<modelId>", "name": "<optional>"}}'
        raise UsageError(f"{name}: {fault}. A names file looks like {form}.") from fault
