"""The answer to a batch or transaction, joined from stored bytes (FHIR R4, http 3.1.0.11.3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from fhirmedia.core.clock import instant
from fhirmedia.core.ids import new_id
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Response:
    """One `entry.response`: `status` is that of HTTP with its phrase, `changed_at` milliseconds UTC.

    `url` is where the resource is, `resource` its JSON, each where it is to be shown.
    """

    status: str
    location: str | None = None
    version: int | None = None
    changed_at: int | None = None
    outcome: JsonObject | None = None
    url: str | None = None
    resource: bytes | None = None


def response_bundle(kind: str, responses: Iterable[Response], *, now: int) -> bytes:
    """A Bundle of the type `batch-response` or `transaction-response`, its entries in the order given."""
    head: JsonObject = {
        "resourceType": "Bundle",
        "id": new_id(),
        "meta": {"lastUpdated": instant(now)},
        "type": f"{kind}-response",
    }
    opened = dump(head)[:-1]
    entries = b",".join(map(_entry, responses))
    return opened + b',"entry":[' + entries + b"]}" if entries else opened + b"}"


def _entry(response: Response) -> bytes:
    stated: JsonObject = {"status": response.status}
    if response.location is not None:
        stated["location"] = response.location
    if response.version is not None:
        stated["etag"] = f'W/"{response.version}"'
    if response.changed_at is not None:
        stated["lastModified"] = instant(response.changed_at)
    if response.outcome is not None:
        stated["outcome"] = response.outcome
    members = [b'"response":' + dump(stated)]
    if response.resource is not None:
        members.insert(0, b'"resource":' + response.resource)
        if response.url is not None:
            members.insert(0, b'"fullUrl":' + dump(response.url))
    return b"{" + b",".join(members) + b"}"
