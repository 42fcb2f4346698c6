"""transaction (FHIR R4, http 3.1.0.11): everything a Bundle asks for, or nothing of it.

What is wrong with single entries is found before anything is stored; what depends on the rest of the archive is
decided inside the writer's transaction. Reads and searches come last, inside it too: they show what was written, and
one that fails undoes everything.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote

from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody.inside import Inside
from fhirmedia.custody.proposal import located
from fhirmedia.custody.session import Session
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.bundle_answers import EntryAnswer, answer_of
from fhirmedia.interactions.bundle_findings import Findings
from fhirmedia.interactions.bundle_reads import answer_read
from fhirmedia.interactions.bundle_writes import BundleWrites
from fhirmedia.r4.bundle_in import BundleEntry

_READING = frozenset({"GET", "HEAD"})

T = TypeVar("T")


async def transaction(
    archive: Archive, asker: Asker, entries: Sequence[BundleEntry | Failure], *, lenient: bool
) -> list[EntryAnswer]:
    """An answer to each entry, in their order; none is a Failure.

    Raises the Failure of any entry, with its place; then nothing was stored.
    """
    note = replace(asker.note, raw_query=_asked(asker.note.raw_query, entries))
    async with archive.custodian.session(asker.caller, "transaction", note=note) as session:
        try:
            return await _transaction(archive, asker, session, entries, lenient=lenient)
        except Failure as failure:
            if failure.category is Category.NOT_ALLOWED:  # said of the address of the Bundle it would be wrong
                raise Failure(Category.UNPROCESSABLE, issues=failure.issues) from failure
            raise


def _asked(own: bytes, entries: Sequence[BundleEntry | Failure]) -> bytes:
    """What audit keeps as the query: that of the Bundle's own address, then what its entries search for, by lines."""
    searches = [
        f"{'/'.join(quote(step, safe='*') for step in entry.path)}?{entry.condition}".encode()
        for entry in entries
        if isinstance(entry, BundleEntry) and entry.condition
    ]
    return b"\n".join([own, *searches] if own else searches)


async def _transaction(
    archive: Archive, asker: Asker, session: Session, entries: Sequence[BundleEntry | Failure], *, lenient: bool
) -> list[EntryAnswer]:
    findings = Findings()
    for entry in entries:
        if isinstance(entry, Failure):
            findings.add(entry)
    sound = [entry for entry in entries if isinstance(entry, BundleEntry)]
    reading = [entry for entry in sound if entry.method in _READING]
    writing = [entry for entry in sound if entry.method not in _READING]
    writes = BundleWrites(archive, session, findings)
    proposals = await writes.proposals(writing)
    await writes.store(proposals)
    answers: dict[int, EntryAnswer] = {}

    def ask(inside: Inside) -> None:
        within = replace(archive, custodian=archive.custodian.within(inside))
        for entry in reading:
            try:
                answers[entry.index] = _at_once(answer_read(within, asker, entry, lenient=lenient))
            except Failure as failure:
                raise located(failure, entry.place, None) from failure

    written = await session.write_all(proposals, then=ask)
    answers |= {entry.index: answer_of(each) for entry, each in zip(writing, written, strict=True)}
    return [answers[index] for index in range(len(entries))]


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of asynchronous work that waits for nothing. Raises Failure INVALID if it would have to wait."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise Failure(Category.INVALID, "This cannot be asked inside a transaction.", code="not-supported")
