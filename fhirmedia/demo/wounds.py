"""Skin that is broken or inflamed: ulcers that heal, burns, rashes; each from beginning (stage 0) to end (stage 1)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fhirmedia.demo.canvas import (
    Field,
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
from fhirmedia.demo.skin import add_hairs, add_ruler, exposed, lit, surface

GRANULATION = colour(0.70, 0.13, 0.11)
SLOUGH = colour(0.83, 0.72, 0.42)
NECROSIS = colour(0.10, 0.075, 0.06)
EPITHELIUM = colour(0.93, 0.72, 0.68)
DRAPES = (colour(0.16, 0.40, 0.47), colour(0.20, 0.44, 0.33), colour(0.30, 0.46, 0.62))


def ulcer(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A leg ulcer on its limb, healing with the stage: black and yellow give way to red, then to new skin."""
    here, now = generator(seed, 21), generator(seed, 22, visit)
    skin = surface(seed, shape, tone=tone, coarse=14)
    x, y = grid(shape)
    x = x - np.float32(now.normal(0, 0.015))
    y = y - np.float32(now.normal(0, 0.015))
    limb = _limb(here, x, y)
    size = 0.10 + 0.24 * (1 - stage) * here.uniform(0.8, 1.1)
    lean = here.uniform(0.65, 1.35)
    edge = fractal(here, shape, cell=shape[1] / 14, octaves=5)
    tissue = fractal(here, shape, cell=shape[1] / 9, octaves=5)
    distance = blob(here, x / np.float32(size * lean), (y + np.float32(0.07)) / np.float32(size), ragged=0.34)
    distance += 0.10 * edge
    inside = 1 - step(1.0, distance, 0.05)

    halo = np.exp(-np.maximum(distance - 0.9, 0) * 2.3)
    skin.haemoglobin += np.float32(0.42 * (1 - 0.75 * stage)) * halo * (0.8 + 0.4 * tissue)
    skin.melanin += np.float32(0.20) * halo * step(0.0, edge, 0.5)
    skin.height += -3.2 * inside + 1.3 * np.exp(-(((distance - 1.07) * 8) ** 2))
    picture = lit(skin, now, bumps=0.09)

    rows, columns = _frame(distance < 1.5)
    window = picture[:, rows, columns]
    bed = _bed(here, tissue[rows, columns], edge[rows, columns], stage=stage)
    window[:] = mixed(window, bed, inside[rows, columns])
    rim = np.exp(-(((distance[rows, columns] - 0.97) * (7 - 3 * stage)) ** 2)) * np.float32(0.36 + 0.32 * stage)
    window[:] = mixed(window, EPITHELIUM * np.float32(1 - 0.09 * tone), rim)
    scale = step(0.55, fractal(here, shape, cell=shape[1] / 40, octaves=4), 0.2) * step(1.1, distance, 0.1) * halo
    picture = mixed(picture, colour(0.92, 0.86, 0.76), 0.55 * scale)
    picture = _draped(picture, limb, here)
    photo = developed(exposed(picture, now, vignette=0.22))
    add_hairs(photo, here, count=int(here.integers(0, 9)), length=60, dark=1.0)
    add_ruler(
        photo,
        px_per_mm=shape[1] / 96,
        centre=(shape[1] * (0.5 + now.normal(0, 0.03)), shape[0] * (0.83 + now.normal(0, 0.01))),
        angle=float(now.normal(0, 4)),
    )
    return photo


