"""The header of a DICOM file agrees with pydicom's own reader, and bytes that are none are refused as INVALID."""

import struct
import zlib
from datetime import date, time
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from fhirmedia.core.errors import Category, Failure
from fhirmedia.dicom.part10 import INFLATED_MAX_BYTES, DicomHeader, read_header

FOLDER = Path(pydicom.data.__file__).parent / "test_files"


def a_file(tmp_path: Path, *, deflated: bool = False, **attributes: object) -> bytes:
    """A small valid file; attributes by keyword, None leaves one out."""
    dataset = Dataset()
    values: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "Modality": "OT",
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    path = tmp_path / "file.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path.read_bytes()


def outcome(content: bytes) -> DicomHeader | None:
    """The header, or None if the content was refused as INVALID; any other end is an error."""
    try:
        return read_header(content)
    except Failure as failure:
        if failure.issues[0].code != Category.INVALID.code:
            raise
        return None


def refused(content: bytes) -> str:
    with pytest.raises(Failure) as caught:
        read_header(content)
    assert caught.value.issues[0].code == Category.INVALID.code
    return caught.value.issues[0].text


@pytest.mark.parametrize(
    ("name", "modality", "study_date", "study_time", "rows", "frames"),
    [
        ("CT_small.dcm", "CT", date(2004, 1, 19), time(7, 27, 30), 128, 1),
        ("MR_small_bigendian.dcm", "MR", date(2004, 8, 26), time(18, 50, 59), 64, 1),
        ("ExplVR_BigEnd.dcm", "US", date(1997, 4, 24), time(14, 4, 38), 60, 1),
        ("rtdose.dcm", "RTDOSE", date(2003, 8, 5), time(11, 57, 47), 10, 15),
        ("image_dfl.dcm", "OT", None, None, 512, 1),
        ("waveform_ecg.dcm", "ECG", date(2013, 1, 25), time(10, 59, 19), None, 1),
    ],
)
def test_known_files_are_read(
    name: str, modality: str, study_date: date | None, study_time: time | None, rows: int | None, frames: int
) -> None:
    header = read_header((FOLDER / name).read_bytes())
    assert (header.modality, header.study_date, header.study_time) == (modality, study_date, study_time)
    assert (header.rows, header.frames) == (rows, frames)


@pytest.mark.filterwarnings("ignore")
def test_every_file_of_the_wheel_is_read_as_pydicom_reads_it_or_refused() -> None:
    read = 0
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        header = outcome(path.read_bytes())
        if header is None:
            continue
        expected = pydicom.dcmread(path, stop_before_pixels=True)
        read += 1
        assert header.study_uid == str(expected.StudyInstanceUID)
        assert header.series_uid == str(expected.SeriesInstanceUID)
        assert header.sop_uid == str(expected.SOPInstanceUID)
        assert header.sop_class == str(expected.SOPClassUID)
        assert header.transfer_syntax == str(expected.file_meta.TransferSyntaxUID)
        assert header.modality == (expected.get("Modality") or None)
        assert header.columns == expected.get("Columns")
        assert (header.body_part or "") == (expected.get("BodyPartExamined") or "")
    assert read >= 140


def test_pixels_are_never_read() -> None:
    content = (FOLDER / "CT_small.dcm").read_bytes()
    pixels = content.index(b"\xe0\x7f\x10\x00OW")
    assert read_header(content[: pixels + 12]) == read_header(content)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_an_identifying_attribute_that_is_missing_is_named(tmp_path: Path, keyword: str) -> None:
    assert keyword in refused(a_file(tmp_path, **{keyword: None}))


def test_numbers_and_dates_that_are_none_are_absent(tmp_path: Path) -> None:
    content = a_file(tmp_path, StudyDate="20230931", StudyTime="2561", InstanceNumber=" -7", NumberOfFrames=" 3 ")
    header = read_header(content)
    assert (header.study_date, header.study_time, header.instance_number, header.frames) == (None, None, None, 3)


def test_text_is_decoded_and_trimmed(tmp_path: Path) -> None:
    content = a_file(tmp_path, SpecificCharacterSet="ISO_IR 192", StudyDescription="Sår på foten ", AccessionNumber="")
    header = read_header(content)
    assert (header.study_description, header.accession) == ("Sår på foten", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10", time(10)), ("1030", time(10, 30)), ("103059.12", time(10, 30, 59, 120_000)), ("235960", time(23, 59, 59))],
)
def test_shortened_times_are_read(tmp_path: Path, text: str, expected: time) -> None:
    assert read_header(a_file(tmp_path, StudyTime=text)).study_time == expected


def test_a_deflated_bomb_is_unpacked_no_further_than_the_limit(tmp_path: Path) -> None:
    small = a_file(tmp_path, deflated=True, StudyDescription="whole")
    assert read_header(small).study_description == "whole"
    (length,) = struct.unpack_from("<L", small, 140)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A private element that claims four times what may be unpacked, and delivers it.
    element = struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 4 * INFLATED_MAX_BYTES)
    bomb = small[: 144 + length] + packer.compress(element)
    for _ in range(4):
        bomb += packer.compress(bytes(INFLATED_MAX_BYTES))
    bomb += packer.flush()
    assert len(bomb) < 200_000
    assert refused(bomb)


@given(st.binary(max_size=400))
def test_garbage_is_refused(content: bytes) -> None:
    refused(content)
    refused(bytes(128) + b"DICM" + content)
    refused(bytes(128) + b"DICM\x02\x00\x00\x00UL\x04\x00" + content)


@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(["CT_small.dcm", "rtdose.dcm", "reportsi.dcm", "waveform_ecg.dcm", "image_dfl.dcm"])
    )
    content = bytearray((FOLDER / name).read_bytes()[:3000])
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    header = outcome(bytes(content[: data.draw(st.integers(0, len(content)))]))
    assert header is None or (header.study_uid and header.frames >= 1)
