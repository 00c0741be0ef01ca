"""Logins are kept where nobody else can read them, and are not lost; threat 39."""

import asyncio
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.client.login.making import SECRET, SECRETS, login
from tests.fakes.keyrings import FolderKeyring, Manner
from tests.hosting.serving import SetClock
from tollbook.client.login.login import Login
from tollbook.client.login.secrets import VaultError
from tollbook.client.login.vault import Preference, Vault
from tollbook.client.trouble import TimedOut

URL = "https://mcp.example/mcp"


class Vaults:
    """Vaults of one folder, each as a new process has it, and what they say."""

    def __init__(self, folder: Path, keyring: FolderKeyring) -> None:
        self.folder, self.keyring = folder, keyring
        self.said: list[str] = []

    def __call__(self, secrets: Preference = "auto", *, patience_s: float = 10) -> Vault:
        return Vault(
            self.folder,
            secrets,
            SetClock(),
            say=self.said.append,
            backend=lambda: self.keyring,
            keyring_patience_s=patience_s,
            lock_patience_s=0.2,
        )

    def text(self) -> str:
        """All that stands in files of the folder, their names included."""
        return "".join(file.name + file.read_text() for file in self.folder.iterdir())

    def file(self, ending: str) -> Path:
        (found,) = self.folder.glob(f"*{ending}")
        return found


@pytest.fixture
def vaults(tmp_path: Path, keyring: FolderKeyring) -> Vaults:
    return Vaults(tmp_path / "data" / "logins", keyring)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def renewed(known: Login) -> Login:
    return msgspec.structs.replace(known, access_token="canary-access-1", refresh_token="canary-refresh-1")  # noqa: S106


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    yield
    os.umask(before)


@pytest.mark.parametrize("secrets", ["auto", "keyring", "file"])
def test_a_login_is_found_by_another_process_until_it_is_forgotten(vaults: Vaults, secrets: Preference) -> None:
    known = login(client_secret=SECRET)
    assert vaults().find(URL) is None
    assert not vaults().has(URL)
    assert not vaults.folder.exists(), "looking made it"

    assert vaults(secrets).keep(known) == ("file" if secrets == "file" else "keyring")
    assert vaults().find("HTTPS://MCP.example:443/mcp#x") == known
    assert vaults().has(URL)
    assert vaults().all() == [known]
    assert vaults().find("https://mcp.example/other") is None

    vaults().forget(known)
    assert vaults().find(URL) is None
    assert not vaults().has(URL)
    assert not vaults.keyring.passwords
    assert not list(vaults.folder.iterdir())
    assert not vaults.said


def test_secrets_are_in_the_keyring_and_nowhere_else(vaults: Vaults) -> None:
    vaults().keep(login(client_secret=SECRET))
    assert [secret for secret in SECRETS if secret in str(vaults.keyring.passwords)] == list(SECRETS)
    assert not [secret for secret in SECRETS if secret in vaults.text()]


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_files_and_folder_are_their_owners_alone_whatever_the_umask(vaults: Vaults, mask: int) -> None:
    with umask(mask):
        vaults("file").keep(login())
        vaults("file").keep(renewed(login()))
    assert mode(vaults.folder) == mode(vaults.folder.parent) == 0o700
    assert [mode(file) for file in vaults.folder.iterdir()] == [0o600, 0o600]


def test_there_is_one_login_for_each_issuer_client_and_resource_and_the_last_kept_is_found(vaults: Vaults) -> None:
    kept = [
        login(),
        login(issuer="https://other.example"),
        login(client_id="another"),
        login("https://mcp.example/zzz"),
    ]
    for each in (*kept, *kept):
        vaults().keep(each)
    assert sorted(map(repr, vaults().all())) == sorted(map(repr, kept))
    assert vaults().find(URL) == kept[2]
    vaults().keep(renewed(kept[0]))
    assert vaults().find(URL) == renewed(kept[0])
    vaults().forget(kept[0])
    assert vaults().find(URL) == kept[2]


def test_a_vault_sees_what_others_keep_and_forget_meanwhile(vaults: Vaults) -> None:
    mine = vaults()
    mine.keep(login())
    assert mine.find(URL) == login()
    vaults().keep(renewed(login()))
    assert mine.find(URL) == renewed(login())
    vaults().forget(login())
    assert mine.find(URL) is None


