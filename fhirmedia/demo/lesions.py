"""Pigmented lesions, from the clinic camera and through the dermatoscope; a lesion keeps its shape as it grows."""

import numpy as np
from PIL import Image, ImageDraw

from fhirmedia.demo.canvas import (
    absorbed,
    blob,
    cells,
    clouds,
    colour,
    developed,
    fractal,
    generator,
    grid,
    mixed,
    relief,
    step,
    tiled,
)
from fhirmedia.demo.skin import DERMIS, TONES, add_hairs, add_ruler, exposed, lit, surface


def overview(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A mole on skin with a ruler. `stage` 0…1 is how far it has grown; `visit` changes only camera and light."""
    here, now = generator(seed, 1), generator(seed, 2, visit)
    skin = surface(seed, shape, tone=tone, coarse=int(here.integers(13, 25)))
    x, y = grid(shape)
    x = x - np.float32(here.uniform(-0.12, 0.12) + now.normal(0, 0.012))
    y = y - np.float32(here.uniform(-0.16, -0.04) + now.normal(0, 0.012))
    radius = 0.10 + 0.16 * stage
    turn, squeeze = here.uniform(0, 3.14), here.uniform(0.66, 0.9)
    u = np.float32(np.cos(turn) / radius) * x + np.float32(np.sin(turn) / radius) * y
    v = np.float32(np.cos(turn) / radius / squeeze) * y - np.float32(np.sin(turn) / radius / squeeze) * x
    edge = fractal(here, shape, cell=shape[1] / 16, octaves=4)
    tones = fractal(here, shape, cell=shape[1] / 14, octaves=5)
    distance = blob(here, u, v, ragged=0.16 + 0.34 * stage)
    distance += 0.16 * edge
    inside = 1 - step(1.0, distance, 0.16 + 0.05 * (1 - stage))
    skin.melanin += inside * np.maximum(0.62 + 0.75 * stage + (0.30 + 0.85 * stage) * tones, 0.12)
    halo = np.exp(-(((distance - 1.12) * 5) ** 2))
    skin.haemoglobin += np.float32(0.16 * (stage + 0.25)) * halo + 0.22 * inside * step(0.35, -tones, 0.3)
    skin.height += inside * (1.6 + 1.5 * edge + 0.8 * tones)
    photo = developed(exposed(lit(skin, now), now))
    add_hairs(photo, here, count=int(here.integers(6, 60)), length=float(here.uniform(60, 150)), dark=0.9)
    add_ruler(
        photo,
        px_per_mm=shape[1] / 38,
        centre=(shape[1] * (0.5 + now.normal(0, 0.02)), shape[0] * (0.885 + now.normal(0, 0.012))),
        angle=float(now.normal(0, 3)),
    )
    return photo


def dermoscopy(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """The same lesion under polarised light: pigment network, globules, structureless areas, gel bubbles, scale."""
    here, now = generator(seed, 3), generator(seed, 4, visit)
    x, y = grid(shape)
    x = x - np.float32(now.normal(0, 0.02))
    y = y - np.float32(now.normal(0, 0.02))
    radius, squeeze = 0.27 + 0.22 * stage, here.uniform(0.72, 0.95)
    noise = fractal(here, shape, cell=shape[1] / 9, octaves=5)
    tones = fractal(here, shape, cell=shape[1] / 6, octaves=4)
    distance = blob(here, x / np.float32(radius), y / np.float32(radius * squeeze), ragged=0.12 + 0.30 * stage)
    distance += 0.13 * noise
    inside = 1 - step(1.0, distance, 0.22 - 0.10 * stage)

    border, centre = cells(7, 760, 19)
    mesh = tiled(np.exp(-((border * 4.2) ** 2)), shape, here)
    dots = tiled(np.exp(-((centre * 4.4) ** 2)), shape, here) * step(0.2, clouds(here, shape, 150), 0.25)
    fade = np.clip(1.25 - distance * 0.55 + 0.5 * tones, 0, 1.3)
    plain = step(0.30 - 0.45 * stage, tones, 0.25)
    pigment = 0.26 + 0.34 * stage + (0.12 + 0.30 * stage) * noise + 0.62 * mesh * fade * (1 - 0.75 * plain)
    pigment += 0.95 * dots * step(0.15, -tones, 0.3) + np.float32(0.9 * stage) * plain * step(0.0, noise, 0.4)
    melanin = np.float32(0.55 * TONES[tone] + 0.05) * (1 + 0.25 * clouds(here, shape, 90)) + inside * pigment
    haemoglobin = 0.24 + 0.06 * clouds(here, shape, 130) + 0.10 * inside * (1 - plain)
    picture = absorbed(DERMIS, melanin=np.maximum(melanin, 0.02), haemoglobin=haemoglobin)
    if stage > 0.45:
        veil = inside * step(0.25, -noise, 0.3) * np.float32(0.62 * (stage - 0.3))
        picture = mixed(picture, colour(0.46, 0.53, 0.66) * (0.75 + 0.25 * mesh), veil)
    picture *= relief(noise * 2 - mesh, 0.035)
    photo = developed(exposed(picture, now, vignette=0.16, noise=0.006))
    add_hairs(photo, here, count=int(here.integers(3, 12)), length=420, dark=0.5)
    _add_bubbles(photo, now)
    _add_eyepiece(photo)
    return photo


def _add_bubbles(photo: Image.Image, rng: np.random.Generator) -> None:
    """Air caught in the contact gel: thin bright rings with a dark edge and a glint."""
    bright, dark = Image.new("L", photo.size, 0), Image.new("L", photo.size, 0)
    light_pen, dark_pen = ImageDraw.Draw(bright), ImageDraw.Draw(dark)
    for _ in range(int(rng.integers(4, 16))):
        x, y, r = rng.uniform(0, photo.width), rng.uniform(0, photo.height), rng.gamma(2.0, 7.0) + 4
        dark_pen.ellipse([x - r, y - r, x + r, y + r], outline=90, width=3)
        light_pen.ellipse([x - r + 2, y - r + 2, x + r - 2, y + r - 2], outline=100, width=1)
        light_pen.ellipse([x - r * 0.5, y - r * 0.55, x - r * 0.2, y - r * 0.25], fill=190)
    photo.paste((0, 0, 0), (0, 0), dark)
    photo.paste((255, 255, 255), (0, 0), bright)


def _add_eyepiece(photo: Image.Image) -> None:
    """The round field of the contact plate, with its millimetre scale along the lower edge."""
    x, y = grid((photo.height, photo.width))
    field = step(0.735, np.hypot(x, y), 0.008)
    photo.paste((4, 4, 5), (0, 0), Image.fromarray((field * 255).astype(np.uint8)))
    pen = ImageDraw.Draw(photo)
    base, pitch = int(photo.height * 0.90), photo.width / 40
    for tick in range(-9, 10):
        at = photo.width / 2 + tick * pitch
        pen.line([(at, base - (26 if tick % 5 == 0 else 14)), (at, base)], fill=(25, 20, 18), width=2)
    pen.line([(photo.width / 2 - 9 * pitch, base), (photo.width / 2 + 9 * pitch, base)], fill=(25, 20, 18), width=2)
