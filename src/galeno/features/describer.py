"""The describer: what can be said of a sound, an image or a text alone, before anything is learned.

It is the dear part of an encoder, and it depends on no other record: so it is done once for a file, and not
once for each fold. The description stands beside the value, under the column's name and DESCRIPTION.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from galeno.errors import PackageError
from galeno.features.audio import AUDIO_VERSION, describe_sound
from galeno.features.backbone import Backbone
from galeno.features.encoder import DESCRIPTION
from galeno.features.image import IMAGE_VERSION, describe_images
from galeno.features.layout import (
    Stretch,
    image_layout,
    image_tensor,
    sound_layout,
    sound_tensor,
    text_layout,
)
from galeno.features.sentences import SentenceVectors
from galeno.media.image import read_image
from galeno.media.sound import Sound, read_sound
from galeno.recipes import Features
from galeno.storage.atomic import write_bytes
from galeno.study import Column, ColumnType, Study

BLOCK = 64
"""Contents that are decoded at a time."""
_BACKBONE, _SENTENCES = "backbone.onnx", "sentences.onnx"
_TOKENIZER, _SETTINGS = "tokenizer.json", "sentences.json"


class SentenceFiles(NamedTuple):
    """A model of sentences as `deep.sentences` wrote it."""

    onnx: bytes
    tokenizer: bytes
    settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of all three."""
        told = json.dumps(dict(self.settings), sort_keys=True).encode()
        return sha256(
            b"".join(sha256(part).digest() for part in (self.onnx, self.tokenizer, told))
        ).hexdigest()


