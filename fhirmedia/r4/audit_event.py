"""AuditEvents in the shape of IHE Basic Audit Log Patterns (BALP 1.1.4): projected from Disclosures, never stored."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from fhirmedia.core.audit_chain import SALT_BYTES
from fhirmedia.core.clock import instant
from fhirmedia.core.disclosure import Disclosure, Touch
from fhirmedia.core.ids import FHIR_ID
from fhirmedia.r4.audit_kinds import SENT, Code, Kind, kind_of, subtype_of
from fhirmedia.r4.audit_shares import PATIENT, EventId, Share, shares
from fhirmedia.r4.elements import element_table, resource_types, table
from fhirmedia.r4.json_types import Json, JsonArray, JsonObject

_BALP = "https://profiles.ihe.net/ITI/BALP"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_PARTICIPATION = f"{_TERMS}/v3-ParticipationType"
AUDIT_EVENT = "AuditEvent"  # type-name: the one this file makes
EVENT_TYPES = f"{_TERMS}/audit-event-type"
OUTCOMES = "http://hl7.org/fhir/audit-event-outcome"
REST = "rest"
SERVER_SYSTEM = "urn:ietf:rfc:3986"

_RECIPIENT: Code = (_PARTICIPATION, "IRCP", "information recipient")
_AUTHOR: Code = (_PARTICIPATION, "AUT", "author (originator)")
_OAUTH_USER: Code = (f"{_BALP}/CodeSystem/UserAgentTypes", "UserOauthAgent", "User OAuth Agent participant")
_PERSON: Code = (f"{_TERMS}/audit-entity-type", "1", "Person")  # type-name: the display of a code
_OBJECT: Code = (f"{_TERMS}/audit-entity-type", "2", "System Object")
_OTHER: Code = (f"{_TERMS}/audit-entity-type", "4", "Other")
_REQUEST_ID: Code = (f"{_BALP}/CodeSystem/BasicAuditEntityType", "XrequestId", "X-Request-Id")
_AS_PATIENT: Code = (f"{_TERMS}/object-role", "1", "Patient")  # type-name: the display of a code
_AS_RESOURCE: Code = (f"{_TERMS}/object-role", "4", "Domain Resource")
_AS_QUERY: Code = (f"{_TERMS}/object-role", "24", "Query")
_SERVER: Code = (f"{_TERMS}/security-source-type", "4", "Application Server")
_RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
_PURPOSES = f"{_TERMS}/v3-ActReason"
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NETWORK_NAME, _NETWORK_IP, _NETWORK_URI = "1", "2", "5"
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters by which a line, or a screen, could be made to say something else than what it holds."""


def user_of(disclosure: Disclosure) -> tuple[str | None, str | None, str] | None:
    """Who asked, as its AuditEvent tells: a reference, if it has one, and its identifier by system and value.

    None where the archive acted by itself.
    """
    if disclosure.reason is not None:
        return None
    issuer, _, subject = disclosure.subject.rpartition("|")
    kind, _, identity = (disclosure.user or "").partition("/")
    refers = kind in _user_types() and FHIR_ID.match(identity) is not None
    return f"{kind}/{identity}" if refers else None, _system(issuer), inert(subject)


def is_about_sending(event: JsonObject) -> bool:
    """Whether an AuditEvent of ours tells how much was sent, of something whose opening has an event of its own."""
    return event["subtype"] == [_coding(subtype_of(SENT))]


def audit_events(
    disclosure: Disclosure, *, log_id: str, sequence: int, base_url: str, raw_query: bytes | None = None
) -> list[JsonObject]:
    """The AuditEvents of one row, one per Share and in their order; `raw_query` is salted, as it is stored."""
    projection = Projection(disclosure, kind_of(disclosure.interaction), base_url, raw_query)
    return [
        projection.event(share, EventId(log_id, sequence, number))
        for number, share in enumerate(shares(disclosure), start=1)
    ]


