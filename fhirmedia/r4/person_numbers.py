"""Person numbers: one normal form per number, and whether a number can be one, by the table of `profiles/`.

The system of the identifier decides the rule, never the shape of the number. Neither sex nor date of birth is read
from a number; its date is only asked whether it exists.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from types import MappingProxyType
from typing import Literal

from fhirmedia.core.clock import system_clock
from fhirmedia.r4.profiles_path import profiles

Environment = Literal["test", "production"]


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One row of the table: the system, its other spellings, and the rule with its parameters.

    `day_shift` is what the issuer adds to the day of birth; `synthetic_month_shifts` mark numbers of test persons.
    `pattern` is what a number of the rule `pattern` looks like without blanks, in letters of either case.
    """

    system: str
    aliases: tuple[str, ...]
    name: str
    rule: str
    day_shift: int
    synthetic_month_shifts: tuple[int, ...]
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a rule made of a number: its normal form, and whether it belongs to a made-up person."""

    normal: str
    synthetic: bool = False


@cache
def number_systems() -> Mapping[str, NumberRow]:
    """The rows by system, under each of its spellings."""
    rows = [
        NumberRow(
            system=entry["system"],
            aliases=tuple(entry["aliases"]),
            name=entry["name"],
            rule=entry["rule"],
            day_shift=entry.get("dayShift", 0),
            synthetic_month_shifts=tuple(entry.get("syntheticMonthShifts", ())),
            pattern=re.compile(entry.get("pattern", ""), re.ASCII | re.IGNORECASE),
        )
        for entry in json.loads(profiles().joinpath("r4", "person-numbers.json").read_text("utf-8"))
    ]
    return MappingProxyType({spelling: row for row in rows for spelling in (row.system, *row.aliases)})


def normal_system(system: str) -> str:
    """The first spelling of a person number's system; any other system as it is."""
    row = number_systems().get(system)
    return system if row is None else row.system


def normal_form(system: str, value: str, *, today: date | None = None) -> str:
    """The form in which numbers of this system are compared; a value that is none, or another system's, as written.

    `today` (default: the machine's date) gives a number without century the latest one that is not in the future.
    """
    row = number_systems().get(system)
    reading = None if row is None else _read(row, value, today)
    return value if reading is None else reading.normal


def check(system: str, value: str, *, environment: str, today: date | None = None) -> str | None:
    """What is wrong with an identifier about to be stored, as a sentence without the value; None if nothing.

    Numbers of made-up persons pass in the environment `test` alone. Systems outside the table are not judged.
    """
    row = number_systems().get(system)
    if row is None:
        return None
    reading = _read(row, value, today)
    if reading is None:
        return f"the value is not a valid {row.name} (form, date or check digits)"
    if reading.synthetic and environment != "test":
        return f"the value is a {row.name} reserved for tests"
    return None


def _read(row: NumberRow, value: str, today: date | None) -> Reading | None:
    if today is None:
        today = datetime.fromtimestamp(system_clock() // 1000, UTC).date()
    return _RULES[row.rule](row, "".join(value.split()), today)


_SWEDISH = re.compile(r"(?P<century>18|19|20)?(?P<year>[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
                      r"(?P<sign>[-+]?)(?P<serial>[0-9]{4})")  # fmt: skip


def _sweden(row: NumberRow, text: str, today: date) -> Reading | None:
    """Twelve digits, the last a Luhn digit over the nine before it (Skatteverket, SKV 704)."""
    form = _SWEDISH.fullmatch(text)
    if form is None:
        return None
    year, month, day, serial = form["year"], form["month"], form["day"], form["serial"]
    if not _luhn(year + month + day + serial):
        return None
    centuries = (form["century"],) if form["century"] else ("20", "19", "18")
    latest = today.year - 100 if form["sign"] == "+" else today.year
    for century in centuries:
        born = _date(int(century + year), int(month), int(day) - row.day_shift)
        if born is not None and (form["century"] or (born.year <= latest and born <= today)):
            return Reading(f"{century}{year}{month}{day}{serial}")
    return None


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


_NORWEGIAN = re.compile(r"[0-9]{11}")
_FIRST_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
_SECOND_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)


def _norway(row: NumberRow, text: str, today: date) -> Reading | None:
    """Eleven digits with two check digits modulo 11; from 2032 the first may leave 0 to 3 (Skatteetaten)."""
    if _NORWEGIAN.fullmatch(text) is None:
        return None
    allowed = (0, 1, 2, 3) if today.year >= 2032 else (0,)
    if _weighted(text, _FIRST_WEIGHTS) not in allowed or _weighted(text, _SECOND_WEIGHTS) != 0:
        return None
    day, month, year = int(text[:2]) - row.day_shift, int(text[2:4]), int(text[4:6])
    for shift in (0, *row.synthetic_month_shifts):
        # Only the leap day depends on the century, and a year divisible by four is a leap year in one of them.
        if _date(2000 + year, month - shift, day) is not None:
            return Reading(text, synthetic=shift != 0)
    return None


_NORWEGIAN_HELP = re.compile(r"[89][0-9]{10}")


def _norway_help(_row: NumberRow, text: str, _today: date) -> Reading | None:
    """Eleven digits, the first an 8 or 9, the others at random, with the two check digits (Norsk helsenett)."""
    if _NORWEGIAN_HELP.fullmatch(text) is None:
        return None
    is_sound = _weighted(text, _FIRST_WEIGHTS) == 0 and _weighted(text, _SECOND_WEIGHTS) == 0
    return Reading(text) if is_sound else None


def _pattern(row: NumberRow, text: str, _today: date) -> Reading | None:
    """What the groups of the row's pattern take in, one after the other, in capitals; letters tell people apart."""
    form = row.pattern.fullmatch(text)
    return None if form is None else Reading("".join(form.groups()).upper())


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % 11


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_RULES: Mapping[str, Callable[[NumberRow, str, date], Reading | None]] = MappingProxyType(
    {"sweden": _sweden, "norway": _norway, "norwayHelp": _norway_help, "pattern": _pattern}
)
