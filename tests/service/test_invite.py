"""The first way in: one-time addresses for users to try things out with."""

from pathlib import Path

from galeno.governance.access import ROLES
from galeno.governance.passwords import Passwords
from galeno.governance.users import Users
from galeno.service.invite import invite_demo
from galeno.service.opening import open_stores
from galeno.settings import ServiceSettings


def test_there_is_a_user_of_each_role_with_an_address(tmp_path: Path) -> None:
    home, settings = tmp_path / "home", ServiceSettings()
    first = invite_demo(home, settings, "http://127.0.0.1:8000")
    assert [(one.name, one.role) for one in first] == [(f"demo.{role}", role) for role in ROLES]
    assert all(one.address.startswith("http://127.0.0.1:8000/welcome?token=") for one in first)
    with open_stores(home, settings) as stores:
        Users(stores.journal).revoke("demo.admin")
    again = invite_demo(home, settings, "http://127.0.0.1:8000")
    with open_stores(home, settings) as stores:
        passwords = Passwords(stores.journal)
        old, new = ([one.address.partition("=")[2] for one in those] for those in (first, again))
        assert [passwords.redeem(token) for token in old] == [None] * 4
        assert [user.role for token in new if (user := passwords.redeem(token))] == list(ROLES)
        assert len(Users(stores.journal).list()) == 4
