"""Reading ahead: the Readings of what is proposed, made before the writer's turn as far as that is of use."""

import asyncio
from collections.abc import Mapping

from fhirmedia.access.caller import Caller
from fhirmedia.access.grant import Grant
from fhirmedia.core.errors import Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.intake import Intake
from fhirmedia.custody.proposal import Proposal, Proposals
from fhirmedia.custody.readings import Reading
from fhirmedia.ports.records import RecordStore

MOST = 1_000
"""Of more that are proposed together the rest is read in the transaction: Readings are held until it is over."""

_IN_ONE_TURN = 8
"""So many are read before others have a turn of the event loop, which is two or three milliseconds."""


async def read_ahead(
    records: RecordStore, intake: Intake, caller: Caller, grant: Grant, proposals: Proposals
) -> Mapping[Key, Reading]:
    """Readings by Key. What is refused here is refused in the transaction again, and told there."""
    if proposals.references:
        return {}  # the transaction puts other references in place of these
    found: dict[Key, Reading] = {}
    for at, proposal in enumerate(proposals.each[:MOST], start=1):
        try:
            reading = await _reading(records, intake, caller, grant, proposal)
        except Failure:
            continue
        if reading is not None:
            found[proposal.key] = reading
        if at % _IN_ONE_TURN == 0:
            await asyncio.sleep(0)
    return found


async def _reading(
    records: RecordStore, intake: Intake, caller: Caller, grant: Grant, proposal: Proposal
) -> Reading | None:
    """None for an update of what the Caller may not write: what is hidden takes no other time than what is absent."""
    old = None
    if proposal.resource is None:
        return None
    if proposal.method == "update":
        old = (await records.read((proposal.key,)))[0]
        if old is None or old.deleted or not grant.admits("update", old.key, old.facts):
            return None
    return intake.read_ahead(proposal.key, proposal.resource, caller, old=old)
