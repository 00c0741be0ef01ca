"""A keyring that belongs to nobody, and does wrong when it is told to."""

import json
import threading
from pathlib import Path
from typing import Literal

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

Manner = Literal["well", "locked", "gone", "hangs", "forgets"]


class FolderKeyring(KeyringBackend):
    """Keeps its passwords in a folder, for as many processes as know it.

    Others are told of it by `environment`. It hangs until the end of the process that asked.
    """

    priority = 9
    folder = ""

    @classmethod
    def at(cls, folder: Path) -> "FolderKeyring":
        folder.mkdir(exist_ok=True)
        made = cls()
        made.folder = str(folder)
        return made

    @property
    def environment(self) -> dict[str, str]:
        """Makes keyring choose this one."""
        return {"PYTHON_KEYRING_BACKEND": f"{__name__}.FolderKeyring", "KEYRING_PROPERTY_FOLDER": self.folder}

    def behave(self, manner: Manner) -> None:
        (Path(self.folder) / "manner").write_text(manner)

    @property
    def passwords(self) -> dict[str, str]:
        """Of all services, by user name."""
        file = Path(self.folder) / "passwords.json"
        found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        return found

    def get_password(self, service: str, username: str) -> str | None:
        self._misbehave(username)
        return self.passwords.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        if self._misbehave(password) != "forgets":
            self._write({**self.passwords, username: password})

    def delete_password(self, service: str, username: str) -> None:
        self._misbehave(username)
        self._write({name: password for name, password in self.passwords.items() if name != username})

    def _write(self, passwords: dict[str, str]) -> None:
        (Path(self.folder) / "passwords.json").write_text(json.dumps(passwords))

    def _misbehave(self, about: str) -> str:
        file = Path(self.folder) / "manner"
        manner = file.read_text() if file.exists() else "well"
        if manner == "locked":
            raise KeyringLocked(f"cannot unlock for {about}")
        if manner == "gone":
            raise ConnectionResetError(f"the bus is gone, and with it {about}")
        if manner == "hangs":
            threading.Event().wait()
        return manner
