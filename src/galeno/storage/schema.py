"""The journal's tables. Plain columns hold what aggregates need; what patients said and got is sealed.

Times are texts of `ids.now()`, structured values are JSON texts, sealed values are bytes of
`cipher.PatientKey.seal`, patients are pseudonyms. Migrations make the tables; HEAD names the last one.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0003"
"""Revision of the last migration in `migrations/versions`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=null)


def _blob(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, LargeBinary, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Float(53), nullable=null)


def _whole(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Integer, nullable=null)


def _flag(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, Boolean, nullable=null)


def _key(name: str = "id") -> Column[Any]:
    return Column(name, Text, primary_key=True)


diagnoses = Table(
    "diagnoses",
    metadata,
    _key(),
    _text("study"),
    _text("created"),
    _text("patient"),
    _text("site"),
    _text("actor"),
    _text("face"),
    _text("version", null=True),
    _text("package_sha256"),
    _text("condition"),
    _number("confidence"),
    _flag("needs_review"),
    _blob("record", null=True),
    _blob("answer"),
    _number("latency_ms"),
    _text("reviewed", null=True),
    Index(None, "study", "id"),
    Index(None, "patient"),
    Index(None, "study", "needs_review", "confidence"),
)
"""What was answered. `record`: sealed input, null where it is not captured; `answer`: sealed ranking etc.;
`reviewed`: when a clinician first looked at it."""

shadows = Table(
    "shadows",
    metadata,
    _key(),
    _text("diagnosis"),
    _text("patient"),
    _text("study"),
    _text("created"),
    _text("version", null=True),
    _text("package_sha256"),
    _text("condition"),
    _number("confidence"),
    _blob("answer"),
    _number("latency_ms"),
    Index(None, "study", "id"),
    Index(None, "patient"),
    Index(None, "diagnosis"),
)
"""What a challenger would have answered; id is the diagnosis' id, a dot and the version."""

feedback = Table(
    "feedback",
    metadata,
    _key(),
    _text("diagnosis"),
    _text("patient"),
    _text("created"),
    _text("actor"),
    _text("role"),
    _flag("agrees"),
    _text("condition", null=True),
    _whole("rating", null=True),
    _text("reason", null=True),
    _blob("comment", null=True),
    Index(None, "diagnosis"),
    Index(None, "patient"),
)
"""What clinicians said of a diagnosis. `reason` is a code, `comment` is sealed."""

outcomes = Table(
    "outcomes",
    metadata,
    _key(),
    _text("diagnosis", null=True),
    _text("study"),
    _text("patient"),
    _text("condition"),
    _text("confirmed_on"),
    _text("created"),
    _text("actor"),
    _text("source"),
    Index(None, "diagnosis"),
    Index(None, "patient"),
    Index(None, "study", "confirmed_on"),
)
"""Confirmed conditions. The id is made from the content, so that a file imported twice adds nothing;
`source`: api, csv, cli or fhir."""

consents = Table(
    "consents",
    metadata,
    _key(),
    _text("patient"),
    _text("study"),
    _text("policy_version"),
    _text("language"),
    _flag("accepted"),
    _flag("training"),
    _text("created"),
    _text("actor"),
    _text("withdrawn", null=True),
    Index(None, "patient", "study", "created"),
)
"""What patients agreed to; a row stays when it is withdrawn."""

rankings = Table(
    "rankings",
    metadata,
    _key(),
    _text("created"),
    _text("patient", null=True),
    _text("site"),
    _text("actor"),
    _text("face"),
    _text("disease"),
    _number("probability"),
    _number("absent"),
    _text("version"),
    _blob("record"),
    _blob("answer"),
    _number("latency_ms"),
    Index(None, "patient"),
)
"""Rare diseases that were ranked. `patient`: null where none was named; the key of what is sealed then has
the ranking's id. `disease`: id of the first one; `record`: sealed input as it was read; `answer`: sealed
ranking; `version`: of the knowledge that ranked."""

