"""What bytes are made of: a work says all there is about one photograph, film, sound, letter or stored file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX = 1024, 768
"""The size of photographs as displayed, that is after their orientation has been applied."""

FILM_WIDTH_PX, FILM_HEIGHT_PX, FILM_FRAMES_PER_S = 640, 360, 25
SOUND_RATE_HZ, SOUND_DURATION_S = 4000, 12

SceneName = Literal[
    "bowel", "burn", "dermoscopy", "ear-drum", "eye", "fundus", "hand", "histology", "lesion", "rash", "ulcer",
    "ultrasound",
]  # fmt: skip
Heart = Literal["normal", "systolic-murmur", "diastolic-murmur", "gallop", "split-second"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What stood before the camera: `stage` 0…1 is the course of the finding, `tone` 0…5 the skin, lightest first.

    The seed is the finding itself, `visit` the occasion: a scene of the same seed shows the same thing again.
    """

    name: SceneName
    seed: int
    tone: int = 1
    stage: float = 0.5
    visit: int = 0


@dataclass(frozen=True, slots=True)
class Photograph:
    """One exposure of a scene; `turned` means the camera was held upright (EXIF orientation 6)."""

    scene: Scene
    take: int = 0
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Film:
    """`limp` 0…1 is how uneven the walk is (0 for the other kind); the length is a whole number of seconds."""

    kind: Literal["gait", "colonoscopy"]
    seed: int
    limp: float = 0.0
    duration_s: int = 6


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording; `strength` 0…1 is how loud the murmur or third sound is."""

    heart: Heart
    seed: int
    beats_per_minute: int = 70
    strength: float = 0.5


@dataclass(frozen=True, slots=True)
class Letter:
    """One document, all of it text in the language of the unit; `sections` are (heading, paragraph), the
    heading perhaps empty.

    `synthetic` is the sentence at the foot that says that no living person is meant.
    """

    hospital: str
    unit: str
    title: str
    date: str
    patient: str
    number: str
    sections: tuple[tuple[str, str], ...]
    signature: str
    synthetic: str


@dataclass(frozen=True, slots=True)
class DicomFile:
    """One of the DICOM test files that come with pydicom, by its path in their folder; the bytes stay as they are."""

    path: str


Work: TypeAlias = Photograph | Film | Sound | Letter | DicomFile


@dataclass(frozen=True, slots=True)
class Camera:
    """A device as it signs its files."""

    maker: str
    model: str


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one item, made when called: a work and, for photographs, the capture they are stamped with.

    Many items may share a work; the stamp makes each photograph a file of its own.
    """

    work: Work
    taken: datetime | None = None
    camera: Camera | None = None

    def __call__(self) -> bytes:
        from fhirmedia.demo.workshop import finished, rendered

        return finished(self, rendered(self.work))
