"""The searches of `scripts/bench search`, drawn from the invented archive, each with what a refusal would go by."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from scripts.benchmarks.corpus import ACCESSION, DCM, PHOTOS, SCT, SITES, STUDY, WORDS, corpus, drawn

ITEMS = "Media,DocumentReference,ImagingStudy"
FACETS = ("kind", "department", "body-site", "media-modality", "year")
INCLUDES = [
    ("_include", f"{kind}:{parameter}")
    for kind, parameters in (
        ("Media", ("subject", "operator", "encounter")),
        ("DocumentReference", ("subject", "encounter")),
        ("ImagingStudy", ("subject", "encounter")),
    )
    for parameter in parameters
]
"""Whom it is of, who made it, on which occasion: as far as each type says so."""

NUMBER = 300
"""Different requests of a row, at most."""

COMMON = 60
"""So many words are very common: from two thirds of all items for the first to 2 % for the last."""

_SAMPLE = 6_000
_ACSN = "http://terminology.hl7.org/CodeSystem/v2-0203|ACSN"


@dataclass(frozen=True, slots=True)
class Asked:
    """One search; `driving` is how many keys the engine has to go through at least, where it may refuse by that."""

    path: str
    driving: int = 0


class Drawn:
    """What the folder of this size holds: a sample of its resources, and how many have what the searches ask for."""

    def __init__(self, size: int) -> None:
        self._rng = Random(13)
        self._patients = size // 31
        self.items = 0
        self._with: Counter[str] = Counter()
        kept = frozenset(self._rng.sample(range(size), min(_SAMPLE, size)))
        self._sample: dict[str, list[dict[str, Any]]] = {}
        for number, resource in enumerate(corpus(size)):
            kind = resource["resourceType"]
            self._count(kind, resource)
            if number in kept:
                self._sample.setdefault(kind, []).append(resource)

    def _count(self, kind: str, resource: dict[str, Any]) -> None:
        match kind:
            case "Patient":
                year = resource["birthDate"][:4]
                self._with.update((resource["name"][0]["family"], resource["gender"], year))
            case "Media":
                self._with.update((resource["bodySite"]["coding"][0]["code"], resource["createdDateTime"][:10]))
            case "ImagingStudy":
                self._with[resource["modality"][0]["code"]] += 1
        self.items += kind in ITEMS.split(",")

    def sites_by_month(self) -> list[Asked]:
        """Pictures of a body site in a month, newest first, whoever they are of."""
        return [self._site_by_month(*self._site_and_day()) for _ in range(NUMBER)]

    def _site_by_month(self, site: str, day: str) -> Asked:
        year, number = int(day[:4]), int(day[5:7])
        first, after = f"{year}-{number:02d}-01", f"{year + number // 12}-{number % 12 + 1:02d}-01"
        asked = [("site", f"{SCT}|{site}"), ("created", f"ge{first}"), ("created", f"lt{after}")]
        return _asked("Media", [*asked, ("_sort", "-created")])

    def two_words(self) -> list[Asked]:
        """Two words of one note, as often as they are written; newest first, all types."""
        return [_asked("", [("_type", ITEMS), ("text", self._two_words()), ("_sort", "-when")]) for _ in range(NUMBER)]

    def _two_words(self) -> str:
        written = list(dict.fromkeys(self._any("ImagingStudy")["description"].split()))
        return " ".join(self._rng.sample(written, min(2, len(written))))

    def lookups(self) -> dict[str, list[Asked]]:
        """By what a thing is called, one answer each."""
        ways: dict[str, Callable[[], Asked]] = {
            "identifier": lambda: _asked("Media", [("identifier", f"{PHOTOS}|{self._any('Media')['id'][2:]}")]),
            "accession number": lambda: _asked("ImagingStudy", [("identifier", f"{ACCESSION}|{self._accession()}")]),
            "accession number by type": lambda: _asked(
                "ImagingStudy", [("identifier:of-type", f"{_ACSN}|{self._accession()}")]
            ),
            "study UID": lambda: _asked("", [("_type", ITEMS), ("identifier", f"urn:dicom:uid|{self._uid()}")]),
        }
        return {name: [draw() for _ in range(NUMBER)] for name, draw in ways.items()}

    def chains(self) -> dict[str, list[Asked]]:
        """Pictures by what is true of their patients, and patients by what is true of their records."""
        newest = [("_sort", "-created")]

        def families() -> Asked:
            family = self._any("Patient")["name"][0]["family"]
            return _asked("Media", [("patient.family", family), *newest], driving=self._with[family])

        def years() -> Asked:
            year = self._birth_year()
            return _asked("Media", [("patient.birthdate", year), *newest], driving=self._with[year])

        def genders() -> Asked:
            gender = self._rng.choice(("female", "male"))
            return _asked("Media", [("patient.gender", gender), *newest], driving=self._with[gender])

        def days() -> Asked:
            day = self._site_and_day()[1]
            return _asked("Patient", [("_has:Media:patient:created", day)], driving=self._with[day])

        def scanned() -> Asked:
            year, code = self._birth_year(), self._rng.choice(STUDY)
            asked = [("birthdate", year), ("_has:ImagingStudy:patient:modality", f"{DCM}|{code}")]
            return _asked("Patient", asked, driving=min(self._with[year], self._with[code]))

        def sites() -> Asked:
            site = self._rng.choice(SITES)
            return _asked("Patient", [("_has:Media:patient:site", f"{SCT}|{site}")], driving=self._with[site])

        ways: dict[str, Callable[[], Asked]] = {
            "chain: a family name": families,
            "chain: a year of birth": years,
            "chain: a gender": genders,
            "_has: a picture of a day": days,
            "_has: a modality, and a year of birth": scanned,
            "_has: a picture of a site": sites,
        }
        return {name: [draw() for _ in range(NUMBER)] for name, draw in ways.items()}

    def timelines(self) -> tuple[list[Asked], list[Asked]]:
        """Of the same patients without and with what goes along."""
        patients = [f"p-{drawn(self._rng, self._patients - 1)}" for _ in range(NUMBER)]
        plain = [[("_type", ITEMS), ("patient", each), ("_sort", "-when")] for each in patients]
        return [_asked("", asked) for asked in plain], [_asked("", [*asked, *INCLUDES]) for asked in plain]

    def patient_facets(self) -> list[Asked]:
        """How the records of one patient divide."""
        patients = (f"p-{drawn(self._rng, self._patients - 1)}" for _ in range(NUMBER))
        return [_counted([("_type", ITEMS), ("patient", each)], driving=0) for each in patients]

    def all_facets(self) -> list[Asked]:
        """How all items divide."""
        return [_counted([("_type", ITEMS)], driving=self.items)] * 10

    def timelines_with_facets(self) -> list[list[Asked]]:
        """Of a patient: the newest, and how all of them divide."""
        patients = (f"p-{drawn(self._rng, self._patients - 1)}" for _ in range(NUMBER))
        return [_listed_and_counted([("patient", each)]) for each in patients]

    def words_at_sites(self) -> list[list[Asked]]:
        """Two words of one note, and a body site, across patients; newest first, all types."""
        found = []
        for _ in range(NUMBER):
            site = f"{SCT}|{self._site_and_day()[0]}"
            asked = [("_type", ITEMS), ("text", self._two_words()), ("body-site", site), ("_sort", "-when")]
            found.append([_asked("", asked)])
        return found

    def common_words(self) -> list[list[Asked]]:
        """Each of the words that are written most, across patients: the newest, and how all with it divide."""
        words = self._rng.sample(WORDS[:COMMON], COMMON)
        return [_listed_and_counted([("text", word)]) for word in words]

    def lines(self) -> Asked:
        """Every item."""
        return Asked(f"/?{urlencode([('_type', ITEMS)])}")

    def _any(self, kind: str) -> dict[str, Any]:
        return self._rng.choice(self._sample[kind])

    def _birth_year(self) -> str:
        return str(self._any("Patient")["birthDate"][:4])

    def _site_and_day(self) -> tuple[str, str]:
        picture = self._any("Media")
        return picture["bodySite"]["coding"][0]["code"], picture["createdDateTime"][:10]

    def _accession(self) -> str:
        return str(self._any("ImagingStudy")["identifier"][1]["value"])

    def _uid(self) -> str:
        return str(self._any("ImagingStudy")["identifier"][0]["value"])


def resources(size: int, *, kinds: str, number: int) -> Iterator[dict[str, Any]]:
    """The first so many of each of these types."""
    left = dict.fromkeys(kinds.split(","), number)
    for resource in corpus(size):
        kind = resource["resourceType"]
        if left.get(kind):
            left[kind] -= 1
            yield resource
        if not any(left.values()):
            return


def _asked(place: str, parameters: list[tuple[str, str]], *, driving: int = 0) -> Asked:
    return Asked(f"/{place}?{urlencode([*parameters, ('_count', '50')], quote_via=quote)}", driving)


def _listed_and_counted(parameters: list[tuple[str, str]]) -> list[Asked]:
    asked = [("_type", ITEMS), *parameters]
    return [_asked("", [*asked, ("_sort", "-when")]), _counted(asked, driving=0)]


def _counted(parameters: list[tuple[str, str]], *, driving: int) -> Asked:
    asked = urlencode([*parameters, ("facet", ",".join(FACETS))], quote_via=quote)
    return Asked(f"/$media-stats?{asked}", driving)
