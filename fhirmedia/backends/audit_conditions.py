"""Queries over AuditEvents as SQL conditions on the table `event`; none of them is ever NULL."""

from collections.abc import Callable, Iterable
from typing import assert_never

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts
from fhirmedia.r4.audit_event import AUDIT_EVENT, EVENT_TYPES, OUTCOMES, REST
from fhirmedia.r4.audit_kinds import INTERACTIONS, NAMED, OPERATIONS, interactions_with
from fhirmedia.r4.audit_shares import PATIENT, parse_event_id
from fhirmedia.r4.query import (
    All,
    Any,
    Chain,
    DateTest,
    FactHas,
    FactIn,
    FactToken,
    Has,
    InCompartment,
    Match,
    Missing,
    Not,
    OfType,
    Query,
    ReferenceTest,
    Test,
    Text,
    TokenTest,
)

Condition = tuple[str, tuple[str | int, ...]]
"""SQL and the values bound in it."""

TRUE: Condition = ("1", ())
FALSE: Condition = ("0", ())
_FACTS = Facts()
"""What an AuditEvent has for facts, its patients excepted."""

_DATES = {
    "eq": ("at >= ? AND at < ?", "lo", "hi"),
    "ne": ("(at < ? OR at >= ?)", "lo", "hi"),
    "gt": ("at >= ?", "hi"),
    "lt": ("at < ?", "lo"),
    "ge": ("at >= ?", "lo"),
    "le": ("at < ?", "hi"),
    "sa": ("at >= ?", "hi"),
    "eb": ("at < ?", "lo"),
    "ap": ("at >= ? AND at < ?", "lo", "hi"),
}
"""Prefixes on an instant, which is a range one millisecond long (FHIR R4, search, prefix)."""


def condition_of(query: Query) -> Condition:
    """The condition; raises Failure INVALID for a node or parameter that AuditEvent is not searched by."""
    match query:
        case All(parts):
            return _joined(" AND ", map(condition_of, parts), TRUE)
        case Any(parts):
            return _joined(" OR ", map(condition_of, parts), FALSE)
        case Not(part):
            return _not(condition_of(part))
        case OfType(types):
            return TRUE if AUDIT_EVENT in types else FALSE
        case InCompartment(patient):
            return _patient(patient)
        case Match(parameter, tests):
            if parameter not in _PARAMETERS:
                raise Failure(Category.INVALID, f"AuditEvent is not searched by {parameter}.")
            return _joined(" OR ", map(_PARAMETERS[parameter], tests), FALSE)
        case FactIn("sole_patient", values):
            return _among("sole_patient", sorted(values))
        case FactIn("id", values):
            return _joined(" OR ", map(_id, sorted(values)), FALSE)
        case FactIn(fact, values):
            return TRUE if getattr(_FACTS, fact) in values else FALSE
        case FactHas() | FactToken():
            return FALSE
        case Missing() | Chain() | Has() | Text():
            raise Failure(Category.INVALID, "AuditEvent is searched by plain values only.")
    assert_never(query)


def _joined(word: str, parts: Iterable[Condition], nothing: Condition) -> Condition:
    """The parts in a balanced tree, since SQLite bounds how deep an expression may be."""
    given = list(parts)
    if len(given) < 2:
        return given[0] if given else nothing
    middle = len(given) // 2
    left, right = _joined(word, given[:middle], nothing), _joined(word, given[middle:], nothing)
    return f"({left[0]}{word}{right[0]})", left[1] + right[1]


def _among(column: str, values: list[str]) -> Condition:
    return f"({column} IS NOT NULL AND {column} IN ({','.join('?' * len(values))}))", tuple(values)


def _patient(identity: str) -> Condition:
    return "(patient IS ? OR user IS ?)", (identity, f"{PATIENT}/{identity}")


def _id(identity: str) -> Condition:
    event = parse_event_id(identity)
    return FALSE if event is None else ("(log_id = ? AND sequence = ? AND number = ?)", tuple(event))


