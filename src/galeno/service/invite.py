"""Let people in for the first time: one-time addresses, and users to try things out with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from galeno.governance.access import ROLES, Action, Caller
from galeno.governance.passwords import Passwords
from galeno.governance.users import Users
from galeno.service.opening import Stores, note, open_stores
from galeno.settings import ServiceSettings
from galeno.storage.ids import now

DEMO: Final = "demo"
"""What the names of the users to try things out with begin with."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An address that signs a user in once."""

    name: str
    role: str
    address: str


def invite(stores: Stores, name: str, base: str, *, minutes: float = 30) -> str:
    """Make an address that signs a user in once.

    Args:
        stores: of the home.
        name: of the user.
        base: address of the service, without a slash at its end.
        minutes: for which the address is good.

    Raises:
        NotFoundError: no such user, or one that was revoked.
        JournalError: the journal does not answer.
    """
    token = Passwords(stores.journal).welcome_token(name, minutes)
    caller = Caller("operator", "admin", face="cli", purpose="operations")
    note(stores, caller, Action.USERS_MANAGE, subject=name, detail="one-time address made")
    return f"{base}/welcome?token={token}"


def invite_demo(home: Path, settings: ServiceSettings, base: str) -> tuple[Invitation, ...]:
    """A user of each role, added where missing, with an address that signs in once.

    Raises:
        GalenoError: the home cannot be opened.
    """
    with open_stores(home, settings) as stores:
        users = Users(stores.journal)
        there = {user.name: user for user in users.list()}
        invitations = []
        for role in ROLES:
            name = f"{DEMO}.{role}"
            if name not in there:
                users.add(name, role)
            elif not there[name].active(now()):
                users.renew(name)
            invitations.append(Invitation(name, role, invite(stores, name, base)))
    return tuple(invitations)