class TestAKeyring:
    def test_that_is_not_there_leaves_it_to_a_file_without_a_word(self, tmp_path: Path) -> None:
        said: list[str] = []
        # The environment of these tests names keyring's fail backend, as keyring itself does without a desktop.
        vault = Vault(tmp_path / "logins", "auto", SetClock(), say=said.append)
        assert vault.keep(login()) == "file"
        assert Vault(tmp_path / "logins", "auto", SetClock()).find(URL) == login()
        assert not said

    def test_that_was_there_and_is_not_any_more_is_named(self, vaults: Vaults) -> None:
        vaults().keep(login())
        elsewhere = Vault(vaults.folder, "auto", SetClock())
        with pytest.raises(VaultError, match=r"^The login at https://mcp\.example/mcp lies in a keyring\. There is no"):
            elsewhere.find(URL)
        elsewhere.keep(renewed(login()))
        assert elsewhere.find(URL) == renewed(login())

    @pytest.mark.parametrize(
        ("manner", "what"),
        [
            ("locked", r"The keyring is locked or broken \(KeyringLocked\)\."),
            ("gone", r"The keyring is locked or broken \(ConnectionResetError\)\."),
            ("hangs", r"The keyring did not answer within 0\.2 s\."),
        ],
    )
    def test_that_breaks_loses_no_login(self, vaults: Vaults, manner: Manner, what: str) -> None:
        vaults().keep(login())
        mine = vaults(patience_s=0.2)
        vaults.keyring.behave(manner)

        with pytest.raises(VaultError, match=f"{what} In it lies the login at .* Unlock or restart it, and try again"):
            vaults(patience_s=0.2).find(URL)
        assert vaults(patience_s=0.2).all() == []
        assert len(vaults.said) == 1
        vaults.said.clear()

        assert mine.keep(renewed(login())) == "file"
        (said,) = vaults.said
        assert said.startswith(what.replace("\\", "").split(" (")[0])
        assert f"is kept in '{vaults.folder}' instead" in said
        assert not [secret for secret in (*SECRETS, "canary-access-1", "canary-refresh-1") if secret in said]
        assert vaults().find(URL) == renewed(login())

        vaults.keyring.behave("well")
        assert vaults().find(URL) == renewed(login()), "the keyring has the old one"
        assert vaults().keep(login()) == "keyring"
        assert not list(vaults.folder.glob("*.login"))
        assert vaults().find(URL) == login()

    def test_that_hangs_is_waited_for_once(self, vaults: Vaults) -> None:
        vaults.keyring.behave("hangs")
        mine = vaults(patience_s=0.2)
        for what in ("did not answer within 0.2 s.", "does not answer."):
            assert mine.keep(login()) == "file"
            assert what in vaults.said.pop()

    def test_that_forgets_at_once_is_not_relied_on(self, vaults: Vaults) -> None:
        vaults.keyring.behave("forgets")
        assert vaults().keep(login()) == "file"
        assert vaults().find(URL) == login()
        assert "does not keep what it is given" in vaults.said[0]

    def test_that_must_be_it_and_breaks_keeps_the_login_for_this_program(self, vaults: Vaults) -> None:
        mine = vaults("keyring")
        mine.keep(login())
        vaults.keyring.behave("locked")
        with pytest.raises(VaultError, match=r"is locked .* is not kept\."):
            mine.keep(renewed(login()))
        assert "canary-access-1" not in vaults.text()
        assert mine.find(URL) == renewed(login())
        vaults.keyring.behave("well")
        assert mine.find(URL) == renewed(login())
        vaults().keep(msgspec.structs.replace(login(), subject="another process"))
        assert mine.find(URL) == msgspec.structs.replace(login(), subject="another process")

    def test_that_breaks_before_there_was_any_login_keeps_it_for_this_program(self, vaults: Vaults) -> None:
        mine = vaults("keyring")
        vaults.keyring.behave("locked")
        with pytest.raises(VaultError, match=r"is not kept\."):
            mine.keep(login())
        assert mine.has(URL)
        assert mine.find(URL) == login()
        mine.forget(login())
        assert not mine.has(URL)
        assert mine.find(URL) is None

    def test_that_breaks_does_not_keep_a_login_from_being_forgotten(self, vaults: Vaults) -> None:
        vaults().keep(login())
        vaults.keyring.behave("locked")
        vaults().forget(login())
        assert vaults().find(URL) is None
        (name,) = vaults.keyring.passwords
        assert vaults.said == [
            "The keyring is locked or broken (KeyringLocked). Remove what it keeps for tollbook under"
            f" '{name}' by hand."
        ]

    def test_whose_entry_was_removed_by_hand_has_no_login(self, vaults: Vaults) -> None:
        vaults().keep(login())
        (name,) = vaults.keyring.passwords
        vaults.keyring.delete_password("tollbook", name)
        assert vaults().find(URL) is None
        assert vaults().all() == []


