"""Facts follow a change elsewhere: few at once, many in batches; until then only what old and new admit is shown."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Category, Failure
from fhirmedia.custody import dependents, facts_job
from fhirmedia.r4.extract import Extractor
from tests.access.houses import BASE, House, anna, derm, eyes, house, importer, someone
from tests.access.houses import _opened as opened  # an archive that is opened again
from tests.access.records import a
from tests.audit.rows import disclosures
from tests.fhir.bundling import entry

FACTS = "SELECT id, unit, enterprise FROM res_row WHERE type = 'Media' ORDER BY id"


@pytest.fixture
def living(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "data") as made:
        yield made


@pytest.fixture
def one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependents, "AT_ONCE", 1)


def visit(unit: str, **other: Any) -> dict[str, Any]:
    return a("Encounter", "visit", unit=unit, **other)


def picture(id: str, **other: Any) -> dict[str, Any]:
    """A Media that belongs to whom its Encounter belongs to."""
    return a("Media", id, unit=None, encounter={"reference": "Encounter/visit"}, **other)


def works_off(living: House) -> None:
    living.run(job(living).work_off())


def job(living: House) -> Any:
    from fhirmedia.custody.facts_job import FactsJob

    inner: Any = living.archive.custodian
    return FactsJob(inner._stores.records, inner._intake._dependents, pending=inner._stores.pending)


def pending(living: House) -> set[str]:
    return {f"{reach.fact}/{reach.value}" for reach in living.stores.pending()}


def sees(living: House, caller: Caller, key: str) -> bool:
    try:
        living.read(caller, key)
    except Failure as failure:
        if failure.category is not Category.NOT_FOUND:
            raise
        return False
    return True


def listed(living: House, caller: Caller) -> tuple[list[str], int]:
    bundle = living.search(caller, "Media", "_total=accurate&_sort=_id")
    return [entry["resource"]["id"] for entry in bundle.get("entry", ())], bundle["total"]


def test_few_follow_in_the_transaction_of_the_change(living: House) -> None:
    living.put(importer(), visit("derm"))
    for number in range(3):
        living.put(importer(), picture(f"m{number}"))
    assert listed(living, derm()) == (["m0", "m1", "m2"], 3)
    before = living.rows()
    living.put(importer(), visit("eyes"))
    assert pending(living) == set()
    assert listed(living, derm()) == ([], 0)
    assert listed(living, eyes()) == (["m0", "m1", "m2"], 3)
    assert living.rows() >= before + 2
    told = [row for row in disclosures(living.path) if row.interaction == "facts"]
    assert [(row.subject, len(row.touched)) for row in told] == [("system", 3)]
    assert told[0].reason


def test_until_all_have_followed_old_and_new_must_admit(living: House, one_at_once: None) -> None:
    living.put(importer(), visit("derm"))
    for number in range(4):
        living.put(importer(), picture(f"m{number}"))
    living.put(importer(), a("Media", "other"))
    living.put(importer(), visit("eyes"))
    assert pending(living) == {"encounter/Encounter/visit"}
    everyone = ["m0", "m1", "m2", "m3", "other"]
    for caller, shown in ((derm(), ["other"]), (eyes(), []), (someone(), everyone), (anna(), everyone)):
        assert listed(living, caller) == (shown, len(shown))
        for id in everyone:
            assert sees(living, caller, f"Media/{id}") is (id in shown)
    with pytest.raises(Failure) as refused:
        living.put(derm(), picture("m3", note=[{"text": "changed"}]))
    assert refused.value.category is Category.NOT_ALLOWED
    assert sees(living, eyes(), "Encounter/visit")  # its own facts are those it was written with
    assert not sees(living, derm(), "Encounter/visit")
    works_off(living)
    assert pending(living) == set()
    assert listed(living, derm()) == (["other"], 1)
    assert listed(living, eyes()) == (["m0", "m1", "m2", "m3"], 4)
    assert [len(row.touched) for row in disclosures(living.path) if row.interaction == "facts"] == [1] * 4


def test_what_waits_survives_a_restart(tmp_path: Path, one_at_once: None) -> None:
    with house(tmp_path / "data") as living:
        living.put(importer(), visit("derm"))
        for number in range(3):
            living.put(importer(), picture(f"m{number}"))
        living.put(importer(), visit("eyes"))
    with opened(tmp_path / "data") as living:
        assert pending(living) == {"encounter/Encounter/visit"}
        assert listed(living, eyes()) == ([], 0)
        works_off(living)
        assert listed(living, eyes()) == (["m0", "m1", "m2"], 3)


def test_a_change_during_the_work_begins_it_anew(living: House, one_at_once: None) -> None:
    living.put(importer(), visit("derm"))
    for number in range(4):
        living.put(importer(), picture(f"m{number}"))
    living.put(importer(), visit("eyes"))
    inner: Any = living.archive.custodian
    assert living.run(inner._stores.records.write(inner._intake._dependents.work_off))
    living.put(importer(), visit("derm"))
    living.put(importer(), picture("m4"))
    assert listed(living, derm()) == ([], 0)
    works_off(living)
    assert listed(living, derm()) == (["m0", "m1", "m2", "m3", "m4"], 5)
    assert listed(living, eyes()) == ([], 0)


def test_a_damaged_record_does_not_keep_the_others_waiting(living: House, one_at_once: None) -> None:
    living.put(importer(), visit("derm"))
    for number in range(3):
        living.put(importer(), picture(f"m{number}"))
    with sqlite3.connect(living.path / "records.db") as intruder:
        intruder.execute("UPDATE record_version SET body = X'7b' WHERE type = 'Media' AND id = 'm1'")
    intruder.close()
    living.put(importer(), visit("eyes"))
    works_off(living)
    assert pending(living) == set()
    for id in ("m0", "m2"):
        assert sees(living, eyes(), f"Media/{id}")
    assert not sees(living, eyes(), "Media/m1")
    told = [row.touched for row in disclosures(living.path) if row.interaction == "facts"]
    assert [str(touch.key) for touched in told for touch in touched] == ["Media/m0", "Media/m2"]


def test_the_job_outlives_whatever_happens(
    living: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    work, tries = job(living), []

    def pending_or_not() -> frozenset[Any]:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("of a patient")
        if len(tries) == 3:
            raise asyncio.CancelledError
        return frozenset()

    work._pending = pending_or_not
    for pause in ("_LOOK_S", "_REST_S"):
        monkeypatch.setattr(facts_job, pause, 0)
    with pytest.raises(asyncio.CancelledError):
        living.run(work.run())
    assert len(tries) == 3
    assert "ValueError" in caplog.text
    assert "of a patient" not in caplog.text


def test_a_change_of_nothing_that_is_lent_touches_nobody(living: House, one_at_once: None) -> None:
    living.put(importer(), visit("derm"))
    for number in range(3):
        living.put(importer(), picture(f"m{number}"))
    living.put(importer(), visit("derm", priority={"text": "high"}))
    assert pending(living) == set()
    living.put(importer(), a("Organization", "derm", name="another", partOf={"reference": "Organization/north"}))
    assert not [row for row in disclosures(living.path) if row.interaction == "facts"]


def test_the_end_and_the_coming_of_an_encounter(living: House) -> None:
    living.put(importer(), picture("m"))
    assert listed(living, derm()) == ([], 0)
    living.put(importer(), visit("derm"))
    assert listed(living, derm()) == (["m"], 1)
    living.delete(importer(), "Encounter/visit")
    assert listed(living, derm()) == ([], 0)
    living.put(importer(), visit("derm", of="bo"))
    assert listed(living, derm()) == ([], 0)  # a visit of somebody else lends nothing
    living.put(importer(), visit("derm"))
    assert listed(living, derm()) == (["m"], 1)


def test_what_was_deleted_follows_too(living: House) -> None:
    living.put(importer(), visit("derm"))
    living.put(importer(), picture("m"))
    living.delete(importer(), "Media/m")
    living.put(importer(), visit("eyes"))
    with pytest.raises(Failure) as told:
        living.read(eyes(), "Media/m")
    assert told.value.category is Category.GONE
    assert not sees(living, derm(), "Media/m")
    assert listed(living, eyes()) == ([], 0), "and is found no more than before"


def test_what_the_same_transaction_moves_elsewhere_does_not_follow(living: House) -> None:
    living.put(importer(), visit("derm"))
    living.put(importer(), picture("m"))
    living.transaction(
        importer(),
        entry("PUT", "Media/m", a("Media", "m", unit="derm", note=[{"text": "of no visit"}])),
        entry("PUT", "Encounter/visit", visit("eyes")),
    )
    assert listed(living, derm()) == (["m"], 1)
    assert listed(living, eyes()) == ([], 0)
    assert not [row for row in disclosures(living.path) if row.interaction == "facts"]


def test_what_leaves_a_unit_with_the_unit_does_not_follow_it(living: House) -> None:
    living.put(importer(), a("Organization", "south"))
    living.put(importer(), a("Media", "m"))
    living.transaction(
        importer(),
        entry("PUT", "Media/m", a("Media", "m", unit="eyes")),
        entry("PUT", "Organization/derm", a("Organization", "derm", partOf={"reference": "Organization/south"})),
    )
    assert listed(living, eyes()) == (["m"], 1)
    assert listed(living, derm()) == ([], 0)
    assert not [row for row in disclosures(living.path) if row.interaction == "facts"]


def test_what_is_served_no_more_stays_as_it_is(living: House) -> None:
    living.put(importer(), visit("derm"))
    living.put(importer(), picture("m"))
    inner: Any = living.archive.custodian
    job = inner._intake._dependents
    types = {name: served for name, served in job._registry.types.items() if name != "Media"}
    job._registry = replace(job._registry, types=types)
    job._extractor = Extractor(job._registry, base_url=BASE, zone=ZoneInfo("Europe/Stockholm"))
    living.put(importer(), visit("eyes"))
    assert listed(living, derm()) == (["m"], 1)
    assert not [row for row in disclosures(living.path) if row.interaction == "facts"]


def test_an_organization_below_one_that_is_not_there(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    living.put(importer(), a("Organization", "derm", partOf={"reference": "Organization/nowhere"}))
    assert listed(living, bound("north")) == ([], 0)
    assert listed(living, derm()) == (["m"], 1)


def bound(enterprise: str, **changes: Any) -> Caller:
    return someone(enterprise=enterprise, **changes)


def test_organizations_carry_what_is_below_them(living: House, one_at_once: None) -> None:
    for number in range(2):
        living.put(importer(), a("Media", f"m{number}"))
    living.put(importer(), a("Organization", "region"))
    assert listed(living, bound("north")) == (["m0", "m1"], 2)
    living.put(importer(), a("Organization", "north", partOf={"reference": "Organization/region"}))
    assert pending(living) == {"unit/derm"}
    for caller in (bound("north"), bound("region"), bound("north", units=frozenset({"derm"}))):
        assert listed(living, caller) == ([], 0)
    assert listed(living, derm()) == (["m0", "m1"], 2)
    works_off(living)
    assert listed(living, bound("north")) == ([], 0)
    assert listed(living, bound("region")) == (["m0", "m1"], 2)


def test_organizations_in_a_ring_end(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    living.put(importer(), a("Organization", "north", partOf={"reference": "Organization/derm"}))
    assert listed(living, bound("north")) == ([], 0)
    living.put(importer(), a("Organization", "north"))
    assert listed(living, bound("north")) == (["m"], 1)


def test_history_follows(living: House) -> None:
    living.put(importer(), visit("derm"))
    living.put(importer(), picture("m"))
    living.put(importer(), visit("eyes"))
    assert [entry["response"]["etag"] for entry in living.history(eyes(), "Media/m")["entry"]] == ['W/"1"']
    with pytest.raises(Failure):
        living.history(derm(), "Media/m")


def test_the_body_keeps_its_tag(living: House) -> None:
    """Facts follow; what was written, and its version, stay."""
    living.put(importer(), visit("derm"))
    written = living.put(importer(), picture("m"))
    living.put(importer(), visit("eyes"))
    assert json.dumps(living.read(eyes(), "Media/m")) == json.dumps(written)
