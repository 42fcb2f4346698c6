"""The archive without HTTP: real stores in a folder, interactions called as the routes call them."""

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

from fhirmedia.access.caller import Caller
from fhirmedia.access.policy import IMPORTER, scope_parser
from fhirmedia.app.house import open_house
from fhirmedia.backends.folder import Folder, make_folder
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.ids import new_id
from fhirmedia.core.records import Key, Record, parse_key
from fhirmedia.core.settings import Settings
from fhirmedia.custody.custodian import Stores
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Archive, Asker
from fhirmedia.interactions.bundle_answers import EntryAnswer
from fhirmedia.interactions.content import download, upload
from fhirmedia.interactions.create import create
from fhirmedia.interactions.delete import delete
from fhirmedia.interactions.history import history
from fhirmedia.interactions.read import read, vread
from fhirmedia.interactions.search import Where, search
from fhirmedia.interactions.transaction import transaction
from fhirmedia.interactions.update import update
from fhirmedia.r4.bundle_in import read_envelope
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.query_string import decode_query
from fhirmedia.r4.registry import Registry, load_registry
from tests.access.records import TEXT, Resource, places
from tests.access.worlds import Hands
from tests.audit.rows import disclosures

BASE = "https://archive.example.org/fhir"
T = TypeVar("T")


@cache
def registry() -> Registry:
    return load_registry()


def someone(scope: str = "user/*.cruds", *, name: str = "kim", **changes: Any) -> Caller:
    """A caller of these scopes, in all units unless `units` are named."""
    changes.setdefault("all_units", "units" not in changes and "patient" not in changes)
    return Caller(f"urn:tests|{name}", "tests", scope_parser(registry())(scope), **changes)


def importer(**changes: Any) -> Caller:
    """One who may choose ids and leave references unchecked."""
    return someone("system/*.cruds", name="importer", roles=frozenset({IMPORTER}), id_prefixes=("*",), **changes)


def anna(scope: str = "patient/*.cruds", *, patient: str = "anna", **changes: Any) -> Caller:
    """A patient's own app."""
    return someone(scope, name=patient, patient=patient, **changes)


def derm(scope: str = "user/*.cruds", **changes: Any) -> Caller:
    return someone(scope, name="derm", units=frozenset({"derm"}), **changes)


def eyes(scope: str = "user/*.cruds", **changes: Any) -> Caller:
    return someone(scope, name="eyes", units=frozenset({"eyes"}), **changes)


