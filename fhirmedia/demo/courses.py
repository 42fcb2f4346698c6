"""The usual course of each complaint: where, how often, what is photographed; and the stock of scenes it draws on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from fhirmedia.demo.chart import ENDOSCOPE, Chart, Region, Visit
from fhirmedia.demo.terms import PAIRED
from fhirmedia.demo.words import Complaint
from fhirmedia.demo.works import Camera, Film, Heart, Photograph, Scene, SceneName, Sound

CLINIC_CAMERA = Camera("Nordkam", "D7")
PHONE = Camera("Tindra", "Klinik 12")
HOME_PHONE = Camera("Tindra", "Lilla 9")
DERMATOSCOPE = Camera("Lumen", "DermaView 4")
FUNDUS_CAMERA = Camera("Oculus Nord", "Retina 45")
SLIT_LAMP = Camera("Oculus Nord", "SL-9")
OTOSCOPE = Camera("Auris", "ScopeCam 2")
PLATE_READER = Camera("Radia", "FlexPlate")
ULTRASOUND = Camera("Sonara", "V8")
MICROSCOPE = Camera("Histolux", "M3")


@dataclass(frozen=True, slots=True)
class Shot:
    """How a scene is taken: DICOM modality, device, and whether a hand holds it (several takes, sometimes upright)."""

    modality: str
    camera: Camera
    hand_held: bool = False


SHOTS: dict[SceneName, Shot] = {
    "bowel": Shot("ES", ENDOSCOPE),
    "burn": Shot("XC", CLINIC_CAMERA, hand_held=True),
    "dermoscopy": Shot("DMS", DERMATOSCOPE),
    "ear-drum": Shot("ES", OTOSCOPE),
    "eye": Shot("OP", SLIT_LAMP),
    "fundus": Shot("OP", FUNDUS_CAMERA),
    "hand": Shot("DX", PLATE_READER),
    "histology": Shot("GM", MICROSCOPE, hand_held=True),
    "lesion": Shot("XC", PHONE, hand_held=True),
    "rash": Shot("XC", CLINIC_CAMERA, hand_held=True),
    "ulcer": Shot("XC", PHONE, hand_held=True),
    "ultrasound": Shot("US", ULTRASOUND),
}


@dataclass(frozen=True, slots=True)
class Stock:
    """What is on the shelf of one scene: findings (seed and skin tone) and the stages each was painted at."""

    findings: tuple[tuple[int, int], ...]
    stages: tuple[float, ...]

    def pick(self, rng: Random, tone: int) -> tuple[int, int]:
        """A finding on skin as near to the tone as there is."""
        nearest = min(abs(skin - tone) for _, skin in self.findings)
        return rng.choice([finding for finding in self.findings if abs(finding[1] - tone) == nearest])

    def nearest(self, stage: float) -> float:
        return min(self.stages, key=lambda have: abs(have - stage))


STOCK: dict[SceneName, Stock] = {
    "bowel": Stock(((3, 1), (4, 1), (6, 1)), (0.25, 0.9)),
    "burn": Stock(((5, 1), (9, 4)), (0.05, 0.55, 0.95)),
    "ear-drum": Stock(((3, 1), (8, 1), (11, 1)), (0.1, 0.95)),
    "eye": Stock(((5, 1), (6, 1), (7, 4)), (0.1, 0.9)),
    "fundus": Stock(((2, 1), (4, 1), (6, 3)), (0.0, 0.75)),
    "hand": Stock(((4, 1), (5, 1), (6, 1)), (0.0, 1.0)),
    "histology": Stock(((4, 1), (5, 1), (6, 1)), (0.6,)),
    "lesion": Stock(((3, 0), (4, 1), (5, 4), (7, 1), (9, 2), (12, 3), (15, 1), (18, 0), (21, 5)), (0.35,)),
    "rash": Stock(((3, 1), (4, 0), (5, 4)), (0.1, 0.5, 0.9)),
    "ulcer": Stock(((3, 0), (8, 4), (11, 1)), (0.0, 0.35, 0.65, 0.95)),
    "ultrasound": Stock(((3, 1), (4, 1), (5, 1)), (0.2, 0.8)),
}
STOCK["dermoscopy"] = STOCK["lesion"]
"""A lesion's seed is the same in both views."""


@dataclass(frozen=True, slots=True)
class Course:
    """`visits` and `days_between` are ranges; `write` adds to a visit whose part 0…1 of the course has passed."""

    departments: tuple[str, ...]
    sites: tuple[str, ...]
    visits: tuple[int, int]
    days_between: tuple[int, int]
    write: Callable[["Walk", Visit, float], None]


@dataclass(frozen=True, slots=True)
class Walk:
    """One patient's way through one course: the finding (seed, skin tone) and the scene that shows it.

    A course without photographs has no scene; its finding's seed still makes it this patient's own.
    """

    rng: Random
    scene: SceneName | None
    finding: tuple[int, int]
    course: Course
    chart: Chart

    def scene_at(self, stage: float, *, name: SceneName | None = None) -> Scene:
        name = name or self.scene
        assert name is not None
        seed, tone = self.finding
        return Scene(name, seed, tone, STOCK[name].nearest(stage))


def photographs(visit: Visit, scene: Scene, count: int, *, note: str | None, confidential: bool = False) -> None:
    """`count` pictures of one scene, the first with the note; different takes where a hand holds the camera."""
    shot = SHOTS[scene.name]
    for take in range(count):
        visit.photograph(
            Photograph(scene, take % 3, turned=shot.hand_held and take == 2),
            shot.camera,
            modality_code=shot.modality,
            view=visit.language.views[min(take, 2)],
            note=note if take == 0 else None,
            confidential=confidential,
        )


