"""Chains into contained resources: what is indexed of them, who finds it, and that it costs others nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.records import Key
from fhirmedia.r4.added import Latecomers, dump_added, load_added, read_added, with_added
from fhirmedia.r4.codec import dump
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.query import Chain
from fhirmedia.r4.query_asked import SearchContext
from fhirmedia.r4.query_chains import named_condition
from fhirmedia.r4.registry import Registry, load_registry
from fhirmedia.r4.values import IndexEntries, TokenValue
from tests.access.records import a, places
from tests.access.records import put as put_all
from tests.fhir.rest import refusal
from tests.servers import Served, serving

BASE = "https://fhir.example.org/fhir"
ZONE = ZoneInfo("Europe/Stockholm")
REGISTRY = load_registry()
CONTEXT = SearchContext(REGISTRY, BASE, ZONE, 0)
NAMES = 1000


def letter(id: str, family: str, **other: Any) -> dict[str, Any]:
    """A document whose author is contained."""
    author = {"resourceType": "Practitioner", "id": "a", "name": [{"family": family}]}
    return a("DocumentReference", id, contained=[author], author=[{"reference": "#a"}], **other)


def entries_of(resource: dict[str, Any], registry: Registry = REGISTRY) -> IndexEntries:
    extractor = Extractor(registry, base_url=BASE, zone=ZONE)
    return extractor.entries(resource, key=Key(resource["resourceType"], resource["id"]), last_updated_ms=0)


def inside(entries: IndexEntries) -> set[str]:
    return {name for name in entries.values if "." in name}


def test_what_is_contained_is_indexed_by_its_own_parameters() -> None:
    entries = entries_of(letter("d", "Berg"))
    names = {"_type", "family", "name"}
    assert inside(entries) == {f"author:Practitioner.{name}" for name in names}
    assert entries.values["author:Practitioner._type"] == (TokenValue(None, "Practitioner"),)
    assert "author" not in entries.values


class Walked(list[Any]):
    """What is contained, and how often it was gone through."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        return super().__iter__()


def times_walked(*, references: int) -> int:
    results = [
        {"resourceType": "Observation", "id": f"o{each}", "status": "final", "subject": {"reference": "#p"}}
        for each in range(references)
    ]
    contained = Walked([{"resourceType": "Patient", "id": "p"}, *results])
    report = a("DiagnosticReport", "d", contained=contained, result=[{"reference": f"#{one['id']}"} for one in results])
    assert "result:Observation._type" in entries_of(report).values
    return contained.times


def test_references_inside_what_is_contained_do_not_go_through_it_again() -> None:
    assert times_walked(references=40) == times_walked(references=2)


UNREAD = {
    "nobody refers to it": {"author": [{"display": "a"}]},
    "the reference points nowhere": {"author": [{"reference": "#b"}]},
    "the container itself": {"author": [{"reference": "#"}]},
    "a record of the same id": {"author": [{"reference": "Practitioner/a"}]},
    "no parameter leads to it": {"author": [], "context": {"sourcePatientInfo": {"reference": "#a"}}},
    "the parameter may not refer to the type": {"author": [], "custodian": {"reference": "#a"}},
    "a type that nobody searches": {"contained": [{"resourceType": "Substance", "id": "a"}]},
    "no type": {"contained": [{"id": "a"}]},
    "no id": {"contained": [{"resourceType": "Practitioner"}]},
    "nothing contained": {"contained": []},
}


@pytest.mark.parametrize("case", UNREAD)
def test_nothing_is_indexed_of_what_no_chain_can_lead_to(case: str) -> None:
    assert inside(entries_of(letter("d", "Berg") | UNREAD[case])) == set()


def test_a_thousand_names_are_indexed_once() -> None:
    authors = [{"reference": "#a"}] * 50
    resource = letter("d", "Berg") | {"author": authors, "authenticator": {"reference": "#a"}}
    resource["contained"][0]["name"] = [{"family": f"Berg {number}"} for number in range(NAMES)] * 2
    entries = entries_of(resource)
    for parameter in ("author", "authenticator"):
        assert len(entries.values[f"{parameter}:Practitioner.family"]) == NAMES


def license_number() -> bytes:
    """A SearchParameter of an installation."""
    return dump({
        "resourceType": "SearchParameter", "id": "license", "url": "https://example.org/SearchParameter/license",
        "name": "License", "status": "active", "description": "A number", "code": "license", "base": ["Practitioner"],
        "type": "token", "expression": "Practitioner.qualification.identifier",
    })  # fmt: skip


