"""Sound resources of each served type, filled well enough to be spoilt in many places. All of it is invented."""

from copy import deepcopy
from decimal import Decimal

from fhirmedia.r4.json_types import JsonObject

_DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p class="c">Left forearm, <b>two</b> views</p></div>'

_SAMPLES: dict[str, JsonObject] = {
    "Patient": {
        "id": "p1",
        "meta": {"profile": ["http://example.org/p"], "tag": [{"system": "http://example.org/t", "code": "x"}]},
        "language": "nb",
        "text": {"status": "generated", "div": _DIV},
        "identifier": [{"use": "official", "system": "urn:oid:2.16.578.1.12.4.1.4.1", "value": "13116900216"}],
        "active": True,
        "name": [{"family": "Berg", "given": ["Ida", None], "_given": [None, {"extension": [
            {"url": "http://example.org/unknown", "valueCode": "masked"}]}]}],
        "telecom": [{"system": "phone", "value": "+47 00 00 00 00", "rank": 1, "period": {"start": "2020"}}],
        "gender": "female",
        "birthDate": "1969-11-13",
        "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1969-11-13T10:00:00+01:00"}]},
        "deceasedBoolean": False,
        "address": [{"line": ["Storgata 1"], "city": "Bergen", "country": "NO"}],
        "contact": [{"relationship": [{"text": "mother"}], "name": {"text": "E. Berg"}}],
        "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "nb"}]}, "preferred": True}],
        "managingOrganization": {"reference": "Organization/o1", "type": "Organization"},
        "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
    },
    "Media": {
        "contained": [{"resourceType": "Device", "id": "camera", "status": "active"}],
        "extension": [{"url": "http://example.org/n", "extension": [{"url": "a", "valueDecimal": Decimal("1.50")}]}],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}],
        "basedOn": [{"reference": "ServiceRequest/s1/_history/2"}],
        "status": "completed",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/media-type", "code": "image"}]},
        "subject": {"reference": "Patient/p1", "display": "Ida Berg"},
        "createdPeriod": {"start": "2021-02-28", "end": "2021-02-28T12:00:00.123Z"},
        "issued": "2021-02-28T12:00:00.5+01:00",
        "operator": {"identifier": {"system": "urn:oid:2.16.578.1.12.4.1.4.4", "value": "9144900"}},
        "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "14975008", "display": "Forearm"}]},
        "device": {"reference": "#camera"},
        "height": 480,
        "width": 640,
        "duration": Decimal("12.50"),
        "content": {"contentType": "image/jpeg", "data": "QUJDRA==", "size": 4, "title": "Arm"},
        "note": [{"authorReference": {"reference": "Practitioner/d1"}, "time": "2021-03", "text": "Healing *well*"}],
    },
    "DocumentReference": {
        "masterIdentifier": {"value": "d-1"},
        "status": "current",
        "docStatus": "final",
        "category": [{"text": "letter"}],
        "subject": {"reference": "http://example.org/fhir/Patient/p1"},
        "date": "2019-12-31T23:59:59Z",
        "author": [{"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}],
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/d0"}}],
        "content": [{
            "attachment": {
                "contentType": "text/plain; charset=UTF-8", "url": "Binary/b1", "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            },
            "format": {"system": "http://example.org/f", "code": "a b", "userSelected": False},
        }],
        "context": {"period": {"start": "2019-12-31"}, "related": [{"reference": "Encounter/e1"}]},
    },
    "ImagingStudy": {
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1"}],
        "status": "available",
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}],
        "subject": {"reference": "Patient/p1"},
        "started": "2018-06-01T08:00:00Z",
        "numberOfSeries": 1,
        "numberOfInstances": 0,
        "series": [{
            "uid": "1.2.840.2", "number": 3,
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
            "instance": [{"uid": "1.2.840.3", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2"}}],
        }],
    },
    "DiagnosticReport": {
        "status": "final",
        "code": {"text": "MRI of the knee"},
        "effectiveDateTime": "2020-02-29",
        "issued": "2020-02-29T12:00:00Z",
        "media": [{"comment": "front", "link": {"reference": "Media/m1"}}],
        "presentedForm": [{"contentType": "application/pdf", "language": "sv", "creation": "2020"}],
    },
    "Binary": {"contentType": "application/pdf", "data": "JVBERi0="},
    "Organization": {
        "active": True,
        "name": "Skin clinic",
        "alias": ["Derma"],
        "partOf": {"reference": "Organization/o0"},
        "endpoint": [{"reference": "Endpoint/e1"}],
    },
    "Practitioner": {
        "name": [{"text": "Dr. Ek", "use": "official"}],
        "birthDate": "1980",
        "qualification": [{"code": {"text": "MD"}, "period": {"start": "2005-06"}}],
        "photo": [{"contentType": "image/png", "url": "http://example.org/photo.png"}],
    },
    "Encounter": {
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "length": {"value": 30, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min", "comparator": "<"},
        "statusHistory": [{"status": "planned", "period": {"start": "2020-01-01"}}],
        "diagnosis": [{"condition": {"reference": "Condition/c1"}, "rank": 1}],
    },
}  # fmt: skip

TYPES = tuple(_SAMPLES)


def sample(type: str) -> JsonObject:
    """A sound resource of the type, yours to change."""
    return {"resourceType": type, **deepcopy(_SAMPLES[type])}
