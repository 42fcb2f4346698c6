"""What each form of a search value means, by the type of its parameter."""

from dataclasses import replace
from datetime import UTC, datetime

from fhirmedia.core.errors import Category
from fhirmedia.core.records import Key
from fhirmedia.r4.query import (
    All,
    Any,
    DateTest,
    Match,
    Missing,
    Not,
    NumberTest,
    QuantityTest,
    ReferenceTest,
    StringTest,
    Text,
    TokenTest,
    UriTest,
)
from fhirmedia.r4.query_sentence import in_words
from tests.fhir.search_reading import BASE, MADE_UP, PERSON, SERVED, conditions, only, refused, search


def test_escaped_separators_are_literal() -> None:
    assert only(search(SERVED, r"_id=a\,b,c")) == Match("_id", (TokenTest("a,b"), TokenTest("c")))
    assert only(search(SERVED, r"status=a\|b")) == Match("status", (TokenTest("a|b"),))
    assert only(search(SERVED, r"status=a\$b\\")) == Match("status", (TokenTest("a$b\\"),))


def test_token_forms() -> None:
    system = "http://example.org/sites"
    assert only(search(SERVED, f"site={system}|Arm")) == Match("site", (TokenTest("arm", system),))
    assert only(search(SERVED, f"site={system}|")) == Match("site", (TokenTest(system=system),))
    assert only(search(SERVED, "site=|Arm")) == Match("site", (TokenTest("arm", no_system=True),))
    assert only(search(SERVED, "site:not=5,6")) == Not(Match("site", (TokenTest("5"), TokenTest("6"))))
    assert only(search(SERVED, "site:missing=true")) == Missing("site")
    assert only(search(SERVED, "site:missing=false")) == Not(Missing("site"))


def test_a_code_without_system_may_be_any_case_of_a_system_that_minds_it() -> None:
    assert only(search(SERVED, "site=mL")) == Match(
        "site", (TokenTest("ml"), TokenTest("mL", "http://unitsofmeasure.org"))
    )


def test_elements_of_type_code_carry_the_system_of_their_list() -> None:
    tests = only(search(SERVED, "status=|completed"))
    assert tests == Match(
        "status",
        (TokenTest("completed", no_system=True), TokenTest("completed", "http://hl7.org/fhir/event-status")),
    )


def test_person_numbers_are_compared_by_their_normal_form() -> None:
    wanted = Match("identifier", (TokenTest("191212121212", PERSON),))
    for written in ("191212121212", "19121212-1212", "121212%2B1212", "19121212%201212"):
        assert only(search(SERVED, f"identifier={PERSON}|{written}", type="Patient")) == wanted
    assert only(search(SERVED, "identifier=urn:oid:1.2.752.129.2.1.3.1|19121212-1212", type="Patient")) == wanted
    bare = only(search(SERVED, "identifier=19121212-1212", type="Patient"))
    assert isinstance(bare, Match)
    assert bare.tests == (TokenTest("19121212-1212"), TokenTest("191212121212", PERSON))


def test_a_uid_is_found_by_any_spelling() -> None:
    spelled = [
        only(search(SERVED, f"identifier=urn:dicom:uid|{uid}", type="ImagingStudy"))
        for uid in ("urn:oid:1.2.3", "1.2.3")
    ]
    assert spelled == [Match("identifier", (TokenTest("1.2.3", "urn:dicom:uid"),))] * 2
    bare = only(search(SERVED, "identifier=urn:oid:1.2.3", type="ImagingStudy"))
    assert isinstance(bare, Match)
    assert TokenTest("1.2.3", "urn:dicom:uid") in bare.tests
    assert only(search(MADE_UP, "uid=urn:oid:1.2.3")) == only(search(MADE_UP, "uid=1.2.3"))
    assert only(search(MADE_UP, "uid=urn:dicom:uid|1.2.3")) == Match(
        "uid", (TokenTest("1.2.3", "urn:dicom:uid"), TokenTest("1.2.3", no_system=True))
    )


def test_ids_compare_exactly_and_booleans_take_no_bar() -> None:
    assert only(search(SERVED, "_id=AbC")) == Match("_id", (TokenTest("AbC"),))
    assert only(search(MADE_UP, "active=TRUE")) == Match("active", (TokenTest("true"),))
    refused(MADE_UP, "active=http://hl7.org/fhir/special-values|true")
    refused(MADE_UP, "telecom=phone|070")


