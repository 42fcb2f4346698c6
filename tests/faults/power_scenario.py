"""A short life of a server, to be traced: `python -m tests.faults.power_scenario ROOT [objects=FILE] [unsynced]`.

Makes ROOT/data, serves it twice, and writes a line to ROOT/marks after each acknowledgement. `objects` is another
objects_files.py to use; `unsynced` opens the records without syncing commits.
"""

import base64
import importlib.util
import os
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from fhirmedia.app import house
from fhirmedia.backends import records_sql
from fhirmedia.backends.sqlite import open_writer
from tests.faults.ledger import Shown, Told, Written, line_of, sha256
from tests.faults.resources import PATIENT, a_media, picture
from tests.servers import Served, make_demo_folder, serving

AUDITED = "user/*.cruds system/*.cruds"


class Client:
    """Marks what it is told."""

    def __init__(self, served: Served, marks: int) -> None:
        self._served = served
        self._marks = marks
        self._headers = served.headers(AUDITED, roles=["importer", "auditor"])

    def mark(self, told: Told) -> None:
        os.write(self._marks, line_of(told))

    def write(self, method: str, path: str, resource: dict[str, Any] | None, **headers: str) -> str:
        """The id of what was written."""
        answer = self._send(method, path, headers, json=resource)
        body = answer.content or None
        identity = path.partition("/")[2] or answer.json()["id"]
        key = f"{path.partition('/')[0]}/{identity}"
        self.mark(Written(key, version_of(answer), None if body is None else sha256(body)))
        return identity

    def upload(self, content: bytes) -> str:
        """The id of the Binary."""
        answer = self._send("POST", "Binary", {"Content-Type": "image/jpeg"}, content=content)
        identity: str = answer.json()["id"]
        told = Written(f"Binary/{identity}", version_of(answer), sha256(answer.content), sha256(content))
        self.mark(told)
        return identity

    def read(self, key: str, request: str) -> bytes:
        answer = self._send("GET", key, {"X-Request-Id": request})
        self.mark(Shown(request, key, 1 if key.startswith("Binary") else version_of(answer)))
        return answer.content

    def find(self, query: str, request: str) -> None:
        answer = self._send("GET", query, {"X-Request-Id": request})
        for entry in answer.json().get("entry", ()):
            resource = entry["resource"]
            key = f"{resource['resourceType']}/{resource['id']}"
            self.mark(Shown(request, key, int(resource["meta"]["versionId"])))

    def _send(self, method: str, path: str, headers: dict[str, str], **content: Any) -> httpx.Response:
        url = f"{self._served.base}/{path}"
        answer = self._served.http.request(method, url, headers=self._headers | headers, **content)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer


def version_of(answer: httpx.Response) -> int:
    return int(answer.headers["ETag"].removeprefix("W/").strip('"'))


def first_life(client: Client) -> None:
    client.write("PUT", "Patient/anna", PATIENT)
    content = picture(1_300_000, seed=1)
    binary = client.upload(content)
    media = client.write("POST", "Media", a_media("first", binary=binary))
    client.read(f"Media/{media}", "r-1")
    assert client.read(f"Binary/{binary}", "r-2") == content
    client.write("PUT", f"Media/{media}", a_media("second", id=media, binary=binary), **{"If-Match": 'W/"1"'})
    client.upload(content)
    lifted = client.write("POST", "Media", a_media("lifted", data=base64.b64encode(picture(5_000, seed=2)).decode()))
    client.find("Media?patient=anna", "r-3")
    client.write("DELETE", f"Media/{lifted}", None)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(client.upload, picture(2_000, seed=seed)) for seed in range(10, 14)]:
            done.result()


def second_life(client: Client) -> None:
    client.find("AuditEvent?patient=anna", "r-4")
    binary = client.upload(picture(40_000, seed=3))
    media = client.write("POST", "Media", a_media("after", binary=binary))
    client.read(f"Media/{media}", "r-5")
    client.write("DELETE", f"Media/{media}", None)


def main() -> None:
    root = Path(sys.argv[1])
    for word in sys.argv[2:]:
        if word == "unsynced":
            records_sql.open_writer = unsynced
        else:
            house.FileObjectStore = load(Path(word.removeprefix("objects="))).FileObjectStore
    make_demo_folder(root / "data")
    marks = os.open(root / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for life in (first_life, second_life):
        with serving(root / "data") as served:
            life(Client(served, marks))


def unsynced(path: Path) -> sqlite3.Connection:
    """A writing connection whose commits are not synced."""
    connection = open_writer(path)
    connection.execute("PRAGMA synchronous=OFF")
    return connection


def load(path: Path) -> Any:
    """Another version of a module, from its file."""
    found = importlib.util.spec_from_file_location("spoilt", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