class TestWhatOthersCouldReach:
    def test_threat_39_a_file_that_others_could_read_is_closed_to_them_and_that_is_said(self, vaults: Vaults) -> None:
        vaults("file").keep(login())
        file = vaults.file(".login")
        file.chmod(0o644)
        assert vaults().find(URL) == login()
        assert mode(file) == 0o600
        assert vaults.said == [
            f"Other users of this machine could look into '{file}'. It is closed to them now; unless you trust them,"
            " log out and in again."
        ]

    @pytest.mark.parametrize("open_to", [0o755, 0o777, 0o710])
    def test_threat_39_so_is_a_folder(self, vaults: Vaults, open_to: int) -> None:
        vaults("file").keep(login())
        vaults.folder.chmod(open_to)
        assert vaults().has(URL)
        assert mode(vaults.folder) == 0o700
        assert f"could look into '{vaults.folder}'" in vaults.said[0]

    def test_threat_39_a_folder_is_closed_before_anything_is_written(self, vaults: Vaults) -> None:
        vaults.folder.mkdir(parents=True)
        vaults.folder.chmod(0o755)
        vaults("file").keep(login())
        assert mode(vaults.folder) == 0o700

    @pytest.mark.parametrize("ending", [".login", ".json"])
    def test_threat_39_a_file_that_others_could_change_is_refused(self, vaults: Vaults, ending: str) -> None:
        vaults("file").keep(login())
        vaults.file(ending).chmod(0o620)
        self.refuses(vaults, f"Other users of this machine could change '{vaults.file(ending)}'")

    @pytest.mark.parametrize("ending", [".login", ".json"])
    def test_threat_39_a_symbolic_link_is_refused(self, vaults: Vaults, ending: str) -> None:
        vaults("file").keep(login())
        file = vaults.file(ending)
        file.rename(vaults.folder / "elsewhere")
        file.symlink_to(vaults.folder / "elsewhere")
        self.refuses(vaults, f"'{file}' cannot be read")

    def test_threat_39_so_is_a_folder_that_is_one(self, vaults: Vaults, tmp_path: Path) -> None:
        vaults("file").keep(login())
        vaults.folder.rename(tmp_path / "elsewhere")
        vaults.folder.symlink_to(tmp_path / "elsewhere")
        for use in (lambda: vaults().find(URL), lambda: vaults("file").keep(login())):
            with pytest.raises(
                VaultError, match=r"is a symbolic link, where logins are not kept\. Put a folder in its"
            ):
                use()

    def test_threat_39_a_pipe_is_refused_and_not_waited_for(self, vaults: Vaults) -> None:
        vaults("file").keep(login())
        file = vaults.file(".login")
        file.unlink()
        os.mkfifo(file, 0o600)
        self.refuses(vaults, f"'{file}' is no file")

    def test_threat_39_what_belongs_to_another_user_is_refused(self, vaults: Vaults) -> None:
        vaults("file").keep(login())
        given = given_away(vaults.file(".login"))
        if given is None:  # only root can give a file away; others have folders that are not theirs
            vaults.folder, given = Path("/"), Path("/")
        self.refuses(vaults, f"'{given}' belongs to another user")

    def test_a_login_made_anew_takes_the_place_of_what_was_refused(self, vaults: Vaults) -> None:
        vaults("file").keep(login())
        for ending in (".login", ".json"):
            vaults.file(ending).chmod(0o666)
        vaults("file").keep(renewed(login()))
        assert vaults().find(URL) == renewed(login())

    @staticmethod
    def refuses(vaults: Vaults, what: str) -> None:
        with pytest.raises(VaultError) as refused:
            vaults().find(URL)
        assert str(refused.value).startswith(what)
        assert "Remove it, and log in again." in str(refused.value) or "try again." in str(refused.value)
        assert not [secret for secret in SECRETS if secret in str(refused.value)]


