"""Units of UCUM told in a few base units, exactly, or not at all."""

import json
from decimal import Decimal
from fractions import Fraction
from sys import float_info

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.profiles_path import profiles
from fhirmedia.r4.ucum import canonical_unit, in_canonical

FACTS = json.loads((profiles() / "ucum.json").read_text("utf-8"))

SAME = [
    ("mg", "0.001", "g"),
    ("dag", "10", "g"),
    ("ug", "0.000001", "g"),
    ("[lb_av]", "453.59237", "g"),
    ("cm", "0.01", "m"),
    ("min", "60", "s"),
    ("mg/dL", "0.01", "g/L"),
    ("mmol/L", "1", "mol/m3"),
    ("kg.m-2", "1", "kg/m2"),
    ("mm[Hg]", "133.322", "Pa"),
    ("cm[H2O]", "98.0665", "Pa"),
    ("10*9/L", "1000", "/uL"),
    ("10^3/uL", "1", "10*9/L"),
    ("{beats}/min", "1", "/min"),
    ("mg/{tablet}", "1", "mg"),
    ("{score}", "1", "1"),
    ("mL/min/{1.73_m2}", "1", "mL/min"),
    ("%", "0.01", "1"),
    ("m[iU]/mL", "1", "[IU]/L"),
    ("kcal", "4.184", "kJ"),
    ("mSv", "0.001", "J/kg"),
    ("60.U", "1", "umol/s"),
    ("wk", "604800", "s"),
]


@pytest.mark.parametrize(("code", "factor", "other"), SAME)
def test_one_is_so_much_of_the_other(code: str, factor: str, other: str) -> None:
    one, another = canonical_unit(code), canonical_unit(other)
    assert one is not None
    assert another is not None
    assert one.code == another.code
    assert one.factor == Fraction(Decimal(factor)) * another.factor


@pytest.mark.parametrize(
    ("one", "other"), [("mg", "mL"), ("mmol/L", "mg/dL"), ("[iU]", "U"), ("Cel", "K"), ("m", "m2")]
)
def test_kinds_are_kept_apart(one: str, other: str) -> None:
    first, second = canonical_unit(one), canonical_unit(other)
    assert first is not None
    assert second is not None
    assert first.code != second.code


UNREAD = " stone MG [degF] (mg) mg/(24.h) mg/ / .mg mg//L 0 k% mL/min/1.73.m2 µg {open { } 10*- m--1 [nonsense]".split(
    " "
)


@pytest.mark.parametrize("code", [*UNREAD, "m g", "g" * 65])
def test_what_is_not_read_is_left(code: str) -> None:
    assert canonical_unit(code) is None


def test_every_unit_of_the_table_is_read_with_every_prefix() -> None:
    for symbol in (*FACTS["metric"], *FACTS["plain"]):
        assert canonical_unit(symbol), symbol
    for prefix, power in FACTS["prefixes"].items():
        for symbol in FACTS["metric"]:
            code = prefix + symbol
            one, whole = canonical_unit(code), canonical_unit(symbol)
            assert one is not None
            assert whole is not None
            if code not in FACTS["metric"] and code not in FACTS["plain"]:  # as `cd`, which is no hundredth of a day
                assert (one.factor, one.code) == (whole.factor * Fraction(10) ** power, whole.code), code


def test_open_ends_and_sizes_beyond_doubles() -> None:
    unit = canonical_unit("kg")
    assert unit is not None
    assert in_canonical(float_info.max, unit) == float_info.max
    assert in_canonical(-float_info.max, unit) == -float_info.max
    assert in_canonical(1e307, unit) == float_info.max
    assert in_canonical(-1e307, unit) == -float_info.max


@given(
    st.decimals(-(10**9), 10**9, places=3), st.sampled_from(["ug", "mg", "g", "kg", "mg/dL", "mm[Hg]", "min", "U/L"])
)
def test_what_is_written_and_what_is_asked_meet(number: Decimal, code: str) -> None:
    unit = canonical_unit(code)
    assert unit is not None
    assert in_canonical(float(number), unit) == float(Fraction(number) * unit.factor)


@given(st.text(max_size=80))
def test_no_text_is_a_trouble(text: str) -> None:
    canonical_unit(text)
