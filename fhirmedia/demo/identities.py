"""People who do not exist: names, addresses and identity numbers that pass every check and belong to nobody.

Swedish numbers use the serials of the series of test numbers that the Swedish Tax Agency publishes (980 and 981, from
1990 on 238 and 239); Norwegian ones add 80 to the month, as the Norwegian Tax Administration does for test persons.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal

PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
SAMORDNINGSNUMMER = "http://electronichealth.se/identifier/samordningsnummer"
FODSELSNUMMER = "urn:oid:2.16.578.1.12.4.1.4.1"
D_NUMMER = "urn:oid:2.16.578.1.12.4.1.4.2"

Country = Literal["SE", "NO"]

SYNTHETIC_MONTH = 80
"""Added to the month of Norwegian test persons."""

_WOMEN = {
    "SE": "Kerstin Åsa Märta Ingrid Elsa Birgitta Ebba Gunnel Linnéa Sigrid Maj Ylva Tuva Hillevi Lovisa Agnes Disa "
    "Signe Görel Alva Maja Tove Ulrika Siv Fatima Leila Nour Samira Selam Jelena Amina Mirjam",
    "NO": "Ingeborg Solveig Astrid Bjørg Ragnhild Turid Øydis Gunnhild Marit Torill Synnøve Åse Nora Ronja Maren "
    "Frøydis Ágot Elle Máret Inger Sárá Risten Biret Sunniva Hodan Amal Zeynep Katarzyna",
}
_MEN = {
    "SE": "Göran Åke Östen Sven Torbjörn Håkan Björn Nils Erik Sören Tage Viggo Love Hjalmar Märten Algot Folke Kjell "
    "Rune Jörgen Elias Isak Ture Melker Ahmed Yusuf Dawit Zoran Arash Tomasz Mikael Anders",
    "NO": "Bjørn Øyvind Håvard Torstein Sverre Kåre Arne Eirik Jørgen Ståle Terje Odd Trygve Sondre Leif Ole Áilu Ánte "
    "Niillas Mihkkal Jovnna Máhtte Aslak Peder Omar Abdi Piotr Emre",
}
_FAMILY = {
    "SE": "Åkerlind Bergståhl Örnfeldt Lindqvist Sjöstrand Hedlund Källgren Ekström Wikander Björkbom Häggmark Lövgren "
    "Tallberg Norrby Strömvall Älvestam Granath Sandell Forsgård Nyhlén Skoglund Rönnåsen Hjelte Vallin Haddad Rahimi "
    "Tesfaye Petrović Yılmaz Nowak Länta Kuoljok Valkeapää",
    "NO": "Sørlie Fjeldheim Hågensen Bjørnestad Ødegård Myrvang Strømsnes Kvaløy Tveiterås Rødland Nordvik Brekkhus "
    "Vågønes Lillebø Engeseth Storhaug Bålto Čálbmi Márkus Guttormen Utsi Eira Somby Triumf Hussein Jama Demir "
    "Zieliński",
}
_STREETS = {
    "SE": "Björkallén Tallstigen Älvgatan Kvarnbacken Åsvägen Skolgatan Östra_Strandvägen Lingonvägen Ängsgatan",
    "NO": "Bjørkeveien Fjordgata Storgata Åsveien Skoleveien Øvre_Strandvei Nordlysveien Kaigata Reinveien Lyngveien",
}
_TOWNS = {
    "SE": (("990 11", "Norrsjö"), ("990 24", "Norrsjö"), ("990 52", "Älvbacka"), ("990 71", "Tallmon"),
           ("990 88", "Björkudden")),
    "NO": (("9981", "Fjellvik"), ("9983", "Fjellvik"), ("9986", "Nordtind"), ("9989", "Ytre Øya")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """One person: `system` and `number` as FHIR identifier, `number` in the form the register prints."""

    country: Country
    male: bool
    given: str
    family: str
    born: date
    system: str
    number: str
    street: str
    postal_code: str
    city: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


def people(rng: Random, *, today: date) -> Iterator[Identity]:
    """Different people for ever, two of three Swedish; no number and no full name comes twice."""
    taken: set[str] = set()
    while True:
        country: Country = "SE" if rng.random() < 0.66 else "NO"
        male = rng.random() < 0.49
        born = _birthday(rng, today)
        system, number = _number(rng, country, born, male=male)
        given = rng.choice((_MEN if male else _WOMEN)[country].split())
        family = rng.choice(_FAMILY[country].split())
        if number in taken or f"{given} {family}" in taken:
            continue
        taken |= {number, f"{given} {family}"}
        postal_code, city = rng.choice(_TOWNS[country])
        street = f"{rng.choice(_STREETS[country].split()).replace('_', ' ')} {rng.randint(1, 88)}"
        yield Identity(country, male, given, family, born, system, number, street, postal_code, city)


def staff_names(rng: Random, country: Country) -> Iterator[tuple[str, str, bool]]:
    """Given name, family name and whether male, without repetition."""
    taken: set[str] = set()
    while True:
        male = rng.random() < 0.45
        given, family = rng.choice((_MEN if male else _WOMEN)[country].split()), rng.choice(_FAMILY[country].split())
        if family not in taken:
            taken.add(family)
            yield given, family, male


def personnummer(born: date, *, male: bool) -> str:
    """A Swedish personal identity number of the test series, 12 digits with a hyphen before the last four."""
    serial = (238 if born.year >= 1990 else 980) + male
    return _swedish(f"{born:%Y%m%d}", serial)


def samordningsnummer(born: date, *, male: bool) -> str:
    """A Swedish coordination number of the test series: the day of birth plus 60."""
    return _swedish(f"{born:%Y%m}{born.day + 60:02d}", 238 + male)


def fodselsnummer(born: date, *, male: bool, rng: Random) -> str:
    """A Norwegian national identity number of a test person: 11 digits, the month raised by 80."""
    return _norwegian(born, born.day, male=male, rng=rng)


def d_nummer(born: date, *, male: bool, rng: Random) -> str:
    """A Norwegian D-number of a test person: the day raised by 40, the month by 80."""
    return _norwegian(born, born.day + 40, male=male, rng=rng)


def _birthday(rng: Random, today: date) -> date:
    """Somebody between half a year and 96, more often old than young."""
    age_days = int(rng.triangular(200, 96 * 365, 66 * 365))
    return today - timedelta(days=age_days)


def _number(rng: Random, country: Country, born: date, *, male: bool) -> tuple[str, str]:
    usual = rng.random() < 0.93
    if country == "SE":
        if usual:
            return PERSONNUMMER, personnummer(born, male=male)
        return SAMORDNINGSNUMMER, samordningsnummer(born, male=male)
    if usual:
        return FODSELSNUMMER, fodselsnummer(born, male=male, rng=rng)
    return D_NUMMER, d_nummer(born, male=male, rng=rng)


def _swedish(day: str, serial: int) -> str:
    digits = f"{day[2:]}{serial:03d}"
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
    check = -sum(number // 10 + number % 10 for number in doubled) % 10
    return f"{day}-{serial:03d}{check}"


def _norwegian(born: date, day: int, *, male: bool, rng: Random) -> str:
    head = f"{day:02d}{born.month + SYNTHETIC_MONTH:02d}{born.year % 100:02d}"
    while True:
        serial = rng.randrange(0, 500) if born.year < 2000 else rng.randrange(500, 1000)
        digits = f"{head}{serial // 10 * 10 + serial % 5 * 2 + male:03d}"
        first = -_weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
        if first == 10:
            continue
        second = -_weighted(f"{digits}{first}", (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        if second < 10:
            return f"{digits}{first}{second}"


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
