"""Somewhat more than a thousand pictures, and a few other records, for what only shows among many."""

from typing import Any

from tests.access.records import a, places

MANY = 1_100


def ref(key: str) -> dict[str, str]:
    return {"reference": key}


def corpus() -> list[dict[str, Any]]:
    """Pictures by the thousand, every tenth of dermatology and seven in progress; studies, letters and visits."""

    def picture(number: int) -> dict[str, Any]:
        stated: dict[str, Any] = {"identifier": [{"system": "urn:n", "value": f"n{number}"}]}
        if number % 200 == 150:
            stated |= {"status": "in-progress", "deviceName": "a,b|c$d"}
        return a(
            "Media",
            f"m{number:04}",
            of="bo",
            unit="derm" if number % 10 == 0 else "eyes",
            encounter=ref("Encounter/derm" if number % 20 else "Encounter/eyes"),
            createdDateTime=f"2024-0{1 + number % 9}-01",
            note=[{"text": f"okapi {number}"}],
            **stated,
        )

    accession = {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}}
    uid = [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}, {**accession, "system": "urn:acc", "value": "A1"}]
    return [
        *places(),
        a("Encounter", "derm", of="bo"),
        a("Encounter", "eyes", of="bo", unit="eyes", partOf=ref("Encounter/derm")),
        *map(picture, range(MANY)),
        a("ImagingStudy", "s1", identifier=uid),
        a("ImagingStudy", "s2", identifier=[{"system": "urn:dicom:uid", "value": "urn:oid:1.2.4"}]),
        a("DocumentReference", "d1", context={"period": {"start": "2024-02-28", "end": "2024-03-02"}}),
        a("DocumentReference", "d2", of="bo", author=[ref("Patient/anna")]),
        a("Observation", "o1", of="bo", performer=[ref("Patient/anna")]),
        a("Appointment", "ap1"),
        a("Group", "alone"),
    ]
