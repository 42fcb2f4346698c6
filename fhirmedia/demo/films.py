"""Clinical films: a walk in the gait laboratory, a colonoscope moving forward. MP4 with H.264 and AAC."""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fhirmedia.demo.canvas import generator
from fhirmedia.demo.gait import walking
from fhirmedia.demo.organs import bowel
from fhirmedia.demo.works import FILM_FRAMES_PER_S, FILM_HEIGHT_PX, FILM_WIDTH_PX, Film

SOUND_HZ = 16_000


def film(work: Film) -> bytes:
    """The film as MP4 whose index stands before its data, so that a browser can play it while it arrives."""
    count, size = work.duration_s * FILM_FRAMES_PER_S, (FILM_WIDTH_PX, FILM_HEIGHT_PX)
    frames = walking(work.seed, limp=work.limp, frames=count, size=size) if work.kind == "gait" else _advancing(work)
    with tempfile.TemporaryDirectory(prefix="fhirmedia-demo-") as folder:
        path = Path(folder) / "film.mp4"
        _encode(path, frames, sound=_steps(work) if work.kind == "gait" else None)
        return path.read_bytes()


def _encode(path: Path, frames: Iterator[Image.Image], *, sound: NDArray[np.int16] | None) -> None:
    """Faststart rewrites the file at its end, which needs a real one."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FILM_FRAMES_PER_S, options={"preset": "ultrafast", "crf": "27"})
        video.width, video.height, video.pix_fmt = FILM_WIDTH_PX, FILM_HEIGHT_PX, "yuv420p"
        video.codec_context.thread_count = 1
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
            audio.bit_rate = 32_000
        for picture in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            for start in range(0, len(sound), 1024):
                block = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="s16", layout="mono")
                block.sample_rate, block.pts = SOUND_HZ, start
                block.time_base = Fraction(1, SOUND_HZ)
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))


def _steps(work: Film) -> NDArray[np.int16]:
    """Footfalls on a hard floor over the hum of a room; the lame leg falls late and softly."""
    rng = generator(work.seed, 131)
    count = work.duration_s * SOUND_HZ
    signal = 0.004 * rng.standard_normal(count)
    fall = np.exp(-np.arange(1600) / 260) * rng.standard_normal(1600)
    period_s = 1.06 + 0.55 * work.limp
    for step in range(int(2 * work.duration_s / period_s)):
        late, soft = (0.12 * work.limp, 1 - 0.5 * work.limp) if step % 2 else (0.0, 1.0)
        start = int((0.2 + (step / 2 + late) * period_s) * SOUND_HZ)
        stop = min(start + fall.size, count)
        if start < count:
            signal[start:stop] += 0.16 * soft * fall[: stop - start]
    return (np.clip(signal, -1, 1) * 32767).astype(np.int16)


def _advancing(work: Film) -> Iterator[Image.Image]:
    """The same bowel coming nearer, with the unsteadiness of a hand."""
    rng = generator(work.seed, 132)
    still = bowel(work.seed, tone=1, stage=0.6, visit=0, shape=(720, 960))
    count = work.duration_s * FILM_FRAMES_PER_S
    sway = rng.uniform(0, 6.283, 4)
    for frame in range(count):
        t = frame / FILM_FRAMES_PER_S
        zoom = 1.45 + 0.55 * (t / work.duration_s) + 0.05 * np.sin(t * 2.2 + sway[0])
        width, height = 960 / zoom, 960 / zoom * FILM_HEIGHT_PX / FILM_WIDTH_PX
        x = 480 + 34 * np.sin(t * 0.9 + sway[1]) + 9 * np.sin(t * 3.1 + sway[2])
        y = 360 + 26 * np.sin(t * 1.2 + sway[3])
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        yield still.resize((FILM_WIDTH_PX, FILM_HEIGHT_PX), Image.Resampling.BILINEAR, box=box)
