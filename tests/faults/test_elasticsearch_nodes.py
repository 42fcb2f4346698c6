"""Elasticsearch as it is run: over TLS; with nodes that take over from one that is lost."""

import asyncio
import datetime as dt
import ipaddress
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fhirmedia.access.grant import ACTIONS, Grant, Rule
from fhirmedia.backends.elastic import open_engine
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.index_address import IndexAddress
from fhirmedia.core.records import Facts, Key, Record
from fhirmedia.ports.documents import DocumentChange
from fhirmedia.ports.index import Page
from fhirmedia.r4.query import EVERYTHING
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import IndexEntries, TokenValue
from scripts.real_servers.elastic import Certificate, Node
from scripts.real_servers.places import UnavailableError, grounds
from tests.services import REQUIRED

pytestmark = [pytest.mark.services, pytest.mark.long]

REGISTRY, ZONE = load_registry(), ZoneInfo("Europe/Stockholm")
EVERYBODY = Grant((Rule(frozenset(ACTIONS), frozenset(REGISTRY.types), EVERYTHING),))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[ExitStack]:
    with ExitStack() as kept:
        yield kept


def started(stack: ExitStack, *nodes: Node) -> None:
    """Nodes that answer; they end with the test, and their folders with them."""
    try:
        for node in nodes:
            stack.callback(_remove, node)
            node.launch()
        for node in nodes:
            node.wait(within_s=240)
    except UnavailableError as problem:
        if REQUIRED:
            pytest.fail(f"Elasticsearch is required and cannot be had: {problem}", pytrace=False)
        pytest.skip(f"Elasticsearch cannot be had: {problem}")


def _remove(node: Node) -> None:
    node.kill()
    shutil.rmtree(node.folder, ignore_errors=True)


def a_folder(name: str) -> Path:
    return grounds() / f"elasticsearch-{name}-{time.time_ns()}"


def a_certificate(folder: Path) -> Certificate:
    """One for this machine that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return Certificate(certificate, private, certificate)


def changes(count: int) -> list[DocumentChange]:
    found = []
    for number in range(count):
        key = Key("Media", str(number))
        record = Record(key, 1, number + 1, 1, "update", b"{}", Facts(patients=("p",)))
        found.append(
            DocumentChange(record, number + 1, IndexEntries(key, {"_id": (TokenValue(None, key.id),)}, ("p",)))
        )
    return found


async def worked(address: IndexAddress) -> int:
    """Everything the engine is for, once; how many documents were found."""
    engine = open_engine(address, registry=REGISTRY, zone=ZONE, budget_s=10)
    try:
        await engine.ping()
        await engine.create("g")
        assert await engine.documents("g").write(changes(20), visible=False) == {}
        await engine.finish("g")
        assert await engine.is_sound("g") and await engine.generations() == {"g"}
        narrowed = EVERYBODY.narrow(EVERYTHING, types=["Media"])
        hits = await engine.index("g").search(narrowed, page=Page(5, total="accurate"))
        await engine.drop("g")
        return hits.total or 0
    finally:
        await engine.close()


def refusal(address: IndexAddress) -> Failure:
    with pytest.raises(Failure) as caught:
        asyncio.run(worked(address))
    return caught.value


def test_over_tls_to_whom_an_authority_we_name_vouches_for(tmp_path: Path, stack: ExitStack) -> None:
    """Whoever names no key is let in here: this build of the server cannot make keys, but it refuses wrong ones."""
    certificate = a_certificate(tmp_path)
    anonymous = {"xpack.security.authc.anonymous.roles": "superuser"}
    node = Node(a_folder("secured"), secured=True, certificate=certificate, more=anonymous)
    started(stack, node)
    url = (f"https://127.0.0.1:{node.port}",)
    assert asyncio.run(worked(IndexAddress(url, ca_file=certificate.authority))) == 20

    wrong = tmp_path / "wrong"
    wrong.write_text("d3Jvbmc6d3Jvbmc=\n")
    told = refusal(IndexAddress(url, api_key_file=wrong, ca_file=certificate.authority))
    assert told.category is Category.INVALID and "refuses our key" in told.issues[0].text
    assert refusal(IndexAddress(url)).category is Category.UNAVAILABLE, "nobody we know signed it"


@pytest.mark.parametrize("count", [2, 3])
def test_a_lost_node_loses_no_search(stack: ExitStack, count: int) -> None:
    nodes: list[Node] = [Node(a_folder(f"{name}-of-{count}"), name=f"n{name}", heap_mb=400) for name in range(count)]
    for node in nodes:
        node.seeds = nodes
        # Of two nodes one must be able to go on alone: the first alone may lead.
        node.more = {"node.roles": ["master", "data"] if count == 3 or node is nodes[0] else ["data"]}
        if count == 2:
            node.more |= {"cluster.initial_master_nodes": [nodes[0].name]} if node is nodes[0] else {}
    started(stack, *nodes)
    address = IndexAddress(tuple(f"http://127.0.0.1:{node.port}" for node in nodes), shards=2)

    async def run() -> tuple[list[int], list[Category]]:
        engine = open_engine(address, registry=REGISTRY, zone=ZONE, budget_s=10)
        await engine.create("g")
        await engine.documents("g").write(changes(200), visible=False)
        await engine.finish("g")
        await asyncio.to_thread(_green, nodes[0])
        narrowed = EVERYBODY.narrow(EVERYTHING, types=["Media"])
        totals, failed = list[int](), list[Category]()
        for number in range(120):
            if number == 20:
                await asyncio.to_thread(nodes[-1].kill)
            try:
                hits = await engine.index("g").search(narrowed, page=Page(10, total="accurate"))
                totals.append(hits.total or 0)
            except Failure as failure:
                failed.append(failure.category)
            await asyncio.sleep(0.02)
        await engine.drop("g")
        await engine.close()
        return totals, failed

    totals, failed = asyncio.run(run())
    assert set(totals) == {200}
    assert len(failed) <= 5 and set(failed) <= {Category.UNAVAILABLE}, "the database answers what was under way"


def _green(node: Node) -> Any:
    status, answer = node.ask("GET", "/_cluster/health?wait_for_status=green&timeout=60s", within_s=70)
    assert status == 200 and answer["status"] == "green", json.dumps(answer)
