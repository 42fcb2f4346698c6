"""A server on a file system of 64 MB: `python -m tests.faults.small_disk PLACE`, in a mount namespace of its own.

Mounts, fills, and prints as JSON what was answered while it was full and after room was made.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx

from fhirmedia.core.settings import Settings
from tests.faults.examine import Examiner
from tests.faults.ledger import Shown, Told, Written, sha256
from tests.faults.resources import JPEG, PATIENT, a_media
from tests.servers import Served, serving

MEGABYTE = 2**20
SIZE = 64 * MEGABYTE
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
NOT_PERMITTED = 77


class Client:
    """Asks, and keeps what it was told."""

    def __init__(self, served: Served) -> None:
        self.told: list[Told] = []
        self._served = served
        self._headers = served.headers("user/*.cruds system/*.cruds", roles=["importer"])

    def put(self, resource: dict[str, Any]) -> int:
        """The status."""
        key = f"{resource['resourceType']}/{resource['id']}"
        answer = self._ask("PUT", key, json=resource)
        if answer.is_success:
            version = int(answer.headers["ETag"].strip('W/"'))
            self.told.append(Written(key, version, sha256(answer.content)))
        return answer.status_code

    def upload(self, size: int) -> int:
        """The status."""
        content = JPEG + os.urandom(size)
        answer = self._ask("POST", "Binary", content=content, headers={"Content-Type": "image/jpeg"})
        if answer.is_success:
            key = f"Binary/{answer.json()['id']}"
            self.told.append(Written(key, 1, sha256(answer.content), sha256(content)))
        return answer.status_code

    def read(self, key: str, request: str) -> int:
        """The status."""
        answer = self._ask("GET", key, headers={"X-Request-Id": request})
        if answer.is_success:
            self.told.append(Shown(request, key, int(answer.headers["ETag"].strip('W/"'))))
        return answer.status_code

    def _ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, **how: Any) -> httpx.Response:
        every = self._headers | (headers or {})
        return self._served.http.request(method, f"{self._served.base}/{path}", headers=every, **how)


def story(disk: Path) -> dict[str, Any]:
    """Fill it with uploads, then to the last byte, then make room; statuses of each act."""
    found: dict[str, Any] = {}
    others, more, last = disk / "others", disk / "more", disk / "last"
    others.write_bytes(bytes(16 * MEGABYTE))
    with serving(disk / "data", Settings(environment="test", allow_volatile_storage=True)) as served:
        client, examiner = Client(served), Examiner(disk / "data")
        found["before"] = [client.put(PATIENT), client.put(a_media("one", id="one"))]
        found["uploads"] = sorted({client.upload(3 * MEGABYTE) for _ in range(30)})
        examiner.look(client.told)
        versions = examiner.versions
        more.write_bytes(bytes(free(disk) - 2 * MEGABYTE))
        found["full"] = [client.upload(9), client.put(a_media("two", id="one")), client.put(a_media("new", id="new"))]
        found["reads while full"] = sorted({client.read("Media/one", f"full-{number}") for number in range(200)})
        found["left in tmp"] = len(list((disk / "data" / "tmp").iterdir()))
        found["problems"] = examiner.look(client.told)
        found["changed"] = len(examiner.versions - versions)
        fill(last)
        found["reads to the last byte"] = sorted({client.read("Media/one", f"last-{number}") for number in range(50)})
        found["writes to the last byte"] = sorted({client.put(a_media("three", id="one")) for _ in range(5)})
        for each in (others, more, last):
            each.unlink()
        found["after"] = [client.put(a_media("four", id="one")), client.upload(MEGABYTE), client.read("Media/one", "a")]
        found["many"] = sorted({client.put(a_media(f"{number}", id="one")) for number in range(250)})
        found["problems"] += [*examiner.look(client.told), *examiner.look_for_halves()]
    return found


def free(disk: Path) -> int:
    """Bytes that can still be written."""
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


def fill(ballast: Path) -> None:
    """Leave no byte free."""
    with ballast.open("wb", buffering=0) as file:
        for size in (MEGABYTE, 4096, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


def main() -> int:
    disk = Path(sys.argv[1]) / "disk"
    disk.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return NOT_PERMITTED
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, f"size={SIZE}".encode()):
        return NOT_PERMITTED
    found = story(disk)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
