"""Tokens against a real issuer over HTTP, with real ES256 and RS256 keys."""

import asyncio
import base64
import json
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey
from joserfc.jws import JWSRegistry, serialize_compact
from local_issuer import LocalIssuer, local_issuer, make_key

from galeno.errors import IdentityError, SettingError
from galeno.service.tokens import ALGORITHMS, FixedKeys, KeySource, RemoteKeys, read_issuer, verify_token

EC = make_key("ec-1")
EC384 = make_key("ec-384", "ES384")
RSA = make_key("rsa-1", "RS256")
STRANGER = make_key("ec-1")


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    with local_issuer() as issuer:
        issuer.keys = [EC, RSA, EC384]
        yield issuer


def check(token: str, keys: KeySource, by: LocalIssuer, **options: Any) -> dict[str, Any]:
    arguments = {"issuer": by.url, "audience": "galeno"} | options
    return asyncio.run(verify_token(token, keys, **arguments))


def refuse(token: str, keys: KeySource, by: LocalIssuer, **options: Any) -> str:
    """The reason for which a token is refused, with an error that does not hold it."""
    with pytest.raises(IdentityError) as caught:
        check(token, keys, by, **options)
    for part in token.split("."):
        assert len(part) < 8 or part not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value.reason


def b64(content: Any) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("key", "algorithm"), [(EC, "ES256"), (EC384, "ES384"), (RSA, "RS256"), (RSA, "RS384"), (RSA, "PS256")]
)
def test_each_algorithm_that_is_taken(issuer: LocalIssuer, key: Any, algorithm: str) -> None:
    token = issuer.sign(key, algorithm=algorithm)
    for keys in (FixedKeys(issuer.jwks), RemoteKeys(f"{issuer.url}/jwks"), RemoteKeys.discover(issuer.url)):
        assert check(token, keys, issuer)["sub"] == "ana-1"


def test_hmac_with_the_public_key_as_secret_is_refused(issuer: LocalIssuer) -> None:
    secret = OctKey.import_key(base64.urlsafe_b64encode(RSA.as_bytes()).decode())
    head = {"alg": "HS256", "kid": "rsa-1"}
    token = serialize_compact(head, json.dumps(issuer.claims()), secret, algorithms=["HS256"])
    keys = FixedKeys(issuer.jwks)
    assert refuse(token, keys, issuer) == "algorithm"
    assert refuse(token, keys, issuer, algorithms=["HS256", "ES256"]) == "algorithm"


def test_none_is_refused_however_it_is_spelled(issuer: LocalIssuer) -> None:
    for alg in ("none", "None", "NONE", "nOnE", ""):
        token = f"{b64({'alg': alg, 'kid': 'ec-1'})}.{b64(issuer.claims())}."
        assert refuse(token, FixedKeys(issuer.jwks), issuer, algorithms=[alg, "ES256"]) == "algorithm"


def test_an_algorithm_that_was_not_asked_for_is_refused(issuer: LocalIssuer) -> None:
    keys = FixedKeys(issuer.jwks)
    assert refuse(issuer.sign(EC), keys, issuer, algorithms=["ES384", "RS384"]) == "algorithm"
    assert "RS512" not in ALGORITHMS


def test_a_signature_of_another_key_is_refused(issuer: LocalIssuer) -> None:
    assert refuse(issuer.sign(STRANGER), FixedKeys(issuer.jwks), issuer) == "signature"


def test_a_changed_claim_is_refused(issuer: LocalIssuer) -> None:
    head, _, signature = issuer.sign().split(".")
    token = f"{head}.{b64(issuer.claims(role='admin'))}.{signature}"
    assert refuse(token, FixedKeys(issuer.jwks), issuer) == "signature"


def test_a_key_that_the_token_brings_along_is_not_used(issuer: LocalIssuer) -> None:
    brought = {"jwk": STRANGER.as_dict(private=False)}
    assert refuse(issuer.sign(STRANGER, header=brought), FixedKeys(issuer.jwks), issuer) == "signature"
    # A kid of the wrong kind of key does not let one algorithm's token pass with another's key.
    crossed = issuer.sign(STRANGER, header={"kid": "rsa-1"})
    assert refuse(crossed, FixedKeys(issuer.jwks), issuer) == "unknown_key"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", "third"]}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": None}, "claim"),
        ({"aud": 7}, "claim"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": None}, "claim"),
        ({"iss": ["a"]}, "claim"),
        ({"exp": None}, "claim"),
        ({"exp": 1}, "expired"),
        ({"exp": "tomorrow"}, "claim"),
        ({"exp": float("nan")}, "claim"),
        ({"exp": True}, "claim"),
        ({"nbf": time.time() + 3600}, "early"),
        ({"nbf": "soon"}, "claim"),
        ({"iat": time.time() + 3600}, "early"),
        ({"sub": 5}, "claim"),
    ],
)
def test_wrong_claims_are_refused(issuer: LocalIssuer, changes: dict[str, Any], reason: str) -> None:
    assert refuse(issuer.sign(**changes), FixedKeys(issuer.jwks), issuer) == reason


