"""The latest word of a patient counts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from patients import consent
from sqlalchemy import insert

from galeno.errors import NotFoundError
from galeno.governance.consent import Consents
from galeno.hospital import Policy
from galeno.storage import schema
from galeno.storage.journal import Journal

POLICY = Policy(version="2")
Say = Callable[..., dict[str, Any]]


@pytest.fixture
def journal(fresh_journal_url: str) -> Iterator[Journal]:
    journal = Journal(fresh_journal_url)
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def say(journal: Journal) -> Say:
    """Keeps a consent of patient `pt_a` to study `clinic`, each a day after the one before."""
    days = iter(range(1, 28))

    def write(**more: Any) -> dict[str, Any]:
        created = f"2026-01-{next(days):02d}T00:00:00.000000Z"
        row = {**consent("pt_a", "clinic", policy_version="2", created=created), **more}
        with journal.begin() as connection:
            connection.execute(insert(schema.consents).values(row))
        return row

    return write


def stands(journal: Journal, study: str = "clinic") -> str:
    with journal.read() as connection:
        status = Consents().status(connection, "pt_a", study, POLICY)
        assert (
            Consents().given(connection, "pt_a", study, POLICY) is status.given is (status.reason == "given")
        )
    return status.reason


def excluded(journal: Journal) -> set[str]:
    with journal.read() as connection:
        return Consents().training_excluded(connection)


def test_the_latest_answer_to_the_present_policy_counts(journal: Journal, say: Say) -> None:
    assert stands(journal) == "never_asked"
    say(policy_version="1")
    assert stands(journal) == "other_version"
    say()
    assert stands(journal) == "given"
    assert stands(journal, "another") == "never_asked"
    say(accepted=False, training=False)
    assert stands(journal) == "refused"
    say()
    assert stands(journal) == "given"


def test_what_was_said_earlier_but_came_later_does_not_count(journal: Journal, say: Say) -> None:
    say()
    say(accepted=False, training=False, created="2025-12-31T00:00:00.000000Z")
    assert stands(journal) == "given"


def test_a_withdrawal_counts_from_then_on(journal: Journal, say: Say) -> None:
    row = say()
    with journal.begin() as connection:
        moment = Consents().withdraw(connection, row["id"])
    assert stands(journal) == "withdrawn"
    assert excluded(journal) == {"pt_a"}
    with journal.begin() as connection:
        assert Consents().withdraw(connection, row["id"]) == moment
    with journal.begin() as connection, pytest.raises(NotFoundError):
        Consents().withdraw(connection, "cs_0")
    say()
    assert stands(journal) == "given"
    assert excluded(journal) == set()


def test_recorded_rows_are_what_is_read(journal: Journal) -> None:
    ((table, row),) = Consents().record(
        "pt_a", "clinic", POLICY, language="es", accepted=True, training=False, actor="eva"
    )
    with journal.begin() as connection:
        connection.execute(insert(table).values(dict(row)))
        status = Consents().status(connection, "pt_a", "clinic", POLICY)
    assert (status.given, status.training, status.consent) == (True, False, row["id"])
    ((_, refusal),) = Consents().record(
        "pt_a", "clinic", POLICY, language="es", accepted=False, training=True, actor="eva"
    )
    assert refusal["training"] is False


def test_one_study_is_enough_to_keep_models_from_learning(journal: Journal, say: Say) -> None:
    say(training=False)
    say(study="another")
    assert excluded(journal) == {"pt_a"}
    say(training=True)
    assert excluded(journal) == set()


def test_the_erased_are_left_out_until_they_agree_anew(journal: Journal, say: Say) -> None:
    stone = {"patient": "pt_a", "erased": "2026-01-01", "actor": "ana", "counts": "{}"}
    with journal.begin() as connection:
        connection.execute(insert(schema.erasures).values(stone))
    assert excluded(journal) == {"pt_a"}
    say(training=False)
    assert excluded(journal) == {"pt_a"}
    say()
    assert excluded(journal) == set()


words = st.tuples(st.sampled_from(["clinic", "another"]), st.booleans(), st.booleans(), st.booleans())


@settings(max_examples=25, deadline=None)
@given(said=st.lists(words, max_size=6))
def test_exclusion_is_the_latest_word_of_each_study(
    said: list[tuple[str, bool, bool, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal = Journal(f"sqlite:///{Path(tmp_path_factory.mktemp('consent')) / 'journal.db'}")
    journal.migrate()
    expected: dict[str, bool] = {}
    with journal.begin() as connection:
        for day, (study, accepted, training, taken_back) in enumerate(said, start=1):
            created = f"2026-01-{day:02d}T00:00:00.000000Z"
            row = consent(
                "pt_a",
                study,
                accepted=accepted,
                training=training,
                created=created,
                withdrawn=created if taken_back else None,
            )
            connection.execute(insert(schema.consents).values(row))
            expected[study] = accepted and training and not taken_back
        found = Consents().training_excluded(connection)
    journal.close()
    assert found == (set() if all(expected.values()) else {"pt_a"})