def burn(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A partial-thickness burn: wet red and pale areas with blisters, later dry, pink and flat."""
    here, now = generator(seed, 31), generator(seed, 32, visit)
    skin = surface(seed, shape, tone=tone, coarse=14)
    x, y = grid(shape)
    x, y = x - np.float32(now.normal(0, 0.02)), y - np.float32(now.normal(0, 0.02))
    limb = _limb(here, x, y)
    edge = fractal(here, shape, cell=shape[1] / 8, octaves=6)
    depth = fractal(here, shape, cell=shape[1] / 5, octaves=5)
    distance = blob(here, x / np.float32(here.uniform(0.42, 0.6)), y / np.float32(0.40), ragged=0.4) + 0.28 * edge
    inside = 1 - step(1.0, distance, 0.10)
    fresh = np.float32(1 - stage)
    skin.haemoglobin += inside * (0.30 + 0.75 * fresh * (0.75 + 0.5 * depth)) + 0.30 * fresh * np.exp(
        -np.maximum(distance - 1, 0) * 3
    )
    skin.melanin *= 1 - 0.75 * fresh * inside
    blisters = step(0.42, clouds(here, shape, shape[1] / 11) + 0.25 * edge, 0.10) * inside * np.float32(fresh > 0.3)
    skin.height += 5.5 * blisters + 0.8 * inside * depth
    skin.wet = np.clip(inside * fresh * 0.9 + 0.8 * blisters, 0, 1)
    picture = lit(skin, now, bumps=0.16)
    pale = inside * step(0.38, depth, 0.2) * fresh
    picture = mixed(picture, colour(0.93, 0.80, 0.70), 0.65 * pale)
    crust = inside * step(0.5, -depth, 0.15) * np.float32(np.sin(stage * 3.14)) * 0.75
    picture = mixed(picture, colour(0.34, 0.17, 0.10) * relief(edge * 6, 0.12), crust)
    return developed(exposed(_draped(picture, limb, here), now, vignette=0.2))


def rash(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """Scaling plaques scattered over skin, paler and flatter as treatment works."""
    here, now = generator(seed, 41), generator(seed, 42, visit)
    skin = surface(seed, shape, tone=tone, coarse=14)
    field = fractal(here, shape, cell=shape[1] / float(here.uniform(5, 10)), octaves=5)
    fine = fractal(here, shape, cell=shape[1] / 60, octaves=4)
    threshold = float(here.uniform(0.10, 0.30)) + 0.22 * stage
    plaque = step(threshold, field, 0.06)
    active = np.float32(1 - 0.7 * stage)
    skin.haemoglobin += plaque * active * (0.50 + 0.22 * fine)
    skin.melanin += plaque * np.float32(0.05 + 0.08 * tone)
    skin.height += plaque * active * (2.6 + 1.8 * fine)
    picture = lit(skin, now, bumps=0.11)
    scale = step(threshold + 0.16, field, 0.12) * step(0.05, fine, 0.4) * active
    flakes = relief(fine * 4, 0.16)
    picture = mixed(picture, colour(0.95, 0.90, 0.86) * flakes, 0.72 * scale)
    photo = developed(exposed(picture, now))
    add_hairs(photo, here, count=int(here.integers(0, 45)), length=80, dark=1.0)
    return photo


def _limb(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Across the limb: 0 on its axis, 1 where its edge is. It lies from left to right and tapers."""
    axis = np.float32(rng.uniform(-0.05, 0.03)) + np.float32(rng.uniform(-0.10, 0.10)) * x
    half = np.float32(rng.uniform(0.56, 0.66)) + np.float32(rng.uniform(-0.12, 0.12)) * x
    parts: Field = np.abs(y - axis) / half
    return parts


def _draped(picture: Field, limb: Field, rng: np.random.Generator) -> Field:
    """The limb as a round body upon a woven drape."""
    shape = (picture.shape[1], picture.shape[2])
    round_shade = np.sqrt(np.clip(1.02 - np.minimum(limb, 1) ** 2, 0.06, 1)) ** np.float32(0.6)
    cloth = DRAPES[int(rng.integers(len(DRAPES)))]
    folds = fractal(rng, shape, cell=shape[1] / 5, octaves=3)
    weave = (
        np.sin(np.arange(shape[1], dtype=np.float32) * 2.1)[None, :]
        * np.sin(np.arange(shape[0], dtype=np.float32) * 2.1)[:, None]
    )
    shadow = 1 - 0.6 * np.exp(-np.maximum(limb - 1, 0) * 16)
    drape = cloth * (relief(folds, 5.0) * shadow * (0.95 + 0.05 * weave))
    return mixed(picture * round_shade, drape, step(1.0, limb, 0.012))


def _frame(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest window that holds the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _bed(rng: np.random.Generator, tissue: Field, edge: Field, *, stage: float) -> Field:
    """The floor of the wound: wet cobbled granulation, fibrin, dead tissue."""
    shape = (tissue.shape[0], tissue.shape[1])
    _, centre = cells(3, 480, 16)
    cobble = tiled(1 - centre, shape, rng)
    wet = fractal(rng, shape, cell=16, octaves=4)
    bed = GRANULATION * (0.78 + 0.30 * cobble + 0.22 * wet)
    slough = step(-0.35 + 1.25 * stage, tissue, 0.16)
    bed = mixed(bed, SLOUGH * (0.86 + 0.18 * wet), slough * np.float32(0.85))
    dead = step(0.10 + 1.9 * stage, tissue + 0.3 * edge, 0.10)
    bed = mixed(bed, NECROSIS * (1 + 0.5 * wet), dead * np.float32(0.94))
    shade = relief(cobble * 1.1 + wet * 1.4 - dead * 1.5, 0.22)
    bed = bed * shade
    wet_bed: Field = bed + np.float32(0.8) * np.clip((shade - 1.16) * 3.2, 0, 1) ** 2
    return wet_bed
