"""What a DICOM object says in words: a fixed list of descriptions, the content of a report, an encapsulated document.

Never UIDs, never pixels. Runs only inside the sandbox's processes.
"""

import warnings
from collections.abc import Iterator
from typing import Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fhirmedia.core.errors import Category, Failure
from fhirmedia.dicom.part10 import BROKEN, data_set, file_meta, uid_of

DESCRIPTIONS: Final = (
    "StudyDescription SeriesDescription ProtocolName BodyPartExamined PerformedProcedureStepDescription"
    " RequestedProcedureDescription ReasonForStudy ReasonForTheRequestedProcedure AdmittingDiagnosesDescription"
    " Manufacturer ManufacturerModelName StationName ContrastBolusAgent ImageComments StudyComments"
    " DerivationDescription AcquisitionDescription DocumentTitle ContentDescription"
).split()
"""Attributes of the data set whose text is searched (PS3.6)."""

DEPTH_MAX: Final = 64
"""Levels of a content tree that are read."""

_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_SAID = ("TextValue", "PersonName")


class Encapsulated(NamedTuple):
    """A document inside a DICOM object (PS3.3 C.24): its media type and its bytes."""

    content_type: str
    content: bytes


def described(content: bytes) -> tuple[list[str], Encapsulated | None]:
    """What the object says, value by value, and the document it holds, if any.

    Raises Failure INVALID for bytes that are no DICOM file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote what the file holds
        try:
            meta, start = file_meta(content)
            dataset = data_set(content, start, uid_of(meta, "TransferSyntaxUID"), stop_when=_at_pixels)
            said = [text for keyword in DESCRIPTIONS for text in _values(dataset, keyword)]
            said += _tree(dataset, 0)
            return said, _encapsulated(dataset)
        except BROKEN as error:
            raise Failure(Category.INVALID, "the DICOM file cannot be read as a data set") from error


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) in _PIXELS


def _tree(item: Dataset, depth: int) -> Iterator[str]:
    """Names, texts, codes and numbers with their units, in the order of the content tree (PS3.3 C.17.3)."""
    yield from _meanings(item, "ConceptNameCodeSequence")
    for keyword in _SAID:
        yield from _values(item, keyword)
    yield from _meanings(item, "ConceptCodeSequence")
    for measured in _items(item, "MeasuredValueSequence"):
        number = " ".join(_values(measured, "NumericValue"))
        units = " ".join(_meanings(measured, "MeasurementUnitsCodeSequence"))
        yield f"{number} {units}"
    if depth < DEPTH_MAX:
        for each in _items(item, "ContentSequence"):
            yield from _tree(each, depth + 1)


def _meanings(item: Dataset, keyword: str) -> Iterator[str]:
    for code in _items(item, keyword):
        yield from _values(code, "CodeMeaning")


def _items(item: Dataset, keyword: str) -> Iterator[Dataset]:
    value = item.get(keyword)
    if value is not None and not isinstance(value, (bytes, str)):
        yield from (each for each in value if isinstance(each, Dataset))


def _values(item: Dataset, keyword: str) -> Iterator[str]:
    value = item.get(keyword)
    if value is None or isinstance(value, bytes):
        return
    several = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else (value,)
    for each in several:
        text = str(each).replace("\0", "").replace("^", " ").strip()
        if text:
            yield text


def _encapsulated(dataset: Dataset) -> Encapsulated | None:
    kind, content = dataset.get("MIMETypeOfEncapsulatedDocument"), dataset.get("EncapsulatedDocument")
    if not isinstance(kind, str) or not isinstance(content, bytes):
        return None
    length = dataset.get("EncapsulatedDocumentLength")
    return Encapsulated(kind, content[: length if isinstance(length, int) else None])
