"""What a JPEG or PNG file consists of, read without any library: the judge of what a rendition may contain."""

import struct

JPEG_PARTS = {0xC0: "SOF0", 0xC2: "SOF2", 0xC4: "DHT", 0xDB: "DQT", 0xDA: "SOS", 0xDD: "DRI"}
ALLOWED = {
    "image/jpeg": {"JFIF", "ICC_PROFILE", "SOF0", "SOF2", "DHT", "DQT", "SOS", "DRI"},
    "image/png": {"IHDR", "iCCP", "IDAT", "IEND"},
}
"""All a rendition may be made of: the picture, its tables, its colour profile."""


def parts(content_type: str, content: bytes) -> list[str]:
    """The names of the parts in order; what belongs to none of them is `behind`, what nobody knows shows its marker."""
    return _jpeg(content) if content_type == "image/jpeg" else _png(content)


def _jpeg(content: bytes) -> list[str]:
    assert content[:2] == b"\xff\xd8"
    found, at = [], 2
    while True:
        assert content[at] == 0xFF
        marker = content[at + 1]
        if marker == 0xD9:
            return [*found, "behind"] if len(content) > at + 2 else found
        (length,) = struct.unpack_from(">H", content, at + 2)
        body = content[at + 4 : at + 2 + length]
        if marker == 0xE0 and body[:5] == b"JFIF\x00":
            found.append("JFIF" if body[12:14] == b"\x00\x00" and len(body) == 14 else "JFIF with thumbnail")
        elif marker == 0xE2 and body[:12] == b"ICC_PROFILE\x00":
            found.append("ICC_PROFILE")
        else:
            found.append(JPEG_PARTS.get(marker, f"marker {marker:02x}"))
        at += 2 + length
        if marker == 0xDA:
            while content[at] != 0xFF or content[at + 1] == 0 or 0xD0 <= content[at + 1] <= 0xD7:
                at += 1


def _png(content: bytes) -> list[str]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append(content[at + 4 : at + 8].decode("latin-1"))
        at += 12 + length
        if found[-1] == "IEND" and at < len(content):
            return [*found, "behind"]
    return found
