"""HTTP/1.1 as far as these tests speak it: cheap, and honest about connections that end early."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass


class Lost(Exception):
    """The connection ended before the answer was whole; `sent` tells whether the request had begun."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def version(self) -> int:
        """The version in the ETag."""
        return int(self.headers["etag"].removeprefix("W/").strip('"'))


class Wire:
    """One connection to a loopback port, made anew after it was lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, headers: Mapping[str, str], *pieces: bytes) -> Answer:
        """Send a request, its body in pieces, and wait for the whole answer. Raises Lost."""
        sent = False
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            stated = {"Host": "127.0.0.1", "Content-Length": str(sum(map(len, pieces))), **headers}
            lines = [f"{method} /fhir/{path} HTTP/1.1", *(f"{name}: {value}" for name, value in stated.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            sent = True
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return await _answer(reader, method)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            self.close()
            raise Lost(sent=sent) from None

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    size = 0 if method == "HEAD" or status in (204, 304) else int(headers["content-length"])
    return Answer(status, headers, await reader.readexactly(size))
