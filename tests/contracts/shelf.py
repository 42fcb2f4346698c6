"""An archive that holds a corpus of the conformance tables as its records and asks whichever engine it is given."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.app.house import House, open_house
from fhirmedia.backends.folder import Folder, make_folder
from fhirmedia.core.records import Key
from fhirmedia.core.settings import Settings
from fhirmedia.custody.telling import RequestNote
from fhirmedia.interactions.archive import Asker
from fhirmedia.interactions.search import Where, search
from fhirmedia.ports.index import SearchIndex
from fhirmedia.ports.records import Draft, RecordTransaction
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.json_in import parse_json
from tests.contracts.conformance import BASE, NOW_MS, facts_in
from tests.contracts.corpora import corpus

KIM = Asker(Caller("urn:tests|kim", "tests", ()), RequestNote("r"))


class Shelf:
    """One archive; what its caller may see is said with each search."""

    def __init__(self, house: House, runner: asyncio.Runner) -> None:
        self._archive = house.archive
        self._run = runner.run

    def fill(self, name: str) -> None:
        """Put in a corpus; nothing is indexed."""
        bodies = {Key(each["resourceType"], each["id"]): each for each, _ in corpus(name)}

        def put(transaction: RecordTransaction) -> None:
            for key, facts in facts_in(name).items():
                body = prepare(parse_json(json.dumps(bodies[key]).encode()))
                transaction.put(Draft(key, "update", body, facts, None))

        self._run(self._archive.custodian._stores.records.write(put))

    def search(
        self, index: SearchIndex, where: Where, asked: list[tuple[str, str]], *, grant: Grant, lenient: bool = False
    ) -> dict[str, Any]:
        """The Bundle, as the interaction makes it of what that engine finds for one who may see so much."""
        custodian = self._archive.custodian
        custodian._stores = replace(custodian._stores, index=index)
        custodian._grant = lambda _caller: grant
        answer = self._run(search(self._archive, KIM, where, asked, lenient=lenient))
        bundle: dict[str, Any] = json.loads(answer.bundle)
        return bundle


@contextmanager
def shelf(folder: Path, runner: asyncio.Runner, corpus: str) -> Iterator[Shelf]:
    """An archive on a folder of its own, with that corpus in it."""
    make_folder(folder, timezone="Europe/Stockholm")
    house = open_house(Folder(folder), Settings(environment="test"), base_url=BASE, clock=lambda: NOW_MS)
    try:
        opened = Shelf(house, runner)
        opened.fill(corpus)
        yield opened
    finally:
        runner.run(house.close())
