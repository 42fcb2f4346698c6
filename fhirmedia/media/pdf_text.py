"""The text layer of PDF documents, with pypdf. Runs only inside the sandbox's processes."""

import logging
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO

from pypdf import PdfReader
from pypdf.errors import DependencyError

from fhirmedia.media.text_unread import Unread

_SAMPLE = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont"
    b"/Helvetica/Encoding/WinAnsiEncoding>>>>>>>>endobj 4 0 obj<</Length 29>>stream\n"
    b"BT /F 9 Tf 9 9 Td (a b) Tj ET\nendstream endobj trailer<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
)

logging.getLogger("pypdf").disabled = True  # what it says may quote the document


def pdf_pieces(content: bytes) -> Iterator[str]:
    """Page by page, in order; a page that cannot be read is passed over.

    A document that wants no password is read like any other. Raises Unread encrypted, or broken where no page can be
    read at all.
    """
    pages, failed = 0, 0
    try:
        reader = PdfReader(BytesIO(content), strict=False)
        if reader.is_encrypted and not _opens(reader):
            raise Unread("encrypted")
        for page in reader.pages:
            pages += 1
            try:
                yield page.extract_text() + "\n"
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 (whatever a spoilt page makes the library raise)
                failed += 1
    except (MemoryError, Unread):
        raise
    except Exception:  # noqa: BLE001 (the same of the document)
        if pages == failed:
            raise Unread("broken") from None
    if pages and pages == failed:
        raise Unread("broken")


def _opens(reader: PdfReader) -> bool:
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError):
        return False


def prepare() -> None:
    """Load everything a document may need: of a small one, whatever the library only loads when it meets it."""
    if "a" not in "".join(pdf_pieces(_SAMPLE)):
        raise RuntimeError("the library for PDF does not read")
    import_module("pypdf._codecs.core_font_metrics")
    import_module("pypdf.xmp")
