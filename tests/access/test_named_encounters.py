"""What a write names and its writer may not see: a hidden Encounter, of whomever, is answered as an absent one."""

from typing import Any

import pytest

from fhirmedia.access.caller import Caller
from fhirmedia.core.errors import Failure
from tests.access.houses import House, anna, derm, importer, someone
from tests.access.records import a

HIDDEN = {
    "of another patient, in another unit": a("Encounter", "hidden", of="bo", unit="eyes"),
    "of the same patient, in another unit": a("Encounter", "hidden", unit="eyes"),
    "of another patient, without a unit": a("Encounter", "hidden", of="bo", unit=None),
    "of nobody, in another unit": a("Encounter", "hidden", of=None, unit="eyes"),
}
WRITERS = {
    "derm": derm(),
    "anna": anna(),
    "derm without encounters": derm("user/Media.cruds user/Patient.r user/Organization.r"),
    "all units, without encounters": someone("user/Media.cruds user/Patient.r"),
}
CASES = [(each, writer) for each in HIDDEN for writer in WRITERS if "same patient" not in each or writer != "anna"]
"""Anna sees her own visit to another unit."""


def answered(living: House, writer: Caller, encounter: str, unit: str | None) -> tuple[str, ...]:
    """What the writer of a Media is told: nothing of the Encounter but the name that was sent."""
    media = a("Media", "new", unit=unit, encounter={"reference": f"Encounter/{encounter}"})
    try:
        made: dict[str, Any] = living.create(writer, media)
    except Failure as refused:
        return refused.category.name, *(f"{each.code} {each.text} {each.expression}" for each in refused.issues)
    return ("created", *sorted(made), str(made["meta"].get("tag")))


@pytest.mark.parametrize("unit", ["derm", None])
@pytest.mark.parametrize(("hidden", "writer"), CASES)
def test_a_hidden_encounter_is_named_like_an_absent_one(
    living: House, hidden: str, writer: str, unit: str | None
) -> None:
    living.put(importer(), HIDDEN[hidden])
    caller = WRITERS[writer]
    with pytest.raises(Failure):
        living.read(caller, "Encounter/hidden")
    assert answered(living, caller, "hidden", unit) == answered(living, caller, "never", unit)
