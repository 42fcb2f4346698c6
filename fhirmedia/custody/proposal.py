"""Writes as proposed, before anything about them was decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure, Issue
from fhirmedia.core.records import Key, Method, Record
from fhirmedia.r4.json_types import JsonObject
from fhirmedia.r4.query import Query


@dataclass(frozen=True, slots=True)
class Condition:
    """A search for the one resource that is meant; what it finds is judged inside the writer's transaction.

    `place` is the element that states it, where that is not the request itself.
    """

    type: str
    query: Query
    place: str | None = None


Expected: TypeAlias = int | Literal["any", "none"] | None
"""What the newest version has to be: one of this number, any that is no deletion, none at all; None: whatever it is."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an interaction wants written.

    `expected` is what If-Match or If-None-Match said. Content the Session has staged for it is made into Binaries in
    the same transaction; where the resource itself is a Binary, into that one. With a `condition`, `key` is what a new
    one gets: a create is not done where the condition finds one; an update is of what it finds, and a create
    otherwise; a delete is of what it finds. `place` is where failures are told to be, `chosen` that the id in `key` is
    the client's. `patched`: the resource was made of the version `expected` of what `key` names, which a condition has
    to find, too; without a resource nothing is to be changed about it. `unless_same`: nothing is written where the
    newest version already is the same.
    """

    key: Key
    method: Method
    resource: JsonObject | None = None
    expected: Expected = None
    condition: Condition | None = None
    place: str | None = None
    chosen: bool = True
    patched: bool = False
    unless_same: bool = False


@dataclass(frozen=True, slots=True)
class Proposals:
    """What is to be written together or not at all.

    `references` are placeholders that stand in the resources (`Patient/…`), each with the search that finds what they
    stand for. `versioned` says that some reference names a version, which is to be the one that comes to be.
    """

    each: tuple[Proposal, ...]
    references: Mapping[Key, Condition] = field(default_factory=dict)
    versioned: bool = False


def expect(proposal: Proposal, old: Record | None) -> None:
    """Raise PRECONDITION unless the newest version is what If-Match or If-None-Match said.

    Raises CONFLICT where it is not the one that a patch was applied to.
    """
    wanted = proposal.expected
    is_there = old is not None and not old.deleted
    if proposal.patched and (old is None or old.version != wanted):
        raise overtaken()
    if wanted == "none":
        if is_there:
            raise Failure(Category.PRECONDITION, "There is a resource already, which If-None-Match rules out.")
    elif wanted == "any":
        if not is_there:
            raise Failure(Category.PRECONDITION, "There is no resource, which If-Match demands.")
    elif wanted is not None and (old is None or old.version != wanted):
        raise Failure(Category.PRECONDITION, "The resource has another version than If-Match names.")


def method_of(proposal: Proposal, old: Record | None) -> Method:
    """What history will say of a version that is no deletion, `old` being the newest one so far."""
    if old is not None and not old.deleted:
        return "update"
    return "create" if proposal.method == "create" else "update-as-create"


OVERTAKEN = "lock-error"
"""The issue code of a patch that somebody else came before: applied anew it may do."""


def overtaken() -> Failure:
    """What was patched is no longer what is there."""
    text = "The resource was changed by others while it was patched; try again."
    return Failure(Category.CONFLICT, text, code=OVERTAKEN)


def may_create_under(caller: Caller, identity: str) -> bool:
    """Whether a PUT of this Caller may create a resource under this id."""
    return any(prefix == "*" or identity.startswith(prefix) for prefix in caller.id_prefixes)


def located(failure: Failure, place: str, kind: str | None) -> Failure:
    """The same Failure, its expressions below the entry of this place or its resource, which is of this type.

    `Media.subject` becomes `Bundle.entry[3].resource.subject`.
    """
    issues = [
        Issue(issue.code, issue.text, _below(place, kind, issue.expression), issue.severity) for issue in failure.issues
    ]
    return Failure(failure.category, issues=issues, retry_after_s=failure.retry_after_s)


def _below(place: str, kind: str | None, expression: str | None) -> str:
    if expression is None:
        return place
    if expression.startswith(f"{place}."):
        return expression
    root, dot, rest = expression.partition(".")
    return f"{place}.resource{dot}{rest}" if root == kind else place
