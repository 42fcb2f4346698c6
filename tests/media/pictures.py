"""Pictures made for tests: upright letters turned by orientation, metadata of every kind, headers that lie."""

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

CANARY = "KANARIE"
"""Stands in every text a picture carries beside its pixels."""

EXIF_HEAD = b"Exif\x00\x00"
TURNS = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}
"""What has to be done to an upright picture so that this orientation (EXIF 2.32, 4.6.4) turns it back."""


def photo(width: int = 640, height: int = 480, *, mode: str = "RGB") -> Image.Image:
    """A picture whose four corners differ: red, green, blue and white quarters."""
    image = Image.new("RGB", (width, height), "red")
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2), "green")
    draw.rectangle((0, height // 2, width // 2, height), "blue")
    draw.rectangle((width // 2, height // 2, width, height), "white")
    return image.convert(mode)


def corners(image: Image.Image) -> list[str]:
    """The colours in the middle of the quarters, by name, row by row; those between are 'other'."""
    names = {(255, 0, 0): "red", (0, 128, 0): "green", (0, 0, 255): "blue", (255, 255, 255): "white"}
    width, height = image.size
    places = [(width // 4, height // 4), (3 * width // 4, height // 4)]
    places += [(x, 3 * height // 4) for x, _ in places]
    seen = image.convert("RGB")

    def named(place: tuple[int, int]) -> str:
        pixel: Any = seen.getpixel(place)
        near = min(names, key=lambda name: sum(abs(a - b) for a, b in zip(name, pixel, strict=True)))
        return names[near] if sum(abs(a - b) for a, b in zip(near, pixel, strict=True)) < 40 else "other"

    return [named(place) for place in places]


UPRIGHT = ["red", "green", "blue", "white"]


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """The file."""
    with io.BytesIO() as file:
        image.save(file, format, **options)
        return file.getvalue()


def decoded(content: bytes) -> Image.Image:
    """The picture of a file."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def turned(orientation: int, format: str) -> bytes:
    """An upright picture, stored turned, with the orientation that tells so."""
    image = photo()
    for turn in TURNS[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, format, exif=exif.tobytes())


def exif_block(*, orientation: int = 1, thumbnail: bytes = b"") -> bytes:
    """A TIFF structure as in APP1: owner, serial numbers, place, maker note, comment, and a thumbnail of its own."""
    canary = CANARY.encode() + b"\x00"
    main = [
        (0x010E, 2, canary), (0x010F, 2, canary), (0x0110, 2, canary), (0x0112, 3, struct.pack("<H", orientation)),
        (0x0131, 2, canary), (0x013B, 2, canary), (0x8298, 2, canary), (0x9C9D, 1, CANARY.encode("utf-16-le")),
    ]  # fmt: skip
    private = [
        (0x927C, 7, canary * 4), (0x9286, 7, b"ASCII\x00\x00\x00" + canary), (0xA420, 2, canary),
        (0xA430, 2, canary), (0xA431, 2, canary), (0xA435, 2, canary),
    ]  # fmt: skip
    degrees = struct.pack("<6I", 59, 1, 20, 1, 30, 1)
    place = [(1, 2, b"N\x00"), (2, 5, degrees), (3, 2, b"E\x00"), (4, 5, degrees), (0x1B, 7, canary)]
    return _tiff(main, {0x8769: private, 0x8825: place}, thumbnail)


_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def _tiff(main: list[tuple[int, int, bytes]], sub: dict[int, list[tuple[int, int, bytes]]], thumbnail: bytes) -> bytes:
    """Little-endian TIFF: the main directory, those below it, and a second one that holds the thumbnail."""

    def directory(entries: list[tuple[int, int, bytes]], at: int, following: int) -> bytes:
        rows, heap = b"", b""
        heap_at = at + 2 + 12 * len(entries) + 4
        for tag, kind, value in sorted(entries):
            field = value.ljust(4, b"\x00") if len(value) <= 4 else struct.pack("<I", heap_at + len(heap))
            heap += b"" if len(value) <= 4 else value + b"\x00" * (len(value) % 2)
            rows += struct.pack("<HHI", tag, kind, len(value) // _SIZES[kind]) + field
        return struct.pack("<H", len(entries)) + rows + struct.pack("<I", following) + heap

    pointers = [(tag, 4, b"\x00" * 4) for tag in sub]
    at = 8 + len(directory([*main, *pointers], 8, 0))
    below, places = b"", {}
    for tag, entries in sub.items():
        places[tag] = at + len(below)
        below += directory(entries, places[tag], 0)
    second_at = at + len(below) if thumbnail else 0
    head = directory([*main, *((tag, 4, struct.pack("<I", place)) for tag, place in places.items())], 8, second_at)
    whole = b"II*\x00\x08\x00\x00\x00" + head + below
    if thumbnail:
        rows = [
            (0x0103, 3, struct.pack("<H", 6)),
            (0x0201, 4, b"\x00" * 4),
            (0x0202, 4, struct.pack("<I", len(thumbnail))),
        ]
        start = second_at + len(directory(rows, second_at, 0))
        rows[1] = (0x0201, 4, struct.pack("<I", start))
        whole += directory(rows, second_at, 0) + thumbnail
    return whole


def xmp() -> bytes:
    """An XMP packet with a place, an owner and a history."""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" exif:GPSLatitude="59,20.5N" '
        f'aux:SerialNumber="{CANARY}" dc:source="{CANARY}"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc() -> bytes:
    """A Photoshop block with IPTC records: by-line, caption, city."""
    records = b"".join(
        b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(CANARY)) + CANARY.encode() for number in (5, 80, 90, 120)
    )
    block = b"8BIM\x04\x04\x00\x00" + struct.pack(">I", len(records)) + records + b"\x00" * (len(records) % 2)
    return b"Photoshop 3.0\x00" + block


@functools.cache
def profile() -> bytes:
    """A colour profile, the same one each time: it holds the time at which it was made."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def segment(marker: int, content: bytes) -> bytes:
    """One JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes, *, colour: int = 6, more: bytes = b"") -> bytes:
    """A PNG that says it is so large, with this as its compressed data."""
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def telling_pictures() -> Iterator[tuple[str, str, bytes]]:
    """Fifty files that tell more than they show: a name, the media type, the file."""
    thumbnail = encoded(photo(160, 120), "JPEG", comment=CANARY)
    blocks = {
        "exif": segment(0xE1, EXIF_HEAD + exif_block()),
        "exif-thumbnail": segment(0xE1, EXIF_HEAD + exif_block(thumbnail=thumbnail)),
        "exif-turned": segment(0xE1, EXIF_HEAD + exif_block(orientation=6, thumbnail=thumbnail)),
        "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xmp()),
        "iptc": segment(0xED, iptc()),
        "comment": segment(0xFE, CANARY.encode()),
        "private": segment(0xEB, CANARY.encode() * 3) + segment(0xE5, CANARY.encode()),
        "jfif-thumbnail": segment(0xE0, b"JFXX\x00\x10" + thumbnail),
    }
    everything = b"".join(blocks[name] for name in ("exif-thumbnail", "xmp", "iptc", "comment", "private"))
    for mode in ("RGB", "L", "CMYK"):
        plain = encoded(photo(mode=mode), "JPEG", icc_profile=profile() if mode == "RGB" else None)
        for name, block in blocks.items():
            yield f"jpeg-{mode}-{name}", "image/jpeg", plain[:2] + block + plain[2:]
        yield f"jpeg-{mode}-everything", "image/jpeg", plain[:2] + everything + plain[2:] + CANARY.encode() * 9
    texts = {
        "text": chunk(b"tEXt", b"Author\x00" + CANARY.encode()),
        "compressed": chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(CANARY.encode())),
        "xmp": chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp()),
        "exif": chunk(b"eXIf", exif_block(thumbnail=thumbnail)),
        "raw": chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n      6\n" + b"4b414e415249"),
        "private": chunk(b"prVt", CANARY.encode()) + chunk(b"tIME", b"\x07\xe6\x01\x01\x00\x00\x00"),
    }
    for mode in ("RGB", "RGBA"):
        image = photo(mode=mode)
        if mode == "RGBA":
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        plain = encoded(image, "PNG")
        for name, more in texts.items():
            yield f"png-{mode}-{name}", "image/png", plain[:33] + more + plain[33:]
    palette = encoded(photo(mode="P"), "PNG")
    yield "png-P-everything", "image/png", palette[:33] + b"".join(texts.values()) + palette[33:]
    yield "png-behind", "image/png", encoded(photo(), "PNG") + CANARY.encode() * 20
    exif = EXIF_HEAD + exif_block(thumbnail=thumbnail)
    for lossless in (False, True):
        kind = "lossless" if lossless else "lossy"
        for name, options in (
            ("exif", {"exif": exif}),
            ("xmp", {"xmp": xmp()}),
            ("both", {"exif": exif, "xmp": xmp()}),
        ):
            webp = encoded(photo(), "WEBP", lossless=lossless, icc_profile=profile(), **options)
            yield f"webp-{kind}-{name}", "image/webp", webp
    yield "gif-comment", "image/gif", encoded(photo(), "GIF", comment=CANARY.encode())
    info = {270: CANARY, 271: CANARY, 305: CANARY, 315: CANARY, 700: xmp(), 33723: iptc()}
    for compression in ("raw", "tiff_lzw", "jpeg"):
        yield (
            f"tiff-{compression}",
            "image/tiff",
            encoded(photo(), "TIFF", tiffinfo=_tags(info), compression=compression),
        )
    texted = PngImagePlugin.PngInfo()
    texted.add_itxt("Description", CANARY, zip=True)
    yield "png-itxt", "image/png", encoded(photo(mode="L"), "PNG", pnginfo=texted)


def _tags(values: dict[int, Any]) -> Any:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    directory = ImageFileDirectory_v2()
    for tag, value in values.items():
        if isinstance(value, bytes):
            directory.tagtype[tag] = 7
        directory[tag] = value
    return directory
