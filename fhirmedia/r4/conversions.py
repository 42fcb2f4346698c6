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

Converter = Callable[[Any], Iterator[SearchValue]]

CURRENCY_SYSTEM = "urn:iso:std:iso:4217"


_coded = lru_cache(maxsize=8192)(token_value)
"""Of codes, which repeat; identifiers are seldom met twice."""


class Conversions:
    """The table for one deployment.

    `base_url` tells our references, `zone` reads dates without offset, the alphabet of `language` sorts texts.
    """

    def __init__(self, *, base_url: str, zone: ZoneInfo, language: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._language = language
        self._zone = zone
        self._date_range = lru_cache(maxsize=1024)(partial(date_range, zone=zone))
        self._table: Mapping[str, Mapping[str, Converter]] = {
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
            return _append(_code(branch.element.binding if branch.element is not None else None))
        converter = self._table.get(kind, {}).get(branch.type)
        if converter is None:
            raise Failure(Category.INVALID, f"A {kind} parameter cannot be made of values of type {branch.type}.")
        return _append(converter)

    def run_canonical(self, branch: Branch) -> Run:
        """The same for a quantity parameter, in canonical units; nothing for what has none."""
        converter = self._table["quantity"].get(branch.type, _nothing)

        def converted(node: Any) -> Iterator[SearchValue]:
            return filter(None, map(_canonical, converter(node)))

        return _append(converted)

    def run_sorted(self, branch: Branch) -> Run:
        """What a string parameter is sorted by: a key for each text as a whole, none for one without a word."""
        texts = _TEXTS[branch.type]

        def keys(node: Any) -> Iterator[SearchValue]:
            for text in texts(node):
                key = collation_key(text, self._language)
                if key:
                    yield StringValue(key, "")

        return _append(keys)

    def _date(self, node: Any) -> Iterator[SearchValue]:
        stretch = self._date_range(node)
        if stretch is not None:
            yield DateValue(*stretch)

    def _period(self, node: Any) -> Iterator[SearchValue]:
        stretch = period_range(node.get("start"), node.get("end"), self._zone)
        if stretch is not None:
            yield DateValue(*stretch)

    def _timing(self, node: Any) -> Iterator[SearchValue]:
        """Its outer limits: from the first to the last of its events, or the bounds of its repetition."""
        found = [value for event in node.get("event", ()) if event is not None for value in self._date(event)]
        found.extend(self._period(node.get("repeat", {}).get("boundsPeriod", {})))
        stretches = [value for value in found if isinstance(value, DateValue)]
        if stretches:
            yield DateValue(min(value.lo for value in stretches), max(value.hi for value in stretches))

    def _canonical(self, node: Any) -> Iterator[SearchValue]:
        """As it stands, and without the business version it names: who asks for none means any."""
        yield from self._address(node)
        url, _, version = node.partition("|")
        if url and version:
            yield from self._address(url)

    def _address(self, node: Any) -> Iterator[SearchValue]:
        """A URL; where it is written as a reference to one of ours, it is searched as one."""
        target = parse_reference(node, base_url=self._base_url)
        yield ReferenceValue(url=bounded(node)) if target.key is None else ReferenceValue(target.key, target.version)

    def _reference(self, node: Any) -> Iterator[SearchValue]:
        text, identifier = node.get("reference"), node.get("identifier")
        logical = next(_identifier(identifier), None) if identifier is not None else None
        if text is None:
            if logical is not None:
                yield ReferenceValue(identifier=logical)
            return
        target = parse_reference(text, base_url=self._base_url)
        if target.key is not None:
            yield ReferenceValue(target.key, target.version, None, logical)
        elif target.url is not None:
            yield ReferenceValue(None, None, bounded(target.url), logical)
        elif logical is not None:
            yield ReferenceValue(identifier=logical)


def _append(converter: Converter) -> Run:
    def run(node: Any, root: Whole, found: list[Any]) -> None:
        found.extend(converter(node))

    return run


def _nothing(node: Any) -> Iterator[SearchValue]:
    """For types a choice admits beside those its parameter can be asked for."""
    return iter(())


def _code(binding: str | None) -> Converter:
    """Codes carry the system of their required value set, so that `system|code` finds them too."""
    systems = list_systems(binding) if binding is not None else ()

    def only(node: Any) -> Iterator[SearchValue]:
        yield _coded(systems[0] if systems else None, node)

    def several(node: Any) -> Iterator[SearchValue]:
        yield _coded(next((system for system in systems if has(system, node)), None), node)

    if binding is None or len(systems) < 2:
        return only
    has = coding_test(binding)
    return several


def _id(node: Any) -> Iterator[SearchValue]:
    """DICOM UIDs stand in elements of type id; they compare without the prefix of OIDs."""
    yield token_value(None, normal_uid(node))


def _text_token(node: Any) -> Iterator[SearchValue]:
    yield token_value(None, node)


def _boolean(node: Any) -> Iterator[SearchValue]:
    yield _coded(None, "true" if node else "false")


def _coding(node: Any) -> Iterator[SearchValue]:
    system, code = node.get("system"), node.get("code")
    if code is not None or system is not None:
        yield _coded(system, code)


def _concept(node: Any) -> Iterator[SearchValue]:
    for coding in node.get("coding", ()):
        yield from _coding(coding)


def _identifier(node: Any) -> Iterator[TokenValue]:
    system, value = node.get("system"), node.get("value")
    if value is not None or system is not None:
        yield token_value(system, value)


def typed_identifiers(node: Any, _root: Whole, found: list[Any]) -> None:
    """A Run: an identifier by each code of its type, joined with its value in normal form."""
    for value in _identifier(node):
        for coding in node.get("type", {}).get("coding", ()):
            if value.code is not None and coding.get("code") is not None:
                kind = token_value(coding.get("system"), coding["code"])
                found.append(TokenValue(kind.system, f"{kind.code}|{value.code}"))


def _contact(node: Any) -> Iterator[SearchValue]:
    value = node.get("value")
    if value is not None:
        yield token_value(None, value)


def _itself(node: Any) -> Iterator[str]:
    yield node


def _parts(*names: str) -> Callable[[Any], Iterator[str]]:
    """Each string part."""

    def texts(node: Any) -> Iterator[str]:
        for name in names:
            part = node.get(name, ())
            yield from (part,) if isinstance(part, str) else (text for text in part if text is not None)

    return texts


def _string(node: Any) -> Iterator[SearchValue]:
    yield from string_values(node)


def _words_of_parts(type: str) -> Converter:
    """Each string part, and each later word of it: "Quinones" finds "Carreno Quinones"; in all spellings."""

    def convert(node: Any) -> Iterator[SearchValue]:
        for text in _TEXTS[type](node):
            yield from _from_each_word(text)

    return convert


def _from_each_word(text: str) -> Iterator[SearchValue]:
    whole = string_values(text)
    yield from whole
    if " " in whole[0].plain:
        for form in sorted(forms(text)):
            words = form.split()
            for at in range(1, min(len(words), _MAX_WORDS)):
                yield StringValue(indexed_plain(" ".join(words[at:])), whole[0].exact)


def _uri(node: Any) -> Iterator[SearchValue]:
    yield UriValue(bounded(node))


def _number(node: Any) -> Iterator[SearchValue]:
    number = _float(node)
    if number is not None:
        yield NumberValue(number, number)


def _number_range(node: Any) -> Iterator[SearchValue]:
    limits = _limits(node)
    if limits is not None:
        yield NumberValue(*limits)


def _quantity(node: Any) -> Iterator[SearchValue]:
    number = _float(node.get("value"))
    if number is None:
        return
    comparator = node.get("comparator", "")
    low = -float_info.max if comparator[:1] == "<" else number
    high = float_info.max if comparator[:1] == ">" else number
    yield QuantityValue(low, high, node.get("system"), node.get("code"), node.get("unit"))


def _money(node: Any) -> Iterator[SearchValue]:
    number = _float(node.get("value"))
    if number is not None:
        currency = node.get("currency")
        yield QuantityValue(number, number, None if currency is None else CURRENCY_SYSTEM, currency, currency)


def _quantity_range(node: Any) -> Iterator[SearchValue]:
    limits = _limits(node)
    if limits is not None:
        unit = node.get("low") or node.get("high")
        yield QuantityValue(*limits, unit.get("system"), unit.get("code"), unit.get("unit"))


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

_TOKENS: Mapping[str, Converter] = {
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
_STRINGS: Mapping[str, Converter] = {
    **dict.fromkeys(("string", "markdown", "code"), _string),
    **{type: _words_of_parts(type) for type in ("HumanName", "Address")},
}
_NUMBERS: Mapping[str, Converter] = {
    **dict.fromkeys(("decimal", "integer", "positiveInt", "unsignedInt"), _number),
    "Range": _number_range,
}
_QUANTITIES: Mapping[str, Converter] = {
    **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance"), _quantity),
    "Money": _money,
    "Range": _quantity_range,
    "SampledData": _nothing,
}
