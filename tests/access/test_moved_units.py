"""Whose enterprise records are in follows from Organizations, which those bound to one do not move."""

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category
from tests.access.houses import House, derm, eyes, ids, importer, refused, someone
from tests.access.records import Resource, a
from tests.fhir.bundling import entry


def below(unit: str, parent: str) -> Resource:
    return a("Organization", unit, partOf={"reference": f"Organization/{parent}"})


BOUND = {
    "to another enterprise": someone(enterprise="south", id_prefixes=("*",)),
    "to this enterprise": someone(enterprise="north", id_prefixes=("*",)),
    "to its unit": derm(id_prefixes=("*",)),
    "to a unit of another enterprise": eyes(enterprise="south", id_prefixes=("*",)),
}


@pytest.mark.parametrize("caller", BOUND.values(), ids=BOUND)
def test_nobody_bound_moves_records_by_moving_their_organization(living: House, caller: Caller) -> None:
    """Whose enterprise a record is in follows from `partOf`, so whom that binds may not change it."""
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), a("Media", "m"))
    for moved in (below("derm", "south"), below("north", "south"), a("Organization", "derm")):
        with refused(Category.FORBIDDEN) as said:
            living.put(caller, moved)
        assert said.issues[0].expression == "Organization.partOf"
    for unit in ("derm", "north"):
        with refused(Category.FORBIDDEN) as kept:
            living.delete(caller, f"Organization/{unit}")
        assert kept.issues[0].expression is None, "a deletion has no element"
    assert ids(living.search(someone(enterprise="south"), "Media")) == []
    assert ids(living.search(someone(enterprise="north"), "Media")) == ["Media/m"]
    living.put(caller, below("derm", "north") | {"name": "another"})


@pytest.mark.parametrize("caller", BOUND.values(), ids=BOUND)
def test_nobody_bound_takes_records_by_making_their_organization(living: House, caller: Caller) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), a("Media", "early", unit="late"))
    with refused(Category.FORBIDDEN):
        living.put(caller, below("late", "south"))
    with refused(Category.FORBIDDEN):
        living.transaction(caller, entry("PUT", "Organization/late", below("late", "south")))
    living.put(importer(), below("late", "north"))
    living.delete(importer(), "Organization/late")
    with refused(Category.FORBIDDEN):
        living.put(caller, below("late", "south"))


@pytest.mark.parametrize("caller", BOUND.values(), ids=BOUND)
def test_an_organization_without_records_is_moved_by_its_scope(living: House, caller: Caller) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(caller, below("new", "north"))
    living.put(caller, below("new", "south"))
    living.delete(caller, "Organization/new")


def test_whom_no_enterprise_binds_moves_organizations(living: House) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), a("Media", "m"))
    living.put(someone(), below("derm", "south"))
    assert ids(living.search(someone(enterprise="south"), "Media")) == ["Media/m"]
    living.delete(someone(), "Organization/derm")


def test_a_unit_and_its_records_come_together(living: House) -> None:
    living.transaction(
        someone(enterprise="north", id_prefixes=("*",)),
        entry("PUT", "Media/first", a("Media", "first", unit="ward")),
        entry("PUT", "Organization/ward", below("ward", "north")),
    )
    assert ids(living.search(someone(enterprise="north"), "Media")) == ["Media/first"]
