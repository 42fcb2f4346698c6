"""A body that declares its digest is taken as that or not at all (RFC 9530)."""

import hashlib
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from tests.access.records import a, places, put
from tests.fhir.rest import bytes_stored, refusal
from tests.servers import FHIR_JSON, Served

TEXT = "text/plain"
CONTENT = b"what the camera saw" * 10_000
NEVER = CONTENT + b"!"  # nothing that is taken has these bytes
FIELDS = ("Repr-Digest", "Content-Digest")


def digest(algorithm: str, content: bytes) -> str:
    """One member of a field."""
    made = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{b64encode(made).decode()}:"


RIGHT = digest("sha-256", CONTENT)
WRONG = digest("sha-256", b"else")
WRONG_512 = digest("sha-512", b"else")
MD5 = "md5=:AAAA:"

TAKEN = [
    RIGHT,
    digest("sha-512", CONTENT),
    f"{RIGHT}, {digest('sha-512', CONTENT)}",
    f"{RIGHT};note=1",
    f"{MD5},{RIGHT}",
    f"{WRONG}, {RIGHT}",  # the last of a name counts
    MD5,
    "sha-1000=:AAAA:",
    "",
]
MISMATCHED = [WRONG, WRONG_512, f"{RIGHT}, {WRONG_512}", f"{MD5}, {WRONG}", f"{RIGHT},{WRONG}"]
MALFORMED = [
    "sha-256",
    "sha-256=abc",
    "sha-256=:AAAA:",
    "sha-256=:====:",
    "sha-256=::",
    "sha-512=" + RIGHT.partition("=")[2],
    RIGHT.replace("sha-256", "SHA-256"),
    RIGHT + ",",
    RIGHT[:-1],
    RIGHT.replace("=:", "= :"),
    "md5=AAAA",
    ":" * 9,
]


def upload(served: Served, headers: dict[str, str], *, at: str = "Binary", content: bytes = CONTENT) -> httpx.Response:
    """The answer to the content, created or (at an id) updated."""
    method = "POST" if at == "Binary" else "PUT"
    sent = served.headers() | {"Content-Type": TEXT} | headers
    return served.http.request(method, f"{served.base}/{at}", content=content, headers=sent)


@pytest.fixture
def binary(served: Served) -> str:
    """A Binary nothing refers to yet."""
    sent = served.headers() | {"Content-Type": TEXT}
    made = served.http.post(f"{served.base}/Binary", content=b"before", headers=sent)
    return f"Binary/{made.json()['id']}"


def read(served: Served, at: str) -> bytes:
    return served.http.get(f"{served.base}/{at}", headers=served.headers() | {"Accept": "*/*"}).content


@pytest.mark.parametrize("name", FIELDS)
class TestOfContent:
    """By POST and by PUT, in either field."""

    @pytest.mark.parametrize("value", TAKEN)
    def test_is_taken(self, served: Served, binary: str, name: str, value: str) -> None:
        assert upload(served, {name: value}).status_code == 201
        assert upload(served, {name: value}, at=binary).status_code == 200
        assert read(served, binary) == CONTENT

    @pytest.mark.parametrize("value", MISMATCHED + MALFORMED)
    def test_is_refused_and_leaves_nothing(self, served: Served, binary: str, name: str, value: str) -> None:
        before = bytes_stored(served)
        for at in ("Binary", binary):
            assert refusal(upload(served, {name: value}, at=at, content=NEVER), 400)["code"] == "value"
        assert bytes_stored(served) == before
        assert read(served, binary) == b"before"
        assert not any((Path(served.folder) / "tmp").iterdir())


def test_both_fields_must_be_right(served: Served) -> None:
    assert upload(served, {"Repr-Digest": RIGHT, "Content-Digest": WRONG}).status_code == 400
    assert upload(served, {"Repr-Digest": WRONG, "Content-Digest": RIGHT}).status_code == 400
    assert upload(served, {"Repr-Digest": RIGHT, "Content-Digest": RIGHT}).status_code == 201


def test_an_answer_can_be_sent_back_with_its_digest(served: Served, binary: str) -> None:
    got = served.http.get(f"{served.base}/{binary}", headers=served.headers() | {"Accept": "*/*"})
    headers = served.headers() | {"Content-Type": TEXT, "Repr-Digest": got.headers["Repr-Digest"]}
    assert served.http.post(f"{served.base}/Binary", content=got.content, headers=headers).status_code == 201


def test_of_a_resource(served: Served) -> None:
    put(served, *places())
    before = served.http.get(f"{served.base}/Media?_summary=count", headers=served.headers()).json()["total"]
    headers = served.headers() | {"Content-Type": FHIR_JSON, "Content-Digest": WRONG}
    answer = served.http.post(f"{served.base}/Media", json=a("Media", "x"), headers=headers)
    assert refusal(answer, 400)["code"] == "value"
    after = served.http.get(f"{served.base}/Media?_summary=count", headers=served.headers()).json()["total"]
    assert after == before