def given_away(file: Path) -> Path | None:
    if os.geteuid() != 0:
        return None
    os.chown(file, 12345, 12345)
    return file


@pytest.mark.parametrize("ending", [".login", ".json"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"resource": 1}', "[" * 100_000, "\udcff"])
def test_a_damaged_login_is_none_and_that_is_said(vaults: Vaults, ending: str, text: str) -> None:
    vaults("file").keep(login())
    vaults.file(ending).write_bytes(text.encode(errors="surrogateescape"))
    assert vaults().find(URL) is None
    assert "damaged" in vaults.said[0]
    vaults("file").keep(login())
    assert vaults().find(URL) == login()


def test_where_nothing_can_be_written_it_is_said_and_what_was_kept_stays(vaults: Vaults) -> None:
    vaults("file").keep(login())
    name = vaults.file(".login").name
    vaults.file(".login").unlink()
    (vaults.folder / name).mkdir()  # takes the place of a disk that is full
    mine = vaults("file")
    with pytest.raises(VaultError, match=r"cannot be written: .*\. Mend that, and try again\."):
        mine.keep(renewed(login()))
    assert [file.name for file in vaults.folder.iterdir() if file.name.startswith(".")] == []
    assert mine.find(URL) == renewed(login())


def test_whoever_looks_while_it_is_written_sees_a_whole_login(vaults: Vaults) -> None:
    vaults("file").keep(login())
    seen: list[Login | None] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            seen.append(vaults().find(URL))

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(100):
        vaults("file").keep(msgspec.structs.replace(login(), subject="x" * 1000 * (number % 7)))
    is_over.set()
    looking.join()
    assert len(seen) > 5
    assert None not in seen
    assert not vaults.said


class TestALock:
    pytestmark = pytest.mark.anyio

    async def test_is_held_by_one_while_others_wait_and_the_event_loop_goes_on(self, vaults: Vaults) -> None:
        order: list[str] = []
        is_held, may_go = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with vaults().lock(URL):
                is_held.set()
                await may_go.wait()
                order.append("first")

        async def second() -> None:
            await is_held.wait()
            async with patient(vaults).lock("https://MCP.example/mcp"):
                order.append("second")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(first())
            waiting = tasks.create_task(second())
            await is_held.wait()
            async with vaults().lock("https://mcp.example/other"):
                order.append("other")
            for _ in range(100):
                await asyncio.sleep(0)
            assert not waiting.done()
            may_go.set()
        assert order == ["other", "first", "second"]

    async def test_that_is_not_let_go_of_is_waited_for_in_vain_and_that_is_said(self, vaults: Vaults) -> None:
        async with vaults().lock(URL):
            with pytest.raises(
                TimedOut, match=r"^Another tollbook has been busy with the login at https://mcp\.example"
            ):
                async with vaults().lock(URL):
                    raise AssertionError
        async with vaults().lock(URL):
            pass
        assert mode(vaults.file(".lock")) == 0o600

    async def test_makes_whoever_has_it_read_anew(self, vaults: Vaults) -> None:
        mine = vaults()
        mine.keep(login())
        (name,) = vaults.keyring.passwords
        vaults.keyring.delete_password("tollbook", name)
        assert mine.find(URL) == login()
        async with mine.lock(URL):
            assert mine.find(URL) is None

    async def test_that_is_a_symbolic_link_is_refused(self, vaults: Vaults) -> None:
        async with vaults().lock(URL):
            pass
        lock = vaults.file(".lock")
        lock.unlink()
        lock.symlink_to(vaults.folder.parent / "victim")
        with pytest.raises(VaultError, match="cannot be locked"):
            async with vaults().lock(URL):
                raise AssertionError
        assert not (vaults.folder.parent / "victim").exists()


def patient(vaults: Vaults) -> Vault:
    return Vault(vaults.folder, "auto", SetClock(), lock_patience_s=30)
