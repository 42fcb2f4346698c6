"""The region of the demo: care providers, hospitals, departments, and who works there."""

from dataclasses import dataclass
from random import Random

from fhirmedia.demo.identities import Country, staff_names
from fhirmedia.r4.json_types import Json, JsonObject

DEPARTMENT = "https://fhirmedia.org/CodeSystem/department"
ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"
HSA_ID = "urn:oid:1.2.752.129.2.1.4.1"
HPR_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.4"

PROVIDERS = (("nordanvind", "Region Nordanvind", "SE"), ("fjellheim", "Helse Fjellheim", "NO"))
"""Id, name and country of the care providers."""

HOSPITALS = (
    ("norrsjo", "Norrsjö universitetssjukhus", "nordanvind", "Norrsjö"),
    ("alvbacka", "Älvbacka lasarett", "nordanvind", "Älvbacka"),
    ("tallmon", "Tallmons sjukhus", "nordanvind", "Tallmon"),
    ("bjorkudden", "Vårdcentralen Björkudden", "nordanvind", "Björkudden"),
    ("fjellvik", "Fjellvik sykehus", "fjellheim", "Fjellvik"),
    ("nordtind", "Nordtind sykehus", "fjellheim", "Nordtind"),
)
"""Id, name, provider, town."""

DEPARTMENT_CODES = {
    "burn": "Burns",
    "cardio": "Cardiology",
    "derm": "Dermatology",
    "emerg": "Emergency medicine",
    "endo": "Endoscopy",
    "ent": "Ear, nose and throat",
    "gyn": "Gynaecology and obstetrics",
    "neuro": "Neurology",
    "ophth": "Ophthalmology",
    "ortho": "Orthopaedics",
    "paed": "Paediatrics",
    "path": "Pathology",
    "plastic": "Plastic surgery",
    "radiol": "Radiology",
    "wound": "Wound care",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A department of a hospital; `id` is that of its Organization."""

    id: str
    code: str
    name: str
    hospital: str
    country: Country


_DEPARTMENTS: tuple[tuple[str, Country, tuple[tuple[str, str], ...]], ...] = (
        ("norrsjo", "SE", (("derm", "Hudkliniken"), ("neuro", "Neurologkliniken"), ("cardio", "Hjärtkliniken"),
                           ("plastic", "Plastikkirurgiska kliniken"), ("burn", "Brännskadecentrum"),
                           ("ophth", "Ögonkliniken"), ("radiol", "Röntgenkliniken"), ("path", "Klinisk patologi"))),
        ("alvbacka", "SE", (("ent", "Öron-, näs- och halskliniken"), ("ortho", "Ortopedkliniken"),
                            ("endo", "Endoskopienheten"), ("paed", "Barn- och ungdomskliniken"))),
        ("tallmon", "SE", (("emerg", "Akutmottagningen"), ("gyn", "Kvinnokliniken"))),
        ("bjorkudden", "SE", (("wound", "Sårmottagningen"),)),
        ("fjellvik", "NO", (("derm", "Hudavdelingen"), ("ortho", "Ortopedisk avdeling"),
                            ("cardio", "Hjertemedisinsk avdeling"), ("ophth", "Øyeavdelingen"),
                            ("neuro", "Nevrologisk avdeling"), ("radiol", "Radiologisk avdeling"))),
        ("nordtind", "NO", (("emerg", "Akuttmottaket"), ("ent", "Øre-nese-halsavdelingen"),
                            ("endo", "Endoskopisk enhet"), ("wound", "Sårpoliklinikken"))),
)  # fmt: skip
UNITS = tuple(
    Unit(f"demo-org-{hospital}-{code}", code, name, hospital, country)
    for hospital, country, departments in _DEPARTMENTS
    for code, name in departments
)

HOSPITAL_NAMES = {identity: name for identity, name, _, _ in HOSPITALS}


@dataclass(frozen=True, slots=True)
class Clinician:
    """Somebody who works in a unit; `role` is the title in the language of the unit."""

    id: str
    name: str
    role: str
    unit: Unit
    resource: JsonObject


def organizations() -> list[JsonObject]:
    """Providers, then hospitals, then departments: a whole stands before its parts."""
    return [
        *(
            _organization(f"demo-org-{identity}", name, kind="prov", country=country)
            for identity, name, country in PROVIDERS
        ),
        *(
            _organization(f"demo-org-{identity}", name, kind="prov", part_of=f"demo-org-{provider}", city=city)
            for identity, name, provider, city in HOSPITALS
        ),
        *(
            _organization(unit.id, unit.name, kind="dept", part_of=f"demo-org-{unit.hospital}", department=unit.code)
            for unit in UNITS
        ),
    ]


def clinicians(rng: Random) -> list[Clinician]:
    """A physician and a nurse in every unit."""
    names = {country: staff_names(rng, country) for country in ("SE", "NO")}
    titles = {"SE": ("Överläkare", "Sjuksköterska"), "NO": ("Overlege", "Sykepleier")}
    found: list[Clinician] = []
    for unit in UNITS:
        for role in titles[unit.country]:
            given, family, male = next(names[unit.country])
            number = len(found) + 1
            system, value = (
                (HSA_ID, f"SE2321009999-{4000 + number}")
                if unit.country == "SE"
                else (HPR_NUMBER, f"{9990000 + number}")
            )
            resource: JsonObject = {
                "resourceType": "Practitioner",
                "id": f"demo-prac-{number:02d}",
                "identifier": [{"system": system, "value": value}],
                "active": True,
                "name": [{"use": "official", "family": family, "given": [given], "prefix": [role]}],
                "gender": "male" if male else "female",
                "qualification": [{"code": {"text": role}}],
            }
            found.append(Clinician(f"demo-prac-{number:02d}", f"{given} {family}", role, unit, resource))
    return found


def _organization(
    identity: str, name: str, *, kind: str, part_of: str | None = None, department: str | None = None,
    city: str | None = None, country: str | None = None,
) -> JsonObject:  # fmt: skip
    display = {"prov": "Healthcare Provider", "dept": "Hospital Department"}[kind]
    types: list[Json] = [{"coding": [{"system": ORGANIZATION_TYPE, "code": kind, "display": display}]}]
    if department is not None:
        coding: JsonObject = {"system": DEPARTMENT, "code": department, "display": DEPARTMENT_CODES[department]}
        types.append({"coding": [coding]})
    body: JsonObject = {"resourceType": "Organization", "id": identity, "active": True, "type": types, "name": name}
    if city is not None or country is not None:
        where: JsonObject = {"city": city} if city is not None else {"country": country}
        body["address"] = [where]
    if part_of is not None:
        body["partOf"] = {"reference": f"Organization/{part_of}"}
    return body
