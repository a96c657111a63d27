"""What confirmed cases teach: counts, the file in the home, taking back."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_knowledge import write_small_knowledge, write_small_merge

from galeno.errors import ConflictError, KnowledgeError, LearningError, NotFoundError, OutputError
from galeno.knowledge.base import KnowledgeBase
from galeno.knowledge.cases import Case, Patient
from galeno.knowledge.learned import Learned, TermCounts, count_cases, count_rows, fingerprint_paper
from galeno.knowledge.merging import read_merge

SEIZURE, FOCAL, STATUS = "HP:0001250", "HP:0007359", "HP:0002133"
ATAXIA, SMALL_HEAD, FEVER = "HP:0001251", "HP:0000252", "HP:0001945"
KNOWN, OTHER, NEW = "OMIM:100001", "OMIM:100003", "OMIM:777777"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The small base, nothing merged."""
    return KnowledgeBase.load(*write_small_knowledge(tmp_path_factory.mktemp("knowledge")))


@pytest.fixture(scope="module")
def merge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which entries are one disease."""
    return write_small_merge(tmp_path_factory.mktemp("merge"))


def case(observed: str, truth: str = KNOWN, paper: str | None = "PMID:1", excluded: str = "") -> Case:
    """A case with signs and diseases separated by spaces."""
    patient = Patient(tuple(observed.split()), tuple(excluded.split()))
    return Case("case", patient, tuple(truth.split()), paper)


def test_counts_patients_and_not_annotations(base: KnowledgeBase) -> None:
    """Two patients with two kinds of seizure are two with seizures."""
    cases = [
        case(f"{FOCAL} {SEIZURE}", excluded=ATAXIA),
        case(STATUS, paper="PMID:2", excluded=f"{ATAXIA} {FEVER}"),
    ]
    counts, left_out = count_cases(cases, base)
    assert left_out == 0
    assert counts[KNOWN].patients == 2
    assert counts[KNOWN].seen[SEIZURE] == 2
    assert counts[KNOWN].seen[FOCAL] == counts[KNOWN].seen[STATUS] == 1
    assert counts[KNOWN].ruled_out == {ATAXIA: 2, FEVER: 1}
    assert counts[KNOWN].papers == tuple(sorted(map(fingerprint_paper, ("PMID:1", "PMID:2"))))


def test_alternative_ids_and_other_terms(base: KnowledgeBase) -> None:
    """Old ids count as what they are now; onsets, modifiers and unknown ids do not count."""
    cases = [case("HP:0001275 HP:0003577 HP:0012825 HP:9999999"), case("HP:0003577")]
    counts, left_out = count_cases(cases, base)
    assert left_out == 1
    assert counts[KNOWN].patients == 1
    assert counts[KNOWN].seen[SEIZURE] == 1
    assert not {"HP:0003577", "HP:0012825", "HP:0000001"} & set(counts[KNOWN].seen)


def test_a_sign_and_its_absence(base: KnowledgeBase) -> None:
    """What the signs imply was not absent, whatever the case says."""
    counts, _ = count_cases([case(FOCAL, excluded=f"{SEIZURE} {STATUS}")], base)
    assert counts[KNOWN].ruled_out == {STATUS: 1}


@pytest.mark.parametrize("truth", ["", f"{KNOWN} {OTHER}", f"{NEW} {KNOWN}"])
def test_refuses_cases_without_one_disease(base: KnowledgeBase, truth: str) -> None:
    """Nobody could tell which sign is of which disease."""
    with pytest.raises(LearningError, match="case 2"):
        count_cases([case(SEIZURE), case(SEIZURE, truth)], base)


def test_ids_of_several_databases_are_one_disease(base: KnowledgeBase) -> None:
    """The first that the base knows is taken."""
    counts, _ = count_cases([case(SEIZURE, f"MONDO:0000001 ORPHA:900001 {KNOWN}")], base)
    assert list(counts) == ["ORPHA:900001"]


def test_learns_undoes_and_reads_again(base: KnowledgeBase, tmp_path: Path) -> None:
    """The file says the same when it is read again, and nothing stands when all is taken back."""
    empty = Learned.open(tmp_path)
    assert empty.entries() == ()
    assert empty.counts() == {}
    assert empty.fingerprint() == ""
    learned, first = empty.learn([case(SEIZURE)], base)
    more = [case(FOCAL, paper="PMID:2"), case(FEVER, NEW)]
    learned, second = learned.learn(more, base, names={NEW: "Newly seen"})
    again = Learned.open(tmp_path)
    assert again == learned
    assert [entry.patients for entry in again.entries()] == [1, 2]
    assert again.counts()[KNOWN].seen[SEIZURE] == 2
    assert again.counts()[NEW].name == "Newly seen"
    assert again.papers() == {fingerprint_paper("PMID:1"), fingerprint_paper("PMID:2")}
    both = again.fingerprint()
    again, undone = again.undo(first.id)
    assert undone.undone
    assert again.entries()[0] == undone
    assert again.counts()[KNOWN].seen[SEIZURE] == 1
    assert again.fingerprint() not in (both, "")
    again, _ = again.undo(second.id)
    assert again.counts() == {}
    assert again.fingerprint() == ""
    assert Learned.open(tmp_path) == again


def test_what_is_taken_back_leaves_the_file(base: KnowledgeBase, tmp_path: Path) -> None:
    """Not only is it no longer counted: it is no longer there."""
    learned, entry = Learned.open(tmp_path).learn([case(f"{FOCAL} {FEVER}", excluded=ATAXIA)], base)
    assert FOCAL in learned.path.read_text()
    learned.undo(entry.id)
    assert "HP:" not in learned.path.read_text()
    assert entry.id in learned.path.read_text()


def test_the_file_holds_counts_and_no_case(base: KnowledgeBase, tmp_path: Path) -> None:
    """No case id, no paper's name; and only its owner may read it."""
    patient = Patient((SEIZURE,), age=31.25, sex="FEMALE", onset="HP:0003577")
    invented = Case("Jane-Roe-17", patient, (KNOWN,), "PMID:31675180")
    learned, _ = Learned.open(tmp_path).learn([invented], base)
    text = learned.path.read_text()
    for hidden in ("Jane", "31675180", "31.25", "FEMALE", "HP:0003577"):
        assert hidden not in text
    assert stat.S_IMODE(learned.path.stat().st_mode) == 0o600


