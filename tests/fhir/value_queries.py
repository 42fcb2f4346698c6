"""From a value in the index to a query that must find it: the other way round than a search goes."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from fhirmedia.r4.registry import SearchParameter
from fhirmedia.r4.values import (
    DateValue,
    IndexEntries,
    NumberValue,
    QuantityValue,
    ReferenceValue,
    SearchValue,
    StringValue,
    TokenValue,
    UriValue,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = int((datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * 1000
_LAST = int((datetime.max.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * 1000


def queries(parameter: SearchParameter, entries: IndexEntries) -> Iterator[tuple[str, str]]:
    """Name and value of searches that the resource with these entries satisfies; none where it has no such value."""
    if parameter.components:
        for text in _together([entries.values.get(part.parameter, ()) for part in parameter.components]):
            yield parameter.code, text
        return
    for value in entries.values.get(parameter.code, ()):
        if isinstance(value, ReferenceValue) and value.key is None and value.url is None:
            if value.identifier is not None:
                yield f"{parameter.code}:identifier", _token(value.identifier)
        elif (text := _text(value)) is not None:
            yield parameter.code, text


def _together(parts: Sequence[Sequence[SearchValue]]) -> Iterator[str]:
    """Composites of values that stand in one repetition."""
    for first in parts[0]:
        others = [[value for value in each if value.group == first.group] for each in parts[1:]]
        texts = [_text(value) for value in (first, *(each[0] for each in others if each))]
        if all(others) and None not in texts:
            yield "$".join(str(text) for text in texts)


def _text(value: SearchValue) -> str | None:
    match value:
        case TokenValue():
            return _token(value)
        case DateValue(lo=lo, hi=hi):
            written = [f"{name}{_instant(end)}" for name, end in (("ge", lo), ("le", hi)) if _FIRST < end < _LAST]
            return next(iter(written), None)
        case ReferenceValue(key=key, url=url):
            return _escaped(str(key or url))
        case StringValue(exact=exact):
            return _escaped(exact)
        case UriValue(value=text):
            return _escaped(text)
        case NumberValue(lo=lo, hi=hi):
            return _number(lo, hi)
        case QuantityValue(lo=lo, hi=hi, system=system, code=code):
            number = _number(lo, hi)
            return f"{number}|{_escaped(system or '')}|{_escaped(code)}" if number and code else number


def _token(value: TokenValue) -> str:
    code = _escaped(value.code or "")
    return code if value.system is None else f"{_escaped(value.system)}|{code}"


def _number(lo: float, hi: float) -> str | None:
    """None for what a search cannot write: its exponents have two digits."""
    ends = [f"{prefix}{end!r}" for prefix, end in (("ge", lo), ("le", hi)) if end == 0 or 1e-99 < abs(end) < 1e99]
    return ends[0] if ends else None


def _instant(milliseconds: int) -> str:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def _escaped(text: str) -> str:
    for sign in _SIGNS:
        text = text.replace(sign, f"\\{sign}")
    return text


_SIGNS: Iterable[str] = ("\\", ",", "$", "|")
