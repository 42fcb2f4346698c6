"""A request and an answer with no more around them than each request needs, so that a read is cheap."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Header = tuple[bytes, bytes]
"""A header as it goes over the wire; the name in lower case."""


class Exchange(Request):
    """A Request whose headers are looked up where they arrived; what it leaves for the log is `notes`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._headers = ArrivedHeaders(raw=scope["headers"])


class ArrivedHeaders(Headers):
    """The same mapping; a header that is absent costs no exception."""

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # no other default
        name = key.lower().encode("latin-1")
        for each, value in self._list:
            if each == name:
                return value.decode("latin-1")
        return default


class Answer(Response):
    """A whole answer whose headers are bytes from the start; its length is added."""

    def __init__(self, body: bytes, status_code: int, headers: list[Header]) -> None:
        self.status_code = status_code
        self.body = body
        self.background = None
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
