"""Reading ahead: what is proposed is read before the writer's turn, as far as that is of use."""

from collections.abc import Mapping
from contextlib import suppress

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.breath import Breath
from fhirmedia.core.records import Key
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
        with suppress(Exception):  # the transaction meets it again, or does well without
            ahead = await _read(records, readings, caller, grant, proposal, coming)
            if ahead is not None:
                found[proposal.key] = ahead
    return found


async def _read(
    records: RecordStore, readings: Readings, caller: Caller, grant: Grant, proposal: Proposal, coming: set[Key]
) -> ReadAhead | None:
    """None for an update of what the Caller may not write: what is hidden takes no other time than what is absent."""
    key, resource, old = proposal.key, proposal.resource, None
    is_new_if_absent = proposal.method == "create" and proposal.condition is not None
    if resource is None or key.type == BINARY or is_new_if_absent:
        return None
    if proposal.method == "update":
        old = (await records.read((key,)))[0]
        if old is None or old.deleted or not grant.admits("update", key, old.facts):
            return None
    return readings.ahead(resource, key, caller, old=old, coming=coming)
