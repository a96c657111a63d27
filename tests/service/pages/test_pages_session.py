"""Sessions of the pages: who is in, for how long, and what a form must bring along."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from open_pages import FOUR_WORDS, Pages, open_pages, token
from sqlalchemy import select, text

from galeno.governance.users import Users
from galeno.service.pages.session import digest, safe_path
from galeno.storage import schema
from galeno.storage.ids import later


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with open_pages(tmp_path_factory.mktemp("sessions") / "home") as opened:
        opened.add("ana", "clinician", "north")
        opened.add("max", "engineer")
        yield opened


def row_of(pages: Pages, client: httpx.Client) -> dict[str, object]:
    """The row of a browser's session."""
    table = schema.sessions
    key = digest(client.cookies["galeno_session"])
    with pages.journal.read() as connection:
        return dict(connection.execute(select(table).where(table.c.id == key)).mappings().one())


def change(pages: Pages, client: httpx.Client, **values: str) -> None:
    table = schema.sessions
    key = digest(client.cookies["galeno_session"])
    with pages.journal.begin() as connection:
        connection.execute(table.update().where(table.c.id == key).values(**values))


def choose(client: httpx.Client, csrf: str, **headers: str) -> httpx.Response:
    """Post a form that everybody may post."""
    fields = {"csrf": csrf, "language": "en", "next": "/sign-in"}
    return client.post("/language", data=fields, headers=headers, follow_redirects=False)


def is_in(client: httpx.Client) -> bool:
    """Whether the sign-in page sends on at once."""
    shown = client.get("/sign-in", params={"next": "/nowhere"}, follow_redirects=False)
    return shown.status_code == 303


def csrf_of(client: httpx.Client) -> str:
    """The token of a signed-in browser, from a page that everybody may see."""
    return token(client.get("/welcome"))


def test_the_journal_holds_no_cookie(pages: Pages) -> None:
    client = pages.signed_in("ana")
    row = row_of(pages, client)
    assert (row["user"], row["role"], row["site"], row["language"]) == ("ana", "clinician", "north", "en")
    assert client.cookies["galeno_session"] not in {str(value) for value in row.values()}


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(pages: Pages) -> None:
    client = pages.browser()
    shown = client.get("/sign-in")
    fields = {"csrf": token(shown), "name": "ana", "password": FOUR_WORDS}
    done = client.post("/sign-in", data=fields, follow_redirects=False)
    for cookie in [*shown.headers.get_list("set-cookie"), done.headers.get_list("set-cookie")[0]]:
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie


def test_cookies_stay_on_tls(tmp_path: Path) -> None:
    with open_pages(tmp_path / "home", secure=True) as opened:
        shown = opened.browser().get("/sign-in")
    assert shown.headers["set-cookie"].endswith("; Secure")
    assert "strict-transport-security" in shown.headers


def test_an_idle_session_ends_and_says_so(pages: Pages) -> None:
    client = pages.signed_in("ana")
    assert is_in(client)
    change(pages, client, seen=later(-14 * 60))
    assert is_in(client)
    assert str(row_of(pages, client)["seen"]) > later(-10)  # the request before counted
    change(pages, client, seen=later(-15 * 60 - 1))
    shown = client.get("/sign-in")
    assert shown.status_code == 200
    with pages.journal.read() as connection:
        key = digest(client.cookies["galeno_session"])
        assert connection.execute(select(schema.sessions).where(schema.sessions.c.id == key)).first() is None


def test_a_session_ends_after_twelve_hours_however_busy(pages: Pages) -> None:
    client = pages.signed_in("ana")
    lasts = str(row_of(pages, client)["expires"])
    assert later(12 * 3600 - 60) < lasts <= later(12 * 3600)
    change(pages, client, expires=later(-1))
    assert not is_in(client)


def test_use_is_noted_once_a_minute_at_most(pages: Pages) -> None:
    client = pages.signed_in("ana")
    seen = row_of(pages, client)["seen"]
    assert is_in(client)
    assert row_of(pages, client)["seen"] == seen


def test_a_revoked_user_is_out_at_once(pages: Pages) -> None:
    pages.add("eve")
    client = pages.signed_in("eve")
    assert is_in(client)
    Users(pages.journal).revoke("eve")
    assert not is_in(client)


def test_a_new_password_ends_the_sessions(pages: Pages) -> None:
    from galeno.governance.passwords import Passwords

    pages.add("ida")
    client = pages.signed_in("ida")
    Passwords(pages.journal).set("ida", "another four quiet words")
    assert not is_in(client)


def test_sign_in_gives_a_new_session_and_ends_the_old_one(pages: Pages) -> None:
    client = pages.signed_in("ana")
    first = client.cookies["galeno_session"]
    csrf = csrf_of(client)
    planted = pages.browser()
    planted.cookies.set("galeno_session", "x" * 43, domain="127.0.0.1", path="/")
    assert not is_in(planted)
    client.post("/sign-out", data={"csrf": csrf})
    assert not is_in(client)
    again = pages.browser()
    again.cookies.set("galeno_session", first)
    assert not is_in(again)


def test_a_session_of_nobody_is_no_session(pages: Pages) -> None:
    """What is remembered of somebody who is away at the issuer opens nothing."""
    client = pages.signed_in("ana")
    change(pages, client, user="")
    assert not is_in(client)
    change(pages, client, user="demo")
    assert not is_in(client)


def test_a_form_without_the_token_does_nothing(pages: Pages) -> None:
    client = pages.signed_in("ana")
    other = pages.signed_in("max")
    right = csrf_of(client)
    assert choose(client, right).status_code == 303
    for wrong in ("", right[:-1], csrf_of(other), token(pages.browser().get("/sign-in"))):
        refused = choose(client, wrong)
        assert refused.status_code == 403
        assert "too old" in refused.text
    assert client.post("/sign-out", data={}, follow_redirects=False).status_code == 403
    assert is_in(client)


