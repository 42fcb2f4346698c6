"""Texts are read of every format that has one, in a process that bombs, broken files and many pages do not break."""

import asyncio
import io
import os
import signal
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import FrameType

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from fhirmedia.backends import text_process
from fhirmedia.backends.text_sandbox import TextSandbox
from fhirmedia.core.errors import Category, Failure
from fhirmedia.media import text_kept
from fhirmedia.media.text_formats import SOURCE_MAX_BYTES, bytes_read, text_format
from fhirmedia.media.text_kept import FIRST_WORDS, KeptWords
from fhirmedia.r4 import word_tests
from tests.media import documents as made

PIECE = 64 * 1024
FORMATS = ("plain/-", "html/-", "xml/-", "rtf", "docx", "odt", "pdf", "dicom")


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PIECE):
        yield content[at : at + PIECE]


async def read(sandbox: TextSandbox, content: bytes, format: str, *, is_cut: bool = False) -> tuple[str, str] | None:
    text = await sandbox.read(pieces(content), size=len(content), format=format, is_cut=is_cut)
    return None if text is None else (text.outcome, text.words)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(anyio_backend: str) -> AsyncIterator[TextSandbox]:
    one = TextSandbox()
    yield one
    await one.close()


def processes() -> list[int]:
    """Reading processes that are children of this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
            line = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"text_process" in line:
            found.append(int(status.parent.name))
    return found


SAID = {
    "plain": ("text/plain", made.PLAIN.encode(), "Utlåtande Lungödem på höger sida Ingen pneumothorax"),
    "latin": ("text/plain; charset=ISO-8859-1", made.PLAIN.encode("latin-1"), "Lungödem på höger"),
    "utf-16": ("text/plain", made.PLAIN.encode("utf-16"), "Lungödem på höger"),
    "far encoding": ("text/plain;charset=gb18030", "肺炎 x".encode("gb18030"), "肺炎 x"),
    "csv": ("text/csv", made.CSV.encode(), "prov värde hemoglobin 142"),
    "markdown": ("text/markdown", made.MARKDOWN.encode(), "Epikris Patienten mår mycket bättre"),
    "rtf": ("application/rtf", made.RTF, "Sahlgrenska Lömskt blåmärke på armen enligt journal slut"),
    "docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        made.a_docx(),
        "Diabetes typ två insulin fotnoten",
    ),
    "odt": ("application/vnd.oasis.opendocument.text", made.an_odt(), "Omvårdnad Trycksår på hälen"),
    "html": ("text/html", made.HTML, "Remissvar Hjärtsvikt ödem"),
    "html without encoding": ("text/html", "<p>ödem</p>".encode("cp1252"), "ödem"),
    "html that says it": ("text/html", '<meta charset="iso8859-5"><p>да</p>'.encode("iso8859-5"), "да"),
    "xml": ("application/xml", made.XML, "Frisk hud 1 cm"),
    "other xml": ("application/foo+xml", made.XML, "Frisk hud 1 cm"),
    "cda": ("text/xml", made.CDA, "Utskrivningsmeddelande Anamnes Hosta sedan tre veckor feber frossa"),
    "pdf": ("application/pdf", made.pdf("Hjärtat slår", "andra sidan"), "Hjärtat slår andra sidan"),
    "pdf without password": ("application/pdf", made.encrypted_pdf("Hjärtat", password=""), "Hjärtat"),
    "sr": (
        "application/dicom",
        made.an_sr(),
        "Lungröntgen Radiologirapport Fynd Förtätning i underloben Sida vänster Slutsats Pneumoni",
    ),
    "dicom with pdf": ("application/dicom", made.a_dicom_pdf("bilagan"), "Bilaga bilagan"),
}


@pytest.mark.parametrize("name", SAID)
async def test_the_text_is_read_and_nothing_else(sandbox: TextSandbox, name: str) -> None:
    content_type, content, said = SAID[name]
    format = text_format(content_type)
    assert format is not None
    outcome = await read(sandbox, content, format)
    assert outcome is not None
    assert outcome[0] == "extracted"
    assert outcome[1] == said if name not in ("latin", "utf-16") else said in outcome[1]
    assert "gizmo" not in outcome[1].lower()


async def test_a_font_of_its_own_is_no_hindrance(sandbox: TextSandbox) -> None:
    """What maps its codes to letters makes the library use encodings that nothing else has loaded."""
    pdfmetrics.registerFont(TTFont("Vera", "Vera.ttf"))
    held = io.BytesIO()
    page = Canvas(held)
    page.setFont("Vera", 12)
    page.drawString(72, 700, "Hillevi Yılmaz, överläkare – åtgärd")
    page.save()
    assert await read(sandbox, held.getvalue(), "pdf") == ("extracted", "Hillevi Yılmaz överläkare åtgärd")


BROKEN = {
    "password": ("pdf", made.encrypted_pdf("x", password="secret"), "encrypted"),
    "encrypted docx": ("docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "encrypted"),
    "encrypted odt": (
        "odt",
        made.zipped({"content.xml": b"\x00\x01", "META-INF/manifest.xml": "<m:encryption-data xmlns:m='m'/>"}),
        "encrypted",
    ),
    "undecodable": ("plain/-", made.PLAIN.encode("latin-1"), "undecodable"),
    "unknown encoding": ("plain/unknown", b"text", "undecodable"),
    "unknown encoding of xml": ("xml/unknown", b"<a/>", "undecodable"),
    "half a docx": ("docx", made.a_docx()[:300], "broken"),
    "another archive": ("docx", made.zipped({"a.txt": "text"}), "broken"),
    "half an xml": ("xml/-", made.XML[:-3], "broken"),
    "laughs": (
        "xml/-",
        b"<!DOCTYPE l [<!ENTITY a 'lol'>"
        + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><l>&j;</l>",
        "broken",
    ),
    "external entity": ("xml/-", b"<!DOCTYPE l [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><l>&a;</l>", "broken"),
    "half a pdf": ("pdf", made.pdf("Hjärtat")[:200], "broken"),
    "no dicom": ("dicom", b"\x00" * 128 + b"DICM" + b"\x00" * 64, "broken"),
    "no text": ("plain/-", b" \n-- \n", "empty"),
    "scanned pdf": ("pdf", made.pdf(""), "empty"),
    "dicom in dicom": (
        "dicom",
        made.dicom(MIMETypeOfEncapsulatedDocument="application/dicom", EncapsulatedDocument=made.an_sr()),
        "empty",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_cannot_be_read_is_called_by_its_reason(sandbox: TextSandbox, name: str) -> None:
    format, content, reason = BROKEN[name]
    assert await read(sandbox, content, format) == (reason, "")


async def test_bombs_cost_a_bounded_time(sandbox: TextSandbox) -> None:
    inflated = made.docx("<w:p><w:r><w:t>ordet " + "- " * (20 * 2**20))
    bombs = {
        "zip": ("docx", inflated, {("truncated", "ordet")}),
        "many parts": ("docx", made.docx("", {f"word/header{n}.xml": "<a/>" for n in range(5_000)}), {("empty", "")}),
        "deep": ("xml/-", b"<a>" * 1_000_000, {("broken", "")}),
        "page tree": ("pdf", made.pdf("x").replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]"), {("empty", ""), ("broken", "")}),
    }
    for name, (format, content, outcomes) in bombs.items():
        assert len(content) < 4 * 2**20, name
        began = time.monotonic()
        assert await read(sandbox, content, format) in outcomes, name
        assert time.monotonic() - began < 60, name
    assert await read(sandbox, b"still here", "plain/-") == ("extracted", "still here")


def inflating(number: int) -> bytes:
    """A page whose stream becomes this many bytes, one text that never ends."""
    stream = zlib.compress(b"(" + b"a" * number + b") Tj", 9)
    whole = made.pdf("x")
    start, end = whole.split(b"<</Length")[0], whole.split(b"endstream")[1]
    return start + b"<</Filter/FlateDecode/Length %d>>stream\n" % len(stream) + stream + b"\nendstream" + end


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # told in a destructor it is told again
def test_a_text_that_takes_too_long_ends_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_process, "KEPT_AFTER_S", 0.3)
    before = signal.signal(signal.SIGPROF, text_process._time_is_up)
    try:
        pages = text_process.read(made.pdf(*(f"sida{n}" for n in range(5_000))), format="pdf", is_cut=False)
        bomb = text_process.read(inflating(2**26), format="pdf", is_cut=False)
    finally:
        signal.signal(signal.SIGPROF, before)
    assert (pages[0], pages[1][:12]) in {("truncated", "sida0 sida1 "), ("too-costly", "")}
    assert "sida4999" not in pages[1]
    assert bomb == ("too-costly", "", True)


def test_a_bound_that_a_destructor_swallowed_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1:  # as if nobody had heard the first
            raise text_process._TimeUp

    monkeypatch.setattr(text_process, "KEPT_AFTER_S", 0.1)
    before = signal.signal(signal.SIGPROF, tell)
    try:
        bomb = text_process.read(inflating(2**26), format="pdf", is_cut=False)
    finally:
        signal.signal(signal.SIGPROF, before)
    assert bomb == ("too-costly", "", True)
    assert len(told) == 2


@pytest.mark.parametrize("format", FORMATS)
async def test_any_bytes_have_an_outcome(sandbox: TextSandbox, format: str) -> None:
    for content in (b"", b"\x00" * 4096, b"PK\x03\x04" + b"\xff" * 99, b"{\\rtf1" + b"{" * 9_999, made.pdf("a")[:-30]):
        outcome = await read(sandbox, content, format)
        assert outcome is not None
        assert outcome[0] in ("extracted", "empty", "broken", "undecodable", "truncated")


async def test_of_a_beginning_what_is_whole_is_read(sandbox: TextSandbox) -> None:
    assert await read(sandbox, "hela ordé".encode()[:-1], "plain/-", is_cut=True) == ("truncated", "hela ord")
    assert await read(sandbox, "hela ordé".encode()[:-1], "plain/-") == ("undecodable", "")


def test_first_words_keep_their_order_later_ones_stand_alone_once() -> None:
    kept = KeptWords()
    assert kept.add(" ".join(f"w{n}" for n in range(FIRST_WORDS)))
    assert kept.add("w3 Sent sent SENT ordet\u00addelat w3")
    first, *later = str(kept).split(text_kept.BREAK)
    assert first.split(" ")[-1] == f"w{FIRST_WORDS - 1}"
    assert later == ["Sent", "ordetdelat"]
    assert not kept.cut
    assert not kept.add(" ".join(f"{n:09}" for n in range(100_000)))
    assert kept.cut
    assert len(str(kept)) <= text_kept.KEPT_MAX


def test_words_are_those_of_the_index() -> None:
    assert word_tests.BREAK == text_kept.BREAK
    said = "O'Brien e\u0301t ½ x_y 12-5 ʼn É"
    kept = KeptWords()
    kept.add(said)
    assert str(kept).split() == word_tests.words_of(said)


def test_which_content_has_text() -> None:
    assert [text_format(each) for each in ("image/png", "video/mp4", "image/svg+xml", "application/zip")] == [None] * 4
    assert text_format('TEXT/Plain; Charset="windows-1252"') == "plain/cp1252"
    assert text_format("text/plain; charset=rot13") == text_format("text/plain; charset=nonsense") == "plain/unknown"
    assert text_format("application/pdf; charset=utf-8") == "pdf"
    assert bytes_read("pdf", SOURCE_MAX_BYTES) == SOURCE_MAX_BYTES
    assert bytes_read("pdf", SOURCE_MAX_BYTES + 1) == 0
    assert bytes_read("plain/-", SOURCE_MAX_BYTES + 1) == bytes_read("dicom", 2**40) == SOURCE_MAX_BYTES


async def test_a_process_that_dies_costs_its_text_only(sandbox: TextSandbox) -> None:
    await read(sandbox, b"x", "plain/-")
    (victim,) = processes()

    async def killing() -> AsyncIterator[bytes]:
        yield b"a" * 10
        os.kill(victim, signal.SIGKILL)
        await asyncio.sleep(0.2)
        yield b"b" * 10

    assert await sandbox.read(killing(), size=20, format="plain/-", is_cut=False) is None
    assert await read(sandbox, b"x", "plain/-") == ("extracted", "x")
    assert victim not in processes()


async def test_damaged_bytes_are_passed_on_and_a_slow_text_is_given_up(sandbox: TextSandbox) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"a"
        raise Failure(Category.CORRUPT, "damaged")

    with pytest.raises(Failure) as caught:
        await sandbox.read(damaged(), size=20, format="plain/-", is_cut=False)
    assert caught.value.category is Category.CORRUPT


async def test_a_process_can_open_nothing(sandbox: TextSandbox) -> None:
    await read(sandbox, b"x", "plain/-")
    (process,) = processes()
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    for what in ("Max open files", "Max file size", "Max core file size", "Max processes"):
        assert limits[what] == ["0", "0"], what
    assert int(limits["Max address space"][1]) <= 2**30
    assert 0 < int(limits["Max cpu time"][0]) < 200
    held = [os.readlink(entry) for entry in Path(f"/proc/{process}/fd").iterdir()]
    assert sorted(each.partition(":")[0] for each in held) == ["/dev/null", "socket", "socket"]
    assert Path(f"/proc/{process}/environ").read_bytes() == b""
