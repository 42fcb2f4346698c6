"""The normal form of codes, so that equal things compare equal whoever wrote them.

Codes compare without regard to case unless their system says that case matters; DICOM UIDs compare without `urn:oid:`;
person numbers by the form their issuer would print.
"""

from datetime import date

from fhirmedia.r4.fold import bounded
from fhirmedia.r4.person_numbers import normal_form, normal_system, number_systems
from fhirmedia.r4.values import TokenValue

DICOM_UID = "urn:dicom:uid"
CASE_SENSITIVE_SYSTEMS = frozenset(("http://unitsofmeasure.org",))
OF_TYPE = ":of-type"
"""Suffix of a token parameter's code for identifiers by the code of their type and their value."""
_OID = "urn:oid:"


def normal_code(system: str | None, code: str, *, today: date | None = None) -> str:
    """The code as it is compared within its system; idempotent. `today` is for person numbers without century."""
    if system is not None:
        if system in CASE_SENSITIVE_SYSTEMS:
            return bounded(code)
        if system == DICOM_UID:
            code = normal_uid(code)
        elif system in number_systems():
            code = normal_form(system, code, today=today)
    return bounded(code.casefold())


def normal_uid(uid: str) -> str:
    """A DICOM UID without the prefix that FHIR puts before it in an Identifier (FHIR R4, ImagingStudy)."""
    return uid[len(_OID) :] if uid[: len(_OID)].casefold() == _OID else uid


def token_value(system: str | None, code: str | None, group: int = 0) -> TokenValue:
    """A coded value as engines store it; the system in its first spelling, the code in its normal form."""
    if system is not None:
        system = bounded(normal_system(system))
    if code is None:
        return TokenValue(system, None, group)
    normal = normal_code(system, code)
    return TokenValue(system, normal, group, None if normal == code else code)


def code_readings(code: str, *, today: date) -> tuple[tuple[str | None, str], ...]:
    """What a code asked for without a system may be stored as: `(None, form)` under any, `(system, form)` under one.

    The systems of the second kind are those that compare by a rule of their own.
    """
    anywhere = normal_code(None, code)
    own = dict.fromkeys((*CASE_SENSITIVE_SYSTEMS, DICOM_UID, *(row.system for row in number_systems().values())))
    forms = ((system, normal_code(system, code, today=today)) for system in own)
    return (None, anywhere), *((system, form) for system, form in forms if form != anywhere)
