"""A condition means one resource, before and after everything is written, and whatever an index says of it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.core.records import Key
from fhirmedia.custody.inside import CountsInside, RecordsInside, ViewInside
from fhirmedia.ports.index import Hits
from tests.access.houses import BASE, House, derm, importer, refused, someone
from tests.access.records import Resource, a, identifier
from tests.access.test_transaction_rules import body, keys, numbered
from tests.fhir.bundling import about, entry, new, patient

BUNDLE_MAKES_SEVERAL = "The Bundle would make more than one resource match the condition."


def media(reference: str) -> Resource:
    return entry("POST", "Media", new("Media", **about(reference)))


def test_a_condition_given_twice_leads_to_one(living: House) -> None:
    twice = [entry("POST", "Patient", patient("n"), ifNoneExist="identifier=n")] * 2
    with refused(Category.PRECONDITION) as said:
        living.transaction(derm(), *twice)
    assert (said.text, said.issues[0].code) == (BUNDLE_MAKES_SEVERAL, "multiple-matches")
    assert said.issues[0].expression == "Bundle.entry[1].request.ifNoneExist"
    bare = [entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="identifier=n")] * 2
    with refused(Category.PRECONDITION):  # neither would match afterwards, and yet both were to be the one
        living.transaction(derm(), *bare)


def test_nothing_else_comes_to_match(living: House) -> None:
    for other in (
        entry("POST", "Patient", patient("n")),
        entry("PUT", "Patient/bo", patient("n") | {"id": "bo"}),
        entry("PUT", "Patient?identifier=m", patient("n")),
    ):
        with refused(Category.PRECONDITION) as said:
            living.transaction(derm(), entry("POST", "Patient", patient("n"), ifNoneExist="identifier=n"), other)
        assert said.text == BUNDLE_MAKES_SEVERAL
        assert said.issues[0].expression == "Bundle.entry[0].request.ifNoneExist"
    there = living.create(derm(), patient("n"))
    with refused(Category.PRECONDITION):
        found = entry("POST", "Patient", patient("n"), ifNoneExist="identifier=n")
        living.transaction(derm(), found, entry("POST", "Patient", patient("n")))
    assert living.search(derm(), "Patient", "identifier=n")["entry"][0]["resource"] == there


def test_a_reference_by_search_speaks_of_what_will_be(living: House) -> None:
    living.put(importer(), a("Patient", "old", identifier=identifier("n")))
    made = living.transaction(
        derm(),
        media("Patient?identifier=n"),
        media("Patient?identifier=n"),
        entry("PUT", "Patient/old", a("Patient", "old", identifier=identifier("other"))),
        entry("POST", "Patient", patient("n")),
    )
    assert body(made[0])["subject"] == body(made[1])["subject"] == {"reference": keys(made)[3]}
    with refused(Category.PRECONDITION) as said:
        living.transaction(derm(), media("Patient?identifier=x"), *[entry("POST", "Patient", patient("x"))] * 2)
    assert said.issues[0].code == "multiple-matches"


def visiting(reference: str) -> Resource:
    return entry("POST", "Media", new("Media", encounter={"reference": reference}))


def test_searches_through_others_are_judged_at_the_end(living: House) -> None:
    """A chain cannot be judged before everything is there; what it leads to must be so then, too."""
    living.put(importer(), a("Patient", "p", identifier=identifier("n")))
    living.put(importer(), a("Encounter", "e", of="p"))
    chained = visiting("Encounter?patient.identifier=n")
    made = living.transaction(derm(), chained)
    assert body(made[0])["encounter"] == {"reference": "Encounter/e"}
    beside = living.transaction(derm(), chained, entry("POST", "Encounter", new("Encounter", of="bo")))
    assert body(beside[0])["encounter"] == {"reference": "Encounter/e"}, "one that is not meant changes nothing"
    with refused(Category.PRECONDITION) as several:
        living.transaction(derm(), chained, entry("POST", "Encounter", new("Encounter", of="p")))
    assert several.issues[0].code == "multiple-matches"
    renamed = entry("PUT", "Patient/p", a("Patient", "p", identifier=identifier("m")))
    with refused(Category.UNPROCESSABLE) as none:
        living.transaction(derm(), chained, renamed)
    assert none.issues[0].code == "not-found"
    with refused(Category.UNPROCESSABLE):
        living.transaction(derm(), visiting("Encounter?patient.identifier=m"), renamed)


class _Lying:
    """A record store whose transactions find the same Keys whatever is looked for."""

    def __init__(self, store: Any, *found: Key) -> None:
        self._store = store
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        return await self._store.write(lambda transaction: work(_LyingTransaction(transaction, self._found)))


class _LyingTransaction:
    def __init__(self, transaction: Any, found: tuple[Key, ...]) -> None:
        self._transaction = transaction
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    def search(self, _query: object, *, page: object) -> Hits:
        return Hits(self._found, None, None)


def test_a_lying_index_makes_nobody_match(living: House) -> None:
    living.put(importer(), a("Media", "hidden", unit="eyes"))
    living.put(importer(), a("Media", "gone"))
    living.delete(importer(), "Media/gone")
    found = tuple(Key("Media", id) for id in ("hidden", "gone", "never"))
    living.replace_stores(records=_Lying(living.stores.records, *found))
    made = living.transaction(derm(), entry("POST", "Media", numbered("Media", "n"), ifNoneExist="identifier=n"))
    assert made[0].change == "created"
    with refused(Category.NOT_FOUND):
        living.transaction(derm(), entry("DELETE", "Media?identifier=n"))
    assert living.read(someone(), "Media/hidden")["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    "asked", ["Patient/anna/_history/1", "Patient/anna/_history", "AuditEvent?_id=x", "Media?_include=Media:subject"]
)
def test_a_transaction_shows_newest_versions_and_searches_only(living: House, asked: str) -> None:
    living.put(importer(), a("Media", "m"))
    with refused(Category.INVALID) as said:
        living.transaction(derm(roles=frozenset({"auditor"})), entry("GET", asked))
    assert said.issues[0].code == "not-supported"


def test_nothing_else_can_be_asked_of_it() -> None:
    inside: Any = RecordsInside(None)  # type: ignore[arg-type]  # it must not even look
    view, key = ViewInside(), Key("Media", "m")
    counts: Any = CountsInside()
    unshown: list[Coroutine[Any, Any, Any]] = [
        inside.version(key, 1),
        inside.changes(None),
        inside.content("b", 1),
        inside.pointers([key], parameters=()),
        inside.write(None),
        inside.close(),
        counts.chosen(None),
        counts.explain(None, page=None),
        counts.divisions(None, by=(), with_patients=False),
        counts.patients(None),
        view.read([key]),
        view.search(None, page=None),  # type: ignore[arg-type]  # it must not even look
    ]
    for each in unshown:
        with pytest.raises(Failure) as told:
            asyncio.run(each)
        assert told.value.category is Category.INVALID


def test_a_conditional_update_is_of_the_id_that_it_names(living: House) -> None:
    living.put(importer(), numbered("Media", "n") | {"id": "m"})
    for id in ("m", None):
        resource = numbered("Media", "n") | ({} if id is None else {"id": id})
        made = living.transaction(derm(), entry("PUT", "Media?identifier=n", resource))
        assert keys(made) == ["Media/m"]
    with refused(Category.INVALID) as said:
        living.transaction(derm(), entry("PUT", "Media?identifier=n", numbered("Media", "n") | {"id": "another"}))
    assert said.issues[0].expression == "Bundle.entry[0].resource.id"


def test_a_reference_to_a_version_is_to_the_one_that_comes_to_be(living: House) -> None:
    living.put(importer(), a("Media", "m"))
    part = a("Media", "part", partOf=[{"reference": f"{BASE}/Media/m/_history/1"}])
    made = living.transaction(
        derm(id_prefixes=("*",)),
        entry("PUT", "Media/m", a("Media", "m", note=[{"text": "again"}]), f"{BASE}/Media/m"),
        entry("PUT", "Media/part", part, f"{BASE}/Media/part"),
    )
    assert body(made[1])["partOf"] == [{"reference": "Media/m/_history/2"}]


def test_a_conditional_update_needs_the_right_to_update_what_it_finds(living: House) -> None:
    living.put(importer(), numbered("Media", "n") | {"id": "m"})
    named = entry("PUT", "Media?identifier=n", numbered("Media", "n", note=[{"text": "again"}]))
    with refused(Category.FORBIDDEN):
        living.transaction(derm("user/*.crs"), named)
    assert keys(living.transaction(derm("user/*.rus"), named)) == ["Media/m"]


def test_what_a_conditional_update_finds_is_what_others_mean_by_it(living: House) -> None:
    living.put(importer(), a("Patient", "p", identifier=identifier("n")))
    made = living.transaction(
        derm(),
        entry("PUT", "Patient?identifier=n", patient("n"), "urn:uuid:6fb1f2a8-5d3c-4a5e-9d5a-3f0c5f8f9a11"),
        entry("POST", "Media", new("Media", subject={"reference": "urn:uuid:6fb1f2a8-5d3c-4a5e-9d5a-3f0c5f8f9a11"})),
    )
    assert body(made[1])["subject"] == {"reference": "Patient/p"}


def test_a_conditional_update_that_finds_nothing_has_no_version_to_match(living: House) -> None:
    absent = entry("PUT", "Media?identifier=n", numbered("Media", "n"), ifMatch='W/"1"')
    with refused(Category.PRECONDITION):
        living.transaction(derm(), absent)
    assert living.search(derm(), "Media", "identifier=n&_summary=count")["total"] == 0


@pytest.mark.parametrize(
    ("method", "url"), [("PUT", "Media?identifier=n"), ("DELETE", "Media?identifier=n"), ("DELETE", "Media/m")]
)
def test_no_resource_is_meant_twice(living: House, method: str, url: str) -> None:
    """Whether it is named, or found by a condition."""
    there = numbered("Media", "n") | {"id": "m"}
    living.put(importer(), there)
    other = entry(method, url, numbered("Media", "n") if method == "PUT" else None)
    with refused(Category.INVALID) as said:
        living.transaction(derm(), entry("PUT", "Media/m", there), other)
    assert said.issues[0].code == "duplicate"
