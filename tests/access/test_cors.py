"""Web apps of other origins: who may ask, and who may read the answer."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from fhirmedia.core.settings import Settings
from fhirmedia.web.cors import EXPOSED_HEADERS, METHODS, REQUEST_HEADERS
from tests.access.issuing import ISSUER, claims, ec_signer, row, write_list
from tests.access.records import a, places, put, put_bytes
from tests.servers import FHIR_JSON, Served, serving

VIEWER, OTHER, STRANGER = "https://viewer.example.org", "https://other.example.org", "https://evil.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization, if-match"}


@dataclass(frozen=True, slots=True)
class House:
    """A server that trusts two issuers, each with an origin of its own."""

    served: Served
    viewer: dict[str, str]
    other: dict[str, str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("cors")
    second = ISSUER + "/second"
    rows = [row(origins=[VIEWER, "http://127.0.0.1:3000"]), row(issuer=second, origins=[OTHER])]
    issuers = write_list(folder, *rows)
    with serving(folder / "data", Settings(environment="test", trusted_issuers=issuers)) as served:
        put(served, *places())
        put(served, a("Media", "seen"))
        put_bytes(served, "words", b"words")
        now_s = served.clock() // 1000

        def headers(issuer: str) -> dict[str, str]:
            good = claims(aud=served.base, iss=issuer, iat=now_s, exp=now_s + 600, scope="user/*.cruds")
            return {"Authorization": f"Bearer {ec_signer().token(good)}", "Content-Type": FHIR_JSON}

        yield House(served, headers(ISSUER), headers(second))


def allowed(answer: httpx.Response) -> str | None:
    """The origin that may read an answer; never together with credentials, and only where Vary says so."""
    assert "access-control-allow-credentials" not in answer.headers
    origin: str | None = answer.headers.get("access-control-allow-origin")
    if origin is not None:
        assert "Origin" in answer.headers["vary"]
        assert origin != "*" or answer.request.url.path == "/fhir/metadata"
    return origin


@pytest.mark.parametrize(
    "path", ["", "/", "/Media", "/Media/seen", "/Media/absent", "/Media/seen/_history/1", "/a/b/c/d"]
)
def test_a_preflight_needs_no_token(house: House, path: str) -> None:
    for origin in (VIEWER, OTHER, "http://127.0.0.1:3000"):
        answer = house.served.http.options(house.served.base + path, headers={"Origin": origin} | PREFLIGHT)
        assert (answer.status_code, answer.content) == (204, b"")
        assert allowed(answer) == origin
        assert answer.headers["access-control-allow-methods"] == METHODS
        assert answer.headers["access-control-allow-headers"] == REQUEST_HEADERS
        assert answer.headers["access-control-max-age"] == "600"


@pytest.mark.parametrize(
    "origin",
    [STRANGER, "null", "*", "", VIEWER.upper(), VIEWER + "/", VIEWER + ":443", "http://viewer.example.org", "\xe5"],
)
def test_a_stranger_gets_no_permission(house: House, origin: str) -> None:
    sent = {"Origin": origin.encode("latin-1")} | {name: value.encode() for name, value in PREFLIGHT.items()}
    answer = house.served.http.options(f"{house.served.base}/Media/seen", headers=sent)
    assert answer.status_code in (401, 405)
    assert allowed(answer) is None
    read = house.served.http.get(
        f"{house.served.base}/Media/seen",
        headers={"Origin": origin.encode("latin-1"), "Authorization": house.viewer["Authorization"].encode()},
    )
    assert read.status_code == 200
    assert allowed(read) is None
    assert not [name for name in read.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Media/seen", 200),
        ("HEAD", "/Media/seen", 200),
        ("GET", "/Media?_count=1", 200),
        ("GET", "/Media/absent", 404),
        ("GET", "/Media?nothing=1", 400),
        ("DELETE", "/Media/absent", 404),
        ("POST", "/Media", 400),
    ],
)
def test_an_answer_is_read_from_the_callers_own_origin(house: House, method: str, path: str, status: int) -> None:
    for origin, headers, granted in (
        (VIEWER, house.viewer, VIEWER),
        (OTHER, house.other, OTHER),
        (OTHER, house.viewer, None),
        (VIEWER, house.other, None),
    ):
        answer = house.served.http.request(method, house.served.base + path, headers=headers | {"Origin": origin})
        assert answer.status_code == status
        assert allowed(answer) == granted
        assert "Origin" in answer.headers["vary"]
        assert answer.headers.get("access-control-expose-headers") == (EXPOSED_HEADERS if granted else None)


def test_what_an_app_needs_to_see_is_exposed(house: House) -> None:
    exposed = {each.strip().lower() for each in EXPOSED_HEADERS.split(",")}
    sent = house.viewer | {"Origin": VIEWER}
    made = house.served.http.post(f"{house.served.base}/Media", json=a("Media", "-"), headers=sent)
    ranged = sent | {"Range": "bytes=0-1"}
    put(house.served, a("Media", "holder", content={"contentType": "text/plain", "url": "Binary/words"}))
    part = house.served.http.get(f"{house.served.base}/Binary/words", headers=ranged)
    assert (made.status_code, part.status_code) == (201, 206)
    plain = {"content-type", "content-length", "content-encoding", "date", "vary", "server", "cache-control"}
    protective = {"x-content-type-options", "content-security-policy", "cross-origin-resource-policy"}
    for answer in (made, part):
        assert allowed(answer) == VIEWER
        sent_back = {name for name in answer.headers if not name.startswith("access-control")}
        assert sent_back - plain - protective <= exposed


def test_a_refused_token_can_be_noticed_by_every_listed_app(house: House) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        for origin, granted in ((VIEWER, VIEWER), (OTHER, OTHER), (STRANGER, None)):
            answer = house.served.http.get(f"{house.served.base}/Media/seen", headers=headers | {"Origin": origin})
            assert answer.status_code == 401
            assert allowed(answer) == granted


def test_what_is_public_is_read_from_anywhere(house: House) -> None:
    url = f"{house.served.base}/metadata"
    for origin in (VIEWER, STRANGER, "null"):
        assert allowed(house.served.http.get(url, headers={"Origin": origin})) == "*"
        assert allowed(house.served.http.options(url, headers={"Origin": origin} | PREFLIGHT)) == "*"
    for probe in ("/healthz", "/readyz", "/metrics"):
        address = house.served.base.removesuffix("/fhir") + probe
        assert allowed(house.served.http.get(address, headers={"Origin": STRANGER})) is None


def test_without_an_origin_nothing_is_said_of_it(house: House) -> None:
    answer = house.served.http.get(f"{house.served.base}/Media/seen", headers=house.viewer)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    plain = house.served.http.options(f"{house.served.base}/Media/seen", headers=house.viewer | {"Origin": VIEWER})
    assert plain.status_code == 405