def test_claims_that_the_caller_requires_must_be_there(issuer: LocalIssuer) -> None:
    keys = FixedKeys(issuer.jwks)
    token = issuer.sign()
    assert refuse(token, keys, issuer, required=("jti",)) == "claim"
    assert check(issuer.sign(jti="1"), keys, issuer, required=("jti",))["jti"] == "1"
    assert refuse(issuer.sign(iss=None), keys, issuer, required=()) == "claim"


def test_clocks_may_differ_by_the_leeway(issuer: LocalIssuer) -> None:
    keys, now = FixedKeys(issuer.jwks), 1_700_000_000
    token = issuer.sign(iat=now - 300, exp=now, nbf=now - 300)
    check(token, keys, issuer, now=now + 29)
    assert refuse(token, keys, issuer, now=now + 31) == "expired"
    assert refuse(token, keys, issuer, now=now + 1, leeway=0) == "expired"
    check(token, keys, issuer, now=now - 329)
    assert refuse(token, keys, issuer, now=now - 331) == "early"


def test_several_issuers_and_audiences_and_an_empty_list_trusts_nobody(issuer: LocalIssuer) -> None:
    keys = FixedKeys(issuer.jwks)
    token = issuer.sign(aud=["x", "galeno"])
    check(token, keys, issuer, issuer=["https://a.example", issuer.url], audience={"galeno", "y"})
    assert refuse(token, keys, issuer, issuer=[]) == "issuer"
    assert refuse(token, keys, issuer, audience=[]) == "audience"
    assert refuse(token, keys, issuer, issuer=issuer.url[:-1]) == "issuer"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256", "crit": ["b64"], "b64": False},
        {"alg": "ES256", "crit": ["exp"], "exp": 1},
        {"alg": "ES256", "zip": "DEF"},
        {"alg": "ES256", "kid": 7},
        {"alg": ["ES256"]},
        {"kid": "ec-1"},
        ["ES256"],
        "ES256",
    ],
)
def test_headers_that_are_not_understood_are_refused(issuer: LocalIssuer, header: Any) -> None:
    token = f"{b64(header)}.{b64(issuer.claims())}.{b64(b'x' * 64)}"
    assert refuse(token, FixedKeys(issuer.jwks), issuer) == "malformed"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "ñ.b.c", "a.b.c" * 10_000, "[" * 9000 + ".x.y", "a" * 20_000]
)
def test_what_is_no_token_is_refused(issuer: LocalIssuer, token: str) -> None:
    assert refuse(token, FixedKeys(issuer.jwks), issuer) == "malformed"


def test_nested_junk_is_refused(issuer: LocalIssuer) -> None:
    deep = b"[" * 8000
    assert refuse(f"{b64(deep)}.x.y", FixedKeys(issuer.jwks), issuer) == "malformed"
    payload = serialize_compact({"alg": "ES256", "kid": "ec-1"}, b'["a list"]', EC)
    assert refuse(payload, FixedKeys(issuer.jwks), issuer) == "signature"


KEYS = FixedKeys({"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]})
GOOD = LocalIssuer("https://issuer.example")
GOOD.keys = [EC]
SIGNED = GOOD.sign(exp=4_000_000_000)


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(st.text(max_size=60), st.lists(st.text("Aa0_-=eyJ9", max_size=30), max_size=4).map(".".join))
)
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(IdentityError):
        asyncio.run(verify_token(text, KEYS, issuer=GOOD.url, audience="galeno"))
    with pytest.raises(IdentityError):
        read_issuer(text)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(SIGNED) - 1), st.sampled_from("Az09_-."))
