"""Clients that create, change, delete, upload and read without pause, and note what they were told."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from itertools import count

from tests.faults.ledger import Ledger, Shown, Told, Written, sha256
from tests.faults.resources import OF_ONE_TRANSACTION, TOGETHER, a_media, picture
from tests.faults.wire import Answer, Lost, Wire

JSON = {"Content-Type": "application/fhir+json"}
BYTES = {"Content-Type": "image/jpeg"}
_RESOURCE = re.compile(rb'"resource":(\{.*?\}),"response":')
"""A stored body inside the answer to a transaction, byte by byte."""


class Writer:
    """One client with keys of its own; `heard` is called after each acknowledgement is in the ledger."""

    def __init__(
        self, number: int, port: int, headers: dict[str, str], *, ledger: Ledger, heard: Callable[[], None]
    ) -> None:
        self.number = number
        self.lost_writes = 0
        self.unexpected: list[str] = []
        self.told: list[Told] = []
        self._wire = Wire(port)
        self._headers = headers
        self._ledger = ledger
        self._heard = heard
        self._chance = random.Random(number)
        self._serial = count()
        self._versions: dict[str, int] = {}
        self._binaries: list[str] = []
        self._unsure: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        acts = (
            self.create,
            self.create,
            self.update,
            self.update,
            self.upload,
            self.transaction,
            self.read,
            self.read_bytes,
            self.delete,
        )
        try:
            while True:
                try:
                    await (self.settle() if self._unsure else self._chance.choice(acts)())
                except Lost:
                    await asyncio.sleep(0.002)
        finally:
            self._wire.close()

    async def create(self) -> None:
        binary = self._binaries.pop() if self._binaries and self._chance.random() < 0.5 else None
        body = json.dumps(a_media(self._text(), binary=binary)).encode()
        answer = await self._write("POST", "Media", JSON, body)
        if answer.status == 201:
            identity = json.loads(answer.body)["id"]
            self._versions[f"Media/{identity}"] = 1
            self._tell(Written(f"Media/{identity}", 1, sha256(answer.body)))

    async def update(self) -> None:
        if (key := self._some_key()) is None:
            return await self.create()
        headers = JSON | {"If-Match": f'W/"{self._versions[key]}"'}
        body = json.dumps(a_media(self._text(), id=key.removeprefix("Media/"))).encode()
        answer = await self._write("PUT", key, headers, body, touches=key)
        if answer.status == 200:
            self._versions[key] = answer.version
            self._tell(Written(key, answer.version, sha256(answer.body)))
        return None

    async def transaction(self) -> None:
        """Three new Media that refer to each other in a circle, and perhaps an update: all or nothing."""
        text = f"{TOGETHER} {self._text()}"
        entries = []
        for at in range(OF_ONE_TRANSACTION):
            media = a_media(text) | {"partOf": [{"reference": f"urn:uuid:{(at + 1) % OF_ONE_TRANSACTION}"}]}
            request = {"method": "POST", "url": "Media"}
            entries.append({"fullUrl": f"urn:uuid:{at}", "resource": media, "request": request})
        if (key := self._some_key()) is not None:
            request = {"method": "PUT", "url": key, "ifMatch": f'W/"{self._versions[key]}"'}
            media = a_media(self._text(), id=key.removeprefix("Media/"))
            entries.append({"resource": media, "request": request})
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        headers = JSON | {"Prefer": "return=representation"}
        answer = await self._write("POST", "", headers, json.dumps(bundle).encode(), touches=key)
        if answer.status == 200:
            for found in _RESOURCE.finditer(answer.body):
                stored = json.loads(found[1])
                written, version = f"Media/{stored['id']}", int(stored["meta"]["versionId"])
                self._versions[written] = version
                self._tell(Written(written, version, sha256(found[1])))

    async def delete(self) -> None:
        if (key := self._some_key()) is None or len(self._versions) < 5:
            return
        answer = await self._write("DELETE", key, {}, touches=key)
        if answer.status == 204:
            del self._versions[key]
            self._tell(Written(key, answer.version))

    async def upload(self) -> None:
        size = self._chance.choice((900, 20_000, 300_000, 1_200_000))
        content = picture(size, seed=self._chance.randrange(8) if size < 1000 else self._chance.randrange(2**32))
        pieces = [content[at : at + 65_536] for at in range(0, size, 65_536)]
        answer = await self._write("POST", "Binary", BYTES, *pieces)
        if answer.status == 201:
            identity = json.loads(answer.body)["id"]
            self._binaries.append(identity)
            self._tell(Written(f"Binary/{identity}", 1, sha256(answer.body), sha256(content)))

    async def read(self) -> None:
        if (key := self._some_key()) is not None:
            await self._show(key)

    async def read_bytes(self) -> None:
        if self._binaries:
            await self._show(f"Binary/{self._chance.choice(self._binaries)}")

    async def settle(self) -> None:
        """Find out what became of a write whose answer was lost."""
        key = next(iter(self._unsure))
        answer = await self._show(key)
        self._unsure.discard(key)
        if answer.status == 200:
            self._versions[key] = answer.version
        else:
            self._versions.pop(key, None)

    async def _show(self, key: str) -> Answer:
        request = f"{self.number}-{next(self._serial)}"
        answer = await self._wire.ask("GET", key, self._headers | {"X-Request-Id": request})
        if answer.status == 200:
            self._tell(Shown(request, key, 1 if key.startswith("Binary") else answer.version))
        elif not (answer.status == 410 and key in self._unsure):
            self.unexpected.append(f"GET {key.partition('/')[0]}: {answer.status}")
        return answer

    async def _write(
        self, method: str, path: str, headers: dict[str, str], *pieces: bytes, touches: str | None = None
    ) -> Answer:
        try:
            answer = await self._wire.ask(method, path, self._headers | headers, *pieces)
        except Lost as lost:
            self.lost_writes += lost.sent
            if touches is not None:
                self._unsure.add(touches)
            raise
        if answer.status >= 300:
            self.unexpected.append(f"{method} {path.partition('/')[0]}: {answer.status}")
        return answer

    def _tell(self, told: Told) -> None:
        self._ledger.note(told)
        self.told.append(told)
        self._heard()

    def _some_key(self) -> str | None:
        return self._chance.choice(list(self._versions)) if self._versions else None

    def _text(self) -> str:
        return f"{self.number}.{next(self._serial)}"
