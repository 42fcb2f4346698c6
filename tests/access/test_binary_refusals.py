"""An update of a Binary that will be refused is refused before a byte is taken, and tells nothing of what is hidden."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.interactions.content import upload, upload_resource
from tests.access.houses import House, derm, eyes, house, importer, refused
from tests.access.records import TEXT, a, with_content


@pytest.fixture
def living(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "data") as made:
        yield made


class Stream:
    """A body, and whether anybody took of it."""

    def __init__(self) -> None:
        self.taken = False

    async def chunks(self) -> AsyncIterator[bytes]:
        self.taken = True
        yield b"new bytes"


def put(living: House, caller: Caller, id: str, *, expected: int | None = None) -> Stream:
    stream = Stream()
    asker = living.asker(caller, about=f"Binary/{id}")
    living.run(
        upload(living.archive, asker, stream.chunks(), content_type=TEXT, key=Key("Binary", id), expected=expected)
    )
    return stream


def stored(living: House) -> int:
    return sum(1 for each in (living.path / "objects").rglob("*") if each.is_file())


def refusal(living: House, caller: Caller, id: str, category: Category, *, expected: int | None = None) -> str:
    """What is said, nothing having been taken or kept, and the attempt being written down."""
    stream, objects, rows = Stream(), stored(living), living.rows()
    asker = living.asker(caller, about=f"Binary/{id}")
    key = Key("Binary", id)
    with refused(category) as said:
        living.run(upload(living.archive, asker, stream.chunks(), content_type=TEXT, key=key, expected=expected))
    assert not stream.taken
    sent = {"resourceType": "Binary", "id": id, "contentType": TEXT, "data": "bmV3IGJ5dGVz"}
    with refused(category) as again:
        living.run(
            upload_resource(
                living.archive, living.asker(caller, about=f"Binary/{id}"), sent, key=key, expected=expected
            )
        )
    assert again.text == said.text
    assert stored(living) == objects
    assert living.rows() == rows + 2
    return said.text


def test_what_would_be_refused_is_refused_before_its_bytes(living: House) -> None:
    own = living.upload(derm(), b"mine")
    living.upload(importer(), b"claimed", key="Binary/claimed")
    living.put(importer(), a("Media", "m", **with_content("Binary/claimed", contentType=TEXT)))
    others = living.upload(eyes(), b"somebody else's")
    absent = refusal(living, derm(), "never", Category.NOT_ALLOWED)
    assert refusal(living, derm(), others, Category.NOT_ALLOWED) == absent
    assert refusal(living, eyes(), "claimed", Category.NOT_ALLOWED) == absent
    refusal(living, derm(), "claimed", Category.CONFLICT)
    refusal(living, derm(), own, Category.PRECONDITION, expected=7)
    refusal(living, derm("user/Binary.ru user/Media.ru", id_prefixes=("ehr-",)), "ehr-1", Category.FORBIDDEN)
    refusal(living, derm(id_prefixes=("ehr-",)), "ehr-1", Category.PRECONDITION, expected=1)


def test_what_may_be_replaced_is(living: House) -> None:
    own = living.upload(derm(), b"mine")
    assert put(living, derm(), own, expected=1).taken
    assert living.download(derm(), own) == b"new bytes"
    assert put(living, derm(id_prefixes=("ehr-",)), "ehr-1").taken
