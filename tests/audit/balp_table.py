"""What the patterns of IHE BALP demand, row by row: profile, slice, element, how often, and with which value.

A slice is the entries of `agent`, `entity` or `subtype` that a code tells apart. The words say what the row is for.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.audit.balp import (
    APPLICATION,
    BASE,
    CUSTODIAN,
    DATA_SOURCES,
    DESTINATION,
    INTERACTION,
    OAUTH_USER,
    OBJECT,
    PATIENT_ROLE,
    PERSON,
    QUERY_ROLE,
    RECIPIENT,
    REQUEST_ID,
    ROLES,
    SOURCE,
    TERMS,
)

Event = dict[str, Any]
Code = tuple[str, str]
MANY = 1_000

READ, QUERY, CREATE, UPDATE, DELETE = "Read", "Query", "Create", "Update", "Delete"
WRITES = (CREATE, UPDATE, DELETE)
DATA = (READ, *WRITES)
REST = (*DATA, QUERY)
TOKEN = "OAUTHaccessTokenUse.Minimal"


@dataclass(frozen=True, slots=True)
class Row:
    """Of `profiles` and their Patient variants; `where` has the codes that slice `within`, `value` what fits."""

    profiles: Collection[str]
    within: str
    where: Collection[Code]
    element: str
    least: int
    most: int
    words: str
    value: Collection[object] | None = None
    with_patient: bool | None = None


def _sliced(name: str, codes: Collection[Code], least: int, most: int, profiles: Collection[str], words: str) -> Row:
    return Row(profiles, name, codes, "", least, most, words)


_CLIENTS: Mapping[str, Code] = {
    READ: DESTINATION,
    **dict.fromkeys((CREATE, UPDATE, QUERY), SOURCE),
    DELETE: APPLICATION,
}
_SERVERS: Mapping[str, Code] = {READ: SOURCE, **dict.fromkeys((CREATE, UPDATE, QUERY), DESTINATION), DELETE: CUSTODIAN}
_USERS = {READ: {RECIPIENT}, QUERY: {RECIPIENT}, **dict.fromkeys(WRITES, DATA_SOURCES)}
_ACTIONS = {READ: "R", QUERY: "E", CREATE: "C", UPDATE: "U", DELETE: "D"}
_SUBTYPES = {
    READ: ("read", "vread"),
    QUERY: ("search", "search-type", "search-system"),
    CREATE: ("create",),
    UPDATE: ("update", "patch"),
    DELETE: ("delete",),
}
_REST_TYPE = {"system": f"{TERMS}/audit-event-type", "code": "rest"}


def _rows() -> Iterator[Row]:
    for name, value, words in (
        ("type", _REST_TYPE, "it is a RESTful operation"),
        ("recorded", None, "when"),
        ("outcome", "0", "the patterns tell of what was done"),
        ("source.observer", None, "who tells"),
    ):
        yield Row(REST, "", (), name, 1, 1, words, None if value is None else (value,))
    for each in REST:
        codes = [(INTERACTION, code) for code in _SUBTYPES[each]]
        yield Row((each,), "", (), "action", 1, 1, "the kind of action", (_ACTIONS[each],))
        yield _sliced("subtype", codes, 1, 1, (each,), "which interaction")
        for part, code in (("client", _CLIENTS[each]), ("server", _SERVERS[each])):
            yield _sliced("agent", [code], 1, 1, (each,), f"the {part}")
            yield Row((each,), "agent", [code], "who", 1, 1, f"the {part} has a name")
            yield Row((each,), "agent", [code], "network", 1, 1, f"the {part} has an address")
            yield Row((each,), "agent", [code], "media", 0, 0, f"the {part} is not a medium")
        yield _sliced("agent", _USERS[each], 0, 1, (each,), "one user at most")
        yield Row((each,), "agent", _USERS[each], "who", 1, 1, "the user has a name")
        yield Row((each,), "agent", _USERS[each], "requestor", 1, 1, "the user asked", (True,))
        yield Row((each,), "agent", _USERS[each], "network", 0, 0, "the user has no address of its own")
        yield Row((each,), "agent", _USERS[each], "media", 0, 0, "the user is not a medium")
    yield _sliced("entity", [REQUEST_ID], 0, 1, REST, "the id of the request")
    yield Row(REST, "entity", [REQUEST_ID], "what.identifier.value", 1, 1, "the id itself")
    yield _sliced("entity", [OBJECT], 1, 1, REST, "one thing it was about")
    yield Row(DATA, "entity", [OBJECT], "what", 1, 1, "which resource")
    yield Row(DATA, "entity", [OBJECT], "role.code", 1, 1, "as what", tuple(code for _, code in ROLES))
    yield Row((QUERY,), "entity", [OBJECT], "role.code", 1, 1, "as a query", (QUERY_ROLE[1],))
    yield Row((QUERY,), "entity", [OBJECT], "query|_query", 1, 1, "the request, or why it is not there")
    for name in ("what", "detail", "lifecycle", "name"):
        yield Row((QUERY,), "entity", [OBJECT], name, 0, 0, "the query is no resource")
    yield Row(REST, "entity", [PERSON], "", 1, 1, "whose record", with_patient=True)
    yield Row(REST, "entity", [PERSON], "", 0, 0, "nobody's record", with_patient=False)
    yield Row(REST, "entity", [PERSON], "role.code", 1, 1, "as the patient", (PATIENT_ROLE[1],), with_patient=True)
    yield Row(REST, "entity", [PERSON], "what.reference", 1, 1, "which patient", with_patient=True)
    yield _sliced("agent", [OAUTH_USER], 1, MANY, (TOKEN,), "whose token it was")
    yield Row((TOKEN,), "agent", [OAUTH_USER], "policy", 1, 1, "the id of the token")
    yield Row((TOKEN,), "agent", [OAUTH_USER], "requestor", 1, 1, "the token asked", (True,))
    yield Row((TOKEN,), "agent", [OAUTH_USER], "who", 1, 1, "the token is somebody's")
    yield Row((TOKEN,), "agent", [OAUTH_USER], "media", 0, 0, "the token is not a medium")


TABLE = tuple(_rows())


def applies(row: Row, event: Event) -> bool:
    """Whether the event claims a profile of the row."""
    for url in event["meta"].get("profile", ()):
        name = url.removeprefix(BASE)
        of_patient = name.startswith("Patient")
        if name.removeprefix("Patient") in row.profiles and row.with_patient in (None, of_patient):
            return True
    return False


def broken(event: Event) -> list[Row]:
    """The rows that the event claims to keep and does not."""
    return [row for row in TABLE if applies(row, event) and not keeps(row, event)]


def keeps(row: Row, event: Event) -> bool:
    """Whether each place the row speaks of is there as often as it has to, with a value it may have."""
    places = (
        [event] if not row.within else [each for each in event.get(row.within, ()) if _codes(each) & set(row.where)]
    )
    if not row.element:
        return row.least <= len(places) <= row.most
    for place in places:
        found = [value for name in row.element.split("|") for value in at(place, name)]
        allowed = row.value is None or all(any(_fits(value, fixed) for fixed in row.value) for value in found)
        if not row.least <= len(found) <= row.most or not allowed:
            return False
    return True


def at(node: Any, path: str) -> list[Any]:
    """The values at a path of names."""
    name, _, rest = path.partition(".")
    value = node.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    return values if not rest else [found for each in values for found in at(each, rest)]


def _fits(value: Any, fixed: object) -> bool:
    if isinstance(fixed, dict) and isinstance(value, dict):
        return fixed.items() <= value.items()
    return bool(value == fixed)


def _codes(entry: Event) -> set[Code]:
    """The codes a slice is told by: of `type`, or of the entry itself where it is a coding."""
    type = entry.get("type", entry)
    return {(each.get("system", ""), each.get("code", "")) for each in type.get("coding", [type])}
