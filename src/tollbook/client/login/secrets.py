"""Where secrets lie: in the keyring of the user's desktop, or in files that only he can read."""

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from tollbook.client.trouble import ClientError
from tollbook.core.errors import why

Say = Callable[[str], None]
"""Takes a sentence for the user, from whichever thread."""

_SERVICE: Final = "tollbook"
_RECOMMENDED: Final = 1  # of keyring's priorities; 0 has the one that always fails, fractions those without protection
_KNOWS_OWNERS: Final = os.name == "posix"  # Windows keeps others out of a user's folders by itself
_T = TypeVar("_T")


class VaultError(ClientError):
    """What is kept of logins cannot be read or written just now, or not safely."""


class NoKeyring(VaultError):
    """This machine, or this way into it, has no keyring."""


class Place(Protocol):
    """Keeps secrets by name. Every method raises VaultError; what was written before is then still there."""

    def read(self, name: str) -> bytes | None:
        """The secret of that name, or None."""

    def write(self, name: str, secret: bytes) -> None:
        """Keeps a secret in the place of whatever has its name."""

    def erase(self, name: str) -> None:
        """Forgets a secret, if there is one."""


class PrivateFolder:
    """A `Place`: files that only their owner can read, in a folder that only he can open. It is made when it is needed.

    What was left open to others is closed, and that is said. What others own or could have changed is refused, and so
    is what leads elsewhere.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self.path, self._say = path, say

    def names(self) -> Sequence[str]:
        """Of all its files."""
        with self._translated("read"):
            return os.listdir(self.path) if self._is_there() else []

    def read(self, name: str) -> bytes | None:
        where = self.path / name
        with self._translated("read"):
            if not self._is_there():
                return None
            try:
                # Without waiting: a pipe of that name would never give anything.
                descriptor = os.open(where, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
            except FileNotFoundError:
                return None
            with open(descriptor, "rb") as file:
                self._close_to_others(where, os.fstat(descriptor), lambda: os.fchmod(descriptor, 0o600))
                return file.read()

    def write(self, name: str, secret: bytes) -> None:
        with self._translated("written"):
            self.make()
            descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)  # 0600 from the beginning
            try:
                with open(descriptor, "wb") as file:
                    file.write(secret)
                    file.flush()
                    os.fsync(descriptor)
                os.replace(draft, self.path / name)
            except BaseException:
                os.unlink(draft)
                raise

    def erase(self, name: str) -> None:
        with self._translated("removed"):
            # With the drafts of whoever was killed while he wrote it.
            for each in os.listdir(self.path) if self._is_there() else ():
                if each == name or each.startswith(f".{name}."):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self.path / each)

    def make(self) -> None:
        """Makes the folder, and those that it lies in."""
        with self._translated("made"):
            if not self._is_there():
                for folder in reversed((self.path, *self.path.parents)):
                    folder.mkdir(mode=0o700, exist_ok=True)
                self._is_there()

    def _is_there(self) -> bool:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(found.st_mode):
            raise VaultError(f"'{self.path}' is a symbolic link, where logins are not kept. Put a folder in its place.")
        self._close_to_others(self.path, found, lambda: os.chmod(self.path, 0o700))
        return True

    def _close_to_others(self, where: Path, found: os.stat_result, close: Callable[[], None]) -> None:
        is_file = where != self.path
        if not (stat.S_ISREG if is_file else stat.S_ISDIR)(found.st_mode):
            raise VaultError(f"'{where}' is no {'file' if is_file else 'folder'}. Remove it, and log in again.")
        if not _KNOWS_OWNERS:
            return
        if found.st_uid != os.geteuid():
            raise VaultError(f"'{where}' belongs to another user of this machine. Remove it, and log in again.")
        if is_file and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            # It says where secrets are sent.
            raise VaultError(f"Other users of this machine could change '{where}'. Remove it, and log in again.")
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            close()
            self._say(
                f"Other users of this machine could look into '{where}'. It is closed to them now;"
                " unless you trust them, log out and in again."
            )

    @contextlib.contextmanager
    def _translated(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise VaultError(
                f"'{fault.filename or self.path}' cannot be {done}: {why(fault)}. Mend that, and try again."
            ) from fault


class Backend(Protocol):
    """What is needed of `keyring.backend.KeyringBackend`."""

    @property
    def priority(self) -> float: ...

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


def of_the_desktop() -> Backend:
    """The backend that keyring itself chooses. Importing it takes its time."""
    import keyring

    return keyring.get_keyring()


class Keyring:
    """A `Place`: the keyring of the desktop.

    Args:
        patience_s: how long it may take. It may ask its owner for a password meanwhile.
    """

    def __init__(self, backend: Callable[[], Backend], patience_s: float) -> None:
        self._backend, self._patience_s = backend, patience_s
        self._hangs = False

    def read(self, name: str) -> bytes | None:
        found = self._asked(lambda backend: backend.get_password(_SERVICE, name))
        return None if found is None else found.encode()

    def write(self, name: str, secret: bytes) -> None:
        def write_and_look(backend: Backend) -> str | None:
            backend.set_password(_SERVICE, name, secret.decode())
            return backend.get_password(_SERVICE, name)

        # Some backends cut what is long, and one forgets everything.
        if self._asked(write_and_look) != secret.decode():
            raise VaultError("The keyring does not keep what it is given.")

    def erase(self, name: str) -> None:
        def look_and_erase(backend: Backend) -> None:
            if backend.get_password(_SERVICE, name) is not None:
                backend.delete_password(_SERVICE, name)

        self._asked(look_and_erase)

    def _asked(self, work: Callable[[Backend], _T]) -> _T:
        """What the backend says, in time. It is another program, and may wait for its owner for ever."""
        if self._hangs:
            raise VaultError("The keyring does not answer.")
        answers: list[_T] = []
        faults: list[Exception] = []

        def ask() -> None:
            try:
                backend = self._backend()
                if backend.priority < _RECOMMENDED:
                    raise NoKeyring("There is no keyring here.")
                answers.append(work(backend))
            except Exception as fault:  # each backend has its own, and they have no common base
                faults.append(fault)

        asking = threading.Thread(
            target=ask, name="tollbook-keyring", daemon=True
        )  # ends with the program at the latest
        asking.start()
        asking.join(self._patience_s)
        if answers:
            return answers[0]
        if not faults:
            self._hangs = True
            raise VaultError(f"The keyring did not answer within {self._patience_s:g} s.")
        if isinstance(faults[0], NoKeyring):
            raise faults[0]
        # Its words are left out: nobody knows what they quote.
        raise VaultError(f"The keyring is locked or broken ({type(faults[0]).__name__}).") from None
