"""Looks into the body: the back of the eye, its front, the ear drum, the bowel; as the instruments frame them."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fhirmedia.demo.canvas import (
    Field,
    clouds,
    colour,
    developed,
    fractal,
    generator,
    grid,
    mixed,
    planes,
    relief,
    step,
)
from fhirmedia.demo.skin import exposed


def fundus(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A colour fundus photograph of a right (even seed) or left eye; the stage adds bleedings and exudates."""
    here, now = generator(seed, 51), generator(seed, 52, visit)
    x, y = grid(shape)
    side = 1 if seed % 2 == 0 else -1
    disc_x, disc_y = side * 0.27, float(here.uniform(-0.03, 0.03))
    choroid = fractal(here, shape, cell=shape[1] / 12, octaves=5)
    ground = colour(0.80, 0.36 - 0.025 * tone, 0.13) * (0.94 + 0.10 * choroid)
    macula = np.exp(-(((x + side * 0.18) / 0.13) ** 2 + ((y - 0.02) / 0.13) ** 2))
    ground = ground * (1 - colour(0.24, 0.36, 0.40) * macula)
    reach = np.hypot(x - disc_x, (y - disc_y) * np.float32(0.92))
    nerve = np.exp(-((reach / 0.22) ** 2)) * 0.18
    ground = ground + colour(0.30, 0.30, 0.12) * nerve
    photo = developed(ground)

    vessels = Image.new("L", photo.size, 0)
    arteries = Image.new("L", photo.size, 0)
    half = shape[1] / 2
    for pen_layer, offset, width in ((vessels, 0.0, 9.5), (arteries, 0.13, 6.0)):
        pen = ImageDraw.Draw(pen_layer)
        for up in (-1, 1):
            for toward, bend in ((-side, 0.036), (side, -0.012)):
                heading = np.arctan2(up * (0.95 + offset), toward * (0.55 if bend > 0 else 0.8))
                _branch(
                    pen, here, (shape[1] / 2 + disc_x * half, shape[0] / 2 + disc_y * half),
                    heading=float(heading), width=width * (1 if bend > 0 else 0.7), bend=-up * toward * bend, depth=0,
                )  # fmt: skip
    photo.paste((112, 22, 14), (0, 0), vessels.filter(ImageFilter.GaussianBlur(0.9)).point(lambda v: v * 200 // 255))
    photo.paste((160, 48, 22), (0, 0), arteries.filter(ImageFilter.GaussianBlur(0.9)).point(lambda v: v * 190 // 255))
    _add_disc(photo, here, (shape[1] / 2 + disc_x * half, shape[0] / 2 + disc_y * half), half)
    _add_retinopathy(photo, here, stage)
    picture = planes(photo)
    picture += colour(0.10, 0.07, 0.02) * step(0.5, clouds(now, shape, shape[1] / 3), 0.6)
    radius = np.hypot(x, y)
    picture *= (1 - 0.45 * radius * radius) * (1 - step(0.715, radius, 0.006))
    return developed(exposed(picture, now, vignette=0.05, noise=0.010))


def _branch(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, start: tuple[float, float],
    *, heading: float, width: float, bend: float, depth: int,
) -> None:  # fmt: skip
    """A vessel that winds, thins out and gives off branches."""
    x, y = start
    for _ in range(int(rng.integers(26, 44)) if depth == 0 else int(rng.integers(9, 20))):
        heading += bend + rng.normal(0, 0.075)
        nx, ny = x + np.cos(heading) * 15, y + np.sin(heading) * 15
        pen.line([(x, y), (nx, ny)], fill=255, width=max(1, round(width)))
        if width > 2:
            pen.ellipse([nx - width / 2, ny - width / 2, nx + width / 2, ny + width / 2], fill=255)
        x, y = nx, ny
        width *= 0.965
        if width < 0.9:
            return
        if depth < 4 and rng.random() < 0.16:
            turn = float(rng.choice([-1, 1]) * rng.uniform(0.4, 0.9))
            _branch(pen, rng, (x, y), heading=heading + turn, width=width * 0.66, bend=-turn * 0.03, depth=depth + 1)


def _add_disc(photo: Image.Image, rng: np.random.Generator, centre: tuple[float, float], half: float) -> None:
    tall = half * rng.uniform(0.098, 0.112)
    for scale, fill, soft in ((1.06, (196, 120, 52), 5), (0.96, (242, 186, 104), 4), (0.52, (252, 226, 164), 6)):
        layer = Image.new("L", photo.size, 0)
        ImageDraw.Draw(layer).ellipse(
            [centre[0] - tall * 0.88 * scale, centre[1] - tall * scale, centre[0] + tall * 0.88 * scale,
             centre[1] + tall * scale], fill=205,
        )  # fmt: skip
        photo.paste(fill, (0, 0), layer.filter(ImageFilter.GaussianBlur(soft)))


def _add_retinopathy(photo: Image.Image, rng: np.random.Generator, stage: float) -> None:
    bleedings, exudates = Image.new("L", photo.size, 0), Image.new("L", photo.size, 0)
    red, yellow = ImageDraw.Draw(bleedings), ImageDraw.Draw(exudates)
    for _ in range(int(stage * rng.integers(25, 60))):
        x, y = rng.normal(photo.width / 2, photo.width / 7), rng.normal(photo.height / 2, photo.height / 6)
        r = rng.gamma(2.0, 2.2) + 1
        red.ellipse([x - r, y - r * rng.uniform(0.6, 1), x + r, y + r], fill=210)
    for _ in range(int(stage * rng.integers(1, 5))):
        cx, cy = rng.normal(photo.width / 2, photo.width / 9), rng.normal(photo.height / 2, photo.height / 9)
        for _ in range(int(rng.integers(8, 26))):
            x, y, r = rng.normal(cx, 28), rng.normal(cy, 24), rng.uniform(1.5, 5)
            yellow.ellipse([x - r, y - r, x + r, y + r], fill=225)
    photo.paste((104, 14, 12), (0, 0), bleedings.filter(ImageFilter.GaussianBlur(1.6)))
    photo.paste((248, 222, 132), (0, 0), exudates.filter(ImageFilter.GaussianBlur(1.1)))


def ear_drum(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A drum through the otoscope: inflamed and bulging at stage 0, pearly with its cone of light at stage 1."""
    here, now = generator(seed, 61), generator(seed, 62, visit)
    x, y = grid(shape)
    x, y = x - np.float32(now.normal(0, 0.02)), y - np.float32(now.normal(0, 0.02))
    noise = fractal(here, shape, cell=shape[1] / 10, octaves=5)
    fine = fractal(here, shape, cell=shape[1] / 50, octaves=3)
    side = 1 if seed % 2 == 0 else -1
    canal = colour(0.80, 0.50, 0.40) * (0.75 + 0.20 * noise + 0.10 * fine)
    distance = np.hypot(x / np.float32(0.50), y / np.float32(0.56)) + 0.05 * noise
    drum = 1 - step(1.0, distance, 0.05)
    ill = np.float32(1 - stage)
    membrane = colour(0.76, 0.70, 0.64) * (0.86 + 0.08 * noise + 0.05 * fine)
    angry = colour(0.80, 0.24, 0.17) * (0.80 + 0.24 * noise)
    membrane = mixed(membrane, angry, np.clip(ill * (0.95 + 0.5 * noise), 0, 1) * np.ones_like(distance))
    membrane = membrane * (1.05 - 0.25 * distance * distance)
    picture = mixed(canal * np.clip(1.35 - 0.62 * distance, 0.10, 1), membrane, drum)
    groove = np.exp(-(((distance - 1.0) * 14) ** 2))
    picture *= 1 - 0.45 * groove
    cone_x, cone_y = x - np.float32(side * 0.03), y - np.float32(0.07)
    angle = np.arctan2(cone_y, cone_x * side)
    reach = np.hypot(cone_x, cone_y)
    cone = np.exp(-(((angle - 0.95) / 0.20) ** 2)) * step(0.02, reach, 0.03) * (1 - step(0.34, reach, 0.06))
    picture = mixed(picture, colour(1.0, 0.97, 0.90), cone * drum * np.float32(0.80 * stage))
    photo = developed(picture)
    malleus = Image.new("L", photo.size, 0)
    pen = ImageDraw.Draw(malleus)
    cx, cy, half = photo.width / 2, photo.height / 2, photo.width / 2
    pen.line(
        [(cx - side * 0.14 * half, cy - 0.42 * half), (cx, cy + 0.05 * half)], fill=int(90 + 120 * stage), width=22
    )
    pen.ellipse([cx - 18, cy + 0.05 * half - 18, cx + 18, cy + 0.05 * half + 18], fill=int(90 + 120 * stage))
    knob = (cx - side * 0.14 * half, cy - 0.42 * half)
    pen.ellipse([knob[0] - 24, knob[1] - 20, knob[0] + 24, knob[1] + 20], fill=int(110 + 120 * stage))
    photo.paste((232, 204, 168), (0, 0), malleus.filter(ImageFilter.GaussianBlur(7)))
    vessels = Image.new("L", photo.size, 0)
    pen = ImageDraw.Draw(vessels)
    for start in here.uniform(0, 6.283, 16):
        at = (cx + np.cos(start) * half * 0.50, cy + np.sin(start) * half * 0.55)
        _branch(pen, here, at, heading=float(start + 3.14), width=2.6, bend=float(here.normal(0, 0.02)), depth=2)
    photo.paste((150, 26, 22), (0, 0), vessels.filter(ImageFilter.GaussianBlur(1)).point(lambda v: v * 120 // 255))
    picture = planes(photo)
    picture *= 1 - step(0.70, np.hypot(x, y), 0.03)
    return developed(exposed(picture, now, vignette=0.25, noise=0.009))


def eye(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """The front of an eye at the slit lamp; redness falls with the stage."""
    here, now = generator(seed, 71), generator(seed, 72, visit)
    x, y = grid(shape)
    noise = fractal(here, shape, cell=shape[1] / 8, octaves=5)
    iris_colour = [(0.28, 0.45, 0.60), (0.36, 0.42, 0.30), (0.40, 0.24, 0.12), (0.52, 0.58, 0.62)][
        int(here.integers(4))
    ]
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    fibres = np.zeros_like(radius)
    for count in (43, 71, 113):
        wave = np.float32(here.uniform(0, 6.283)) + 3 * noise * (0.5 + 0.5 * radius)
        fibres += np.sin(angle * count + wave) / 3
    iris = colour(*iris_colour) * (0.80 + 0.28 * fibres + 0.25 * noise)
    collar = np.exp(-(((radius - 0.19 - 0.012 * fibres) / 0.03) ** 2))
    iris = iris + colour(0.30, 0.20, 0.08) * (0.55 * collar)
    iris = iris * (1 - 0.7 * step(0.37, radius, 0.045))
    white = colour(0.93, 0.88, 0.84) * (0.98 + 0.05 * noise - 0.22 * np.maximum(radius - 0.45, 0))
    picture = mixed(white, iris, 1 - step(0.405, radius, 0.012))
    photo = developed(picture)
    vessels = Image.new("L", photo.size, 0)
    pen = ImageDraw.Draw(vessels)
    cx, cy, half = photo.width / 2, photo.height / 2, photo.width / 2
    for _ in range(int(16 + 52 * (1 - stage))):
        start, right = here.uniform(-0.75, 0.75), here.random() < 0.5
        at = (cx + (1 if right else -1) * np.cos(start) * half * 0.99, cy + np.sin(start) * half * 0.72)
        heading = (np.pi if right else 0.0) + start * (1 if right else -1)
        _branch(pen, here, at, heading=float(heading), width=float(here.uniform(1.4, 4.4)), bend=0.0, depth=1)
    keep = (255 * step(0.41, radius, 0.02)).astype(np.uint8)
    strength = 0.34 + 0.40 * (1 - stage)
    drawn = np.asarray(vessels.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    photo.paste((196, 30, 34), (0, 0), Image.fromarray((drawn * strength * (keep / 255)).astype(np.uint8)))
    picture = planes(photo)
    picture *= step(0.125, radius + 0.004 * fibres, 0.008)
    slit = np.exp(-(((x - 0.045 - 0.16 * y * y) / 0.022) ** 2)) * (1 - step(0.44, radius, 0.03))
    picture += colour(0.50, 0.52, 0.50) * slit
    glint = np.exp(-(((x + 0.10) / 0.028) ** 2 + ((y + 0.10) / 0.034) ** 2))
    picture += np.float32(1.1) * glint
    skin = colour(0.86 - 0.10 * tone, 0.64 - 0.095 * tone, 0.54 - 0.088 * tone) * relief(noise * 6, 0.05)
    upper = step(0.0, -(y + 0.47 - 0.30 * x * x + 0.015 * noise), 0.012)
    lower = step(0.0, y - 0.52 + 0.30 * x * x + 0.015 * noise, 0.012)
    picture *= 1 - 0.55 * np.exp(-np.maximum(y + 0.47 - 0.30 * x * x, 0) * 9)
    picture = mixed(picture, skin, np.maximum(upper, lower))
    photo = developed(exposed(picture, now, vignette=0.35, noise=0.009))
    pen = ImageDraw.Draw(photo)
    for at in np.linspace(-0.95, 0.95, 62):
        lid = -0.47 + 0.30 * at * at
        root = (cx + at * half, cy + lid * half)
        tip = (root[0] + at * 60 + here.normal(0, 8), root[1] + here.uniform(30, 70) - 95 * (abs(at) < 0.9))
        pen.line(
            [root, ((root[0] + tip[0]) / 2 + at * 14, (root[1] + tip[1]) / 2 + 8), tip], fill=(30, 22, 20), width=3
        )
    return photo


def bowel(seed: int, *, tone: int, stage: float, visit: int, shape: tuple[int, int]) -> Image.Image:
    """A colon through the endoscope: folds round a dark lumen, vessels, perhaps a polyp; calmer with the stage."""
    here, now = generator(seed, 81), generator(seed, 82, visit)
    x, y = grid(shape)
    x = x - np.float32(here.uniform(-0.12, 0.12) + now.normal(0, 0.03))
    y = y - np.float32(here.uniform(-0.10, 0.10) + now.normal(0, 0.03))
    noise = fractal(here, shape, cell=shape[1] / 6, octaves=5)
    fine = fractal(here, shape, cell=shape[1] / 42, octaves=4)
    reach = np.hypot(x, y) + 0.05 * noise + 0.02 * np.cos(3 * np.arctan2(y, x) + np.float32(here.uniform(0, 6)))
    depth = -np.log(np.maximum(reach, 0.02)) * 1.35 + 0.16 * noise + np.float32(here.uniform(0, 1))
    phase = depth - np.floor(depth)
    sharp = (1 - phase) ** 2 * step(0.03, phase, 0.03)
    shade = np.clip(reach * 1.25 + 0.05, 0, 1.0) ** 0.8 * (0.70 + 0.50 * sharp + 0.08 * fine)
    ill = 1 - stage
    wall = colour(0.93, 0.52 - 0.17 * ill, 0.40 - 0.16 * ill)
    picture = wall * shade * (1 + 0.10 * noise)
    blotch = step(0.35, fractal(here, shape, cell=shape[1] / 30, octaves=4), 0.2) * ill
    picture = mixed(picture, colour(0.70, 0.10, 0.08) * shade, 0.55 * blotch)
    if here.random() < 0.45:
        px, py, r = here.uniform(-0.4, 0.4), here.uniform(0.12, 0.36), here.uniform(0.09, 0.16)
        polyp = _from_point(x, y, px, py, r) + 0.22 * noise + 0.08 * fine
        dome = np.sqrt(np.clip(1 - polyp * polyp, 0, 1))
        flesh = colour(0.90, 0.42, 0.33) * (0.34 + 0.52 * dome * (1 - 0.5 * (x - px + y - py) / r) + 0.16 * fine)
        picture *= 1 - 0.5 * np.exp(-np.maximum(_from_point(x, y, px + 0.03, py + 0.04, r) - 0.9, 0) * 5)
        picture = mixed(picture, flesh, 1 - step(1.0, polyp, 0.05))
    wetness = relief(noise * 3 + fine * 1.2 + sharp * 0.9, 0.45)
    picture += np.float32(0.9) * np.clip((wetness - 1.13) * 3, 0, 1) ** 2 * np.clip(shade * 1.4, 0, 1)
    photo = developed(exposed(picture, now, vignette=0.25, noise=0.010))
    frame = Image.new("L", photo.size, 255)
    w, h = photo.size
    cut = h * 0.16
    ImageDraw.Draw(frame).polygon(
        [(w * 0.13 + cut, 8), (w * 0.87 - cut, 8), (w * 0.87, cut), (w * 0.87, h - cut), (w * 0.87 - cut, h - 8),
         (w * 0.13 + cut, h - 8), (w * 0.13, h - cut), (w * 0.13, cut)], fill=0,
    )  # fmt: skip
    photo.paste((6, 6, 8), (0, 0), frame)
    return photo


def _from_point(x: Field, y: Field, centre_x: float, centre_y: float, radius: float) -> Field:
    """Distance from a point in radii."""
    radii: Field = np.hypot(x - np.float32(centre_x), y - np.float32(centre_y)) / np.float32(radius)
    return radii
