"""Descriptions of a run's sounds, images and texts: made once, before anything is learned."""

from collections.abc import Iterable, Iterator

import polars as pl

from galeno.features.describer import Describer
from galeno.features.encoder import DESCRIPTION
from galeno.pipeline.context import StepContext
from galeno.storage.atomic import replacing
from galeno.storage.contents import Contents
from galeno.storage.lake import Lake

MODELS = "models"
"""Folder of the ingest step with the models that describe images and texts."""
CHUNK = 512
"""Contents that are described at a time, at most."""
CHUNK_BYTES = 64 * 2**20
"""Bytes of the contents that are described at a time, about."""


def describe_good(good: pl.DataFrame, context: StepContext) -> None:
    """Describe what the good rows hold, and leave it in the folder of the ingest step.

    Raises:
        MissingExtraError: the study asks for a model, and what reads it is not installed.
        SourceError: a model that the study names cannot be read.
        LakeError: the lake cannot be read.
    """
    describer = Describer.of(context.study)
    models = context.made("ingest") / MODELS
    models.mkdir(exist_ok=True)
    describer.save(models)  # the package answers with the very models that described what it learned from
    for number, name in enumerate(describer.columns):
        told = _describe_column(good[name], name, describer, context)
        path = context.made("ingest") / f"described-{number}.parquet"
        with replacing(path, mode=0o600) as temporary:
            told.write_parquet(temporary)


def describe_frame(frame: pl.DataFrame, describer: Describer, context: StepContext) -> pl.DataFrame:
    """Rows of the lake with the descriptions that another model's describer makes of them."""
    for name in describer.columns:
        if name in frame.columns:
            told = _describe_column(frame[name], name, describer, context)
            frame = frame.drop(told.columns[1], strict=False)
            frame = frame.join(told, on=name, how="left", maintain_order="left")
    return frame


def _describe_column(
    values: pl.Series, name: str, describer: Describer, context: StepContext
) -> pl.DataFrame:
    """The distinct values of a column, and beside them the description of each, called as in a frame."""
    distinct = values.drop_nulls().unique(maintain_order=True)
    schema = {name: pl.String(), f"{name}{DESCRIPTION}": pl.Binary()}
    if describer.columns[name] == "text":
        texts = distinct.to_list()
        return pl.DataFrame([texts, describer.describe(name, texts)], schema=schema, orient="col")
    found: dict[str, bytes | None] = {}
    contents = Contents(Lake(context.home.lake))
    for chunk in _chunks(contents.read(distinct.to_list())):
        made = describer.describe(name, [content for _, content in chunk], context.threads)
        found.update(zip((digest for digest, _ in chunk), made, strict=True))
        context.reporter.rows(len(found))
    return pl.DataFrame([list(found), list(found.values())], schema=schema, orient="col")


def _chunks(contents: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Digests and contents, so many at a time as memory can hold."""
    waiting: list[tuple[str, bytes]] = []
    size = 0
    for each in contents:
        waiting.append(each)
        size += len(each[1])
        if len(waiting) == CHUNK or size >= CHUNK_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting
