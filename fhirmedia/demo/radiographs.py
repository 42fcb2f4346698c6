"""Pictures no camera takes: a hand in X-rays, an ultrasound sector, stained tissue under the microscope."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fhirmedia.demo.canvas import (
    Field,
    blob,
    blurred,
    cells,
    colour,
    developed,
    font,
    fractal,
    generator,
    grain,
    grid,
    mixed,
    resized,
    step,
    tiled,
)
from fhirmedia.demo.skin import exposed

FINGERS = (
    # root x, root y, direction in degrees, metacarpal and three phalanges in parts of the picture's height
    (0.335, 0.640, 139, (0.105, 0.085, 0.0, 0.062)),
    (0.425, 0.600, 104, (0.165, 0.105, 0.062, 0.048)),
    (0.488, 0.590, 91, (0.160, 0.118, 0.075, 0.050)),
    (0.545, 0.602, 79, (0.145, 0.108, 0.068, 0.050)),
    (0.597, 0.625, 64, (0.130, 0.085, 0.048, 0.044)),
)
CARPALS = (
    (0.445, 0.655, 0.028), (0.492, 0.645, 0.033), (0.535, 0.655, 0.030), (0.405, 0.675, 0.028),
    (0.440, 0.705, 0.034), (0.487, 0.700, 0.032), (0.532, 0.700, 0.028), (0.562, 0.690, 0.018),
)  # fmt: skip
FOREARM = (((0.455, 0.765), (0.440, 1.05), 0.060), ((0.552, 0.760), (0.565, 1.05), 0.038))


def hand(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A hand from the front, bones bright with denser rims; at stage 0 the fifth metacarpal is broken."""
    rng = generator(seed, 91)
    height, width = shape
    mirrored = seed % 2 == 1
    soft, dense, marrow = (Image.new("L", (width, height), 0) for _ in range(3))
    pens = tuple(ImageDraw.Draw(layer) for layer in (soft, dense, marrow))
    unit = height * rng.uniform(1.24, 1.32)
    left, top = width / 2 - unit * 0.48, -0.16 * height
    for finger, (x, y, degrees, lengths) in enumerate(FINGERS):
        heading = np.radians(degrees + rng.normal(0, 1.5))
        at = (left + x * unit, top + y * unit)
        for joint, length in enumerate(lengths):
            if length == 0:
                continue
            size = length * unit
            end = (at[0] + np.cos(heading) * size, at[1] - np.sin(heading) * size)
            thick = unit * (0.030, 0.024, 0.019, 0.015)[joint]
            broken = finger == 4 and joint == 0 and stage < 0.7
            kink = np.float32(0.22 * (1 - stage)) if broken else 0.0
            _bone(pens, at, end, thick=thick, flesh=unit * (0.085, 0.072, 0.062, 0.056)[joint], kink=float(kink))
            at = (end[0] + np.cos(heading) * unit * 0.008, end[1] - np.sin(heading) * unit * 0.008)
    for x, y, radius in CARPALS:
        _ball(pens, (left + x * unit, top + y * unit), radius * unit * rng.uniform(0.92, 1.06))
    for start, end, thick in FOREARM:
        _bone(
            pens, (left + start[0] * unit, top + start[1] * unit), (left + end[0] * unit, top + end[1] * unit),
            thick=thick * unit, flesh=0.19 * unit, kink=0.0,
        )  # fmt: skip
    pens[0].polygon(
        [(left + x * unit, top + y * unit) for x, y in
         ((0.30, 0.62), (0.38, 0.45), (0.49, 0.42), (0.61, 0.47), (0.66, 0.58), (0.62, 0.75), (0.40, 0.76))], fill=255,
    )  # fmt: skip
    flesh, bone, core = (
        np.asarray(layer.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32) / 255
        for layer, blur in ((soft, 16), (dense, 2.2), (marrow, 5))
    )
    trabeculae = fractal(rng, shape, cell=26, octaves=4)
    bone = bone * (0.92 + 0.10 * trabeculae) - 0.40 * core * (1 + 0.18 * trabeculae)
    plate = 0.035 + 0.31 * flesh * (1 + 0.12 * fractal(rng, shape, cell=140, octaves=3)) + 0.52 * np.clip(bone, 0, 1)
    plate = blurred(np.clip(plate, 0, 1), 0.8) + np.float32(0.016) * grain(rng, shape)
    photo = Image.fromarray((np.clip(plate, 0, 1) * 255).astype(np.uint8))
    if mirrored:
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pen = ImageDraw.Draw(photo)
    side, letters = "L" if mirrored else "R", font(44)
    pen.text((width * 0.9, height * 0.1), side, fill=235, font=letters, anchor="mm")
    return photo


def _bone(
    pens: tuple[ImageDraw.ImageDraw, ...], start: tuple[float, float], end: tuple[float, float],
    *, thick: float, flesh: float, kink: float,
) -> None:  # fmt: skip
    """A long bone: waisted shaft, knuckles, a hollow; `kink` bends it in the middle as a fracture does."""
    soft, dense, marrow = pens
    (x0, y0), (x1, y1) = start, end
    across = (-(y1 - y0) * kink, (x1 - x0) * kink)
    middle = ((x0 + x1) / 2 + across[0], (y0 + y1) / 2 + across[1])
    soft.line([start, middle, end], fill=255, width=int(flesh), joint="curve")
    for x, y in (start, end):
        soft.ellipse([x - flesh / 2, y - flesh / 2, x + flesh / 2, y + flesh / 2], fill=255)
    dense.line([start, middle], fill=255, width=max(2, int(thick)))
    dense.line([(middle[0] + across[0] * 0.16, middle[1] + across[1] * 0.16), end], fill=255, width=max(2, int(thick)))
    for (x, y), swell in ((start, 0.78), (end, 0.70)):
        r = thick * swell
        dense.ellipse([x - r, y - r * 0.92, x + r, y + r * 0.92], fill=255)
        marrow.ellipse([x - r * 0.72, y - r * 0.66, x + r * 0.72, y + r * 0.66], fill=150)
    marrow.line([start, middle, end], fill=255, width=max(1, int(thick * 0.52)))


