"""Where the keys of an issuer come from: a file read once, or a pinned URL fetched now and then in the background.

Nothing a token says decides what is fetched: the URL is the configured one, redirects are not followed, and an unknown
`kid` leads to at most one fetch a minute.
"""

import contextlib
import http.client
import socket
import threading
from typing import Protocol
from urllib.parse import urlsplit

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.settings import LOOPBACK
from fhirmedia.issuer.jose import VerifyingKey, read_key_set

SET_MAX_BYTES = 64 * 1024
HTTP_OK = 200
FETCH_MAX_S = 2
REFRESH_S = 300
"""How old a fetched key set may be before it is fetched again."""
RETRY_S = 60
"""The least time between two fetches that an unknown `kid` asks for."""
KEEP_S = 24 * 3600
"""How long keys are trusted that could not be fetched again."""


class KeySource(Protocol):
    """The keys of one issuer."""

    def current(self, now_s: int) -> tuple[VerifyingKey, ...]:
        """The keys trusted now; the same tuple object as long as nothing has changed."""

    def missed(self, now_s: int) -> None:
        """A well-formed token of this issuer named a key that is not among them."""

    def refresh(self, now_s: int) -> bool:
        """Fetch the keys anew, if they are fetched, and wait for it; whether there is a good key set now."""


class FixedKeys:
    """Keys that stay as they are until the program starts anew."""

    def __init__(self, keys: tuple[VerifyingKey, ...]) -> None:
        self._keys = keys

    def current(self, now_s: int) -> tuple[VerifyingKey, ...]:
        """The keys."""
        return self._keys

    def missed(self, now_s: int) -> None:
        """Nothing can be done about it."""

    def refresh(self, now_s: int) -> bool:
        """They are as good as they were."""
        return True


class FetchedKeys:
    """The key set of a URL. Callers never wait for it: until the first fetch has come back there are no keys."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._keys: tuple[VerifyingKey, ...] = ()
        self._tried_s: int | None = None
        self._confirmed_s = 0

    def current(self, now_s: int) -> tuple[VerifyingKey, ...]:
        """The keys of the last good fetch, if it is younger than a day; starts a fetch when that is due."""
        self._fetch_after(REFRESH_S, now_s)
        return self._keys if now_s - self._confirmed_s < KEEP_S else ()

    def missed(self, now_s: int) -> None:
        """Start a fetch, unless one was started within the last minute."""
        self._fetch_after(RETRY_S, now_s)

    def _fetch_after(self, wait_s: int, now_s: int) -> None:
        if self._tried_s is None or now_s - self._tried_s >= wait_s:
            self._tried_s = now_s
            threading.Thread(target=self.refresh, args=(now_s,), name="key set", daemon=True).start()

    def refresh(self, now_s: int) -> bool:
        """Fetch now and wait for it; whether it brought a key set. The old keys stay if it did not."""
        self._tried_s = now_s
        try:
            keys = read_key_set(fetch(self._uri))
        except Failure:
            return False
        if keys != self._keys:
            self._keys = keys
        self._confirmed_s = now_s
        return True


def check_uri(uri: str) -> bool:
    """Whether keys may be fetched from there: https, or http on a loopback host; no user, no fragment."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return secure and bool(parts.hostname) and parts.username is None and not parts.fragment


def fetch(uri: str) -> bytes:
    """The body at a URL that `check_uri` allows: status 200, at most 64 KiB, within 2 s; Failure UNAVAILABLE if not."""
    parts = urlsplit(uri)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=FETCH_MAX_S)
    late = threading.Event()
    try:
        with contextlib.closing(connection):
            connection.connect()
            # The time limit of a socket is per read; the timer ends an answer that drips.
            timer = threading.Timer(FETCH_MAX_S, _cut, (connection.sock, late))
            timer.start()
            try:
                connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
                with contextlib.closing(connection.getresponse()) as response:
                    status, content = response.status, response.read(SET_MAX_BYTES + 1)
            finally:
                timer.cancel()
    except (OSError, http.client.HTTPException) as error:
        raise Failure(Category.UNAVAILABLE, "The key set could not be fetched.") from error
    if late.is_set() or status != HTTP_OK or len(content) > SET_MAX_BYTES:
        raise Failure(Category.UNAVAILABLE, "The answer is no key set of at most 64 KiB within 2 s.")
    return content


def _cut(held: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
