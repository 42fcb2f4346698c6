"""Which engine answers, how fresh the answer is, and what the answer says of that; on a real server."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from fhirmedia.backends.elastic import rows as rows_module
from fhirmedia.backends.following import routing
from fhirmedia.backends.following import worker as worker_module
from fhirmedia.backends.following.outbox import Outbox
from fhirmedia.backends.following.presence import Presence
from tests.app.commands import a_media, command, port_of, require
from tests.following.beside import (
    ACROSS,
    PATIENT_SCOPED,
    asked,
    begin,
    delete_media,
    drained,
    engine_of,
    ids,
    index_state,
    indexed,
    put_many,
    put_media,
    remarks,
    ring,
)
from tests.servers import Served
from tests.waiting import until

pytestmark = pytest.mark.services
LAG = "FHIRMedia-Index-Lag"


@pytest.fixture(scope="module")
def served(module_index_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with indexed(tmp_path_factory.mktemp("searches") / "data", module_index_address) as server:
        begin(server)
        drained(server)
        yield server


@pytest.fixture
def held_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The worker claims nothing: what is written waits."""
    claimed = worker_module.outbox_work.claim
    monkeypatch.setattr(worker_module.outbox_work, "claim", lambda *_given, **_named: [])
    yield
    monkeypatch.setattr(worker_module.outbox_work, "claim", claimed)
    ring(served)
    drained(served)


def test_lists_too_long_for_the_index_are_answered_by_the_database(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query in ("Media?status=completed,stopped,unknown", "Media?status:not=completed,stopped,unknown"):
        found = ids(asked(served, query))
        with monkeypatch.context() as changed:
            changed.setattr("fhirmedia.backends.elastic.clauses.MOST_TERMS", 2)
            answer = asked(served, query)
        assert ids(answer) == found
        assert float(answer.headers[LAG]) == 0 and remarks(answer) == []


def test_each_search_goes_to_the_engine_that_is_right(served: Served) -> None:
    beside = ["Media", ACROSS, PATIENT_SCOPED, "Patient?family=x", "Patient/p?_type=Media", "Media?text=word"]
    beside += [
        "?_type=Media,ImagingStudy&_sort=-when",
        "Patient/p?_type=Media,DiagnosticReport&when=ge2020",
        "Media?_id:not=m1",
    ]
    beside += ["Media?patient.name=x", "Patient?_has:Media:subject:kind=image", "Media?operator:Practitioner.name=x"]
    for search in beside:
        assert engine_of(served, search)[0] == "elasticsearch", search
    for search, why in (
        ("Media?_id=m1", "looked up"),
        ("Media?identifier=urn:dicom:uid|1.2.3", "looked up"),
        ("Encounter?status=planned", "does not hold Encounter"),
        ("?_type=Media,Encounter&_lastUpdated=gt2020", "does not hold Encounter"),
        ("Media?patient=Patient/p&operator:Practitioner.name=x", "of a patient's resources"),
    ):
        engine, said = engine_of(served, search)
        assert engine == "database", search
        assert why in said


def test_answers_are_the_same_and_say_how_fresh_they_are(served: Served) -> None:
    for search in (ACROSS, PATIENT_SCOPED, "Media?_id=m0,m1,m2"):
        answer = asked(served, search)
        assert {"m0", "m1", "m2"} <= ids(answer)
        assert remarks(answer) == []
        assert float(answer.headers[LAG]) < 5
    assert LAG not in asked(served, "SearchParameter?code=when").headers


def test_each_half_of_a_chain_goes_by_its_own_type(served: Served) -> None:
    require(served.put({"resourceType": "Patient", "id": "berit", "name": [{"family": "Ås"}]}))
    require(served.put({"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Ek"}]}))
    require(served.put({"resourceType": "Practitioner", "id": "nurse", "name": [{"family": "Alm"}]}))
    subject = {"reference": "Patient/berit"}
    put_media(served, "chain-1", subject=subject, operator={"reference": "Practitioner/dr"}, status="unknown")
    put_media(served, "chain-2", operator={"reference": "Practitioner/nurse"}, status="unknown")
    drained(served)
    for search, found in (
        ("Media?operator:Practitioner.name=ek", {"chain-1"}),
        ("Media?operator:Practitioner.name=nobody", set()),
        ("Media?patient.family=ås", {"chain-1"}),
        ("Media?status=unknown&operator:Practitioner.name=alm&_sort=-when", {"chain-2"}),
        ("Patient?_has:Media:subject:status=unknown&family=ås", {"berit"}),
        ("Patient?_has:Media:subject:operator:Practitioner.name=ek", {"berit"}),
        ("Media?patient._has:Media:subject:operator=Practitioner/dr", {"chain-1"}),
    ):
        assert engine_of(served, search)[0] == "elasticsearch", search
        answer = asked(served, search)
        assert ids(answer) == found, search
        assert remarks(answer) == []
    stats = require(asked(served, "Media/$media-stats?operator:Practitioner.name=ek&facet=year")).json()["parameter"]
    assert stats[0]["valueInteger"] == 1


