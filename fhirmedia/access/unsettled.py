"""Unsettled: records whose facts wait for a change elsewhere, by the facts they are found by."""

from dataclasses import dataclass

from fhirmedia.access.caller import Caller
from fhirmedia.r4.facts import LENDERS
from fhirmedia.r4.query import Any, FactIn, Not, OfType, Query


@dataclass(frozen=True, slots=True)
class Unsettled:
    """`encounters` (as `Type/id`) whose unit is not yet that of all their records, `units` (ids) their enterprise.

    What such a record was and what it will be must both admit a Caller. Which of the two its facts say is not known, so
    nobody sees it whom those facts bind: a Caller bound to units does not see records of the encounters, but for the
    Encounter itself, and one bound to an enterprise sees neither.
    """

    encounters: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()

    def limits(self, caller: Caller) -> tuple[Query, ...]:
        """What has to hold of a record besides, for this Caller under `user/` and `system/`."""
        limits: list[Query] = []
        if self.encounters and not (caller.all_units and caller.enterprise is None):
            own = OfType(frozenset(LENDERS))
            limits.append(Any((own, Not(FactIn("encounter", self.encounters)))))
        if self.units and caller.enterprise is not None:
            limits.append(Not(FactIn("unit", self.units)))
        return tuple(limits)


SETTLED = Unsettled()
"""Nothing waits."""