def test_a_token_with_one_letter_changed_is_refused(place: int, letter: str) -> None:
    changed = SIGNED[:place] + letter + SIGNED[place + 1 :]
    # The last letter of a part holds bits that are not used; those are the same token.
    if changed == SIGNED or place == len(SIGNED) - 1:
        return
    with pytest.raises(IdentityError):
        asyncio.run(verify_token(changed, KEYS, issuer=GOOD.url, audience="galeno"))


def test_the_unverified_issuer_chooses_the_keys() -> None:
    assert read_issuer(SIGNED) == GOOD.url
    with pytest.raises(IdentityError) as caught:
        read_issuer(GOOD.sign(iss=None))
    assert caught.value.reason == "claim"


def test_keys_that_cannot_check_a_signature_are_passed_over() -> None:
    usable = EC.as_dict(private=False)
    encrypting = usable | {"kid": "enc", "use": "enc"}
    signing = usable | {"kid": "ops", "key_ops": ["sign"]}
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": b64(b"\xff" * 128)}
    secret = {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}
    odd = [{"kty": "EC", "crv": "P-256", "kid": "odd", "x": "AA", "y": "AA"}, {"kty": "AKP", "kid": "pq"}, 7]
    keys = FixedKeys({"keys": [encrypting, signing, weak, secret, *odd, usable]})
    assert asyncio.run(keys.find("ec-1", "ES256")).kid == "ec-1"
    for kid, algorithm in [("enc", "ES256"), ("ops", "ES256"), ("weak", "RS256"), ("odd", "ES256")]:
        with pytest.raises(IdentityError) as caught:
            asyncio.run(keys.find(kid, algorithm))
        assert caught.value.reason == "unknown_key"


def test_a_key_is_bound_to_the_algorithm_that_it_names(issuer: LocalIssuer) -> None:
    keys = FixedKeys({"keys": [RSA.as_dict(private=False) | {"alg": "PS256"}]})
    check(issuer.sign(RSA, algorithm="PS256"), keys, issuer)
    assert refuse(issuer.sign(RSA, algorithm="RS256"), keys, issuer) == "unknown_key"


def test_a_token_without_a_key_id_takes_the_single_key_that_fits(issuer: LocalIssuer) -> None:
    token = issuer.sign(EC, header={"kid": None})
    check(token, FixedKeys(issuer.jwks), issuer)
    second = make_key("ec-2").as_dict(private=False)
    assert refuse(token, FixedKeys({"keys": [*issuer.jwks["keys"], second]}), issuer) == "unknown_key"


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": 5}, {"keys": [{"kty": "oct", "k": "eA"}]}, []])
def test_a_key_set_without_a_usable_key_is_a_wrong_setting(jwks: Any) -> None:
    with pytest.raises(SettingError):
        FixedKeys(jwks)


def test_keys_are_fetched_once_and_again_when_they_are_old(issuer: LocalIssuer) -> None:
    clock = Clock()
    keys = RemoteKeys.discover(issuer.url, lifetime=600, clock=clock)
    token = issuer.sign()
    for _ in range(5):
        check(token, keys, issuer)
    assert issuer.asked == ["/.well-known/openid-configuration", "/jwks"]
    clock.time += 601
    check(token, keys, issuer)
    assert len(issuer.asked) == 4


def test_a_rotated_key_is_fetched_when_a_token_names_it(issuer: LocalIssuer) -> None:
    clock = Clock()
    keys = RemoteKeys(f"{issuer.url}/jwks", clock=clock)
    old = issuer.sign()
    check(old, keys, issuer)
    new = make_key("ec-new")
    issuer.keys = [new]
    token = issuer.sign(new)
    clock.time += 29
    assert refuse(token, keys, issuer) == "unknown_key"
    assert len(issuer.asked) == 1, "the issuer is not asked again within 30 seconds"
    clock.time += 2
    check(token, keys, issuer)
    assert len(issuer.asked) == 2
    assert refuse(old, keys, issuer) == "unknown_key", "the key that was withdrawn is gone"


def test_made_up_key_ids_do_not_hammer_the_issuer(issuer: LocalIssuer) -> None:
    clock = Clock()
    keys = RemoteKeys(f"{issuer.url}/jwks", clock=clock)
    for number in range(60):
        assert refuse(issuer.sign(header={"kid": f"made up {number}"}), keys, issuer) == "unknown_key"
        clock.time += 1
    assert 2 <= len(issuer.asked) <= 3
    check(issuer.sign(), keys, issuer)