def test_own_write_is_found_at_once(served: Served, held_up: None) -> None:
    for number in range(3):
        put_media(served, f"own-{number}")
        answer = asked(served, PATIENT_SCOPED)
        assert f"own-{number}" in ids(answer)
        assert remarks(answer) == []
    delete_media(served, "own-0")
    assert "own-0" not in ids(asked(served, PATIENT_SCOPED))
    assert index_state(served)["outbox_depth"] == 0
    # A record that goes from one Patient to another is found where it is now, and only there.
    require(served.put({"resourceType": "Patient", "id": "q"}))
    put_media(served, "own-1", subject={"reference": "Patient/q"})
    assert "own-1" not in ids(asked(served, PATIENT_SCOPED))
    assert "own-1" in ids(asked(served, "Media?subject=Patient/q"))


def test_across_patients_it_may_be_behind_and_says_so(
    served: Served, held_up: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_media(served, "late", status="preparation")
    answer = asked(served, "Media?status=preparation")
    assert "late" not in ids(answer)
    monkeypatch.setattr(routing, "_NOTED_LAG_MS", 300)
    until(lambda: float(asked(served, ACROSS).headers[LAG]) > 0.3)
    assert any("behind" in each for each in remarks(asked(served, ACROSS)))
    stats = require(asked(served, "Media/$media-stats?status=preparation&facet=kind")).json()["parameter"]
    assert next(part["valueDecimal"] for part in stats if part["name"] == "lag") > 0.3


def test_a_strong_search_waits_or_is_answered_by_the_database(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    strong = {"Prefer": "x-consistency=strong"}
    for number in range(3):
        put_media(served, f"strong-{number}", status="on-hold")
        answer = asked(served, "Media?status=on-hold", **strong)
        assert f"strong-{number}" in ids(answer)
    monkeypatch.setattr(worker_module.outbox_work, "claim", lambda *_given, **_named: [])
    put_media(served, "strong-3", status="on-hold")
    answer = asked(served, "Media?status=on-hold", **strong)
    assert "strong-3" in ids(answer)
    assert "database answered" in remarks(answer)[0]
    monkeypatch.undo()
    ring(served)
    drained(served)


def test_a_walk_in_the_order_of_changes_is_never_behind(served: Served, held_up: None) -> None:
    put_media(served, "change-0", status="not-done")
    search = "Media?status=not-done"
    answer = asked(served, f"{search}&_sort=_lastUpdated,-when")
    assert ids(answer) == {"change-0"}
    assert "database answered" in remarks(answer)[0]
    assert ids(asked(served, f"{search}&_sort=-_lastUpdated")) == set(), "the control"


@pytest.mark.parametrize("whose", ["", "&patient=Patient/p"])
def test_a_walk_in_the_order_of_changes_ends_where_all_of_them_are_known(
    served: Served, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came while it waited may be there without what came just before that."""
    put_media(served, "known", status="on-hold")
    drained(served)
    search = f"Media?status=on-hold{whose}&_sort="
    updated = served.http.get(f"{served.base}/Media/known", headers=served.importer()).json()["meta"]["lastUpdated"]
    milliseconds = int(datetime.fromisoformat(updated).timestamp() * 1000 + 0.5)
    for earlier, is_shown in ((0, True), (1, False)):
        monkeypatch.setattr(Outbox, "moment", lambda *_, now, moment=milliseconds - earlier: moment)
        assert ("known" in ids(asked(served, f"{search}_lastUpdated"))) is is_shown
        assert "known" in ids(asked(served, f"{search}-_lastUpdated"))


def test_a_record_whose_facts_change_is_left_out_until_the_index_knows(served: Served, held_up: None) -> None:
    served.put({"resourceType": "Organization", "id": "derm"})
    label = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
    put_media(served, "secret", status="stopped")
    assert "secret" in ids(asked(served, PATIENT_SCOPED))
    assert "secret" in ids(asked(served, "Media?status=stopped"))
    put_media(served, "secret", status="stopped", meta={"security": label})
    answer = asked(served, "Media?status=stopped&_total=accurate")
    assert "secret" not in ids(answer)
    assert answer.json()["total"] == 0
    assert "secret" in ids(asked(served, PATIENT_SCOPED))
    assert "secret" in ids(asked(served, "Media?status=stopped"))


def test_update_never_hides(served: Served) -> None:
    put_media(served, "steady", status="entered-in-error")
    drained(served)
    ended, missed = Event(), []

    def look() -> None:
        while not ended.is_set():
            if ids(asked(served, "Media?status=entered-in-error")) != {"steady"}:
                missed.append(time.monotonic())

    looking = Thread(target=look)
    looking.start()
    for number in range(40):
        put_media(served, "steady", status="entered-in-error", note=[{"text": f"version {number}"}])
    drained(served)
    ended.set()
    looking.join()
    assert not missed


def test_a_walk_goes_on_in_the_other_engine(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    put_many(served, 40, name="walk")
    drained(served)
    for sort in ("-when,_id", "status,-_lastUpdated", ""):
        order = f"&_sort={sort}" if sort else ""
        whole = [entry["resource"]["id"] for entry in asked(served, PATIENT_SCOPED + order).json()["entry"]]
        for offset in (0, 1):
            found: list[str] = []
            url, turn = f"{served.base}/Media?patient=Patient/p&_count=9{order}", offset
            while url:
                away = turn % 2 == 0
                monkeypatch.setattr(Presence, "is_there", property(lambda _self, away=away: not away))
                answer = require(served.http.get(url, headers=served.importer()))
                assert bool(remarks(answer)) == away
                entries = answer.json()["entry"]
                found += [each["resource"]["id"] for each in entries if each["search"]["mode"] == "match"]
                url = next((each["url"] for each in answer.json()["link"] if each["relation"] == "next"), None)
                turn += 1
            assert found == whole
        monkeypatch.undo()


def test_imports_are_searchable(served: Served, tmp_path: Path) -> None:
    lines = tmp_path / "media.ndjson"
    lines.write_text(json.dumps(a_media("imported")) + "\n")
    said = command("import", lines, "--data", served.folder, "--port", port_of(served))
    assert said.code == 0, said.err
    until(lambda: "imported" in ids(asked(served, ACROSS)), within_s=20)


def a_report(identity: str, *, results: int) -> dict[str, Any]:
    """A report that holds its results, each with a code and a number of its own."""

    def result(number: int) -> dict[str, Any]:
        code = {"coding": [{"code": f"{identity}-{number}-{each}"} for each in "ab"]}
        said = {"status": "final", "code": code, "valueQuantity": {"value": number}}
        return {"resourceType": "Observation", "id": f"o{number}", **said}

    return {
        "resourceType": "DiagnosticReport",
        "id": identity,
        "status": "final",
        "code": {"text": "results"},
        "subject": {"reference": "Patient/p"},
        "result": [{"reference": f"#o{number}"} for number in range(results)],
        "contained": [result(number) for number in range(results)],
    }


def test_what_has_no_room_beside_the_database_is_found_in_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "ROWS_AT_MOST", 60)
    require(served.put(a_report("few", results=3)))
    require(served.put(a_report("many", results=40)))
    drained(served)
    assert index_state(served)["dead_letters"] == 0
    inside = "DiagnosticReport?result:Observation"
    for report, number in (("few", 2), ("many", 39)):
        for search in (f"code-value-quantity={report}-{number}-b${number}", f"code={report}-{number}-a"):
            answer = asked(served, f"{inside}.{search}")
            assert (ids(answer), remarks(answer)) == ({report}, []), search
        assert ids(asked(served, f"{inside}.code-value-quantity={report}-1-a$2")) == set()
    assert ids(asked(served, f"{inside}.code:not=few-1-a")) == {"many"}
    assert ids(asked(served, "DiagnosticReport?status=final")) == {"few", "many"}
