"""The painter's materials: noise, distance, shape and light as float32 arrays; pigments become RGB here only."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageFont

Field = NDArray[np.floating]
"""One float32 value a pixel, shape (height, width); an RGB picture has three planes, (3, height, width), in 0…1."""

MELANIN = (0.66, 1.0, 1.38)
HAEMOGLOBIN = (0.14, 0.86, 0.74)
"""How strongly one unit of pigment absorbs red, green and blue light."""


def generator(*seeds: int) -> np.random.Generator:
    """A source of numbers that depends on the seeds alone."""
    return np.random.Generator(np.random.SFC64(list(seeds)))


def resized(field: Field, height: int, width: int) -> Field:
    """The field stretched bicubically."""
    picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(picture.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def clouds(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Field:
    """Smooth noise around 0, about -1…1, whose blobs are `cell` pixels wide."""
    return fractal(rng, shape, cell=cell, octaves=1)


def fractal(rng: np.random.Generator, shape: tuple[int, int], *, cell: float, octaves: int = 4) -> Field:
    """Clouds within clouds, each octave half as wide and half as strong; about -1…1.

    Octaves are summed in the coarsest size that can hold them, so that the full size is stretched to only once.
    """
    height, width = shape
    total: Field | None = None
    strength, sum_of_strengths = 1.0, 0.0
    for octave in range(octaves):
        pitch = cell / 2**octave
        if pitch < 2 and total is not None:
            break
        rows, columns = max(3, round(height / pitch)) + 2, max(3, round(width / pitch)) + 2
        layer = rng.uniform(-strength, strength, (rows, columns)).astype(np.float32)
        total = layer if total is None else layer + resized(total, rows, columns)
        sum_of_strengths += strength
        strength *= 0.55
    assert total is not None
    return resized(total * np.float32(1.35 / max(sum_of_strengths, 1.35)), height, width)


def grain(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Independent noise with standard deviation 1: a window on one fixed field. Only read it."""
    height, width = shape
    field = _noise(1500)
    row, column = rng.integers(0, 1500 - height), rng.integers(0, 1500 - width)
    return field[row : row + height, column : column + width]


@lru_cache(maxsize=1)
def _noise(size_px: int) -> Field:
    return generator(5).standard_normal((size_px, size_px), dtype=np.float32)


def grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    """x and y of every pixel, as a row and a column that broadcast; the longer half side is 1, the centre 0."""
    height, width = shape
    half = max(height, width) / 2
    x = ((np.arange(width, dtype=np.float32) - width / 2) / np.float32(half))[None, :]
    y = ((np.arange(height, dtype=np.float32) - height / 2) / np.float32(half))[:, None]
    return x, y


def step(edge: float, value: Field, softness: float) -> Field:
    """0 below the edge, 1 above it, smooth over `softness` on both sides."""
    t: Field = np.clip((value - np.float32(edge - softness)) / np.float32(2 * softness), 0, 1)
    smooth: Field = t * t * (3 - 2 * t)
    return smooth


def blob(rng: np.random.Generator, x: Field, y: Field, *, ragged: float, lobes: int = 9) -> Field:
    """Distance from the centre in units of an irregular outline: < 1 inside. `ragged` 0 is a circle.

    `x` and `y` are a row and a column, or full fields; the smooth result is computed on every fourth pixel.
    """
    height, width = np.broadcast_shapes(x.shape, y.shape)
    x, y = x[:, ::4] if x.shape[0] == 1 else x[::4, ::4], y[::4] if y.shape[1] == 1 else y[::4, ::4]
    angle = np.arctan2(y, x)
    outline = np.ones_like(angle)
    for lobe in range(2, lobes):
        outline += np.float32(ragged * rng.uniform(0.3, 1.0) / lobe) * np.cos(
            lobe * angle + np.float32(rng.uniform(0, 6.283))
        )
    return resized(np.hypot(x, y) / np.maximum(outline, 0.55), height, width)


def blurred(field: Field, radius: float) -> Field:
    """The field (0…1) out of focus; 8 bits deep."""
    picture = Image.fromarray(np.clip(field * 255 + 0.5, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / np.float32(255)


def relief(height: Field, strength: float, *, light: tuple[float, float] = (-0.7, -0.7)) -> Field:
    """Brightness around 1 of a bumpy surface lit from `light`."""
    shade = np.ones_like(height)
    shade[:, 1:] += np.float32(strength * light[0]) * (height[:, :-1] - height[:, 1:])
    shade[1:, :] += np.float32(strength * light[1]) * (height[:-1, :] - height[1:, :])
    return shade


@lru_cache(maxsize=8)
def cells(seed: int, size_px: int, cell_px: int) -> tuple[Field, Field]:
    """A square, tileable tissue of irregular cells: distance to the border (0 on it), and to the centre, in cells.

    The result is shared: callers only read it.
    """
    rng = generator(seed, size_px, cell_px)
    count = size_px // cell_px
    jitter = rng.uniform(0.08, 0.92, (count, count, 2)).astype(np.float32)
    axis = (np.arange(size_px, dtype=np.float32) + 0.5) * np.float32(count / size_px)
    column, row = axis[None, :], axis[:, None]
    whole = axis.astype(np.intp)
    nearest = np.full((size_px, size_px), 9, dtype=np.float32)
    second = nearest.copy()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            r, c = whole + down, whole + right
            point = jitter[np.ix_(r % count, c % count)]
            distance = (column - c[None, :] - point[..., 0]) ** 2 + (row - r[:, None] - point[..., 1]) ** 2
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    centre = np.sqrt(nearest)
    return np.sqrt(second) - centre, centre


def tiled(tile: Field, shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """A tile repeated over the shape from a random corner, perhaps mirrored."""
    height, width = shape
    side = tile.shape[0]
    if rng.random() < 0.5:
        tile = tile[::-1]
    if rng.random() < 0.5:
        tile = tile.T
    rows = (np.arange(height) + rng.integers(side)) % side
    columns = (np.arange(width) + rng.integers(side)) % side
    return tile[np.ix_(rows, columns)]


def absorbed(base: Field, *, melanin: Field, haemoglobin: Field) -> Field:
    """RGB of a surface of base colour under pigments of the given strength a pixel (Beer and Lambert)."""
    picture = np.empty((3, *melanin.shape), dtype=np.float32)
    for plane, brown, red in zip(picture, MELANIN, HAEMOGLOBIN, strict=True):
        np.multiply(melanin, np.float32(-brown), out=plane)
        plane -= np.float32(red) * haemoglobin
        np.exp(plane, out=plane)
    picture *= base
    return picture


def mixed(below: Field, above: Field, cover: Field) -> Field:
    """`above` laid over `below` where `cover` is 1."""
    return below + (above - below) * cover


def colour(red: float, green: float, blue: float) -> Field:
    """A colour with components in 0…1 that broadcasts over a picture."""
    return np.array([red, green, blue], dtype=np.float32).reshape(3, 1, 1)


def planes(photo: Image.Image) -> Field:
    """An 8-bit RGB picture as three planes again."""
    return np.moveaxis(np.asarray(photo, dtype=np.float32) / np.float32(255), -1, 0).copy()


@lru_cache(maxsize=16)
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The typeface that comes with Pillow; unpacking it takes longer than drawing with it."""
    return ImageFont.load_default(size=size_px)


def developed(picture: Field) -> Image.Image:
    """The picture as 8-bit RGB."""
    np.clip(picture, 0, 1, out=picture)
    planes = (picture * 255 + np.float32(0.5)).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
