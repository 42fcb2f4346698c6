"""What is not the Elasticsearch we know is told before anything is sent to it, in a sentence that says how to mend it.

The servers here are stand-ins on loopback that answer the few bytes by which products differ.
"""

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.elastic import open_engine
from fhirmedia.backends.elastic.client import ElasticClient
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import EVERYTHING
from fhirmedia.r4.registry import load_registry
from tests.services import asked

ELASTIC = {"X-Elastic-Product": "Elasticsearch"}
REGISTRY = load_registry()
ZONE = ZoneInfo("Europe/Stockholm")
DRIPS = 200
EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset(REGISTRY.types), EVERYTHING),))


@contextmanager
def standing_in(
    status: int, body: Any, headers: dict[str, str], *, heard: list[str | None] | None = None
) -> Iterator[str]:
    """A server that answers everything so; `heard` gets who asked."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if heard is not None:
                heard.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(said)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with standing_in(*request.param) as address:
        yield address


def ping(address: str, **more: Any) -> Failure:
    async def run() -> None:
        where = IndexAddress((address,), **more)
        engine = open_engine(where, registry=REGISTRY, zone=ZONE, budget_s=1)
        try:
            await engine.ping()
        finally:
            await engine.close()

    with pytest.raises(Failure) as caught:
        asyncio.run(run())
    return caught.value


def nodes(version: str) -> dict[str, Any]:
    return {"nodes": {"n": {"version": version}}}


FOREIGN = {
    "OpenSearch": (200, nodes("2.19.0"), {}),
    "OpenSearch that refuses the media type": (406, {"error": "Content-Type header is not supported"}, {}),
    "a web server": (404, {"detail": "Not Found"}, {}),
    "something that says it is": (200, {"hello": "world"}, ELASTIC),
    "something that is not JSON inside": (200, ["x"], ELASTIC),
}


@pytest.mark.parametrize("server", FOREIGN.values(), ids=list(FOREIGN), indirect=True)
def test_another_product_is_named(server: str) -> None:
    failure = ping(server)
    assert failure.category is Category.INVALID
    assert "is not Elasticsearch" in failure.issues[0].text and "take out FHIRMEDIA_INDEX" in failure.issues[0].text


@pytest.mark.parametrize(
    "server", [(200, nodes(version), ELASTIC) for version in ("7.17.28", "8.18.9", "9.0.0")], indirect=True
)
def test_another_version_is_named(server: str) -> None:
    failure = ping(server)
    assert failure.category is Category.INVALID
    assert "install 8.19 or a later 8" in failure.issues[0].text


@pytest.mark.parametrize("server", [(401, {"error": {"type": "security_exception"}}, ELASTIC)], indirect=True)
def test_a_wrong_key_is_said(server: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("d3Jvbmc6d3Jvbmc=\n")
    failure = ping(server, api_key_file=tmp_path / "key")
    assert failure.category is Category.INVALID
    assert "refuses our key" in failure.issues[0].text and "d3Jvbmc" not in str(failure)


@pytest.mark.parametrize("server", [(403, {"error": {"type": "security_exception"}}, ELASTIC)], indirect=True)
def test_a_key_with_too_few_rights_is_said(server: str) -> None:
    assert "privilege monitor" in ping(server).issues[0].text


@pytest.mark.parametrize("server", [(503, {"error": {"type": "x"}}, ELASTIC)], indirect=True)
def test_a_server_that_is_not_ready_may_become_so(server: str) -> None:
    assert ping(server).category is Category.UNAVAILABLE


GARBAGE = {
    "another product": (200, {"hits": {"hits": []}, "timed_out": False}, {}),
    "an empty object": (200, {}, ELASTIC),
    "a list": (200, ["x"], ELASTIC),
    "hits of another kind": (200, {"timed_out": False, "hits": 3}, ELASTIC),
    "a complaint": (400, {"error": {"type": "query_shard_exception"}}, ELASTIC),
    "a redirect": (302, {}, {**ELASTIC, "Location": "/login"}),
}


@pytest.mark.parametrize("server", GARBAGE.values(), ids=list(GARBAGE), indirect=True)
def test_what_answers_in_its_place_later_is_no_answer(server: str) -> None:
    """What does not answer as we know it may come back; until then somebody else has to answer."""

    async def run() -> list[Category]:
        engine = open_engine(IndexAddress((server,)), registry=REGISTRY, zone=ZONE, budget_s=1)
        index, narrowed = engine.index("g"), EVERYBODY.narrow(EVERYTHING, types=["Media"])
        found = []
        for ask in (
            lambda: index.search(narrowed, page=Page(5, total="accurate")),
            lambda: index.buckets(narrowed, by="kind", with_patients=True),
            lambda: index.divisions(narrowed, by=["kind", "year"], with_patients=False),
            lambda: index.patients(narrowed),
            lambda: engine.documents("g").write([gone("Media/a")], visible=False),
            lambda: engine.tally("g"),
            lambda: engine.orders("g", [Key("Media", "a")]),
            lambda: engine.newest_order("g"),
            lambda: engine.digests("g", [Key("Media", "a")]),
        ):
            with pytest.raises(Failure) as caught:
                await ask()
            found.append(caught.value.category)
        await engine.close()
        return found

    assert set(asyncio.run(run())) == {Category.UNAVAILABLE}


def gone(key: str) -> DocumentChange:
    named = Key(*key.split("/"))
    return DocumentChange(Record(named, 1, 1, 1, "delete", None, Facts()), 1, None)


def test_writes_that_wait_keep_no_search_waiting() -> None:
    """Nobody answers here, and as many requests are under way at once as there may be."""

    async def run(port: Callable[[], int]) -> None:
        address = IndexAddress((f"http://127.0.0.1:{port()}",))
        engine = open_engine(address, registry=REGISTRY, zone=ZONE, budget_s=1)
        hanging = [asyncio.create_task(engine.newest_order("g")) for _ in range(20)]
        await asyncio.sleep(0)
        while arrived() < 20:
            await asyncio.sleep(0.01)
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await engine.close()

    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        silent.setblocking(False)

        def arrived() -> int:
            with suppress(BlockingIOError):
                while True:
                    taken.append(silent.accept()[0])
            return len(taken)

        asyncio.run(asyncio.wait_for(run(lambda: silent.getsockname()[1]), timeout=20))
    for each in taken:
        each.close()


def test_the_key_goes_along_with_every_request(tmp_path: Path) -> None:
    heard: list[str | None] = []
    (tmp_path / "key").write_text("aWQ6c2VjcmV0\n")
    with standing_in(200, nodes("8.19.0"), ELASTIC, heard=heard) as address:
        where = IndexAddress((address,), api_key_file=tmp_path / "key")

        async def run(where: IndexAddress) -> None:
            engine = open_engine(where, registry=REGISTRY, zone=ZONE, budget_s=1)
            await engine.ping()
            await engine.close()

        asyncio.run(run(where))
    assert heard == ["ApiKey aWQ6c2VjcmV0"]


def test_a_server_that_stands_still_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert ping(f"http://127.0.0.1:{silent.getsockname()[1]}").category is Category.UNAVAILABLE
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("server", [(200, {}, ELASTIC)], indirect=True)
def test_what_was_sent_is_let_go_of_at_once(server: str) -> None:
    """A filling sends gigabytes: nothing of it may wait until somebody looks for garbage."""

    async def run() -> int:
        client = ElasticClient(IndexAddress((server,)))
        for _ in range(3):
            await client.ask("POST", "/_bulk", b"{}\n", within_s=5)
        left = sum(isinstance(each, aiohttp.ClientRequest | aiohttp.ClientResponse) for each in gc.get_objects())
        await client.close()
        return left

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(run()) == 0
    finally:
        gc.enable()


def test_an_answer_without_end_is_not_waited_for() -> None:
    """Each byte comes in time; all of them never do."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(b"X-Elastic-Product: Elasticsearch\r\nContent-Length: 1000000\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(DRIPS):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()

    async def run() -> float:
        dripping = await asyncio.start_server(drip, "127.0.0.1", 0)
        host, port = dripping.sockets[0].getsockname()
        engine = open_engine(IndexAddress((f"http://{host}:{port}",)), registry=REGISTRY, zone=ZONE, budget_s=0)
        narrowed, started = EVERYBODY.narrow(EVERYTHING, types=["Media"]), time.monotonic()
        with pytest.raises(Failure) as caught:
            await engine.index("g").search(narrowed, page=Page(1))
        took = time.monotonic() - started
        assert caught.value.category is Category.UNAVAILABLE
        await engine.close()
        await ended.wait()
        dripping.close()
        return took

    assert asyncio.run(run()) < DRIPS * 0.05 / 2


