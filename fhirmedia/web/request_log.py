"""The request log: one JSON line per request on standard output, without path, query, ids, names or exception text."""

import asyncio
import os
import sys
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Literal, get_args

from starlette.types import Scope

from fhirmedia.core.clock import Clock, instant

FLUSH_S = 0.05
FLUSH_BYTES = 32 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Noted = Literal["resource_type", "issue", "check", "client", "disclosure"]
"""What routes leave in the state of a request for this log."""
_NOTED = get_args(Noted)


def method_of(scope: Scope) -> str:
    """The method, or `other`: a client could make up as many as it likes."""
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def template_of(scope: Scope) -> str:
    """The route as declared (`/fhir/{type}/{id}`), never the path as sent; `-` where none matched."""
    return getattr(scope.get("route"), "path", "-")


def note(scope: Scope, name: Noted, text: str | None) -> None:
    """Leave something for the line of this request."""
    scope["state"][name] = text


class RequestLog:
    """Gathers lines and writes them together a twentieth of a second later, which costs far less than one by one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[bytes] = []
        self._size = 0

    def answered(
        self,
        route: str,
        method: str,
        notes: Mapping[str, str | None],
        *,
        status: int,
        seconds: float,
        sent: int,
        is_broken: bool,
    ) -> None:
        """Note one answer; `notes` is the state of the request, `sent` is in bytes.

        `is_broken`: we ended it before its end, whatever its status said.
        """
        named = ""
        for name in _NOTED:
            text = notes.get(name)
            if text:
                named += f',"{name}":{quoted(text)}'
        line = (
            f'{{"time":"{instant(self._clock())}","level":"{"error" if is_broken or status >= 500 else "info"}",'
            f'"request":"{notes["request_id"]}","method":"{method}","route":"{route}","status":{status},'
            f'"ms":{seconds * 1000:.2f},"bytes":{sent}{named}}}\n'
        ).encode()
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._waiting.append(line)
        self._size += len(line)
        if self._size > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            lines, self._waiting, self._size = b"".join(self._waiting), [], 0
            os.write(sys.stdout.fileno(), lines)
