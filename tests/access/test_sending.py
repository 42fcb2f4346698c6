"""Of content that is large, or does not leave whole, a row of its own says how much left."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from fhirmedia.core.disclosure import Disclosure
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.content import LARGE_BYTES, ContentTicket
from fhirmedia.interactions.content import download
from tests.access.houses import House, derm, house, importer
from tests.access.records import a, with_content
from tests.audit.rows import disclosures

MIB = 2**20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One byte more than is not told of."""
    return bytes(LARGE_BYTES + 1)


def ticket(living: House, content: bytes) -> ContentTicket:
    """A permission for derm to have content of Media/m."""
    id = living.upload(importer(), content, type="application/octet-stream")
    living.put(importer(), a("Media", "m", **with_content(f"Binary/{id}", contentType="application/octet-stream")))
    asker = living.asker(derm(), about=f"Binary/{id}", query="_pretty=true")
    return living.run(download(living.archive, asker, Key("Binary", id), depth="downloaded"))


def sent(living: House) -> list[Disclosure]:
    """What is told of sending, once all of it is written."""
    living.run(living.stores.behind.finish())
    return [row for row in disclosures(living.path) if row.interaction == "content-sent"]


async def take(parts: AsyncIterator[bytes], *, most: int | None = None) -> int:
    """How many bytes came; whoever asks goes away after `most` parts."""
    taken, number = 0, 0
    async for part in parts:
        taken, number = taken + len(part), number + 1
        if number == most:
            await cast("AsyncGenerator[bytes, None]", parts).aclose()
            break
    return taken


def test_what_is_large_is_told_when_it_has_left(living: House, large: bytes) -> None:
    permitted = ticket(living, large)
    assert sent(living) == []
    assert living.run(take(permitted.delivery(permitted.stream(0, len(large))))) == len(large)
    (row,) = sent(living)
    assert (row.outcome, row.issue, row.sent) == ("0", None, len(large))
    assert row.permitted_by == str(permitted.row)
    assert row.query_sha256 is None
    (opened,) = [each for each in disclosures(living.path) if each.interaction == "content"]
    assert (row.request_id, row.touched, row.patients) == (opened.request_id, opened.touched, opened.patients)
    assert row.subject == derm().subject


def test_what_is_not_large_is_not(living: House, large: bytes) -> None:
    permitted = ticket(living, large)
    assert living.run(take(permitted.delivery(permitted.stream(1, len(large))))) == LARGE_BYTES
    assert sent(living) == []


@pytest.mark.parametrize("parts", [1, 3])
def test_what_breaks_off_is_told_however_small(living: House, large: bytes, parts: int) -> None:
    permitted = ticket(living, large)
    living.run(take(permitted.delivery(permitted.stream(0, 4 * MIB)), most=parts))
    (row,) = sent(living)
    assert (row.outcome, row.issue, row.sent) == ("4", "incomplete", (parts - 1) * MIB)


def test_what_is_damaged_is_told(living: House, large: bytes) -> None:
    permitted = ticket(living, large)

    async def damaged() -> AsyncIterator[bytes]:
        async for part in permitted.stream(0, 2 * MIB):
            yield part
        raise Failure(Category.CORRUPT, "damaged")

    with pytest.raises(Failure):
        living.run(take(permitted.delivery(damaged())))
    (row,) = sent(living)
    assert (row.outcome, row.issue, row.sent) == ("8", "exception", 2 * MIB)


def test_what_cannot_be_told_harms_nobody(living: House, large: bytes) -> None:
    async def broken() -> None:
        raise Failure(Category.UNAVAILABLE, "broken")

    async def begin() -> None:
        living.stores.behind.start(broken())

    permitted = ticket(living, large)
    living.run(begin())
    living.run(take(permitted.delivery(permitted.stream(0, len(large)))))
    assert len(sent(living)) == 1


def test_closing_waits_for_what_is_being_told(tmp_path: Path, large: bytes) -> None:
    with house(tmp_path / "data") as living:
        permitted = ticket(living, large)
        living.run(take(permitted.delivery(permitted.stream(0, 4 * MIB)), most=1))
    assert [row.sent for row in disclosures(living.path) if row.interaction == "content-sent"] == [0]
