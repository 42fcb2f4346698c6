"""Policy: from a Caller to its Grant. A type, a role or a unit nobody named is not granted.

- `patient/` reaches records whose facts name the Caller's patient and nobody else. Directory types (people, places,
  organisations) have no such fact: they may be read by id, and nothing more; the Patient is its own compartment.
- `user/` and `system/` reach records of the Caller's units, or of all units; within its enterprise, if it has one.
  Directory types have no unit and are reached by scope alone. Without units these two levels give nothing.
- Definitions (search parameters, code systems …) describe the server and hold nothing about anybody: whoever has the
  scope may read and search them.
- AuditEvents need the role auditor besides the scope.
- A Binary has no facts of its own. The Grant says whether the Caller may deal with Binaries at all: where a scope
  names them, or allows the same act on a type that can hold an Attachment; whoever may upload may read what it
  uploaded. Which Binary is decided by the records that refer to it or by its uploader, so `admits` refuses each one.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import ACTIONS, Action, Grant, Rule
from fhirmedia.access.scopes import Level, Scope, ScopeParser, parse_scopes
from fhirmedia.access.unsettled import SETTLED, Unsettled
from fhirmedia.r4.elements import attachment_paths
from fhirmedia.r4.query import EVERYTHING, NOTHING, All, FactIn, FactToken, Query
from fhirmedia.r4.registry import Registry, ServedType

AUDITOR = "auditor"
LABEL_MANAGER = "label-manager"
IMPORTER = "importer"
OPERATOR = "operator"
ROLES = frozenset({AUDITOR, LABEL_MANAGER, IMPORTER, OPERATOR})
"""The roles a token may carry."""

_PATIENT = "Patient"  # type-name: the one directory type that is in a patient's compartment, its own
_BINARY = "Binary"  # type-name: the one type without facts of its own
_AUDIT_EVENT = "AuditEvent"  # type-name: the one type that takes a role

_ACTIONS: Mapping[str, Action] = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


def grant_for(caller: Caller, registry: Registry, *, unsettled: Unsettled = SETTLED) -> Grant:
    """What the Caller may touch among the served types; everything for a system Caller."""
    if caller.system_reason is not None:
        return Grant((Rule(frozenset(ACTIONS), frozenset(registry.types), EVERYTHING),))
    alike: dict[tuple[frozenset[Action], Query], set[str]] = {}
    for scope in caller.scopes:
        for served in _named(scope, registry):
            actions = _actions(scope, served)
            rows = _rows(scope, served, caller=caller, unsettled=unsettled)
            if actions and rows is not None:
                alike.setdefault((actions, rows), set()).add(served.name)
    rules = [Rule(actions, frozenset(types), rows) for (actions, rows), types in alike.items()]
    return Grant((*(rule for rule in rules if rule.rows != NOTHING), *_bytes(rules, registry)))


def own_log_grant(caller: Caller, patient: str) -> Grant:
    """What a Patient may read of the log about itself: the events about it, where its token lets it read itself."""
    is_own = caller.patient == patient and any(
        scope.level == "patient" and scope.type in ("*", _PATIENT) and "r" in scope.letters for scope in caller.scopes
    )
    if not is_own:
        return Grant(())
    return Grant((Rule(frozenset({"read", "search"}), frozenset({_AUDIT_EVENT}), EVERYTHING),))


def scope_parser(registry: Registry) -> ScopeParser:
    """`parse_scopes` for the types this Registry serves and the parameters it marks as scopable."""
    return partial(parse_scopes, served_types=registry.types, scopable=partial(_scopable, registry))


def _scopable(registry: Registry, type: str, parameter: str) -> bool:
    found = registry.parameter(type, parameter)
    return found is not None and found.scopable


def _named(scope: Scope, registry: Registry) -> Iterable[ServedType]:
    """The types the scope speaks of; those on which one of its parameters does not work are left out."""
    for name, served in registry.types.items():
        if scope.type in ("*", name) and all(
            _scopable(registry, name, parameter) for parameter, _ in scope.constraints
        ):
            yield served


def _actions(scope: Scope, served: ServedType) -> frozenset[Action]:
    actions = frozenset(_ACTIONS[letter] for letter in scope.letters)
    if served.name == _BINARY:
        return actions - {"search"}
    if served.definition:
        return actions & {"read", "search"}
    if scope.level == "patient" and served.directory and served.name != _PATIENT:
        return actions & {"read"}
    return actions


def _rows(scope: Scope, served: ServedType, *, caller: Caller, unsettled: Unsettled) -> Query | None:
    """Which records of the type the scope reaches; None for none at all."""
    reach = _reach(scope.level, served, caller=caller, unsettled=unsettled)
    if reach is None or (served.name == _AUDIT_EVENT and AUDITOR not in caller.roles):
        return None
    if served.name == _BINARY:
        return NOTHING
    tokens = tuple(FactToken(parameter, values) for parameter, values in scope.constraints)
    parts = (*reach, *tokens)
    return parts[0] if len(parts) == 1 else All(parts)


def _reach(level: Level, served: ServedType, *, caller: Caller, unsettled: Unsettled) -> tuple[Query, ...] | None:
    if served.definition:
        return ()
    if level == "patient":
        if caller.patient is None:
            return None
        if served.directory and served.name != _PATIENT:
            return ()
        return (FactIn("sole_patient", frozenset({caller.patient})),)
    if not caller.units and not caller.all_units:
        return None
    if served.directory:
        return ()
    units = () if caller.all_units else (FactIn("unit", caller.units),)
    enterprise = () if caller.enterprise is None else (FactIn("enterprise", frozenset({caller.enterprise})),)
    return (*units, *enterprise, *unsettled.limits(caller))


def _bytes(rules: Iterable[Rule], registry: Registry) -> Iterable[Rule]:
    """The rule that lets a Caller deal with Binaries, as such or by way of the types that hold Attachments."""
    actions = {
        action
        for rule in rules
        if any(name == _BINARY or _holds_content(registry.types[name]) for name in rule.types)
        for action in rule.actions - {"search"}
    }
    if "create" in actions:
        actions.add("read")
    if actions:
        yield Rule(frozenset(actions), frozenset({_BINARY}), NOTHING)


def _holds_content(served: ServedType) -> bool:
    return bool(attachment_paths(served.name)) and not served.definition
