"""How the answers to the entries of a Bundle look, as their requests and `Prefer` ask (FHIR R4, http 3.1.0.11.3)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.interactions.bundle_answers import EntryAnswer
from fhirmedia.r4.bundle_in import BundleEntry
from fhirmedia.r4.bundle_out import Response, response_bundle
from fhirmedia.r4.outcome import all_ok, operation_outcome
from fhirmedia.web.errors import STATUS
from fhirmedia.web.headers import Preference, names_version

_STATUS = {"created": 201, "updated": 200, "deleted": 204, "found": 200, "read": 200}
_DONE = {
    "created": "The resource was created.",
    "updated": "The resource was updated.",
    "deleted": "The resource was deleted.",
    "found": "The resource was there already.",
}


def bundle_body(
    kind: str,
    answered: Iterable[tuple[BundleEntry | Failure, EntryAnswer]],
    *,
    preference: Preference,
    base_url: str,
    now: int,
) -> bytes:
    """The Bundle of answers. Without a preference, what was written is named and not shown."""
    responses = [_response(entry, answer, preference, base_url) for entry, answer in answered]
    return response_bundle(kind, responses, now=now)


def _response(entry: BundleEntry | Failure, answer: EntryAnswer, preference: Preference, base_url: str) -> Response:
    is_head = isinstance(entry, BundleEntry) and entry.method == "HEAD"
    if answer.failure is not None:
        outcome = operation_outcome(answer.failure.issues)
        return Response(_status(STATUS.get(answer.failure.category, STATUS[Category.INTERNAL])), outcome=outcome)
    if answer.bundle is not None or answer.record is None:
        return Response(_status(200), resource=None if is_head else answer.bundle)
    record = answer.record
    url = f"{base_url}/{record.key}"
    shown = record.body if not is_head else None
    seen = Response(_status(_STATUS[answer.change]), version=record.version, changed_at=record.changed_at)
    if answer.change == "read":
        if isinstance(entry, BundleEntry) and _is_known(entry, record):
            return replace(seen, status=_status(304))
        return replace(seen, url=url, resource=shown)
    if answer.change != "deleted":
        seen = replace(seen, location=url if record.key.type == BINARY else f"{url}/_history/{record.version}")
    if preference.returns == "OperationOutcome":
        return replace(seen, outcome=all_ok(_DONE[answer.change]))
    if preference.stated and preference.returns == "representation":
        return replace(seen, url=url, resource=shown)
    return seen


def _is_known(entry: BundleEntry, record: Record) -> bool:
    """Whether the client of a read has this version; a Bundle writes the time as an instant, not as HTTP does."""
    if entry.if_none_match is not None:
        return names_version(entry.if_none_match, record.version)
    if entry.if_modified_since is None:
        return False
    try:
        since = datetime.fromisoformat(entry.if_modified_since)
    except ValueError:  # a leap second: an instant of FHIR, but no datetime
        return False
    return record.changed_at <= since.timestamp() * 1000


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"