class House:
    """One archive and a loop to run it in; methods are interactions, keys are texts as `Media/m`."""

    def __init__(self, archive: Archive, path: Path, hands: Hands, loop: asyncio.Runner) -> None:
        self.archive = archive
        self.path = path
        self.hands = hands
        self._loop = loop
        self.last_request = ""

    @property
    def stores(self) -> Stores:
        return self.archive.custodian._stores

    def replace_stores(self, **changes: Any) -> None:
        """Put a spoiled store in the place of a sound one."""
        self.archive.custodian._stores = replace(self.stores, **changes)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def asker(self, caller: Caller, *, query: str = "", about: str | None = None) -> Asker:
        """Who asks, with a note as a request to the resource `about` would have it."""
        self.last_request = new_id()
        key = None if about is None else parse_key(about)
        return Asker(caller, RequestNote(self.last_request, None, query.encode(), key))

    def read(self, caller: Caller, key: str) -> Resource:
        return _body(self.run(read(self.archive, self.asker(caller, about=key), parse_key(key))))

    def vread(self, caller: Caller, key: str, version: int) -> Resource:
        return _body(self.run(vread(self.archive, self.asker(caller, about=key), parse_key(key), version)))

    def history(self, caller: Caller, key: str, query: str = "") -> Resource:
        asked = decode_query(query.encode())
        found: Resource = json.loads(
            self.run(history(self.archive, self.asker(caller, about=key), parse_key(key), asked))
        )
        return found

    def search(self, caller: Caller, type: str | None, query: str = "") -> Resource:
        asker, asked = self.asker(caller, query=query), decode_query(query.encode())
        answer = self.run(search(self.archive, asker, Where(type), asked, lenient=False))
        found: Resource = json.loads(answer.bundle)
        return found

    def create(self, caller: Caller, resource: Resource) -> Resource:
        kind, content = resource["resourceType"], json.dumps(resource).encode()
        return _body(self.run(create(self.archive, self.asker(caller), kind, parse_json(content))))

    def put(self, caller: Caller, resource: Resource, *, expected: int | None = None) -> Resource:
        key, content = Key(resource["resourceType"], resource["id"]), json.dumps(resource).encode()
        asker = self.asker(caller, about=str(key))
        return _body(self.run(update(self.archive, asker, key, parse_json(content), expected=expected)))

    def transaction(self, caller: Caller, *entries: Resource) -> list[EntryAnswer]:
        """What became of each entry; those of `tests.fhir.bundling` will do."""
        content = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
        envelope = read_envelope(parse_json(content), base_url=BASE)
        return self.run(transaction(self.archive, self.asker(caller), envelope.entries, lenient=False))

    def delete(self, caller: Caller, key: str, *, expected: int | None = None) -> int:
        asker = self.asker(caller, about=key)
        return self.run(delete(self.archive, asker, parse_key(key), expected=expected)).version

    def upload(
        self, caller: Caller, content: bytes, *, key: str | None = None, type: str = TEXT, expected: int | None = None
    ) -> str:
        """The id of the Binary."""
        target = None if key is None else parse_key(key)
        asker = self.asker(caller, about=key)
        work = upload(self.archive, asker, _once(content), content_type=type, key=target, expected=expected)
        return self.run(work).key.id

    def download(self, caller: Caller, id: str, *, start: int = 0, stop: int | None = None) -> bytes:
        async def whole() -> bytes:
            asker = self.asker(caller, about=f"Binary/{id}")
            ticket = await download(self.archive, asker, Key("Binary", id), depth="downloaded")
            return b"".join([part async for part in ticket.stream(start, ticket.size if stop is None else stop)])

        return self.run(whole())

    def rows(self) -> int:
        """How many rows the audit logs hold."""
        return sum(1 for _ in disclosures(self.path))


@contextmanager
def house(path: Path) -> Iterator[House]:
    """An archive on a folder of its own, which holds the places of `records` and nothing else; one there is stays."""
    if not path.exists():
        shutil.copytree(furnished(), path)
    with _opened(path) as living:
        yield living


@contextmanager
def _opened(path: Path) -> Iterator[House]:
    hands = Hands()
    with asyncio.Runner() as loop:
        opened = open_house(Folder(path), Settings(environment="test"), base_url=BASE, clock=hands)
        try:
            yield House(opened.archive, path, hands, loop)
        finally:
            loop.run(opened.close())


@cache
def furnished() -> Path:
    """A folder to copy, made once."""
    above = Path(tempfile.mkdtemp(prefix="furnished-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    make_folder(above / "data", timezone="Europe/Stockholm")
    with _opened(above / "data") as living:
        for resource in places():
            living.put(importer(), resource)
    return above / "data"


class Refused:
    """Expects a Failure, and keeps what it said."""

    def __init__(self, category: Category) -> None:
        self._category = category
        self.text = ""
        self.issues: Sequence[Any] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> bool:
        assert isinstance(problem, Failure), f"expected {self._category}, got {problem!r}"
        assert problem.category is self._category, problem
        self.text, self.issues = problem.issues[0].text, problem.issues
        return True


def refused(category: Category) -> Refused:
    """`with refused(Category.NOT_FOUND) as said: …`"""
    return Refused(category)


def ids(bundle: Resource) -> list[str]:
    """The resources of a Bundle, as `Media/m`."""
    return [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle.get("entry", ())]


def _body(record: Record) -> Resource:
    found: Resource = json.loads(record.body or b"{}")
    return found


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
