"""The whole demo: a health region with ten years of pictures, films, sounds, documents and studies, from one seed."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from random import Random

from fhirmedia.demo.chart import Chart, Visit
from fhirmedia.demo.courses import COURSES, HOME_PHONE, STOCK, Walk, region, workday
from fhirmedia.demo.dicom_files import studies
from fhirmedia.demo.identities import Identity, people
from fhirmedia.demo.imaging import ZONE, add_external_study, add_stored_study
from fhirmedia.demo.items import DemoItem
from fhirmedia.demo.places import UNITS, Clinician, Unit, clinicians, organizations
from fhirmedia.demo.stories import (
    Staff,
    Units,
    growing_lesion,
    healing_wound,
    long_illness,
    murmur,
    rehabilitation,
    scald,
)
from fhirmedia.demo.words import Complaint
from fhirmedia.demo.works import Photograph, Scene
from fhirmedia.r4.json_types import JsonObject

PATIENTS = 240
YEARS = 10
UNTIL = date(2026, 10, 31)

Story = Callable[[Chart, Random, datetime, Units, Staff], None]
STORIES: tuple[tuple[Story, int, int, int], ...] = (
    # story, youngest and oldest age today, days before today it begins
    (long_illness, 70, 85, 3640),
    (growing_lesion, 40, 60, 1060),
    (rehabilitation, 55, 75, 420),
    (healing_wound, 60, 90, 300),
    (murmur, 65, 80, 1200),
    (scald, 3, 12, 700),
)
"""The patients demo-0001 to demo-0006."""


def generate(seed: int, *, until: date = UNTIL) -> Iterator[DemoItem]:
    """All items in the order they can be written: whoever is referred to comes first.

    Organizations, Practitioners and Patients lead, then each patient's record. The same seed and day give the same
    items, byte for byte; bytes are made only when `content` is called.
    """
    rng = Random(seed)
    for organization in organizations():
        yield DemoItem(organization)
    staff: Staff = {}
    pair: list[Clinician] = []
    for clinician in clinicians(rng):
        yield DemoItem(clinician.resource)
        pair.append(clinician)
        if len(pair) == 2:
            staff[clinician.unit.id] = (pair[0], pair[1])
            pair = []
    charts = _charts(rng, until)
    for chart in charts:
        yield DemoItem(_patient(chart))
    _write(charts, rng, until, staff)
    for chart in charts:
        yield from chart.items


def _charts(rng: Random, until: date) -> list[Chart]:
    """The patients of the stories first, then the others as they come."""
    crowd = people(rng, today=until)
    charts: list[Chart] = []
    for _, youngest, oldest, _ in STORIES:
        person = next(one for one in crowd if one.country == "SE" and youngest <= _age(one, until) <= oldest)
        charts.append(Chart(len(charts) + 1, person))
    while len(charts) < PATIENTS:
        charts.append(Chart(len(charts) + 1, next(crowd)))
    return charts


def _write(charts: list[Chart], rng: Random, until: date, staff: Staff) -> None:
    today = datetime(until.year, until.month, until.day, tzinfo=ZONE)
    swedish = {unit.code: unit for unit in reversed(UNITS) if unit.country == "SE"}
    for chart, (story, _, _, days) in zip(charts, STORIES, strict=False):
        story(chart, rng, today - timedelta(days=days), swedish, staff)
    for chart in charts[len(STORIES) :]:
        for complaint in _complaints(rng, chart.person, until):
            _course(chart, rng, today, complaint, staff)
        if rng.random() < 0.4:
            for _ in range(rng.randint(1, 2)):
                _radiology(chart, rng, today, staff)
    _stored_studies(charts, swedish)


def _complaints(rng: Random, person: Identity, until: date) -> list[Complaint]:
    """What this person saw somebody for: mostly one or two things, now and then many."""
    age = _age(person, until)
    weights: dict[Complaint, float] = {
        "lesion": 3 if age > 15 else 1,
        "rash": 2,
        "hand": 1.3,
        "burn": 0.7 if age > 10 else 2,
        "ear": 4 if age < 14 else 0.8,
        "eye": 1,
        "fundus": 3 if age > 45 else 0,
        "ulcer": 3 if age > 58 else 0,
        "heart": 2 if age > 50 else 0.6,
        "bowel": 1.2 if age > 18 else 0,
        "gait": 0.6 if age > 45 else 0.1,
        "ultrasound": 3 if not person.male and 18 < age < 60 else 0,
    }
    count = min(int(rng.paretovariate(3.4)), 6)
    return rng.choices(list(weights), list(weights.values()), k=count)


def _course(chart: Chart, rng: Random, today: datetime, complaint: Complaint, staff: Staff) -> None:
    scene, course = COURSES[complaint]
    unit = _unit(rng, course.departments, chart)
    visits = rng.randint(*course.visits)
    gaps = [rng.randint(*course.days_between) for _ in range(visits - 1)]
    born = datetime(chart.person.born.year, chart.person.born.month, chart.person.born.day, tzinfo=ZONE)
    earliest = max(today - timedelta(days=365 * YEARS), born + timedelta(days=90))
    latest = today - timedelta(days=sum(gaps) + 12)
    if latest <= earliest:
        visits, gaps, latest = 1, [], today - timedelta(days=10)
    at = earliest + timedelta(days=rng.randint(0, max((latest - earliest).days, 0)))
    tone = _tone(chart)
    finding = STOCK[scene].pick(rng, tone) if scene is not None else (rng.randrange(20), tone)
    walk = Walk(rng, scene, finding, course, chart)
    where = region(rng, course.sites)
    for number in range(visits):
        if number:
            at += timedelta(days=gaps[number - 1])
        visit = chart.visit(unit, workday(at, rng), complaint=complaint, region=where, seen_by=staff[unit.id])
        if number == 0 and rng.random() < 0.6:
            visit.letter("57133-1")
        course.write(walk, visit, number / (visits - 1) if visits > 1 else 0.0)
        if number == visits - 1:
            if rng.random() < 0.75:
                visit.letter("11488-4" if unit.code not in ("burn", "emerg") else "18842-5")
            if complaint == "lesion" and rng.random() < 0.25:
                _sent_in(walk, visit, min(at + timedelta(days=rng.randint(20, 60)), today - timedelta(days=1)))


def _sent_in(walk: Walk, last: Visit, at: datetime) -> None:
    """The patient photographs the same place at home and sends the picture in."""
    evening = at.replace(hour=19, minute=12)
    visit = walk.chart.visit(last.unit, evening, complaint="lesion", region=last.region, seen_by=last.seen_by)
    seed, tone = walk.finding
    visit.photograph(
        Photograph(Scene("lesion", seed, tone, 0.35), 2, turned=True),
        HOME_PHONE,
        modality_code="XC",
        note=visit.language.patient_sent,
        by_patient=True,
    )


def _radiology(chart: Chart, rng: Random, today: datetime, staff: Staff) -> None:
    unit = _unit(rng, ("radiol",), chart)
    lived_days = (today.date() - chart.person.born).days
    at = workday(today - timedelta(days=rng.randint(3, min(365 * YEARS, lived_days - 30))), rng)
    visit = chart.visit(unit, at, complaint="radiology", region=region(rng, ("22943007",)), seen_by=staff[unit.id])
    study = add_external_study(visit, rng)
    visit.report("18748-4", section="RAD", studies=(study,))


def _stored_studies(charts: list[Chart], units: Units) -> None:
    """The real DICOM files, each study to somebody who had been born; three of them to the first patient."""
    adults = [chart for chart in charts[6:] if chart.person.country == "SE" and chart.person.born.year < 1975]
    for number, study in enumerate(studies(), 1):
        taken = study[0].header.study_date
        chart = charts[0] if number % 9 == 4 else adults[number * 3 % len(adults)]
        if taken is not None and chart.person.born >= taken:
            chart = charts[0]
        unit = units["cardio" if study[0].header.modality == "ECG" else "radiol"]
        add_stored_study(chart, unit, number, study)


def _unit(rng: Random, departments: tuple[str, ...], chart: Chart) -> Unit:
    """A department of the patient's country; where it has none, the Swedish one."""
    fitting = [unit for unit in UNITS if unit.code in departments]
    return rng.choice([unit for unit in fitting if unit.country == chart.person.country] or fitting)


def _tone(chart: Chart) -> int:
    """The skin tone of a person, the same in every picture: one of six, the lighter ones more often."""
    return (0, 1, 1, 2, 1, 0, 3, 4, 1, 5)[chart.number % 10]


def _age(person: Identity, on: date) -> int:
    return (on - person.born).days // 365


def _patient(chart: Chart) -> JsonObject:
    person = chart.person
    return {
        "resourceType": "Patient",
        "id": chart.patient_id,
        "identifier": [{"use": "official", "system": person.system, "value": person.number}],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "gender": "male" if person.male else "female",
        "birthDate": person.born.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [person.street],
                "city": person.city,
                "postalCode": person.postal_code,
                "country": person.country,
            }
        ],
    }
