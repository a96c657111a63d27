"""Descriptions of a run's sounds, images and texts: made once, before anything is learned."""

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
"""Contents that are described at a time."""


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
            told = told.rename({"description": f"{name}{DESCRIPTION}"})
            frame = frame.drop(f"{name}{DESCRIPTION}", strict=False).join(
                told, on=name, how="left", maintain_order="left"
            )
    return frame


def _describe_column(
    values: pl.Series, name: str, describer: Describer, context: StepContext
) -> pl.DataFrame:
    """The distinct values of a column, and the description of each."""
    distinct = values.drop_nulls().unique(maintain_order=True)
    schema = {name: pl.String(), "description": pl.Binary()}
    if describer.columns[name] == "text":
        texts = distinct.to_list()
        return pl.DataFrame({name: texts, "description": describer.describe(name, texts)}, schema=schema)
    found: dict[str, bytes | None] = {}
    contents = Contents(Lake(context.home.lake))
    waiting: list[tuple[str, bytes]] = []

    def work() -> None:
        made = describer.describe(name, [content for _, content in waiting], context.threads)
        found.update(zip((digest for digest, _ in waiting), made, strict=True))
        waiting.clear()
        context.reporter.rows(len(found))

    for each in contents.read(distinct.to_list()):
        waiting.append(each)
        if len(waiting) == CHUNK:
            work()
    if waiting:
        work()
    return pl.DataFrame({name: list(found), "description": list(found.values())}, schema=schema)
