"""What no engine can bound is refused by name, at once, before it is asked; what is no engine of ours, at the start."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.commands import command, port_of
from tests.contracts.test_elasticsearch_mismatch import ELASTIC, nodes, standing_in
from tests.following.beside import (
    ACROSS,
    asked,
    begin,
    drained,
    engine_of,
    ids,
    indexed,
    live,
    live_or_none,
    require_no_difference,
)
from tests.servers import Served, make_demo_folder
from tests.services import asked as asked_of_server
from tests.waiting import until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TERMS = 65_537
AT_ONCE_S = 1.0
UNBOUNDED = {
    "65 537 codes": ("identifier", "identifier=" + ",".join(["x"] * TERMS)),
    "40 000 codes that differ": ("status", "status=" + ",".join(f"{number:x}" for number in range(40_000))),
    "65 537 references": ("patient", "patient=" + ",".join(["p"] * TERMS)),
    "65 537 codes that must be absent": ("status", "status:not=" + ",".join(["x"] * TERMS)),
    "65 537 ids": ("_id", "_id=" + ",".join(["m"] * TERMS)),
    "a part of a name, over everything": ("device-name", "device-name:contains=aaa"),
    "a part of a name, too short": ("device-name", "device-name:contains=a&patient=p"),
    "a leading wildcard of words": ("_content", "_content=*a"),
    "a wildcard of words": ("text", "text=*"),
    "a wildcard of a narrative": ("_text", "_text=a*"),
    "page 10 001 by offset": ("_offset", "_offset=10000&_count=1"),
    "page 10 001 by number": ("_page", "_page=10001&_count=1"),
    "page 10 001 by another server's name": ("_getpagesoffset", "_getpagesoffset=10000&_count=1"),
    "a sort by relevance": ("_sort", "_sort=_score"),
}
NOTHING = {
    "a wildcard as a name": "device-name=*",
    "a wildcard as a code": "status=*",
    "a wildcard as an identifier": "identifier=*|*",
}


@pytest.fixture(scope="module")
def served(module_index_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with indexed(tmp_path_factory.mktemp("bad") / "data", module_index_address) as server:
        begin(server)
        drained(server)
        yield server


def engine(address: str) -> tuple[str, int]:
    """How the indices of this suite are, and how often they were searched: the server is others' too."""
    server, _, prefix = address.rpartition("/")
    health = json.loads(asked_of_server(server, "GET", f"/_cluster/health/{prefix}*"))
    searched = json.loads(asked_of_server(server, "GET", f"/{prefix}*/_stats/search"))["_all"]["total"]["search"]
    return str(health["status"]), int(searched["query_total"])


@pytest.mark.services
@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_cannot_be_bounded_is_refused_by_name_and_at_once(
    served: Served, module_index_address: str, name: str
) -> None:
    parameter, form = UNBOUNDED[name]
    before = engine(module_index_address)
    started = time.monotonic()
    headers = served.importer() | FORM
    answer = served.http.post(f"{served.base}/Media/_search", content=form, headers=headers)
    assert time.monotonic() - started < AT_ONCE_S
    (issue,) = answer.json()["issue"]
    assert answer.status_code == 400, answer.text
    assert parameter in issue["diagnostics"] + str(issue.get("expression", "")), issue
    assert engine(module_index_address) == before
    assert engine_of(served, ACROSS)[0] == "elasticsearch"
    assert ids(asked(served, ACROSS)) == {"m0", "m1", "m2"}
    assert engine(module_index_address)[1] > before[1]


@pytest.mark.services
@pytest.mark.parametrize("name", NOTHING)
def test_a_star_is_a_sign_like_any_other(served: Served, name: str) -> None:
    answer = asked(served, f"Media?{NOTHING[name]}")
    assert answer.status_code == 400 or ids(answer) == set()


FOREIGN: dict[str, tuple[tuple[int, Any, dict[str, str]], str]] = {
    "OpenSearch": (
        (200, nodes("2.19.0"), {}),
        "is not Elasticsearch (OpenSearch is another product): give the address",
    ),
    "an older version": ((200, nodes("7.17.28"), ELASTIC), "is Elasticsearch 7.17.28: install 8.19 or a later 8"),
    "a newer version": ((200, nodes("9.1.0"), ELASTIC), "is Elasticsearch 9.1.0: install 8.19 or a later 8"),
    "a wrong key": ((401, {"error": {"type": "security_exception"}}, ELASTIC), "refuses our key: give a valid one"),
    "a key without rights": (
        (403, {"error": {"type": "security_exception"}}, ELASTIC),
        "the key needs the cluster privilege monitor",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_client_mismatch_is_explained(name: str, tmp_path: Path) -> None:
    folder = make_demo_folder(tmp_path / "data")
    answers, sentence = FOREIGN[name]
    with standing_in(*answers) as address:
        setting = address.replace("http:", "elasticsearch:")
        said = command("serve", "--data", folder.path, "--port", "0", FHIRMEDIA_INDEX=setting)
        assert (said.code, said.out) == (1, "")
        assert said.err.count("\n") == 1
        assert said.sentence.startswith("fhirmedia serve: The server that FHIRMEDIA_INDEX names ")
        assert sentence in said.sentence


@pytest.mark.services
def test_a_foreign_mapping_is_told_at_the_start_and_filled_anew(
    index_address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with indexed(tmp_path / "data", index_address) as server:
        begin(server)
        drained(server)
        before = live(server)
        port = int(port_of(server))
    address, _, prefix = index_address.rpartition("/")
    index = f"{prefix}-{before}-res"
    (aliases,) = (each["aliases"] for each in json.loads(asked_of_server(address, "GET", f"/{index}")).values())
    asked_of_server(address, "DELETE", f"/{index}")
    foreign = {"mappings": {"properties": {"title": {"type": "text"}}}, "aliases": aliases}
    asked_of_server(address, "PUT", f"/{index}", foreign)
    caplog.clear()
    monkeypatch.setattr("tests.servers._listener", lambda: socket.create_server(("127.0.0.1", port), backlog=64))
    with caplog.at_level(logging.ERROR, "fhirmedia"), indexed(tmp_path / "data", index_address) as server:
        until(lambda: live_or_none(server) not in (None, before))
        assert ids(asked(server, ACROSS)) == {"m0", "m1", "m2"}
        require_no_difference(server, index_address)
    errors = [each for each in caplog.records if each.name == "fhirmedia" and each.levelno >= logging.ERROR]
    assert [each.getMessage() for each in errors] == [
        "the search index (live) is gone, or not as it was made; it is filled anew where it is needed"
    ]