def test_a_key_file_or_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing: dict[str, Callable[[Path], IndexAddress]] = {
        "api_key_file": lambda path: IndexAddress(("http://127.0.0.1:9",), api_key_file=path),
        "ca_file": lambda path: IndexAddress(("https://127.0.0.1:9",), ca_file=path),
    }
    (tmp_path / "text").write_text("no certificate")
    for name, address in missing.items():
        for path in (tmp_path / "none", tmp_path / "text"):
            if name == "api_key_file" and path.exists():
                continue
            with pytest.raises(Failure, match=name) as caught:
                open_engine(address(path), registry=REGISTRY, zone=ZONE, budget_s=1)
            assert caught.value.category is Category.INVALID


def test_no_redirect_is_followed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        away = {**ELASTIC, "Location": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"}
        with standing_in(302, {}, away) as address:
            assert ping(address).category is Category.UNAVAILABLE
        elsewhere.settimeout(0.2)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert ping("http://127.0.0.1:9").category is Category.UNAVAILABLE
        proxy.settimeout(0.2)
        with pytest.raises(TimeoutError):
            proxy.accept()


@pytest.mark.services
def test_the_real_one_is_known(elasticsearch_address: str) -> None:
    async def run() -> None:
        where = IndexAddress((elasticsearch_address.replace("elasticsearch:", "http:"),))
        engine = open_engine(where, registry=REGISTRY, zone=ZONE, budget_s=1)
        await engine.ping()
        await engine.close()

    asyncio.run(run())
    assert asked(elasticsearch_address, "GET", "/_cluster/health")
