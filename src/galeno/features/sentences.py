"""Texts as vectors of a language model; run by onnxruntime, so that answering needs no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from galeno.errors import MissingExtraError, PackageError

_MOST_CHARACTERS = 32
"""Characters looked at, for each token that is taken; what comes after would be cut anyway."""
_OUTSIDE = b"\x0a\x08location"
"""How an entry begins that names the file of an external tensor (ONNX, StringStringEntryProto)."""


class SentenceVectors:
    """A model that `galeno.deep.sentences.export_sentences` wrote.

    Args:
        onnx: from `ids` and `mask`, int64 (n, tokens), to `y`, float32 (n, width).
        tokenizer: the bytes of a tokenizer.json.
        settings: `max_length`, `lower`, `prompt` and `width`.
        threads: of onnxruntime.

    Raises:
        MissingExtraError: `tokenizers` is not installed.
        PackageError: graph, tokenizer or settings are damaged.
    """

    def __init__(
        self, onnx: bytes, tokenizer: bytes, settings: Mapping[str, Any], *, threads: int = 1
    ) -> None:
        self._longest, self._lower, self._prompt, self.width = _read(settings)
        self._tokenizer = _open_tokenizer(tokenizer, self._longest)
        self._session = _open_session(onnx, threads)
        self.settings = dict(settings)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length one a text; zeros for a text without a word.

        Every text is run by itself, without padding: what stands beside it changes no bit of its vector.

        Args:
            texts: of any length; what goes beyond `max_length` tokens is cut.

        Returns:
            Shape (texts, width).

        Raises:
            PackageError: the graph does not answer for the tokens.
        """
        vectors = np.zeros((len(texts), self.width), np.float32)
        known: dict[str, int] = {}
        for row, text in enumerate(texts):
            asked = text.strip()
            if not asked:
                continue
            if asked in known:
                vectors[row] = vectors[known[asked]]
                continue
            known[asked] = row
            vectors[row] = self._embed_one(asked)
        return vectors

    def _embed_one(self, text: str) -> NDArray[np.float32]:
        text = self._prompt + text[: self._longest * _MOST_CHARACTERS]
        # Half a surrogate pair is no character; the tokenizer takes UTF-8 alone.
        text = text.encode("utf-8", "replace").decode("utf-8")
        found = self._tokenizer.encode(text.lower() if self._lower else text).ids
        if not found:
            return np.zeros(self.width, np.float32)
        ids = np.asarray([found], np.int64)
        try:
            answer = self._session.run(["y"], {"ids": ids, "mask": np.ones_like(ids)})[0]
        except Exception as error:
            # onnxruntime's errors share no other base.
            raise PackageError(f"the language model does not answer ({type(error).__name__})") from None
        if answer.shape != (1, self.width) or not np.isfinite(answer).all():
            raise PackageError("the language model does not give one vector a text")
        vector: NDArray[np.float32] = answer[0]
        return vector


def _read(settings: Mapping[str, Any]) -> tuple[int, bool, str, int]:
    try:
        longest, width = int(settings["max_length"]), int(settings["width"])
        lower, prompt = bool(settings["lower"]), str(settings["prompt"])
    except (KeyError, TypeError, ValueError):
        longest = width = 0
        lower, prompt = False, ""
    if not (1 <= longest <= 8192 and 1 <= width <= 16_384):
        raise PackageError("the settings of the language model are damaged")
    return longest, lower, prompt, width


def _open_tokenizer(data: bytes, longest: int) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingExtraError("a language model for text", "deep") from None
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
        tokenizer.no_padding()
        tokenizer.enable_truncation(longest)
    except Exception as error:
        # The library, written in Rust, raises bare exceptions.
        raise PackageError(f"the tokenizer is damaged ({type(error).__name__})") from None
    return tokenizer


def _open_session(graph: bytes, threads: int) -> ort.InferenceSession:
    if _OUTSIDE in graph:
        raise PackageError("the graph of the language model refers to a file outside the package")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's errors share no other base.
        raise PackageError(f"the language model cannot be opened ({type(error).__name__})") from None
    if {value.name for value in session.get_inputs()} != {"ids", "mask"}:
        raise PackageError("the graph of the language model takes other inputs than ids and mask")
    return session
