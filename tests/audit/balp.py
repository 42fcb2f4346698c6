"""The constraints of IHE Basic Audit Log Patterns 1.1.4 as a table, and what an AuditEvent breaks of them.

Written from the published StructureDefinitions `IHE.BasicAudit.*`; slices are told apart by `type`, as there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BASE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
TERMS = "http://terminology.hl7.org/CodeSystem"
INTERACTION = "http://hl7.org/fhir/restful-interaction"

SOURCE, DESTINATION, APPLICATION = (DCM, "110153"), (DCM, "110152"), (DCM, "110150")
CUSTODIAN = (f"{TERMS}/provenance-participant-type", "custodian")
RECIPIENT = (f"{TERMS}/v3-ParticipationType", "IRCP")
DATA_SOURCES = {(f"{TERMS}/v3-ParticipationType", code) for code in ("AUT", "INF", "CST")}
OAUTH_USER = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "UserOauthAgent")
PERSON, OBJECT = (f"{TERMS}/audit-entity-type", "1"), (f"{TERMS}/audit-entity-type", "2")
REQUEST_ID = ("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId")
ROLES = {(f"{TERMS}/object-role", code) for code in ("3", "4", "20")}
QUERY_ROLE, PATIENT_ROLE = (f"{TERMS}/object-role", "24"), (f"{TERMS}/object-role", "1")


@dataclass(frozen=True)
class Profile:
    action: str
    subtypes: frozenset[str]
    client: tuple[str, str]
    server: tuple[str, str]
    user: frozenset[tuple[str, str]]
    is_query: bool = False


PROFILES = {
    "Read": Profile("R", frozenset({"read", "vread"}), DESTINATION, SOURCE, frozenset({RECIPIENT})),
    "Query": Profile(
        "E", frozenset({"search", "search-type", "search-system"}), SOURCE, DESTINATION, frozenset({RECIPIENT}), True
    ),
    "Create": Profile("C", frozenset({"create"}), SOURCE, DESTINATION, frozenset(DATA_SOURCES)),
    "Update": Profile("U", frozenset({"update", "patch"}), SOURCE, DESTINATION, frozenset(DATA_SOURCES)),
    "Delete": Profile("D", frozenset({"delete"}), APPLICATION, CUSTODIAN, frozenset(DATA_SOURCES)),
}


def breaks(event: dict[str, Any]) -> list[str]:
    """What the event breaks of the profiles it claims."""
    return [f"{url}: {text}" for url in event["meta"].get("profile", []) for text in _broken(event, url)]


def _broken(event: dict[str, Any], url: str) -> Iterator[str]:
    name = url.removeprefix(BASE)
    if name == "OAUTHaccessTokenUse.Minimal":
        yield from _oauth(event)
        return
    profile = PROFILES[name.removeprefix("Patient")]
    if (event["type"]["system"], event["type"]["code"]) != (f"{TERMS}/audit-event-type", "rest"):
        yield "type"
    slices = [each for each in event["subtype"] if each["system"] == INTERACTION and each["code"] in profile.subtypes]
    if len(slices) != 1:
        yield "subtype"
    if event["action"] != profile.action or event["outcome"] != "0":
        yield "action, outcome"
    for part, code in (("client", profile.client), ("server", profile.server)):
        agents = [agent for agent in event["agent"] if code in _types(agent)]
        if len(agents) != 1 or not agents[0].get("who") or not agents[0].get("network") or "media" in agents[0]:
            yield part
    yield from _user(event, profile)
    yield from _entities(event, profile, with_patient=name.startswith("Patient"))


def _user(event: dict[str, Any], profile: Profile) -> Iterator[str]:
    users = [agent for agent in event["agent"] if profile.user & _types(agent)]
    if len(users) > 1:
        yield "users"
    for user in users:
        if not user.get("who") or user["requestor"] is not True or "media" in user or "network" in user:
            yield "user"


def _entities(event: dict[str, Any], profile: Profile, *, with_patient: bool) -> Iterator[str]:
    by_type: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entity in event["entity"]:
        by_type.setdefault((entity["type"]["system"], entity["type"]["code"]), []).append(entity)
    objects, people = by_type.get(OBJECT, []), by_type.get(PERSON, [])
    if len(objects) != 1:
        yield "one data or query entity"
    for entity in objects:
        role = (entity["role"]["system"], entity["role"]["code"])
        if profile.is_query:
            has_query = "query" in entity or "_query" in entity
            if role != QUERY_ROLE or not has_query or {"what", "lifecycle", "detail"} & entity.keys():
                yield "query entity"
        elif role not in ROLES or not entity.get("what"):
            yield "data entity"
    if len(people) != (1 if with_patient else 0):
        yield "patient entity"
    for entity in people:
        role = (entity["role"]["system"], entity["role"]["code"])
        if role != PATIENT_ROLE or not entity["what"]["reference"].startswith("Patient/"):
            yield "patient entity"
    requests = by_type.get(REQUEST_ID, [])
    if len(requests) > 1 or not all(entity["what"]["identifier"]["value"] for entity in requests):
        yield "transaction entity"


def _oauth(event: dict[str, Any]) -> Iterator[str]:
    users = [agent for agent in event["agent"] if OAUTH_USER in _types(agent)]
    if not users:
        yield "oUser"
    for user in users:
        is_jti = len(user["policy"]) == 1 and user["policy"][0].startswith("urn:ietf:params:oauth:jti:")
        if user["requestor"] is not True or not is_jti or "network" in user or "media" in user:
            yield "oUser"


def _types(agent: dict[str, Any]) -> set[tuple[str, str]]:
    return {(coding["system"], coding["code"]) for coding in agent["type"]["coding"]}
