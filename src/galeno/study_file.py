"""Reading `study.yaml`: every complaint names the line and the remedy."""

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from galeno.errors import StudyError
from galeno.study import Study

SCHEMA_ID = "study.schema.json"

_Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML as version 1.2 reads it: `NO` and `yes` are texts, only true and false are booleans."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF")
)


def load_study(path: Path, overrides: Iterable[str] = ()) -> Study:
    """Read and check a study file.

    Args:
        path: the YAML file; relative paths in it (`records.source` and `files`, `features.image.backbone`,
            `features.text.model`) are taken from its folder, those of overrides too.
        overrides: `KEY=YAML` texts, such as `learning.budget.trials=6`.

    Raises:
        StudyError: the file cannot be read, is not YAML, or does not fit the schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(
            "no such study file",
            where=str(path),
            remedy="Draft one with: galeno init --from TABLE --target COLUMN",
        ) from None
    except IsADirectoryError:
        raise StudyError(
            "is a folder, not a study file", where=str(path), remedy="Name the file, such as study.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"cannot be read as text ({type(error).__name__})", where=str(path)) from None
    data, lines = _parse(text, str(path))
    sources = {location: f"{path}, line {line}" for location, line in lines.items()}
    for override in overrides:
        _override(data, override, sources)
    study = validate_study(data, sources, str(path))
    return _anchor(study, path.parent)


def validate_study(data: Mapping[str, Any], sources: Mapping[_Path, str], name: str) -> Study:
    """Check a parsed study; `sources` tells where each key stands.

    Raises:
        StudyError: listing every fault with its place.
    """
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        faults = [_describe(detail, sources, name) for detail in error.errors()]
        if len(faults) == 1:
            raise StudyError(faults[0], remedy="docs/study.md lists every key") from None
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise StudyError(
            f"{name}: {len(faults)} faults:\n{listed}\n", remedy="docs/study.md lists every key"
        ) from None


def dump_study(study: Study) -> str:
    """The study as YAML that `load_study` reads back; defaults are left out, units to fill in are not."""
    data = study.model_dump(mode="json", exclude_defaults=True)
    for column in data["columns"].values():
        if column["type"] == "number":
            column.setdefault("unit", "")
    head = (
        f"# yaml-language-server: $schema={SCHEMA_ID}\n"
        "# Every key: docs/study.md; the schema for editors: galeno schema\n"
    )
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def study_schema() -> str:
    """The JSON schema of study files."""
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def parse_value(text: str) -> Any:
    """One YAML value of a `--set` override."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  (derives from SafeLoader)


def _parse(text: str, name: str) -> tuple[dict[str, Any], dict[_Path, int]]:
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  (derives from SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise StudyError(
            f"not valid YAML: {error.problem}",
            where=f"{name}, line {line}",
            remedy="Check indentation and quotes there",
        ) from None
    except yaml.YAMLError:
        raise StudyError("not valid YAML", where=name, remedy="Save it as plain UTF-8 text") from None
    if not isinstance(data, dict) or not isinstance(node, yaml.MappingNode):
        raise StudyError("a study is a mapping of keys to values", where=f"{name}, line 1")
    lines: dict[_Path, int] = {}
    _note_lines(node, (), lines, name)
    return data, lines


def _note_lines(node: yaml.Node, path: _Path, lines: dict[_Path, int], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise StudyError(
                    f"key {key.value!r} stands twice",
                    where=f"{name}, line {key.start_mark.line + 1}",
                    remedy="Remove one of them",
                )
            seen.add(key.value)
            lines[(*path, key.value)] = key.start_mark.line + 1
            _note_lines(value, (*path, key.value), lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*path, index), lines, name)


def _override(data: dict[str, Any], override: str, sources: dict[_Path, str]) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise StudyError(
            "an override is KEY=YAML", where=f"--set {override}", remedy="For example --set seed=3"
        )
    try:
        value = parse_value(text)
    except yaml.YAMLError:
        raise StudyError("the value is not valid YAML", where=f"--set {key}") from None
    path = tuple(key.strip().split("."))
    place: Any = data
    for depth, step in enumerate(path[:-1], start=1):
        if place.get(step) is None:
            place[step] = {}
            sources[path[:depth]] = f"--set {key}"
        place = place[step]
        if not isinstance(place, dict):
            raise StudyError(f"{step!r} has no keys below it", where=f"--set {key}")
    place[path[-1]] = value
    for known in [known for known in sources if known[: len(path)] == path]:
        del sources[known]
    sources[path] = f"--set {key}"


def _describe(detail: ErrorDetails, sources: Mapping[_Path, str], name: str) -> str:
    location = tuple(detail["loc"])
    place = location
    while place and place not in sources:
        place = place[:-1]
    where = sources.get(place, name)
    key = ".".join(str(part) for part in location)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = "unknown key" + _suggest(location)
    elif location[:1] == ("gate",) and detail["type"] == "model_type":
        message = "a threshold is a number, or {min: NUMBER, max: NUMBER}"
    elif detail["type"] == "missing":
        message = "required key is missing"
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _suggest(location: _Path) -> str:
    model: type[BaseModel] | None = Study
    for part in location[:-1]:
        if isinstance(part, int) or model is None or part not in model.model_fields:
            continue  # an index, or a free name such as a column's: the model stays the one below it
        model = _model_in(model.model_fields[part].annotation)
    if model is None:
        return ""
    close = get_close_matches(str(location[-1]), model.model_fields, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(model.model_fields)}"


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation such as `dict[str, Column]` or `tuple[Class, ...]` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _anchor(study: Study, folder: Path) -> Study:
    """The study with its relative paths taken from the folder of its file."""
    features, records = study.features, study.records
    update: dict[str, Any] = {"files": _anchor_path(records.files, folder)}
    if isinstance(records.source, str):
        update["source"] = _anchor_source(records.source, folder)
    image = {"backbone": _anchor_path(features.image.backbone, folder)}
    text = {"model": _anchor_path(features.text.model, folder)}
    anchored = {
        "image": features.image.model_copy(update=image),
        "text": features.text.model_copy(update=text),
    }
    return study.model_copy(
        update={
            "records": records.model_copy(update=update),
            "features": features.model_copy(update=anchored),
        }
    )


def _anchor_source(source: str, folder: Path) -> str:
    if re.match(r"^(sklearn|cohort):", source):
        return source
    scheme, place = ("fhir:", source[5:]) if source.startswith("fhir:") else ("", source)
    return source if "://" in source else scheme + str((folder / place).resolve())


def _anchor_path(place: str, folder: Path) -> str:
    """A path of a file or folder; nothing, or an address such as s3://, stays as it is."""
    return place if not place or "://" in place else str((folder / place).resolve())