ranking_feedback = Table(
    "ranking_feedback",
    metadata,
    _key(),
    _text("ranking"),
    _text("patient", null=True),
    _text("created"),
    _text("actor"),
    _text("role"),
    _flag("agrees"),
    _text("disease", null=True),
    _blob("comment", null=True),
    Index(None, "ranking"),
    Index(None, "patient"),
)
"""What clinicians said of a ranking. `disease`: id of their own diagnosis; `comment` is sealed."""

identities = Table("identities", metadata, _key("patient"), _blob("sealed"), _text("created"))
"""The hospital's patient id, sealed, apart from the clinical tables."""

erasures = Table("erasures", metadata, _key("patient"), _text("erased"), _text("actor"), _text("counts"))
"""Tombstones of erased patients; `counts`: JSON, rows erased by table."""

users = Table(
    "users",
    metadata,
    _key(),
    _text("name"),
    _text("role"),
    _text("site"),
    _text("key_hash"),
    _text("key_hint"),
    _text("created"),
    _text("expires", null=True),
    _text("revoked", null=True),
    _text("password", null=True),
    _text("welcome", null=True),
    _text("welcome_until", null=True),
    UniqueConstraint("name"),
    UniqueConstraint("key_hash"),
)
"""Who has a key; only its SHA-256 is kept. `password`: argon2 hash; `welcome`: SHA-256 of a token that signs
in once, until `welcome_until`."""

sessions = Table(
    "sessions",
    metadata,
    _key(),
    _text("user"),
    _text("role"),
    _text("site"),
    _text("language"),
    _text("csrf"),
    _text("created"),
    _text("seen"),
    _text("expires"),
    _text("notice", null=True),
    _text("oidc", null=True),
    Index(None, "expires"),
    Index(None, "user"),
)
"""Who is signed in to the pages. The id is the SHA-256 of the cookie; `user` is empty while somebody is away
at the issuer, and `oidc` is then the JSON of what must come back; `notice`: shown once on the next page."""

page_times = Table(
    "page_times",
    metadata,
    _key(),
    _text("day"),
    _text("page"),
    _text("role"),
    _number("seconds"),
    _text("user_hash"),
    Index(None, "day"),
)
"""How long pages were looked at; `user_hash` tells users of a day apart and names nobody."""

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _text("time"),
    _text("action"),
    _text("outcome"),
    _text("actor"),
    _text("role"),
    _text("site"),
    _text("address"),
    _text("face"),
    _text("purpose"),
    _text("patient"),
    _text("study"),
    _text("model"),
    _text("subject"),
    _text("input_hash"),
    _number("latency_ms", null=True),
    _text("detail"),
    _text("previous"),
    _text("hash"),
)
"""Who did what: each row's hash covers the row before it. No index but the key: the trail is written with
every request and read seldom, and in order."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _whole("seq"),
    _text("hash"),
)
"""One row (id 1): the end of the audit trail."""

outbox = Table(
    "outbox",
    metadata,
    _key(),
    _text("created"),
    _text("study"),
    _text("subject"),
    _text("body"),
    _text("dedupe"),
    _text("due"),
    _whole("attempts"),
    _text("sent", null=True),
    _text("failed", null=True),
    _text("error", null=True),
    UniqueConstraint("dedupe"),
    Index(None, "sent", "failed", "due"),
)
"""Notifications that are to be sent, or were: ids only, no patient data."""

tokens_seen = Table("tokens_seen", metadata, _key("jti"), _number("expires"), Index(None, "expires"))
"""Ids of CDS Hooks tokens that were used; `expires`: seconds since 1970, after which the row may go."""

stops = Table("stops", metadata, _key("study"), _text("stopped"), _text("actor"), _text("reason"))
"""Studies that are switched off."""

exports = Table("exports", metadata, _key("study"), _text("cursor"))
"""Id of the last diagnosis of a study that went to the lake."""
