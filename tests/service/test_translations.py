"""Every message of the pages is there in Spanish, and nothing else is."""

import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from galeno.service import pages
from galeno.service.pages.words import choose_language, words_of

FOLDER = Path(pages.__file__).parent
SPANISH = sorted((FOLDER / "locale" / "es").glob("*.po"))
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "mark": None}
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"templates/**.html": {"extensions": "jinja2.ext.do", "silent": "false"}}
Id = str | tuple[str, ...]


@cache
def written() -> dict[Id, str]:
    """Messages of templates and programs, and where they are."""
    found: dict[Id, str] = {}
    for name, line, message, _, _ in extract_from_dir(
        str(FOLDER), method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS
    ):
        found.setdefault(message, f"{name}:{line}")
    return found


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as stream:
        return read_po(stream, locale="es", abort_invalid=True)


def translated() -> Iterator[tuple[Path, Message]]:
    for path in SPANISH:
        for message in catalogue(path):
            if message.id:
                yield path, message


def key(message: Message) -> Id:
    return message.id if isinstance(message.id, str) else tuple(message.id)


def texts(content: str | list[str] | tuple[str, ...]) -> list[str]:
    return [content] if isinstance(content, str) else list(content)


def named(text: str) -> set[str]:
    """Placeholders such as %(num)s."""
    return set(re.findall(r"%\((\w+)\)[sdf]", text))


def test_every_message_has_its_spanish() -> None:
    there = {key(message) for _, message in translated() if all(texts(message.string))}
    assert len(written()) > 40
    missing = [(where, message) for message, where in written().items() if message not in there]
    assert not missing


def test_nothing_is_translated_that_is_said_nowhere() -> None:
    unused = [(path.name, message.id) for path, message in translated() if key(message) not in written()]
    assert not unused
    assert not [path.name for path in SPANISH if catalogue(path).obsolete]


def test_nothing_is_fuzzy() -> None:
    assert not [(path.name, message.id) for path, message in translated() if message.fuzzy]


def test_one_message_has_one_translation() -> None:
    said: dict[Id, object] = {}
    for path, message in translated():
        assert said.setdefault(key(message), message.string) == message.string, (path.name, message.id)


def test_placeholders_agree() -> None:
    for path, message in translated():
        expected = named(" ".join(texts(message.id)))
        for text in texts(message.string):
            assert named(text) <= expected, (path.name, message.id)
            assert "%" not in re.sub(r"%\(\w+\)[sdf]|%%", "", text) or "%" in " ".join(texts(message.id))
        assert named(texts(message.string)[-1]) == named(texts(message.id)[-1]), (path.name, message.id)


def test_blanks_and_full_stops_agree() -> None:
    """A text that ends a sentence in one language ends it in the other."""
    for path, message in translated():
        for text in texts(message.string):
            assert text == text.strip(), (path.name, message.id)
            ends = [said[-1:] if said[-1:] in ".:?" else "" for said in (texts(message.id)[0], text)]
            assert ends[0] == ends[1], (path.name, message.id)


def test_templates_say_nothing_past_the_catalogues() -> None:
    """Text between tags goes through gettext; what is left are names, signs and figures."""
    allowed = {"galeno", "csv", "json", "fhir", "·", "–"}
    for path in sorted((FOLDER / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"\{% block width %\}[\w ]*", " ", text)  # classes, not words
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", text, flags=re.DOTALL)
        bare = re.sub(r"<[^>]*>|&\w+;|[\w-]+=\"[^\"]*\"", " ", text)
        words = {word.strip(string.punctuation).lower() for word in bare.split()}
        left = {word for word in words if re.search(r"[^\W\d_]{2}", word)} - allowed
        assert not left, path.name


def test_both_languages_say_numbers_and_dates_in_their_own_way() -> None:
    english, spanish = words_of("en"), words_of("es")
    assert english.number(1234.5) == "1,234.5"
    assert spanish.number(12345.5) == "12.345,5"
    assert english.number(2, 2) == "2.00"
    assert english.number(None) == spanish.percent(None) == spanish.date(None) == "–"
    assert english.percent(0.714) == "71%"
    assert spanish.percent(0.714, 1) == "71,4\xa0%"
    assert english.date("2026-11-21") == "Nov 21, 2026"
    assert spanish.date("2026-11-21") == "21 nov 2026"
    assert spanish.date("2026-11-21", "long") == "21 de noviembre de 2026"
    assert re.fullmatch(r"21 nov 2026, \d\d:\d\d", spanish.time("2026-11-21T12:00:00.000000Z"))
    assert spanish.gettext("Sign in") == "Iniciar sesión"
    assert spanish.gettext("no such words") == "no such words"


@pytest.mark.parametrize(
    ("accepted", "chosen", "language"),
    [
        ("", "", "en"),
        ("es", "", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "", "es"),
        ("en;q=0.5, es;q=0.9", "", "es"),
        ("fr, de;q=0.9", "", "en"),
        ("fr, es;q=0.1", "", "es"),
        ("es;q=0, en", "", "en"),
        ("es;q=nonsense, *", "", "en"),
        ("es", "en", "en"),
        ("en", "es", "es"),
        ("es", "xx", "es"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(accepted: str, chosen: str, language: str) -> None:
    assert choose_language(accepted, chosen) == language


def test_an_unknown_language_is_answered_in_english() -> None:
    assert words_of("xx").language == "en"
