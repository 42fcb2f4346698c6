"""What goes along with a match is judged like everything else, even where the index lies about it."""

from collections.abc import Collection, Sequence

import pytest

from fhirmedia.access.grant import NarrowedQuery
from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.custody import including
from fhirmedia.ports.index import Hits, Page, Pointer
from tests.access.houses import House, anna, derm, importer, refused, someone
from tests.access.records import a
from tests.audit.rows import disclosures


def ref(key: str) -> dict[str, str]:
    return {"reference": key}


def named(bundle: dict[str, object], mode: str) -> set[str]:
    entries = bundle.get("entry", [])
    assert isinstance(entries, list)
    return {
        f"{each['resource']['resourceType']}/{each['resource']['id']}"
        for each in entries
        if each["search"]["mode"] == mode
    }


def furnished(living: House) -> None:
    living.put(importer(), a("Encounter", "open"))
    living.put(importer(), a("Encounter", "hidden", unit="eyes"))
    living.put(importer(), a("Encounter", "ended"))
    living.delete(importer(), "Encounter/ended")
    living.put(importer(), a("Media", "m1", encounter=ref("Encounter/open"), operator=ref("Practitioner/dr")))
    living.put(importer(), a("Media", "m2", unit="eyes", encounter=ref("Encounter/open")))


class LyingPointers:
    """An index that points everywhere and finds everything, whatever is asked, but for the matches."""

    def __init__(self, honest: object, pointers: Sequence[Pointer], keys: Sequence[Key] = ()) -> None:
        self._honest = honest
        self._pointers = pointers
        self._keys = keys

    async def pointers(self, _keys: Sequence[Key], *, parameters: Collection[str]) -> Sequence[Pointer]:
        return self._pointers if parameters else ()

    async def search(self, query: NarrowedQuery, *, page: Page) -> Hits:
        if page.count > including.MOST_INCLUDED:
            return Hits(tuple(self._keys), None, None)
        hits: Hits = await self._honest.search(query, page=page)  # type: ignore[attr-defined]  # the engine's own
        return hits


EVERYWHERE = [
    Pointer(Key("Encounter", "open"), 0),
    Pointer(Key("Encounter", "hidden"), 0),
    Pointer(Key("Encounter", "ended"), 0),
    Pointer(Key("Encounter", "never"), 0),
    Pointer(Key("Encounter", "never"), 3),
    Pointer(Key("Encounter", "open"), 7),
]


def test_a_lying_index_includes_nothing_hidden(living: House) -> None:
    furnished(living)
    living.replace_stores(index=LyingPointers(living.stores.index, EVERYWHERE))
    found = living.search(derm(), "Media", "_include=Media:encounter")
    assert named(found, "match") == {"Media/m1"}
    assert named(found, "include") == {"Encounter/open"}
    touched = {str(touch.key) for touch in list(disclosures(living.path))[-1].touched}
    assert touched == {"Media/m1", "Encounter/open"}


def test_a_lying_index_points_back_to_nothing_hidden(living: House) -> None:
    furnished(living)
    living.put(importer(), a("Media", "ended", encounter=ref("Encounter/open")))
    living.delete(importer(), "Media/ended")
    keys = [Key("Media", each) for each in ("m1", "m2", "ended", "never")]
    living.replace_stores(index=LyingPointers(living.stores.index, (), keys))
    found = living.search(derm(), "Encounter", "_id=open&_revinclude=Media:encounter")
    assert named(found, "include") == {"Media/m1"}


def test_the_search_back_asks_for_the_type_and_the_reference(living: House) -> None:
    furnished(living)
    living.put(importer(), a("Media", "m3", encounter=ref("Encounter/hidden")))
    living.put(importer(), a("DiagnosticReport", "r1", encounter=ref("Encounter/open")))
    found = living.search(someone(), "Encounter", "_id=open&_revinclude=Media:encounter")
    assert named(found, "include") == {"Media/m1", "Media/m2"}
    assert (
        named(living.search(someone("user/Encounter.rs"), "Encounter", "_revinclude=Media:encounter"), "include")
        == set()
    )


