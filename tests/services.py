"""Real servers for the suites that need them: one of each for all runs on this machine, with names of their own in it.

Without a running server a suite is left out and the summary says so; with FHIRMEDIA_REQUIRE_SERVICES=1 the server is
started, and one that cannot be had is a failure.
"""

import http.client
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.real_servers import shared
from scripts.real_servers.places import UnavailableError

REQUIRED = os.environ.get("FHIRMEDIA_REQUIRE_SERVICES") == "1"

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def elasticsearch_address() -> Iterator[str]:
    """Where the shared Elasticsearch is, as FHIRMEDIA_INDEX has it, without a prefix."""
    with ExitStack() as stack:
        stack.enter_context(shared.used("elasticsearch"))
        address = _address("elasticsearch")
        _clear(address)
        yield address


@pytest.fixture
def index_address(elasticsearch_address: str) -> Iterator[str]:
    """The same with a prefix of this test's own; its indices are removed at the end."""
    yield from _prefixed(elasticsearch_address)


@pytest.fixture(scope="module")
def module_index_address(elasticsearch_address: str) -> Iterator[str]:
    """The same for all tests of a module."""
    yield from _prefixed(elasticsearch_address)


def end_servers() -> None:
    """Stop what test runs started and none uses any more."""
    for name in shared.KINDS:
        shared.down(name, kept_too=False)


def _address(name: str) -> str:
    server = shared.running(name)
    if server is not None:
        return server.address
    if not REQUIRED:
        pytest.skip(f"{name} does not run: scripts/services up {name}, or set FHIRMEDIA_REQUIRE_SERVICES=1")
    try:
        return shared.up(name, kept=False).address
    except UnavailableError as problem:
        pytest.fail(f"{name} is required and cannot be had: {problem}", pytrace=False)


def _clear(address: str) -> None:
    """Remove what runs that were killed left behind."""
    for name in _named(address, "t*"):
        number = name[1:].partition("-")[0]
        if number.isdigit() and not Path("/proc", number).exists():
            asked(address, "DELETE", f"/{name}")


def _prefixed(address: str) -> Iterator[str]:
    prefix = f"t{os.getpid()}-{next(_NUMBERS)}"
    yield f"{address}/{prefix}"
    for name in indices(address, prefix):
        asked(address, "DELETE", f"/{name}")


def indices(address: str, prefix: str) -> list[str]:
    """The names of the indices of a prefix."""
    return _named(address, f"{prefix}-*")


def _named(address: str, pattern: str) -> list[str]:
    answer = json.loads(asked(address, "GET", f"/_cat/indices/{pattern}?h=index&format=json"))
    return [row["index"] for row in answer]


def asked(address: str, method: str, path: str, body: object = None) -> bytes:
    """One request to the shared server, past our own client."""
    host = address.partition("://")[2].partition("/")[0]
    link = http.client.HTTPConnection(host, timeout=60)
    try:
        headers = {"Content-Type": "application/json"}
        link.request(method, path, None if body is None else json.dumps(body), headers)
        return link.getresponse().read()
    finally:
        link.close()
