"""Laws of dates: precisions nest, neighbours touch without overlapping, and prefixes mean what their table says."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.dates import date_range, period_range, query_date
from fhirmedia.r4.query import DateTest, Prefix
from fhirmedia.r4.value_tests import date_satisfies
from fhirmedia.r4.values import BEGINNING, END, DateValue

STOCKHOLM = ZoneInfo("Europe/Stockholm")
HOUR = 3_600_000
DAY = 24 * HOUR
NOW = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000)

zones = st.sampled_from(
    [ZoneInfo(n) for n in ("Europe/Stockholm", "UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe")]
)
days = st.dates(date(1850, 1, 1), date(2100, 1, 1))
moments = st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def stretch(text: str, zone: ZoneInfo = STOCKHOLM) -> tuple[int, int]:
    found = date_range(text, zone)
    assert found is not None, text
    return found


@given(days, zones)
def test_days_follow_each_other_without_gap(day: date, zone: ZoneInfo) -> None:
    assert stretch(str(day), zone)[1] == stretch(str(day + timedelta(days=1)), zone)[0]


@given(days, zones)
def test_a_year_holds_its_months_and_a_month_its_days(day: date, zone: ZoneInfo) -> None:
    text = str(day)
    year, month, whole = (stretch(text[:length], zone) for length in (4, 7, 10))
    assert year[0] <= month[0] <= whole[0] < whole[1] <= month[1] <= year[1]
    assert stretch(f"{text[:4]}-01-01", zone)[0] == year[0]
    assert stretch(f"{text[:4]}-12", zone)[1] == stretch(f"{text[:4]}-12-31", zone)[1] == year[1]


@given(moments, zones)
def test_a_time_lies_in_its_day_and_finer_ones_in_coarser(moment: datetime, zone: ZoneInfo) -> None:
    text = moment.isoformat(timespec="milliseconds")
    precisions = [stretch(text[:length], zone) for length in (10, 16, 19, 23)]
    for outer, inner in pairwise(precisions):
        assert outer[0] <= inner[0] < inner[1] <= outer[1]


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_an_offset_settles_the_instant(moment: datetime, minutes: int) -> None:
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{sign}{size // 60:02d}:{size % 60:02d}"
    lo, hi = stretch(text)
    assert hi - lo == 1000
    assert lo == int((datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1000


def test_days_are_as_long_as_they_are() -> None:
    assert [hi - lo for lo, hi in map(stretch, ("2024-03-30", "2024-03-31", "2024-10-27"))] == [
        DAY,
        DAY - HOUR,
        DAY + HOUR,
    ]
    assert stretch("2024-07-01") == (at("2024-06-30T22:00:00+00:00"), at("2024-07-01T22:00:00+00:00"))


def test_an_hour_that_comes_twice_is_read_at_its_widest() -> None:
    assert stretch("2024-10-27T02:30:00") == (at("2024-10-27T00:30:00+00:00"), at("2024-10-27T01:30:01+00:00"))
    assert stretch("2024-10-27T01:59:59")[1] == at("2024-10-27T00:00:00+00:00")
    assert stretch("2024-10-27T03:00:00")[0] == at("2024-10-27T02:00:00+00:00")


def test_an_hour_that_never_comes_is_the_moment_clocks_jump() -> None:
    jump = at("2024-03-31T01:00:00+00:00")
    assert stretch("2024-03-31T02:30:00") == stretch("2024-03-31T02:30") == (jump, jump + 1)
    assert stretch("2024-03-31T01:59:59")[1] == jump == stretch("2024-03-31T03:00:00")[0]


def test_midnight_may_be_the_hour_that_never_comes() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    assert stretch("2018-11-04", zone) == (at("2018-11-04T03:00:00+00:00"), at("2018-11-05T02:00:00+00:00"))


def test_a_leap_second_belongs_to_its_minute() -> None:
    lo, hi = stretch("2016-12-31T23:59:60Z")
    day = stretch("2016-12-31", ZoneInfo("UTC"))
    assert day[0] <= lo < hi <= day[1]


def test_the_first_and_last_year_exist() -> None:
    assert stretch("0001") < stretch("0002") < stretch("9998") < stretch("9999")
    assert stretch("9999")[1] == stretch("9999-12-31")[1] < END
    assert stretch("0001")[0] > BEGINNING


@pytest.mark.parametrize(
    "text",
    ["", "0000", "10000", "24", "2024-13", "2024-00", "2023-02-29", "2024-1-1", "2024-01-01T24:00:00Z", "2024-01-01T10",
     "2024-01-01T10:60:00Z", "2024-01-01T10:00:61Z", "2024-01-01T10:00:00+15:00", "2024-01-01T10:00:00+14:01",
     "2024-01-01T10:00:00+01", "2024-01-01t10:00:00z", "2024-01-01 10:00:00", " 2024", "2024 ", "2024\n", "20240101",
     "٢٠٢٤", "2024-01-01T10:00:00.Z", "2024-01-01T10:00:00.", "-2024", "2024-01-01Z",
     "2024-01-01T10:00:00.1" + "0" * 200],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_range(text, STOCKHOLM) is None
    assert query_date(text, zone=STOCKHOLM, now=NOW) is None


@given(st.text(max_size=30))
def test_no_text_makes_it_fail(text: str) -> None:
    found = query_date(text, zone=STOCKHOLM, now=NOW)
    assert found is None or found.lo < found.hi


def test_a_period_is_open_where_it_says_nothing() -> None:
    start, end = stretch("2024-03-01"), stretch("2024-03-05")
    assert period_range("2024-03-01", "2024-03-05", STOCKHOLM) == (start[0], end[1])
    assert period_range("2024-03-01", None, STOCKHOLM) == (start[0], END)
    assert period_range(None, "2024-03-05", STOCKHOLM) == (BEGINNING, end[1])
    assert period_range(None, None, STOCKHOLM) is None
    assert period_range("2024-03-05", "2024-03-01", STOCKHOLM) is None
    assert period_range("garbage", "2024-03-01", STOCKHOLM) is None


def test_a_lost_plus_is_found() -> None:
    intact = query_date("ge2024-01-01T10:00:00+02:00", zone=STOCKHOLM, now=NOW)
    assert intact is not None
    assert query_date("ge2024-01-01T10:00:00 02:00", zone=STOCKHOLM, now=NOW) == intact
    assert query_date("ge2024-01-01 02:00", zone=STOCKHOLM, now=NOW) is None


def test_approximate_widens_by_a_tenth_of_the_distance_and_at_least_its_precision() -> None:
    near = query_date("ap2026-11-21", zone=ZoneInfo("UTC"), now=NOW)
    assert near == DateTest("ap", NOW - 2 * DAY, NOW + DAY)
    far = query_date("ap1926-11-22", zone=ZoneInfo("UTC"), now=NOW)
    lo, hi = stretch("1926-11-22", ZoneInfo("UTC"))
    assert far == DateTest("ap", lo - (NOW - lo) // 10, hi + (NOW - lo) // 10)


MEANING = {
    "eq": lambda value, query: value <= query,
    "ne": lambda value, query: bool(value - query),
    "gt": lambda value, query: any(instant > max(query) for instant in value),
    "lt": lambda value, query: any(instant < min(query) for instant in value),
    "ge": lambda value, query: any(instant >= min(query) for instant in value),
    "le": lambda value, query: any(instant <= max(query) for instant in value),
    "sa": lambda value, query: all(instant > max(query) for instant in value),
    "eb": lambda value, query: all(instant < min(query) for instant in value),
    "ap": lambda value, query: bool(value & query),
}
"""The prefixes said naively, over sets of instants."""


@pytest.mark.parametrize("prefix", MEANING)
def test_prefixes_mean_what_they_say_about_sets_of_instants(prefix: Prefix) -> None:
    for lo, hi, s, e in (
        (a, b, c, d) for a in range(6) for b in range(a + 1, 7) for c in range(6) for d in range(c + 1, 7)
    ):
        expected = MEANING[prefix](set(range(lo, hi)), set(range(s, e)))
        assert date_satisfies(DateValue(lo, hi), DateTest(prefix, s, e)) == expected, (lo, hi, s, e)
