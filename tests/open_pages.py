"""The pages of a home, answered over real HTTP from within the test's process."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn

from galeno.governance.passwords import Passwords
from galeno.governance.users import Users
from galeno.service.app import AppOptions, create_app
from galeno.settings import ServiceSettings
from galeno.storage.journal import Journal

FOUR_WORDS = "four quiet words here"


@dataclass
class Pages:
    """A service with pages, and its journal."""

    url: str
    home: Path
    journal: Journal
    clients: list[httpx.Client] = field(default_factory=list)

    def browser(self, **headers: str) -> httpx.Client:
        """A browser: keeps cookies, follows redirects, runs no script."""
        client = httpx.Client(base_url=self.url, headers=headers, follow_redirects=True, timeout=20)
        self.clients.append(client)
        return client

    def add(self, name: str, role: str = "clinician", site: str = "", password: str = FOUR_WORDS) -> None:
        """Add a user with a password."""
        Users(self.journal).add(name, role, site=site)
        Passwords(self.journal).set(name, password)

    def signed_in(self, name: str, password: str = FOUR_WORDS, **headers: str) -> httpx.Client:
        """A browser in which somebody has signed in."""
        client = self.browser(**headers)
        shown = client.get("/sign-in")
        fields = {"csrf": token(shown), "name": name, "password": password, "next": "/sign-in"}
        # Not followed: the start page is another part's.
        done = client.post("/sign-in", data=fields, follow_redirects=False)
        assert done.status_code == 303, done.text
        return client


def token(page: httpx.Response) -> str:
    """The token that the forms of a page send back."""
    found = re.search(r'name="csrf" content="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def prepare(home: Path) -> Journal:
    """The journal of a home, its tables made."""
    home.mkdir(parents=True, exist_ok=True)
    journal = Journal(f"sqlite:///{home}/journal.db")
    journal.migrate()
    return journal


@contextmanager
def open_pages(
    home: Path, settings: ServiceSettings | None = None, *, demo: bool = False, secure: bool = False
) -> Iterator[Pages]:
    """Answer until the block ends."""
    settings = settings or ServiceSettings()
    app = create_app(AppOptions(home, demo=demo, secure=secure), settings)
    config = uvicorn.Config(app, port=0, lifespan="on", ws="none", log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    pages = Pages(f"http://127.0.0.1:{port}", home, Journal(f"sqlite:///{home}/journal.db"))
    try:
        yield pages
    finally:
        for client in pages.clients:
            client.close()
        server.should_exit = True
        thread.join(20)
        pages.journal.close()
