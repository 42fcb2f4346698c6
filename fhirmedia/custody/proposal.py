"""A write as proposed, before anything about it was decided."""

from dataclasses import dataclass

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key, Method, Record
from fhirmedia.r4.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an interaction wants written.

    `expected` is the version an If-Match named. Content the Session has staged for it is made into Binaries in the same
    transaction; where the resource itself is a Binary, into that one.
    """

    key: Key
    method: Method
    resource: JsonObject | None = None
    expected: int | None = None


def expect(proposal: Proposal, old: Record | None) -> None:
    """Raise PRECONDITION unless the version an If-Match named is the newest one."""
    if proposal.expected is not None and (old is None or old.version != proposal.expected):
        raise Failure(Category.PRECONDITION, "The resource has another version than If-Match names.")


def method_of(proposal: Proposal, old: Record | None) -> Method:
    """What history will say of a version that is no deletion, `old` being the newest one so far."""
    if old is not None and not old.deleted:
        return "update"
    return "create" if proposal.method == "create" else "update-as-create"


def may_create_under(caller: Caller, identity: str) -> bool:
    """Whether a PUT of this Caller may create a resource under this id."""
    return any(prefix == "*" or identity.startswith(prefix) for prefix in caller.id_prefixes)
