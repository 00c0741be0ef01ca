"""What a function is told of its invocation besides the event."""

import time
from collections.abc import Mapping, MutableMapping
from typing import Final

from tollbook.hosting.runtime.framing import Next

_TRACE_ID: Final = "_X_AMZN_TRACE_ID"
"""Where AWS's SDKs look for it: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html"""


def hand_on(trace_id: str, environment: MutableMapping[str, str]) -> None:
    """Lets AWS's SDKs tell their services which request they are asked for."""
    if trace_id:
        environment[_TRACE_ID] = trace_id
    else:
        environment.pop(_TRACE_ID, None)


class LambdaContext:
    """The `context` that a handler is called with, as far as a web request has one.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    identity: Final = None
    client_context: Final = None

    def __init__(self, invocation: Next, environment: Mapping[str, str]) -> None:
        self.aws_request_id = invocation.id
        self.invoked_function_arn = invocation.function_arn
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION", "")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline_ms = invocation.deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is ended; never less than 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))
