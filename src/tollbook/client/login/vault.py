"""Logins kept from one run to the next, and shared by all that run at once.

Of each login a note lies in a folder: whose it is, and where its secrets are. So nobody asks the keyring, which takes
its time, about a server at which there is no login.
"""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from tollbook.client.login.login import Login, canonical, shown
from tollbook.client.login.secrets import (
    Backend,
    Keyring,
    NoKeyring,
    Place,
    PrivateFolder,
    Say,
    VaultError,
    of_the_desktop,
)
from tollbook.client.trouble import TimedOut
from tollbook.core.stores import Clock

Preference = Literal["auto", "keyring", "file"]
"""Where secrets are kept. `auto`: in the keyring, or in a file where there is none or it fails."""

_NOTE, _SECRETS, _LOCK = ".json", ".login", ".lock"
_KEYRING_PATIENCE_S: Final = 20.0  # its owner may have to type a password
_LOCK_PATIENCE_S: Final = 60.0  # a keyring and an authorization server may use up all of their patience before
_STEP_S: Final = 0.05


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a login without its secrets.

    Attributes:
        kept: when it was kept last, in seconds since 1970; no two of one resource are the same.
    """

    resource: str
    issuer: str
    client_id: str
    place: Literal["keyring", "file"]
    kept: float


class Vault:
    """Logins, one for each issuer, client and resource.

    Every method raises VaultError if what is kept cannot be read or written. They may take as long as the keyring does:
    in an event loop, call them in a thread, all but `has`.

    Args:
        say: is told of what was mended, or is kept elsewhere than one would think.
        backend: the keyring.
    """

    def __init__(
        self,
        folder: Path,
        secrets: Preference,
        clock: Clock,
        *,
        say: Say = lambda _: None,
        backend: Callable[[], Backend] = of_the_desktop,
        keyring_patience_s: float = _KEYRING_PATIENCE_S,
        lock_patience_s: float = _LOCK_PATIENCE_S,
    ) -> None:
        self._folder, self._preference, self._clock, self._say = PrivateFolder(folder, say), secrets, clock, say
        self._keyring = Keyring(backend, keyring_patience_s)
        self._lock_patience_s = lock_patience_s
        self._read: dict[str, tuple[_Note, Login]] = {}
        # By resource: with what others had kept there when this could not be.
        self._unkept: dict[str, tuple[Mapping[str, _Note], Login]] = {}

    def has(self, resource: str) -> bool:
        """Whether there is a login, at next to no cost."""
        resource = canonical(resource)
        prefix = _digest(resource)
        return resource in self._unkept or any(
            name.startswith(prefix) and name.endswith(_NOTE) for name in self._folder.names()
        )

    def find(self, resource: str) -> Login | None:
        """The login that was kept last at that resource."""
        resource = canonical(resource)
        notes = self._notes(resource)
        if resource in self._unkept and self._unkept[resource][0] == notes:
            return self._unkept[resource][1]
        if not notes:
            return None
        name, note = max(notes.items(), key=lambda named: named[1].kept)
        if name in self._read and self._read[name][0] == note:
            return self._read[name][1]
        login = self._login(name, note)
        if login is not None:
            self._read[name] = (note, login)
        return login

    def all(self) -> Sequence[Login]:
        """Every login that can be read, in the order of their resources; of the others it is said why not."""
        found = []
        for name, note in self._notes().items():
            try:
                found.append(self._login(name, note))
            except VaultError as fault:
                self._say(str(fault))
        return sorted(filter(None, found), key=lambda login: (login.resource, login.issuer, login.client_id))

    def keep(self, login: Login) -> Literal["keyring", "file"]:
        """Keeps a login in the place of that of the same issuer, client and resource; says where its secrets are.

        Whoever calls this has the lock. If it cannot be kept, it is still found by this vault.
        """
        login = msgspec.structs.replace(login, resource=canonical(login.resource))
        name = _name(login)
        others = self._notes(login.resource, is_strict=False)
        latest = max((note.kept for note in others.values()), default=0.0)
        try:
            place = self._write(name, login)
            note = _Note(
                resource=login.resource,
                issuer=login.issuer,
                client_id=login.client_id,
                place=place,
                kept=max(self._clock(), math.nextafter(latest, math.inf)),
            )
            self._folder.write(name + _NOTE, msgspec.json.encode(note))
        except VaultError:
            self._unkept[login.resource] = (others, login)
            raise
        self._unkept.pop(login.resource, None)
        self._read[name] = (note, login)
        if name in others and others[name].place != place:
            with suppress(VaultError):  # what lies there is worth nothing any more
                self._place(others[name].place).erase(_secret(name, others[name].place))
        return place

    def forget(self, login: Login) -> None:
        """Forgets the login of that issuer, client and resource, whatever became of it meanwhile."""
        name = _name(login)
        note = self._note(name)
        self._read.pop(name, None)
        self._unkept.pop(canonical(login.resource), None)
        self._folder.erase(name + _NOTE)
        self._folder.erase(name + _SECRETS)
        if note is not None and note.place == "keyring":
            try:
                self._keyring.erase(name)
            except VaultError as fault:
                self._say(f"{fault} Remove what it keeps for tollbook under '{name}' by hand.")

    @asynccontextmanager
    async def lock(self, resource: str) -> AsyncIterator[None]:
        """Keeps every other process from the logins at that resource; what is found afterwards is read anew.

        Raises:
            TimedOut: another process does not let go of it.
        """
        from filelock import FileLock, Timeout

        prefix = _digest(canonical(resource))
        self._folder.make()
        lock = FileLock(self._folder.path / (prefix + _LOCK), mode=0o600, thread_local=False)
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._lock_patience_s
        while True:
            try:
                lock.acquire(blocking=False)
                break
            except Timeout:
                if loop.time() >= ends:
                    raise TimedOut(
                        f"Another tollbook has been busy with the login at {shown(resource)} for"
                        f" {self._lock_patience_s:g} s. End it, and try again."
                    ) from None
                await asyncio.sleep(_STEP_S)
            except OSError as fault:
                raise VaultError(f"The logins in '{self._folder.path}' cannot be locked: {fault.strerror}.") from fault
        try:
            for name in [name for name in self._read if name.startswith(prefix)]:
                del self._read[name]
            yield
        finally:
            lock.release()

    def _notes(self, resource: str = "", *, is_strict: bool = True) -> Mapping[str, _Note]:
        """Those of a resource, or all, by the names of their logins.

        Args:
            is_strict: raise VaultError for one that cannot be read safely, instead of leaving it out.
        """
        found: dict[str, _Note] = {}
        for file in self._folder.names():
            name = file.removesuffix(_NOTE)
            if name != file and name.startswith(_digest(resource) if resource else ""):
                try:
                    note = self._note(name)
                except VaultError:
                    if is_strict:
                        raise
                    continue
                if note is not None:
                    found[name] = note
        return found

    def _note(self, name: str) -> _Note | None:
        text = self._folder.read(name + _NOTE)
        try:
            return None if text is None else msgspec.json.decode(text, type=_Note)
        except (ValueError, RecursionError):  # those of msgspec are ValueErrors
            self._say(f"'{self._folder.path / (name + _NOTE)}' is damaged, and the login that it is about is lost.")
            return None

    def _login(self, name: str, note: _Note) -> Login | None:
        again = f"Run 'tollbook login {shown(note.resource)}' to make a new one."
        try:
            text = self._place(note.place).read(_secret(name, note.place))
        except NoKeyring as fault:
            raise VaultError(f"The login at {shown(note.resource)} lies in a keyring. {fault} {again}") from fault
        except VaultError as fault:
            if note.place == "file":
                raise
            raise VaultError(
                f"{fault} In it lies the login at {shown(note.resource)}. Unlock or restart it, and try again. {again}"
            ) from fault
        try:
            return None if text is None else msgspec.json.decode(text, type=Login)
        except (ValueError, RecursionError):
            self._say(f"The login at {shown(note.resource)} is damaged. {again}")
            return None

    def _write(self, name: str, login: Login) -> Literal["keyring", "file"]:
        text = msgspec.json.encode(login)
        if self._preference != "file":
            try:
                self._keyring.write(name, text)
                return "keyring"
            except VaultError as fault:
                if self._preference == "keyring":
                    raise VaultError(f"{fault} The login at {shown(login.resource)} is not kept.") from fault
                if not isinstance(fault, NoKeyring):
                    self._say(f"{fault} The login at {shown(login.resource)} is kept in '{self._folder.path}' instead.")
        self._folder.write(_secret(name, "file"), text)
        return "file"

    def _place(self, place: Literal["keyring", "file"]) -> Place:
        return self._keyring if place == "keyring" else self._folder


def _name(login: Login) -> str:
    """What a login's files begin with: of one resource, all begin alike."""
    return f"{_digest(canonical(login.resource))}-{_digest(login.issuer, login.client_id)}"


def _secret(name: str, place: Literal["keyring", "file"]) -> str:
    return name if place == "keyring" else name + _SECRETS


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]