def test_the_same_cases_teach_once(base: KnowledgeBase, tmp_path: Path) -> None:
    """Until they are taken back; what comes from the same papers is told."""
    learned, entry = Learned.open(tmp_path).learn([case(SEIZURE)], base)
    with pytest.raises(ConflictError, match=entry.id):
        learned.learn([case(SEIZURE)], base)
    learned, overlapping = learned.learn([case(SEIZURE), case(FEVER, OTHER)], base)
    assert (entry.repeated, overlapping.repeated) == (0, 1)
    learned, _ = learned.undo(entry.id)
    learned, _ = learned.learn([case(SEIZURE)], base)
    with pytest.raises(ConflictError, match="taken back"):
        learned.undo(entry.id)
    with pytest.raises(NotFoundError):
        learned.undo("kl_0")
    with pytest.raises(LearningError, match="none of the cases"):
        learned.learn([case("HP:9999999")], base)
    assert Learned.open(tmp_path) == learned


def test_writers_see_each_other(base: KnowledgeBase, tmp_path: Path) -> None:
    """Who opened the file before another wrote does not lose what that one wrote."""
    early = Learned.open(tmp_path)
    Learned.open(tmp_path).learn([case(SEIZURE)], base)
    late, _ = early.learn([case(FEVER)], base)
    assert late.counts()[KNOWN].patients == 2


def test_damage_is_told_by_line(base: KnowledgeBase, tmp_path: Path) -> None:
    """Each of several ways in which a line can be wrong."""
    learned, _ = Learned.open(tmp_path).learn([case(SEIZURE)], base)
    good = learned.path.read_text()
    old = json.loads(good)
    fewer = {name: value for name, value in old.items() if name != "time"}
    damaged = (old | {"format": 0}, fewer, old | {"counts": []})
    for bad in ("{", "[]", "3", *map(json.dumps, damaged)):
        learned.path.write_text(good + bad + "\n")
        with pytest.raises(KnowledgeError, match=r"learned\.jsonl, line 2"):
            Learned.open(tmp_path)
    learned.path.write_bytes(b"\xff\xfe")
    with pytest.raises(KnowledgeError):
        Learned.open(tmp_path)


