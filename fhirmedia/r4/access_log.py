"""A Patient's access log in plain words: AuditEvents made into entries that say when, who, what and why.

Who acted is told by role, or not at all, or by reference, as the deployment says; nothing else of staff is told.
"""

from collections.abc import Iterator
from typing import Any, Literal

from fhirmedia.r4.json_types import JsonArray, JsonObject

Staff = Literal["none", "role", "name"]

LANGUAGES = ("en", "sv", "nb")
_ACTIONS: dict[str, tuple[str, str, str]] = {
    "R": ("opened", "öppnade", "åpnet"),
    "E": ("searched for", "sökte efter", "søkte etter"),
    "C": ("added", "lade till", "la til"),
    "U": ("changed", "ändrade", "endret"),
    "D": ("removed", "tog bort", "fjernet"),
}
_REFUSED = ("was refused access to", "nekades åtkomst till", "ble nektet tilgang til")
_SOMEBODY = ("Somebody", "Någon", "Noen")
_PATIENT = ("A patient", "En patient", "En pasient")
_STAFF = ("Staff", "Personal", "Personell")
_PROGRAM = ("The archive itself", "Arkivet självt", "Arkivet selv")
_THINGS = ("{} items of the record", "{} delar av journalen", "{} deler av journalen")
_THING = ("one item of the record", "en del av journalen", "en del av journalen")
_NOTHING = ("the record", "journalen", "journalen")


def entry_of(event: dict[str, Any], *, patient: str, staff: Staff, language: str) -> JsonObject:
    """One part named `entry`: time, action, who, items with their depth, purpose, and a sentence."""
    tongue = LANGUAGES.index(language)
    user = next((agent for agent in event["agent"] if agent.get("requestor")), None)
    items = [each for each in _items(event) if each[0] != f"{patient}"]
    who = _who(user, tongue)
    parts: JsonArray = [
        {"name": "when", "valueInstant": event["recorded"]},
        {"name": "action", "valueCode": event["subtype"][0]["code"]},
        {"name": "outcome", "valueCode": event["outcome"]},
    ]
    if staff != "none":
        parts.extend({"name": "role", "valueString": role} for role in _roles(user))
    if staff == "name" and (reference := _reference(user)) is not None:
        parts.append({"name": "who", "valueReference": {"reference": reference}})
    parts.extend({"name": "purpose", "valueCode": code} for code in _purposes(user))
    for key, depth in items:
        parts.append({
            "name": "item",
            "part": [{"name": "what", "valueReference": {"reference": key}}, {"name": "depth", "valueCode": depth}],
        })  # fmt: skip
    action = _ACTIONS[event["action"]][tongue] if event["outcome"] == "0" else _REFUSED[tongue]
    things = (_NOTHING if not items else _THING if len(items) == 1 else _THINGS)[tongue].format(len(items))
    parts.append({"name": "text", "valueString": f"{who} {action} {things}."})
    return {"name": "entry", "part": parts}


def _items(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What was touched, with its depth; versions are left out."""
    for entity in event["entity"]:
        depth = next((each["valueString"] for each in entity.get("detail", ()) if each["type"] == "depth"), None)
        reference = entity.get("what", {}).get("reference", "")
        if depth is not None and reference and not reference.startswith("#"):
            yield reference.partition("/_history/")[0], depth


def _who(user: dict[str, Any] | None, tongue: int) -> str:
    if user is None:
        return _PROGRAM[tongue]
    reference = _reference(user) or ""
    if reference.startswith("Patient/"):  # type-name: who looks at its own record
        return _PATIENT[tongue]
    return _STAFF[tongue] if reference else _SOMEBODY[tongue]


def _roles(user: dict[str, Any] | None) -> list[str]:
    return [] if user is None else [role["text"] for role in user.get("role", ())]


def _purposes(user: dict[str, Any] | None) -> list[str]:
    if user is None:
        return []
    return [coding["code"] for purpose in user.get("purposeOfUse", ()) for coding in purpose["coding"]]


def _reference(user: dict[str, Any] | None) -> str | None:
    return None if user is None else user["who"].get("reference")
