"""What a rendition shows and what it no longer tells: upright, small, without metadata, in true colours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from fhirmedia.media.pictures import PIXELS_MAX, TooManyPixels, draw
from fhirmedia.media.renditions import drawn_format
from tests.media.pictures import (
    CANARY,
    TURNS,
    UPRIGHT,
    corners,
    decoded,
    encoded,
    exif_block,
    photo,
    png,
    profile,
    telling_pictures,
    turned,
)
from tests.media.structure import ALLOWED, parts

FILES = {name: (content_type, content) for name, content_type, content in telling_pictures()}
OF_THE_FILE = {"SourceFile", "ExifTool", "File", "JFIF", "ICC_Profile", "Composite", "PNG"}
PNG_HEADER = {"ImageWidth", "ImageHeight", "BitDepth", "ColorType", "Compression", "Filter", "Interlace", "ProfileName"}


def rendition(content_type: str, content: bytes, width: int = 256) -> tuple[str, bytes]:
    format = drawn_format(content_type)
    assert format is not None
    return draw(content, format=format, width=width)


def test_there_are_fifty_files_that_tell() -> None:
    assert len(FILES) >= 50
    for name, (_, content) in FILES.items():
        plain = CANARY.encode() in content or CANARY.encode("utf-16-le") in content
        assert plain or "compressed" in name or "raw" in name or "itxt" in name, name


@pytest.mark.parametrize("width", [256, 1024])
@pytest.mark.parametrize("name", FILES)
def test_nothing_but_the_picture_and_its_colours(name: str, width: int) -> None:
    content_type, drawn = rendition(*FILES[name], width)
    assert set(parts(content_type, drawn)) <= ALLOWED[content_type]
    assert CANARY.encode() not in drawn
    assert decoded(drawn).width in (640, 480, 256)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed; the structure is judged above")
def test_exiftool_reads_nothing_either(tmp_path: Path) -> None:
    for name, (content_type, content) in FILES.items():
        drawn_type, drawn = rendition(content_type, content)
        (tmp_path / f"{name}.{drawn_type.removeprefix('image/')}").write_bytes(drawn)
    read = subprocess.run(["exiftool", "-j", "-G", "-a", "-u", "-ee", tmp_path], capture_output=True, check=True)
    reports = json.loads(read.stdout)
    assert len(reports) == len(FILES)
    for report in reports:
        groups = {field.partition(":")[0] for field in report}
        assert groups <= OF_THE_FILE, (report["SourceFile"], groups - OF_THE_FILE)
        own = {field.removeprefix("PNG:") for field in report if field.startswith("PNG:")}
        assert own <= PNG_HEADER, (report["SourceFile"], own)
        assert CANARY not in json.dumps({field: value for field, value in report.items() if field != "SourceFile"})


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_stands_upright(orientation: int, format: str) -> None:
    stored = turned(orientation, format)
    if orientation != 1 and format != "TIFF":
        assert corners(decoded(stored)) != UPRIGHT
    _, drawn = draw(stored, format=format, width=256)
    image = decoded(drawn)
    assert corners(image) == UPRIGHT
    assert image.size == (256, 192)
    assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [exif_block(orientation=99), b"garbage", b"II*\x00\xff\xff\xff\xff", b""])
def test_an_orientation_that_makes_no_sense_turns_nothing(exif: bytes) -> None:
    plain = encoded(photo(), "JPEG", exif=b"Exif\x00\x00" + exif)
    assert corners(decoded(draw(plain, format="JPEG", width=256)[1])) == UPRIGHT


@pytest.mark.parametrize(("given", "width", "expected"), [
    ((640, 480), 256, (256, 192)),
    ((640, 480), 1024, (640, 480)),
    ((2048, 1024), 1024, (1024, 512)),
    ((100, 4000), 256, (26, 1024)),
    ((1, 1), 256, (1, 1)),
    ((3000, 2), 256, (256, 1)),
])  # fmt: skip
def test_sizes_are_bounded_and_never_enlarged(given: tuple[int, int], width: int, expected: tuple[int, int]) -> None:
    _, drawn = draw(encoded(photo(*given), "PNG"), format="PNG", width=width)
    size = decoded(drawn).size
    assert abs(size[0] - expected[0]) <= 1
    assert size[1] == expected[1]


def test_the_format_follows_the_source() -> None:
    """Photographs become JPEG; what is transparent or has few colours stays sharp and transparent as PNG."""
    clear = photo(mode="RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    for image, format, expected in (
        (photo(), "JPEG", "image/jpeg"),
        (photo(), "PNG", "image/jpeg"),
        (photo(mode="RGBA"), "PNG", "image/jpeg"),
        (photo(mode="L"), "TIFF", "image/jpeg"),
        (photo(mode="CMYK"), "JPEG", "image/jpeg"),
        (clear, "PNG", "image/png"),
        (clear, "WEBP", "image/png"),
        (photo(mode="P"), "GIF", "image/png"),
        (photo(mode="1"), "PNG", "image/png"),
    ):
        content_type, drawn = draw(encoded(image, format), format=format, width=256)
        assert content_type == expected, (image.mode, format)
        assert decoded(drawn).mode in ("RGB", "RGBA", "L")
    kept = decoded(draw(encoded(clear, "PNG"), format="PNG", width=256)[1])
    assert kept.mode == "RGBA"
    assert kept.getpixel((10, 2))[3] < 20 < 200 < kept.getpixel((10, kept.height - 2))[3]  # type: ignore[index]  # of RGBA a tuple


def test_a_colour_that_means_transparent_stays_transparent() -> None:
    keyed = encoded(photo(), "PNG", transparency=(255, 0, 0))
    content_type, drawn = draw(keyed, format="PNG", width=256)
    assert content_type == "image/png"
    assert decoded(drawn).getpixel((2, 2))[3] == 0  # type: ignore[index]  # of RGBA a tuple


def test_colour_profiles_are_kept_where_they_apply() -> None:
    grey = encoded(photo(mode="L"), "JPEG", icc_profile=profile())
    spoilt = profile()[:-1]
    bare = bytes(profile()[:36]) + b"none" + profile()[40:]
    for content, expected in (
        (encoded(photo(), "JPEG", icc_profile=profile()), profile()),
        (encoded(photo(), "PNG", icc_profile=profile()), profile()),
        (encoded(photo(), "WEBP", icc_profile=profile()), profile()),
        (encoded(photo(mode="P"), "PNG", icc_profile=profile()), profile()),
        (grey, None),
        (encoded(photo(), "JPEG", icc_profile=spoilt), None),
        (encoded(photo(), "JPEG", icc_profile=bare), None),
        (encoded(photo(), "JPEG", icc_profile=profile() + b"behind"), None),
    ):
        format = decoded(content).format
        assert format is not None
        _, drawn = draw(content, format=format, width=256)
        assert decoded(drawn).info.get("icc_profile") == expected


def test_printing_colours_become_screen_colours() -> None:
    _, drawn = draw(encoded(photo(mode="CMYK"), "JPEG"), format="JPEG", width=256)
    assert corners(decoded(drawn)) == UPRIGHT
    spoilt = profile()[:16] + b"CMYK" + profile()[20:]
    _, drawn = draw(encoded(photo(mode="CMYK"), "JPEG", icc_profile=spoilt), format="JPEG", width=256)
    assert corners(decoded(drawn)) == UPRIGHT
    assert "icc_profile" not in decoded(drawn).info


def test_grey_of_sixteen_bits_keeps_its_scale() -> None:
    ramp = Image.new("I;16", (512, 4))
    for x in range(512):
        for y in range(4):
            ramp.putpixel((x, y), x * 128)
    _, drawn = draw(encoded(ramp, "PNG"), format="PNG", width=256)
    image = decoded(drawn)
    assert image.mode == "L"
    levels = [image.getpixel((x, 0)) for x in (8, 64, 128, 192, 248)]
    assert levels == sorted(levels)  # type: ignore[type-var]  # of grey a number
    assert abs(levels[2] - 127) < 4  # type: ignore[operator]  # of grey a number


def test_floating_point_pictures_are_refused() -> None:
    with pytest.raises((ValueError, OSError)):
        draw(encoded(Image.new("I", (8, 8), -5), "TIFF"), format="TIFF", width=256)
    with pytest.raises((ValueError, OSError)):
        draw(encoded(Image.new("I", (8, 8), 2**20), "TIFF"), format="TIFF", width=256)


def test_a_picture_is_refused_by_what_it_announces() -> None:
    side = int(PIXELS_MAX**0.5) + 1
    for width, height in ((side, side), (PIXELS_MAX + 1, 1), (50_000, 50_000)):
        with pytest.raises(TooManyPixels):
            draw(png(width, height, b""), format="PNG", width=256)


def test_only_the_named_format_is_decoded() -> None:
    for format in ("JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        with pytest.raises(OSError, match="cannot identify"):
            draw(encoded(photo(8, 8), "PNG"), format=format, width=256)
