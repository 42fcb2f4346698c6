"""The DICOM files of the demo: those test files of pydicom's wheel that have their UIDs, each instance once."""

from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import pydicom.data

from fhirmedia.core.errors import Failure
from fhirmedia.demo.works import DicomFile
from fhirmedia.dicom.part10 import DicomHeader, read_header

BROKEN_ON_PURPOSE = frozenset({"badVR.dcm", "rtplan_truncated.dcm"})
"""Files whose bodies are damaged so that readers can be tested."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One file and what its header says."""

    file: DicomFile
    header: DicomHeader


def studies() -> list[tuple[Instance, ...]]:
    """The instances by study, in the order of their paths; their patients are test patients and are not read."""
    found = sorted(_instances(), key=lambda one: one.header.study_uid)
    grouped = (tuple(group) for _, group in groupby(found, key=lambda one: one.header.study_uid))
    return sorted(grouped, key=lambda study: study[0].file.path)


def stored_bytes(work: DicomFile) -> bytes:
    """The file as it is."""
    return (_folder() / work.path).read_bytes()


def _folder() -> Path:
    return Path(pydicom.data.__file__).parent / "test_files"


@cache
def _instances() -> tuple[Instance, ...]:
    """The first file of each SOP Instance UID; files without the mandatory UIDs are left out."""
    found: dict[str, Instance] = {}
    for path in sorted(path for path in _folder().rglob("*") if path.is_file()):
        if path.name in BROKEN_ON_PURPOSE:
            continue
        try:
            header = read_header(path.read_bytes())
        except Failure:
            continue
        found.setdefault(header.sop_uid, Instance(DicomFile(path.relative_to(_folder()).as_posix()), header))
    return tuple(found.values())
