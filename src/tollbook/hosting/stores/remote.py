"""A service of AWS, asked in threads by those that must not wait, and for a bounded time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tollbook.core.errors import StoreDown

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Result = TypeVar("Result")


class Remote:
    """One service, of which one place is used.

    Args:
        service: as boto3 names it.
        place: what is used there, for messages.
        at_once: how many requests may be on their way.
        patience_s: how long AWS may take for one before the store is down.
        client: one of boto3's; without it, one is made when it is needed.
        exception: what to raise where AWS refuses or fails.
    """

    def __init__(
        self,
        service: str,
        place: str,
        at_once: int,
        patience_s: float,
        client: Any,
        exception: Callable[["ClientError"], Exception],
    ) -> None:
        self._service, self._place, self._at_once, self._patience_s = service, place, at_once, patience_s
        self._exception = exception
        self._client, self._is_mine = client, client is None
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(at_once, f"tollbook-{service}")

    async def ask(self, work: Callable[[Any], Result]) -> Result:
        """What `work` gives of the client, in a thread.

        Raises:
            StoreDown: it takes too long, or AWS cannot be asked.
            Exception: as `exception` has it.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._work, work)
        except TimeoutError as fault:
            raise StoreDown(
                f"AWS did not answer within {self._patience_s:g} s for {self._place}. Look whether this machine "
                "reaches AWS."
            ) from fault

    async def aclose(self) -> None:
        """Ends what was made here."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._is_mine and self._client is not None:
            self._client.close()

    @property
    def region(self) -> str:
        """That of the client, once there is one."""
        return str(self._client.meta.region_name)

    def _work(self, work: Callable[[Any], Result]) -> Result:
        with self._translated():
            return work(self._made())

    def _made(self) -> Any:
        with self._making:
            if self._client is None:
                from tollbook.hosting.stores.aws import client  # which takes long, and may never be needed

                self._client = client(self._service, self._at_once)
            return self._client

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

        try:
            yield
        except ClientError as fault:
            raise self._exception(fault) from fault
        except NoRegionError as fault:
            raise StoreDown(f"No AWS region is set. Set AWS_DEFAULT_REGION to that of {self._place}.") from fault
        except NoCredentialsError as fault:
            raise StoreDown("No AWS credentials were found. Give this process a role, or set AWS_PROFILE.") from fault
        except BotoCoreError as fault:
            said = str(fault).rstrip(".")
            raise StoreDown(
                f"AWS cannot be reached for {self._place}: {said}. Look whether this machine reaches AWS, and how it "
                "is set up."
            ) from fault
