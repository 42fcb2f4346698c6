"""A bit that turned on the disk never reaches a client as content."""

import random
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.resources import PATIENT, a_media, picture
from tests.servers import Served, serving

MIB = 2**20
SIZE = 3 * MIB + 100_000
CHUNKS = 4
CONTENT = picture(SIZE, seed=4)


class Stored:
    """One uploaded object, and a way to turn one of its bits for a while."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.headers = served.headers("user/*.cruds")
        upload = {**self.headers, "Content-Type": "image/jpeg"}
        served.put(PATIENT)
        answer = served.http.post(f"{served.base}/Binary", content=CONTENT, headers=upload)
        self.url = f"{served.base}/Binary/{answer.json()['id']}"
        media = a_media("pictured", binary=answer.json()["id"])
        served.http.post(f"{served.base}/Media", json=media, headers=self.headers).raise_for_status()
        (self.path,) = (path for path in served.folder.glob("objects/*/*/*") if path.stat().st_size == SIZE)

    def get(self, asked: str | None = None, **headers: str) -> httpx.Response:
        """The bytes, or a range of them."""
        every = {"Authorization": self.headers["Authorization"], **headers}
        return self.served.http.get(self.url, headers=every | ({"Range": f"bytes={asked}"} if asked else {}))

    def turn(self, bit: int) -> None:
        """Flip one bit in place; twice gives what was."""
        with self.path.open("r+b") as file:
            file.seek(bit // 8)
            (old,) = file.read(1)
            file.seek(bit // 8)
            file.write(bytes([old ^ 1 << bit % 8]))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    with serving(tmp_path_factory.mktemp("rot") / "data") as served:
        yield Stored(served)


@pytest.fixture(params=range(CHUNKS))
def rotten(request: pytest.FixtureRequest, stored: Stored) -> Iterator[int]:
    """The number of the chunk in which a bit is turned, any of its bits."""
    chunk: int = request.param
    bit = random.Random(chunk).randrange(8 * chunk * MIB, 8 * min((chunk + 1) * MIB, SIZE))
    stored.turn(bit)
    yield chunk
    stored.turn(bit)
    assert stored.get().content == CONTENT


def test_the_whole_is_not_served(stored: Stored, rotten: int) -> None:
    for as_resource in (False, True):
        accept = {"Accept": "application/fhir+json"} if as_resource else {}
        if rotten == 0:
            assert_refused(stored.get(**accept))
        else:
            assert_cut_short(stored, rotten, accept)


def test_ranges_that_touch_it_are_not_served(stored: Stored, rotten: int) -> None:
    start, end = rotten * MIB, min((rotten + 1) * MIB, SIZE)
    for asked in (f"{start}-{start}", f"{end - 1}-{end - 1}", f"{start}-{end - 1}", f"{start + 70}-{start + 80}"):
        assert_refused(stored.get(asked))


def test_other_ranges_are(stored: Stored, rotten: int) -> None:
    for chunk in set(range(CHUNKS)) - {rotten}:
        start, end = chunk * MIB, min((chunk + 1) * MIB, SIZE)
        answer = stored.get(f"{start}-{end - 1}")
        assert answer.status_code == 206
        assert answer.content == CONTENT[start:end]


def test_a_range_that_runs_into_it_is_cut_short(stored: Stored, rotten: int) -> None:
    if rotten == 0:
        assert_refused(stored.get("0-"))
    else:
        assert_cut_short(stored, rotten, {"Range": f"bytes={(rotten - 1) * MIB}-"}, start=(rotten - 1) * MIB)


def test_several_ranges(stored: Stored, rotten: int) -> None:
    good = (rotten + 1) % CHUNKS * MIB
    assert_refused(stored.get(f"{rotten * MIB}-{rotten * MIB + 9},{good}-{good + 9}"))
    with pytest.raises(httpx.RemoteProtocolError):
        stored.get(f"{good}-{good + 9},{rotten * MIB}-{rotten * MIB + 9}")


@pytest.mark.parametrize("damage", ["shortened", "lost"])
def test_bytes_that_are_missing(stored: Stored, damage: str) -> None:
    whole = stored.path.read_bytes()
    try:
        if damage == "lost":
            stored.path.unlink()
            assert_refused(stored.get())
        else:
            stored.path.write_bytes(whole[: 2 * MIB + 5])
            assert_cut_short(stored, 2, {})
            assert_refused(stored.get(f"{2 * MIB}-{2 * MIB}"))
            assert stored.get("0-9").content == CONTENT[:10]
    finally:
        stored.path.write_bytes(whole)


def assert_refused(answer: httpx.Response) -> None:
    """An OperationOutcome instead of content."""
    assert answer.status_code == 502
    assert answer.json()["resourceType"] == "OperationOutcome"


def assert_cut_short(stored: Stored, rotten: int, headers: dict[str, str], *, start: int = 0) -> None:
    """The connection ends inside the content, before the first wrong byte."""
    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        receive(stored, headers, received)
    if "Accept" not in headers:
        assert len(received) <= rotten * MIB - start
        assert received == CONTENT[start : start + len(received)]


def receive(stored: Stored, headers: dict[str, str], received: bytearray) -> None:
    """Add what arrives to `received`."""
    every = {"Authorization": stored.headers["Authorization"], **headers}
    with stored.served.http.stream("GET", stored.url, headers=every) as answer:
        assert answer.status_code in (200, 206)
        for part in answer.iter_raw():
            received += part
