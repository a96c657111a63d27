"""What people write into a cell of terms, and what is kept of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galeno.knowledge.signs import Signs, Token, looks_like_ids, spell_id, tokens_of

SEIZURE, ATAXIA = Token("HP:0001250", absent=False), Token("HP:0001251", absent=False)
NO_ATAXIA = Token("HP:0001251", absent=True)


@pytest.mark.parametrize(
    ("cell", "tokens"),
    [
        ("HP:0001250", [SEIZURE]),
        ("HP:0001250;HP:0001251", [SEIZURE, ATAXIA]),
        ("HP:0001250, HP:0001251", [SEIZURE, ATAXIA]),
        ("HP:0001250 | hp:0001251 ", [SEIZURE, ATAXIA]),
        ("HP:0001250\tHP_0001251", [SEIZURE, ATAXIA]),
        ("http://purl.obolibrary.org/obo/HP_0001250 HP0001251", [SEIZURE, ATAXIA]),
        ("HP:0001250;-HP:0001251", [SEIZURE, NO_ATAXIA]),
        ("HP:0001250 !HP:0001251", [SEIZURE, NO_ATAXIA]),
        ("HP:0001250,\u2212HP:0001251", [SEIZURE, NO_ATAXIA]),
        ('["HP:0001250", "-HP:0001251"]', [SEIZURE, NO_ATAXIA]),
        ("['HP:0001250', '-HP:0001251']", [SEIZURE, NO_ATAXIA]),
        (["HP:0001250", None, "! HP:0001251"], [SEIZURE, NO_ATAXIA]),
        (("HP:0001250 HP:0001251",), [SEIZURE, ATAXIA]),
        ("Seizure (HP:0001250); Ataxia (HP:0001251)", [SEIZURE, ATAXIA]),
        ("HP:0001250 (Seizure)|!HP:0001251 (Ataxia, so called)", [SEIZURE, NO_ATAXIA]),
        ("HP:0001250, Ataxia", [SEIZURE, Token("Ataxia", absent=False)]),
        ("Seizure; -Ataxia", [Token("Seizure", absent=False), Token("Ataxia", absent=True)]),
        ("Intellectual disability, mild", [Token("Intellectual disability, mild", absent=False)]),
        ("HP:00012501", [Token("HP:00012501", absent=False)]),
        ("HP:0001250 " * 500 + "Seizure", [SEIZURE] * 500),
        ("[" * 20_000 + "]" * 20_000, [Token("[" * 19_999 + "]" * 19_999, absent=False)]),
        ("", []),
        (";;, ", [Token(",", absent=False)]),
        ([], []),
        (7, None),
        ({"id": "HP:0001250"}, None),
        ([1, 2], None),
        ("[1, 2]", None),
    ],
)
def test_cells(cell: object, tokens: list[Token] | None) -> None:
    assert tokens_of(cell) == tokens


@pytest.mark.parametrize(
    ("text", "spelled"),
    [("hp_0001250", "HP:0001250"), (" HP:0001250 ", "HP:0001250"), ("HP:1250", None), ("OMIM:154700", None)],
)
def test_ids_are_spelled_in_one_way(text: str, spelled: str | None) -> None:
    assert spell_id(text) == spelled


def test_ids_alone_look_like_ids() -> None:
    assert looks_like_ids("HP:0001250; HP:0001251 (Ataxia)")
    assert not looks_like_ids("HP:0001250; Ataxia")
    assert not looks_like_ids("")


IDS = st.integers(1, 9_999_999).map("HP:{:07}".format)


@settings(max_examples=50, deadline=None)
@given(st.sets(IDS, max_size=5), st.sets(IDS, max_size=5))
def test_what_is_written_is_read_back(observed: set[str], excluded: set[str]) -> None:
    signs = Signs.of(observed, excluded)
    assert Signs.read(signs.write()) == signs
    assert set(signs.observed) == observed - excluded
    tokens = tokens_of(signs.write())
    assert tokens == [
        *(Token(term, absent=False) for term in signs.observed),
        *(Token(term, absent=True) for term in signs.excluded),
    ]


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("HPhp:_01250;|,-! ()[]\"'\nañ"), max_size=40))
def test_any_text_gives_terms(text: str) -> None:
    for token in tokens_of(text) or ():
        assert token.text == token.text.strip()
