"""Security labels of stored records: any writer tightens them, a label-manager alone lowers them."""

import pytest

from fhirmedia.access.security_labels import security_to_store
from fhirmedia.core.errors import Category
from tests.access.houses import House, derm, importer, refused
from tests.access.records import Resource, a, label

ETH = label("ETH", "http://terminology.hl7.org/CodeSystem/v3-ActCode")
PSY = label("PSY", "http://terminology.hl7.org/CodeSystem/v3-ActCode")


def media(*labels: Resource) -> Resource:
    return a("Media", "m", **({"meta": {"security": list(labels)}} if labels else {}))


def security(resource: Resource) -> list[str]:
    return [each["code"] for each in resource.get("meta", {}).get("security", [])]


def test_labels_rise_and_stay(living: House) -> None:
    assert security(living.put(importer(), media())) == []
    assert security(living.put(derm(), media(label("R")))) == ["R"]
    assert security(living.put(derm(), media())) == ["R"], "a body without labels keeps those there are"
    assert security(living.put(derm(), media(label("V"), ETH))) == ["V", "ETH"]
    assert security(living.put(derm(), media())) == ["V", "ETH"]


@pytest.mark.parametrize(
    "lowered", [[label("N")], [label("R")], [label("V")], [ETH], [label("V"), PSY], [label("R"), ETH]]
)
def test_labels_do_not_fall(living: House, lowered: list[Resource]) -> None:
    living.put(importer(), media(label("V"), ETH))
    with refused(Category.FORBIDDEN) as said:
        living.put(derm(), media(*lowered))
    assert said.issues[0].expression == "Resource.meta.security"
    assert security(living.read(derm(), "Media/m")) == ["V", "ETH"]
    manager = derm(roles=frozenset({"label-manager"}))
    assert security(living.put(manager, media(*lowered))) == [each["code"] for each in lowered]


def test_even_a_label_manager_keeps_what_is_not_sent(living: House) -> None:
    living.put(importer(), media(label("R")))
    manager = derm(roles=frozenset({"label-manager"}))
    assert security(living.put(manager, media())) == ["R"]


def test_labels_that_stay_are_not_shown_to_who_may_not_read(living: House) -> None:
    living.put(importer(), media(label("R")))
    writer = derm("user/Media.cu user/Patient.r")
    assert living.put(writer, media()) == {}
    assert security(living.put(derm("user/Media.ru user/Patient.r"), media())) == ["R"]
    own = living.create(writer, media())
    assert own["resourceType"] == "Media", "what a client itself created holds nothing else"


def test_a_record_that_comes_back_keeps_its_labels(living: House) -> None:
    living.put(importer(), media(label("V")))
    living.delete(derm(), "Media/m")
    with refused(Category.FORBIDDEN):
        living.put(derm(), media(label("N")))
    assert security(living.put(derm(), media())) == ["V"]


def test_a_deletion_forgets_no_label(living: House) -> None:
    odd = {"code": "odd"}
    for id, labels in (("none", []), ("kept", [ETH, odd]), ("open", [label("L")]), ("both", [label("R"), PSY])):
        meta = {"meta": {"security": labels}} if labels else {}
        living.put(importer(), a("Media", id, **meta))
        living.delete(derm(), f"Media/{id}")
    with refused(Category.FORBIDDEN):
        living.put(derm(), a("Media", "kept", meta={"security": [odd]}))
    assert security(living.put(derm(), a("Media", "none"))) == []
    assert living.put(derm(), a("Media", "kept"))["meta"]["security"] == [ETH, odd]
    assert security(living.put(derm(), a("Media", "open"))) == ["L"]
    assert security(living.put(derm(), a("Media", "both"))) == ["R", "PSY"]


def test_no_label_at_all_is_a_normal_one(living: House) -> None:
    living.put(importer(), media())
    for low in ("U", "L", "M"):
        with refused(Category.FORBIDDEN):
            living.put(derm(), media(label(low)))
    assert security(living.put(derm(), media(label("N")))) == ["N"]


def test_an_empty_list_takes_every_label_away() -> None:
    manager = derm(roles=frozenset({"label-manager"}))
    for old in ([label("R")], [ETH]):
        with refused(Category.FORBIDDEN):
            security_to_store([*old], [], caller=derm())
        assert security_to_store([*old], [], caller=manager) == []
        assert security_to_store([*old], None, caller=manager) == old
    assert security_to_store([label("L")], [], caller=derm()) == []
    assert security_to_store(None, [], caller=derm()) == []
