"""AuditEvents are true to their Disclosure, sound R4, in BALP's shape, and name no patient but their own."""

import base64
import json
from typing import Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import example, given
from hypothesis import strategies as st

from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.core.records import Key
from fhirmedia.r4.audit_event import audit_events, inert
from fhirmedia.r4.audit_shares import EventId, parse_event_id, shares
from fhirmedia.r4.checker import check
from tests.audit.balp import BASE, breaks
from tests.audit.logs import SALT, a_disclosure, touch
from tests.audit.test_disclosure import disclosures

URL = "https://media.example.org/fhir"


def events_of(disclosure: Disclosure, *, raw_query: bytes | None = None) -> list[dict[str, Any]]:
    events = audit_events(disclosure, log_id="disclosures-0", sequence=7, base_url=URL, raw_query=raw_query)
    return json.loads(json.dumps(events))  # type: ignore[no-any-return]  # it is what was dumped


def sound(event: dict[str, Any]) -> None:
    assert check(event, type="AuditEvent") == []
    AuditEvent.model_validate(event)
    assert breaks(event) == []


INTERACTIONS = {
    "read": "Read",
    "vread": "Read",
    "content": "Read",
    "history-instance": "Read",
    "search-type": "Query",
    "search-system": "Query",
    "create": "Create",
    "update": "Update",
    "patch": "Update",
    "delete": "Delete",
}


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize("of", [(), ("anna",), ("anna", "bo")])
@pytest.mark.parametrize("raw_query", [None, SALT + b"GET /fhir/Media?code=x"])
@pytest.mark.parametrize("program", [False, True])
def test_every_event_keeps_the_profile_it_claims(
    interaction: str, of: tuple[str, ...], raw_query: bytes | None, program: bool
) -> None:
    who = {"reason": "import", "user": None, "token_id": None, "subject": "system", "address": None} if program else {}
    told = a_disclosure(
        interaction, touch("Media/a", of=of), touch("Media/b", of=of), roles=("auditor",), query_sha256="0" * 64, **who
    )
    events = events_of(told, raw_query=raw_query)
    assert len(events) == max(1, len(of))
    profile = f"{BASE}{'Patient' if of else ''}{INTERACTIONS[interaction]}"
    for event in events:
        sound(event)
        assert event["meta"]["profile"][0] == profile
        assert (f"{BASE}OAUTHaccessTokenUse.Minimal" in event["meta"]["profile"]) is not program
        assert [agent["requestor"] for agent in event["agent"]].count(True) == 1


def refused(interaction: str, outcome: str, issue: str) -> Disclosure:
    return a_disclosure(interaction, touch("Media/hidden", version=None, depth="refused"), outcome=outcome, issue=issue)


@pytest.mark.parametrize("interaction", INTERACTIONS)
@pytest.mark.parametrize(("outcome", "issue"), [("4", "not-found"), ("8", "no-store"), ("12", "exception")])
def test_refusal_says_what_was_attempted_and_claims_no_success(interaction: str, outcome: str, issue: str) -> None:
    (event,) = events_of(refused(interaction, outcome, issue))
    sound(event)
    assert event["outcome"] == outcome
    assert not any(INTERACTIONS[interaction] in profile for profile in event["meta"]["profile"])
    assert event["contained"][0]["issue"][0]["code"] == issue
    assert {"reference": "Media/hidden"} in [entity.get("what") for entity in event["entity"]]


def test_attempt_on_a_patient_is_that_patients_event() -> None:
    (event,) = events_of(a_disclosure("read", touch("Patient/anna", version=None, depth="refused"), outcome="4"))
    sound(event)
    assert event["entity"][0]["what"] == {"reference": "Patient/anna"}


@example(a_disclosure("read", touch("Nonsense/x", version=None, depth="refused")), "read", "not-found")
@given(disclosures, st.sampled_from([*INTERACTIONS, "capabilities"]), st.sampled_from([None, "forbidden", "exception"]))
def test_whatever_clients_send_events_stay_sound(disclosure: Disclosure, interaction: str, issue: str | None) -> None:
    for event in events_of(disclosure._replace(interaction=interaction, issue=issue)):
        sound(event)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sets(st.sampled_from(["x", "y", "z"]))), max_size=6))
def test_each_event_is_of_one_patient_and_together_they_name_everything(
    touched: list[tuple[str, set[str]]],
) -> None:
    told = a_disclosure(
        "search-type", *(touch(f"Media/{name}{at}", of=sorted(of)) for at, (name, of) in enumerate(touched))
    )
    owners = {each.key.id: set(each.patients) for each in told.touched}
    named = set()
    for share in shares(told):
        for each in share.touched:
            named.add(each.key.id)
            assert share.patient in owners[each.key.id] or not owners[each.key.id]
    assert named == set(owners)
    for event in events_of(told):
        people = [entity["what"]["reference"] for entity in event["entity"] if entity["type"]["code"] == "1"]
        assert len(people) <= 1
        assert sum(text.startswith("Patient/") for text in references(event)) == len(people)


