"""FHIR date, dateTime, instant and Period as half-open ranges of UTC milliseconds.

A year, month, day, minute or second is as long as it is, a fraction one millisecond. What states no offset is read in
the deployment's zone: days have 23 or 25 hours when clocks change, and an hour that comes twice is read at its widest.
"""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from fhirmedia.r4.query import DateTest, Prefix
from fhirmedia.r4.values import BEGINNING, END

_FORM = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<offset>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?",
    re.ASCII,
)
_LOST_PLUS = re.compile(r"(T[0-9:.]+) (?=[0-9]{2}:[0-9]{2}\Z)", re.ASCII)
_PREFIXES: tuple[Prefix, ...] = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_FIRST_MS = (date(1, 1, 2).toordinal() - _EPOCH_DAY) * _DAY_MS
_LAST_MS = (date(9999, 12, 30).toordinal() - _EPOCH_DAY) * _DAY_MS
_MAX_FRACTION = 64


def date_range(text: str, zone: ZoneInfo) -> tuple[int, int] | None:
    """`[lo, hi)` of a date, dateTime or instant (minutes without seconds too); None if the text is none of them."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    year, month, day = int(form["year"]), int(form["month"] or 1), int(form["day"] or 1)
    try:
        midnight = (date(year, month, day).toordinal() - _EPOCH_DAY) * _DAY_MS
    except ValueError:
        return None
    if form["hour"] is None:
        return _local_range(midnight, _following_day(form), zone)
    return _time_range(form, midnight, zone)


def period_range(start: str | None, end: str | None, zone: ZoneInfo) -> tuple[int, int] | None:
    """`[lo, hi)` of a Period, open where a side is absent.

    None if both are absent, one is not a date, or it ends before it starts.
    """
    first = date_range(start, zone) if start is not None else (BEGINNING, BEGINNING)
    last = date_range(end, zone) if end is not None else (END, END)
    if first is None or last is None or (start is None and end is None):
        return None
    return (first[0], last[1]) if first[0] < last[1] else None


def query_date(text: str, *, zone: ZoneInfo, now: int) -> DateTest | None:
    """The test a query value stands for: prefix and range (`now` in milliseconds widens `ap`); None if malformed.

    A blank where the `+` of an offset belongs is read as one: that is what form decoding makes of it. FHIR R4, search,
    prefixes.
    """
    prefix, number = split_prefix(text)
    stretch = date_range(_LOST_PLUS.sub(r"\1+", number), zone)
    if stretch is None:
        return None
    lo, hi = stretch
    if prefix == "ap":
        margin = max(abs(now - lo) // 10, hi - lo)
        lo, hi = lo - margin, hi + margin
    return DateTest(prefix, lo, hi)


def split_prefix(text: str) -> tuple[Prefix, str]:
    """The comparison prefix (`eq` where none is written) and what follows it."""
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return prefix, text[2:]
    return "eq", text


def _following_day(form: re.Match[str]) -> int:
    """The midnight, as if local time were UTC, after the year, month or day that is written."""
    year, month = int(form["year"]), int(form["month"] or 12)
    if form["day"] is not None:
        return (date(year, month, int(form["day"])).toordinal() + 1 - _EPOCH_DAY) * _DAY_MS
    if month == 12:
        return (date(year, 12, 31).toordinal() + 1 - _EPOCH_DAY) * _DAY_MS
    return (date(year, month + 1, 1).toordinal() - _EPOCH_DAY) * _DAY_MS


def _time_range(form: re.Match[str], midnight: int, zone: ZoneInfo) -> tuple[int, int] | None:
    """A leap second (`:60`) belongs to the minute it ends, so it is read as that minute's last second."""
    hour, minute, second = int(form["hour"]), int(form["minute"]), int(form["second"] or 0)
    if hour > 23 or minute > 59 or second > 60 or len(form["fraction"] or "") > _MAX_FRACTION:
        return None
    local = midnight + (hour * 60 + minute) * 60_000 + min(second, 59) * 1000
    length = 60_000 if form["second"] is None else 1000
    if form["fraction"] is not None:
        local += int(form["fraction"][:3].ljust(3, "0"))
        length = 1
    if form["offset"] is None:
        return _local_range(local, local + length, zone)
    offset = _offset_ms(form["offset"])
    return None if offset is None else (local - offset, local - offset + length)


def _offset_ms(text: str) -> int | None:
    if text == "Z":
        return 0
    minutes = int(text[1:3]) * 60 + int(text[4:6])
    if int(text[4:6]) > 59 or minutes > 14 * 60:
        return None
    return minutes * (-60_000 if text[0] == "-" else 60_000)


def _local_range(start: int, stop: int, zone: ZoneInfo) -> tuple[int, int]:
    """The widest reading of local times; of those that never come, the moment at which clocks pass over them."""
    lo = _first_instant(start, zone)
    return lo, max(_last_instant(stop, zone), lo + 1)


def _first_instant(local: int, zone: ZoneInfo) -> int:
    """The first moment at which local clocks have reached this time (milliseconds as if local time were UTC)."""
    early, late = _offset_at(local, zone, fold=0), _offset_at(local, zone, fold=1)
    return local - early if early >= late else _jump(local - late, local - early, zone)


def _last_instant(local: int, zone: ZoneInfo) -> int:
    """The moment from which local clocks stay at or after this time."""
    before = local - 1
    early, late = _offset_at(before, zone, fold=0), _offset_at(before, zone, fold=1)
    return local - late if early >= late else _jump(before - late, before - early, zone)


def _offset_at(local: int, zone: ZoneInfo, *, fold: int) -> int:
    moment = _EPOCH + timedelta(milliseconds=min(max(local, _FIRST_MS), _LAST_MS))
    offset = moment.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() * 1000)


def _jump(before: int, after: int, zone: ZoneInfo) -> int:
    """The moment between two at which clocks were put forward."""
    at_first = (_EPOCH + timedelta(milliseconds=before)).astimezone(zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if (_EPOCH + timedelta(milliseconds=middle)).astimezone(zone).utcoffset() == at_first:
            before = middle
        else:
            after = middle
    return after