def test_a_home_that_cannot_be_written(base: KnowledgeBase, tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "home").write_text("")
    with pytest.raises((OutputError, KnowledgeError)):
        Learned.open(tmp_path / "home").learn([case(SEIZURE)], base)


def test_rows_of_known_and_new_diseases(base: KnowledgeBase, tmp_path: Path) -> None:
    """New diseases come after those of the base."""
    learned, _ = Learned.open(tmp_path).learn([case(FOCAL), case(STATUS), case(FEVER, NEW)], base)
    rows = learned.rows(base)
    place = base.find_disease(KNOWN)
    assert [(each.id, each.name) for each in rows.new] == [(NEW, NEW)]
    assert rows.taught.tolist() == [place, len(base.diseases)]
    assert rows.patients.tolist() == [2, 1]
    seizure = (rows.disease == place) & (rows.term == base.ontology.index[SEIZURE])
    assert (rows.seen[seizure].tolist(), rows.of[seizure].tolist()) == ([2], [2])


def test_rows_tell_nothing_twice(base: KnowledgeBase) -> None:
    """What a sign implies has a row only where more patients had it than any kind of it."""
    counts, _ = count_cases([case(FOCAL), case(f"{STATUS} {ATAXIA}"), case(ATAXIA)], base)
    rows = count_rows(counts, base)
    told = {base.ontology.ids[t]: int(n) for t, n in zip(rows.term, rows.seen, strict=True)}
    assert told == {FOCAL: 1, STATUS: 1, SEIZURE: 2, ATAXIA: 2, "HP:0012638": 3}


def test_rows_of_merged_diseases(base: KnowledgeBase, merge: Path) -> None:
    """Entries of one disease are counted together, those that the base lacks too."""
    table = read_merge(merge)
    merged = base.merge(table, "0" * 64)
    one = TermCounts(1, {SEIZURE: 1}, {})
    counts = {KNOWN: one, "ORPHA:900001": one, "OMIM:999999": one, "MONDO:0000099": one}
    rows = count_rows(counts, merged, table)
    assert rows.taught.tolist() == [merged.find_disease(KNOWN), len(merged.diseases)]
    assert rows.patients.tolist() == [2, 2]
    assert rows.new[0].name == "invented disease without annotations"
    assert rows.new[0].members == ("OMIM:999999", "MONDO:0000099")
    assert rows.new[0].mondo == "MONDO:0000099"


def test_nothing_learned_is_no_rows(base: KnowledgeBase) -> None:
    """Empty arrays of the right types."""
    rows = count_rows({}, base)
    assert rows.disease.size == rows.taught.size == 0
    assert rows.new == ()


signs = st.lists(st.sampled_from([SEIZURE, FOCAL, STATUS, ATAXIA, SMALL_HEAD, FEVER]), max_size=4)
drawn_cases = st.lists(st.tuples(signs, signs, st.sampled_from([KNOWN, OTHER, NEW])), max_size=6)


@settings(max_examples=40, deadline=None)
@given(drawn_cases)
def test_counts_add_up_in_any_order(
    base: KnowledgeBase, drawn: list[tuple[list[str], list[str], str]]
) -> None:
    """Nobody is counted twice, a sign is at least as frequent as its kinds, and batches do not matter."""
    cases = [case(" ".join(seen), truth, None, " ".join(out)) for seen, out, truth in drawn]
    counts, left_out = count_cases(cases, base)
    assert sum(each.patients for each in counts.values()) + left_out == len(cases)
    for each in counts.values():
        assert max(each.seen.values()) <= each.patients
        assert each.seen.get(SEIZURE, 0) >= max(each.seen.get(FOCAL, 0), each.seen.get(STATUS, 0))
    assert count_cases(cases[::-1], base)[0] == counts
    halves = [count_cases(part, base)[0] for part in (cases[:3], cases[3:])]
    empty = TermCounts(0, {}, {})
    for disease, each in counts.items():
        assert halves[0].get(disease, empty) + halves[1].get(disease, empty) == each
