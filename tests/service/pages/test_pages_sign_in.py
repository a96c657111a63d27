"""Signing in: password, one-time address, the hospital's issuer; and what is written down of it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from local_issuer import LocalIssuer, local_issuer, make_key
from open_pages import FOUR_WORDS, Pages, open_pages, token
from sqlalchemy import select

from galeno.errors import SettingError
from galeno.governance.passwords import Passwords
from galeno.governance.users import Users
from galeno.service.app import AppOptions, create_app
from galeno.settings import ServiceSettings
from galeno.storage import schema

SPANISH = {"Accept-Language": "es-ES,es;q=0.9"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with open_pages(tmp_path_factory.mktemp("sign_in") / "home") as opened:
        opened.add("ana", "clinician", "north")
        opened.add("max", "engineer")
        yield opened


def trail(pages: Pages) -> list[dict[str, Any]]:
    """What was written down, newest first."""
    table = schema.audit
    with pages.journal.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.seq.desc()).limit(20)).mappings().all()
    return [dict(row) for row in rows]


def attempt(
    client: httpx.Client, name: str, password: str, onward: str = "/", csrf: str = ""
) -> httpx.Response:
    fields = {
        "csrf": csrf or token(client.get("/sign-in")), "name": name, "password": password, "next": onward
    }  # fmt: skip
    return client.post("/sign-in", data=fields, follow_redirects=False)


def test_the_right_password_opens_and_leads_on(pages: Pages) -> None:
    client = pages.browser()
    done = attempt(client, "ana", FOUR_WORDS, "/worklist?study=clinic")
    assert (done.status_code, done.headers["location"]) == (303, "/worklist?study=clinic")
    entry = trail(pages)[0]
    assert (entry["action"], entry["outcome"], entry["actor"]) == ("sign_in", "done", "ana")
    assert (entry["role"], entry["site"], entry["face"]) == ("clinician", "north", "pages")
    assert (entry["address"], entry["detail"]) == ("127.0.0.1", "password")


def test_nobody_is_led_to_another_site(pages: Pages) -> None:
    assert attempt(pages.browser(), "ana", FOUR_WORDS, "https://evil.example/").headers["location"] == "/"
    shown = pages.browser().get("/sign-in?next=//evil.example")
    assert 'name="next" value="//' not in shown.text


def test_a_wrong_password_is_refused_and_written_down(pages: Pages) -> None:
    client = pages.browser()
    refused = attempt(client, "ana", "not her password", "/new")
    assert refused.status_code == 401
    assert "do not fit" in refused.text
    assert 'value="ana"' in refused.text
    assert 'value="/new"' in refused.text
    assert "not her password" not in refused.text
    assert "galeno_session" not in client.cookies
    entry = trail(pages)[0]
    assert (entry["action"], entry["outcome"], entry["actor"]) == ("sign_in", "denied", "ana")


def test_an_unknown_name_is_told_the_same_and_not_written_down(pages: Pages) -> None:
    """Who mistypes may have put the password where the name belongs."""
    known, unknown = (attempt(pages.browser(), name, "wrong wrong wrong") for name in ("max", "s3cret pass"))
    assert known.status_code == unknown.status_code == 401
    told = [re.search(r'role="alert">(.*?)</div>', shown.text, re.DOTALL) for shown in (known, unknown)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0][1] == told[1][1]
    assert trail(pages)[0]["actor"] == ""
    assert "s3cret" not in str(trail(pages))


def test_a_revoked_user_and_one_without_password_stay_out(pages: Pages) -> None:
    pages.add("eve")
    Users(pages.journal).revoke("eve")
    Users(pages.journal).add("key-only", "engineer")
    assert attempt(pages.browser(), "eve", FOUR_WORDS).status_code == 401
    assert attempt(pages.browser(), "key-only", "").status_code == 401


def test_who_guesses_has_to_wait(tmp_path: Path) -> None:
    with open_pages(tmp_path / "home") as opened:
        opened.add("ana")
        client = opened.browser()
        csrf = token(client.get("/sign-in"))
        said = [attempt(client, "ANA", "wrong", csrf=csrf).status_code for _ in range(22)]
        assert said[:20] == [401] * 20
        assert 429 in said[20:]
        slowed = attempt(client, "ana", FOUR_WORDS, csrf=csrf)
        assert slowed.status_code == 429
        assert 1 <= int(slowed.headers["retry-after"]) <= 6
        assert "Too many tries" in slowed.text
        said = [attempt(client, f"name{number}", "wrong", csrf=csrf).status_code for number in range(25)]
        assert 429 in said  # from one address


def test_signing_out_ends_the_session_and_is_written_down(pages: Pages) -> None:
    client = pages.signed_in("ana")
    csrf = token(client.get("/welcome"))
    done = client.post("/sign-out", data={"csrf": csrf}, follow_redirects=False)
    assert done.headers["location"] == "/sign-in"
    assert "galeno_session" not in client.cookies
    assert (trail(pages)[0]["action"], trail(pages)[0]["actor"]) == ("sign_out", "ana")
    assert client.post("/sign-out", follow_redirects=False).headers["location"] == "/sign-in"


def test_a_one_time_address_opens_once(pages: Pages) -> None:
    secret = Passwords(pages.journal).welcome_token("ana")
    client = pages.browser()
    for _ in range(2):  # looking does not use it up
        shown = client.get("/welcome", params={"token": secret})
        assert "signs you in once" in shown.text
    fields = {"csrf": token(shown), "token": secret}
    done = client.post("/welcome", data=fields, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert trail(pages)[0]["detail"] == "one-time address"
    again = pages.browser()
    fields["csrf"] = token(again.get("/welcome", params={"token": secret}))
    refused = again.post("/welcome", data=fields)
    assert refused.status_code == 401
    assert "Ask for a new one" in refused.text
    assert trail(pages)[0]["outcome"] == "denied"


def test_what_somebody_types_comes_back_as_text(pages: Pages) -> None:
    refused = attempt(pages.browser(), '"><script>alert(1)</script>', "wrong", '/"><b>')
    assert "<script>alert" not in refused.text
    assert "<b>" not in refused.text
    shown = pages.browser().get("/welcome", params={"token": '"><i>'})
    assert "<i>" not in shown.text


def test_the_language_is_the_browsers_until_one_is_chosen(pages: Pages) -> None:
    client = pages.browser(**SPANISH)
    shown = client.get("/sign-in")
    assert '<html lang="es"' in shown.text
    assert shown.headers["content-language"] == "es"
    assert "Iniciar sesión" in shown.text
    assert "no coinciden" in attempt(client, "ana", "wrong").text
    chosen = client.post("/language", data={"csrf": token(shown), "language": "en", "next": "/sign-in"})
    assert '<html lang="en"' in chosen.text
    assert '<html lang="en"' in client.get("/sign-in").text


def test_the_language_stays_with_the_session(pages: Pages) -> None:
    client = pages.signed_in("ana", **SPANISH)
    shown = client.get("/welcome")
    assert '<html lang="es"' in shown.text
    client.post("/language", data={"csrf": token(shown), "language": "en", "next": "/welcome"})
    client.cookies.delete("galeno_language")
    assert '<html lang="en"' in client.get("/welcome").text
    ignored = {"csrf": token(shown), "language": "../../x", "next": "/welcome"}
    assert client.post("/language", data=ignored).status_code == 200


def test_the_appearance_is_remembered(pages: Pages) -> None:
    client = pages.browser()
    shown = client.get("/sign-in")
    assert "data-theme" not in shown.text
    dark = client.post("/theme", data={"csrf": token(shown), "theme": "dark", "next": "/sign-in"})
    assert 'data-theme="dark"' in dark.text
    client.post("/theme", data={"csrf": token(shown), "theme": '"x', "next": "/sign-in"})
    assert 'data-theme="dark"' in client.get("/sign-in").text


def test_each_role_sees_its_places(pages: Pages) -> None:
    pages.add("rey", "auditor")
    pages.add("pia", "admin")
    seen = {}
    for name in ("ana", "max", "rey", "pia"):
        shown = pages.signed_in(name).get("/welcome").text
        menu = shown.split("<nav", 1)[1].split("</nav>")[0]
        seen[name] = re.findall(r'href="([^"]+)"', menu)
    assert seen == {
        "ana": ["/new", "/rank", "/worklist", "/models"],
        "max": ["/worklist", "/overview", "/models"],
        "rey": ["/overview", "/models", "/audit"],
        "pia": ["/models"],
    }


# The hospital's issuer


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        issuer.keys = [make_key("ec-1")]
        yield issuer


@pytest.fixture
def hospital(issuer: LocalIssuer, tmp_path: Path) -> Iterator[Pages]:
    issuer.secret = "s3cret:+/ñ".encode().hex()
    (tmp_path / "secret").write_text(issuer.secret + "\n", encoding="utf-8")
    settings = ServiceSettings(
        oidc_issuer=issuer.url,
        oidc_client_id=issuer.client,
        oidc_client_secret_file=str(tmp_path / "secret"),
    )
    with open_pages(tmp_path / "home", settings) as opened:
        issuer.callback = f"{opened.url}/sign-in/oidc/callback"
        yield opened


def travel(client: httpx.Client, onward: str = "/sign-in") -> httpx.Response:
    """To the issuer and back; the answer of the callback."""
    left = client.get("/sign-in/oidc", params={"next": onward}, follow_redirects=False)
    assert left.status_code == 303
    sent = httpx.get(left.headers["location"], follow_redirects=False)
    assert sent.status_code == 302
    return client.get(sent.headers["location"], follow_redirects=False)


def test_the_issuers_button_is_there_only_where_there_is_a_client(hospital: Pages, pages: Pages) -> None:
    assert "/sign-in/oidc" in hospital.browser().get("/sign-in").text
    assert "/sign-in/oidc" not in pages.browser().get("/sign-in").text
    assert pages.browser().get("/sign-in/oidc").status_code == 404


def test_the_issuers_account_opens(hospital: Pages) -> None:
    client = hospital.browser()
    done = travel(client, "/worklist")
    assert (done.status_code, done.headers["location"]) == (303, "/worklist")
    entry = trail(hospital)[0]
    assert (entry["actor"], entry["role"], entry["site"]) == ("oidc:ana-1", "clinician", "north")
    assert entry["detail"] == "issuer"
    shown = client.get("/welcome")
    assert "ana-1" in shown.text
    assert "galeno_away" not in client.cookies


def test_a_public_client_needs_no_secret(issuer: LocalIssuer, tmp_path: Path) -> None:
    settings = ServiceSettings(oidc_issuer=issuer.url, oidc_client_id=issuer.client)
    with open_pages(tmp_path / "public", settings) as opened:
        assert travel(opened.browser()).status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "galeno"},
        {"aud": ["galeno-pages", "other"]},
        {"aud": ["galeno-pages", "other"], "azp": "other"},
        {"iss": "https://other.example"},
        {"exp": 1},
        {"role": "director"},
        {"role": None},
        {"sub": None},
        {"refused": True},
    ],
    ids=str,
)
def test_an_answer_that_is_not_right_opens_nothing(
    hospital: Pages, issuer: LocalIssuer, claims: dict[str, Any]
) -> None:
    issuer.signing_in = claims
    client = hospital.browser()
    done = travel(client)
    assert done.status_code == 401
    assert 'role="alert"' in done.text
    assert "galeno_session" not in client.cookies
    assert (trail(hospital)[0]["action"], trail(hospital)[0]["outcome"]) == ("sign_in", "denied")


def test_a_token_for_several_is_taken_when_it_was_issued_to_us(hospital: Pages, issuer: LocalIssuer) -> None:
    issuer.signing_in = {"aud": ["other", issuer.client], "azp": issuer.client}
    assert travel(hospital.browser()).status_code == 303


def test_a_token_signed_by_another_opens_nothing(hospital: Pages, issuer: LocalIssuer) -> None:
    honest = issuer.keys
    issuer.keys = [make_key("ec-1")]
    client = hospital.browser()
    left = client.get("/sign-in/oidc", follow_redirects=False)
    sent = httpx.get(left.headers["location"], follow_redirects=False)
    issuer.pages["/jwks"] = (200, b'{"keys": []}')
    assert client.get(sent.headers["location"]).status_code == 401
    issuer.keys = honest


def test_an_answer_counts_in_the_browser_that_asked_and_once(hospital: Pages) -> None:
    client, other = hospital.browser(), hospital.browser()
    left = client.get("/sign-in/oidc", follow_redirects=False)
    back = httpx.get(left.headers["location"], follow_redirects=False).headers["location"]
    assert other.get(back, follow_redirects=False).status_code == 401  # nothing remembered there
    other.get("/sign-in/oidc", follow_redirects=False)
    assert other.get(back, follow_redirects=False).status_code == 401  # another state
    away = client.cookies["galeno_away"]
    assert client.get(back, follow_redirects=False).status_code == 303
    replayed = hospital.browser()
    replayed.cookies.set("galeno_away", away)
    assert replayed.get(back, follow_redirects=False).status_code == 401


def test_the_issuer_is_away(hospital: Pages, issuer: LocalIssuer) -> None:
    issuer.pages["/.well-known/openid-configuration"] = (500, b"")
    told = hospital.browser(**SPANISH).get("/sign-in/oidc", params={"next": "/new"})
    assert told.status_code == 503
    assert "no responde" in told.text
    assert 'value="/new"' in told.text
    page = b'{"issuer": "https://other.example", "authorization_endpoint": "https://other.example/a"}'
    issuer.pages["/.well-known/openid-configuration"] = (200, page)
    assert hospital.browser().get("/sign-in/oidc").status_code == 503


@pytest.mark.parametrize("answer", [(500, b""), (200, b"nonsense"), (200, b"{}"), (200, b"[]"), (400, b"{}")])
def test_the_issuer_does_not_give_the_token(
    hospital: Pages, issuer: LocalIssuer, answer: tuple[int, bytes]
) -> None:
    issuer.pages["/token"] = answer
    assert travel(hospital.browser()).status_code == 401


def test_settings_that_do_not_fit_end_the_start(tmp_path: Path) -> None:
    settings = ServiceSettings(oidc_client_id="galeno-pages")
    with pytest.raises(SettingError, match="GALENO_OIDC_ISSUER"):
        create_app(AppOptions(tmp_path / "a"), settings)
    settings = replace(
        settings, oidc_issuer="https://i.example", oidc_client_secret_file=str(tmp_path / "none")
    )
    with pytest.raises(SettingError, match="secret cannot be read"):
        create_app(AppOptions(tmp_path / "b"), settings)
