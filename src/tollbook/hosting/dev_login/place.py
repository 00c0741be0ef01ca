"""Where this login may be: on one's own machine and nowhere else."""

from collections.abc import Mapping
from typing import Final

from tollbook.core.errors import UsageError
from tollbook.core.loopback import is_loopback

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
_SIGNS_OF_AWS: Final = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_EXECUTION_ENV")


def refuse_elsewhere(environment: Mapping[str, str], listens_at: str) -> None:
    """Refuses to serve this login where others than whoever started it could reach it.

    Args:
        listens_at: the address that the server listens at, or `localhost`.

    Raises:
        UsageError: this is AWS, or the address is not of the loopback.
    """
    for variable in _SIGNS_OF_AWS:
        if environment.get(variable):
            raise UsageError(
                f"The development login lets anyone in as anyone, and {variable} says that this is AWS. "
                "Use --auth oauth here."
            )
    if not is_loopback(listens_at):
        raise UsageError(
            f"The development login lets anyone in as anyone, and '{listens_at}' can be reached from other machines. "
            "Listen at 127.0.0.1, or use --auth oauth."
        )
