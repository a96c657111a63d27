"""The words of report and card, one file a language in templates/; a test finds a missing or idle one."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Literal

import yaml

Language = Literal["en", "es"]


def read_words(language: Language) -> Mapping[str, str]:
    """Key to text in this language."""
    text = (files("galeno.evaluation") / "templates" / f"{language}.yaml").read_text(encoding="utf-8")
    return {str(key): str(value) for key, value in yaml.safe_load(text).items()}


def speaker(language: Language) -> Callable[..., str]:
    """A function from a word's key, and values for its places, to text in this language.

    It raises KeyError for a key that the language's file does not have.
    """
    words = read_words(language)

    def say(key: str, /, **values: object) -> str:
        text = words[key]
        return text.format(**values) if values else text

    return say
