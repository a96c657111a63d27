"""Passwords and one-time tokens, in a real journal."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from galeno.errors import InputError, NotFoundError
from galeno.governance.passwords import COMMON, LONGEST, SHORTEST, Passwords, check_password
from galeno.governance.users import Users
from galeno.storage import schema
from galeno.storage.ids import later
from galeno.storage.journal import Journal

RIGHT = "four quiet words here"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated journal with two users."""
    path = tmp_path_factory.mktemp("passwords") / "journal.db"
    journal = Journal(f"sqlite:///{path}")
    journal.migrate()
    Users(journal).add("ana", "clinician", site="north")
    Users(journal).add("max", "engineer")
    journal.close()
    return path


@pytest.fixture
def journal(template: Path, tmp_path: Path) -> Iterator[Journal]:
    path = tmp_path / "journal.db"
    path.write_bytes(template.read_bytes())
    journal = Journal(f"sqlite:///{path}")
    yield journal
    journal.close()


@pytest.fixture
def passwords(journal: Journal) -> Passwords:
    return Passwords(journal)


def kept(journal: Journal, name: str = "ana") -> dict[str, str]:
    """The row of a user."""
    table = schema.users
    with journal.read() as connection:
        return dict(connection.execute(select(table).where(table.c.name == name)).mappings().one())


def test_the_right_password_says_who_it_is(passwords: Passwords) -> None:
    passwords.set("ana", RIGHT)
    user = passwords.check("ana", RIGHT)
    assert user is not None
    assert (user.name, user.role, user.site) == ("ana", "clinician", "north")


@pytest.mark.parametrize(
    "password", ["", RIGHT[:-1], RIGHT + " ", RIGHT.upper(), RIGHT + "\x00", "x" * 10_000]
)
def test_any_other_password_does_not(passwords: Passwords, password: str) -> None:
    passwords.set("ana", RIGHT)
    assert passwords.check("ana", password) is None


def test_names_are_told_apart(passwords: Passwords) -> None:
    passwords.set("ana", RIGHT)
    for name in ("max", "Ana", "ana ", "nobody", "", "' OR 1=1 --"):
        assert passwords.check(name, RIGHT) is None


def test_the_journal_keeps_argon2_and_a_salt_of_each(journal: Journal, passwords: Passwords) -> None:
    passwords.set("ana", RIGHT)
    passwords.set("max", RIGHT)
    hashes = [kept(journal, name)["password"] for name in ("ana", "max")]
    assert hashes[0] != hashes[1]
    for hashed in hashes:
        parameters = extract_parameters(hashed)
        assert hashed.startswith("$argon2id$")
        assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
        assert RIGHT not in hashed


def test_an_older_hash_is_made_anew_when_it_is_used(journal: Journal, passwords: Passwords) -> None:
    older = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(RIGHT)
    with journal.begin() as connection:
        connection.execute(schema.users.update().values(password=older))
    assert passwords.check("ana", "wrong wrong wrong") is None
    assert kept(journal)["password"] == older
    assert passwords.check("ana", RIGHT) is not None
    assert extract_parameters(kept(journal)["password"]).memory_cost == 19456
    assert passwords.check("ana", RIGHT) is not None
    assert kept(journal, "max")["password"] == older


def test_a_damaged_hash_lets_nobody_in(journal: Journal, passwords: Passwords) -> None:
    with journal.begin() as connection:
        connection.execute(schema.users.update().values({"password": "nonsense"}))
    assert passwords.check("ana", "nonsense") is None


def test_who_is_revoked_or_past_the_end_stays_out(journal: Journal, passwords: Passwords) -> None:
    for name in ("ana", "max"):
        passwords.set(name, RIGHT)
    token = passwords.welcome_token("ana")
    Users(journal).revoke("ana")
    with journal.begin() as connection:
        connection.execute(
            schema.users.update().where(schema.users.c.name == "max").values(expires=later(-1))
        )
    for name in ("ana", "max"):
        assert passwords.check(name, RIGHT) is None
        with pytest.raises(NotFoundError):
            passwords.welcome_token(name)
    assert passwords.redeem(token) is None


@pytest.mark.parametrize(
    "password",
    ["", "short", "x" * (SHORTEST - 1), "x" * (LONGEST + 1), "ana.the.clinician", "Ana.The.Clinician ",
     "aaaaaaaaaaaaaaaa", "1212121212121212", *sorted(COMMON)[:4],
     "PasswordPassword", "four \udcff words here"],
)  # fmt: skip
def test_what_is_easily_guessed_is_refused_without_being_named(password: str) -> None:
    with pytest.raises(InputError) as caught:
        check_password("ana.the.clinician", password)
    assert caught.value.faults[0][0] == "password"
    assert len(password) < 6 or password not in str(caught.value)


def test_the_list_of_common_ones_has_none_that_length_refuses_already() -> None:
    assert all(len(password) >= SHORTEST and password == password.casefold() for password in COMMON)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=SHORTEST, max_size=LONGEST))
def test_length_is_what_counts(password: str) -> None:
    plain = password.casefold()
    if len(set(plain)) >= 4 and plain not in COMMON and plain.strip() != "ana":
        check_password("ana", password)
    else:
        with pytest.raises(InputError):
            check_password("ana", password)


def test_a_refused_password_changes_nothing(journal: Journal, passwords: Passwords) -> None:
    passwords.set("ana", RIGHT)
    before = kept(journal)
    with pytest.raises(InputError):
        passwords.set("ana", "short")
    assert kept(journal) == before
    with pytest.raises(NotFoundError):
        passwords.set("nobody", RIGHT)


def test_letters_of_all_scripts(passwords: Passwords) -> None:
    passwords.set("ana", "ñandú 漢字 😀 más")
    assert passwords.check("ana", "ñandú 漢字 😀 más") is not None


def test_a_token_signs_in_once(journal: Journal, passwords: Passwords) -> None:
    token = passwords.welcome_token("ana")
    assert token not in kept(journal).values()
    user = passwords.redeem(token)
    assert user is not None
    assert user.name == "ana"
    assert passwords.redeem(token) is None
    assert kept(journal)["welcome"] is None


def test_a_token_of_many_readers_signs_one_in(journal: Journal, passwords: Passwords) -> None:
    token = passwords.welcome_token("ana")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(passwords.redeem, [token] * 8))
    assert len([user for user in found if user is not None]) == 1


def test_a_token_ends_and_a_new_one_takes_its_place(passwords: Passwords) -> None:
    assert passwords.redeem(passwords.welcome_token("ana", minutes=-1)) is None
    first, second = passwords.welcome_token("ana"), passwords.welcome_token("ana")
    assert passwords.redeem(first) is None
    assert passwords.redeem(second) is not None
    token = passwords.welcome_token("ana")
    passwords.set("ana", RIGHT)
    assert passwords.redeem(token) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 10_000, "\ud800" * 43])
def test_what_is_no_token_signs_nobody_in(passwords: Passwords, token: str) -> None:
    passwords.welcome_token("ana")
    assert passwords.redeem(token) is None


def test_an_unknown_name_takes_as_long_as_a_wrong_password(passwords: Passwords) -> None:
    passwords.set("ana", RIGHT)

    def fastest(name: str) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            passwords.check(name, "wrong wrong wrong")
            times.append(time.perf_counter() - started)
        return min(times)

    assert fastest("nobody") > 0.5 * fastest("ana")
    assert fastest("max") > 0.5 * fastest("ana")  # has no password
