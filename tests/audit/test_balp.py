"""Every kind of event there is keeps BALP's rows, and each row can tell an event that breaks it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

import fhirmedia
from fhirmedia.core.disclosure import Disclosure
from fhirmedia.r4.audit_event import audit_events
from fhirmedia.r4.audit_kinds import INTERACTIONS
from fhirmedia.r4.checker import check
from tests.audit.balp import BASE, breaks
from tests.audit.balp_table import TABLE, Row, applies, at, broken
from tests.audit.logs import SALT, a_disclosure, touch

PROFILED = {
    "read": "Read", "vread": "Read", "content": "Read", "rendition": "Read", "meta": "Read",
    "history-instance": "Read", "history-type": "Read", "history-system": "Read",
    "search-type": "Query", "search-system": "Query", "create": "Create",
    "update": "Update", "patch": "Update", "meta-add": "Update", "meta-delete": "Update", "delete": "Delete",
}  # fmt: skip
OTHERS = ("batch", "transaction", "validate", "everything", "access-log", "media-stats", "explain-search")
ITSELF = ("sweep", "repair", "facts")
R4_INTERACTIONS = {
    "read", "vread", "update", "patch", "delete", "history", "history-instance", "history-type", "history-system",
    "create", "search", "search-type", "search-system", "capabilities", "transaction", "batch", "operation",
}  # fmt: skip
OUTCOMES = {"0": None, "4": "not-found", "8": "no-store", "12": "exception"}
OF: tuple[tuple[str, ...], ...] = ((), ("anna",), ("anna", "bo"))


def told(interaction: str, outcome: str, of: tuple[str, ...], *, itself: bool = False, **other: Any) -> Disclosure:
    failed = outcome != "0"
    touched = [
        touch(f"Media/{name}", of=of, version=None if failed else 1, depth="refused" if failed else "opened")
        for name in "ab"
    ]
    who = {"reason": "upkeep", "user": None, "token_id": None, "subject": "system", "address": None} if itself else {}
    return a_disclosure(interaction, *touched, outcome=outcome, issue=OUTCOMES[outcome], **who, **other)


def events(disclosure: Disclosure, raw_query: bytes | None = SALT + b"GET /fhir/Media?x=1") -> list[dict[str, Any]]:
    made = audit_events(
        disclosure, log_id="changes", sequence=3, base_url="https://a.example/fhir", raw_query=raw_query
    )
    found: list[dict[str, Any]] = json.loads(json.dumps(made))
    return found


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("interaction", [*PROFILED, *OTHERS, *ITSELF])
def test_every_kind_of_event_keeps_what_it_claims(interaction: str, outcome: str) -> None:
    for of in OF:
        made = events(told(interaction, outcome, of, itself=interaction in ITSELF, query_sha256="0" * 64))
        assert len(made) == max(1, len(of))
        for event in made:
            assert broken(event) == []
            assert breaks(event) == []
            assert check(event, type="AuditEvent") == []
            AuditEvent.model_validate(event)
            profile = f"{BASE}{'Patient' if of else ''}{PROFILED.get(interaction)}"
            claims = event["meta"].get("profile", [])
            assert (profile in claims) is (interaction in PROFILED and outcome == "0")
            assert (f"{BASE}OAUTHaccessTokenUse.Minimal" in claims) is (interaction not in ITSELF)


def test_no_interaction_of_the_program_is_left_out() -> None:
    """Those that routes and sessions name, wherever they stand in the source."""
    source = "".join(path.read_text() for path in Path(fhirmedia.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'AskedRoute\("\w+", [^,]+, "([a-z-]+)"', source))
    named |= set(re.findall(r'\.session\([^,]+, "([a-z-]+)"', source))
    named |= set(re.findall(r'^(?:OPERATION|INTERACTION) = "([a-z-]+)"', source, re.MULTILINE))
    assert {"read", "everything", "media-stats", "transaction"} <= named
    assert named - {*PROFILED, *OTHERS} == set()


@pytest.mark.parametrize("interaction", [*PROFILED, *OTHERS, *ITSELF])
def test_subtypes_of_r4_are_codes_of_r4(interaction: str) -> None:
    (event,) = events(told(interaction, "0", ("anna",)))
    of_r4 = [each["code"] for each in event["subtype"] if each["system"] == INTERACTIONS]
    assert of_r4
    assert set(of_r4) <= R4_INTERACTIONS
    assert any(each["code"] == interaction for each in event["subtype"]) or interaction in PROFILED


def whole(row: Row) -> list[dict[str, Any]]:
    """Events that the row applies to."""
    made = [event for name in PROFILED for of in OF[:2] for event in events(told(name, "0", of, query_sha256="0" * 64))]
    return [event for event in made if applies(row, event)]


def spoilt(row: Row, event: dict[str, Any]) -> dict[str, Any]:
    """The event with what the row speaks of missing, doubled, out of place or of another value."""
    changed: dict[str, Any] = json.loads(json.dumps(event))
    if not row.element:
        system, code = min(row.where)
        entry = {"system": system, "code": code, "type": {"coding": [{"system": system, "code": code}]}}
        if row.within == "entity":
            entry = {"type": {"system": system, "code": code}}
        if row.within == "subtype":
            entry = {"system": system, "code": code}
        if row.most <= 1:
            changed[row.within] += [entry, entry]
        else:
            changed[row.within] = []
        return changed
    places = changed[row.within] if row.within else [changed]
    for place in places:
        names = row.element.split("|")
        if row.most == 0:
            place[names[0]] = {"text": "there"}
        for name in names if row.least else ():
            *path, last = name.split(".")
            for owner in at(place, ".".join(path)) if path else [place]:
                owner.pop(last, None)
    return changed


@pytest.mark.parametrize(
    "row", TABLE, ids=lambda row: f"{'-'.join(row.profiles)}:{row.within}.{row.element}:{row.words}"
)
def test_each_row_can_be_broken(row: Row) -> None:
    applied = whole(row)
    assert applied
    assert all(row not in broken(event) for event in applied)
    assert any(row in broken(spoilt(row, event)) for event in applied)
