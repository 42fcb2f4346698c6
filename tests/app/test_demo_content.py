"""The demo's region is believable: numbers that belong to nobody, valid resources, stories that hold together."""

import itertools
import json
import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.core.errors import Failure
from fhirmedia.demo.dicom_files import stored_bytes, studies
from fhirmedia.demo.identities import (
    D_NUMMER,
    FODSELSNUMMER,
    PERSONNUMMER,
    SAMORDNINGSNUMMER,
    d_nummer,
    fodselsnummer,
    people,
    personnummer,
    samordningsnummer,
)
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.region import generate
from fhirmedia.demo.works import (
    DicomFile,
    Film,
    Photograph,
)
from fhirmedia.demo.workshop import produced, require
from fhirmedia.dicom.part10 import read_header
from fhirmedia.r4.checker import check
from fhirmedia.r4.codec import dump
from fhirmedia.r4.json_in import parse_json
from fhirmedia.r4.model import check_model
from fhirmedia.r4.person_numbers import check as number_finding

TODAY = date(2026, 10, 31)
OWNING_UNIT = "https://fhirmedia.org/StructureDefinition/owning-unit"
DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
TIMELINE = ("Media", "DocumentReference", "ImagingStudy", "DiagnosticReport")

births = st.dates(date(1925, 1, 1), TODAY)


@pytest.fixture(scope="module")
def region() -> list[DemoItem]:
    return list(generate(7))


def of_type(items: list[DemoItem], *kinds: str) -> list[DemoItem]:
    return [item for item in items if item.resource["resourceType"] in kinds]


def of_patient(items: list[DemoItem], patient: str) -> list[DemoItem]:
    return [item for item in items if item.resource.get("subject") == {"reference": f"Patient/{patient}"}]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "reference":
                yield member
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


# identities


@given(births, st.booleans(), st.integers())
def test_numbers_pass_the_checks_of_their_registers(born: date, male: bool, seed: int) -> None:
    rng = Random(seed)
    for system, number in (
        (PERSONNUMMER, personnummer(born, male=male)),
        (SAMORDNINGSNUMMER, samordningsnummer(born, male=male)),
        (FODSELSNUMMER, fodselsnummer(born, male=male, rng=rng)),
        (D_NUMMER, d_nummer(born, male=male, rng=rng)),
    ):
        assert number_finding(system, number, environment="test", today=TODAY) is None
        last = number[-1]
        assert number_finding(system, number[:-1] + str((int(last) + 1) % 10), environment="test", today=TODAY)


@given(births, st.booleans(), st.integers())
def test_numbers_belong_to_nobody(born: date, male: bool, seed: int) -> None:
    assert personnummer(born, male=male)[-4:-1] in {"238", "239", "980", "981"}
    assert samordningsnummer(born, male=male)[-4:-1] in {"238", "239"}
    for system, number in (
        (FODSELSNUMMER, fodselsnummer(born, male=male, rng=Random(seed))),
        (D_NUMMER, d_nummer(born, male=male, rng=Random(seed))),
    ):
        assert int(number[2:4]) == born.month + 80
        assert number_finding(system, number, environment="production", today=TODAY)


def test_no_two_people_are_alike() -> None:
    crowd = list(itertools.islice(people(Random(3), today=TODAY), 400))
    assert len({one.number for one in crowd}) == len({one.name for one in crowd}) == 400
    assert {one.country for one in crowd} == {"SE", "NO"}
    assert all(one.born < TODAY for one in crowd)


# the region


def test_the_region_is_as_large_as_promised(region: list[DemoItem]) -> None:
    units = of_type(region, "Organization")
    departments = {
        coding["code"]
        for unit in units
        for concept in unit.resource["type"]
        for coding in concept["coding"]
        if coding["system"] == DEPARTMENT
    }
    hospitals = [unit for unit in units if unit.resource.get("partOf") and len(unit.resource["type"]) == 1]
    assert len(hospitals) >= 3
    assert len(departments) >= 12
    assert len(of_type(region, "Practitioner")) >= 30
    assert len(of_type(region, "Patient")) >= 200
    assert len(of_type(region, *TIMELINE)) >= 3000
    for kind in TIMELINE:
        assert len(of_type(region, kind)) >= 100
    years = {str(item.resource["createdDateTime"])[:4] for item in of_type(region, "Media")}
    assert len(years) >= 10


def test_every_resource_is_valid(region: list[DemoItem]) -> None:
    for number, item in enumerate(region):
        body = parse_json(dump(item.resource))
        assert check(body, type=str(body["resourceType"])) == []
        if number % 9 == 0:
            assert check_model(body, type=str(body["resourceType"])) == []


def test_references_point_to_what_was_written_before(region: list[DemoItem]) -> None:
    written: set[str] = set()
    identities: set[str] = set()
    for item in region:
        assert set(references(item.resource)) <= written
        identity = str(item.resource["id"])
        assert identity.startswith("demo-")
        assert identity not in identities
        identities.add(identity)
        written.add(f"{item.resource['resourceType']}/{identity}")


