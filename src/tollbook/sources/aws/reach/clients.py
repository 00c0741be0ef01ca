"""Clients of AWS, made once for each service, region and role, and kept."""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from tollbook import __version__
from tollbook.sources.aws.reach.accounts import Entry
from tollbook.sources.aws.trouble import translated

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.session import Session

Clock = Callable[[], float]
"""Seconds since 1970."""

CONNECTIONS: Final = 32
"""Of one client at once."""

MOST_CLIENTS: Final = 128
"""That are kept; each takes about half a megabyte. The one that was used longest ago goes."""

# An hour is what every role allows, and the most where a role assumes another:
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (DurationSeconds)
_DURATION_S: Final = 3600

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (RoleSessionName: 2 to 64)
_SAFE_SUBJECT: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{1,55}")
_HASHED: Final = "sha256="


class Role(msgspec.Struct, frozen=True):
    """A role to assume.

    Attributes:
        entry: that lists it.
        subject: on whose behalf; may be empty.
        policy: what the session is narrowed to.
        asked_in: the region whose STS is asked.
    """

    entry: Entry
    subject: str
    policy: str
    asked_in: str


def session_name(subject: str) -> str:
    """What CloudTrail calls a session that `subject` asked for; what it may not call so stands as its hash."""
    if not subject:
        return "tollbook"
    # No one who chooses his name may choose the hash of another's.
    if _SAFE_SUBJECT.fullmatch(subject) and not subject.startswith(_HASHED):
        return f"tollbook-{subject}"
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return f"tollbook-{_HASHED}{digest[:32]}"


class Clients:
    """For any thread.

    Threads may share a client, but neither its making nor a session:
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html#caveats
    """

    def __init__(self, session: "Session | None", clock: Clock) -> None:
        """
        Args:
            session: botocore's, which finds the credentials at hand; None to make one when it is needed.
        """
        self._session, self._clock = session, clock
        self._making, self._asking = threading.Lock(), threading.Lock()
        self._partitions: Mapping[str, str] = {}
        self._account = ""
        self._kept: OrderedDict[tuple[str, str, Role | None], Any] = OrderedDict()

    def region(self) -> str:
        """That of AWS's settings on this machine; empty where they name none.

        Raises:
            SourceError: they cannot be read.
        """
        with self._making, translated("AWS's settings on this machine", ""):
            return self._core().get_config_variable("region") or ""

    def partitions(self) -> Mapping[str, str]:
        """Every region that has CloudWatch Logs, and the partition that it is of, as botocore lists them.

        Raises:
            SourceError: AWS's settings on this machine cannot be read.
        """
        with self._making:
            if not self._partitions:
                with translated("AWS's settings on this machine", ""):
                    core = self._core()
                    self._partitions = {
                        region: partition
                        for partition in core.get_available_partitions()
                        for region in core.get_available_regions("logs", partition)
                    }
            return self._partitions

    def own_account(self, region: str) -> str:
        """That of the credentials at hand; asked in `region`, once.

        Raises:
            SourceError: AWS does not say.
        """
        with self._asking:
            if not self._account:
                with translated("whose account the AWS credentials are of", "sts:GetCallerIdentity"):
                    self._account = str(self.client("sts", region).get_caller_identity()["Account"])
            return self._account

    def client(self, service: str, region: str, role: Role | None = None) -> Any:
        """A client, new or kept.

        Raises:
            BotoCoreError: AWS's settings on this machine, or credentials in them, cannot be read.
        """
        key = (service, region, role)
        with self._making:
            if key not in self._kept:
                session = self._core() if role is None else self._assuming(role)
                self._kept[key] = session.create_client(service, region_name=region, config=_config(service))
                if len(self._kept) > MOST_CLIENTS:
                    self._kept.popitem(last=False)[1].close()
            self._kept.move_to_end(key)
            return self._kept[key]

    def close(self) -> None:
        """Closes every connection; a client that somebody still holds opens new ones."""
        with self._making:
            while self._kept:
                self._kept.popitem()[1].close()

    def _core(self) -> "Session":
        if self._session is None:
            from botocore.session import Session

            self._session = Session()
        return self._session

    def _assuming(self, role: Role) -> "Session":
        """A session that has the credentials of `role` from its first request on, and renews them before they end."""
        from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
        from botocore.session import Session

        core = self._core()
        credentials = DeferredRefreshableCredentials(
            lambda: self._assume(role), "assume-role", lambda: datetime.fromtimestamp(self._clock(), UTC)
        )

        class Assumed(CredentialProvider):  # type: ignore[misc] # botocore has no types
            METHOD = "assume-role"

            def load(self) -> Any:
                return credentials

        session = Session(profile=core.profile)
        session.register_component("data_loader", core.get_component("data_loader"))  # what was loaded is shared
        session.register_component("credential_provider", CredentialResolver([Assumed()]))
        return session

    def _assume(self, role: Role) -> Mapping[str, str]:
        """Credentials of `role`, as botocore wants them.

        Raises:
            ClientError: AWS refused; or this machine's clock is ahead by as long as they live.
            BotoCoreError: AWS failed.
        """
        external = {"ExternalId": role.entry.external_id} if role.entry.external_id else {}
        answer = self.client("sts", role.asked_in).assume_role(
            RoleArn=role.entry.role,
            RoleSessionName=session_name(role.subject),
            Policy=role.policy,
            DurationSeconds=_DURATION_S,
            **external,
        )
        given = answer["Credentials"]
        expires: datetime = given["Expiration"]
        if expires.timestamp() <= self._clock():
            # What S3 says where clocks differ, so that it is handled as what AWS refuses.
            raise ClientError({"Error": {"Code": "RequestTimeTooSkewed"}}, "AssumeRole")
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": expires.isoformat(),
        }


def _config(service: str) -> "Config":
    from botocore.config import Config

    return Config(
        connect_timeout=5,
        read_timeout=10 if service == "sts" else 60,
        # A source paces and repeats its requests itself; who asks for credentials does not.
        retries={"mode": "standard", "total_max_attempts": 3 if service == "sts" else 1},
        max_pool_connections=CONNECTIONS,
        user_agent_extra=f"tollbook/{__version__}",
        # AWS_BEARER_TOKEN_BEDROCK is for calls of models; it would stand in for the credentials of a role:
        # https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
        **({"signature_version": "v4"} if service == "bedrock" else {}),
    )