@dataclass(frozen=True, slots=True)
class Projection:
    """A Disclosure on its way to AuditEvents."""

    disclosure: Disclosure
    kind: Kind
    base_url: str
    raw_query: bytes | None

    def event(self, share: Share, event_id: EventId) -> JsonObject:
        """The AuditEvent of one Share."""
        disclosure, recorded = self.disclosure, instant(self.disclosure.time)
        meta: JsonObject = {"versionId": "1", "lastUpdated": recorded}
        profiles: JsonArray = [*self._profiles(share)]
        if profiles:
            meta["profile"] = profiles
        event: JsonObject = {"resourceType": AUDIT_EVENT, "id": str(event_id), "meta": meta}
        if disclosure.issue is not None:
            issue: JsonObject = {"severity": "error", "code": disclosure.issue}
            event["contained"] = [{"resourceType": "OperationOutcome", "id": "outcome", "issue": [issue]}]
        event["type"] = _coding((EVENT_TYPES, REST, "RESTful Operation"))
        event["subtype"] = [_coding(subtype_of(each)) for each in self.kind.subtypes]
        event |= {"action": self.kind.action, "recorded": recorded, "outcome": disclosure.outcome}
        if disclosure.reason is not None:
            event["purposeOfEvent"] = [{"text": inert(disclosure.reason)}]
        event["agent"] = list(self._agents())
        event["source"] = {"observer": self._server(), "type": [_coding(_SERVER)]}
        event["entity"] = list(self._entities(share))
        return event

    def _profiles(self, share: Share) -> Iterator[str]:
        disclosure, profile = self.disclosure, self.kind.profile
        is_complete = profile == "Query" or bool(share.touched)
        if profile is not None and disclosure.outcome == "0" and is_complete:
            patient = "" if share.patient is None else PATIENT
            yield f"{_BALP}/StructureDefinition/IHE.BasicAudit.{patient}{profile}"
        if disclosure.token_id is not None and disclosure.reason is None:
            yield f"{_BALP}/StructureDefinition/IHE.BasicAudit.OAUTHaccessTokenUse.Minimal"

    def _agents(self) -> Iterator[JsonObject]:
        disclosure = self.disclosure
        user = user_of(disclosure)
        if user is not None:
            yield self._user(*user)
        address = disclosure.address
        network: JsonObject = {"address": "localhost", "type": _NETWORK_NAME}
        if address is not None:
            network = {"address": inert(address), "type": _NETWORK_IP}
        yield {
            "type": _concept(self.kind.client),
            "who": {"identifier": {"value": inert(disclosure.client)}},
            "requestor": user is None,
            "network": network,
        }
        yield {
            "type": _concept(self.kind.server),
            "who": self._server(),
            "requestor": False,
            "network": {"address": self.base_url, "type": _NETWORK_URI},
        }

    def _user(self, reference: str | None, system: str | None, value: str) -> JsonObject:
        disclosure = self.disclosure
        codes = [_RECIPIENT, *([_AUTHOR] if self.kind.writes else ())]
        if disclosure.token_id is not None:
            codes.append(_OAUTH_USER)
        user: JsonObject = {"type": _concept(*codes)}
        if disclosure.roles:
            user["role"] = [{"text": inert(role)} for role in disclosure.roles]
        who: JsonObject = {} if reference is None else {"reference": reference}
        who["identifier"] = {**_within(system), "value": value}
        user |= {"who": who, "requestor": True}
        if disclosure.token_id is not None:
            user["policy"] = [f"urn:ietf:params:oauth:jti:{quote(disclosure.token_id, safe='')}"]
        if disclosure.purpose is not None:
            purposes, _, code = disclosure.purpose.rpartition("|")
            user["purposeOfUse"] = [{"coding": [{**_within(_system(purposes or _PURPOSES)), "code": _code(code)}]}]
        return user

    def _server(self) -> JsonObject:
        return {"identifier": {"system": SERVER_SYSTEM, "value": self.base_url}, "display": "fhirmedia"}

    def _entities(self, share: Share) -> Iterator[JsonObject]:
        disclosure, touched = self.disclosure, list(share.touched)
        if share.patient is not None:
            what = _reference(PATIENT, share.patient, None)
            yield {"what": what, "type": _coding(_PERSON), "role": _coding(_AS_PATIENT)}
        if self.kind.profile == "Query":
            yield self._query(_OBJECT)
        else:
            if touched:
                main = touched.pop(-1 if self.kind.writes else 0)
                yield _touched(main, _coding(_OBJECT), more=self._sent())
            if disclosure.query_sha256 is not None:
                yield self._query(_OTHER)
        for touch in touched:
            yield _touched(touch, {"system": _RESOURCE_TYPES, "code": _code(touch.key.type)})
        if disclosure.request_id:
            yield {"what": {"identifier": {"value": inert(disclosure.request_id)}}, "type": _coding(_REQUEST_ID)}
        if disclosure.issue is not None:
            yield {"what": {"reference": "#outcome"}, "type": _coding(_OTHER)}

    def _sent(self) -> JsonArray:
        sent, permitted_by = self.disclosure.sent, self.disclosure.permitted_by
        told = {"bytes-sent": None if sent is None else str(sent), "permitted-by": permitted_by}
        return [{"type": name, "valueString": inert(value)} for name, value in told.items() if value is not None]

    def _query(self, code: Code) -> JsonObject:
        entity: JsonObject = {"type": _coding(code), "role": _coding(_AS_QUERY)}
        if self.raw_query is not None:
            entity["query"] = base64.b64encode(self.raw_query[SALT_BYTES:]).decode("ascii")
        else:
            reason = "unknown" if self.disclosure.query_sha256 is None else "masked"
            entity["_query"] = {"extension": [{"url": _ABSENT, "valueCode": reason}]}
        return entity


@cache
def _user_types() -> frozenset[str]:
    """What AuditEvent.agent.who may refer to."""
    agent = element_table(table(AUDIT_EVENT).elements["agent"])
    return frozenset(agent.elements["who"].targets if agent else ())


def inert(text: str) -> str:
    """The text with control and direction characters spelt out, and never empty."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).strip() or "\\u0020"


def _code(text: str) -> str:
    """The text in the form of the datatype code."""
    return " ".join(inert(text).split())


def _system(text: str) -> str | None:
    """A system, where the text is one; R4 wants a URI, which has no blanks."""
    return None if not text or re.search(r"\s", text) else inert(text)


def _within(system: str | None) -> JsonObject:
    return {} if system is None else {"system": system}


def _touched(touch: Touch, type: Json, *, more: Sequence[Json] = ()) -> JsonObject:
    what = _reference(touch.key.type, touch.key.id, touch.version)
    detail: JsonArray = [{"type": "depth", "valueString": touch.depth}, *more]
    return {"what": what, "type": type, "role": _coding(_AS_RESOURCE), "detail": detail}


def _reference(kind: str, identity: str, version: int | None) -> JsonObject:
    """A reference, or, for a type or an id that is none and was therefore refused, what was asked for."""
    if kind not in resource_types() or not FHIR_ID.match(identity):
        return {"identifier": {"value": inert(f"{kind}/{identity}")}}
    return {"reference": f"{kind}/{identity}" if version is None else f"{kind}/{identity}/_history/{version}"}


def _coding(code: Code) -> JsonObject:
    return {"system": code[0], "code": code[1], "display": code[2]}


def _concept(*codes: Code) -> JsonObject:
    return {"coding": [_coding(code) for code in codes]}