def _ball(pens: tuple[ImageDraw.ImageDraw, ...], centre: tuple[float, float], radius: float) -> None:
    x, y = centre
    pens[1].ellipse([x - radius, y - radius * 0.9, x + radius, y + radius * 0.9], fill=255)
    pens[2].ellipse([x - radius * 0.74, y - radius * 0.66, x + radius * 0.74, y + radius * 0.66], fill=170)


def ultrasound(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A sector of speckle with two dark cavities and their bright walls, and the scanner's depth marks."""
    here, now = generator(seed, 101), generator(seed, 102, visit)
    x, y = grid(shape)
    top = y + np.float32(0.86)
    angle, depth = np.arctan2(x, top), np.hypot(x, top)
    fan = (1 - step(0.62, np.abs(angle), 0.006)) * step(0.20, depth, 0.006) * (1 - step(1.50, depth, 0.006))
    polar = (here.standard_normal((2, 300, 210), dtype=np.float32) ** 2).sum(axis=0)
    rows = np.clip((depth * 190).astype(np.intp), 0, 299)
    columns = np.clip(((angle + 0.7) * 150).astype(np.intp), 0, 209)
    speckle = np.sqrt(polar)[rows, columns] * 0.55
    tissue = 0.42 + 0.22 * fractal(here, shape, cell=shape[1] / 8, octaves=4)
    for cx, cy, r in ((-0.10, -0.03, 0.20 + 0.06 * (1 - stage)), (0.17, 0.14, 0.15 + 0.05 * stage)):
        across, down = x - np.float32(cx + now.normal(0, 0.01)), y - np.float32(cy)
        wall = blob(here, across / np.float32(r), down / np.float32(r * 1.25), ragged=0.22)
        tissue = tissue * (0.10 + 0.90 * step(1.0, wall, 0.10)) + 0.55 * np.exp(-(((wall - 1.07) * 9) ** 2))
    bright = tissue * speckle * (1.15 - 0.45 * depth) + 0.5 * np.exp(-(((depth - 0.22) * 40) ** 2))
    plate = blurred(np.clip(bright, 0, 1), 1.3) * fan * 1.25
    photo = Image.fromarray((np.clip(plate, 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(photo)
    small = font(15)
    for cm in range(1, 16):
        at = shape[0] * (0.08 + cm * 0.058)
        pen.line([(shape[1] - 46, at), (shape[1] - (58 if cm % 5 == 0 else 52), at)], fill=200, width=2)
        if cm % 5 == 0:
            pen.text((shape[1] - 40, at), str(cm), fill=200, font=small, anchor="lm")
    pen.text((28, 30), f"MI 0.{6 + seed % 4}  TIs 0.{3 + seed % 5}   {28 + seed % 9} Hz", fill=190, font=small)
    for level in range(100):
        pen.line([(30, 190 + level), (44, 190 + level)], fill=int(255 * (1 - level / 100)))
    return photo


def histology(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """Skin in haematoxylin and eosin: keratin above, crowded epidermis, pale dermis; nests where the stage is high."""
    here = generator(seed, 111)
    x, y = grid(shape)
    noise = fractal(here, shape, cell=shape[1] / 7, octaves=5)
    fibre = fractal(here, (shape[0], shape[1] // 5), cell=18, octaves=4)
    fibre = resized(fibre, shape[0], shape[1])
    surface = y + 0.44 + 0.06 * noise
    junction = surface - 0.26 - 0.13 * np.sin(x * np.float32(here.uniform(9, 14)) + 3 * noise)
    above = 1 - step(0.0, surface, 0.006)
    keratin = step(0.0, surface, 0.006) * (1 - step(0.055, surface, 0.02))
    epidermis = step(0.05, surface, 0.02) * (1 - step(0.0, junction, 0.02))
    dermis = step(0.0, junction, 0.02)
    picture: Field = colour(0.955, 0.945, 0.955) * np.ones_like(noise)
    picture = mixed(picture, colour(0.93, 0.60, 0.74) * (0.93 + 0.10 * np.sin(surface * 260 + 5 * noise)), keratin)
    picture = mixed(picture, colour(0.84, 0.58, 0.78) * (0.97 + 0.06 * noise), epidermis)
    strands = step(0.05, fibre, 0.35)
    picture = mixed(picture, mixed(colour(0.97, 0.86, 0.91), colour(0.91, 0.62, 0.75), strands), dermis)
    nests = step(0.45 - 0.35 * stage, fractal(here, shape, cell=shape[1] / 9, octaves=3), 0.06) * dermis
    crowded = np.maximum(epidermis, nests * step(0.1, noise + stage, 0.2))
    for size, zone, sharp in ((18, crowded, 3.0), (44, dermis * (1 - nests), 6.0)):
        _, centre = cells(size, 24 * size, size)
        nuclei = tiled(np.exp(-((centre * sharp) ** 4)), shape, here)
        picture = mixed(picture, colour(0.33, 0.20, 0.52) * (0.9 + 0.25 * noise), nuclei * zone * np.float32(0.84))
    picture = mixed(picture, colour(0.955, 0.945, 0.955) * np.ones_like(noise), above)
    return developed(exposed(picture, here, vignette=0.10, noise=0.006))
