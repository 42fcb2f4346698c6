"""From a scene to the JPEG a camera would have stored: framing of each take, orientation, date and maker in EXIF."""

import io
from datetime import datetime
from functools import lru_cache
from typing import Protocol

import numpy as np
from PIL import Image

from fhirmedia.demo import lesions, organs, radiographs, wounds
from fhirmedia.demo.canvas import generator
from fhirmedia.demo.works import PHOTO_HEIGHT_PX, PHOTO_WIDTH_PX, Camera, Photograph, Scene, SceneName

QUALITY = 85
PAINTED_PX = (600, 800)
"""Height and width at which a scene is painted, before the lens makes it as large as the photograph."""


class Painter(Protocol):
    """Paints one scene; the same arguments give the same pixels."""

    def __call__(self, seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image: ...


SCENES: dict[SceneName, Painter] = {
    "bowel": organs.bowel,
    "burn": wounds.burn,
    "dermoscopy": lesions.dermoscopy,
    "ear-drum": organs.ear_drum,
    "eye": organs.eye,
    "fundus": organs.fundus,
    "hand": radiographs.hand,
    "histology": radiographs.histology,
    "lesion": lesions.overview,
    "rash": wounds.rash,
    "ulcer": wounds.ulcer,
    "ultrasound": radiographs.ultrasound,
}
HAND_HELD = frozenset({"burn", "histology", "lesion", "rash", "ulcer"})
"""Scenes that fill the frame, so that the next take may be nearer and a little askew."""


def photograph(work: Photograph) -> bytes:
    """The photograph as JPEG without EXIF; its pixels are stored turned where the work says so."""
    photo = _painted(work.scene)
    if work.take:
        photo = _another_take(photo, work)
    if work.turned:
        photo = photo.transpose(Image.Transpose.ROTATE_90)
    target = io.BytesIO()
    photo.save(target, "JPEG", quality=QUALITY)
    return target.getvalue()


def stamped(jpeg: bytes, *, taken: datetime, camera: Camera, turned: bool) -> bytes:
    """The same picture with an EXIF segment (CIPA DC-008): orientation, maker, model and the moment of capture."""
    exif = Image.Exif()
    exif[0x010E] = "Synthetic demonstration image, no living person"
    exif[0x010F], exif[0x0110] = camera.maker, camera.model
    exif[0x0112] = 6 if turned else 1
    exif[0x0132] = f"{taken:%Y:%m:%d %H:%M:%S}"
    detail = exif.get_ifd(0x8769)
    detail[0x9003] = f"{taken:%Y:%m:%d %H:%M:%S}"
    offset = f"{taken:%z}"
    if offset:
        detail[0x9011] = f"{offset[:3]}:{offset[3:]}"
    segment = exif.tobytes()
    if not segment.startswith(b"Exif\0\0"):
        segment = b"Exif\0\0" + segment
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + jpeg[2:]


@lru_cache(maxsize=2)
def _painted(scene: Scene) -> Image.Image:
    photo = SCENES[scene.name](scene.seed, tone=scene.tone, stage=scene.stage, visit=scene.visit, shape=PAINTED_PX)
    return photo.resize((PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX), Image.Resampling.BICUBIC)


def _another_take(photo: Image.Image, work: Photograph) -> Image.Image:
    """The scene again: nearer and askew where the camera is held by hand, else only brighter, darker, shifted."""
    rng = generator(work.scene.seed, work.scene.visit, work.take, 7)
    across, down = rng.uniform(-1, 1, 2)
    zoom, turn, reach = 1.0, 0.0, 0.018
    if work.scene.name in HAND_HELD:
        zoom, turn, reach = rng.uniform(1.18, 1.5), rng.uniform(-0.08, 0.08), 0.05
    right, up = np.cos(turn) / zoom, np.sin(turn) / zoom
    x = PHOTO_WIDTH_PX * (0.5 + reach * across)
    y = PHOTO_HEIGHT_PX * (0.5 + reach * down)
    corner_x = x - right * PHOTO_WIDTH_PX / 2 - up * PHOTO_HEIGHT_PX / 2
    corner_y = y + up * PHOTO_WIDTH_PX / 2 - right * PHOTO_HEIGHT_PX / 2
    place = (right, up, corner_x, -up, right, corner_y)
    photo = photo.transform(photo.size, Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)
    brightness = float(rng.uniform(0.93, 1.07))
    return photo.point(lambda value: value * brightness)
