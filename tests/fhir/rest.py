"""Asking a running server: refusals as they have to look, bundles taken apart, answers compared with what was sent."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

import httpx

from tests.servers import FHIR_JSON, Served

Body = dict[str, Any]


def exact(text: str | bytes) -> Any:
    """JSON with its decimals to the digit and its members in order."""
    return json.loads(text, parse_float=Decimal)


def refusal(response: httpx.Response, status: int) -> Body:
    """The first issue of an OperationOutcome with this status and nothing of the machine in it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == FHIR_JSON
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert not {"Traceback", ".py", "sqlite", "fhirmedia/"} & set(response.text.split())
    for issue in outcome["issue"]:
        assert issue["severity"] == "error"
        assert issue["code"]
        assert issue["diagnostics"]
    first: Body = outcome["issue"][0]
    return first


def created(served: Served, resource: Body, headers: dict[str, str] | None = None) -> Body:
    """The resource as the server made it of a POST."""
    url = f"{served.base}/{resource['resourceType']}"
    response = served.http.post(url, json=resource, headers=headers or served.headers())
    assert response.status_code == 201, response.text
    body: Body = response.json()
    return body


def versions_stored(served: Served) -> int:
    """How many versions of resources the folder holds."""
    with closing(sqlite3.connect(f"file:{served.folder / 'records.db'}?mode=ro", uri=True)) as database:
        number: int = database.execute("SELECT count(*) FROM record_version").fetchone()[0]
    return number


def bytes_stored(served: Served) -> int:
    """How many files of bytes the folder holds; half received ones are none."""
    return sum(1 for path in (served.folder / "objects").rglob("*") if path.is_file())


@contextmanager
def nothing_stored(served: Served) -> Iterator[None]:
    """What happens inside leaves no version of anything behind."""
    before = versions_stored(served)
    yield
    assert versions_stored(served) == before


def link(bundle: Body, relation: str) -> str | None:
    """The URL of a link of a Bundle."""
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), None)


def matches(bundle: Body) -> list[Body]:
    """The resources of a searchset that match, in order."""
    return [each["resource"] for each in bundle.get("entry", ()) if each["search"]["mode"] == "match"]


def names(bundle: Body) -> list[str]:
    """Type and id of each match."""
    return [f"{each['resourceType']}/{each['id']}" for each in matches(bundle)]


def pages(served: Served, url: str, headers: dict[str, str]) -> Iterator[Body]:
    """A Bundle and those its next links lead to."""
    following: str | None = url
    while following is not None:
        response = served.http.get(following, headers=headers)
        assert response.status_code == 200, response.text
        bundle = response.json()
        yield bundle
        following = link(bundle, "next")


def without_server_parts(resource: Body) -> Body:
    """The resource without what a server sets: id, version, time."""
    given = resource.get("meta", {})
    meta = {name: value for name, value in given.items() if name.lstrip("_") not in ("versionId", "lastUpdated")}
    rest = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return {**rest, "meta": meta} if meta else rest
