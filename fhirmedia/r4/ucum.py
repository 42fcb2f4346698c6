"""Units of UCUM in terms of a few, so that quantities in different units of one kind can be compared.

The facts are in `profiles/ucum.json`: powers of ten by prefix, and units as multiples of others; those without are what
the others are told in. A code is read as products and quotients of them, with exponents (`mg/dL`, `10*9/L`, `kg.m-2`);
annotations in braces count as 1. What is not read (parentheses, scales with another zero than their kind's) is compared
as written. All factors are exact.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from sys import float_info

from fhirmedia.r4.profiles_path import profiles

CANONICAL = ":canonical"
"""Suffix of a quantity parameter's code for its values in canonical units."""

UCUM = "http://unitsofmeasure.org"
_LONGEST = 64
_PARTS = re.compile(r"([./]?)([^./]+)")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"[0-9]{1,12}")
_FRACTION = re.compile(r"[0-9]\.[0-9]")
"""Not UCUM's, where a point multiplies; whoever writes `1.73.m2` means something else."""
_POWER = re.compile(r"10[*^]([+-]?[0-9]{1,2})?")
_UNIT = re.compile(r"((?:[A-Za-z%]|\[[A-Za-z0-9_']*\])+)([+-]?[0-9])?")


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` times what `code` stands for: a product of base units in alphabetical order, or `1`."""

    factor: Fraction
    code: str


@lru_cache(maxsize=4096)
def canonical_unit(code: str) -> Unit | None:
    """What a code of UCUM stands for; None for what is not read here."""
    found = _read(code) if len(code) <= _LONGEST else None
    if found is None:
        return None
    factor, powers = found
    kept = sorted((name, power) for name, power in powers.items() if power)
    return Unit(factor, ".".join(name if power == 1 else f"{name}{power}" for name, power in kept) or "1")


def in_canonical(number: float, unit: Unit) -> float:
    """The number of canonical units, to the nearest double; an open end stays open."""
    if abs(number) >= float_info.max:
        return number
    try:
        return float(Fraction(repr(number)) * unit.factor)
    except OverflowError:
        return math.copysign(float_info.max, number)


_Product = tuple[Fraction, Mapping[str, int]]


def _read(code: str) -> _Product | None:
    """The factor and the exponents of base units of a product."""
    text = _ANNOTATION.sub("", code)
    if _FRACTION.search(text):
        return None
    if text != code:  # what is left of `{score}` or `mg/{tablet}` is 1
        text = re.sub(r"(^|[./])(?=[./]|$)", r"\g<1>1", text)
    if text.startswith("/"):
        text = "1" + text
    parts = _PARTS.findall(text)
    if not parts or "".join(sign + part for sign, part in parts) != text or parts[0][0]:
        return None
    factor, powers = Fraction(1), dict[str, int]()
    for sign, part in parts:
        found = _component(part)
        if found is None:
            return None
        turned = -1 if sign == "/" else 1
        factor *= found[0] ** turned
        for name, power in found[1].items():
            powers[name] = powers.get(name, 0) + turned * power
    return factor, powers


def _component(text: str) -> _Product | None:
    if _NUMBER.fullmatch(text):
        return (Fraction(int(text)), {}) if int(text) else None
    power = _POWER.fullmatch(text)
    if power is not None:
        return Fraction(10) ** int(power[1] or 1), {}
    unit = _UNIT.fullmatch(text)
    found = _unit(unit[1]) if unit is not None else None
    if unit is None or found is None:
        return None
    exponent = int(unit[2] or 1)
    return found[0] ** exponent, {name: each * exponent for name, each in found[1].items()}


def _unit(symbol: str) -> _Product | None:
    """A unit, or a metric one behind a prefix."""
    facts = _facts()
    for known in (facts.metric, facts.plain):
        if symbol in known:
            return _defined(symbol, known[symbol])
    for prefix, power in facts.prefixes.items():
        rest = symbol.removeprefix(prefix)
        if rest != symbol and rest in facts.metric:
            factor, powers = _defined(rest, facts.metric[rest])
            return factor * Fraction(10) ** power, powers
    return None


def _defined(symbol: str, definition: str) -> _Product:
    if not definition:
        return Fraction(1), {symbol: 1}
    number, _, rest = definition.partition(" ")
    found = _read(rest)
    if found is None:
        raise ValueError(symbol)
    return Fraction(number) * found[0], found[1]


@dataclass(frozen=True, slots=True)
class _Facts:
    prefixes: Mapping[str, int]
    metric: Mapping[str, str]
    plain: Mapping[str, str]


@cache
def _facts() -> _Facts:
    content = json.loads((profiles() / "ucum.json").read_text("utf-8"))
    return _Facts(content["prefixes"], content["metric"], content["plain"])
