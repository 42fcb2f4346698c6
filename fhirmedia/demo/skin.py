"""Human skin: pigment, microrelief, hairs and light, and the paper ruler a photographer lays beside a finding."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fhirmedia.demo.canvas import (
    Field,
    absorbed,
    cells,
    clouds,
    colour,
    font,
    fractal,
    generator,
    grain,
    grid,
    relief,
    step,
    tiled,
)

DERMIS = colour(0.98, 0.87, 0.79)
TONES = (0.07, 0.13, 0.22, 0.36, 0.60, 0.90)
"""Melanin of the six Fitzpatrick types, lightest first."""


@dataclass(slots=True)
class Surface:
    """A patch of skin while it is painted: pigments and height a pixel, and how wet it shines (0…1)."""

    melanin: Field
    haemoglobin: Field
    height: Field
    wet: Field | None = None


def surface(seed: int, shape: tuple[int, int], *, tone: int, coarse: int = 19) -> Surface:
    """Bare skin of one person and place; `coarse` is the width in pixels of one field between two furrows."""
    coarse = min((14, 19, 24), key=lambda width: abs(width - coarse))
    bare = _bare(seed, shape, tone, coarse)
    return Surface(melanin=bare.melanin.copy(), haemoglobin=bare.haemoglobin.copy(), height=bare.height.copy())


@lru_cache(maxsize=3)
def _bare(seed: int, shape: tuple[int, int], tone: int, coarse: int) -> Surface:
    """The same skin returns at every visit. Only read it."""
    rng = generator(seed, 11)
    furrow_tile, pore_tile = _microrelief(coarse)
    furrow = tiled(furrow_tile, shape, rng)
    pore = tiled(pore_tile, shape, rng) * step(0.25, clouds(rng, shape, coarse * 2.1), 0.2)
    blotch = fractal(rng, shape, cell=shape[1] / 4, octaves=4)
    flush = fractal(rng, shape, cell=shape[1] / 3, octaves=5)
    freckles = step(0.8, clouds(rng, shape, coarse * 0.8), 0.25) * np.float32(0.16 * rng.random())
    melanin = np.float32(TONES[tone]) * (1 + 0.16 * blotch + 0.10 * furrow) + 0.05 * pore + freckles
    haemoglobin = 0.16 + 0.05 * flush + 0.05 * furrow + 0.05 * pore
    height = clouds(rng, shape, coarse * 0.35)
    height *= 0.35
    height += 0.5 * blotch
    height -= 0.55 * furrow
    height -= 0.5 * pore
    return Surface(melanin=melanin, haemoglobin=haemoglobin, height=height)


@lru_cache(maxsize=3)
def _microrelief(coarse: int) -> tuple[Field, Field]:
    """Tiles of furrows and of pores in the middle of the fields they enclose."""
    border, centre = cells(coarse, 24 * coarse, coarse)
    return np.exp(-border * 7), np.exp(-((centre * 6) ** 2))


def lit(skin: Surface, rng: np.random.Generator, *, bumps: float = 0.10, below: Field = DERMIS) -> Field:
    """The surface as RGB under one lamp beside the camera."""
    light = (float(rng.uniform(-0.9, -0.4)), float(rng.uniform(-0.9, -0.4)))
    picture = absorbed(below, melanin=np.maximum(skin.melanin, 0.02), haemoglobin=np.maximum(skin.haemoglobin, 0.02))
    shade = relief(skin.height, bumps, light=light)
    picture *= shade
    shade -= 1
    shade *= 6
    np.clip(shade, 0, 1, out=shade)
    shade *= shade
    if skin.wet is not None:
        shade *= 0.05 + 0.75 * skin.wet
        picture += shade
    else:
        picture += np.float32(0.05) * shade
    return picture


def exposed(picture: Field, rng: np.random.Generator, *, vignette: float = 0.30, noise: float = 0.008) -> Field:
    """What a camera makes of the scene: uneven light, darker corners, a white balance of its own, sensor noise."""
    _, height, width = picture.shape
    x, y = grid((height, width))
    across, down = rng.uniform(-0.09, 0.09, 2).astype(np.float32)
    exposure = np.float32(rng.uniform(0.94, 1.05))
    light = (1 + across * x + down * y) * (1 - np.float32(vignette) * (x * x + y * y)) * exposure
    picture *= light
    picture *= 1 + rng.uniform(-0.025, 0.025, (3, 1, 1)).astype(np.float32)
    picture += np.float32(noise) * grain(rng, (height, width))
    return picture


def add_hairs(photo: Image.Image, rng: np.random.Generator, *, count: int, length: float, dark: float) -> None:
    """Fine hairs lying roughly one way, each with its soft shadow; `length` in pixels, `dark` 0 is black."""
    layer = Image.new("L", photo.size, 0)
    pen = ImageDraw.Draw(layer)
    lie = rng.uniform(0, 6.283)
    for _ in range(count):
        x, y = rng.uniform(0, photo.width), rng.uniform(0, photo.height)
        heading, bend = lie + rng.normal(0, 0.35), rng.normal(0, 0.02)
        points = [(x, y)]
        for _ in range(14):
            x, y = x + np.cos(heading) * length / 14, y + np.sin(heading) * length / 14
            heading += bend
            points.append((x, y))
        pen.line(points[:10], fill=int(rng.uniform(130, 220)), width=2)
        pen.line(points[9:], fill=int(rng.uniform(70, 130)), width=1)
    soft = layer.filter(ImageFilter.BoxBlur(0.6))
    photo.paste((60, 30, 20), (3, 4), soft.point(lambda value: value // 6))
    photo.paste((int(70 * dark), int(50 * dark), int(38 * dark)), (0, 0), soft)


def add_ruler(
    photo: Image.Image, *, px_per_mm: float, centre: tuple[float, float], angle: float, light: float = 0.9
) -> None:
    """A paper ruler of 60 mm with its shadow, its middle at `centre` (pixels), turned by `angle` degrees."""
    long, tall = int(px_per_mm * 64), int(px_per_mm * 8.5)
    ink, red = (28, 28, 34, 255), (140, 30, 30, 255)
    paper = Image.new("RGBA", (long, tall), (int(247 * light), int(244 * light), int(234 * light), 255))
    pen = ImageDraw.Draw(paper)
    letters = font(max(11, int(px_per_mm * 2.6)))
    for mm in range(61):
        x = int((mm + 2) * px_per_mm)
        depth = 0.46 if mm % 10 == 0 else 0.34 if mm % 5 == 0 else 0.22
        pen.line([(x, 0), (x, int(tall * depth))], fill=ink, width=max(1, int(px_per_mm / 6)))
        if mm % 10 == 0:
            pen.text((x, int(tall * 0.72)), str(mm // 10), fill=ink, font=letters, anchor="mm")
    pen.text((int(px_per_mm * 57), int(tall * 0.72)), "cm", fill=red, font=letters, anchor="mm")
    turned = paper.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    corner = (int(centre[0] - turned.width / 2), int(centre[1] - turned.height / 2))
    cover = turned.getchannel("A")
    wide = Image.new("L", (cover.width + 24, cover.height + 24), 0)
    wide.paste(cover.point(lambda value: value * 2 // 5), (12, 12))
    photo.paste((30, 15, 10), (corner[0] - 7, corner[1] - 6), wide.filter(ImageFilter.BoxBlur(5)))
    photo.paste(turned, corner, turned)
