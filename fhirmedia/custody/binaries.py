"""Binaries: made by an upload, its uploader's until a record refers to them, unchangeable from then on."""

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Facts, Key, Method, Record
from fhirmedia.custody.proposal import Proposal, expect, may_create_under, method_of
from fhirmedia.ports.records import Content, Draft, RecordTransaction
from fhirmedia.r4.codec import prepare
from fhirmedia.r4.json_types import JsonObject

BINARY = "Binary"  # type-name: the one type that stands for bytes


class Binaries:
    """Writes of Binaries inside the writer's transaction."""

    def upload(self, transaction: RecordTransaction, caller: Caller, binary_id: str, content: Content) -> Record:
        """A new, unclaimed Binary of this Caller."""
        resource: JsonObject = {"resourceType": BINARY, "contentType": content.content_type}
        return self._put(transaction, caller, Key(BINARY, binary_id), resource, content)

    def stands(self, transaction: RecordTransaction, binary_id: str, content: Content) -> bool:
        """Whether the newest version of a Binary stands for these bytes, called by the same type."""
        binary, known = transaction.current(Key(BINARY, binary_id)), transaction.content(binary_id)
        return binary is not None and not binary.deleted and known is not None and _alike(known, content)

    def write(
        self,
        transaction: RecordTransaction,
        caller: Caller,
        grant: Grant,
        proposal: Proposal,
        *,
        content: Content | None,
    ) -> Record:
        """Create, replace or delete a Binary. Raises NOT_FOUND, NOT_ALLOWED, CONFLICT, PRECONDITION, FORBIDDEN."""
        key = proposal.key
        old = transaction.current(key)
        seen = old if readable(transaction, caller, grant, key, old) else None
        if proposal.method == "delete":
            if seen is None:
                raise Failure(Category.NOT_FOUND, "There is no such resource.")
            _require_replaceable(proposal, seen, claimed=bool(transaction.referrers(key.id)))
            return seen if seen.deleted else transaction.put(Draft(key, "delete", None, seen.facts, None))
        if content is None or proposal.resource is None:
            raise Failure(Category.INTERNAL, "A Binary was proposed without its content.")
        if proposal.method == "create" and old is not None:
            raise Failure(Category.CONFLICT, "The id is taken.")
        if proposal.method == "update":
            if seen is not None and proposal.unless_same and self.stands(transaction, key.id, content):
                return seen
            claimed = bool(transaction.referrers(key.id))
            require_update(caller, grant, proposal, old=old, seen=seen, claimed=claimed)
        return self._put(transaction, caller, key, proposal.resource, content, method=method_of(proposal, old))

    def _put(
        self,
        transaction: RecordTransaction,
        caller: Caller,
        key: Key,
        resource: JsonObject,
        content: Content,
        *,
        method: Method = "create",
    ) -> Record:
        facts = Facts(owner=caller.owner)
        return transaction.put(Draft(key, method, prepare(resource), facts, None, content))


def require_update(
    caller: Caller, grant: Grant, proposal: Proposal, *, old: Record | None, seen: Record | None, claimed: bool
) -> None:
    """Raise unless a Binary may be put under this Key; `old` is the newest version there, `seen` if it may be read.

    Raises Failure NOT_ALLOWED (absent or hidden, alike), FORBIDDEN, PRECONDITION, CONFLICT.
    """
    if old is None and may_create_under(caller, proposal.key.id):
        grant.require("create", BINARY)
        expect(proposal, None)
    elif seen is None:
        raise Failure(Category.NOT_ALLOWED, "There is no such resource, and this client may not choose its id.")
    else:
        _require_replaceable(proposal, seen, claimed=claimed)


def _require_replaceable(proposal: Proposal, seen: Record, *, claimed: bool) -> None:
    """Raise unless a Binary that may be read may be changed too: nobody refers to it, so it is its reader's own."""
    expect(proposal, seen)
    if claimed:
        raise Failure(
            Category.CONFLICT, "A record refers to this Binary; new bytes are a new Binary and a new version of it."
        )


def _alike(one: Content, other: Content) -> bool:
    return (one.content_type, one.blob.digest) == (other.content_type, other.blob.digest)


def readable(transaction: RecordTransaction, caller: Caller, grant: Grant, key: Key, binary: Record | None) -> bool:
    """Whether the Caller may read a Binary: through a record it may read, or as its uploader until it is claimed.

    The same is asked of an absent one (None) as of a hidden one, so that both take the same time.
    """
    referrers = transaction.referrers(key.id)
    for referrer in referrers:
        if not grant.admits("read", referrer.key, referrer.facts):
            continue
        newest = transaction.current(referrer.key) or referrer
        if not newest.deleted and grant.admits("read", newest.key, newest.facts):
            return True
    return binary is not None and not referrers and binary.facts.owner == caller.owner
