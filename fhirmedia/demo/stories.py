"""Six patients whose pictures tell something over time: read one after the other, in one timeline."""

from datetime import datetime, timedelta
from random import Random

from fhirmedia.demo.chart import Chart, Region, Visit
from fhirmedia.demo.courses import SHOTS, STOCK, photographs, workday
from fhirmedia.demo.places import Clinician, Unit
from fhirmedia.demo.words import Complaint
from fhirmedia.demo.works import Film, Photograph, Scene, Sound

Staff = dict[str, tuple[Clinician, Clinician]]
"""Physician and nurse by the id of their unit."""

Units = dict[str, Unit]
"""The Swedish units by department."""


def growing_lesion(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """One mole on the back at twelve visits: overview and dermoscopy, then excision and what the microscope saw."""
    back = Region("77568009")
    for number in range(12):
        stage = round(number / 11, 2)
        visit = _visit(chart, rng, start + timedelta(days=91 * number), units["derm"], staff, "lesion", back)
        if number == 0:
            visit.letter("57133-1")
        for name in ("lesion", "dermoscopy"):
            scene = Scene(name, 7, 1, stage, number)
            photographs(visit, scene, 2 if name == "lesion" else 1, note=visit.words.note(stage))
        if number == 11:
            photographs(visit, Scene("histology", 5, 1, 0.6), 3, note=visit.words.conclusion)
            visit.report("11526-1", section="SP")
            visit.letter("11488-4")


def rehabilitation(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """Eight films of one walk over half a year, each with its report."""
    for number in range(8):
        visit = _visit(
            chart, rng, start + timedelta(days=24 * number), units["neuro"], staff, "gait", Region("61685007")
        )
        if number == 0:
            visit.letter("57133-1")
        passed = number / 7
        visit.film(Film("gait", 3, round(0.95 * (1 - passed) ** 1.3, 2)), note=visit.words.note(passed))
        visit.report("28634-8", section="OTH")
        if number == 7:
            visit.letter("18842-5")


def healing_wound(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """A leg ulcer photographed with a ruler for sixteen weeks, from necrosis to new skin."""
    for number in range(9):
        visit = _visit(
            chart, rng, start + timedelta(days=14 * number), units["wound"], staff, "ulcer", Region("30021000", "left")
        )
        stage = round(number / 8, 2)
        photographs(visit, Scene("ulcer", 17, 0, stage, number), 3, note=visit.words.note(stage))
        if number in (0, 8):
            visit.letter("57133-1" if number == 0 else "18842-5")


def murmur(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """Heart sounds in four positions at six visits, softer after the valve was treated; ultrasound beside them."""
    for number in range(6):
        visit = _visit(
            chart, rng, start + timedelta(days=180 * number), units["cardio"], staff, "heart", Region("80891009")
        )
        for position in range(4):
            strength = round(max(0.1, (0.95 if number < 4 else 0.3) - 0.15 * position), 2)
            note = visit.words.note(number / 5) if position == 0 else None
            visit.sound(Sound("systolic-murmur", 40 + position, 66 + 2 * number, strength), note=note)
        photographs(visit, Scene("ultrasound", 3, 1, 0.2 if number < 4 else 0.8), 2, note=None)
        visit.report("42148-7", section="CUS")


def scald(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """A child's scald from the first day until the skin is even again."""
    for number, (day, stage) in enumerate(((0, 0.05), (3, 0.2), (9, 0.55), (21, 0.75), (60, 0.95))):
        unit = units["emerg" if number == 0 else "burn"]
        visit = _visit(chart, rng, start + timedelta(days=day), unit, staff, "burn", Region("14975008", "right"))
        photographs(visit, Scene("burn", 13, 1, stage, number), 3, note=visit.words.note(stage))
        visit.letter("57133-1" if number == 0 else "11488-4")


def long_illness(chart: Chart, rng: Random, start: datetime, units: Units, staff: Staff) -> None:
    """Ten years with diabetes: wounds that come and go on both legs, eyes every year, the heart, letters from all."""
    for year in range(10):
        at = start + timedelta(days=365 * year)
        _eyes(_visit(chart, rng, at, units["ophth"], staff, "fundus", Region("5665001")), year)
        if year % 2:
            visit = _visit(chart, rng, at + timedelta(days=60), units["cardio"], staff, "heart", Region("80891009"))
            for position in range(3):
                visit.sound(Sound("gallop", 60 + position, 78, round(0.3 + 0.06 * year, 2)), note=visit.words.notes[1])
            visit.letter("11488-4")
        leg = Region(("30021000", "56459004")[year % 2], ("left", "right")[year // 2 % 2])
        for week in range(7):
            when = at + timedelta(days=100 + 18 * week)
            unit = units["wound" if week % 3 else "derm"]
            visit = _visit(chart, rng, when, unit, staff, "ulcer", leg)
            stage = STOCK["ulcer"].nearest(week / 6)
            photographs(visit, Scene("ulcer", 23 + year % 2, 1, stage), 3, note=visit.words.note(stage))
            if week in (0, 3, 6):
                visit.letter(("57133-1", "11488-4", "18842-5")[week // 3])


def _eyes(visit: Visit, year: int) -> None:
    shot = SHOTS["fundus"]
    stage = 0.75 if year > 5 else 0.0
    for seed, eye in ((4, Region("5665001", "right")), (5, Region("5665001", "left"))):
        for take in range(2):
            visit.photograph(
                Photograph(Scene("fundus", seed, 1, stage), take),
                shot.camera,
                modality_code=shot.modality,
                region=eye,
                note=visit.words.note(stage) if take == 0 else None,
            )
    visit.report("28634-8", section="OTH")


def _visit(
    chart: Chart, rng: Random, at: datetime, unit: Unit, staff: Staff, complaint: Complaint, region: Region
) -> Visit:
    return chart.visit(unit, workday(at, rng), complaint=complaint, region=region, seen_by=staff[unit.id])
