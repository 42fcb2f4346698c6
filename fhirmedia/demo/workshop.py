"""Where works become bytes: by a few processes ahead of the reader, each shared work once."""

import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from importlib.util import find_spec

from fhirmedia.core.errors import Category, Failure
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.works import Content, DicomFile, Film, Letter, Photograph, Sound, Work

AHEAD = 48
"""How many batches may be in the making: bounds what waits in memory to a few megabytes beyond the shared works."""

LETTERS_PER_BATCH = 12
PACKAGES = ("PIL", "av", "numpy", "reportlab")


def require(packages: Iterable[str] = PACKAGES) -> None:
    """Raises Failure(UNAVAILABLE) where a package that makes the bytes is not installed."""
    if any(find_spec(package) is None for package in packages):
        text = "the demo needs packages that the base install leaves out: pip install 'fhirmedia[demo]'"
        raise Failure(Category.UNAVAILABLE, text)


def rendered(work: Work) -> bytes:
    """The bytes of a work, the same for the same work."""
    match work:
        case Photograph():
            from fhirmedia.demo.photographs import photograph

            return photograph(work)
        case Film():
            from fhirmedia.demo.films import film

            return film(work)
        case Sound():
            from fhirmedia.demo.sounds import recording

            return recording(work)
        case Letter():
            from fhirmedia.demo.documents import letter

            return letter(work)
        case DicomFile():
            from fhirmedia.demo.dicom_files import stored_bytes

            return stored_bytes(work)


def finished(content: Content, made: bytes) -> bytes:
    """The work as this item has it: a photograph with the capture's EXIF, everything else as it is."""
    if not isinstance(content.work, Photograph) or content.taken is None or content.camera is None:
        return made
    from fhirmedia.demo.photographs import stamped

    return stamped(made, taken=content.taken, camera=content.camera, turned=content.work.turned)


def produced(items: Iterable[DemoItem], *, workers: int = 2) -> Iterator[tuple[DemoItem, bytes | None]]:
    """The items in their order, each with its bytes, which other processes make meanwhile.

    Raises Failure(UNAVAILABLE) at the first item where the demo's packages are missing.
    """
    require()
    listed = list(items)
    uses = Counter(content.work for item in listed if (content := item.content) is not None)
    batches = iter(_batches(uses))
    ready: dict[Work, bytes] = {}
    waiting: dict[Work, Future[list[bytes]]] = {}
    members: dict[Work, tuple[Work, ...]] = {}
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))

    def order() -> bool:
        batch = next(batches, None)
        if batch is None:
            return False
        future = pool.submit(_rendered_all, batch)
        for work in batch:
            waiting[work], members[work] = future, batch
        return True

    try:
        for _ in range(AHEAD):
            order()
        for item in listed:
            if item.content is None:
                yield item, None
                continue
            work = item.content.work
            if work not in ready:
                while work not in waiting and order():
                    pass
                batch = members[work]
                for member, made in zip(batch, waiting[work].result(), strict=True):
                    ready[member] = made
                    del waiting[member], members[member]
                order()
            yield item, finished(item.content, ready[work])
            uses[work] -= 1
            if not uses[work]:
                del ready[work]
    finally:
        pool.shutdown(cancel_futures=True)


def _rendered_all(works: tuple[Work, ...]) -> list[bytes]:
    return [rendered(work) for work in works]


def _batches(works: Iterable[Work]) -> Iterator[tuple[Work, ...]]:
    """In order of first use; the takes of one scene together, so that it is painted once, letters by the dozen."""
    batches: dict[object, list[Work]] = {}
    letters = 0
    for number, work in enumerate(works):
        key: object = number
        match work:
            case Photograph():
                key = work.scene
            case Letter():
                key = f"letters {letters // LETTERS_PER_BATCH}"
                letters += 1
        batches.setdefault(key, []).append(work)
    for batch in batches.values():
        yield tuple(batch)
