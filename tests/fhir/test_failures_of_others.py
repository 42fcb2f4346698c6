"""What went wrong with searches of other servers, one test by the name of each failure."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.clock import instant
from fhirmedia.core.records import Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import load_registry
from tests.access.records import a
from tests.access.watching import Watch, watched
from tests.access.worlds import EVENING, MINUTE, MORNING, Hands
from tests.fhir.rest import link, names, pages, refusal
from tests.fhir.thousand import MANY, corpus
from tests.following.beside import ENGINES, caught_up, served_by
from tests.servers import Served

NAMES = """
unknown_parameter_is_refused unknown_parameter_is_refused_also_in_compartment unsupported_special_is_refused
escaped_separators_are_literal repeated_parameters_all_apply scope_constraint_survives_disabled_parameter
missing_user_claim_is_an_error malformed_date_is_refused plus_in_offset period_uses_both_ends unparsable_stored_date
not_includes_resources_without_value study_by_uid_any_spelling study_by_accession bare_reference_id_is_typed
large_or_list_is_indexed chain_and_has_are_bounded first_page_does_not_wait_for_total total_equals_walk
total_is_not_page_size text_and_filter_lose_nothing last_updated_with_text count_is_honoured_and_clamped
walk_equals_set_under_writes include_is_narrowed_on_each_page chain_and_has_are_narrowed hidden_and_absent_look_alike
operations_are_authorised_everywhere compartment_uses_every_membership_parameter compartment_refuses_foreign_type
facets_of_permission_fields_are_intersected no_zero_count_buckets parameter_appears_after_backfill
content_search_reads_what_we_define
mapping_is_strict_and_typed client_mismatch_is_explained many_values_are_not_dropped imports_are_searchable
bulk_respects_bytes write_and_read_survive_index_outage own_write_is_found_at_once update_never_hides replay_and_reorder
lag_and_dead_letters_are_visible failure_is_not_cached reindex_resumes_and_counts switch_refuses_dead_letters
""".split()
"""Failures seen elsewhere; each has a test somewhere below `tests/`. The last three lines are of an index beside."""


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Watch]]:
    hands = Hands(MORNING)
    with watched() as watch, served_by(request, tmp_path_factory.mktemp("others") / "data", clock=hands) as server:
        whole = corpus()
        for number, some in enumerate((whole[:600], whole[600:])):
            hands.now = MORNING + number * MINUTE
            entries = [
                {"request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}, "resource": each}
                for each in some
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = server.http.post(server.base, json=bundle, headers=server.importer())
            assert answer.status_code == 200, answer.text
        hands.now = EVENING
        caught_up(server)
        yield server, watch


@pytest.fixture(scope="module")
def served(world: tuple[Served, Watch]) -> Served:
    return world[0]


Get = Callable[..., Any]


@pytest.fixture(scope="module")
def get(served: Served) -> Get:
    """Searches as staff of all units, or as said."""

    def search(query: str, *, lenient: bool = False, scope: str = "user/*.rs", **bound: Any) -> Any:
        headers = served.headers(scope, **bound) | ({"Prefer": "handling=lenient"} if lenient else {})
        url = query if query.startswith("http") else f"{served.base}/{query}"
        return served.http.get(url, headers=headers)

    return search


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [name.partition("/")[2] for name in names(answer.json())]


def test_every_failure_has_its_test() -> None:
    here = Path(__file__).parent.parent
    tests = {
        name
        for file in here.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def test_(\w+)", file.read_text(), re.MULTILINE)
    }
    assert [name for name in NAMES if name not in tests] == []
    assert len(NAMES) == len(set(NAMES)) == 47


def test_unknown_parameter_is_refused(get: Get) -> None:
    assert "paitent" in refusal(get("Media?paitent=anna"), 400)["diagnostics"]
    forgiven = get("Media?paitent=anna&_id=m0001", lenient=True).json()
    assert [entry["search"]["mode"] for entry in forgiven["entry"]] == ["match", "outcome"]
    assert "paitent" not in link(forgiven, "self")


def test_unknown_parameter_is_refused_also_in_compartment(get: Get) -> None:
    for place in ("Patient/bo/Media", "Patient/bo/*"):
        refusal(get(f"{place}?paitent=anna"), 400)
        assert get(f"{place}?paitent=anna&_count=1", lenient=True).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["_filter=x", "_query=x", "_list=x", "_score=1", "_containedType=both", "_contained=true", "near=1|2",
     "phonetic=x", "patient.phonetic=x"],
)  # fmt: skip
def test_unsupported_special_is_refused(get: Get, query: str) -> None:
    named = query.partition("=")[0].rpartition(".")[2]
    for lenient in (False, True):
        assert named in refusal(get(f"Media?{query}", lenient=lenient), 400)["diagnostics"]


def test_escaped_separators_are_literal(get: Get) -> None:
    found = ids(get("Media?device-name:exact=a\\,b\\|c\\$d"))
    assert found == [f"m{number:04}" for number in range(150, MANY, 200)]
    assert ids(get("Media?device-name:exact=a,b\\|c\\$d")) == []


def test_repeated_parameters_all_apply(get: Get) -> None:
    assert ids(get("Media?identifier=n1&identifier=n2")) == []
    assert ids(get("Media?identifier=n1,n2")) == ["m0001", "m0002"]
    assert ids(get("Media?_id=m0001,m0002&when=ge2024-02-01&when=lt2024-02-15")) == ["m0001"]
    both = "Encounter?_has:Media:encounter:_id=m0001&_has:Media:encounter:_id=m0000"
    assert ids(get(both)) == []


def test_scope_constraint_survives_disabled_parameter(get: Get) -> None:
    for lenient in (False, True):
        kept = get("Media?_total=accurate", scope="user/Media.rs?status=in-progress", lenient=lenient)
        assert kept.json()["total"] == 5
        unknown = get("Media", scope="user/Media.rs?device-name=x", lenient=lenient)
        assert refusal(unknown, 403)["code"] == "forbidden", "a constraint that cannot be kept gives nothing"


def test_missing_user_claim_is_an_error(get: Get) -> None:
    for lenient in (False, True):
        for query in ("Media", "Patient/bo/Media", "?_type=Media"):
            refusal(get(query, scope="patient/*.rs", lenient=lenient), 401)


@pytest.mark.parametrize(
    "value", ["2024-13", "2024-02-30", "ge", "xx2024", "2024-1-1", "yesterday", "ge2024-01-01T25:00"]
)
def test_malformed_date_is_refused(get: Get, value: str) -> None:
    refusal(get(f"Media?created={value}"), 400)
    refusal(get(f"Media?created={value}", lenient=True), 400)


def test_plus_in_offset(get: Get) -> None:
    found = [ids(get(f"Media?_id=m0000&created=lt2024-01-05T00:00:00{sign}01:00")) for sign in ("+", "%2B", " ", "-")]
    assert found == [["m0000"]] * 4
    assert ids(get("Media?_id=m0000&created=sa2023-12-31T23:30:00+01:00")) == ["m0000"]
    assert ids(get("Media?_id=m0000&created=sa2024-01-01T00:30:00+01:00")) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [("2024", True), ("2024-03-01", False), ("ge2024-03-02", True), ("ge2024-03-03", False), ("le2024-02-28", True),
     ("le2024-02-27", False), ("sa2024-02-27", True), ("sa2024-02-28", False), ("eb2024-03-03", True),
     ("eb2024-03-02", False)],
)  # fmt: skip
def test_period_uses_both_ends(get: Get, value: str, found: bool) -> None:
    assert (ids(get(f"DocumentReference?_id=d1&period={value}")) == ["d1"]) is found


def test_unparsable_stored_date() -> None:
    extractor = Extractor(load_registry(), base_url="http://x/fhir", zone=ZoneInfo("Europe/Stockholm"))
    for date in ("2024-13-45", "yesterday", "", "2024-02-30T99:00:00Z"):
        resource = a("Media", "m", createdDateTime=date)
        values = extractor.entries(resource, key=Key("Media", "m"), last_updated_ms=0).values
        assert not values.get("created")
        assert values["status"]
        assert values["subject"]


def test_not_includes_resources_without_value(get: Get) -> None:
    query = "Media?_total=accurate&_count=1&device-name:missing=true"
    without = get(query).json()["total"]
    assert without == MANY - 5
    assert get("Media?_total=accurate&_count=1&body-site:not=7569003").json()["total"] == MANY
    assert get("Media?_total=accurate&_count=1&status:not=in-progress").json()["total"] == MANY - 5


@pytest.mark.parametrize("value", ["urn:dicom:uid|urn:oid:1.2.3", "urn:dicom:uid|1.2.3", "1.2.3", "urn:oid:1.2.3"])
def test_study_by_uid_any_spelling(get: Get, value: str) -> None:
    assert ids(get(f"ImagingStudy?identifier={value}")) == ["s1"]


def test_study_by_accession(get: Get) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v2-0203"
    assert ids(get(f"ImagingStudy?identifier:of-type={system}|ACSN|A1")) == ["s1"]
    assert ids(get(f"ImagingStudy?identifier:of-type={system}|MR|A1")) == []


def test_bare_reference_id_is_typed(get: Get) -> None:
    assert ids(get("ImagingStudy?patient=anna")) == ids(get("ImagingStudy?patient=Patient/anna")) == ["s1", "s2"]
    plans = [
        get(f"ImagingStudy/$explain-search?patient={who}", roles=["operator"]).json()
        for who in ("anna", "Patient/anna")
    ]
    assert plans[0] == plans[1]


def test_large_or_list_is_indexed(world: tuple[Served, Watch], get: Get) -> None:
    _, watch = world

    def steps(query: str) -> int:
        """The least of three times: what works behind the requests is counted, too."""
        counted = []
        for _ in range(3):
            watch.clear()
            assert get(query).status_code == 200
            counted.append(watch.steps)
        return min(counted)

    some = ",".join(f"urn:n|n{number}" for number in range(113))
    assert len(ids(get(f"Media?identifier={some}&_count=1000"))) == 113
    eleven = ",".join(f"urn:n|n{number}" for number in range(0, 110, 10))
    assert steps(f"Media?identifier={some}&_count=200") < 2 * 11 * steps(f"Media?identifier={eleven}&_count=200")
    assert refusal(get("Media?identifier=" + ",".join(["n"] * 1500)), 400)["code"] == "too-costly"


def test_chain_and_has_are_bounded(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "Media?encounter.part-of:Encounter.part-of:Encounter.part-of:Encounter.status=finished"
    assert refusal(get(deep), 400)["code"] == "too-costly"
    assert len(ids(get("Encounter?_has:Media:encounter:status=completed"))) == 2
    for bound, to in {"chains.HOP_AT_MOST": 50, "along.HOP_AT_MOST": 50, "chains.BOUNDED": 1, "chains.FEW": 1}.items():
        monkeypatch.setattr(f"fhirmedia.backends.index_{bound}", to)
    with monkeypatch.context() as patched:
        patched.setattr("fhirmedia.backends.index_along.ASKED", 1)
        assert refusal(get("Encounter?_has:Media:encounter:status=completed"), 400)["code"] == "too-costly"
    assert len(ids(get("Encounter?_has:Media:encounter:status=completed"))) == 2, "soon found among those there are"
    assert ids(get("DiagnosticReport?media.status=completed")) == [], "there is none of which it could be asked"


def test_first_page_does_not_wait_for_total(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("index_plan", "index_answers"):
        monkeypatch.setattr(f"fhirmedia.backends.{module}.VISITED_FOR_TOTAL", 100)
    first = get("Media?status=completed&_sort=-_lastUpdated").json()
    assert "total" not in first
    assert len(first["entry"]) == 50


@pytest.mark.parametrize("world", ["database"], indirect=True)  # of the other engine: contracts/test_totals_in_time
def test_a_total_there_is_no_time_for_is_left_out_with_a_warning(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhirmedia.backends.index_sql._Budget.exceeded", lambda _self: True)
    monkeypatch.setattr("fhirmedia.backends.index_sql._STEPS", 1_500)
    page = get("Media?_total=accurate&_count=10").json()
    assert [entry["search"]["mode"] for entry in page["entry"]] == ["match"] * 10 + ["outcome"]
    (issue,) = page["entry"][-1]["resource"]["issue"]
    assert (issue["severity"], issue["code"], "total" in page) == ("warning", "too-costly", False)
    assert [each["relation"] for each in page["link"]] == ["self", "next"]
    assert refusal(get("Media?status:not=unknown&_summary=count"), 400)["code"] == "too-costly"
    assert "entry" not in get("Media?_summary=count&_id=m0001").json()


@pytest.mark.parametrize(
    "query",
    ["_content=okapi&status=in-progress", "text=okapi", "text=okapi -150", "_content=okapi&when=2024-02",
     "identifier=n1,n2", "status:not=completed&text=okapi", "encounter.status=finished&_content=okapi",
     "patient=bo&text=okapi"],
)  # fmt: skip
def test_total_equals_walk(served: Served, get: Get, query: str) -> None:
    total = get(f"Media?{query}&_summary=count").json()["total"]
    walked = list(pages(served, f"{served.base}/Media?{query}&_count=400", served.headers("user/*.rs")))
    assert sum(len(names(page)) for page in walked) == total > 0


def test_total_is_not_page_size(get: Get) -> None:
    for query in ("patient=bo", "patient=bo&text=okapi", "_total=accurate"):
        assert get(f"Media?{query}&_count=2").json()["total"] == MANY


def test_text_and_filter_lose_nothing(get: Get) -> None:
    expected = [f"m{number:04}" for number in range(150, MANY, 200)]
    for words in ("text=okapi", "_content=okapi"):
        assert ids(get(f"Media?{words}&status=in-progress")) == expected
        assert ids(get(f"Media?{words}&status=in-progress&_sort=-_id")) == expected[::-1]


def test_last_updated_with_text(get: Get) -> None:
    later = f"_lastUpdated=ge{instant(MORNING + MINUTE // 2)}"
    assert get(f"Media?text=okapi&{later}&_total=accurate&_count=1").json()["total"] == MANY - 600 + 8
    found = ids(get(f"Media?text=okapi&{later}&_sort=-_lastUpdated,_id&_count=5"))
    assert found == [f"m{number:04}" for number in range(592, 597)]


def test_count_is_honoured_and_clamped(served: Served, get: Get) -> None:
    assert len(ids(get("Media?_count=100"))) == 100
    assert len(ids(get("Media?_count=100000"))) == 1000
    for query in ("_count=20", "_count=20&text=okapi", "_count=20&_sort=-when"):
        headers = served.headers("user/*.rs", units=["derm"])
        sizes = [len(names(page)) for page in pages(served, f"{served.base}/Media?{query}", headers)]
        assert sizes == [20] * 5 + [10], "no empty pages between, however few may be seen"


def shown(served: Served, query: str, **bound: Any) -> set[str]:
    """Everything on every page, whatever brought it there."""
    found: set[str] = set()
    for page in pages(served, f"{served.base}/{query}", served.headers("user/*.rs", **bound)):
        found |= {entry["fullUrl"].removeprefix(f"{served.base}/") for entry in page.get("entry", ())}
    return found


@pytest.mark.parametrize(
    "query",
    ["Media?_include=Media:encounter", "Media?_include=*",
     "Media?_include=Media:encounter&_include:iterate=Encounter:part-of",
     "Encounter?_revinclude=Media:encounter", "Encounter?_revinclude=*&_include:iterate=*",
     "Patient?_revinclude=Media:patient&_include:iterate=Media:encounter"],
)  # fmt: skip
def test_include_is_narrowed_on_each_page(served: Served, query: str) -> None:
    found = shown(served, f"{query}&_count=40", units=["derm"])
    assert "Encounter/derm" in found
    assert "Encounter/eyes" not in found
    assert {int(key[7:]) % 10 for key in found if key.startswith("Media/")} == {0}


def test_chain_and_has_are_narrowed(get: Get) -> None:
    for query, seen in (("Media?encounter._id=eyes", MANY // 20), ("Media?encounter.part-of._id=derm", MANY // 20)):
        assert get(f"{query}&_summary=count").json()["total"] == seen
        assert get(f"{query}&_summary=count", units=["derm"]).json()["total"] == 0
    assert ids(get("Encounter?_has:Media:encounter:_id=m0001")) == ["derm"]
    assert ids(get("Encounter?_has:Media:encounter:_id=m0001", units=["derm"])) == []
    refusal(get("Patient?_has:Media:patient:_id=m0001", scope="user/Patient.rs"), 403)


def test_hidden_and_absent_look_alike(world: tuple[Served, Watch], get: Get) -> None:
    _, watch = world
    seen = {}
    for id in ("m0001", "never"):
        for query in (f"Media/{id}", f"Media?_id={id}", f"Media/{id}/_history", f"Media?_has:Group:member:_id={id}"):
            watch.clear()
            answer = get(query, units=["derm"])
            body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "", answer.text).replace(id, "ID")
            seen[id, query.replace(id, "ID")] = (answer.status_code, body, tuple(watch.statements))
    kinds = {query for _, query in seen}
    assert {query for query in kinds if seen["m0001", query] != seen["never", query]} == set()


def test_operations_are_authorised_everywhere(served: Served, get: Get) -> None:
    for place in (
        "Media/$media-stats?facet=year",
        "$media-stats?_type=Media&facet=year",
        "Patient/bo/$media-stats?_type=Media",
    ):
        for bound, total in (({}, MANY), ({"units": ["derm"]}, MANY // 10)):
            told = {part["name"]: part for part in get(place, **bound).json()["parameter"]}
            assert told["total"]["valueInteger"] == total
        refusal(get(place, scope="user/Patient.rs"), 403)
        refusal(served.http.get(f"{served.base}/{place}"), 401)


def test_compartment_uses_every_membership_parameter(get: Get) -> None:
    assert ids(get("Patient/anna/DocumentReference")) == ["d1", "d2"]
    assert ids(get("Patient/anna/Observation")) == ["o1"]
    assert ids(get("Patient/anna/Appointment")) == ["ap1"]
    official = json.loads((Path(__file__).parents[2] / "profiles/r4/compartment-patient.json").read_text())
    for name, served_type in load_registry().types.items():
        expected = {code for code in official.get(name, ()) if code != "{def}"}
        assert {each.code for each in served_type.membership} == expected, name


@pytest.mark.parametrize(
    "type", ["Device", "Task", "Organization", "Practitioner", "AuditEvent", "CodeSystem", "Nonsense"]
)
def test_compartment_refuses_foreign_type(get: Get, type: str) -> None:
    if type != "AuditEvent":
        assert get(f"Patient/anna/{type}").status_code in (400, 404)
    assert type not in {name.partition("/")[0] for name in names(get("Patient/anna/*").json())}


def facet(answer: Any, name: str) -> dict[str, int]:
    for part in answer.json()["parameter"]:
        if part["name"] == "facet" and part["part"][0].get("valueCode") == name:
            buckets = [each["part"] for each in part["part"] if each["name"] == "value"]
            return {coding["valueCoding"]["code"]: count["valueInteger"] for coding, count in buckets}
    raise AssertionError(name)


def test_facets_of_permission_fields_are_intersected(get: Get) -> None:
    query = "Media/$media-stats?facet=department"
    assert facet(get(query), "department").keys() == {"derm", "eyes"}
    assert facet(get(query, units=["derm"]), "department") == {"derm": MANY // 10}


def test_no_zero_count_buckets(get: Get) -> None:
    for query in ("text=okapi", "status=in-progress", "identifier=none"):
        told = get(f"Media/$media-stats?{query}&facet=department,year,month,kind,body-site", units=["eyes"])
        for name in ("department", "year", "month"):
            assert all(facet(told, name).values())
            assert "derm" not in facet(told, name)
