"""Cursors: sealed bookmarks into a search or a history; a bookmark, never a permission."""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhirmedia.access.caller import Caller
from fhirmedia.access.scopes import render
from fhirmedia.core.clock import Clock
from fhirmedia.core.errors import Category, Failure

LIFE_MS = 3_600_000
_NONCE_BYTES = 12
_KEY_BYTES = 32
_COMPRESS_ABOVE = 512


class CursorSeal:
    """Seals and opens cursors with AES-256-GCM; the first key seals, all keys open (rotation)."""

    def __init__(self, keys: Sequence[bytes], *, clock: Clock) -> None:
        self._ciphers = [AESGCM(key) for key in keys]
        self._clock = clock

    def seal(self, caller: Caller, content: Mapping[str, Any]) -> str:
        """The content as URL-safe text, bound to this caller and to one hour."""
        plain = json.dumps(
            {"for": _fingerprint(caller), "until": self._clock() + LIFE_MS, "content": content}, separators=(",", ":")
        ).encode()
        packed = b"z" + zlib.compress(plain, 9) if len(plain) > _COMPRESS_ABOVE else b"p" + plain
        nonce = os.urandom(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._ciphers[0].encrypt(nonce, packed, None)).rstrip(b"=").decode()

    def open(self, caller: Caller, text: str) -> dict[str, Any]:
        """What was sealed. Raises Failure INVALID (tampered), FORBIDDEN (another's), GONE (expired)."""
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raise _not_ours() from None
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text or len(sealed) <= _NONCE_BYTES:
            raise _not_ours()
        packed = self._decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:])
        plain = zlib.decompress(packed[1:]) if packed[:1] == b"z" else packed[1:]
        cursor: dict[str, Any] = json.loads(plain)
        if cursor["for"] != _fingerprint(caller):
            raise Failure(Category.FORBIDDEN, "The cursor was made for another caller.")
        if self._clock() >= cursor["until"]:
            raise Failure(Category.GONE, "The cursor has expired; start again from the first page.", code="expired")
        content: dict[str, Any] = cursor["content"]
        return content

    def _decrypt(self, nonce: bytes, sealed: bytes) -> bytes:
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, sealed, None)
            except InvalidTag:
                continue
        raise _not_ours()


def load_cursor_keys(folder: Path) -> list[bytes]:
    """The keys of `folder/cursor.key`, one in hexadecimal a line, newest first; the file is made if absent.

    Of several processes that make it at once the first wins. Raises Failure INVALID for a file without a usable key.
    """
    path = folder / "cursor.key"
    if not path.exists():
        draft = folder / f".cursor.key.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(_KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    try:
        keys = [bytes.fromhex(line) for line in path.read_text().split()]
    except ValueError:
        keys = []
    if not keys or any(len(key) != _KEY_BYTES for key in keys):
        raise Failure(Category.INVALID, "keys/cursor.key holds no usable key; remove it and a new one is made.")
    return keys


def _fingerprint(caller: Caller) -> str:
    scopes = sorted(render(scope) for scope in caller.scopes)
    bound = json.dumps([caller.subject, caller.client, scopes, caller.patient])
    return hashlib.sha256(bound.encode()).hexdigest()


def _not_ours() -> Failure:
    return Failure(Category.INVALID, "The cursor is damaged or was not made by this server.", code="value")
