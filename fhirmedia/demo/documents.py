"""Letters of the clinic as PDF with a text layer: letterhead, patient banner, headings, paragraphs, signature."""

import io
from functools import lru_cache
from pathlib import Path

import reportlab  # type: ignore[import-untyped]  # because it ships no types
from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]  # because it ships no types
from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]  # because it ships no types
from reportlab.lib.utils import simpleSplit  # type: ignore[import-untyped]  # because it ships no types
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]  # because it ships no types
from reportlab.pdfbase.ttfonts import TTFont  # type: ignore[import-untyped]  # because it ships no types
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]  # because it ships no types

from fhirmedia.demo.works import Letter

MARGIN = 62
INK, ACCENT, FAINT, BAND = HexColor("#1d2733"), HexColor("#1f5f78"), HexColor("#6b7885"), HexColor("#edf3f5")


def letter(work: Letter) -> bytes:
    """The letter as PDF; equal letters are equal bytes."""
    regular, bold = _fonts(work)
    target = io.BytesIO()
    page = Canvas(target, pagesize=A4, invariant=1, pageCompression=1)
    page.setTitle(work.title)
    page.setAuthor(f"{work.unit}, {work.hospital}")
    width, height = A4
    y = _letterhead(page, work, regular, bold)
    for heading, text in work.sections:
        lines = simpleSplit(text, regular, 10.5, width - 2 * MARGIN)
        if y - 30 - 15 * min(len(lines), 3) < 96:
            _foot(page, work, regular)
            page.showPage()
            y = height - 80
        if heading:
            page.setFillColor(ACCENT)
            page.setFont(bold, 11.5)
            page.drawString(MARGIN, y, heading)
            y -= 17
        page.setFillColor(INK)
        page.setFont(regular, 10.5)
        for line in lines:
            if y < 96:
                _foot(page, work, regular)
                page.showPage()
                page.setFillColor(INK)
                page.setFont(regular, 10.5)
                y = height - 80
            page.drawString(MARGIN, y, line)
            y -= 15
        y -= 12
    page.setStrokeColor(FAINT)
    page.line(MARGIN, y - 14, MARGIN + 190, y - 14)
    page.setFont(regular, 10)
    page.setFillColor(INK)
    page.drawString(MARGIN, y - 28, work.signature)
    page.setFillColor(FAINT)
    page.drawString(MARGIN, y - 42, work.unit)
    _foot(page, work, regular)
    page.showPage()
    page.save()
    return target.getvalue()


def _letterhead(page: Canvas, work: Letter, regular: str, bold: str) -> float:
    """Draws mark, sender, title and patient banner; comes back with the y where the text begins."""
    width, height = A4
    top = height - 58
    page.setFillColor(ACCENT)
    page.circle(MARGIN + 14, top + 2, 14, stroke=0, fill=1)
    page.setFillColor(HexColor("#ffffff"))
    page.rect(MARGIN + 11.5, top - 7, 5, 18, stroke=0, fill=1)
    page.rect(MARGIN + 5, top - 0.5, 18, 5, stroke=0, fill=1)
    page.setFillColor(INK)
    page.setFont(bold, 13)
    page.drawString(MARGIN + 38, top + 4, work.hospital)
    page.setFillColor(FAINT)
    page.setFont(regular, 10)
    page.drawString(MARGIN + 38, top - 9, work.unit)
    page.drawRightString(width - MARGIN, top + 4, work.date)
    page.setFillColor(BAND)
    page.rect(MARGIN, top - 68, width - 2 * MARGIN, 36, stroke=0, fill=1)
    page.setFillColor(INK)
    page.setFont(bold, 10.5)
    page.drawString(MARGIN + 10, top - 54, work.patient)
    page.setFont(regular, 10.5)
    page.drawRightString(width - MARGIN - 10, top - 54, work.number)
    page.setFont(bold, 18)
    page.drawString(MARGIN, top - 108, work.title)
    return float(top - 142)


def _foot(page: Canvas, work: Letter, regular: str) -> None:
    page.setStrokeColor(BAND)
    page.line(MARGIN, 66, A4[0] - MARGIN, 66)
    page.setFillColor(FAINT)
    page.setFont(regular, 8)
    page.drawString(MARGIN, 52, work.synthetic)
    page.drawRightString(A4[0] - MARGIN, 52, str(page.getPageNumber()))


def _fonts(work: Letter) -> tuple[str, str]:
    """The built-in fonts where they have every letter, else embedded ones (North Sami needs č and đ)."""
    text = f"{work.hospital}{work.unit}{work.title}{work.patient}{work.signature}{work.synthetic}"
    text += "".join(heading + paragraph for heading, paragraph in work.sections)
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return _embedded_fonts()
    return "Helvetica", "Helvetica-Bold"


@lru_cache(maxsize=1)
def _embedded_fonts() -> tuple[str, str]:
    folder = Path(reportlab.__file__).parent / "fonts"
    pdfmetrics.registerFont(TTFont("Vera", str(folder / "Vera.ttf")))
    pdfmetrics.registerFont(TTFont("VeraBd", str(folder / "VeraBd.ttf")))
    return "Vera", "VeraBd"
