"""What people call studies and conditions: the study's labels, in the reader's language."""

from functools import cached_property

from galeno.service.desk import Desk


class Naming:
    """Names in one language.

    Args:
        desk: knows the studies that answer.
        language: `en` or `es`.
    """

    def __init__(self, desk: Desk, language: str) -> None:
        self._desk = desk
        self._language = language

    @cached_property
    def studies(self) -> dict[str, str]:
        """Name to title of the studies that answer."""
        return {study.name: study.title or study.name for study in self._desk.studies()}

    def study(self, name: str) -> str:
        """Title of a study; its name where it does not answer or has none."""
        return self.studies.get(name, name)

    def condition(self, study: str, name: str) -> str:
        """Label of a condition; its name where it has none."""
        return self._conditions.get((study, name), name)

    @cached_property
    def _conditions(self) -> dict[tuple[str, str], str]:
        return {
            (study.name, each.name): getattr(each.label, self._language) or each.name
            for study in self._desk.studies()
            for each in study.classes
        }