def test_a_form_from_another_site_does_nothing(pages: Pages) -> None:
    client = pages.signed_in("ana")
    csrf = csrf_of(client)
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)):
        assert choose(client, csrf, **{"Sec-Fetch-Site": site}).status_code == status


def test_what_is_no_form_is_refused_with_a_page(pages: Pages) -> None:
    client = pages.signed_in("ana")
    csrf = csrf_of(client)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    cases: list[tuple[dict[str, str], bytes, int]] = [
        ({"Content-Type": "application/json"}, b"{}", 415),
        (form, f"csrf={csrf}&next={'a' * 20_000}".encode(), 413),
        (form, f"csrf={csrf}&next=%ff".encode(), 422),
        (form, f"csrf={csrf}&next=%00".encode(), 422),
        (form, "csrf=ñ".encode(), 422),
        (form, b"&".join(b"a%d=1" % number for number in range(1100)) * 2, 413),
    ]
    for headers, body, status in cases:
        told = client.post("/language", content=body, headers=headers)
        assert told.status_code == status
        assert told.headers["content-type"] == "text/html; charset=utf-8"


def test_an_expired_session_leads_back_to_the_page_that_was_asked_for(pages: Pages) -> None:
    sent = pages.browser().get("/worklist?study=clinic&page=2", follow_redirects=False)
    if sent.status_code == 404:
        pytest.skip("the worklist is not there yet")
    assert sent.status_code == 303
    assert sent.headers["location"] == "/sign-in?next=/worklist%3Fstudy%3Dclinic%26page%3D2"
    idle = pages.signed_in("ana")
    change(pages, idle, seen=later(-3600))
    sent = idle.get("/worklist", follow_redirects=False)
    assert sent.headers["location"] == "/sign-in?next=/worklist&why=idle"
    assert "15 minutes without activity" in idle.get(sent.headers["location"]).text


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\nb", "/" + "a" * 3000],
)
def test_nobody_is_sent_to_another_site(path: str) -> None:
    assert safe_path(path) == "/"


def test_paths_of_ours_are_kept() -> None:
    assert safe_path("/new/clinic?x=%20") == "/new/clinic?x=%20"


def test_demo_mode_lets_everybody_in_with_a_banner(tmp_path: Path) -> None:
    with open_pages(tmp_path / "home", demo=True) as opened:
        client = opened.browser()
        assert client.get("/sign-in", follow_redirects=False).status_code == 303
        shown = client.get("/welcome")
        assert "Demo mode" in shown.text
        assert "data-idle" not in shown.text


def test_static_files(pages: Pages) -> None:
    client = pages.browser()
    shown = client.get("/sign-in").text
    address = shown.split('rel="stylesheet" href="')[1].split('"')[0]
    style = client.get(address)
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/style.css").headers["cache-control"] == "no-cache"
    again = client.get("/static/style.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status_code == 304
    for name in ("nothing.css", "..%2fframe.py", "%2e%2e%2fframe.py", "style.css%00"):
        assert client.get(f"/static/{name}").status_code == 404


def test_every_page_has_the_policy(pages: Pages) -> None:
    client = pages.browser()
    for shown in (client.get("/sign-in"), client.post("/sign-in", data={}), client.get("/welcome?token=a")):
        assert "default-src 'self'" in shown.headers["content-security-policy"]
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert "style=" not in shown.text
        assert "<script>" not in shown.text


def test_an_address_that_is_not_there_is_told_as_it_was_asked(pages: Pages) -> None:
    browser = pages.browser(Accept="text/html,*/*;q=0.8")
    for path in ("/nowhere", "/new/a/b/c/d", "/.env"):
        shown = browser.get(path)
        assert shown.status_code == 404
        assert "There is nothing here" in shown.text
        assert "default-src 'self'" in shown.headers["content-security-policy"]
    told = pages.browser(Accept="application/json").get("/nowhere")
    assert told.headers["content-type"] == "application/problem+json"
    shown = browser.delete("/sign-in")
    assert shown.status_code == 405


def test_a_fault_that_nobody_expected_is_a_page_without_a_trace(pages: Pages) -> None:
    client = pages.signed_in("ana", **{"Accept-Language": "es"})
    change(pages, client, seen="nonsense")
    shown = client.get("/welcome")
    assert shown.status_code == 500
    assert "Esto es un fallo de Galeno" in shown.text
    assert "nonsense" not in shown.text
    assert "Traceback" not in shown.text
    assert "default-src 'self'" in shown.headers["content-security-policy"]


def test_a_journal_that_does_not_answer_is_a_page(tmp_path: Path) -> None:
    with open_pages(tmp_path / "home") as opened:
        opened.add("ana")
        client = opened.signed_in("ana")
        with opened.journal.begin() as connection:
            connection.execute(text("ALTER TABLE sessions RENAME TO elsewhere"))
        shown = client.get("/welcome")
        assert shown.status_code == 503
        assert "Nothing can be saved at the moment" in shown.text
        assert shown.headers["retry-after"] == "2"
        with opened.journal.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO sessions"))
        assert client.get("/welcome").status_code == 200


def test_a_notice_is_shown_once_and_not_on_an_error(pages: Pages) -> None:
    client = pages.signed_in("ana")
    change(pages, client, notice="Sign in")
    assert 'role="status"' not in client.get("/audit").text
    assert 'role="status">Sign in' in client.get("/welcome").text
    assert 'role="status"' not in client.get("/welcome").text
