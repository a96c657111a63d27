"""Vectors of texts: the same bits whatever stands beside a text, and no torch."""

import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from galeno.errors import MissingExtraError, PackageError
from galeno.features.sentences import SentenceVectors

WORDS = ["[UNK]", "fever", "cough", "pain", "no", "dry"]
SETTINGS: dict[str, Any] = {"max_length": 6, "pooling": "mean", "lower": True, "prompt": "", "width": 8}


def make_graph(names: tuple[str, str] = ("ids", "mask")) -> bytes:
    """Mean of the words' rows in a table, over its length."""
    table = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", names[0]], ["rows"]),
        helper.make_node("Cast", [names[1]], ["weight"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weight", "last"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["kept"]),
        helper.make_node("ReduceMean", ["kept"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["y"], axis=1, p=2),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in names]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([2]), "last")]
    graph = helper.make_graph(nodes, "g", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    written: bytes = model.SerializeToString()
    return written


def make_tokenizer() -> bytes:
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: i for i, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, WORDS[0]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_padding(length=12)
    return str(made.to_str()).encode()


@pytest.fixture(scope="module")
def vectors() -> SentenceVectors:
    return SentenceVectors(make_graph(), make_tokenizer(), SETTINGS)


@given(texts=st.lists(st.text(max_size=30) | st.sampled_from(["dry cough", "no pain", " ", ""]), max_size=6))
def test_a_vector_depends_on_its_text_alone(vectors: SentenceVectors, texts: list[str]) -> None:
    together = vectors.embed(texts)
    assert together.shape == (len(texts), 8)
    assert together.dtype == np.float32
    for text, vector in zip(texts, together, strict=True):
        assert (vectors.embed([text])[0] == vector).all()
        assert np.linalg.norm(vector) == pytest.approx(1 if text.strip() else 0, abs=1e-5)


def test_case_and_what_is_beyond_the_length_do_not_count(vectors: SentenceVectors) -> None:
    said = vectors.embed(["dry " * 6, "DRY " * 6 + "cough", "cough"])
    assert (said[0] == said[1]).all()
    assert not np.allclose(said[0], said[2])


def test_a_prompt_goes_before_the_text(vectors: SentenceVectors) -> None:
    asked = SentenceVectors(make_graph(), make_tokenizer(), SETTINGS | {"prompt": "no "})
    assert (asked.embed(["pain"]) == vectors.embed(["no pain"])).all()


def test_half_a_surrogate_pair_is_a_character_that_is_not_known(vectors: SentenceVectors) -> None:
    assert np.isfinite(vectors.embed(["fever \ud83d"])).all()


def make_external() -> bytes:
    model = onnx.load_from_string(make_graph())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "table.bin"
    written: bytes = model.SerializeToString()
    return written


@pytest.mark.parametrize(
    ("graph", "tokenizer", "settings"),
    [
        (make_external(), None, {}),
        (b"no graph", None, {}),
        (make_graph(("x", "mask")), None, {}),
        (None, b"{}", {}),
        (None, b"\xff", {}),
        (None, None, {"max_length": 0}),
        (None, None, {"max_length": 10**9}),
        (None, None, {"width": "many"}),
    ],
    ids=["external", "graph", "inputs", "tokenizer", "bytes", "short", "long", "width"],
)
def test_damaged_parts_are_a_package_error(
    graph: bytes | None, tokenizer: bytes | None, settings: dict[str, Any]
) -> None:
    whole = make_tokenizer()
    with pytest.raises(PackageError):
        SentenceVectors(graph or make_graph(), tokenizer or whole, SETTINGS | settings)


def test_words_beyond_the_table_are_a_package_error() -> None:
    odd = SentenceVectors(make_graph(), make_tokenizer().replace(b'"dry":5', b'"dry":9'), SETTINGS)
    with pytest.raises(PackageError, match="does not answer"):
        odd.embed(["dry"])


def test_another_width_is_a_package_error() -> None:
    odd = SentenceVectors(make_graph(), make_tokenizer(), SETTINGS | {"width": 9})
    with pytest.raises(PackageError, match="one vector"):
        odd.embed(["dry"])


def test_without_the_tokenizer_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_tokenizer()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"galeno\[deep\]"):
        SentenceVectors(make_graph(), data, SETTINGS)


def test_answering_imports_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import galeno.features.sentences as s; assert s; " + (
        "assert not [name for name in sys.modules if name.startswith(('galeno.deep', 'transformers'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