def test_dates() -> None:
    day = int(datetime(2024, 2, 29, 23, tzinfo=UTC).timestamp() * 1000)
    assert only(search(SERVED, "when=2024-03-01")) == Match("when", (DateTest("eq", day, day + 86_400_000),))
    plus = only(search(SERVED, "_lastUpdated=gt2024-03-01T10:00:00%2B02:00"))
    assert plus == only(search(SERVED, "_lastUpdated=gt2024-03-01T10:00:00+02:00"))
    prefixes = "eq ne gt lt ge le sa eb ap".split()
    found = only(search(SERVED, "when=" + ",".join(f"{prefix}2024" for prefix in prefixes)))
    assert isinstance(found, Match)
    assert [test.prefix for test in found.tests if isinstance(test, DateTest)] == prefixes


def test_reference_forms() -> None:
    patient = Match("patient", (ReferenceTest(key=Key("Patient", "p1")),))
    for text in ("p1", "Patient/p1", f"{BASE}/Patient/p1"):
        assert only(search(SERVED, f"patient={text}")) == patient
    assert only(search(SERVED, "subject:Patient=p1")) == replace(patient, parameter="subject")
    assert only(search(SERVED, "patient=Patient/p1/_history/3")) == Match(
        "patient", (ReferenceTest(key=Key("Patient", "p1"), version=3),)
    )
    elsewhere = "https://elsewhere.example/fhir/Patient/p1"
    assert only(search(SERVED, f"patient={elsewhere}")) == Match("patient", (ReferenceTest(url=elsewhere),))
    assert only(search(SERVED, "patient=urn:uuid:1")) == Match("patient", (ReferenceTest(url="urn:uuid:1"),))


def test_a_canonical_is_below_the_version_it_begins_with() -> None:
    canonical = "http://plans.example.org/p"

    def below(value: str) -> object:
        return only(search(SERVED, f"instantiates-canonical:below={value}", type="Procedure"))

    asked = Match("instantiates-canonical", (ReferenceTest(url=f"{canonical}|1.2", below=True),))
    assert below(f"{canonical}|1.2") == below(f"{canonical}%5C|1.2") == asked
    assert below(canonical) == only(search(SERVED, f"instantiates-canonical={canonical}", type="Procedure"))
    assert in_words(asked) == f"instantiates-canonical refers to {canonical}|1.2 or a version below it"


def test_a_bare_id_is_one_of_the_target_types() -> None:
    found = only(search(SERVED, "subject=x"))
    assert isinstance(found, Match)
    keys = {test.key for test in found.tests if isinstance(test, ReferenceTest)}
    assert Key("Patient", "x") in keys
    assert Key("Organization", "x") not in keys
    assert all(test.untyped for test in found.tests if isinstance(test, ReferenceTest))
    typed = Match("subject", (ReferenceTest(key=Key("Patient", "x")),))
    assert only(search(SERVED, "subject=Patient/x")) == typed


def test_a_logical_reference_is_a_token() -> None:
    assert only(search(SERVED, f"patient:identifier={PERSON}|19121212-1212")) == Match(
        "patient", (ReferenceTest(identifier=TokenTest("191212121212", PERSON)),)
    )


def test_string_forms() -> None:
    both = (StringTest("starts", "soerensen"), StringTest("starts", "sorensen"))
    assert only(search(MADE_UP, "name=S%C3%B8rensen")) == Match("name", both)
    assert only(search(MADE_UP, "name=Soerensen")) == Match("name", both[:1])
    assert only(search(MADE_UP, "name:exact=S%C3%B8ren")) == Match("name", (StringTest("exact", "Søren"),))
    found = conditions(search(MADE_UP, "name:contains=ören&status=a"))
    assert found[0] == Match("name", (StringTest("contains", "oeren"), StringTest("contains", "oren")))
    assert refused(MADE_UP, "name=...").category is Category.INVALID
    assert only(search(MADE_UP, "name=" + "a" * 300)) == Match("name", (StringTest("starts", "a" * 200),))


def test_words_of_strings() -> None:
    def begins(word: str) -> Match:
        return Match("device-name", (StringTest("starts", word), StringTest("contains", f" {word}")))

    assert conditions(search(SERVED, "device-name:text=Ö,B c&status=completed"))[0] == Any((
        begins("o"), All((begins("b"), begins("c"))),
    ))  # fmt: skip
    found = only(search(SERVED, "name:text=Bo", type="Patient"))
    assert found == Match("name", (StringTest("starts", "bo"),)), "each word of a name has a value"
    for lonely in ("device-name:text=b", "device-name:text=b&status:not=x", "patient.given:text=b"):
        assert refused(SERVED, lonely).category is Category.TOO_COSTLY
    for many in ("b " * 33, "b," * 33 + "b", "b c," * 16 + "b"):
        assert refused(SERVED, f"name:text={many}", type="Patient").category is Category.TOO_COSTLY
    search(SERVED, "patient.name:text=b")