def test_every_item_has_its_binary_its_patient_and_its_unit(region: list[DemoItem]) -> None:
    binaries = Counter(item.binary_id for item in region if item.content is not None)
    assert max(binaries.values()) == 1
    for item in of_type(region, *TIMELINE):
        body = item.resource
        assert str(body["subject"]["reference"]).startswith("Patient/")
        extensions = {extension["url"]: extension for extension in body.get("extension", [])}
        unit = body["custodian"] if "custodian" in body else extensions[OWNING_UNIT]["valueReference"]
        assert unit["reference"].startswith("Organization/")
        attached = json.dumps(body).count('"url": "Binary/')
        assert attached == (item.content is not None)
        if item.content is not None:
            text = json.dumps(body)
            assert f'"url": "Binary/{item.binary_id}"' in text
            assert f'"contentType": "{item.content_type}"' in text


def test_nobody_is_seen_before_birth_or_after_today(region: list[DemoItem]) -> None:
    born = {f"Patient/{item.resource['id']}": item.resource["birthDate"] for item in of_type(region, "Patient")}
    for item in of_type(region, *TIMELINE, "Encounter"):
        body = item.resource
        for name in ("createdDateTime", "issued", "date", "started", "effectiveDateTime"):
            if name in body:
                assert born[body["subject"]["reference"]] < body[name][:10] <= TODAY.isoformat()


def test_the_first_patient_has_a_long_record_in_many_departments(region: list[DemoItem]) -> None:
    counts = Counter(item.resource["subject"]["reference"] for item in of_type(region, *TIMELINE))
    assert counts["Patient/demo-0001"] >= 300
    assert statistics.median(counts.values()) < 30
    units = {reference for item in of_patient(region, "demo-0001") for reference in references(item.resource)}
    assert len({unit for unit in units if unit.startswith("Organization/")}) >= 4


def test_a_lesion_is_photographed_at_twelve_visits_and_grows(region: list[DemoItem]) -> None:
    shots = [item for item in of_patient(region, "demo-0002") if item.content is not None]
    scenes = [
        item.content.work.scene
        for item in shots
        if item.content is not None
        and isinstance(item.content.work, Photograph)
        and item.content.work.scene.name == "lesion"
    ]
    stages = list(dict.fromkeys(scene.stage for scene in scenes))
    assert len(stages) == 12
    assert stages == sorted(stages)
    assert len({(scene.seed, scene.tone) for scene in scenes}) == 1
    sites = {
        item.resource["bodySite"]["coding"][0]["code"] for item in shots if item.resource["resourceType"] == "Media"
    }
    assert sites == {"77568009"}


def test_a_walk_is_filmed_over_a_rehabilitation(region: list[DemoItem]) -> None:
    films = [
        item.content.work
        for item in of_patient(region, "demo-0003")
        if item.content is not None and isinstance(item.content.work, Film)
    ]
    assert len(films) >= 8
    assert [film.limp for film in films] == sorted((film.limp for film in films), reverse=True)


def test_the_same_seed_tells_the_same_story(region: list[DemoItem]) -> None:
    assert list(generate(7)) == region
    assert [item.resource for item in itertools.islice(generate(8), 400)] != [item.resource for item in region[:400]]


# DICOM


def test_dicom_documents_have_no_place_of_their_own_on_the_timeline(region: list[DemoItem]) -> None:
    files = [item for item in region if item.content is not None and isinstance(item.content.work, DicomFile)]
    assert len(files) >= 80
    studies_by_id = {str(item.resource["id"]): item.resource for item in of_type(region, "ImagingStudy")}
    for item in files:
        body = item.resource
        assert "date" not in body
        assert "period" not in body["context"]
        assert item.content is not None
        header = read_header(item.content())
        assert body["masterIdentifier"] == {"system": "urn:dicom:uid", "value": f"urn:oid:{header.sop_uid}"}
        study = studies_by_id[body["context"]["related"][0]["reference"].removeprefix("ImagingStudy/")]
        assert study["identifier"][0]["value"] == f"urn:oid:{header.study_uid}"
        assert study["subject"] == body["subject"]
        row = next(series for series in study["series"] if series["uid"] == header.series_uid)
        assert header.sop_uid in {instance["uid"] for instance in row["instance"]}


def test_each_stored_instance_belongs_to_one_study() -> None:
    everything = [instance for study in studies() for instance in study]
    assert len({instance.header.sop_uid for instance in everything}) == len(everything)
    assert len({instance.header.study_uid for instance in everything}) == len(studies())
    assert stored_bytes(everything[0].file)[128:132] == b"DICM"


# workshop


def test_the_workshop_hands_out_what_each_item_would_make(region: list[DemoItem]) -> None:
    kinds: dict[str, DemoItem] = {}
    for item in region:
        work = item.content.work if item.content is not None else None
        kinds.setdefault(type(work).__name__, item)
    shown = [item for name, item in kinds.items() if name != "Film"]
    assert len(shown) == 5
    made = dict(zip(map(id, shown), (content for _, content in produced([*shown, *shown])), strict=False))
    for item in shown:
        assert made[id(item)] == (item.content() if item.content is not None else None)


def test_what_is_missing_is_said_before_anything_is_made() -> None:
    require()
    with pytest.raises(Failure, match="pip install"):
        require(["numpy", "a_package_nobody_has"])
