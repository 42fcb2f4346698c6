"""The program of a sandbox's process that reads texts: content in, words out.

A request is a line `format cut size`, `cut` being 1 where the bytes are only a beginning, and that many bytes. An
answer is a line `outcome size` and that many bytes of words in UTF-8. The clock of one text runs twice: what was read
when the first bound is reached is kept; who goes on past the second is ended by the kernel.
"""

import codecs
import contextlib
import encodings
import pkgutil
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

from fhirmedia.core.errors import Failure
from fhirmedia.dicom.texts import described
from fhirmedia.media.enclosure import answer_requests
from fhirmedia.media.markup_text import html_text, xml_pieces
from fhirmedia.media.office_text import docx_pieces, odt_pieces
from fhirmedia.media.pdf_text import pdf_pieces, prepare
from fhirmedia.media.plain_text import plain_pieces, rtf_text
from fhirmedia.media.text_formats import UNDECLARED, text_format
from fhirmedia.media.text_kept import KeptWords, flowing
from fhirmedia.media.text_unread import Unread

MEMORY_BYTES: Final = 1024 * 2**20
"""Address space; an idle process uses some 150 MB of it."""

KEPT_AFTER_S: Final = 8.0
"""Processor time after which a text is as long as it has become."""

AGAIN_S: Final = 0.25
"""Processor time until the bound is told once more: told in a destructor it is not heard."""

CPU_S: Final = 16
"""Processor time after which the process is ended."""


class _TimeUp(BaseException):
    """No Exception: what reads must not take it for trouble with the content."""


def answer(words: Sequence[str], content: bytes) -> tuple[bytes, bool]:
    """What is said, and whether the process is fit for another one."""
    format, cut = words
    outcome, kept, is_fit = read(content, format=format, is_cut=cut == "1")
    encoded = kept.encode()
    return f"{outcome} {len(encoded)}\n".encode() + encoded, is_fit


def read(content: bytes, *, format: str, is_cut: bool) -> tuple[str, str, bool]:
    """What became of the text, its words, and whether the process is fit for another one."""
    kept, outcome, is_fit = KeptWords(), "extracted", True
    try:
        signal.setitimer(signal.ITIMER_PROF, KEPT_AFTER_S, AGAIN_S)
        for piece in flowing(_pieces(content, format, is_cut=is_cut)):
            if not kept.add(piece):
                break
    except Unread as unread:
        outcome = unread.reason
    except (_TimeUp, RecursionError):
        outcome = "too-costly"
    except MemoryError:
        outcome, is_fit = "too-costly", False
    except Exception:  # noqa: BLE001 (readers raise whatever comes to them; what they say may quote the content)
        outcome = "broken"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    said = str(kept)
    if outcome == "extracted":
        outcome = "truncated" if kept.cut or is_cut else ("extracted" if said else "empty")
    elif outcome == "too-costly" and said:
        outcome = "truncated"
    return outcome, said if outcome in ("extracted", "truncated") else "", is_fit


def _pieces(content: bytes, format: str, *, is_cut: bool = False, is_inner: bool = False) -> Iterator[str]:
    kind, _, encoding = format.partition("/")
    match kind:
        case "plain":
            yield from plain_pieces(content, encoding, is_cut=is_cut)
        case "html":
            yield html_text(content, encoding, is_cut=is_cut)
        case "xml":
            yield from xml_pieces(content, encoding)
        case "rtf":
            yield rtf_text(content)
        case "docx":
            yield from docx_pieces(content)
        case "odt":
            yield from odt_pieces(content)
        case "pdf":
            yield from pdf_pieces(content)
        case "dicom" if not is_inner:
            yield from _of_dicom(content)


def _of_dicom(content: bytes) -> Iterator[str]:
    """Values on lines of their own, then the encapsulated document."""
    try:
        said, inner = described(content)
    except Failure:
        raise Unread("broken") from None
    yield from (f"{text}\n" for text in said)
    format = None if inner is None else text_format(inner.content_type)
    if inner is not None and format is not None:
        yield from _pieces(inner.content, format, is_inner=True)


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise _TimeUp


def load() -> None:
    """Load everything a text may need, so that afterwards no file has to be opened."""
    for module in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(LookupError, ImportError):  # those of other systems
            codecs.lookup(module.name)
    prepare()
    for format in ("plain/" + UNDECLARED, "html/" + UNDECLARED, "xml/" + UNDECLARED, "rtf", "docx", "odt", "dicom"):
        read(b"", format=format, is_cut=False)


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _time_is_up)
    load()
    answer_requests(answer, memory_bytes=MEMORY_BYTES, cpu_s=CPU_S)