def test_contains_is_bounded() -> None:
    assert refused(MADE_UP, "name:contains=or&status=a").category is Category.TOO_COSTLY
    for lonely in ("name:contains=oren", "name:contains=oren&status:not=a", "name:contains=oren&name:contains=abc"):
        assert refused(MADE_UP, lonely).category is Category.TOO_COSTLY
    search(MADE_UP, "name:contains=oren", type="Patient")
    search(MADE_UP, "name:contains=oren", compartment=("Patient", "p"))


def test_quantity_forms() -> None:
    ucum = "http://unitsofmeasure.org"
    exact = NumberTest("gt", 5.4, 5.4)
    assert only(search(MADE_UP, "length=gt5.4")) == Match("length", (QuantityTest(exact),))
    assert only(search(MADE_UP, f"length=gt5.4|{ucum}|mile")) == Match("length", (QuantityTest(exact, ucum, "mile"),))
    assert only(search(MADE_UP, "length=gt5.4|http://other|mL")) == Match(
        "length", (QuantityTest(exact, "http://other", "mL"),)
    )
    litres = QuantityTest(NumberTest("eq", 0.0005, 0.0015), ucum, "m3")
    assert only(search(MADE_UP, f"length=1|{ucum}|L,1|{ucum}|l")) == Match("length:canonical", (litres,))
    assert only(search(MADE_UP, f"length=gt5.4,1|{ucum}|L")) == Any((
        Match("length", (QuantityTest(exact),)), Match("length:canonical", (litres,)),
    ))  # fmt: skip
    assert only(search(MADE_UP, "length=gt5.4||mL")) == Match("length", (QuantityTest(exact, unit="mL"),))
    for text in ("x", "5|mL", "5||", f"5|{ucum}|", "5|a|b|c", "|a|b", "5|a\\b|c"):
        assert refused(MADE_UP, f"length={text}").category is Category.INVALID


def test_number_forms() -> None:
    assert only(search(MADE_UP, "dose=2,ap10")) == Match("dose", (NumberTest("eq", 1.5, 2.5), NumberTest("ap", 9, 11)))
    assert refused(MADE_UP, "dose=two").category is Category.INVALID


def test_uri_forms() -> None:
    assert only(search(MADE_UP, "url=http://a/B")) == Match("url", (UriTest("exact", "http://a/B"),))
    assert only(search(MADE_UP, "url:below=http://a/B")) == Match("url", (UriTest("below", "http://a/B"),))
    assert only(search(MADE_UP, "url:above=http://a/B")) == Match("url", (UriTest("above", "http://a/B"),))
    assert refused(MADE_UP, "url:below=urn:oid:1.2").category is Category.INVALID


def test_composites_have_their_parts() -> None:
    found = only(search(MADE_UP, "relation=DocumentReference/d1$replaces"))
    assert str(found) == "(match relation 1)"
    for text in ("relation=a", "relation=a$b$c", "relation:missing=true", "relation:not=a$b", "relation=a_b$c"):
        assert refused(MADE_UP, text).category is Category.INVALID


def test_words() -> None:
    assert only(search(MADE_UP, "text=skin red-ish")) == Text("text", (("skin", "red-ish"),))
    assert only(search(MADE_UP, 'text="left arm" OR hand -old')) == Text("text", (("left arm",), ("hand",)), ("old",))
    assert only(search(MADE_UP, "_text=a,b")) == Any((Text("_text", (("a",),)), Text("_text", (("b",),))))
    assert only(search(MADE_UP, "status:text=skin OR")) == Text("status:text", (("skin", "OR"),))
    for text in ("skin*", '"skin', "-old", "a OR", "OR", "note:skin", "(a)", "?", '""', "a \\ b"):
        assert refused(MADE_UP, f"text={text}").category is Category.INVALID, text
    for many in ("a " * 33, '"' + "a " * 33 + '"', "-".join("a" * 33), "a," * 40 + "a", ",".join(["a b"] * 17)):
        assert refused(MADE_UP, f"text={many}").category is Category.TOO_COSTLY, many
    assert refused(MADE_UP, "text:missing=true").category is Category.INVALID
    assert refused(MADE_UP, "_sort=text").category is Category.INVALID
