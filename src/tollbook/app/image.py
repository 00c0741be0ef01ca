"""What the image runs: on AWS Lambda the loop, on any other host of containers `tollbook serve`.

`python -m tollbook.app.image [MODULE:NAME]`, where MODULE:NAME is what the loop shall run instead of tollbook's server:
`tollbook.hosting.auth.authorizer:handler`, or an app of one's own.

Elsewhere it listens at 0.0.0.0:$PORT, by default 8000, as AWS's AgentCore Runtime wants it:
https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-mcp-protocol-contract.html
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from tollbook.core.errors import UsageError

_OURS: Final = "tollbook.app.on_lambda:app"
_ELSEWHERE: Final = {"TOLLBOOK_HOST": "0.0.0.0", "PORT": "8000"}  # noqa: S104 # a container's only way out


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs what `arguments` and `environment` ask for. The exit code, as those of `tollbook`."""
    if len(arguments) > 1:
        return _refuse(
            f"One MODULE:NAME is run, and {len(arguments)} words were given. For tollbook's commands, make `tollbook` "
            "the entry point."
        )
    if environment.get("AWS_LAMBDA_RUNTIME_API"):
        from tollbook.hosting.runtime import lambda_loop

        return lambda_loop.main(arguments or [_OURS], environment)
    if arguments:
        return _refuse(
            f"'{arguments[0]}' can be run on AWS Lambda only, and this is not there: AWS_LAMBDA_RUNTIME_API is not "
            "set. Leave it out to serve tollbook over HTTP."
        )
    return _serve(environment)


def _serve(environment: Mapping[str, str]) -> NoReturn:
    """Becomes `tollbook serve`, so that what it says of mistakes and how it stops are the command's own."""
    given = {name: value for name, value in environment.items() if value}  # an empty variable counts as none
    os.execve(sys.executable, [sys.executable, "-m", "tollbook", "serve"], {**_ELSEWHERE, **given})  # noqa: S606


def _refuse(sentence: str) -> int:
    print(f"tollbook: {sentence}", file=sys.stderr)
    return UsageError.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
