"""The public names: sorted, each loaded from the module that makes it, and quick to import."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import galeno


def test_names_are_sorted_and_in_the_table() -> None:
    assert galeno.__all__ == sorted(galeno.__all__)
    assert list(galeno._HOMES) == galeno.__all__


@pytest.mark.parametrize("name", galeno.__all__)
def test_a_name_is_made_where_the_table_says(name: str) -> None:
    value = getattr(galeno, name)
    assert value is getattr(import_module(galeno._HOMES[name]), name)
    assert value.__module__ == galeno._HOMES[name]
    assert value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(str(galeno.__file__)).read_text(encoding="utf-8"))
    typed = {
        name.name: node.module
        for guard in tree.body
        if isinstance(guard, ast.If)
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert typed == galeno._HOMES


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        galeno.nothing  # noqa: B018


def test_importing_galeno_imports_nothing_heavy() -> None:
    heavy = ("polars", "numpy", "sklearn", "mlflow", "onnxruntime", "pydantic")
    code = f"import sys, galeno; sys.exit(any(name in sys.modules for name in {heavy!r}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
