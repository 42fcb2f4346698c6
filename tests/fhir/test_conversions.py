"""What each FHIR type becomes for each search type (FHIR R4, search, parameter types)."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from sys import float_info
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirmedia.core.records import Key
from fhirmedia.r4.extract import Extractor
from fhirmedia.r4.registry import load_registry
from fhirmedia.r4.values import (
    BEGINNING,
    END,
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)
from tests.fhir.switchboards import whole_r4

BASE = "https://fhir.example.org/fhir"
SNOMED = "http://snomed.info/sct"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """All types of R4 with all their parameters."""
    folder: Path = whole_r4(tmp_path_factory.mktemp("whole") / "profiles")
    return Extractor(load_registry(folder), base_url=BASE, zone=ZoneInfo("Europe/Stockholm"))


def day(text: str, zone_hours: int = 1) -> int:
    """The midnight of a winter day in Stockholm, in milliseconds UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000) - zone_hours * 3_600_000


CONVERSIONS: list[tuple[str, dict[str, Any], str, set[SearchValue]]] = [
    ("Media", {"status": "completed"}, "status", {TokenValue("http://hl7.org/fhir/event-status", "completed")}),
    ("Patient", {"active": False}, "active", {TokenValue(None, "false")}),
    ("Patient", {"deceasedDateTime": "2020"}, "deceased", {TokenValue(None, "true")}),
    ("Patient", {}, "deceased", {TokenValue(None, "false")}),
    (
        "Media",
        {"bodySite": {"coding": [{"system": SNOMED, "code": "368209003"}, {"code": "ARM"}], "text": "arm"}},
        "site",
        {TokenValue(SNOMED, "368209003"), TokenValue(None, "arm")},
    ),
    ("Media", {"bodySite": {"text": "arm"}}, "site", set()),
    ("Encounter", {"class": {"system": "http://x", "code": "AMB"}}, "class", {TokenValue("http://x", "amb")}),
    ("Patient", {"identifier": [{"system": "http://x"}]}, "identifier", {TokenValue("http://x", None)}),
    ("Patient", {"identifier": [{"type": {"text": "none"}}]}, "identifier", set()),
    (
        "ImagingStudy",
        {"identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]},
        "identifier",
        {TokenValue("urn:dicom:uid", "1.2.3")},
    ),
    ("ImagingStudy", {"series": [{"uid": "1.2.3"}, {"uid": "1.2.4"}]}, "series", {
        TokenValue(None, "1.2.3"), TokenValue(None, "1.2.4")}),
    (
        "Patient",
        {"telecom": [{"system": "phone", "value": "+46 8"}, {"system": "email", "value": "A@b.se"}, {"system": "fax"}]},
        "telecom",
        {TokenValue(None, "+46 8"), TokenValue(None, "a@b.se")},
    ),
    ("Patient", {"telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}]}, "email", {
        TokenValue(None, "2")}),
    ("Media", {"createdDateTime": "2024-01-02"}, "created", {DateValue(day("2024-01-02"), day("2024-01-03"))}),
    ("Media", {"createdPeriod": {"start": "2024-01-02"}}, "created", {DateValue(day("2024-01-02"), END)}),
    ("Media", {"createdPeriod": {"end": "2024-01-02"}}, "created", {DateValue(BEGINNING, day("2024-01-03"))}),
    ("Media", {"createdPeriod": {"extension": [{"url": "http://x"}]}}, "created", set()),
    ("Media", {"createdDateTime": "2024-13-45"}, "created", set()),
    ("Media", {"_createdDateTime": {"extension": [{"url": "http://x"}]}}, "created", set()),
    ("DiagnosticReport", {"issued": "2024-01-02T00:00:00.5Z"}, "issued", {
        DateValue(day("2024-01-02", 0) + 500, day("2024-01-02", 0) + 501)}),
    (
        "ServiceRequest",
        {"occurrenceTiming": {"event": ["2024-01-02", "2024-01-05"], "repeat": {"boundsPeriod": {"end": "2024"}}}},
        "occurrence",
        {DateValue(BEGINNING, day("2025-01-01"))},
    ),
    ("ServiceRequest", {"occurrenceTiming": {"code": {"text": "daily"}}}, "occurrence", set()),
    ("Procedure", {"performedString": "last year"}, "date", set()),
    ("Procedure", {"performedAge": {"value": 4}}, "date", set()),
    ("Media", {"subject": {"reference": "Patient/p"}}, "subject", {ReferenceValue(Key("Patient", "p"))}),
    ("Media", {"subject": {"reference": f"{BASE}/Patient/p"}}, "subject", {ReferenceValue(Key("Patient", "p"))}),
    ("Media", {"subject": {"reference": "Patient/p/_history/3"}}, "subject", {ReferenceValue(Key("Patient", "p"), 3)}),
    ("Media", {"subject": {"reference": "https://other.example.org/Patient/p"}}, "subject", {
        ReferenceValue(url="https://other.example.org/Patient/p")}),
    ("Media", {"subject": {"reference": "#p"}}, "subject", set()),
    ("Media", {"subject": {"display": "somebody"}}, "subject", set()),
    ("Media", {"subject": {"identifier": {"system": "http://x", "value": "A"}}}, "subject", {
        ReferenceValue(identifier=TokenValue("http://x", "a"))}),
    ("Media", {"subject": {"reference": "Patient/p", "identifier": {"value": "A"}}}, "subject", {
        ReferenceValue(Key("Patient", "p"), identifier=TokenValue(None, "a"))}),
    ("Media", {"subject": {"reference": "#p", "identifier": {"value": "A"}}}, "subject", {
        ReferenceValue(identifier=TokenValue(None, "a"))}),
    ("ServiceRequest", {"instantiatesCanonical": ["http://x/P|1"]}, "instantiates-canonical", {
        ReferenceValue(url="http://x/P|1"), ReferenceValue(url="http://x/P")}),
    ("ServiceRequest", {"instantiatesCanonical": ["http://x/P|", "|1"]}, "instantiates-canonical", {
        ReferenceValue(url="http://x/P|"), ReferenceValue(url="|1")}),
    ("ServiceRequest", {"instantiatesUri": ["http://x/P"]}, "instantiates-uri", {UriValue("http://x/P")}),
    ("Organization", {"name": "Hudkliniken Åby"}, "name", {
        StringValue("hudkliniken aby", "Hudkliniken Åby"), StringValue("hudkliniken aaby", "Hudkliniken Åby")}),
    ("Patient", {"name": [{"family": "Ahl Hägg"}]}, "name", {
        StringValue(form, "Ahl Hägg") for form in ("ahl hagg", "ahl haegg", "hagg", "haegg")}),
    (
        "Patient",
        {"name": [{"use": "usual", "family": "Carreño Quiñones", "given": [None, "Ana"], "period": {"start": "2020"}}]},
        "name",
        {
            StringValue("carreno quinones", "Carreño Quiñones"),
            StringValue("quinones", "Carreño Quiñones"),
            StringValue("ana", "Ana"),
        },
    ),
    ("Patient", {"address": [{"line": ["Storgatan 1"], "city": "Umeå", "use": "home"}]}, "address", {
        StringValue("storgatan 1", "Storgatan 1"), StringValue("1", "Storgatan 1"), StringValue("umea", "Umeå"),
        StringValue("umeaa", "Umeå")}),
    ("RiskAssessment", {"prediction": [{"probabilityDecimal": Decimal("0.5")}]}, "probability", {
        NumberValue(0.5, 0.5)}),
    ("RiskAssessment", {"prediction": [{"probabilityRange": {"low": {"value": 1}}}]}, "probability", {
        NumberValue(1.0, float_info.max)}),
    ("RiskAssessment", {"prediction": [{"probabilityDecimal": Decimal("1E+999")}]}, "probability", set()),
    ("Observation", {"valueQuantity": {"value": Decimal("5.40"), "unit": "mg", "system": "http://u", "code": "mg"}},
     "value-quantity", {QuantityValue(5.4, 5.4, "http://u", "mg", "mg")}),
    ("Observation", {"valueQuantity": {"value": 5, "comparator": "<="}}, "value-quantity", {
        QuantityValue(-float_info.max, 5.0)}),
    ("Observation", {"valueQuantity": {"value": 5, "comparator": ">"}}, "value-quantity", {
        QuantityValue(5.0, float_info.max)}),
    ("Observation", {"valueQuantity": {"value": 10**400}}, "value-quantity", set()),
    ("Observation", {"valueQuantity": {"unit": "mg"}}, "value-quantity", set()),
    ("Observation", {"valueSampledData": {"period": 1, "dimensions": 1}}, "value-quantity", set()),
    ("Condition", {"onsetRange": {"low": {"value": 1, "code": "a"}, "high": {"value": 2, "code": "a"}}}, "onset-age", {
        QuantityValue(1.0, 2.0, None, "a", None)}),
    ("Invoice", {"totalNet": {"value": 10, "currency": "SEK"}}, "totalnet", {
        QuantityValue(10.0, 10.0, "urn:iso:std:iso:4217", "SEK", "SEK")}),
    ("Basic", {"meta": {"profile": ["http://x/P"]}}, "_profile", {UriValue("http://x/P")}),
    ("Basic", {"meta": {"source": "http://x/S#1"}}, "_source", {UriValue("http://x/S#1")}),
    ("Basic", {"meta": {"security": [{"system": "http://s", "code": "R"}]}}, "_security", {
        TokenValue("http://s", "r")}),
]  # fmt: skip


@pytest.mark.parametrize(("type", "elements", "code", "expected"), CONVERSIONS)
def test_conversion(
    everything: Extractor, type: str, elements: dict[str, Any], code: str, expected: set[SearchValue]
) -> None:
    entries = everything.entries({"resourceType": type, **elements}, key=Key(type, "x1"), last_updated_ms=0)
    found = entries.values.get(code, ())
    assert set(found) == expected
    assert len(found) == len(expected)