def test_parameters_of_an_installation_are_asked_of_records_only() -> None:
    """What is stored would have to be indexed anew, whatever its type."""
    added = [read_added(license_number(), REGISTRY)]
    for ready in (False, True):
        now = with_added(REGISTRY, [replace(each, ready=ready) for each in added])
        resource = letter("d", "Berg")
        resource["contained"][0]["qualification"] = [{"code": {"text": "q"}, "identifier": [{"value": "1"}]}]
        assert entries_of(resource, now) == entries_of(resource)
    asked = named_condition(
        "author:Practitioner.license", "1", types=("DocumentReference",), context=replace(CONTEXT, registry=now)
    )
    assert isinstance(asked, Chain)


def test_a_parameter_that_comes_late_leaves_them_as_they_are() -> None:
    entries, late = entries_of(letter("d", "Berg")), Latecomers(REGISTRY, "[]", base_url=BASE, zone=ZONE)
    resource = {**read_added(license_number(), REGISTRY).resource, "base": ["DocumentReference"], "code": "writer",
                "type": "reference", "expression": "DocumentReference.author"}  # fmt: skip
    text = dump_added([read_added(dump(resource), REGISTRY)])
    assert load_added(text, REGISTRY)
    late.follow(text)
    assert inside(late.completed(entries, dump(letter("d", "Berg")))) == inside(entries)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("contained") / "data") as server:
        shown, hidden = letter("shown", "Berg"), letter("hidden", "Bergman", unit="eyes", of="bo")
        many = letter("many", "Ek")
        many["contained"][0]["name"] = [{"family": f"Ek {number}"} for number in range(NAMES)]
        put_all(server, *places(), shown, hidden, many)
        yield server


def found(served: Served, query: str, scope: str = "user/*.rs", **bound: Any) -> tuple[list[str], int]:
    """Ids and total."""
    answer = served.http.get(f"{served.base}/{query}", headers=served.headers(scope, **bound))
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    return [each["resource"]["id"] for each in bundle.get("entry", ())], bundle["total"]


BY_FAMILY = "DocumentReference?_total=accurate&author:Practitioner.family="


def test_a_document_is_found_by_its_contained_author(served: Served) -> None:
    assert found(served, f"{BY_FAMILY}berg&_sort=_id") == (["hidden", "shown"], 2)
    assert found(served, f"{BY_FAMILY}ek 999") == (["many"], 1)
    assert found(served, f"{BY_FAMILY}berg&patient=anna") == (["shown"], 1)
    assert found(served, f"Patient/bo/{BY_FAMILY}berg") == (["hidden"], 1)
    assert found(served, f"{BY_FAMILY}nobody") == ([], 0)
    assert found(served, "Practitioner?family=berg") == ([], 0)


def test_it_is_found_by_whom_its_container_is_shown_to(served: Served) -> None:
    """And counted for nobody else."""
    assert found(served, f"{BY_FAMILY}berg", units=["derm"]) == (["shown"], 1)
    assert found(served, f"{BY_FAMILY}bergman", units=["derm"]) == ([], 0)
    assert found(served, f"{BY_FAMILY}bergman", units=["eyes"]) == (["hidden"], 1)
    counted = "DocumentReference?_summary=count&author:Practitioner.family=bergman"
    assert found(served, counted, units=["derm"]) == found(served, counted.replace("bergman", "zz"), units=["derm"])


def test_it_takes_the_right_to_search_what_the_chain_leads_to(served: Served) -> None:
    headers = served.headers("user/DocumentReference.rs")
    answer = served.http.get(f"{served.base}/{BY_FAMILY}berg", headers=headers)
    assert refusal(answer, 403)["code"] == "forbidden"
    assert found(served, f"{BY_FAMILY}berg&_sort=_id", "user/DocumentReference.rs user/Practitioner.s")[1] == 2


def test_an_update_leaves_nothing_of_what_was_contained(served: Served) -> None:
    put_all(served, letter("changing", "Lundgren"))
    assert found(served, f"{BY_FAMILY}lundgren") == (["changing"], 1)
    put_all(served, a("DocumentReference", "changing"))
    assert found(served, f"{BY_FAMILY}lundgren") == ([], 0)
