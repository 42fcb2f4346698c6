"""What the clients of these tests send: synthetic pictures and what is said about them."""

import random
from typing import Any

PATIENT = {"resourceType": "Patient", "id": "anna", "gender": "female", "birthDate": "1980-01-02"}
TOGETHER, OF_ONE_TRANSACTION = "together", 3
"""How the notes of Media begin that came in one transaction, and how many those are."""

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"


def picture(size: int, *, seed: int) -> bytes:
    """Bytes that begin like a JPEG, and differ by seed."""
    return JPEG + random.Random(seed).randbytes(size - len(JPEG))


def a_media(text: str, *, id: str | None = None, binary: str | None = None, data: str | None = None) -> dict[str, Any]:
    """A photograph of Anna; `binary` is the id of its uploaded content, `data` the content itself in base64."""
    content = {"contentType": "image/jpeg"}
    if binary is not None:
        content["url"] = f"Binary/{binary}"
    if data is not None:
        content["data"] = data
    media: dict[str, Any] = {
        "resourceType": "Media",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "createdDateTime": "2024-05-06T07:08:09Z",
        "content": content,
        "note": [{"text": text}],
    }
    return media if id is None else media | {"id": id}
