"""The documentation says what the code does: generated pages, settings, commands and links."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from galeno.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = re.compile(r"galeno [a-z][^`\n|]*")


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    """scripts/write_docs.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["study.md", "commands.md"])
def test_a_generated_page_is_current(writer: ModuleType, name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == writer.PAGES[name](), f"docs/{name} is out of date; run: make docs"


def test_every_setting_of_the_code_is_documented_and_no_other() -> None:
    read = set()
    tests = [*(ROOT / "tests").rglob("conftest.py"), ROOT / "tests" / "postgres.py"]
    for path in [*(ROOT / "src").rglob("*.py"), *tests]:
        read |= set(re.findall(r"GALENO_[A-Z_]+", path.read_text(encoding="utf-8")))
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(GALENO_[A-Z_]+)`", page, flags=re.MULTILINE)) == read


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## galeno (.*)", page, flags=re.MULTILINE)
    assert titles == [" ".join(words) for words in commands(typer.main.get_command(app))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_command_line_that_is_shown_can_be_given(page: Path) -> None:
    for line, whole in shown_commands(page.read_text(encoding="utf-8")):
        check_command(line, whole=whole)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("galeno predit m --input a --output b", "predit"),
        ("galeno run study.yaml --seed 3", "--seed"),
        ("galeno predict m --input a", "output"),
        ("galeno models remove thyroid", "remove"),
    ],
)
def test_a_command_line_that_cannot_be_given_is_found(line: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_command(line, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, in the order of the help."""
    if not hasattr(command, "commands"):
        yield words
        return
    for word, inner in command.commands.items():
        yield from commands(inner, (*words, word))


def shown_commands(text: str) -> Iterator[tuple[str, bool]]:
    """Command lines of a page; whether they stand in a block, where they must be whole."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().removeprefix("$ ").startswith("galeno "):
                yield line.strip().removeprefix("$ "), True
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        if SHOWN.match(span):
            yield span, False


def check_command(line: str, *, whole: bool) -> None:
    """Fail where the command or an option of it is not known, or, in a whole line, something is missing."""
    words = shlex.split(line, comments=True)
    words = words[: next((i for i, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";"}), None)]
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands"):
        if not rest and not whole:
            return
        assert rest, f"no command in: {line}"
        assert rest[0] in command.commands, f"no command {rest[0]}: {line}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        if word.startswith("-") and word.partition("=")[0] not in {*known, "-h", "--help"}:
            raise AssertionError(f"no option {word}: {line}")
    if whole and not {"-h", "--help"} & set(rest):
        try:
            command.make_context(command.name, list(rest))
        except SystemExit as ended:
            raise AssertionError(f"not whole: {line}") from ended
        except Exception as error:  # the command line library's own kinds
            raise AssertionError(f"{error}: {line}") from error
