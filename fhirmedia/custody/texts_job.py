"""The texts job: reads the texts of contents behind the writes, and gives their words to the records that hold them.

One of the processes that serve an archive does it. A text is kept and its first records are given its words in one
transaction, which says where the next one goes on; so it does not matter when the process ends. Nothing of it can be
seen by anybody but through a search, with the rights of the records.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import IO, TypeVar

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.content import verified
from fhirmedia.media.text_formats import bytes_read, text_format
from fhirmedia.ports.objects import ObjectStore
from fhirmedia.ports.texts import READ, ReadText, TextQueue, TextReader, TextStore, WaitingText
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.json_in import parse_json

T = TypeVar("T")

ATTEMPTS = 3
"""After so many interruptions (a process that died or took too long) a text counts as too costly."""

RECORDS_AT_ONCE = 2
"""Records indexed anew in one transaction; one with a text of 16 000 words costs the writer 0.1 to 0.3 s."""

_LOOK_S = 0.25
_LOCK_S = 5.0
"""How often a process that has not the right to read texts asks for it."""
_PAUSE_S = 0.02
"""Between steps, so that requests do not notice them."""
_REST_S = 5.0
"""After a failure."""

_PASSING = frozenset({Category.UNAVAILABLE, Category.DISK_FULL})
"""Failures that say nothing of the text that was being read."""

log = logging.getLogger("fhirmedia")


class TextsJob:
    """Works off what waits, as long as it runs and the right to it can be had.

    `take` gives that right, or None while another process has it. `told` is called with the format of each text and
    what became of it, `damaged` for each content that is not what was stored.
    """

    def __init__(
        self,
        store: TextStore,
        objects: ObjectStore,
        reader: TextReader,
        extractor: Extractor,
        *,
        take: Callable[[], IO[str] | None],
        told: Callable[[str, str], None] = lambda _format, _outcome: None,
        damaged: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._objects = objects
        self._reader = reader
        self._extractor = extractor
        self._take = take
        self._told = told
        self._damaged = damaged

    async def run(self) -> None:
        """Look now and then whether anything waits, until cancelled."""
        mine: IO[str] | None = None
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                mine = mine or self._take()
                if mine is None:
                    await asyncio.sleep(_LOCK_S)
                    continue
                try:
                    await self.work_off()
                except Exception as error:  # noqa: BLE001 (the job outlives whatever happens; what it says may quote a record)
                    log.error("texts could not be read (%s); it will be tried again", type(error).__name__)
                    await asyncio.sleep(_REST_S)
        finally:
            if mine is not None:
                mine.close()

    async def work_off(self) -> None:
        """Everything that waits. Raises Failure UNAVAILABLE or DISK_FULL, and what the reader raises."""
        while True:
            waiting = await self._store.waiting_text()
            if waiting is not None:
                await self._read_or_put_back(waiting)
            elif await self._store.has_older_texts():
                await self._write(lambda transaction: transaction.queue_older_texts())
            else:
                return

    async def waiting(self) -> int:
        """How many contents wait, counted up to a hundred thousand."""
        return await self._store.texts_waiting()

    async def close(self) -> None:
        """Let go of the reader."""
        await self._reader.close()

    async def _read_or_put_back(self, waiting: WaitingText) -> None:
        """As `_read`; what fails for a reason of its own waits behind everything else from then on."""
        try:
            await self._read(waiting)
        except Exception as error:
            if not isinstance(error, Failure) or error.category not in _PASSING:
                await self._write(lambda transaction: transaction.try_text_again(waiting))
            raise

    async def _write(self, work: Callable[[TextQueue], T]) -> T:
        """Write, and leave the writer to others for as long as that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        written = await self._store.write(work)
        await asyncio.sleep(max(_PAUSE_S, loop.time() - begun))
        return written

    async def _read(self, waiting: WaitingText) -> None:
        """One text, if it is still to be read, and its words for all records."""
        work: Callable[[TextQueue], bool] = partial(self._give, waiting.binary_id)
        if waiting.after is None:
            format = text_format(waiting.content.content_type)
            if format is None:  # as an earlier program saw it
                await self._write(lambda transaction: transaction.finish_text(waiting.binary_id))
                return
            text = await self._text(waiting, format)
            if text is None:
                await self._write(lambda transaction: transaction.try_text_again(waiting))
                return
            self._tell(waiting, format, text)
            work = partial(self._keep, waiting, format, text)
        while await self._write(work):
            work = partial(self._give, waiting.binary_id)

    async def _text(self, waiting: WaitingText, format: str) -> ReadText | None:
        """What becomes of the text; None where it is to be tried again."""
        content = waiting.content
        stop = bytes_read(format, content.blob.size)
        is_cut = stop < content.blob.size
        if is_cut and stop == 0:
            return ReadText("too-large", "")
        try:
            chunks = verified(self._objects, content, start=0, stop=stop, damaged=self._damaged)
            text = await self._reader.read(chunks, size=stop, format=format, is_cut=is_cut)
        except Failure as failure:
            if failure.category is not Category.CORRUPT:
                raise
            return ReadText("damaged", "")
        if text is None and waiting.attempts + 1 >= ATTEMPTS:
            return ReadText("too-costly", "")
        return text

    def _tell(self, waiting: WaitingText, format: str, text: ReadText) -> None:
        kind = format.partition("/")[0]
        self._told(kind, text.outcome)
        if text.outcome not in READ:
            digest, size = waiting.content.blob.digest, waiting.content.blob.size
            log.warning("no text could be read of a content (%s, %d bytes, %s): %s", kind, size, digest, text.outcome)

    def _keep(self, waiting: WaitingText, format: str, text: ReadText, transaction: TextQueue) -> bool:
        if not transaction.keep_text(waiting, format=format, text=text):
            return False
        return self._give(waiting.binary_id, transaction)

    def _give(self, binary_id: str, transaction: TextQueue) -> bool:
        """Index some records anew; whether there are more."""
        records = transaction.without_words(binary_id, limit=RECORDS_AT_ONCE + 1)
        for record in records[:RECORDS_AT_ONCE]:
            try:
                entries = self._extractor.entries(parse_json(record.body or b""), key=record.key, last_updated_ms=0)
            except Failure:  # it is damaged, which `check` tells; the others need not wait for it
                log.error("a damaged %s could not be given the words of its content", record.key.type)
            else:
                transaction.index_anew(record, entries)
        if len(records) <= RECORDS_AT_ONCE:
            transaction.finish_text(binary_id)
            return False
        transaction.have_words(binary_id, up_to=records[RECORDS_AT_ONCE - 1].sequence)
        return True
