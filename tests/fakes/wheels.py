"""Packages that are made for a test, as wheels: nothing need be fetched to install them."""

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def a_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], needs: Sequence[str] = (), program: str = ""
) -> str:
    """Writes one into `folder`; gives its line for a lock.

    Args:
        needs: requirements.
        program: MODULE:FUNCTION, for a program of the package's name.

    Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    info = f"{name}-{version}.dist-info"
    required = "".join(f"Requires-Dist: {each}\n" for each in needs)
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if program:
        whole[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {program}\n"
    record = "".join(f"{path},sha256={_hash(text)},{len(text.encode())}\n" for path, text in whole.items())
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, text in {**whole, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(place, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
