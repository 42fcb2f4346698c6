"""Reading ahead: what is proposed is read before the writer's turn, as far as that is of use."""

from collections.abc import Mapping
from contextlib import suppress

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.breath import Breath
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key, Record
from fhirmedia.custody.binaries import BINARY
from fhirmedia.custody.proposal import Proposal, Proposals
from fhirmedia.custody.readings import ReadAhead, Readings
from fhirmedia.ports.records import RecordStore

MOST = 1_000
"""Of more that are proposed together the rest is read in the transaction: what was read is held until it is over."""


async def read_ahead(
    records: RecordStore, readings: Readings, caller: Caller, grant: Grant, proposals: Proposals
) -> Mapping[Key, ReadAhead]:
    """What could be read, by Key. Nothing is refused here: whatever is wrong is told by the transaction."""
    if proposals.references:
        return {}  # the transaction puts other references in place of these
    coming = {each.key for each in proposals.each}
    found: dict[Key, ReadAhead] = {}
    breath = Breath()
    for proposal in proposals.each[:MOST]:
        await breath.take()
        with suppress(Failure):  # the transaction meets it again
            ahead = await _read(records, readings, caller, grant, proposal, coming)
            if ahead is not None:
                found[proposal.key] = ahead
    return found


async def _read(
    records: RecordStore, readings: Readings, caller: Caller, grant: Grant, proposal: Proposal, coming: set[Key]
) -> ReadAhead | None:
    """None for an update of what the Caller may not write: what is hidden takes no other time than what is absent."""
    key, resource, old = proposal.key, proposal.resource, None
    if resource is None or key.type == BINARY or proposal.condition is not None:
        return None
    if proposal.method == "update":
        old = await _stored(records, key)
        if old is None or old.deleted or not grant.admits("update", key, old.facts):
            return None
    return readings.ahead(resource, key, caller, old=old, coming=coming)


async def _stored(records: RecordStore, key: Key) -> Record | None:
    """The newest version, as far as it can be read: the transaction does not need this connection."""
    try:
        return (await records.read((key,)))[0]
    except Exception:  # noqa: BLE001 (a write must not fail for want of what only makes it faster)
        return None
