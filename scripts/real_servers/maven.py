"""One file from the Maven registry by package name, checked against a recorded sum, kept for the next time."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.real_servers.places import SERVICES, UnavailableError, locked

DOWNLOADS = SERVICES / "downloads"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of the registry: its coordinates `group:name:version:type`, how it is named, and its SHA-256."""

    coordinates: str
    file: str
    sha256_hex: str


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fetched(artifact: Artifact, *, downloads: Path = DOWNLOADS) -> Path:
    """The file, fetched unless it is there. Raises UnavailableError if it cannot be had or is not the one recorded."""
    target = downloads / artifact.file
    with locked(downloads / "lock"):
        if not target.exists():
            _fetch(artifact, target)
    return target


def _fetch(artifact: Artifact, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError("mvn is missing, which fetches the server: apt-get install maven (Debian: maven).")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact.coordinates}"]
        try:
            done = subprocess.run(
                [*command, f"-DoutputDirectory={folder}"], cwd=folder, capture_output=True, timeout=600, check=False
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"mvn did not deliver {artifact.coordinates} within ten minutes.") from None
        came = Path(folder) / artifact.file
        if done.returncode or not came.exists():
            raise UnavailableError(f"mvn could not deliver {artifact.coordinates}; is a Maven registry in reach?")
        if sha256_of(came) != artifact.sha256_hex:
            raise UnavailableError(f"{artifact.file} is not the file whose checksum is recorded here.")
        os.replace(came, target)
