"""A Lambda authorizer for API Gateway: the same checks as the server behind it makes, before it is called.

Its handler is `tollbook.hosting.auth.authorizer:handler`. It reads the variables of `AUTH_SETTINGS`, and
`SESSION_STORE` where API keys are to be accepted. It is a filter: the server believes nothing that it says.

Sources:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
"""

import logging
import os
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from tollbook.core.caller import Caller
from tollbook.core.errors import StoreDown, UsageError
from tollbook.core.stores import Clock, Store
from tollbook.hosting.auth import token
from tollbook.hosting.auth.apikeys import ApiKeys, is_api_key
from tollbook.hosting.auth.credential import bearer
from tollbook.hosting.auth.fetching import NotFetched, fetch
from tollbook.hosting.auth.issuer import Fetch, Issuer
from tollbook.hosting.auth.keys import KeySet
from tollbook.hosting.auth.settings import AuthSettings, allows, auth_settings_from
from tollbook.hosting.log import log_as_json
from tollbook.hosting.stores import opener_of

Result = TypeVar("Result")

_log: Final = logging.getLogger(__name__)
# arn:PARTITION:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH
_METHOD_ARN: Final = re.compile(
    r"(arn:aws[a-z-]*:execute-api:[a-z0-9-]+:\d{12}:[A-Za-z0-9]+/[A-Za-z0-9_$-]+)/.*", re.DOTALL
)
_UNAUTHORIZED: Final = "Unauthorized"
"""The one message of which API Gateway makes 401; anything else becomes 500."""


