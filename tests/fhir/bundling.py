"""Bundles to post, and their answers taken apart."""

from typing import Any

import httpx

from tests.access.records import a, identifier
from tests.servers import Served

Body = dict[str, Any]


def entry(method: str, url: str, resource: Body | None = None, full_url: str | None = None, **request: str) -> Body:
    """One entry; keywords are conditions of its request."""
    made: Body = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def transaction(*entries: Body) -> Body:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def batch(*entries: Body) -> Body:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


def new(kind: str, **other: Any) -> Body:
    """A resource without an id."""
    return {name: value for name, value in a(kind, "-", **other).items() if name != "id"}


def about(patient: str) -> Body:
    """The subject of something, by whatever reference."""
    return {"subject": {"reference": patient}}


def patient(number: str) -> Body:
    """A Patient with this identifier."""
    return {"resourceType": "Patient", "identifier": identifier(number)}


def post(served: Served, bundle: Body, headers: dict[str, str] | None = None, **more: str) -> httpx.Response:
    """As dermatology's staff unless told otherwise."""
    return served.http.post(served.base, json=bundle, headers=(headers or served.headers()) | more)


def answers(response: httpx.Response) -> list[Body]:
    """The responses of the entries of a Bundle that was accepted."""
    assert response.status_code == 200, response.text
    return [each["response"] for each in response.json().get("entry", ())]


def statuses(response: httpx.Response) -> list[str]:
    """The HTTP numbers of the entries."""
    return [each["status"][:3] for each in answers(response)]


def keys(served: Served, response: httpx.Response) -> list[str]:
    """`Media/m` for each entry that has a location."""
    locations = [each["location"] for each in answers(response) if "location" in each]
    return ["/".join(each.removeprefix(f"{served.base}/").split("/")[:2]) for each in locations]


def read(served: Served, key: str, headers: dict[str, str] | None = None) -> Body:
    """A resource that is there."""
    response = served.http.get(f"{served.base}/{key}", headers=headers or served.headers())
    assert response.status_code == 200, response.text
    body: Body = response.json()
    return body
