"""Heart sounds as an electronic stethoscope stores them: WAV, 16-bit PCM, one channel."""

import io
import wave

import numpy as np
from numpy.typing import NDArray

from fhirmedia.demo.canvas import generator
from fhirmedia.demo.works import SOUND_DURATION_S, SOUND_RATE_HZ, Sound

_Signal = NDArray[np.float64]


def recording(work: Sound) -> bytes:
    """The recording as WAV of `SOUND_DURATION_S` seconds."""
    rng = generator(work.seed, 121)
    signal = np.zeros(SOUND_RATE_HZ * SOUND_DURATION_S)
    beat_s = 60 / work.beats_per_minute
    at = 0.15
    while at < SOUND_DURATION_S - beat_s:
        beat = beat_s * (1 + 0.04 * np.sin(at * 1.5) + 0.01 * rng.standard_normal())
        _beat(signal, at, rng, work=work, systole_s=0.30 * beat**0.5)
        at += beat
    breath = 0.006 * (1 + np.sin(np.arange(signal.size) / SOUND_RATE_HZ * 1.6))
    signal += breath * _band(rng.standard_normal(signal.size), 40, 180)
    signal *= 0.82 / np.max(np.abs(signal))
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE_HZ)
        file.writeframes((signal * 32767).astype("<i2").tobytes())
    return target.getvalue()


def _beat(signal: _Signal, at: float, rng: np.random.Generator, *, work: Sound, systole_s: float) -> None:
    """One cycle: first sound, second sound, and what is wrong between them."""
    _thud(signal, at, pitch_hz=46, length_s=0.11, level=1.0, rng=rng)
    _thud(signal, at + systole_s, pitch_hz=64, length_s=0.075, level=0.78, rng=rng)
    loud = 0.15 + 0.55 * work.strength
    match work.heart:
        case "normal":
            return
        case "systolic-murmur":
            _murmur(signal, at + 0.05, systole_s - 0.06, level=loud, rng=rng, low_hz=90, high_hz=420)
        case "diastolic-murmur":
            _murmur(signal, at + systole_s + 0.06, 0.30, level=loud * 0.7, rng=rng, low_hz=120, high_hz=520)
        case "gallop":
            _thud(signal, at + systole_s + 0.14, pitch_hz=34, length_s=0.09, level=loud, rng=rng)
        case "split-second":
            _thud(signal, at + systole_s + 0.035 + 0.03 * work.strength, pitch_hz=70, length_s=0.06, level=0.6, rng=rng)


def _thud(
    signal: _Signal, at: float, *, pitch_hz: float, length_s: float, level: float, rng: np.random.Generator
) -> None:
    """A valve closing: a few damped oscillations."""
    t = np.arange(int(length_s * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    envelope = np.sin(np.pi * np.minimum(t / 0.016, 0.5)) * np.exp(-t / (length_s * 0.28))
    wobble = np.sin(2 * np.pi * pitch_hz * t) + 0.55 * np.sin(2 * np.pi * pitch_hz * 1.7 * t + rng.uniform(0, 1))
    _add(signal, at, level * envelope * wobble)


def _murmur(
    signal: _Signal, at: float, length_s: float,
    *, level: float, rng: np.random.Generator, low_hz: float, high_hz: float,
) -> None:  # fmt: skip
    """Turbulent flow: band noise that swells and dies away."""
    count = max(8, int(length_s * SOUND_RATE_HZ))
    diamond = np.sin(np.pi * np.linspace(0, 1, count)) ** 1.3
    _add(signal, at, 0.5 * level * diamond * _band(rng.standard_normal(count), low_hz, high_hz))


def _band(noise: _Signal, low_hz: float, high_hz: float) -> _Signal:
    """The noise with only the frequencies between the two, at unit strength."""
    spectrum = np.fft.rfft(noise)
    frequencies = np.fft.rfftfreq(noise.size, 1 / SOUND_RATE_HZ)
    spectrum[(frequencies < low_hz) | (frequencies > high_hz)] = 0
    filtered = np.fft.irfft(spectrum, noise.size)
    return filtered / max(float(np.std(filtered)), 1e-9)


def _add(signal: _Signal, at: float, part: _Signal) -> None:
    start = int(at * SOUND_RATE_HZ)
    stop = min(start + part.size, signal.size)
    signal[start:stop] += part[: stop - start]
