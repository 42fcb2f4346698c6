"""The demo's bytes are what they claim: photographs decode, films and sounds play, letters can be read."""

import io
import wave
from datetime import datetime
from fractions import Fraction

import av
import numpy as np
import pypdf
import pytest
from PIL import Image, ImageOps

from fhirmedia.demo.gait import hip, knee
from fhirmedia.demo.photographs import SCENES, photograph, stamped
from fhirmedia.demo.works import (
    FILM_FRAMES_PER_S,
    FILM_HEIGHT_PX,
    FILM_WIDTH_PX,
    PHOTO_HEIGHT_PX,
    PHOTO_WIDTH_PX,
    SOUND_DURATION_S,
    SOUND_RATE_HZ,
    Camera,
    Content,
    Film,
    Letter,
    Photograph,
    Scene,
    SceneName,
    Sound,
)
from fhirmedia.demo.workshop import rendered


@pytest.mark.parametrize("name", sorted(SCENES))
def test_photographs_decode_and_show_something(name: SceneName) -> None:
    work = Photograph(Scene(name, 3, tone=1, stage=0.4))
    content = photograph(work)
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert picture.format == "JPEG"
    assert picture.size == (PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX)
    assert 20_000 < len(content) < 400_000
    pixels = np.asarray(picture.convert("L"), dtype=np.float64)
    assert pixels.std() > 12
    assert photograph(work) == content
    assert photograph(Photograph(work.scene, take=1)) != content


def test_a_photograph_turned_upright_is_shown_as_the_resource_says() -> None:
    scene = Scene("rash", 4, tone=2)
    taken = datetime.fromisoformat("2024-05-17T09:30:12+02:00")
    content = Content(Photograph(scene, turned=True), taken, Camera("Tindra", "Klinik 12"))()
    picture = Image.open(io.BytesIO(content))
    exif = picture.getexif()
    assert picture.size == (PHOTO_HEIGHT_PX, PHOTO_WIDTH_PX)
    assert exif[0x0112] == 6
    assert exif.get_ifd(0x8769)[0x9003] == "2024:05:17 09:30:12"
    assert exif.get_ifd(0x8769)[0x9011] == "+02:00"
    assert ImageOps.exif_transpose(picture).size == (PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX)


def test_the_stamp_makes_each_capture_a_file_of_its_own_with_the_same_pixels() -> None:
    plain = photograph(Photograph(Scene("hand", 4)))
    camera = Camera("Radia", "FlexPlate")
    first, second = (
        stamped(plain, taken=datetime.fromisoformat(text), camera=camera, turned=False)
        for text in ("2020-01-02T08:00:00+01:00", "2021-01-02T08:00:00+01:00")
    )
    assert first != second
    assert Image.open(io.BytesIO(first)).tobytes() == Image.open(io.BytesIO(second)).tobytes()


def test_the_growing_lesion_covers_more_of_the_picture() -> None:
    def dark_share(stage: float) -> float:
        picture = Image.open(io.BytesIO(photograph(Photograph(Scene("lesion", 7, 1, stage)))))
        luminance = np.asarray(picture.convert("L"), dtype=np.float64)[: PHOTO_HEIGHT_PX * 3 // 4]
        return float((luminance < 75).mean())

    shares = [dark_share(stage) for stage in (0.0, 0.5, 1.0)]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize(("work", "sound"), [(Film("gait", 3, 0.8, 2), True), (Film("colonoscopy", 4, 0.0, 1), False)])
def test_films_play_and_begin_with_their_index(work: Film, sound: bool) -> None:
    content = rendered(work)
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(io.BytesIO(content)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height) == (FILM_WIDTH_PX, FILM_HEIGHT_PX)
        assert video.average_rate == Fraction(FILM_FRAMES_PER_S)
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert bool(container.streams.audio) is sound
    assert len(frames) == work.duration_s * FILM_FRAMES_PER_S
    assert np.abs(frames[0].astype(int) - frames[10].astype(int)).mean() > 0.5
    if sound:
        with av.open(io.BytesIO(content)) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
            heard = sum(frame.samples for frame in container.decode(audio=0))
        assert heard >= work.duration_s * 16_000


def test_a_limp_stiffens_the_leg_and_shortens_the_step() -> None:
    cycle = np.linspace(0, 1, 60)
    assert max(knee(at, 0.0) for at in cycle) > max(knee(at, 1.0) for at in cycle) + 20
    reach = [max(hip(at, limp) for at in cycle) - min(hip(at, limp) for at in cycle) for limp in (0.0, 1.0)]
    assert 35 < reach[0] < 50
    assert reach[1] < reach[0]


def test_sounds_play_and_a_murmur_is_heard_between_the_beats() -> None:
    def samples(work: Sound) -> np.ndarray:
        with wave.open(io.BytesIO(rendered(work))) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SOUND_RATE_HZ)
            assert file.getnframes() == SOUND_RATE_HZ * SOUND_DURATION_S
            return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)

    def high_share(signal: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(signal)) ** 2
        pitch = np.fft.rfftfreq(signal.size, 1 / SOUND_RATE_HZ)
        return float(power[pitch > 200].sum() / power.sum())

    normal, murmur = samples(Sound("normal", 1)), samples(Sound("systolic-murmur", 1, strength=0.9))
    assert np.abs(normal).max() > 20_000
    assert high_share(murmur) > 5 * high_share(normal)


@pytest.mark.parametrize("name", ["Åsa Öberg Ærø", "Máret Čálbmi"])
def test_letters_have_a_text_layer_with_northern_letters(name: str) -> None:
    work = Letter(
        hospital="Norrsjö universitetssjukhus",
        unit="Øyeavdelingen",
        title="Remissvar: sår på underbenet",
        date="2024-03-02",
        patient=name,
        number="19900101-2385",
        sections=(("Bedömning", "Såret på underbenet läker väl. " * 120), ("Åtgärd", "Ny tid om två veckor.")),
        signature="Björn Ödegård, överläkare",
        synthetic="Syntetiskt dokument.",
    )
    content = rendered(work)
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    text = "\n".join(page.extract_text() for page in pages)
    assert len(pages) == 2
    for words in (
        name,
        "Norrsjö",
        "Øyeavdelingen",
        "Remissvar: sår på underbenet",
        "Åtgärd",
        "Ödegård",
        "19900101-2385",
    ):
        assert words in text
    assert rendered(work) == content
