"""The sandbox holds: bombs, crashes, stalls and crowds cost one drawing, never the server."""

import asyncio
import os
import resource
import signal
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.media.renditions import Picture
from fhirmedia.media.sandbox import Sandbox
from tests.media.pictures import CANARY, decoded, encoded, exif_block, photo, png, segment

PIECE = 64 * 1024


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), PIECE):
        yield content[at : at + PIECE]


async def drawn(sandbox: Sandbox, content: bytes, *, format: str = "PNG", width: int = 256) -> Picture:
    return await sandbox.draw(pieces(content), size=len(content), format=format, width=width)


async def refused(sandbox: Sandbox, content: bytes, *, format: str = "PNG") -> Failure:
    with pytest.raises(Failure) as caught:
        await drawn(sandbox, content, format=format)
    return caught.value


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox()
    yield made
    await made.close()


def processes() -> list[int]:
    """Drawing processes that are children of this one."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = status.read_text().rpartition(")")[2].split()[1]
            line = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"sandboxed" in line:
            found.append(int(status.parent.name))
    return found


def deflated(number: int) -> bytes:
    """So many zero bytes, compressed without ever being in memory at once."""
    packer = zlib.compressobj(1)
    block = b"\x00" * 2**20
    return b"".join([packer.compress(block) for _ in range(number // 2**20 + 1)]) + packer.flush()


def gif_of_frames(number: int) -> bytes:
    """A large first frame and many more."""
    whole = encoded(photo(64, 64), "GIF")
    start = whole.index(b",", 13)
    frame = whole[start:-1]
    return whole[:start] + frame * number + b";"


def bombs() -> Iterator[tuple[str, str, bytes]]:
    """Files that are small and want to become large: a name, the format, the file."""
    yield "announced", "PNG", png(50_000, 50_000, deflated(10**6))
    yield "just under the bound", "PNG", png(9_999, 9_999, deflated(4 * 9_999 * 9_999 + 9_999))
    yield "text", "PNG", png(8, 8, b"", more=_text_bomb())
    yield (
        "gif screen",
        "GIF",
        b"GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02\x44\x01\x00;",
    )
    yield (
        "webp",
        "WEBP",
        b"RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\xff\xff\xff\x0f\x00\x00\x00\x00\x00\x00\x00\x00",
    )
    yield (
        "bmp",
        "BMP",
        b"BM\x36\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"
        + b"\xff\xff\xff\x7f" * 2
        + b"\x01\x00\x18\x00"
        + b"\x00" * 24,
    )
    yield "tiff strips", "TIFF", _tiff_bomb()
    yield "jpeg", "JPEG", _jpeg_of(65_500, 65_500)


def _text_bomb() -> bytes:
    from tests.media.pictures import chunk

    return chunk(b"zTXt", b"Comment\x00\x00" + deflated(64 * 2**20))


def _tiff_bomb() -> bytes:
    whole = encoded(photo(64, 64), "TIFF")
    return whole.replace((64).to_bytes(2, "little"), (65_000).to_bytes(2, "little"))


def _jpeg_of(width: int, height: int) -> bytes:
    whole = encoded(photo(64, 64), "JPEG")
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + whole[at + 4 :]


async def test_bombs_are_refused_and_the_server_stays_as_it_is(sandbox: Sandbox) -> None:
    await drawn(sandbox, encoded(photo(), "PNG"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [(name, format, content) for name, format, content in bombs()]
    assert all(len(content) < 2**22 for _, _, content in held)
    for name, format, content in held:
        started = time.monotonic()
        outcome = await asyncio.gather(drawn(sandbox, content, format=format), return_exceptions=True)
        if isinstance(outcome[0], Picture):
            assert name == "just under the bound"
            assert len(outcome[0].content) < 2**20
        else:
            failure = outcome[0]
            assert isinstance(failure, Failure)
            assert failure.category is Category.UNPROCESSABLE, name
            assert failure.issues[0].code in ("invalid", "too-costly"), name
        assert time.monotonic() - started < 15, name
    assert (await drawn(sandbox, encoded(photo(), "PNG"))).content_type == "image/jpeg"
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 50 * 1024


async def test_of_an_animation_the_first_picture_is_drawn(sandbox: Sandbox) -> None:
    picture = await drawn(sandbox, gif_of_frames(2_000), format="GIF")
    assert decoded(picture.content).size == (64, 64)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
async def test_what_is_cut_off_spoilt_or_another_format_is_refused(sandbox: Sandbox, format: str) -> None:
    whole = encoded(photo(), format)
    other = encoded(photo(), "JPEG" if format == "PNG" else "PNG")
    spoilt = [b"", b"\x00" * 4096, whole[:64], whole[: len(whole) // 2], other, b"MZ" + whole, b"%PDF-1.4\n" + whole]
    spoilt += [
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"#EXTM3U\nfile:///x",
    ]
    spoilt += [b"push graphic-context\nimage over 0,0 0,0 'https://127.0.0.1/x'\npop graphic-context"]
    for content in spoilt:
        failure = await refused(sandbox, content, format=format)
        assert failure.category is Category.UNPROCESSABLE
        assert "127" not in str(failure)
    assert len(processes()) <= 2


async def test_what_hides_behind_a_picture_does_not_come_out(sandbox: Sandbox) -> None:
    archive = b"PK\x03\x04" + CANARY.encode() * 50
    for format in ("JPEG", "PNG", "GIF"):
        polyglot = encoded(photo(), format) + archive
        picture = await drawn(sandbox, polyglot, format=format)
        assert CANARY.encode() not in picture.content
        assert b"PK\x03\x04" not in picture.content


@pytest.mark.parametrize(
    ("end", "category"),
    [
        (signal.SIGKILL, Category.UNAVAILABLE),
        (signal.SIGXCPU, Category.UNPROCESSABLE),
        (signal.SIGSEGV, Category.UNPROCESSABLE),
    ],
)
async def test_a_process_that_dies_costs_its_drawing_only(
    sandbox: Sandbox, end: signal.Signals, category: Category
) -> None:
    await drawn(sandbox, encoded(photo(), "PNG"))
    (victim,) = processes()

    async def killing(content: bytes) -> AsyncIterator[bytes]:
        yield content[:1000]
        os.kill(victim, end)
        await asyncio.sleep(0.2)
        yield content[1000:]

    content = encoded(photo(), "PNG")
    with pytest.raises(Failure) as caught:
        await sandbox.draw(killing(content), size=len(content), format="PNG", width=256)
    assert caught.value.category is category
    # What somebody else ended says nothing of the picture; what its bounds or a decoder's fault ended, does.
    assert bool(caught.value.retry_after_s) is (category is Category.UNAVAILABLE)
    assert victim not in processes()
    assert (await drawn(sandbox, content)).content_type == "image/jpeg"


async def test_a_process_that_died_in_its_sleep_is_replaced(sandbox: Sandbox) -> None:
    content = encoded(photo(), "PNG")
    await drawn(sandbox, content)
    (victim,) = processes()
    os.kill(victim, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert (await drawn(sandbox, content)).content_type == "image/jpeg"
    assert len(processes()) == 1


async def test_what_takes_too_long_is_killed() -> None:
    sandbox = Sandbox(wall_s=1.0)
    content = encoded(photo(), "PNG")
    while isinstance((await asyncio.gather(drawn(sandbox, content), return_exceptions=True))[0], Failure):
        pass  # a busy machine starts slowly
    (victim,) = processes()

    async def endless() -> AsyncIterator[bytes]:
        yield content[:10]
        await asyncio.sleep(60)

    started = time.monotonic()
    with pytest.raises(Failure) as caught:
        await sandbox.draw(endless(), size=len(content), format="PNG", width=256)
    assert caught.value.category is Category.UNAVAILABLE
    assert time.monotonic() - started < 10
    assert victim not in processes()
    await sandbox.close()
    assert processes() == []


async def test_a_source_that_fails_takes_its_process_along(sandbox: Sandbox) -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield b"\x89PNG"
        raise Failure(Category.CORRUPT, "damaged")

    with pytest.raises(Failure) as caught:
        await sandbox.draw(damaged(), size=1000, format="PNG", width=256)
    assert caught.value.category is Category.CORRUPT
    assert processes() == []


async def test_a_crowd_waits_or_is_sent_away() -> None:
    sandbox = Sandbox(processes=1, waiting_max=3)
    content = encoded(photo(2000, 1500), "PNG")
    answers = await asyncio.gather(*(drawn(sandbox, content) for _ in range(12)), return_exceptions=True)
    away = [answer for answer in answers if isinstance(answer, Failure)]
    assert {failure.category for failure in away} == {Category.THROTTLED}
    assert all(failure.retry_after_s for failure in away)
    assert len(answers) - len(away) == 4
    assert len(processes()) == 1
    await sandbox.close()


async def test_a_process_can_open_nothing(sandbox: Sandbox) -> None:
    await drawn(sandbox, encoded(photo(), "PNG"))
    (process,) = processes()
    limits = {
        line[:26].strip(): line[26:].split()[:2] for line in Path(f"/proc/{process}/limits").read_text().splitlines()
    }
    for what in ("Max open files", "Max file size", "Max core file size", "Max processes"):
        assert limits[what] == ["0", "0"], what
    assert int(limits["Max address space"][1]) < 2 * 2**30
    assert 0 < int(limits["Max cpu time"][0]) < 30
    held = [os.readlink(entry) for entry in Path(f"/proc/{process}/fd").iterdir()]
    assert sorted(each.partition(":")[0] for each in held) == ["/dev/null", "socket", "socket"]
    assert Path(f"/proc/{process}/environ").read_bytes() == b""


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13])
async def test_a_drawing_nobody_waits_for_any_more_leaves_no_process(steps: int) -> None:
    sandbox = Sandbox()
    drawing = asyncio.ensure_future(drawn(sandbox, encoded(photo(), "PNG")))
    for _ in range(steps):
        await asyncio.sleep(0)
    drawing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drawing
    assert processes() == []
    await sandbox.close()


async def test_a_process_that_answers_after_the_close_ends(sandbox: Sandbox) -> None:
    async def slowly(content: bytes) -> AsyncIterator[bytes]:
        await sandbox.close()
        yield content

    content = encoded(photo(), "PNG")
    assert (await sandbox.draw(slowly(content), size=len(content), format="PNG", width=256)).content
    assert processes() == []


async def test_ends_with_its_server(sandbox: Sandbox) -> None:
    """Memory of a file with a large segment of its own stays in the process; closing leaves none behind."""
    large = encoded(photo(), "JPEG")
    stuffed = large[:2] + segment(0xE1, b"Exif\x00\x00" + exif_block()) + segment(0xEB, b"x" * 65_000) * 200 + large[2:]
    assert (await drawn(sandbox, stuffed, format="JPEG")).content_type == "image/jpeg"
    assert len(processes()) == 1
    await sandbox.close()
    assert processes() == []
