"""The EHR's token: who may call CDS Hooks. Real keys, a real journal, a real JWKS over HTTP."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from local_issuer import local_issuer, make_key
from sqlalchemy import Connection, func, select

from galeno.errors import GalenoError, IdentityError, JournalError, SettingError
from galeno.governance.access import Caller
from galeno.records import AuditEntry
from galeno.service.cds_clients import LONGEST_LIFE, SWEEP, CdsClients, read_clients
from galeno.storage import schema
from galeno.storage.commit import GroupCommit, PatientKey
from galeno.storage.journal import Journal

EC = make_key("ec", "ES384")
RSA = make_key("rsa", "RS384")
ISS = "https://ehr.example.org/"
AUD = "https://dx.example.org/cds-services/severity-patient-view"
JWKS = {"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}
ENTRY = {"iss": ISS, "jwks": JWKS, "site": "north", "origins": ["https://ehr.example.org"]}


class NoPatients:
    """Tokens belong to no patient, so that no key is asked for and nothing is audited."""

    def begin(self, patients: Mapping[str, str | None]) -> Mapping[str, PatientKey]:
        raise AssertionError(patients)

    def extend(self, connection: Connection, entries: Sequence[AuditEntry]) -> None:
        raise AssertionError(connection, entries)


Open = Callable[..., CdsClients]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.migrate()
    yield journal
    journal.close()


@pytest.fixture
def opened(journal: Journal, tmp_path: Path) -> Iterator[Open]:
    """Opens a list of clients; each time as a new worker would."""
    running: list[GroupCommit] = []

    def open_clients(entries: Any = None, clock: Callable[[], float] = time.time) -> CdsClients:
        commits = GroupCommit(journal, NoPatients(), NoPatients())
        commits.start()
        running.append(commits)
        return CdsClients(
            read_clients(write(tmp_path, [ENTRY] if entries is None else entries)), commits, clock
        )

    yield open_clients
    for commits in running:
        commits.close()


def write(folder: Path, content: Any) -> str:
    path = folder / "clients.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def sign(key: Any = EC, algorithm: str = "ES384", header: Any = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISS, "aud": AUD, "iat": now, "exp": now + 300, "jti": uuid.uuid4().hex} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {})
    return jwt.encode(head, claims, key, algorithms=[algorithm])


def enter(clients: CdsClients, token: str, audience: str = AUD) -> Caller:
    return asyncio.run(clients.identify(f"Bearer {token}", audience, "203.0.113.7"))[0]


def refused(clients: CdsClients, token: str, audience: str = AUD) -> str:
    """The reason, in an error that holds nothing of the token."""
    with pytest.raises(IdentityError) as caught:
        enter(clients, token, audience)
    assert not any(len(part) > 8 and part in str(caught.value) for part in token.split("."))
    return caught.value.reason


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES384"), (RSA, "RS384")])
def test_a_signed_token_tells_the_system(opened: Open, key: Any, algorithm: str) -> None:
    caller = enter(opened(), sign(key, algorithm))
    assert caller == Caller(ISS, "clinician", "north", "203.0.113.7", "cds_hooks")


def test_the_audience_may_be_a_list(opened: Open) -> None:
    assert enter(opened(), sign(aud=[AUD])).name == ISS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://other.example.org/"}, "issuer"),
        ({"aud": "https://dx.example.org/cds-services"}, "audience"),
        ({"aud": AUD + "/"}, "audience"),
        ({"aud": AUD.replace("https", "http")}, "audience"),
        ({"aud": AUD.replace("dx.", "other.")}, "audience"),
        ({"exp": 1422568860}, "expired"),
        ({"exp": int(time.time()) - 120}, "expired"),
        ({"exp": int(time.time()) + 10 * LONGEST_LIFE}, "claim"),
        ({"iat": int(time.time()) + 3000}, "early"),
        ({"exp": None}, "claim"),
        ({"iat": None}, "claim"),
        ({"jti": None}, "claim"),
        ({"jti": ""}, "claim"),
        ({"jti": 7}, "claim"),
        ({"aud": None}, "claim"),
        ({"iss": None}, "claim"),
    ],
)
def test_a_wrong_claim_is_refused(opened: Open, changes: dict[str, Any], reason: str) -> None:
    assert refused(opened(), sign(**changes)) == reason


def test_unsigned_and_symmetric_tokens_are_refused(opened: Open) -> None:
    clients = opened()
    shared = OctKey.import_key(json.dumps(JWKS), {"kid": "ec"})
    claims = json.dumps({"iss": ISS, "aud": AUD, "iat": 0, "exp": 9e9, "jti": "a"}).encode()
    parts = [base64.urlsafe_b64encode(x).rstrip(b"=").decode() for x in (b'{"alg":"none"}', claims)]
    assert refused(clients, f"{parts[0]}.{parts[1]}.") == "algorithm"
    for algorithm in ("HS256", "HS384"):
        assert refused(clients, sign(shared, algorithm)) == "algorithm"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256"])
def test_other_algorithms_are_refused(tmp_path: Path, opened: Open, algorithm: str) -> None:
    key = make_key("weak", algorithm)
    clients = opened([ENTRY | {"jwks": {"keys": [key.as_dict(private=False)]}}])
    assert refused(clients, sign(key, algorithm)) == "algorithm"


def test_a_key_that_the_token_brings_is_not_looked_at(opened: Open) -> None:
    stranger = make_key("ec", "ES384")
    header = {"jku": "https://evil.example.org/jwks", "jwk": stranger.as_dict(private=False)}
    assert refused(opened(), sign(stranger, header=header)) == "signature"
    assert enter(opened(), sign(EC, header={"jku": "https://evil.example.org/jwks"})).name == ISS


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c", "Bearer ..", "é"])
def test_something_else_is_refused(opened: Open, header: str) -> None:
    with pytest.raises(IdentityError):
        asyncio.run(opened().identify(header, AUD, ""))


def test_a_token_is_good_once_for_all_workers_and_after_a_restart(opened: Open) -> None:
    token = sign()
    enter(opened(), token)
    assert refused(opened(), token) == "replay"


def test_a_refused_token_is_not_used_up(opened: Open) -> None:
    clients, token = opened(), sign()
    assert refused(clients, token, "https://dx.example.org/cds-services") == "audience"
    assert enter(clients, token).name == ISS


def test_of_many_at_once_one_gets_in(opened: Open) -> None:
    clients, token = [opened() for _ in range(3)], sign()

    def attempt(number: int) -> bool:
        try:
            enter(clients[number % 3], token)
        except IdentityError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(12))) == 1


def test_two_issuers_may_use_the_same_jti(opened: Open) -> None:
    other = "https://second.example.org/"
    clients = opened([ENTRY, ENTRY | {"iss": other}])
    for issuer in (ISS, other):
        assert enter(clients, sign(iss=issuer, jti="same")).name == issuer


def test_used_tokens_are_forgotten_when_they_have_expired(opened: Open, journal: Journal) -> None:
    now = [time.time()]
    clients = opened(clock=lambda: now[0])
    enter(clients, sign(exp=int(now[0]) + 60))
    now[0] += 2 * SWEEP + 300
    enter(clients, sign(iat=int(now[0]), exp=int(now[0]) + 60))
    with journal.read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.tokens_seen)).scalar() == 1


def test_what_is_kept_of_a_token_says_nothing(opened: Open, tmp_path: Path) -> None:
    enter(opened(), sign(jti="patient-Maria-Lopez"))
    assert not any(b"Maria" in path.read_bytes() for path in tmp_path.glob("journal*"))


def test_nobody_gets_in_when_the_journal_is_away(opened: Open, journal: Journal) -> None:
    clients = opened()
    with journal.begin() as connection:
        schema.tokens_seen.drop(connection)
    with pytest.raises(JournalError):
        enter(clients, sign())


def test_a_tenant_gets_the_cases_of_its_own_site(opened: Open) -> None:
    clients = opened([ENTRY | {"tenant": "t1", "site": "north"}, ENTRY | {"tenant": "t2", "site": "south"}])
    assert enter(clients, sign(tenant="t1")).site == "north"
    assert enter(clients, sign(tenant="t2")).site == "south"
    for tenant in ("t3", None, 7, ["t1"], ""):
        assert refused(clients, sign(tenant=tenant)) == "tenant"


def test_a_tenant_is_the_site_where_none_is_given(opened: Open) -> None:
    entry = {name: value for name, value in ENTRY.items() if name != "site"}
    assert enter(opened([entry | {"tenant": "t1"}]), sign(tenant="t1")).site == "t1"


def test_keys_come_from_the_address_of_the_list(opened: Open) -> None:
    with local_issuer() as issuer:
        issuer.keys = [EC]
        clients = opened([{"iss": ISS, "jwks_url": f"{issuer.url}/jwks"}])
        assert enter(clients, sign()).name == ISS
        assert refused(clients, sign(RSA, "RS384")) == "unknown_key"
        assert issuer.asked == ["/jwks"]


def test_no_file_is_no_client(opened: Open) -> None:
    assert read_clients("") == ()
    assert not opened([])
    assert refused(opened([]), sign()) == "issuer"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "JSON"),
        ({}, "array"),
        ([{"jwks": JWKS}], "0.iss"),
        ([{"iss": ISS}], "jwks_url or jwks"),
        ([ENTRY | {"jwks_url": "https://a.example/jwks"}], "jwks_url or jwks"),
        ([ENTRY | {"jwks": {"keys": []}}], "key"),
        ([{"iss": ISS, "jwks_url": "http://ehr.example.org/jwks"}], "https"),
        ([ENTRY | {"jwks": {"keys": [OctKey.generate_key(256).as_dict()]}}], "key"),
        ([ENTRY | {"origins": ["*"]}], "origin"),
        ([ENTRY | {"origins": ["http://ehr.example.org"]}], "origin"),
        ([ENTRY | {"origins": ["https://ehr.example.org/app"]}], "origin"),
        ([ENTRY | {"orgins": []}], "0.orgins"),
        ([ENTRY, ENTRY], "same issuer and tenant"),
        ([ENTRY, ENTRY | {"tenant": "t"}], "with a tenant and without"),
        ([ENTRY | {"tenant": "t"}, ENTRY | {"tenant": "u", "jwks": {"keys": JWKS["keys"][:1]}}], "different"),
    ],
)
def test_a_faulty_list_is_told(opened: Open, content: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=told) as caught:
        opened(content)
    assert caught.value.where == "GALENO_CDS_CLIENTS"


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        read_clients(str(tmp_path / "none.json"))


def test_errors_are_ours(opened: Open) -> None:
    with pytest.raises(GalenoError):
        enter(opened(), "é" * 30)