def test_a_version_needs_itself_and_the_newest_to_be_visible(living: House) -> None:
    furnished(living)
    living.put(importer(), a("Encounter", "moved", unit="eyes"))
    living.put(importer(), a("Encounter", "moved"))
    living.put(importer(), a("Encounter", "moved", status="planned"))
    living.put(importer(), a("Encounter", "left"))
    living.put(importer(), a("Encounter", "left", unit="eyes"))
    for version, expected in ((1, set()), (2, {("moved", "2")}), (3, {("moved", "3")}), (9, set())):
        living.put(importer(), a("Media", "versioned", encounter=ref(f"Encounter/moved/_history/{version}")))
        found = living.search(derm(), "Media", "_id=versioned&_include=Media:encounter")
        shown = {
            (each["resource"]["id"], each["resource"]["meta"]["versionId"])
            for each in found["entry"]
            if each["search"]["mode"] == "include"
        }
        assert shown == expected, version
    living.put(importer(), a("Media", "versioned", encounter=ref("Encounter/left/_history/1")))
    assert named(living.search(derm(), "Media", "_id=versioned&_include=Media:encounter"), "include") == set()


def test_a_type_at_the_other_end_is_the_only_one(living: House) -> None:
    furnished(living)
    asked = "_id=m1&_include=Media:*:Encounter"
    assert named(living.search(someone(), "Media", asked), "include") == {"Encounter/open"}
    living.replace_stores(
        index=LyingPointers(living.stores.index, [*EVERYWHERE, Pointer(Key("Practitioner", "dr"), 0)])
    )
    assert named(living.search(derm(), "Media", asked), "include") == {"Encounter/open"}


def test_only_what_iterates_looks_at_what_was_included(living: House) -> None:
    for number in range(8):
        part = {} if number == 0 else {"partOf": [ref(f"Encounter/e{number - 1}")]}
        living.put(importer(), a("Encounter", f"e{number}", **({"partOf": part["partOf"][0]} if part else {})))
    one = living.search(someone(), "Encounter", "_id=e7&_include=Encounter:part-of")
    assert named(one, "include") == {"Encounter/e6"}
    deep = living.search(someone(), "Encounter", "_id=e7&_include:iterate=Encounter:part-of")
    assert named(deep, "include") == {f"Encounter/e{number}" for number in range(1, 7)}, "five rounds beyond the first"


def test_a_patient_gets_nothing_of_others_along(living: House) -> None:
    furnished(living)
    living.put(importer(), a("Encounter", "of-bo", of="bo"))
    living.put(importer(), a("Media", "crossed", encounter=ref("Encounter/of-bo")))
    found = living.search(anna(), "Media", "_id=crossed&_include=Media:encounter&_include=Media:patient")
    assert named(found, "include") == {"Patient/anna"}


def test_too_much_to_include_makes_pages_smaller(living: House, monkeypatch: pytest.MonkeyPatch) -> None:
    furnished(living)
    for number in range(4):
        living.put(importer(), a("Encounter", f"n{number}"))
        living.put(importer(), a("Media", f"n{number}", encounter=ref(f"Encounter/n{number}")))
    monkeypatch.setattr(including, "MOST_INCLUDED", 2)
    found = living.search(someone(), "Media", "_id=n0,n1,n2,n3&_include=Media:encounter")
    assert named(found, "match") == {"Media/n0", "Media/n1"}
    assert found["total"] == 4
    monkeypatch.setattr(including, "MOST_INCLUDED", 0)
    with refused(Category.TOO_COSTLY):
        living.search(someone(), "Media", "_id=n0&_include=Media:encounter")


def test_a_parameter_of_another_type_is_not_followed(living: House) -> None:
    furnished(living)
    living.put(importer(), a("Encounter", "of-letter"))
    living.put(importer(), a("DocumentReference", "d1", context={"encounter": [ref("Encounter/of-letter")]}))
    found = living.search(someone(), None, "_type=Media,DocumentReference&_id=m1,d1&_include=Media:encounter")
    assert named(found, "match") == {"Media/m1", "DocumentReference/d1"}
    assert named(found, "include") == {"Encounter/open"}


def test_nothing_is_asked_for_nothing(living: House) -> None:
    furnished(living)
    living.replace_stores(index=LyingPointers(living.stores.index, EVERYWHERE))
    found = living.search(derm(), "Media", "_id=none&_include=Media:encounter")
    assert named(found, "include") == set()
