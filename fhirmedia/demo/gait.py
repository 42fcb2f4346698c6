"""A person walking, seen from the side: joint angles over the gait cycle, drawn with a laboratory's markers."""

from collections.abc import Callable, Iterator
from math import atan2, cos, hypot, pi, radians, sin

import numpy as np
from PIL import Image, ImageDraw

from fhirmedia.demo.canvas import font, generator
from fhirmedia.demo.works import FILM_FRAMES_PER_S

Point = tuple[float, float]
Place = Callable[[Point], Point]
"""From pixels relative to the pelvis to a place on the sheet."""

SHIRTS = ((38, 78, 110), (118, 44, 52), (52, 92, 66), (86, 70, 110), (150, 112, 52))
SKINS = ((226, 182, 154), (206, 158, 128), (160, 112, 82), (112, 74, 52))
PALE = (226, 230, 232)
THIGH, SHANK, FOOT, TRUNK, UPPER_ARM, FOREARM = 62.0, 60.0, 33.0, 78.0, 42.0, 38.0


def walking(seed: int, *, limp: float, frames: int, size: tuple[int, int]) -> Iterator[Image.Image]:
    """Frames of one walk along the walkway, the camera moving along; `limp` 0…1 unloads the leg nearest the camera."""
    rng = generator(seed, 141)
    shirt = SHIRTS[int(rng.integers(len(SHIRTS)))]
    skin = SKINS[int(rng.integers(len(SKINS)))]
    room = _room(rng, size)
    caption = _caption(width=size[0])
    steps = round((1.06 + 0.55 * limp) * FILM_FRAMES_PER_S)
    poses = [_person(step / steps, limp=limp, shirt=shirt, skin=skin) for step in range(min(steps, frames))]
    stride_px = 168 * (1 - 0.42 * limp)
    speed = stride_px * FILM_FRAMES_PER_S / steps / 142
    width, height = size
    foot_y = height - 44
    shadow = Image.new("L", (150, 16), 0)
    ImageDraw.Draw(shadow).ellipse([0, 0, 149, 15], fill=90)
    for frame in range(frames):
        offset = int(stride_px * frame / steps) % width
        picture = room.crop((offset, 0, offset + width, height))
        person = poses[frame % steps]
        picture.paste((30, 30, 34), (width // 2 - 75, foot_y - 8), shadow)
        picture.paste(person, (width // 2 - person.width // 2, foot_y - person.height + 8), person)
        picture.paste(caption, (0, 0))
        clock = f"{speed:.2f} m/s   {frame / FILM_FRAMES_PER_S:05.2f} s"
        ImageDraw.Draw(picture).text((width - 10, 4), clock, fill=PALE, font=font(13), anchor="ra")
        yield picture


def hip(cycle: float, limp: float) -> float:
    """Flexion of the hip in degrees at a part 0…1 of the cycle, 0 being heel strike."""
    return 11 + (21 - 7 * limp) * cos(2 * pi * cycle) - 2.5 * cos(4 * pi * cycle)


def knee(cycle: float, limp: float) -> float:
    """Flexion of the knee in degrees: a small yield when loaded, a large bend in swing."""
    loading = 14 * (1 - 0.7 * limp) * np.exp(-(((cycle - 0.14) / 0.08) ** 2))
    swing = (60 - 30 * limp) * np.exp(-(((cycle - 0.73) / 0.115) ** 2))
    return float(4 + 7 * limp + loading + swing)


def ankle(cycle: float) -> float:
    """Dorsiflexion of the ankle in degrees; pushed off at about 0.62."""
    return float(2 + 9 * np.exp(-(((cycle - 0.42) / 0.13) ** 2)) - 20 * np.exp(-(((cycle - 0.63) / 0.07) ** 2)))


def _person(cycle: float, *, limp: float, shirt: tuple[int, int, int], skin: tuple[int, int, int]) -> Image.Image:
    """The walker as RGBA, feet on the lower edge; drawn twice as large and reduced."""
    scale = 2
    near = (cycle + limp * 0.10 * sin(2 * pi * cycle)) % 1
    far = (cycle + 0.5 - limp * 0.05 * sin(2 * pi * cycle)) % 1
    lean = 4 + 7 * limp * (0.5 + 0.5 * cos(2 * pi * (near - 0.22)))
    legs = {side: _leg(at, limp if side == "near" else 0.15 * limp) for side, at in (("near", near), ("far", far))}
    reach = max(point[1] for leg in legs.values() for point in leg)
    width, height = 190, 296
    pelvis = (width / 2 - 6, height - 10 - reach)
    canvas = Image.new("RGBA", (width * scale, height * scale), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)

    def at(point: Point) -> Point:
        return ((pelvis[0] + point[0]) * scale, (pelvis[1] + point[1]) * scale)

    trunk_top = (TRUNK * sin(radians(lean)), -TRUNK * cos(radians(lean)))
    swing = 26 * (1 - 0.45 * limp)
    arms = {"near": swing * cos(2 * pi * far), "far": swing * cos(2 * pi * near)}
    dim = tuple(int(value * 0.68) for value in skin)
    _draw_arm(pen, at, trunk_top, arms["far"], fill=dim, sleeve=tuple(int(v * 0.62) for v in shirt), scale=scale)
    _draw_leg(pen, at, legs["far"], fill=dim, shorts=(30, 32, 38), scale=scale)
    _limb(pen, at((2, 6)), at(trunk_top), 46 * scale, 40 * scale, shirt)
    neck = (trunk_top[0] + 3, trunk_top[1] - 14)
    _limb(pen, at(trunk_top), at(neck), 17 * scale, 15 * scale, skin)
    head = at((neck[0] + 5, neck[1] - 17))
    pen.ellipse([head[0] - 17 * scale, head[1] - 21 * scale, head[0] + 17 * scale, head[1] + 19 * scale], fill=skin)
    pen.pieslice(
        [head[0] - 19 * scale, head[1] - 23 * scale, head[0] + 17 * scale, head[1] + 14 * scale],
        150,
        325,
        fill=(58, 44, 34),
    )
    pen.polygon([(head[0] + 15 * scale, head[1] - 3 * scale), (head[0] + 22 * scale, head[1] + 4 * scale),
                 (head[0] + 14 * scale, head[1] + 7 * scale)], fill=skin)  # fmt: skip
    _draw_leg(pen, at, legs["near"], fill=skin, shorts=(44, 47, 56), scale=scale)
    _draw_arm(pen, at, trunk_top, arms["near"], fill=skin, sleeve=tuple(int(v * 0.9) for v in shirt), scale=scale)
    for marker in (trunk_top, (0.0, 0.0), legs["near"][0], legs["near"][1], legs["near"][3]):
        x, y = at(marker)
        pen.ellipse([x - 7, y - 7, x + 7, y + 7], fill=(250, 250, 252), outline=(60, 60, 66))
    return canvas.reduce(scale)


def _leg(cycle: float, limp: float) -> tuple[Point, Point, Point, Point]:
    """Knee, ankle, heel and toe relative to the hip, in pixels; y grows downwards."""
    thigh = radians(hip(cycle, limp))
    shank = thigh - radians(knee(cycle, limp))
    sole = shank + radians(ankle(cycle))
    bend = (THIGH * sin(thigh), THIGH * cos(thigh))
    joint = (bend[0] + SHANK * sin(shank), bend[1] + SHANK * cos(shank))
    heel = (joint[0] - 9 * cos(sole) + 9 * sin(sole), joint[1] + 9 * sin(sole) + 9 * cos(sole))
    toe = (heel[0] + FOOT * cos(sole), heel[1] - FOOT * sin(sole))
    return bend, joint, heel, toe


def _draw_leg(
    pen: ImageDraw.ImageDraw, at: Place, leg: tuple[Point, Point, Point, Point],
    *, fill: tuple[int, ...], shorts: tuple[int, ...], scale: int,
) -> None:  # fmt: skip
    bend, joint, heel, toe = leg
    _limb(pen, at((0, 0)), at(bend), 33 * scale, 23 * scale, fill)
    _limb(pen, at(bend), at(joint), 23 * scale, 14 * scale, fill)
    _limb(pen, at((0, 0)), at((bend[0] * 0.62, bend[1] * 0.62)), 38 * scale, 32 * scale, shorts)
    instep = (joint[0] + (toe[0] - heel[0]) * 0.15, joint[1] + 2)
    pen.polygon([at((joint[0] - 7, joint[1])), at(instep), at(toe), at(heel)], fill=(236, 236, 238))
    _limb(pen, at(heel), at(toe), 7 * scale, 6 * scale, (236, 236, 238))
    _limb(pen, at((heel[0], heel[1] + 1)), at((toe[0], toe[1] + 1)), 4 * scale, 3 * scale, (70, 72, 78))


def _draw_arm(
    pen: ImageDraw.ImageDraw, at: Place, shoulder: Point, swing: float,
    *, fill: tuple[int, ...], sleeve: tuple[int, ...], scale: int,
) -> None:  # fmt: skip
    upper, lower = radians(swing), radians(swing + 22)
    top = (shoulder[0], shoulder[1] + 9)
    elbow = (top[0] + UPPER_ARM * sin(upper), top[1] + UPPER_ARM * cos(upper))
    wrist = (elbow[0] + FOREARM * sin(lower), elbow[1] + FOREARM * cos(lower))
    _limb(pen, at(elbow), at(wrist), 14 * scale, 10 * scale, fill)
    _limb(pen, at(top), at(elbow), 19 * scale, 15 * scale, fill)
    _limb(pen, at(top), at(((top[0] + elbow[0]) / 2, (top[1] + elbow[1]) / 2)), 23 * scale, 20 * scale, sleeve)


def _limb(pen: ImageDraw.ImageDraw, start: Point, end: Point, thick: float, thin: float, fill: tuple[int, ...]) -> None:
    """A tapering capsule; the thicknesses are diameters."""
    heading = atan2(end[1] - start[1], end[0] - start[0]) + pi / 2
    if hypot(end[0] - start[0], end[1] - start[1]) < 1:
        return
    a, b = (cos(heading) * thick / 2, sin(heading) * thick / 2), (cos(heading) * thin / 2, sin(heading) * thin / 2)
    pen.polygon(
        [(start[0] + a[0], start[1] + a[1]), (end[0] + b[0], end[1] + b[1]),
         (end[0] - b[0], end[1] - b[1]), (start[0] - a[0], start[1] - a[1])], fill=fill,
    )  # fmt: skip
    for (x, y), across in ((start, thick), (end, thin)):
        pen.ellipse([x - across / 2, y - across / 2, x + across / 2, y + across / 2], fill=fill)


def _room(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A corridor of two picture widths whose halves are equal, so that it can pass for ever."""
    width, height = size
    half = Image.new("RGB", size, (214, 219, 221))
    pen = ImageDraw.Draw(half)
    floor = height - 86
    for y in range(floor):
        shade = int(-14 * y / floor)
        pen.line([(0, y), (width, y)], fill=(217 + shade, 221 + shade, 222 + shade))
    for y in range(floor, height):
        depth = (y - floor) / (height - floor)
        pen.line([(0, y), (width, y)], fill=(int(122 + 34 * depth), int(128 + 34 * depth), int(126 + 32 * depth)))
    pen.rectangle([0, floor - 9, width, floor], fill=(168, 174, 176))
    door = int(rng.integers(90, 330))
    pen.rectangle([door, 62, door + 96, floor - 9], fill=(176, 148, 112), outline=(120, 100, 78))
    pen.ellipse([door + 80, 160, door + 88, 168], fill=(96, 96, 100))
    pen.rectangle([door + 170, 84, door + 260, 148], fill=(196, 208, 214), outline=(140, 148, 152))
    pen.rectangle([0, height - 66, width, height - 26], fill=(70, 98, 112))
    for metre in range(4):
        x = metre * width // 4 + 40
        pen.line([(x, height - 66), (x, height - 26)], fill=(236, 232, 214), width=2)
        pen.text((x + 6, height - 38), f"{metre + 1} m", fill=(222, 220, 206), font=font(11))
    room = Image.new("RGB", (2 * width, height))
    room.paste(half, (0, 0))
    room.paste(half, (width, 0))
    return room


def _caption(*, width: int) -> Image.Image:
    """The dark band above the picture, without its clock."""
    band = Image.new("RGB", (width, 22), (24, 28, 32))
    ImageDraw.Draw(band).text((10, 4), "Gait analysis, sagittal", fill=PALE, font=font(13))
    return band