def test_an_attempt_on_what_may_be_anothers_is_told_apart() -> None:
    """What was refused and is hidden may be of any patient, so the event of the first one does not tell of it."""
    told = a_disclosure(
        "batch",
        touch("Media/hers", of=["anna"]),
        touch("Media/hidden", version=None, depth="refused"),
        touch("Organization/derm"),
        touch("Media/his", of=["bo"], version=None, depth="refused"),
    )
    shared = [(share.patient, [each.key.id for each in share.touched]) for share in shares(told)]
    assert shared == [("anna", ["hers", "derm"]), ("bo", ["his"]), (None, ["hidden"])]
    for event in events_of(told):
        sound(event)
        assert ("Media/hidden" in references(event)) is (event["id"] == "disclosures-0-7-3")


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [text for value in node.values() for text in references(value)]
    return [text for value in node for text in references(value)] if isinstance(node, list) else []


def test_documents_shown_are_named_with_version_and_depth() -> None:
    (event,) = events_of(a_disclosure("search-type", touch("Media/m", of=["anna"], version=3, depth="listed")))
    (shown,) = [entity for entity in event["entity"] if entity["type"]["code"] == "Media"]
    assert shown["what"] == {"reference": "Media/m/_history/3"}
    assert shown["detail"] == [{"type": "depth", "valueString": "listed"}]


def test_written_resource_is_the_data_and_its_uploads_follow() -> None:
    told = a_disclosure("create", touch("Binary/b", of=["anna"], depth="written"), touch("Media/m", of=["anna"]))
    (event,) = events_of(told)
    data = [entity["what"]["reference"] for entity in event["entity"] if entity["type"]["code"] == "2"]
    assert data == ["Media/m/_history/1"]
    assert "Binary/b/_history/1" in references(event)


def test_query_is_told_until_it_is_erased() -> None:
    told = a_disclosure("search-type", query_sha256="0" * 64)
    (event,) = events_of(told, raw_query=SALT + b"GET /fhir/Media?patient=anna")
    (entity,) = [entity for entity in event["entity"] if "query" in entity]
    assert base64.b64decode(entity["query"]) == b"GET /fhir/Media?patient=anna"
    (event,) = events_of(told)
    sound(event)
    (entity,) = [entity for entity in event["entity"] if "_query" in entity]
    assert entity["_query"]["extension"][0]["valueCode"] == "masked"


def test_who_asked_is_told_in_full() -> None:
    (event,) = events_of(a_disclosure("read", touch("Media/m", of=["anna"]), roles=("auditor",)))
    user = event["agent"][0]
    assert user["who"] == {
        "reference": "Practitioner/kim",
        "identifier": {"system": "https://login.example.org", "value": "kim"},
    }
    assert user["policy"] == ["urn:ietf:params:oauth:jti:t-1"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["role"] == [{"text": "auditor"}]
    assert event["recorded"] == event["meta"]["lastUpdated"] == "2023-11-14T22:13:20.000Z"
    assert event["agent"][1]["network"] == {"address": "192.0.2.7", "type": "2"}
    assert {"value": "r-1"} in [entity.get("what", {}).get("identifier") for entity in event["entity"]]


@pytest.mark.parametrize("text", ["a\r\nb", "\x00", "\u202egnp.exe", "\u2066x", "\x1b[31m", "\ud800", " "])
def test_text_that_could_lie_is_spelt_out(text: str) -> None:
    made = inert(text)
    assert made
    assert made == made.strip()
    assert made.isprintable()
    (event,) = events_of(a_disclosure("read", Touch(Key("Media", text), None, "refused"), client=text, request_id=text))
    assert check(event, type="AuditEvent") == []
    assert text.strip() not in json.dumps(event, ensure_ascii=False) or not text.strip()


def test_a_user_that_agents_cannot_refer_to_is_an_identifier() -> None:
    (event,) = events_of(a_disclosure("read", touch("Media/m"), user="Person/kim"))
    sound(event)
    assert "reference" not in event["agent"][0]["who"]


@given(st.from_regex(r"[a-z]{1,5}(-[0-9]{1,3})?", fullmatch=True), st.integers(1, 10**12), st.integers(1, 10**6))
def test_ids_are_read_as_they_are_written(log_id: str, sequence: int, number: int) -> None:
    event = EventId(log_id, sequence, number)
    assert parse_event_id(str(event)) == event
    assert FHIR_ID.match(str(event))


@pytest.mark.parametrize(
    "text", ["", "x", "a-1", "-1-1", "a-0-1", "a-1-0", "a-01-1", "a-1-1x", "a-1-", "a-1-1-", "a-١-1"]
)
def test_other_ids_are_nobodys(text: str) -> None:
    assert parse_event_id(text) is None
