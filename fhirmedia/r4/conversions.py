"""What a FHIR value becomes in the index: one table of (search type, FHIR type), FHIR R4 search by parameter type.

Every conversion is a Run for the end of a compiled expression: it appends SearchValues to the list it is given. A
value that says nothing a search could ask for (a code without code, a date that is none) appends nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from sys import float_info
from typing import Any
from zoneinfo import ZoneInfo

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.code_lists import coding_test, list_systems
from fhirmedia.r4.collation import collation_key
from fhirmedia.r4.dates import date_range, period_range
from fhirmedia.r4.expressions import Branch, Run, Whole
from fhirmedia.r4.fold import bounded, forms, indexed_plain, string_values
from fhirmedia.r4.references import parse_reference
from fhirmedia.r4.tokens import normal_uid, token_value
from fhirmedia.r4.ucum import UCUM, canonical_unit, in_canonical
from fhirmedia.r4.values import (
    DateValue,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

CURRENCY_SYSTEM = "urn:iso:std:iso:4217"


_coded = lru_cache(maxsize=8192)(token_value)
"""Of codes, which repeat; identifiers are seldom met twice."""

_SHORT = 64
"""Texts up to this length are often met again: names of devices, of places, given names."""
_spelled = lru_cache(maxsize=8192)(string_values)
_sorted = lru_cache(maxsize=8192)(collation_key)


class Conversions:
    """The table for one deployment.

    `base_url` tells our references, `zone` reads dates without offset, the alphabet of `language` sorts texts.
    """

    def __init__(self, *, base_url: str, zone: ZoneInfo, language: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._language = language
        self._zone = zone
        self._date_range = lru_cache(maxsize=1024)(partial(date_range, zone=zone))
        self._table: Mapping[str, Mapping[str, Run]] = {
            "token": _TOKENS,
            "string": _STRINGS,
            "uri": dict.fromkeys(("uri", "url", "canonical", "oid", "uuid"), _uri),
            "number": _NUMBERS,
            "quantity": _QUANTITIES,
            "date": {
                **dict.fromkeys(("date", "dateTime", "instant"), self._date),
                "Period": self._period,
                "Timing": self._timing,
                **dict.fromkeys(("Age", "Range", "string"), _nothing),
            },
            "reference": {
                "Reference": self._reference,
                "canonical": self._canonical,
                "uri": self._address,
                "Attachment": _nothing,
            },
        }

    def run(self, kind: str, branch: Branch) -> Run:
        """The Run that converts what the branch yields; raises Failure INVALID where the standard defines no way."""
        if kind == "token" and branch.type == "code":
            return _code(branch.element.binding if branch.element is not None else None)
        converter = self._table.get(kind, {}).get(branch.type)
        if converter is None:
            raise Failure(Category.INVALID, f"A {kind} parameter cannot be made of values of type {branch.type}.")
        return converter

    def run_canonical(self, branch: Branch) -> Run:
        """The same for a quantity parameter, in canonical units; nothing for what has none."""
        converter = self._table["quantity"].get(branch.type, _nothing)

        def converted(node: Any, root: Whole, found: list[Any]) -> None:
            readings: list[SearchValue] = []
            converter(node, root, readings)
            found.extend(filter(None, map(_canonical, readings)))

        return converted

    def run_sorted(self, branch: Branch) -> Run:
        """What a string parameter is sorted by: a key for each text as a whole, none for one without a word."""
        texts = _TEXTS[branch.type]

        def keys(node: Any, _root: Whole, found: list[Any]) -> None:
            for text in texts(node):
                key = (_sorted if len(text) <= _SHORT else collation_key)(text, self._language)
                if key:
                    found.append(StringValue(key, ""))

        return keys

    def _date(self, node: Any, _root: Whole, found: list[Any]) -> None:
        stretch = self._date_range(node)
        if stretch is not None:
            found.append(DateValue(*stretch))

    def _period(self, node: Any, _root: Whole, found: list[Any]) -> None:
        stretch = period_range(node.get("start"), node.get("end"), self._zone)
        if stretch is not None:
            found.append(DateValue(*stretch))

    def _timing(self, node: Any, root: Whole, found: list[Any]) -> None:
        """Its outer limits: from the first to the last of its events, or the bounds of its repetition."""
        stretches: list[DateValue] = []
        for event in node.get("event", ()):
            if event is not None:
                self._date(event, root, stretches)
        self._period(node.get("repeat", {}).get("boundsPeriod", {}), root, stretches)
        if stretches:
            found.append(DateValue(min(value.lo for value in stretches), max(value.hi for value in stretches)))

    def _canonical(self, node: Any, root: Whole, found: list[Any]) -> None:
        """As it stands, and without the business version it names: who asks for none means any."""
        self._address(node, root, found)
        url, _, version = node.partition("|")
        if url and version:
            self._address(url, root, found)

    def _address(self, node: Any, _root: Whole, found: list[Any]) -> None:
        """A URL; where it is written as a reference to one of ours, it is searched as one."""
        target = parse_reference(node, base_url=self._base_url)
        if target.key is None:
            found.append(ReferenceValue(url=bounded(node)))
        else:
            found.append(ReferenceValue(target.key, target.version))

    def _reference(self, node: Any, _root: Whole, found: list[Any]) -> None:
        text, identifier = node.get("reference"), node.get("identifier")
        logical = _identified(identifier) if identifier is not None else None
        target = parse_reference(text, base_url=self._base_url) if text is not None else None
        if target is not None and target.key is not None:
            found.append(ReferenceValue(target.key, target.version, None, logical))
        elif target is not None and target.url is not None:
            found.append(ReferenceValue(None, None, bounded(target.url), logical))
        elif logical is not None:
            found.append(ReferenceValue(identifier=logical))


def _nothing(_node: Any, _root: Whole, _found: list[Any]) -> None:
    """For types a choice admits beside those its parameter can be asked for."""


def _code(binding: str | None) -> Run:
    """Codes carry the system of their required value set, so that `system|code` finds them too."""
    systems = list_systems(binding) if binding is not None else ()
    system = systems[0] if systems else None

    def only(node: Any, _root: Whole, found: list[Any]) -> None:
        found.append(_coded(system, node))

    def several(node: Any, _root: Whole, found: list[Any]) -> None:
        found.append(_coded(next((system for system in systems if has(system, node)), None), node))

    if binding is None or len(systems) < 2:
        return only
    has = coding_test(binding)
    return several


def _id(node: Any, _root: Whole, found: list[Any]) -> None:
    """DICOM UIDs stand in elements of type id; they compare without the prefix of OIDs."""
    found.append(token_value(None, normal_uid(node)))


def _text_token(node: Any, _root: Whole, found: list[Any]) -> None:
    found.append(token_value(None, node))


def _boolean(node: Any, _root: Whole, found: list[Any]) -> None:
    found.append(_coded(None, "true" if node else "false"))


def _coding(node: Any, _root: Whole, found: list[Any]) -> None:
    system, code = node.get("system"), node.get("code")
    if code is not None or system is not None:
        found.append(_coded(system, code))


def _concept(node: Any, root: Whole, found: list[Any]) -> None:
    for coding in node.get("coding", ()):
        _coding(coding, root, found)


def _identified(node: Any) -> TokenValue | None:
    system, value = node.get("system"), node.get("value")
    return None if value is None and system is None else token_value(system, value)


def _identifier(node: Any, _root: Whole, found: list[Any]) -> None:
    value = _identified(node)
    if value is not None:
        found.append(value)


def typed_identifiers(node: Any, _root: Whole, found: list[Any]) -> None:
    """A Run: an identifier by each code of its type, joined with its value in normal form."""
    codings = node.get("type", {}).get("coding", ())
    value = _identified(node) if codings else None
    if value is None or value.code is None:
        return
    for coding in codings:
        if coding.get("code") is not None:
            kind = token_value(coding.get("system"), coding["code"])
            found.append(TokenValue(kind.system, f"{kind.code}|{value.code}"))


def _contact(node: Any, _root: Whole, found: list[Any]) -> None:
    value = node.get("value")
    if value is not None:
        found.append(token_value(None, value))


def _itself(node: Any) -> Iterator[str]:
    yield node


def _parts(*names: str) -> Callable[[Any], Iterator[str]]:
    """Each string part."""

    def texts(node: Any) -> Iterator[str]:
        for name in names:
            part = node.get(name, ())
            yield from (part,) if isinstance(part, str) else (text for text in part if text is not None)

    return texts


def _string(node: Any, _root: Whole, found: list[Any]) -> None:
    found.extend((_spelled if len(node) <= _SHORT else string_values)(node))


def _words_of_parts(type: str) -> Run:
    """Each string part, and each later word of it: "Quinones" finds "Carreno Quinones"; in all spellings."""

    def run(node: Any, _root: Whole, found: list[Any]) -> None:
        for text in _TEXTS[type](node):
            found.extend(_from_each_word(text))

    return run


def _from_each_word(text: str) -> Iterator[StringValue]:
    whole = (_spelled if len(text) <= _SHORT else string_values)(text)
    yield from whole
    if " " in whole[0].plain:
        for form in sorted(forms(text)):
            words = form.split()
            for at in range(1, min(len(words), _MAX_WORDS)):
                yield StringValue(indexed_plain(" ".join(words[at:])), whole[0].exact)


def _uri(node: Any, _root: Whole, found: list[Any]) -> None:
    found.append(UriValue(bounded(node)))


def _number(node: Any, _root: Whole, found: list[Any]) -> None:
    number = _float(node)
    if number is not None:
        found.append(NumberValue(number, number))


def _number_range(node: Any, _root: Whole, found: list[Any]) -> None:
    limits = _limits(node)
    if limits is not None:
        found.append(NumberValue(*limits))


def _quantity(node: Any, _root: Whole, found: list[Any]) -> None:
    number = _float(node.get("value"))
    if number is None:
        return
    comparator = node.get("comparator", "")
    low = -float_info.max if comparator[:1] == "<" else number
    high = float_info.max if comparator[:1] == ">" else number
    found.append(QuantityValue(low, high, node.get("system"), node.get("code"), node.get("unit")))


def _money(node: Any, _root: Whole, found: list[Any]) -> None:
    number = _float(node.get("value"))
    if number is not None:
        currency = node.get("currency")
        system = None if currency is None else CURRENCY_SYSTEM
        found.append(QuantityValue(number, number, system, currency, currency))


def _quantity_range(node: Any, _root: Whole, found: list[Any]) -> None:
    limits = _limits(node)
    if limits is not None:
        unit = node.get("low") or node.get("high")
        found.append(QuantityValue(*limits, unit.get("system"), unit.get("code"), unit.get("unit")))


def _canonical(value: SearchValue) -> QuantityValue | None:
    if not isinstance(value, QuantityValue) or value.system != UCUM or value.code is None:
        return None
    unit = canonical_unit(value.code)
    if unit is None:
        return None
    return QuantityValue(in_canonical(value.lo, unit), in_canonical(value.hi, unit), UCUM, unit.code)


def _limits(node: Any) -> tuple[float, float] | None:
    """The ends of a Range, open where one is absent; None if both are."""
    low, high = (_float(node.get(end, {}).get("value")) for end in ("low", "high"))
    if low is None and high is None:
        return None
    return (-float_info.max if low is None else low, float_info.max if high is None else high)


def _float(node: Decimal | int | None) -> float | None:
    """The nearest double; None for what no double can hold."""
    if node is None:
        return None
    try:
        number = float(node)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


_MAX_WORDS = 20
"""Words of one part of a name or address from which it can be found."""

_TOKENS: Mapping[str, Run] = {
    "CodeableConcept": _concept,
    "Coding": _coding,
    "Identifier": _identifier,
    "ContactPoint": _contact,
    "boolean": _boolean,
    "id": _id,
    **dict.fromkeys(("string", "uri", "url", "canonical", "oid", "uuid", "markdown"), _text_token),
}
_TEXTS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    **dict.fromkeys(("string", "markdown", "code"), _itself),
    "HumanName": _parts("family", "given", "prefix", "suffix", "text"),
    "Address": _parts("line", "city", "district", "state", "postalCode", "country", "text"),
}
"""The texts of a value that string parameters are made of."""
_STRINGS: Mapping[str, Run] = {
    **dict.fromkeys(("string", "markdown", "code"), _string),
    **{type: _words_of_parts(type) for type in ("HumanName", "Address")},
}
_NUMBERS: Mapping[str, Run] = {
    **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number),
    "Range": _number_range,
}
_QUANTITIES: Mapping[str, Run] = {
    **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
    "Money": _money,
    "Range": _quantity_range,
    "SampledData": _nothing,
}
