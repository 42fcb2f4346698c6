"""Documents written in bulk: by number and by size, the newest state of a Key wins, and every answer is read."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fhirmedia.backends.elastic.client import Answer, ElasticClient, unavailable, understood
from fhirmedia.core.records import Key
from fhirmedia.r4.codec import dump

Json = dict[str, Any]

MOST_LINES, MOST_BYTES = 1_000, 5 * 2**20
"""Documents and bytes of one request; one document that is larger goes alone."""

UNDER_WAY_BYTES = 8 * MOST_BYTES
"""Of all requests of a process together: those that wait until searches find their documents hold them meanwhile."""

_WITHIN_S = 30.0
_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)
"""How long a full engine is left alone before it is asked once more."""

_DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT})
"""A conflict is a newer state that is there already."""


@dataclass(frozen=True, slots=True)
class Line:
    """One document to keep, or, without content, one Key to be found no more; `alias` is where it is written.

    `content` is the JSON of an object that has members, to which the order is added.
    """

    alias: str
    key: Key
    order: int
    content: bytes | None

    def encoded(self) -> bytes:
        """As a bulk request wants it."""
        act = "index" if self.content is not None else "delete"
        head: Json = {
            act: {
                "_index": self.alias,
                "_id": str(self.key),
                "version": self.order,
                "version_type": "external_gte",
                "require_alias": True,
            }
        }
        if self.content is None:
            return b"%b\n" % dump(head)
        return b'%b\n%b,"order":%d}\n' % (dump(head), self.content[:-1], self.order)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one request: what is refused for itself, and what is to be tried once more."""

    refused: Mapping[Key, str]
    again: Sequence[tuple[Line, bytes]]


class Room:
    """So many bytes, shared by all who take some on one event loop."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self._waiting: list[asyncio.Future[None]] = []

    async def take(self, size_bytes: int) -> None:
        """Come back when there is so much room, which is the caller's then."""
        while self._left < size_bytes:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            finally:
                self._waiting.remove(waiting)
        self._left -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Leave it to others; of less than nothing, take more than there may be."""
        self._left += size_bytes
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class BulkWriter:
    """Writes lines as far as there is `room`; `sleep` is for waiting."""

    def __init__(
        self, client: ElasticClient, room: Room, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._client = client
        self._room = room
        self._sleep = sleep

    async def write(self, lines: Iterable[Line], *, visible: bool) -> Mapping[Key, str]:
        """Write all; which were refused, by the name of the error.

        Raises Failure UNAVAILABLE if the engine does not answer, has lost an index, takes nothing at present or stays
        too busy.
        """
        refused: dict[Key, str] = {}
        several = batches(lines)
        while True:
            held = MOST_BYTES
            await self._room.take(held)
            try:
                # Making documents takes longer than a turn of the event loop should.
                batch = await asyncio.to_thread(next, several, None)
                if batch is None:
                    return refused
                size = sum(len(encoded) for _, encoded in batch)
                self._room.give(held - size)
                held = size
                refused.update(await self._write(batch, visible=visible))
            finally:
                self._room.give(held)

    async def _write(self, batch: Sequence[tuple[Line, bytes]], *, visible: bool) -> Mapping[Key, str]:
        refused: dict[Key, str] = {}
        for pause in (*_PAUSES_S, None):
            outcome = await self._send(batch, visible=visible)
            refused.update(outcome.refused)
            batch = outcome.again
            if not batch:
                break
            if pause is None:
                raise unavailable("The search engine is too busy to take documents.")
            await self._sleep(pause)
        return refused

    async def _send(self, batch: Sequence[tuple[Line, bytes]], *, visible: bool) -> _Outcome:
        body = b"".join(encoded for _, encoded in batch)
        more = {"refresh": "wait_for"} if visible else {}
        answer = await self._client.ask(
            "POST",
            "/_bulk",
            body,
            within_s=_WITHIN_S,
            accepted=frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS}),
            filter_path=_NEEDED,
            **more,
        )
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return _Outcome({}, batch)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return await self._halved(batch, visible=visible)
        return _outcome(batch, answer)

    async def _halved(self, batch: Sequence[tuple[Line, bytes]], *, visible: bool) -> _Outcome:
        """What is too large for one request goes as two; a single document that is, is refused."""
        if len(batch) == 1:
            return _Outcome({batch[0][0].key: "too_large"}, ())
        middle = len(batch) // 2
        one = await self._send(batch[:middle], visible=visible)
        other = await self._send(batch[middle:], visible=visible)
        return _Outcome({**one.refused, **other.refused}, [*one.again, *other.again])


_NEEDED = "items.*.status,items.*.error.type,errors"


def batches(lines: Iterable[Line]) -> Iterator[list[tuple[Line, bytes]]]:
    """Requests of at most so many documents and so many bytes."""
    batch: list[tuple[Line, bytes]] = []
    size = 0
    for line in lines:
        encoded = line.encoded()
        if batch and (len(batch) == MOST_LINES or size + len(encoded) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((line, encoded))
        size += len(encoded)
    if batch:
        yield batch


def _outcome(batch: Sequence[tuple[Line, bytes]], answer: Answer) -> _Outcome:
    with understood():
        return _read(batch, answer.body["items"])


def _read(batch: Sequence[tuple[Line, bytes]], items: Sequence[Json]) -> _Outcome:
    refused: dict[Key, str] = {}
    again: list[tuple[Line, bytes]] = []
    for (line, encoded), item in zip(batch, items, strict=True):
        (result,) = item.values()
        status, error = result["status"], result.get("error", {}).get("type", "")
        if status in _DONE or (status == HTTPStatus.NOT_FOUND and line.content is None and not error):
            continue
        if error == "cluster_block_exception":
            raise unavailable("The search engine takes no documents: its index is read-only, as on a full disk.")
        if status == HTTPStatus.NOT_FOUND:
            raise unavailable("The search engine has lost its index.")
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            again.append((line, encoded))
        else:
            refused[line.key] = error or str(status)
    return _Outcome(refused, again)