def _match_id(test: Test) -> Condition:
    return _id(test.code or "") if isinstance(test, TokenTest) else FALSE


def _match_date(test: Test) -> Condition:
    if not isinstance(test, DateTest):
        return FALSE
    text, *bounds = _DATES[test.prefix]
    return f"({text})", tuple(getattr(test, bound) for bound in bounds)


def _match_patient(test: Test) -> Condition:
    if not isinstance(test, ReferenceTest) or test.key is None or test.version is not None:
        return FALSE
    return _patient(test.key.id) if test.key.type == PATIENT else FALSE


def _match_agent(test: Test) -> Condition:
    if not isinstance(test, ReferenceTest) or test.version is not None:
        return FALSE
    if test.key is not None:
        return "(user IS ?)", (str(test.key),)
    return FALSE if test.identifier is None else _identified(test.identifier)


def _identified(test: TokenTest) -> Condition:
    """User, client or server have this identifier; `principal` has each of them once."""
    tests, values = ["1"], list[str]()
    if test.no_system:
        tests.append("system IS NULL")
    for column, value in (("system", test.system), ("code", test.code)):
        if value is not None:
            tests.append(f"{column} = ?")
            values.append(value)
    some = f"FROM principal WHERE {' AND '.join(tests)} AND kind ="
    text = f"(subject IN (SELECT text {some} 1) OR client IN (SELECT text {some} 2) OR EXISTS (SELECT 1 {some} 3))"
    return text, tuple(values * 3)


def _match_entity(test: Test) -> Condition:
    if not isinstance(test, ReferenceTest):
        return FALSE
    if test.identifier is not None:
        raise Failure(Category.INVALID, "What was touched is searched by reference only.", code="not-supported")
    if test.key is None:
        return FALSE
    version = "" if test.version is None else " AND version IS ?"
    versions = () if test.version is None else (test.version,)
    touched: Condition = (f"id IN (SELECT event FROM entity WHERE key = ?{version})", (str(test.key), *versions))
    if test.key.type == PATIENT and test.version is None:
        return _joined(" OR ", (touched, ("(patient IS ?)", (test.key.id,))), FALSE)
    return touched


def _codes(column: str, system: str, meaning: Callable[[str], list[str]]) -> Callable[[Test], Condition]:
    """Matches tokens of one system against a column; `meaning` gives the column's values for a code."""

    def match_code(test: Test) -> Condition:
        if not isinstance(test, TokenTest) or test.no_system or test.system not in (None, system):
            return FALSE
        return TRUE if test.code is None else _among(column, meaning(test.code))

    return match_code


def _match_subtype(test: Test) -> Condition:
    """A named interaction has subtypes of R4; any other is an operation under a code of ours."""
    if not isinstance(test, TokenTest) or test.no_system:
        return FALSE
    is_ours: Condition = _not(_among("interaction", sorted(NAMED)))
    found: list[Condition] = []
    if test.system in (None, INTERACTIONS):
        if test.code is None:
            return TRUE
        found.append(_among("interaction", interactions_with(test.code)))
        if test.code == "operation":
            found.append(is_ours)
    if test.system in (None, OPERATIONS) and test.code not in NAMED:
        found.append(is_ours if test.code is None else _among("interaction", [test.code]))
    return _joined(" OR ", found, FALSE)


def _not(condition: Condition) -> Condition:
    return f"NOT {condition[0]}", condition[1]


_PARAMETERS: dict[str, Callable[[Test], Condition]] = {
    "_id": _match_id,
    "_lastUpdated": _match_date,
    "date": _match_date,
    "patient": _match_patient,
    "agent": _match_agent,
    "entity": _match_entity,
    "type": _codes(f"'{REST}'", EVENT_TYPES, lambda code: [code]),
    "subtype": _match_subtype,
    "outcome": _codes("outcome", OUTCOMES, lambda code: [code]),
}
"""How each parameter that AuditEvent is searched by matches one test."""