def region(rng: Random, sites: tuple[str, ...]) -> Region:
    """One of the sites, and a side where there are two."""
    code = rng.choice(sites)
    return Region(code, rng.choice(("left", "right")) if code in PAIRED else None)


def _lesion(walk: Walk, visit: Visit, passed: float) -> None:
    photographs(visit, walk.scene_at(0.35), walk.rng.randint(1, 3), note=visit.words.note(passed))
    photographs(visit, walk.scene_at(0.35, name="dermoscopy"), walk.rng.randint(1, 2), note=None)
    if passed == 1 and walk.rng.random() < 0.6:
        seed, tone = STOCK["histology"].pick(walk.rng, 1)
        photographs(visit, Scene("histology", seed, tone, 0.6), 2, note=visit.words.conclusion)
        visit.report("11526-1", section="SP")


def _surface(walk: Walk, visit: Visit, passed: float) -> None:
    confidential = visit.region.code == "76752008"
    scene = walk.scene_at(passed)
    photographs(visit, scene, walk.rng.randint(1, 3), note=visit.words.note(passed), confidential=confidential)


def _pair(walk: Walk, visit: Visit, passed: float) -> None:
    """Both eyes: fundus seeds are even for right eyes, the next odd number is the left one."""
    seed, tone = walk.finding
    shot = SHOTS["fundus"]
    stage = STOCK["fundus"].nearest(passed)
    for offset, side in ((0, Region("5665001", "right")), (1, Region("5665001", "left"))):
        for take in range(walk.rng.randint(1, 2)):
            visit.photograph(
                Photograph(Scene("fundus", seed + offset, tone, stage), take),
                shot.camera,
                modality_code=shot.modality,
                region=side,
                note=visit.words.note(passed) if offset == take == 0 else None,
            )
    if walk.rng.random() < 0.4:
        visit.report("28634-8", section="OTH")


def _single(walk: Walk, visit: Visit, passed: float) -> None:
    photographs(visit, walk.scene_at(passed), walk.rng.randint(1, 2), note=visit.words.note(passed))
    if walk.rng.random() < 0.35:
        visit.report("28634-8", section="OTH")


def _bowel(walk: Walk, visit: Visit, passed: float) -> None:
    photographs(visit, walk.scene_at(passed), walk.rng.randint(2, 4), note=visit.words.note(passed))
    if walk.rng.random() < 0.25:
        visit.film(Film("colonoscopy", 4))
    visit.report("28634-8", section="OTH")


def _heart(walk: Walk, visit: Visit, passed: float) -> None:
    hearts: tuple[Heart, ...] = ("normal", "systolic-murmur", "diastolic-murmur", "gallop", "split-second")
    heart = hearts[walk.finding[0] % len(hearts)]
    for position in range(walk.rng.randint(1, 3)):
        strength = round(0.9 - 0.5 * passed - 0.12 * position, 1)
        visit.sound(
            Sound(heart, position, 60 + walk.finding[0] % 4 * 8, max(strength, 0.1)),
            note=visit.words.note(passed) if position == 0 else None,
        )
    if walk.rng.random() < 0.6:
        visit.report("42148-7", section="CUS")


def _gait(walk: Walk, visit: Visit, passed: float) -> None:
    visit.film(Film("gait", 5, (0.7, 0.0)[passed > 0.5]), note=visit.words.note(passed))
    visit.report("28634-8", section="OTH")


BURN_SITES = ("14975008", "85562004", "30021000", "76752008")
SKIN_SITES = ("77568009", "30021000", "14975008", "40983000", "68367000", "22943007", "16982005", "89545001")
COURSES: dict[Complaint, tuple[SceneName | None, Course]] = {
    "bowel": ("bowel", Course(("endo",), ("71854001",), (1, 3), (80, 200), _bowel)),
    "burn": ("burn", Course(("burn", "plastic"), BURN_SITES, (3, 6), (3, 20), _surface)),
    "ear": ("ear-drum", Course(("ent", "paed"), ("117590005",), (1, 3), (30, 90), _single)),
    "eye": ("eye", Course(("ophth",), ("81745001",), (2, 3), (7, 30), _single)),
    "fundus": ("fundus", Course(("ophth",), ("5665001",), (2, 6), (300, 420), _pair)),
    "gait": (None, Course(("neuro",), ("61685007",), (2, 3), (30, 60), _gait)),
    "hand": ("hand", Course(("emerg", "ortho"), ("85562004",), (2, 3), (7, 30), _single)),
    "heart": (None, Course(("cardio",), ("80891009",), (2, 4), (150, 380), _heart)),
    "lesion": ("lesion", Course(("derm", "plastic"), SKIN_SITES, (1, 4), (60, 200), _lesion)),
    "rash": ("rash", Course(("derm",), SKIN_SITES, (2, 4), (25, 80), _surface)),
    "ulcer": ("ulcer", Course(("wound", "derm"), ("30021000", "56459004"), (2, 7), (7, 21), _surface)),
    "ultrasound": ("ultrasound", Course(("gyn",), ("35039007",), (1, 3), (50, 90), _single)),
}  # fmt: skip


def workday(at: datetime, rng: Random) -> datetime:
    """A working hour on or after the day."""
    while at.weekday() >= 5:
        at += timedelta(days=1)
    return at.replace(hour=rng.randint(8, 15), minute=rng.choice(range(0, 60, 5)), second=rng.randint(0, 59))
