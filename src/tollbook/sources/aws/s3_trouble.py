"""What S3 refuses, in sentences that say what happened, where, and what to do next.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import ClientError

from tollbook.core.errors import SourceError
from tollbook.core.text import printable
from tollbook.sources.aws.delivery import LOGS
from tollbook.sources.aws.trouble import translated
from tollbook.sources.reading import Place

# S3 names the key in what it says of a key that may not be used:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
_KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+")
_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+")


@contextmanager
def told(place: Place, bucket: str, action: str) -> Iterator[None]:
    """Makes sentences of what S3 answers within the block.

    Args:
        action: the IAM action needed, such as `s3:GetObject`.

    Raises:
        SourceError: S3 refused or failed; its cause is what S3 said.
    """
    with translated(place, action):
        try:
            yield
        except ClientError as fault:
            if sentence := _sentence(fault, place, bucket, action):
                raise SourceError(sentence) from fault
            raise


def code_of(fault: BaseException | None) -> str:
    """What S3 calls it; empty if it is nothing that S3 said."""
    return str(fault.response.get("Error", {}).get("Code", "")) if isinstance(fault, ClientError) else ""


def _sentence(fault: ClientError, place: Place, bucket: str, action: str) -> str:
    code, message = code_of(fault), str(fault.response.get("Error", {}).get("Message", ""))
    if code == "NoSuchBucket":
        where = f"in {place.region}, " if place.region else ""
        return f"There is no bucket {bucket}. Bedrock's settings for model invocation logging {where}tell its name."
    if code.startswith("KMS.") or "kms:" in message:
        key = _KEY.search(message)
        which = f"the key {key[0]}" if key else "a key of KMS"
        state = f" ({printable(code)})" if code.startswith("KMS.") else ""
        return (
            f"The logs in {bucket} are encrypted with {which}, which may not be used{state}. Have kms:Decrypt on it "
            "granted, by its own policy too if it is another account's."
        )
    if code in ("AccessDenied", "403", "AllAccessDisabled"):
        prefix = place.name.removeprefix(f"s3://{bucket}").strip("/")
        below = "" if action == "s3:ListBucket" else "/".join(("", *filter(None, (prefix, LOGS, "*"))))
        return (
            f"{place} may not be read. Have {action} on arn:aws:s3:::{bucket}{below} granted, by the bucket's policy "
            "too if it is another account's."
        )
    if code in _ELSEWHERE:
        headers = fault.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = str(headers.get("x-amz-bucket-region", ""))
        where = region if _REGION.fullmatch(region) else "another region"
        return f"The bucket {bucket} lies in {where}, and was asked for in {place.region}. Name its region."
    if code == "InvalidObjectState":
        return f"Files in {bucket} were moved to an archive, which cannot be read. Restore them, or ask for later days."
    if code == "PreconditionFailed":
        return f"A file in {bucket} was replaced while it was read. Ask again."
    return ""
