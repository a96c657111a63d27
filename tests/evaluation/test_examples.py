"""Examples in a report: small pictures, words for those who do not see them, both languages."""

import io
import re

import numpy as np
import pytest
from PIL import Image as pillow  # noqa: N813

from galeno.evaluation.examples import FULL, LEAST, MOST_BYTES, Example, draw
from galeno.evaluation.report import render_report
from galeno.media.image import Image, write_image
from galeno.media.picture import AGAINST_COLOUR, FOR_COLOUR
from galeno.media.sound import Sound, write_sound
from galeno.model.relevance import BANDS, GRID, HIGHEST, LOWEST, SPANS, Relevance
from galeno.study import Study


def noise_sound(seconds=3.0, rate=4000):
    rng = np.random.default_rng(0)
    return write_sound(Sound(rng.normal(0, 0.1, int(rate * seconds)).astype(np.float32), rate))


def noise_image(height=400, width=600):
    return write_image(Image(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)))


def sound_relevance(values):
    bands = tuple(np.geomspace(LOWEST, HIGHEST, BANDS + 1).tolist())
    return Relevance("breath", "ill", 0.7, values, bands, tuple(np.linspace(0, 3, SPANS + 1).tolist()))


def image_relevance(values, condition="ill"):
    edges = tuple(np.linspace(0, 1, GRID + 1).tolist())
    return Relevance("scan", condition, 0.7, values, edges, edges)


def pixels(png):
    with pillow.open(io.BytesIO(png)) as opened:
        assert opened.mode == "P"
        return np.asarray(opened.convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("kind", "content", "found"),
    [
        ("sound", noise_sound(), sound_relevance(np.random.default_rng(1).normal(0, 0.2, (BANDS, SPANS)))),
        ("image", noise_image(), image_relevance(np.random.default_rng(1).normal(0, 0.2, (GRID, GRID)))),
        ("image", noise_image(900, 1024), image_relevance(np.zeros((GRID, GRID)))),
    ],
)
def test_even_noise_is_small(kind, content, found):
    drawn = draw(kind, content, [found])
    assert len(drawn.png) < MOST_BYTES
    assert len(drawn.marked[0].png) < MOST_BYTES
    assert draw(kind, content, [found]) == drawn


