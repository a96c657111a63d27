"""Names of terms in other languages, from a table of the Babelon standard."""

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

import polars as pl

from galeno.errors import KnowledgeError
from galeno.knowledge.ontology import Ontology, Synonym

NEEDED = ("subject_id", "translation_language", "translation_value")
UNTRANSLATED = ("NOT_TRANSLATED",)
_LABELS = ("rdfs:label", "")
_SYNONYMS = {"hasexactsynonym": "EXACT", "exactsynonym": "EXACT", "hasnarrowsynonym": "NARROW",
             "hasbroadsynonym": "BROAD", "hasrelatedsynonym": "RELATED"}  # fmt: skip


def with_translations(ontology: Ontology, path: Path, language: str = "es") -> Ontology:
    """Add the names of one language to an ontology.

    They become synonyms whose kind is the language's code, the label of each term the first of them (see
    `translated_name`), which search, reading and the recognition of text then know. Labels of ids that were
    replaced become synonyms of the terms that stand for them now.

    Args:
        ontology: stays as it is.
        path: a table of the Babelon standard (Monarch Initiative): tab-separated, with at least the columns
            subject_id, translation_language and translation_value; predicate_id and translation_status are
            heeded where they are there. May be compressed (.gz).
        language: its code, as the table says it.

    Raises:
        KnowledgeError: the file is missing or is no such table, or has nothing in the language.
    """
    table = _read(path).filter(
        (pl.col("translation_language") == language)
        & (pl.col("translation_value").str.strip_chars() != "")
        & ~pl.col("translation_status").is_in(UNTRANSLATED)
    )
    labels: dict[int, str] = {}
    others: dict[int, dict[str, str]] = {}
    columns = ("subject_id", "predicate_id", "translation_value")
    for subject, predicate, value in table.select(columns).iter_rows():
        found = ontology.find(subject)
        scope = _SYNONYMS.get(predicate.rpartition(":")[2].lower())
        if found is None or (scope is None and predicate not in _LABELS):
            continue
        text = value.strip()
        if scope is None and not found.notice:
            labels.setdefault(found.term, text)
        else:
            others.setdefault(found.term, {}).setdefault(text, scope or "EXACT")
    if not labels and not others:
        raise KnowledgeError(
            f"the table has no names of this ontology in the language {language}",
            where=str(path),
            remedy="Name a Babelon table of that language, such as hp-es.babelon.tsv",
        )
    synonyms = []
    for term, known in enumerate(ontology.synonyms):
        added = {labels[term]: "EXACT"} if term in labels else {}
        for text, scope in others.get(term, {}).items():
            added.setdefault(text, scope)
        new = tuple(Synonym(text, scope, language) for text, scope in added.items())
        kept = tuple(each for each in known if each.kind != language or each.text not in added)
        synonyms.append(new + kept if new else known)
    return replace(ontology, synonyms=tuple(synonyms))


def translated_name(ontology: Ontology, term: int, language: str = "es") -> str | None:
    """The label of a term in a language; None where the ontology carries none."""
    return next((each.text for each in ontology.synonyms[term] if each.kind == language), None)


def _read(path: Path) -> pl.DataFrame:
    broken = KnowledgeError(
        "this is not a Babelon table",
        where=str(path),
        remedy=f"Name a tab-separated file with the columns {', '.join(NEEDED)}",
    )
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise broken from None
    except OSError as error:
        raise KnowledgeError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Name a file that is there"
        ) from None
    try:
        table = pl.read_csv(content, separator="\t", quote_char=None, infer_schema=False).fill_null("")
    except pl.exceptions.PolarsError:
        raise broken from None
    if not set(NEEDED) <= set(table.columns):
        raise broken
    absent = [name for name in ("predicate_id", "translation_status") if name not in table.columns]
    return table.with_columns(pl.lit("").alias(name) for name in absent)
