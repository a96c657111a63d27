"""Folders of language models: their layouts are read, their damage is named, nothing of them is run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_language import make_language, make_sentence_transformer, write

from galeno.deep.sentences import export_sentences
from galeno.errors import MissingExtraError, SourceError
from galeno.features.sentences import SentenceVectors


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return make_language(tmp_path_factory.mktemp("language") / "small")


@pytest.fixture(scope="module")
def sentence_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return make_sentence_transformer(tmp_path_factory.mktemp("language") / "st")


def test_vectors_are_those_of_the_model(language: Path) -> None:
    import torch
    import transformers

    vectors = SentenceVectors(*export_sentences(language))
    found = vectors.embed(["dry cough for days"])[0]
    model = transformers.AutoModel.from_pretrained(language).eval()
    with torch.no_grad():
        hidden = model(torch.tensor([[2, 15, 5, 11, 13, 3]])).last_hidden_state.mean(dim=1)[0].numpy()
    np.testing.assert_allclose(found, hidden / np.linalg.norm(hidden), atol=1e-5)


def test_bytes_are_the_same_each_time(language: Path) -> None:
    assert export_sentences(language) == export_sentences(language)


def test_a_sentence_transformer_says_how_it_pools(sentence_transformer: Path) -> None:
    graph, tokenizer, settings = export_sentences(sentence_transformer)
    assert settings == {"max_length": 6, "pooling": "cls", "lower": True, "prompt": "pain ", "width": 16}
    plain = SentenceVectors(graph, tokenizer, settings | {"prompt": ""})
    asked = SentenceVectors(graph, tokenizer, settings)
    assert (asked.embed(["cough"]) == plain.embed(["pain cough"])).all()


def test_a_roberta_keeps_positions_for_padding(tmp_path: Path) -> None:
    graph, tokenizer, settings = export_sentences(make_language(tmp_path / "roberta", "roberta"))
    assert settings["max_length"] == 31
    assert np.isfinite(SentenceVectors(graph, tokenizer, settings).embed(["cough " * 99])).all()


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])


def _odd_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")


def _own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write(folder / "config.json", config | {"model_type": "mine", "auto_map": {"AutoModel": "mine.Model"}})
    (folder / "mine.py").write_text("raise SystemExit('this was run')", encoding="utf-8")


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _odd_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 7}', encoding="utf-8")


def _leads_out(folder: Path) -> None:
    kinds = {"Transformer": "../other", "Pooling": ""}
    write(folder / "modules.json", [{"type": f"st.{kind}", "path": path} for kind, path in kinds.items()])


def _dense(folder: Path) -> None:
    write(folder / "modules.json", [{"type": f"st.{kind}", "path": ""} for kind in ("Transformer", "Dense")])


def _odd_pooling(folder: Path) -> None:
    write(
        folder / "modules.json", [{"type": f"st.{kind}", "path": ""} for kind in ("Transformer", "Pooling")]
    )
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write(folder / "config.json", config | {"pooling_mode_max_tokens": True})


def _odd_modules(folder: Path) -> None:
    write(folder / "modules.json", {"type": "Transformer"})


@pytest.mark.parametrize(
    "damage",
    [
        _no_weights,
        _cut_weights,
        _odd_config,
        _own_code,
        _no_tokenizer,
        _odd_tokenizer,
        _leads_out,
        _dense,
        _odd_pooling,
        _odd_modules,
    ],
    ids=lambda damage: damage.__name__.strip("_"),
)
def test_a_damaged_folder_is_a_source_error(
    language: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in language.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    with pytest.raises(SourceError):
        export_sentences(folder)


def test_no_folder_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        export_sentences(tmp_path / "nowhere")


def test_without_transformers_the_extra_is_named(without_torch: None, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match=r"galeno\[deep\]"):
        export_sentences(tmp_path)
