"""A REQUEST authorizer of a REST API: a function that is asked before the one behind the API, and its answers are kept.

Sources:
    when it is asked: https://docs.aws.amazon.com/apigateway/latest/developerguide/configure-api-gateway-lambda-authorization.html
    what: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html
    what is made of its answer: tests/fakes/api_gateway.py
    how long it is kept: https://docs.aws.amazon.com/apigateway/latest/api/API_Authorizer.html
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tests.fakes.api_gateway import allows, status
from tests.fakes.lambda_service.functions import EventTooLarge, Function, Throttled
from tests.fakes.lambda_service.invocations import FunctionError

_NOT_ITS_BUSINESS: Final = ("body", "isBase64Encoded")


class Ruling(msgspec.Struct, frozen=True):
    """What is to be done with a request.

    Attributes:
        status: 200, or that of the refusal.
        context: what the function behind is told.
    """

    status: int
    context: Mapping[str, Any] = {}


class Authorizer:
    """See the module.

    Attributes:
        asked: how often the function was called.
    """

    def __init__(self, function: Function, clock: Callable[[], float], *, ttl_s: float = 300) -> None:
        """
        Args:
            clock: seconds; whatever it counts from.
            ttl_s: how long an answer is kept.
        """
        self._function, self._clock, self._ttl_s = function, clock, ttl_s
        self._kept: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self.asked = 0

    async def ruling(self, event: Mapping[str, Any], arn: str) -> Ruling:
        """What is to be done with the request that `event` would bring to the function behind.

        Args:
            arn: of the method that is called.
        """
        identity = ",".join(
            value
            for name, values in event["multiValueHeaders"].items()
            if name.lower() == "authorization"
            for value in values
        )
        if not identity:
            return Ruling(401)
        answered_at, answer = self._kept.get(identity, (0.0, {}))
        if not answer or self._clock() - answered_at >= self._ttl_s:
            about = {name: value for name, value in event.items() if name not in _NOT_ITS_BUSINESS}
            ruling, answer = await self._ask({"type": "REQUEST", "methodArn": arn, **about})
            if ruling in (401, 500):
                return Ruling(ruling)
            self._kept[identity] = self._clock(), answer
        if not allows(answer, arn):
            return Ruling(403)
        return Ruling(200, {"principalId": answer["principalId"], **answer.get("context", {})})

    async def _ask(self, event: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """The status that comes of the function's answer, and that answer."""
        self.asked += 1
        try:
            invocation = await self._function.invoke(json.dumps(event).encode())
            answer = json.loads(await invocation.whole())
        except FunctionError as failure:
            return 401 if failure.message == "Unauthorized" else 500, {}
        except (Throttled, EventTooLarge, ValueError):
            return 500, {}
        return status(lambda _: answer, dict(event)), answer