def test_requests_at_the_same_time_fetch_once(issuer: LocalIssuer) -> None:
    keys = RemoteKeys.discover(issuer.url)
    issuer.delay = 0.05
    token = issuer.sign()

    async def many() -> None:
        checks = [verify_token(token, keys, issuer=issuer.url, audience="galeno") for _ in range(20)]
        assert len(await asyncio.gather(*checks)) == 20

    asyncio.run(many())
    assert len(issuer.asked) == 2


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_an_issuer_that_is_away_is_told_clearly(
    issuer: LocalIssuer, deaf_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    keys = RemoteKeys.discover(f"http://127.0.0.1:{deaf_port}", clock=clock)
    token = issuer.sign()
    with caplog.at_level(logging.WARNING, logger="galeno.service"), pytest.raises(IdentityError) as caught:
        check(token, keys, issuer)
    assert caught.value.reason == "unreachable"
    assert "does not give its keys now" in str(caught.value)
    assert "ConnectError" in caplog.text
    assert refuse(token, keys, issuer) == "unreachable"


def test_a_slow_issuer_does_not_hold_requests_up(issuer: LocalIssuer) -> None:
    keys = RemoteKeys(f"{issuer.url}/jwks", timeout=0.1)
    issuer.delay = 0.5
    token = issuer.sign()

    async def many() -> None:
        started = time.monotonic()
        checks = [verify_token(token, keys, issuer=issuer.url, audience="galeno") for _ in range(10)]
        answers = await asyncio.gather(*checks, return_exceptions=True)
        assert {getattr(answer, "reason", None) for answer in answers} == {"unreachable"}
        assert time.monotonic() - started < 0.45

    asyncio.run(many())
    assert len(issuer.asked) == 1


def test_old_keys_go_on_while_the_issuer_is_away_but_not_for_ever(issuer: LocalIssuer) -> None:
    clock = Clock()
    keys = RemoteKeys(f"{issuer.url}/jwks", clock=clock)
    token = issuer.sign()
    check(token, keys, issuer)
    issuer.pages["/jwks"] = (503, b"")
    clock.time += 3600
    check(token, keys, issuer)
    clock.time += 86_400
    assert refuse(token, keys, issuer) == "unreachable"
    del issuer.pages["/jwks"]
    clock.time += 10
    check(token, keys, issuer)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/jwks", 200, b"<html>"),
        ("/jwks", 200, b"[]"),
        ("/jwks", 200, b"7"),
        ("/jwks", 200, b'{"keys": {}}'),
        ("/jwks", 200, b'{"keys": []}'),
        ("/jwks", 200, b"[" * 100_000),
        ("/jwks", 200, b" " * 1_100_000 + b"{}"),
        ("/jwks", 500, b""),
        ("/jwks", 302, b""),
        ("/.well-known/openid-configuration", 200, b"{}"),
        ("/.well-known/openid-configuration", 200, b'{"issuer": "https://evil.example", "jwks_uri": "x"}'),
    ],
)
def test_an_issuer_that_answers_nonsense_is_told_clearly(
    issuer: LocalIssuer, path: str, status: int, body: bytes
) -> None:
    issuer.pages[path] = (status, body)
    assert refuse(issuer.sign(), RemoteKeys.discover(issuer.url), issuer) == "unreachable"


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://keys.example/jwks", "", "http://[", 7, None]
)
def test_a_discovery_page_cannot_send_us_elsewhere(issuer: LocalIssuer, address: Any) -> None:
    page = json.dumps({"issuer": issuer.url, "jwks_uri": address}).encode()
    issuer.pages["/.well-known/openid-configuration"] = (200, page)
    assert refuse(issuer.sign(), RemoteKeys.discover(issuer.url), issuer) == "unreachable"
    assert "/jwks" not in issuer.asked


@pytest.mark.parametrize(
    "address",
    ["http://issuer.example", "ftp://127.0.0.1/x", "issuer.example", "", "http://localhost.evil.example"],
)
def test_keys_are_not_fetched_in_the_clear(address: str) -> None:
    with pytest.raises(SettingError, match="not an https address"):
        RemoteKeys(address)


def test_https_and_the_loopback_address_are_taken() -> None:
    for address in ("https://issuer.example", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"):
        RemoteKeys(address)


def test_the_library_offers_what_we_refuse() -> None:
    # if joserfc dropped these, the tests above would pass for the wrong reason
    assert {"HS256", "none"} <= set(JWSRegistry.algorithms)
    assert isinstance(EC, ECKey)
