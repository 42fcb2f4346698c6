"""The header of a DICOM file (PS3.10): what identifies and describes it, read without touching its pixels."""

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, time
from io import BytesIO
from typing import Final

import pydicom.config
import pydicom.multival
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from fhirmedia.core.errors import Category, Failure

# Values of old devices break the rules of their VR. They are kept as received: pydicom is not asked to judge them.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

PREAMBLE_BYTES: Final = 128
INFLATED_MAX_BYTES: Final = 16 * 1024 * 1024
"""How much of a deflated data set is unpacked in search of its header (PS3.5 A.5)."""

_PIXEL_DATA: Final = 0x7FE00008
_UID = re.compile(r"[0-9.]{1,64}\Z")
_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})\Z")
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?\Z")
_WANTED = (
    "SpecificCharacterSet SOPClassUID SOPInstanceUID StudyDate StudyTime AccessionNumber Modality StudyDescription "
    "SeriesDescription BodyPartExamined StudyInstanceUID SeriesInstanceUID SeriesNumber InstanceNumber Laterality "
    "ImageLaterality NumberOfFrames Rows Columns"
).split()
BROKEN: Final = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on bytes that are no data set."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """The identifying and describing attributes of one instance.

    UIDs are bare (digits and dots). Texts are decoded and stripped, None where absent or empty; numbers are None where
    absent or out of range. `study_time` has no zone: the sender's is not known here. `frames` is at least 1.
    """

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    modality: str | None
    study_date: date | None
    study_time: time | None
    accession: str | None
    study_description: str | None
    series_description: str | None
    series_number: int | None
    instance_number: int | None
    body_part: str | None
    laterality: str | None
    rows: int | None
    columns: int | None
    frames: int


def read_header(content: bytes) -> DicomHeader:
    """The header of a DICOM file, read up to its pixel data and no further.

    Raises Failure(INVALID) for bytes that are no Part 10 file, are cut off before the header ends, or lack one of
    study, series and instance UID, SOP class or transfer syntax (PS3.10 7.1; PS3.3 C.7.2.1, C.7.3.1, C.12.1).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote what the file holds
        try:
            meta, start = file_meta(content)
            syntax = uid_of(meta, "TransferSyntaxUID")
            wanted = [Tag(keyword) for keyword in _WANTED]
            return _header(data_set(content, start, syntax, stop_when=_at_pixels, wanted=wanted), syntax)
        except BROKEN as error:
            raise Failure(Category.INVALID, "the DICOM file cannot be read as a data set") from error


def file_meta(content: bytes) -> tuple[Dataset, int]:
    """The File Meta Information and the offset behind it. Its group length is mandatory (PS3.10 7.1)."""
    start = PREAMBLE_BYTES + 4
    if content[PREAMBLE_BYTES:start] != b"DICM":
        raise Failure(Category.INVALID, "the content has no DICOM prefix after its preamble")
    if content[start : start + 8] != b"\x02\x00\x00\x00UL\x04\x00" or len(content) < start + 12:
        raise Failure(Category.INVALID, "the DICOM file has no File Meta Information Group Length")
    (length,) = struct.unpack_from("<L", content, start + 8)
    end = start + 12 + length
    if end > len(content):
        raise Failure(Category.INVALID, "the DICOM file ends inside its File Meta Information")
    return read_dataset(BytesIO(content[start:end]), is_implicit_VR=False, is_little_endian=True), end


def data_set(
    content: bytes,
    start: int,
    syntax: str,
    *,
    stop_when: Callable[[BaseTag, str | None, int], bool],
    wanted: Sequence[BaseTag] | None = None,
) -> Dataset:
    """The data set at an offset, up to a tag; with `wanted` no other tags. Raises one of BROKEN."""
    stream = BytesIO(content)
    stream.seek(start)
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(memoryview(content)[start:], INFLATED_MAX_BYTES)
        stream = BytesIO(inflated)
    return read_dataset(
        stream,
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
        stop_when=stop_when,
        specific_tags=None if wanted is None else list(wanted),
    )


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) >= _PIXEL_DATA


def _header(dataset: Dataset, syntax: str) -> DicomHeader:
    study_date, study_time = _text(dataset, "StudyDate"), _text(dataset, "StudyTime")
    return DicomHeader(
        study_uid=uid_of(dataset, "StudyInstanceUID"),
        series_uid=uid_of(dataset, "SeriesInstanceUID"),
        sop_uid=uid_of(dataset, "SOPInstanceUID"),
        sop_class=uid_of(dataset, "SOPClassUID"),
        transfer_syntax=syntax,
        modality=_text(dataset, "Modality"),
        study_date=_date(study_date),
        study_time=_time(study_time),
        accession=_text(dataset, "AccessionNumber"),
        study_description=_text(dataset, "StudyDescription"),
        series_description=_text(dataset, "SeriesDescription"),
        series_number=_number(dataset, "SeriesNumber"),
        instance_number=_number(dataset, "InstanceNumber"),
        body_part=_text(dataset, "BodyPartExamined"),
        laterality=_text(dataset, "ImageLaterality") or _text(dataset, "Laterality"),
        rows=_number(dataset, "Rows"),
        columns=_number(dataset, "Columns"),
        frames=_number(dataset, "NumberOfFrames") or 1,
    )


def _text(dataset: Dataset, keyword: str) -> str | None:
    """The first value as text; a value that cannot be decoded counts as absent."""
    value = dataset.get(keyword)
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0] if len(value) else None
    if value is None or isinstance(value, bytes):
        return None
    return str(value).replace("\0", "").strip() or None


def uid_of(dataset: Dataset, keyword: str) -> str:
    """A UID as received, without its padding; raises Failure(INVALID) where it is missing or no UID (PS3.5 9.1)."""
    text = _text(dataset, keyword)
    if text is None or not _UID.match(text):
        raise Failure(Category.INVALID, f"{keyword} of the DICOM file is missing or is not a UID")
    return text


def _number(dataset: Dataset, keyword: str) -> int | None:
    text = _text(dataset, keyword)
    if text is None or not re.match(r"[+-]?\d{1,12}\Z", text):
        return None
    number = int(text)
    return number if 0 <= number < 2**31 else None


def _date(text: str | None) -> date | None:
    """A DA value, also in the dotted form of ACR-NEMA (PS3.5 6.2); None for one that is no date."""
    form = _DATE.match(text or "")
    if form is None:
        return None
    try:
        return date(int(form[1]), int(form[2]), int(form[3]))
    except ValueError:
        return None


def _time(text: str | None) -> time | None:
    """A TM value, its missing parts being zero; a leap second is read as the second before it."""
    form = _TIME.match(text or "")
    if form is None:
        return None
    try:
        return time(int(form[1]), int(form[2] or 0), min(int(form[3] or 0), 59), int((form[4] or "0").ljust(6, "0")))
    except ValueError:
        return None
