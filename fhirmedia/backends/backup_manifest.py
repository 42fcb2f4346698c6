"""The manifest of a backup: what it holds, with a hash of every file, written when all of it is there."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fhirmedia.core.errors import Category, Failure

MANIFEST = "manifest.json"
_FORMAT = 1
_PLACE = re.compile(r"(?:VERSION|DEMO|[\w-]+\.json|records\.db|(?:keys|audit)/[\w-][\w.-]*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file by its path in the folder, with its size and SHA-256."""

    path: str
    size_bytes: int
    sha256_hex: str


@dataclass(frozen=True, slots=True)
class KeptHead:
    """Where an audit log ends in the backup."""

    log_id: str
    sequence: int
    hash_hex: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    `version` is that of the folder, `program` of the program that made it; `made_at` and `last_change_at` are instants;
    contents of Binaries are named by the database and so by its hash. `damaged` are contents that were lost or wrong
    already when the backup was made.
    """

    version: int
    program: str
    made_at: str
    last_change: int
    last_change_at: str | None
    objects: int
    object_bytes: int
    heads: tuple[KeptHead, ...]
    damaged: tuple[str, ...]
    files: tuple[KeptFile, ...]

    def encode(self) -> bytes:
        """As JSON, to be read by people, too."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode() + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup. Raises Failure NOT_FOUND if there is none, CORRUPT if it is not one of ours."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        text = f"{folder} is not a complete backup: it has no {MANIFEST}, which is written last."
        raise Failure(Category.NOT_FOUND, text) from None
    try:
        stated = json.loads(content)
        if stated.pop("format") != _FORMAT:
            raise ValueError
        stated["heads"] = tuple(KeptHead(**head) for head in stated["heads"])
        stated["files"] = tuple(KeptFile(**file) for file in stated["files"])
        stated["damaged"] = tuple(map(str, stated["damaged"]))
        manifest = Manifest(**stated)
        _require_places(manifest.files)
    except (ValueError, TypeError, KeyError, AttributeError):
        text = f"{MANIFEST} is damaged, or of a newer fhirmedia; nothing was restored."
        raise Failure(Category.CORRUPT, text) from None
    return manifest


def sha256_of_manifest(folder: Path) -> str:
    """By which a backup can be told from any other, in hexadecimal digits."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def has_place(path: str) -> bool:
    """Whether a file of a data folder may be there; a manifest that names another place is not ours."""
    return _PLACE.match(path) is not None


def _require_places(files: Sequence[KeptFile]) -> None:
    if not all(has_place(file.path) for file in files) or len({file.path for file in files}) != len(files):
        raise ValueError
