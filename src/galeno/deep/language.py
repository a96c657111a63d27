"""A Hugging Face encoder in torch, written as ONNX; its folder was looked into beforehand."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from galeno.deep.adapter import SentenceNetwork
from galeno.deep.graph import TOLERANCE, open_graph, plain_bytes, write_graph
from galeno.deep.lesson import calm
from galeno.errors import ParityError, SourceError

_LENGTHS = (1, 5, 16)
"""Tokens of the texts that model and graph are compared on."""


def export_language(home: Path, pooling: str, *, where: str) -> tuple[bytes, int, int]:
    """Read the encoder in a folder.

    Returns:
        ONNX from `ids` and `mask` to `y`; width of the vectors; most tokens of a text.

    Raises:
        SourceError, LearningError, ParityError: see `sentences.export_sentences`.
    """
    with calm(0, 1, torch.device("cpu")), _quiet():
        encoder = _load(home, where)
        network = SentenceNetwork(encoder, "cls" if pooling == "cls" else "mean").eval()
        width, words = int(encoder.config.hidden_size), int(encoder.config.vocab_size)
        example = _example(words, 7, 2)
        axes = {"ids": {0: "n", 1: "tokens"}, "mask": {0: "n", 1: "tokens"}, "y": {0: "n"}}
        written = write_graph(network, example, ["ids", "mask"], ["y"], where=where, axes=axes)
        graph = plain_bytes(written)
        _compare(network, graph, words, where)
    return graph, width, _longest(encoder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No bars, remarks or warnings of transformers on the terminal."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _load(home: Path, where: str) -> nn.Module:
    try:
        encoder = transformers.AutoModel.from_pretrained(
            os.fspath(home.resolve()),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
        )
    except Exception as error:
        # Damaged configurations and weights fail in many ways, some of them bare exceptions from Rust.
        raise SourceError(f"the model cannot be read ({type(error).__name__})", where=where) from None
    config = encoder.config
    if getattr(config, "is_encoder_decoder", False) or not getattr(config, "hidden_size", 0):
        raise SourceError("the model is no encoder of text", where=where)
    return encoder.eval()


def _longest(encoder: nn.Module) -> int:
    """Most tokens; RoBERTa and its kin count positions from after the padding's number."""
    positions = int(getattr(encoder.config, "max_position_embeddings", 0) or 512)
    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return positions if padding is None else positions - padding - 1


def _example(words: int, tokens: int, rows: int) -> tuple[Any, Any]:
    ids = np.random.default_rng(tokens).integers(0, words, (rows, tokens))
    return ids.astype(np.int64), np.ones((rows, tokens), np.int64)


def _compare(network: nn.Module, graph: bytes, words: int, where: str) -> None:
    """Both answer alike for texts of several lengths, whole and with padding."""
    session = open_graph(graph, where=where)
    for tokens in _LENGTHS:
        ids, mask = _example(words, tokens, 3)
        mask[0, (tokens + 1) // 2 :] = 0
        with torch.no_grad():
            expected = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        found = session.run(["y"], {"ids": ids, "mask": mask})[0]
        if found.shape != expected.shape or not np.abs(found - expected).max() <= TOLERANCE:
            raise ParityError("the graph differs from the language model", where=where)
