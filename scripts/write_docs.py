"""Write the pages of docs/ that are made from the code: study keys and commands.

`python scripts/write_docs.py` writes them; with `--check` it fails when one is out of date.
"""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from galeno.cli import app
from galeno.study import Study

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- Written by scripts/write_docs.py from the code; change it there. -->\n"


def study_page() -> str:
    """docs/study.md: every key of a study file."""
    lines = [
        NOTE,
        "# The study file",
        "",
        "One diagnostic question, declared in one file. `galeno init` drafts it from a table, `galeno run`",
        "runs it, `galeno schema > study.schema.json` gives editors its JSON schema, and `--set KEY=YAML`",
        "overrides any key, for example `--set learning.budget.minutes=5` or",
        "`--set gate.per_class.NAME.recall=0.6`.",
        "",
        "YAML is read as version 1.2 reads it: `NO` and `yes` are texts, only `true` and `false` booleans.",
        "",
    ]
    done: set[type[BaseModel]] = set()
    for path, model in _sections(Study, ""):
        if model not in done:
            done.add(model)
            lines += _section(path, model)
    return "\n".join(lines)


def commands_page() -> str:
    """docs/commands.md: every command with its options."""
    codes = "Exit codes: 0 done, 2 bad input (one message), 3 refused by the gate."
    lines = [NOTE, "# Commands", "", codes, ""]
    for name, command in _commands(typer.main.get_command(app), "galeno"):
        lines += [f"## {name}", "", (command.help or "").strip(), ""]
        lines += ["| argument or option | meaning |", "|---|---|"]
        for parameter in command.params:
            names = ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])
            shown = names if parameter.param_type_name == "option" else f"`{parameter.metavar}`"
            lines.append(f"| {shown} | {_cell(getattr(parameter, 'help', '') or '')} |")
        lines.append("")
    return "\n".join(lines)


PAGES = {"study.md": study_page, "commands.md": commands_page}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _commands(inner, f"{name} {word}")
    else:
        yield name, command


def _sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for key, field in model.model_fields.items():
        for inner in _models(field.annotation):
            marker = {dict: ".NAME", tuple: "[]"}.get(get_origin(field.annotation), "")  # type: ignore[arg-type]
            yield from _sections(inner, f"{path}.{key}{marker}".lstrip("."))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _section(path: str, model: type[BaseModel]) -> list[str]:
    doc = " ".join((model.__doc__ or "").split())
    lines = [f"## {f'`{path}`' if path else 'Top level'}", "", doc, ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        cells = (f"`{key}`", _kind(field.annotation), _default(field), _cell(field.description or ""))
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " / ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of name to {_kind(arguments[1])}"
    return _kind(arguments[0]) if origin is not None else _plain_kind(annotation)


def _plain_kind(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    names = {str: "text", float: "number", int: "whole number", bool: "true or false", type(None): "null"}
    return names[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "see below"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "empty" if value in ("", []) else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write or check the pages."""
    stale = [name for name, page in PAGES.items() if not _current(name, page())]
    if "--check" in sys.argv[1:]:
        sys.stderr.writelines(f"docs/{name} is out of date; run: make docs\n" for name in stale)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _current(name: str, text: str) -> bool:
    path = DOCS / name
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
