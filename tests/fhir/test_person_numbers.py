"""Person numbers compare by the form their issuer would print, and only numbers that can exist are accepted."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirmedia.r4.person_numbers import check, normal_form, normal_system, number_systems
from fhirmedia.r4.tokens import normal_code, token_value

PERSON = "http://electronichealth.se/identifier/personnummer"
COORDINATION = "http://electronichealth.se/identifier/samordningsnummer"
NORWEGIAN = "urn:oid:2.16.578.1.12.4.1.4.1"
D_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.2"
TODAY = date(2026, 11, 22)


def luhn_digit(nine: str) -> str:
    total = 0
    for place, digit in enumerate(nine):
        product = int(digit) * (2 if place % 2 == 0 else 1)
        total += product if product < 10 else product - 9
    return str(-total % 10)


def swedish(born: date, serial: int, *, day_shift: int = 0) -> str:
    """Twelve digits."""
    nine = f"{born:%y%m}{born.day + day_shift:02d}{serial:03d}"
    return f"{born.year // 100}{nine}{luhn_digit(nine)}"


def norwegian(born: date, serial: int, *, day_shift: int = 0, month_shift: int = 0, remainder: int = 0) -> str | None:
    """Eleven digits, or None where this serial number has no check digits."""
    nine = f"{born.day + day_shift:02d}{born.month + month_shift:02d}{born:%y}{serial:03d}"
    first = (remainder - sum(int(d) * w for d, w in zip(nine, (3, 7, 6, 1, 8, 9, 4, 5, 2), strict=True))) % 11
    if first == 10:
        return None
    ten = f"{nine}{first}"
    second = -sum(int(d) * w for d, w in zip(ten, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=True)) % 11
    return None if second == 10 else f"{ten}{second}"


dates_of_birth = st.dates(date(1890, 1, 1), TODAY)
serials = st.integers(0, 999)


@pytest.mark.parametrize(
    "written",
    ["191212121212", "19121212-1212", "121212+1212", "19121212 1212", " 191212121212 ", "19121212+1212"],
)
def test_the_twelve_digits_are_the_normal_form(written: str) -> None:
    assert normal_form(PERSON, written, today=TODAY) == "191212121212"


def test_a_number_without_century_takes_the_latest_that_is_not_in_the_future() -> None:
    young = swedish(date(2024, 3, 9), 238)
    assert normal_form(PERSON, f"{young[2:8]}-{young[8:]}", today=TODAY) == young
    assert normal_form(PERSON, young[2:], today=TODAY) == young
    assert normal_form(PERSON, f"{young[2:8]}+{young[8:]}", today=TODAY) == "19" + young[2:]
    assert normal_form(PERSON, young[2:], today=date(2024, 3, 8)) == "19" + young[2:]
    assert normal_form(PERSON, young[2:], today=date(2024, 3, 9)) == young


def test_a_leap_day_belongs_to_the_latest_leap_year() -> None:
    leap = swedish(date(2000, 2, 29), 5)
    assert normal_form(PERSON, leap[2:], today=TODAY) == leap
    assert normal_form(PERSON, leap[2:8] + "+" + leap[8:], today=TODAY) == leap[2:8] + "+" + leap[8:]


@given(born=dates_of_birth, serial=serials, shift=st.sampled_from([(PERSON, 0), (COORDINATION, 60)]))
def test_every_spelling_of_a_swedish_number_compares_equal(born: date, serial: int, shift: tuple[str, int]) -> None:
    system, day_shift = shift
    full = swedish(born, serial, day_shift=day_shift)
    sign = "+" if born.year <= TODAY.year - 100 else "-"
    spellings = [full, f"{full[:8]}-{full[8:]}", f"{full[2:8]}{sign}{full[8:]}", f"{full[:8]} {full[8:]}"]
    if sign == "-":
        spellings.append(full[2:])
    assert {normal_form(system, spelling, today=TODAY) for spelling in spellings} == {full}
    assert check(system, full, environment="production", today=TODAY) is None


@given(born=dates_of_birth, serial=serials, other=st.integers(1, 9))
def test_a_wrong_check_digit_is_refused_and_compared_as_written(born: date, serial: int, other: int) -> None:
    full = swedish(born, serial)
    wrong = full[:-1] + str((int(full[-1]) + other) % 10)
    assert normal_form(PERSON, wrong[:8] + "-" + wrong[8:], today=TODAY) == wrong[:8] + "-" + wrong[8:]
    problem = check(PERSON, wrong, environment="test", today=TODAY)
    assert problem is not None
    assert wrong not in problem


@pytest.mark.parametrize(
    ("system", "written"),
    [
        (PERSON, ""),
        (PERSON, "1912121212"[:-1]),
        (PERSON, "19121312-1212"),
        (PERSON, "201212121212121212"),
        (PERSON, "１９１２１２１２１２１２"),
        (PERSON, "171212121212"),
        (COORDINATION, "191212121212"),
        (NORWEGIAN, "01010112345"),
        (NORWEGIAN, "0101011234"),
        (D_NUMBER, "abc"),
    ],
)
def test_what_is_no_number_stays_as_written_and_is_refused(system: str, written: str) -> None:
    assert normal_form(system, written, today=TODAY) == written
    assert check(system, written, environment="test", today=TODAY) is not None


def test_the_system_decides_the_rule() -> None:
    as_coordination = swedish(date(1980, 5, 1), 238, day_shift=60)
    assert check(COORDINATION, as_coordination, environment="production", today=TODAY) is None
    assert check(PERSON, as_coordination, environment="production", today=TODAY) is not None
    assert check("urn:oid:1.2.3", as_coordination, environment="production", today=TODAY) is None
    assert normal_form("urn:oid:1.2.3", "99 0101-1234", today=TODAY) == "99 0101-1234"


def first_number(**shifts: int) -> str:
    found = (norwegian(date(1990, 1, 31), serial, **shifts) for serial in range(999))
    return next(number for number in found if number is not None)


@given(born=dates_of_birth, serial=serials, system=st.sampled_from([(NORWEGIAN, 0), (D_NUMBER, 40)]))
def test_norwegian_numbers_have_two_check_digits(born: date, serial: int, system: tuple[str, int]) -> None:
    number = norwegian(born, serial, day_shift=system[1])
    if number is None:
        return
    assert check(system[0], number, environment="production", today=TODAY) is None
    assert normal_form(system[0], f"{number[:6]} {number[6:]}", today=TODAY) == number
    for place in (9, 10):
        wrong = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
        assert check(system[0], wrong, environment="production", today=TODAY) is not None


def test_the_day_shift_separates_d_numbers_from_birth_numbers() -> None:
    assert check(D_NUMBER, first_number(), environment="production", today=TODAY) is not None
    assert check(NORWEGIAN, first_number(day_shift=40), environment="production", today=TODAY) is not None


@pytest.mark.parametrize("month_shift", [40, 65, 80])
@pytest.mark.parametrize(("system", "day_shift"), [(NORWEGIAN, 0), (D_NUMBER, 40)])
def test_numbers_of_test_persons_pass_in_tests_alone(system: str, day_shift: int, month_shift: int) -> None:
    number = first_number(day_shift=day_shift, month_shift=month_shift)
    assert check(system, number, environment="test", today=TODAY) is None
    problem = check(system, number, environment="production", today=TODAY)
    assert problem is not None
    assert "tests" in problem
    assert number not in problem
    assert normal_form(system, f"{number[:6]} {number[6:]}", today=TODAY) == number


@pytest.mark.parametrize("remainder", [1, 2, 3])
def test_from_2032_the_first_check_leaves_up_to_three(remainder: int) -> None:
    number = first_number(remainder=remainder)
    assert check(NORWEGIAN, number, environment="production", today=date(2031, 12, 31)) is not None
    assert check(NORWEGIAN, number, environment="production", today=date(2032, 1, 1)) is None


def test_from_2032_a_remainder_of_four_is_still_wrong() -> None:
    assert check(NORWEGIAN, first_number(remainder=4), environment="test", today=date(2032, 1, 1)) is not None


def test_both_spellings_of_a_system_are_one() -> None:
    by_oid = token_value("urn:oid:1.2.752.129.2.1.3.1", "19121212-1212")
    assert by_oid == token_value(PERSON, "191212121212")
    assert normal_system("urn:oid:1.2.3") == "urn:oid:1.2.3"


def test_every_row_of_the_table_has_a_rule() -> None:
    assert {row.system for row in number_systems().values()} == {PERSON, COORDINATION, NORWEGIAN, D_NUMBER, *SHAPED}
    for system in number_systems():
        assert check(system, "1", environment="test", today=TODAY) is not None


RESERVE = "http://electronichealth.se/identifier/nationelltReservnumer"
STOCKHOLM = "urn:oid:1.2.752.97.3.1.3"
HSA_ID = "urn:oid:1.2.752.129.2.1.4.1"
HELP_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.3"

SHAPED: dict[str, tuple[str, list[str], list[str]]] = {
    RESERVE: (
        "22950606FH20",
        ["22950606-FH20", "22950606-fh20", "22950606 FH20", " 22950606Fh20 "],
        ["2295060620", "22950606IH20", "22950606FO20", "22950606FQV2", "22950606FW20", "22950606FH2", "2295-0606FH20"],
    ),
    STOCKHOLM: ("991981000010", ["99198100-0010", "99198100 0010"], ["191212121212", "99198100001", "99198100001A"]),
    "urn:oid:1.2.752.113.11.0.2.1.1.1": (
        "19810829M071",
        ["19810829-M071", "19810829m071"],
        ["19810829M051", "19810829M901", "19810829F071", "810829M071"],
    ),
    "urn:oid:1.2.752.74.9.2": ("19810829SU3A", ["19810829-su3a"], ["19810829SU3V", "19810829SA3A", "19810829TU3A"]),
    "urn:oid:1.2.752.129.2.1.3.2": (
        "198108320014",
        ["19810832-0014"],
        ["198108310014", "198108600014", "198113320014"],
    ),
    "urn:oid:1.2.752.74.9.3": ("19810829TB1F", ["19810829-tb1f"], ["19810829TB1K", "19811329TB1F", "19810832TB1F"]),
    "urn:oid:1.2.752.219.1.10.10.1": ("810829DA1B", ["810829-da1b"], ["810829DA2B", "810829GA1B", "10829DA1B"]),
    "urn:oid:1.2.752.74.9.4": ("19810829DA1B", ["19810829-DA1B"], ["19810829DA2B"]),
    "urn:oid:1.2.752.74.9.5": ("20200501AA8A", ["20200501-aa8a"], ["20200501A88A", "22200501AA8A"]),
    "urn:oid:1.2.752.269.1.1": ("20100101014R", ["20100101-014r"], ["20100101014S", "201001010144"]),
    "urn:oid:1.2.752.266.1.1.1": ("19600606AA1G", ["19600606-AA1G"], ["196006061111"]),
    "urn:oid:1.2.752.266.1.1.2": (
        "18500101N123",
        ["18500101-n123", "18500101 N123"],
        ["18500101N000", "19500101N123"],
    ),
    HSA_ID: (
        "SE2321000016-39KJ",
        ["se2321000016-39kj", "SE2321000016-39kj "],
        ["2321000016-39KJ", "SE2321000016", "SE2321000016-", "SE232100001639KJ", "SE2321000016-Å", "ſE2321000016-1"],
    ),
    HELP_NUMBER: (
        "80000000179",
        ["800000 00179"],
        ["80000000178", "80000000189", "8000000015", "70000000179", "8000000015A"],
    ),
}
"""Systems whose rule asks for a shape alone, or for check digits: a number, its other spellings, and what is none."""


@pytest.mark.parametrize("system", SHAPED)
def test_numbers_of_a_shape_compare_by_their_normal_form(system: str) -> None:
    normal, spellings, others = SHAPED[system]
    for spelling in (normal, *spellings):
        assert normal_form(system, spelling, today=TODAY) == normal
        assert check(system, spelling, environment="production", today=TODAY) is None
        assert token_value(system, spelling) == token_value(system, normal)
    for other in others:
        assert normal_form(system, other, today=TODAY) == other
        problem = check(system, other, environment="test", today=TODAY)
        assert problem is not None
        assert other not in problem


def test_letters_of_a_reserve_number_tell_people_apart() -> None:
    assert token_value(RESERVE, "22950606FH20") != token_value(RESERVE, "22950606FJ20")


def test_every_spelling_of_a_system_leads_to_its_first() -> None:
    for published in (RESERVE, RESERVE.replace("numer", "nummer"), "urn:oid:1.2.752.74.9.1"):
        assert token_value(published, "22950606-FH20") == token_value(RESERVE, "22950606FH20")
    assert token_value("urn:oid:1.2.752.29.4.19", "se2321000016-39kj") == token_value(HSA_ID, "SE2321000016-39KJ")


def test_equal_digits_under_two_systems_are_two_numbers() -> None:
    skane = ("urn:oid:1.2.752.219.1.10.10.1", "urn:oid:1.2.752.74.9.4")
    assert len({token_value(system, "19810829DA1B") for system in skane}) == 2


@given(st.sampled_from([*number_systems(), None, "urn:dicom:uid", "http://unitsofmeasure.org"]), st.text(max_size=20))
def test_the_normal_form_of_a_code_is_its_own_normal_form(system: str | None, code: str) -> None:
    once = normal_code(system, code, today=TODAY)
    if not (system == "urn:dicom:uid" and once.casefold().startswith("urn:oid:")):
        assert normal_code(system, once, today=TODAY) == once
