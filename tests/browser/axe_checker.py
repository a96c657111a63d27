"""axe-core on a page: what people who cannot see well or use a mouse would stumble over."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from ward_story import Desk

SERIOUS = {"serious", "critical"}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def read_axe() -> str:
    """The checker, which the browser runs from outside the page: its policy stays as it is."""
    found = find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.fail("axe-core-python is not installed")
    return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def faults(desk: Desk, axe: str) -> list[str]:
    """What is seriously wrong with the page that is shown."""
    desk.page.evaluate(f"() => {{ {axe} }}")
    checked = desk.page.evaluate(
        "(tags) => axe.run({runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", TAGS
    )
    assert checked["passes"], "nothing was checked"
    return [
        f"{desk.page.url} {each['impact']} {each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in checked["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
