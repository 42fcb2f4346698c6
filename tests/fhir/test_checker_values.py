"""The checker on primitive values: formats of R4, numbers in range, days that exist, codes of required lists."""

from decimal import Decimal

import pytest

from tests.fhir.spoiling import Spoil, found, put, rows, within

ROWS = [
    *rows(
        "Media",
        ("empty string", put(deviceName=""), "value", "deviceName"),
        ("boolean for a number", put(height=True), "value", "height"),
        ("text for a number", put(height="480"), "value", "height"),
        ("fraction for a whole number", put(height=Decimal("480.0")), "value", "height"),
        ("zero for positiveInt", put(height=0), "value", "height"),
        ("2^31", put(height=2**31), "value", "height"),
        ("2^63", within("content", size=2**63), "value", "content.size"),
        ("negative unsignedInt", within("content", size=-1), "value", "content.size"),
        ("text for a decimal", put(duration="1.0"), "value", "duration"),
        ("decimal without end", put(duration=Decimal("1" * 65)), "value", "duration"),
        ("decimal of a huge exponent", put(duration=Decimal("1e401")), "value", "duration"),
        ("NaN", put(duration=Decimal("NaN")), "value", "duration"),
        ("instant of a day", put(issued="2021-06-30"), "value", "issued"),
        ("instant on no day", put(issued="2021-02-30T10:00:00Z"), "value", "issued"),
        ("no base64", within("content", data="%%%%"), "value", "content.data"),
        ("truncated base64", within("content", data="QUJ"), "value", "content.data"),
        ("base64 in disorder", within("content", data="Q=JD"), "value", "content.data"),
        ("id too long", put(id="a" * 65), "value", "id"),
        ("id with a slash", put(id="a/b"), "value", "id"),
        ("uri with a blank", put(implicitRules="a b"), "value", "implicitRules"),
        ("NUL", put(deviceName="a\x00"), "value", "deviceName"),
        ("NUL in a uri", put(implicitRules="a\x00"), "value", "implicitRules"),
        ("control character", put(deviceName="a\x1b[31m"), "value", "deviceName"),
        ("lone surrogate", put(deviceName="\ud800"), "value", "deviceName"),
        ("string too long", put(deviceName="a" * (1024 * 1024 + 1)), "value", "deviceName"),
        ("unknown status", put(status="done"), "code-invalid", "status"),
        ("status in another case", put(status="Completed"), "code-invalid", "status"),
        ("no MIME type", within("content", contentType="jpeg"), "code-invalid", "content.contentType"),
        (
            "MIME type with a line feed",
            within("content", contentType="image/jpeg\nX: y"),
            "value",
            "content.contentType",
        ),
    ),
    *rows(
        "Patient",
        ("text for a boolean", put(active="true"), "value", "active"),
        ("number for a boolean", put(active=1), "value", "active"),
        ("number for a date", put(birthDate=1969), "value", "birthDate"),
        ("no such day", put(birthDate="2021-02-29"), "value", "birthDate"),
        ("31 June", put(birthDate="2021-06-31"), "value", "birthDate"),
        ("year 0", put(birthDate="0000"), "value", "birthDate"),
        ("day of the year 0", put(birthDate="0000-01-01"), "value", "birthDate"),
        ("date with a time", put(birthDate="2021-06-30T10:00:00Z"), "value", "birthDate"),
        ("date with a line feed", put(birthDate="2021-06-30\n"), "value", "birthDate"),
        ("digits of another script", put(birthDate="٢٠٢١"), "value", "birthDate"),
        ("unknown gender", put(gender="f"), "code-invalid", "gender"),
    ),
    *rows(
        "DiagnosticReport",
        ("dateTime without zone", put(effectiveDateTime="2021-06-30T10:00:00"), "value", "effective"),
        ("dateTime without seconds", put(effectiveDateTime="2021-06-30T10:00Z"), "value", "effective"),
        ("hour 24", put(effectiveDateTime="2021-06-30T24:00:00Z"), "value", "effective"),
        ("zone of 15 hours", put(effectiveDateTime="2021-06-30T10:00:00+15:00"), "value", "effective"),
    ),
    *rows(
        "DocumentReference",
        ("code with two blanks", within("content", 0, "format", code="a  b"), "value", "content[0].format.code"),
        ("code with a hard space", within("content", 0, "format", code="a\u00a0b"), "value", "content[0].format.code"),
        ("code with a blank at its end", within("content", 0, "format", code="a "), "value", "content[0].format.code"),
    ),
]


@pytest.mark.parametrize(("type", "spoil", "code", "expression"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_finds(type: str, spoil: Spoil, code: str, expression: str) -> None:
    assert (code, expression) in found(type, spoil)
