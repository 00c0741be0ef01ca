"""The Runtime API, asked by whoever does one thing at a time.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import http.client
import logging
from collections.abc import Iterable
from typing import Final

from tollbook.hosting.runtime import framing
from tollbook.hosting.runtime.framing import Failure, Next, Unusable

_log: Final = logging.getLogger(__name__)


class RuntimeApi:
    """One kept connection. Its methods raise Unusable."""

    def __init__(self, address: str) -> None:
        """
        Args:
            address: host and port, as AWS_LAMBDA_RUNTIME_API has them.
        """
        self._address = address
        self._connection = http.client.HTTPConnection(address)  # and waits for the next invocation as long as it takes

    def next(self) -> tuple[Next, bytes]:
        """Waits for an invocation; what it is about, and its event."""
        headers, event = self._ask("GET", framing.NEXT)
        return framing.next_of(headers), event

    def answer(self, invocation_id: str, body: bytes) -> None:
        """Ends an invocation with a response that is whole."""
        self._ask("POST", framing.response_of(invocation_id), body, (("Content-Type", "application/json"),))

    def fail(self, invocation_id: str, failure: Failure) -> None:
        """Ends an invocation with an error."""
        self._post(framing.error_of(invocation_id), failure)

    def fail_init(self, failure: Failure) -> None:
        """Says that the function cannot start."""
        self._post(framing.INIT_ERROR, failure)

    def restored(self) -> None:
        """Says that the process may be frozen for a snapshot, and returns in a process that was restored from it.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html
        """
        self._ask("GET", framing.RESTORE_NEXT)

    def fail_restore(self, failure: Failure) -> None:
        """Says that the function cannot go on in a restored process."""
        self._post(framing.RESTORE_ERROR, failure)

    def close(self) -> None:
        self._connection.close()

    def _post(self, target: str, failure: Failure) -> None:
        self._ask("POST", target, framing.failure_document(failure), framing.failure_headers(failure))

    def _ask(
        self, method: str, target: str, body: bytes | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> tuple[dict[str, str], bytes]:
        try:
            self._connection.request(method, target, body, dict(headers))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise Unusable(f"The Runtime API at {self._address} does not answer.") from fault
        if response.status >= framing.BROKEN or (method == "GET" and response.status != 200):
            raise Unusable(f"The Runtime API answered {response.status}.")
        if response.status not in (200, 202):
            _log.error("the Runtime API refused an answer", extra={"status": response.status})
        return {name.lower(): value for name, value in response.getheaders()}, content
