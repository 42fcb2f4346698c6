"""Decoding a picture and drawing its rendition, with Pillow. Runs only inside the sandbox's processes.

All formats are named: nothing is guessed, and no decoder is loaded that is not in the list of imports.
"""

import io
import warnings
from typing import Final

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

PIXELS_MAX: Final = 100_000_000
"""Pixels a source may announce; it is refused before one of them is decoded."""

HEIGHT_PER_WIDTH: Final = 4
"""A rendition is at most this many times as high as its width was asked for."""

DECODERS: Final = (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

_SAMPLES = (("PNG", "RGBA"), ("JPEG", "CMYK"), ("TIFF", "RGB"), ("GIF", "P"), ("WEBP", "RGB"), ("BMP", "L"))
_PROFILE_MAX_BYTES = 1_000_000
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the picture upright."""
_SIDEWAYS = frozenset({5, 6, 7, 8})
_SPACES = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY"}
"""Modes of a finished rendition, with the colour space its profile must be of."""


class TooManyPixels(Exception):
    """The source announces more pixels than are drawn."""


def prepare() -> None:
    """Load everything a drawing needs, so that afterwards no file has to be opened."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    ImageCms.createProfile("sRGB")
    for format, mode in _SAMPLES:
        with io.BytesIO() as sample:
            Image.new(mode, (8, 8)).save(sample, format)
            draw(sample.getvalue(), format=format, width=4)


def draw(content: bytes, *, format: str, width: int) -> tuple[str, bytes]:
    """Media type and bytes of the rendition at most `width` pixels wide.

    Raises TooManyPixels; for what cannot be decoded, whatever Pillow raises.
    """
    try:
        source = Image.open(io.BytesIO(content), formats=(format,))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels from None
    if source.width * source.height > PIXELS_MAX:
        raise TooManyPixels
    orientation = _orientation(source)
    box = (width, HEIGHT_PER_WIDTH * width)
    few_colours = source.mode in ("1", "P")
    profile = source.info.get("icc_profile")
    image = _continuous(source)
    image.thumbnail(box[::-1] if orientation in _SIDEWAYS else box, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image, profile = _shown(image, profile)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    # What the plugins would write of their own accord: comments, texts, profiles.
    image.info.clear()
    drawn = io.BytesIO()
    if image.mode == "RGBA" or few_colours:
        image.save(drawn, "PNG", icc_profile=profile)
        return "image/png", drawn.getvalue()
    image.save(drawn, "JPEG", quality=85, icc_profile=profile)
    return "image/jpeg", drawn.getvalue()


def _orientation(source: ImageFile.ImageFile) -> int:
    """As EXIF 2.32, 4.6.4 numbers them; 1 (upright) where nothing usable is said."""
    if source.format == "TIFF":
        # Pillow turns TIFF by itself while it loads, and announces the size it will have then.
        return 1
    try:
        stated = source.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 (a broken remark about a picture does not spoil the picture)
        return 1
    return stated if isinstance(stated, int) else 1


def _continuous(source: ImageFile.ImageFile) -> Image.Image:
    """The picture in a mode whose pixels may be averaged; JPEG is left to be decoded at a smaller scale."""
    if source.mode == "1":
        return source.convert("L")
    if source.mode in ("P", "PA", "LA") or "transparency" in source.info:
        return source.convert("RGBA")
    if source.mode.startswith("I;16") or source.mode == "I":
        return _of_eight_bits(source)
    return source


def _of_eight_bits(source: Image.Image) -> Image.Image:
    """Grey of up to 16 bits, the darkest staying black and the full scale white."""
    wide = source.convert("I")
    darkest, lightest = wide.getextrema()
    if not (isinstance(darkest, int | float) and darkest >= 0 and isinstance(lightest, int | float)):
        raise ValueError("grey values below zero")
    if lightest >= 2**16:
        raise ValueError("grey values of more than 16 bits")
    return wide.point(lambda value: value * (1 / 257)).convert("L")


def _shown(image: Image.Image, profile: object) -> tuple[Image.Image, bytes | None]:
    """The picture in a mode browsers know, opaque if it can be, with the profile that belongs to it then."""
    usable = profile if isinstance(profile, bytes) and _is_profile(profile) else None
    if image.mode == "CMYK" and usable is not None and usable[16:20] == b"CMYK":
        try:
            turned = ImageCms.profileToProfile(
                image, io.BytesIO(usable), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            turned = None
        return (image.convert("RGB") if turned is None else turned), None
    if image.mode not in _SPACES:
        image = image.convert("RGB")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    return image, usable if usable is not None and usable[16:20] == _SPACES[image.mode] else None


def _is_profile(profile: bytes) -> bool:
    """Whether the bytes are one whole ICC profile and nothing behind it (ICC.1, 7.2)."""
    stated = int.from_bytes(profile[:4], "big")
    return 128 < len(profile) <= _PROFILE_MAX_BYTES and stated == len(profile) and profile[36:40] == b"acsp"
