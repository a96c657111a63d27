"""Both languages hold the same words with the same places, and each word is used."""

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import galeno.evaluation as room
from galeno.evaluation.gallery import TONES
from galeno.evaluation.metrics import CONFORMAL, MAIN, PER_CLASS
from galeno.evaluation.words import read_words, speaker
from galeno.features.assemble import MODALITIES
from galeno.ingest.columns import FAULTS
from galeno.records import Violation
from galeno.study import Column, Learning, Rules

FOLDER = Path(room.__file__).parent


def places(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_hold_the_same_words_and_places():
    english, spanish = read_words("en"), read_words("es")
    assert list(english) == list(spanish)
    for key, text in english.items():
        assert places(text) == places(spanish[key]), key
        assert text.strip()
        assert spanish[key].strip()


def used():
    """Keys that templates and code name, and the beginnings of those that they put together."""
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*FOLDER.glob("*.py"), FOLDER / "templates" / "report.html"]
        if path.name != "words.py"
    )
    return set(re.findall(r"[\"']([a-z0-9_]+)[\"']", text)), text


def test_every_word_is_used():
    named, _ = used()
    made = {f"help_{name}" for name in (*MAIN, *CONFORMAL)}
    made |= {f"kind_{kind}" for kind in ("majority", "logistic", "single", "model", "champion")}
    made |= {f"outcome_{outcome}" for outcome in ("passed", "failed", "too_few")}
    made |= {f"behaviour_{name}" for name in ("refuse", "quarantine", "blank", "convert", "keep")}
    made |= {"behaviour_leave_out", "rule_opted_out"}
    made |= {f"by_{by}_word" for by in ("patient", "time", "site")}
    # a convert fault is reported as the range that was left, a faulty file by what is wrong with it
    made |= {f"rule_{check}" for check in {*Rules.model_fields, *FAULTS} - {"", "convert", "file"}}
    made |= {f"type_{name}" for name in get_args(Column.model_fields["type"].annotation)}
    made |= {f"calibration_{kind}" for kind in get_args(Learning.model_fields["calibration"].annotation)}
    made |= {f"{figure}_by_class" for figure in ("recall", "f1")}
    made |= {"train", "validation", "test"}
    made |= {f"example_{outcome}" for outcome in TONES} | {f"modality_{name}" for name in MODALITIES}
    words = set(read_words("en"))
    with_text = {f"{key}_text" for key in words if f"{key}_text" in words} | {f"{key}_text" for key in made}
    assert words - named - made - with_text == set()
    assert made <= words


def test_every_word_that_is_named_exists():
    _, text = used()
    words = set(read_words("en"))
    keys = set(re.findall(r"\bsay\(\s*\"([a-z0-9_]+)\"\s*[,)]", text))
    keys |= set(re.findall(r"\bsay\(\s*'([a-z0-9_]+)'\s*[,)]", text))
    assert keys - words == set()
    assert {*MAIN, *CONFORMAL, *PER_CLASS} <= words
    assert "behaviour" in Violation.__annotations__


def test_an_unknown_word_is_an_error():
    with pytest.raises(KeyError):
        speaker("es")("nonsense")
