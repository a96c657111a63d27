"""Model cards as HTML: the Markdown that `evaluation.card` writes, and nothing else of Markdown."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup, escape

_INLINE: Final = re.compile(r"`([^`]*)`|\*\*((?:\\.|[^*\\])+)\*\*|\\(.)", re.DOTALL)
_CELL: Final = re.compile(r"(?<!\\)\|")
_HEADING: Final = re.compile(r"(#{1,4}) (.*)")


def draw_card(markdown: str) -> Markup:
    """The card as HTML. Every text is escaped; links and HTML in it stay text.

    Args:
        markdown: headings, paragraphs, lists, tables and quotes, set apart by empty lines.
    """
    blocks = re.split(r"\n\s*\n", markdown.strip()) if markdown.strip() else []
    drawn, title = [], ""
    for block in blocks:
        heading = _HEADING.fullmatch(block)
        if heading:
            title = heading[2]
        drawn.append(_block(block.splitlines(), title))
    return Markup("\n").join(drawn)


def _block(lines: Sequence[str], title: str) -> Markup:
    heading = _HEADING.fullmatch(lines[0])
    if heading and len(lines) == 1:
        # the page has a heading of its own, and one that says that this is the card
        level = len(heading[1]) + 2
        return Markup("<h{0}>{1}</h{0}>").format(level, _inline(heading[2]))
    if all(line.startswith("|") for line in lines) and len(lines) >= 2:
        return _table(lines, title)
    if all(line.startswith("- ") for line in lines):
        items = Markup("").join(Markup("<li>{}</li>").format(_inline(line[2:])) for line in lines)
        return Markup("<ul>{}</ul>").format(items)
    if all(line.startswith(">") for line in lines):
        text = " ".join(line[1:].strip() for line in lines)
        return Markup('<div class="banner warn"><p>{}</p></div>').format(_inline(text))
    return Markup("<p>{}</p>").format(_inline(" ".join(lines)))


def _table(lines: Sequence[str], title: str) -> Markup:
    head, _, *rows = (_cells(line) for line in lines)
    cells = Markup("").join(Markup('<th scope="col">{}</th>').format(_inline(cell)) for cell in head)
    body = Markup("").join(_row(row) for row in rows)
    # it can be scrolled by keys, and is called as the heading above it
    return Markup(
        '<div class="table-wrap" tabindex="0" role="group" aria-label="{}"><table class="data">'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(title, cells, body)


def _row(cells: Sequence[str]) -> Markup:
    first, *others = cells or [""]
    rest = Markup("").join(Markup("<td>{}</td>").format(_inline(cell)) for cell in others)
    return Markup('<tr><th scope="row">{}</th>{}</tr>').format(_inline(first), rest)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(line.strip())[1:-1]]


def _inline(text: str) -> Markup:
    return Markup("").join(_pieces(text))


def _pieces(text: str) -> Iterator[Markup]:
    """Code, bold and escaped characters; everything else as it is."""
    place = 0
    for found in _INLINE.finditer(text):
        yield escape(text[place : found.start()])
        code, bold, plain = found.groups()
        if code is not None:
            yield Markup("<code>{}</code>").format(code)
        elif bold is not None:
            yield Markup("<strong>{}</strong>").format(_inline(bold))
        else:
            yield escape(plain)
        place = found.end()
    yield escape(text[place:])