class Authorizer:
    """Says of an event of API Gateway who sent it."""

    def __init__(
        self,
        settings: AuthSettings,
        open_store: Callable[[Clock], Store] | None = None,
        *,
        get: Fetch = fetch,
        clock: Clock = time.time,
    ) -> None:
        """Asks nobody yet.

        Args:
            open_store: opens the store where API keys are, once somebody sends one; without it none is accepted.
        """
        self._settings, self._open_store, self._clock = settings, open_store, clock
        self._issuer, self._keys, self._remembered = Issuer(settings, get), KeySet(), token.Remembered()
        self._store: Store | None = None
        self._api_keys: ApiKeys | None = None
        self._run = _Runner()

    def __call__(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an event: a policy for the stage, or, in the format of HTTP APIs, yes or no.

        Raises:
            Exception: `Unauthorized`, which API Gateway answers with 401.
        """
        try:
            caller, stage = self._caller(_credential(event)), _stage(event)
        except Exception as fault:  # whatever it is: nobody is let in, and nobody learns why
            _log_refusal(fault)
            return _refused(event)
        # For logs only: the server behind verifies the credential itself, and reads none of it.
        context = {"caller": caller.owner[:12]}
        allowed = allows(caller, self._settings)
        if not allowed:
            _log.info("refused", extra={"reason": "scope", **context})
        if _is_simple(event):
            return {"isAuthorized": True, "context": context} if allowed else {"isAuthorized": False}
        return _policy(caller, stage, allowed, context)

    def close(self) -> None:
        """Lets go of its store; it is not used afterwards."""
        if self._store is not None:
            self._run(self._store.aclose())
            self._run.close()

    def _caller(self, credential: str) -> Caller:
        """Who sent a credential.

        Raises:
            BadToken: it is not accepted.
            StoreDown: an API key cannot be looked up.
        """
        if not credential:
            raise token.BadToken("no bearer token")
        if is_api_key(credential):
            caller = self._owner_of(credential)
            if caller is None:
                raise token.BadToken("API key")
            return caller
        now = self._clock()
        known = self._remembered.get(credential, now)
        if known is not None:
            return known
        unsigned = token.read(credential, self._settings.rules, now)
        if self._keys.is_due(unsigned.kid, unsigned.algorithm, now):
            self._ask(now)
        caller = token.verified(unsigned, self._keys.find(unsigned.kid, unsigned.algorithm, now))
        self._remembered.add(credential, caller, now)
        return caller

    def _owner_of(self, key: str) -> Caller | None:
        if self._api_keys is None:
            if self._open_store is None:
                return None
            self._store = self._open_store(self._clock)
            self._api_keys = ApiKeys(self._store, self._clock)
        return self._run(self._api_keys.caller(key))

    def _ask(self, now: float) -> None:
        self._keys.ask(now)
        try:
            if self._keys.take(self._issuer.keys(), now):
                self._remembered.forget()
        except (NotFetched, ValueError) as fault:
            _log.warning("the issuer's keys cannot be had", extra={"reason": str(fault)})


class _Runner:
    """Runs the coroutines of a store, all in one event loop, which what it holds belongs to."""

    def __init__(self) -> None:
        self._loop: Any = None

    def __call__(self, work: Coroutine[Any, Any, Result]) -> Result:
        import asyncio  # who asks with a token need not wait for it

        self._loop = self._loop or asyncio.new_event_loop()
        result: Result = self._loop.run_until_complete(work)
        return result

    def close(self) -> None:
        self._loop.close()


def _is_simple(event: object) -> bool:
    """Whether the answer is yes or no. Who invokes the function himself may send anything, a list for example."""
    return isinstance(event, Mapping) and event.get("version") == "2.0"


def _refused(event: object) -> dict[str, Any]:
    """The answer of which API Gateway makes 401 or, where it can be only yes or no, 403."""
    if _is_simple(event):
        return {"isAuthorized": False}
    raise Exception(_UNAUTHORIZED) from None


def _credential(event: Mapping[str, Any]) -> str:
    """What came in the Authorization header: of a TOKEN event its value, of a REQUEST event every one of them."""
    if event.get("type") == "TOKEN":
        given = [event.get("authorizationToken")]
    else:
        several = {**(event.get("multiValueHeaders") or {})} or {
            name: [value] for name, value in (event.get("headers") or {}).items()
        }
        given = [value for name, values in several.items() if name.lower() == "authorization" for value in values]
    return bearer([value.encode("latin-1", "replace") for value in given if isinstance(value, str)])


def _stage(event: Mapping[str, Any]) -> str:
    """The ARN of the stage: an answer is kept and counts for every method, since every method is one endpoint's.

    Raises:
        BadToken: the event is none of API Gateway's.
    """
    found = _METHOD_ARN.fullmatch(str(event.get("methodArn") or event.get("routeArn") or ""))
    if found is None:
        raise token.BadToken("no event of API Gateway")
    return found[1]


def _log_refusal(fault: Exception) -> None:
    match fault:
        case token.BadToken():
            _log.info("refused", extra={"reason": fault.reason})
        case StoreDown() | UsageError():
            _log.warning("API keys cannot be looked up", extra={"reason": str(fault)})
        case _:
            _log.error("an event could not be answered", extra={"reason": type(fault).__name__})


def _policy(caller: Caller, stage: str, allowed: bool, context: Mapping[str, str]) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow" if allowed else "Deny", "Resource": f"{stage}/*"}
    return {
        "principalId": caller.owner,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


def handler(event: Mapping[str, Any], _context: object = None) -> dict[str, Any]:
    """What Lambda calls. Where the environment lacks something nobody is let in, and the log names it."""
    try:
        authorizer = _authorizer()
    except (UsageError, ValueError) as fault:
        _log.error(getattr(fault, "message", str(fault)), extra={"problems": getattr(fault, "more", ())})
        return _refused(event)
    return authorizer(event)


@cache
def _authorizer() -> Authorizer:
    """The one of this process, which keeps keys and tokens from call to call.

    Raises:
        UsageError: the environment lacks something.
        ValueError: LOG_LEVEL is none.
    """
    log_as_json(os.environ.get("LOG_LEVEL") or "info")
    settings, where = auth_settings_from(os.environ), os.environ.get("SESSION_STORE")
    # It is opened when it is needed: boto3 takes longer to start than all else together.
    return Authorizer(settings, opener_of(where) if where else None)