def test_a_band_of_a_sound_is_coloured_where_it_sounds():
    values = np.zeros((BANDS, SPANS))
    values[BANDS - 1, 0] = 0.4  # the highest band of the first span, which is the upper left
    drawn = draw("sound", noise_sound(), [sound_relevance(values)])
    assert drawn.extent == (3.0, 2000.0)
    painted = pixels(drawn.marked[0].png)
    warm = painted[..., 0] - painted[..., 2]
    height, width = warm.shape
    assert warm[height // 5 : height // 3, : width // 20].min() > 60
    assert np.abs(warm[height // 2 :]).max() < 20
    assert np.abs(warm[:, width // 3 :]).max() < 20
    part = drawn.marked[0].parts[0]
    assert (part.change, part.columns) == (0.4, (0.0, 0.3))
    assert part.rows[1] == pytest.approx(HIGHEST)


def test_what_speaks_for_is_warm_and_what_speaks_against_is_cool():
    values = np.zeros((GRID, GRID))
    values[0, 0], values[GRID - 1, GRID - 1] = 0.3, -0.2
    grey = write_image(Image(np.tile(np.arange(100, 160, dtype=np.uint8), (60, 1))))
    marked = draw("image", grey, [image_relevance(values)]).marked[0]
    painted = pixels(marked.png)
    assert FOR_COLOUR[0] > FOR_COLOUR[2]
    assert AGAINST_COLOUR[0] < AGAINST_COLOUR[2]
    assert painted[4, 4, 0] - painted[4, 4, 2] > 60
    assert painted[-4, -4, 2] - painted[-4, -4, 0] > 40
    assert [part.change for part in marked.parts] == [0.3, -0.2]
    assert marked.parts[0].rows == pytest.approx((0, 0.1))
    assert marked.parts[1].columns == pytest.approx((0.9, 1))


def test_changes_of_next_to_nothing_are_neither_told_nor_drawn_in_full():
    values = np.full((GRID, GRID), LEAST * 0.9)
    grey = write_image(Image(np.tile(np.arange(100, 160, dtype=np.uint8), (60, 1))))
    marked = draw("image", grey, [image_relevance(values)]).marked[0]
    assert marked.parts == ()
    painted = pixels(marked.png)
    assert np.abs(painted[..., 0] - painted[..., 2]).max() < 25
    assert LEAST < FULL


def with_media(make_study, language="en", **changes):
    data = make_study(language).model_dump() | changes
    data["columns"] |= {"scan": {"type": "image"}, "breath": {"type": "sound"}}
    return Study.model_validate(data)


@pytest.fixture(scope="module")
def examples():
    values = np.zeros((GRID, GRID))
    values[0, 9], values[5, 5] = 0.3, -0.2
    band = np.zeros((BANDS, SPANS))
    band[1, 2] = 0.25
    image = draw("image", noise_image(60, 80), [image_relevance(values, "leve")])
    sound = draw("sound", noise_sound(), [sound_relevance(band), sound_relevance(np.zeros_like(band))])
    return (
        Example("scan", "image", "right", "leve", "leve", 0.912, image.extent, image.png, image.marked),
        Example("breath", "sound", "wrong", "aguda", "leve", 0.75, sound.extent, sound.png, sound.marked[:1]),
        Example("breath", "sound", "unsure", "leve", "leve", 0.41, sound.extent, sound.png, sound.marked[1:]),
    )


def section_of(page):
    return page[page.index('id="examples"') : page.index('id="records"')]


def test_each_picture_is_told_in_words(make_content, make_study, examples):
    told = section_of(render_report(make_content(study=with_media(make_study), examples=examples)))
    texts = re.findall(r'alt="([^"]*)"', told)
    assert len(texts) == told.count("<img") == 6
    assert (
        texts[0]
        == "Image. Truth: Mild disease. Answer: Mild disease (91.2\N{NO-BREAK SPACE}%). 80 × 60 pixels."
    )
    assert "Most for it: upper right (hidden, −30.0 points)." in texts[1]
    assert "Most against it: centre (hidden, +20.0 points)." in texts[1]
    assert "3.0 s from left to right, 0 to 2000 Hz" in texts[2]
    assert "Most for it: 110 to 190 Hz, second 0.6 to 0.9 (hidden, −25.0 points)." in texts[3]
    assert "No part alone changes the probability by half a point." in texts[5]
    for text in (
        "Right",
        "Wrong",
        "Low confidence",
        "Truth: Acute disease. Answer: Mild disease",
        "below 50",
    ):
        assert text in told
    assert "real patients" not in told


def test_spanish_has_its_words(make_content, make_study, examples):
    study = with_media(make_study, "es")
    told = section_of(render_report(make_content("es", study=study, examples=examples)))
    for text in (
        "Acierto",
        "Fallo",
        "Baja confianza",
        "Espectrograma",
        "arriba a la derecha",
        "91,2",
        "−30,0",
    ):
        assert text in told
    assert "Truth" not in told


def test_real_patients_are_shown_only_with_permission_and_then_with_a_warning(
    make_content, make_study, examples
):
    real = with_media(make_study, simulated=False)
    told = section_of(render_report(make_content(study=real)))
    assert "does not allow" in told
    assert "<img" not in told
    allowed = with_media(make_study, simulated=False, privacy={"examples_in_report": True})
    assert "They are of real patients" in render_report(make_content(study=allowed, examples=examples))
    none = render_report(make_content(study=with_media(make_study)))
    assert "no test record whose condition is known" in none


def test_a_study_without_them_does_not_speak_of_them(content):
    page = render_report(content)
    assert 'id="examples"' not in page
    assert "#examples" not in page