class Describer:
    """Describes the cells of a study's columns of sounds and images, and of texts where there is a model.

    Args:
        columns: feature columns of the study.
        features: its recipes.
        backbone: network that is asked for images.
        sentences: model that is asked for texts.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        features: Features,
        backbone: Backbone | None = None,
        sentences: SentenceFiles | None = None,
    ) -> None:
        described: set[ColumnType] = {"sound", "image"}
        if sentences is not None:
            described.add("text")
        self.columns: dict[str, ColumnType] = {
            name: column.type for name, column in columns.items() if column.type in described
        }
        """Columns that are described, and their types."""
        self._features, self._backbone, self._files = features, backbone, sentences
        self._sentences: SentenceVectors | None = None
        if sentences is not None:
            self._sentences = SentenceVectors(*sentences)

    @classmethod
    def of(cls, study: Study) -> Self:
        """The describer of a study that is to be learned from.

        Raises:
            MissingExtraError: the study asks for a model, and what reads it is not installed.
            SourceError: a model that it names cannot be read.
        """
        backbone = sentences = None
        types = {column.type for column in study.features_columns.values()}
        recipe = study.features.image
        if "image" in types and recipe.backbone and not recipe.fine_tune:
            from galeno.deep.backbone import load_backbone

            backbone = Backbone(
                load_backbone(Path(recipe.backbone), recipe.backbone_size), recipe.backbone_size
            )
        if "text" in types and study.features.text.model:
            from galeno.deep.sentences import export_sentences

            sentences = SentenceFiles(*export_sentences(Path(study.features.text.model)))
        return cls(study.features_columns, study.features, backbone, sentences)

    @cached_property
    def digest(self) -> str:
        """Of all that decides what a description is."""
        parts = {
            "versions": [AUDIO_VERSION, IMAGE_VERSION],
            "audio": self._features.audio.network != "none",
            "image": self._features.image.model_dump(mode="json", exclude={"components", "flip", "backbone"}),
            "backbone": "" if self._backbone is None else sha256(self._backbone.onnx).hexdigest(),
            "sentences": "" if self._files is None else self._files.digest,
        }
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def layout(self, name: str) -> tuple[Stretch, ...]:
        """How a column's descriptions are laid out."""
        kind = self.columns[name]
        if kind == "sound":
            return sound_layout(self._features.audio)
        if kind == "image":
            return image_layout(self._features.image, 0 if self._backbone is None else self._backbone.width)
        return text_layout(self._sentences.width if self._sentences is not None else 0)

    def describe(self, name: str, values: Sequence[Any], threads: int = 1) -> list[bytes | None]:
        """Descriptions of cells, as little-endian float32; None where there is nothing to describe.

        Args:
            name: the column.
            values: clean contents (bytes) of sounds or images, or texts; a digest of the lake, which is no
                content, and None are not described.
            threads: blocks of cells that are described side by side.
        """
        kind = self.columns[name]
        work = {
            "sound": self._describe_sounds,
            "image": self._describe_images,
            "text": self._describe_texts,
        }[kind]
        blocks = [values[at : at + BLOCK] for at in range(0, len(values), BLOCK)]
        if threads == 1 or (len(blocks) == 1 and kind != "sound"):
            return [each for block in blocks for each in work(block)]
        if kind == "sound":  # each takes long enough to be shared out by itself
            blocks = [[value] for value in values]
        with ThreadPoolExecutor(threads) as pool:
            return [each for block in pool.map(work, blocks) for each in block]

    def describe_record(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """A typed record with the descriptions beside its values."""
        found = {
            f"{name}{DESCRIPTION}": self.describe(name, [values[name]])[0]
            for name in self.columns
            if values.get(name) is not None and f"{name}{DESCRIPTION}" not in values
        }
        return {**values, **found} if found else values

    def describe_frame(self, frame: pl.DataFrame, threads: int = 1) -> pl.DataFrame:
        """A frame of typed rows with the descriptions beside their columns; those that are there stay."""
        wanted = [name for name in self.columns if f"{name}{DESCRIPTION}" not in frame.columns]
        return frame.with_columns(
            pl.Series(f"{name}{DESCRIPTION}", self.describe(name, frame[name].to_list(), threads), pl.Binary)
            for name in wanted
            if name in frame.columns
        )

    def save(self, folder: Path) -> list[str]:
        """Write the models that answering needs; gives the names of the files."""
        files: dict[str, bytes] = {}
        if self._backbone is not None:
            files[_BACKBONE] = self._backbone.onnx
        if self._files is not None:
            files[_SENTENCES], files[_TOKENIZER] = self._files.onnx, self._files.tokenizer
            files[_SETTINGS] = json.dumps(dict(self._files.settings), sort_keys=True).encode()
        for name, content in files.items():
            write_bytes(folder / name, content)
        return list(files)

    @classmethod
    def load(cls, folder: Path, study: Study) -> Self:
        """The describer of a package.

        Raises:
            PackageError: a model is missing or damaged.
        """
        backbone = sentences = None
        try:
            if (folder / _BACKBONE).exists():
                size = study.features.image.backbone_size
                backbone = Backbone((folder / _BACKBONE).read_bytes(), size)
            if (folder / _SENTENCES).exists():
                settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
                parts = [(folder / name).read_bytes() for name in (_SENTENCES, _TOKENIZER)]
                sentences = SentenceFiles(parts[0], parts[1], settings)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PackageError(
                f"a model that describes records cannot be read ({type(error).__name__})", where=str(folder)
            ) from None
        return cls(study.features_columns, study.features, backbone, sentences)

    def describe_sound(self, sound: Sound) -> bytes:
        """The description of one sound."""
        numbers = describe_sound(sound.samples, sound.rate)
        if self._features.audio.network != "none":
            tensor = sound_tensor(sound.samples, sound.rate)
            numbers = np.concatenate([numbers, tensor.reshape(-1)])
        return numbers.astype("<f4").tobytes()

    def describe_image(self, pixels: NDArray[np.uint8]) -> bytes:
        """The description of one image, (height, width) or (height, width, 3)."""
        return self._describe_pixels([pixels])[0]

    def _describe_sounds(self, contents: Sequence[Any]) -> list[bytes | None]:
        return [
            self.describe_sound(read_sound(content)) if isinstance(content, bytes) else None
            for content in contents
        ]

    def _describe_images(self, contents: Sequence[Any]) -> list[bytes | None]:
        given = [place for place, content in enumerate(contents) if isinstance(content, bytes)]
        made = self._describe_pixels([read_image(contents[place]).pixels for place in given])
        found: list[bytes | None] = [None] * len(contents)
        for place, description in zip(given, made, strict=True):
            found[place] = description
        return found

    def _describe_pixels(self, pixels: Sequence[NDArray[np.uint8]]) -> list[bytes]:
        recipe = self._features.image
        parts: list[list[NDArray[np.float32]]] = [[row] for row in describe_images(pixels, recipe.size)]
        for part, image in zip(parts, pixels, strict=True):
            if self._backbone is not None:
                part.append(self._backbone.embed(image))
            if recipe.network != "none":
                part.append(image_tensor(image, recipe.size).reshape(-1))
            if recipe.backbone and recipe.fine_tune:
                part.append(image_tensor(image, recipe.backbone_size).reshape(-1))
        return [np.concatenate(part).astype("<f4").tobytes() for part in parts]

    def _describe_texts(self, texts: Sequence[Any]) -> list[bytes | None]:
        if self._sentences is None:
            return [None] * len(texts)
        given = [place for place, text in enumerate(texts) if text]
        vectors = self._sentences.embed([str(texts[place]) for place in given])
        found: list[bytes | None] = [None] * len(texts)
        for place, vector in zip(given, vectors, strict=True):
            found[place] = vector.astype("<f4").tobytes()
        return found


def unpack(descriptions: Sequence[Any], width: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Descriptions as numbers.

    Returns:
        numbers, zeros where there is none, shape (rows, width), and whether there is one, shape (rows,).
    """
    out = np.zeros((len(descriptions), width), np.float32)
    there = np.zeros(len(descriptions), np.bool_)
    for row, description in enumerate(descriptions):
        if description is not None:
            out[row] = np.frombuffer(description, "<f4")
            there[row] = True
    return out, there
