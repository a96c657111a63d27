"""Settings from the environment, typed. docs/settings.md lists them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galeno.errors import SettingError


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the environment says of the service. Addresses may hold passwords: never print them.

    Attributes:
        journal: GALENO_JOURNAL, SQLAlchemy URL of the journal; empty means SQLite in the home.
        vault: GALENO_VAULT, SQLAlchemy URL of the patients' keys; empty means SQLite in the home.
        keys: GALENO_KEYS, file of the master keys; empty means `keys.json` in the home.
        capture_lake: GALENO_CAPTURE_LAKE, folder or s3:// address for captured diagnoses; empty means the
            home's lake.
        oidc_issuer: GALENO_OIDC_ISSUER, issuer whose bearer tokens are taken; empty takes none.
        oidc_audience: GALENO_OIDC_AUDIENCE, audience that a token must name.
        oidc_jwks: GALENO_OIDC_JWKS, address of the issuer's keys; empty asks the issuer's discovery page.
        oidc_role_claim: GALENO_OIDC_ROLE_CLAIM, claim that holds the role (dots go into objects).
        oidc_site_claim: GALENO_OIDC_SITE_CLAIM, claim that holds the site.
        oidc_client_id: GALENO_OIDC_CLIENT_ID, name of the pages at the issuer; empty offers no such sign-in.
        oidc_client_secret_file: GALENO_OIDC_CLIENT_SECRET_FILE, file with its secret; empty for a public one.
        idle_minutes: GALENO_IDLE_MINUTES, minutes without a request after which a session of the pages ends.
        cds_clients: GALENO_CDS_CLIENTS, JSON file of the hospital systems that may call CDS Hooks.
        public_url: GALENO_PUBLIC_URL, address that clients see, without a slash at the end.
        upload_mib: GALENO_UPLOAD_MIB, MiB of one request with sounds or images.
    """

    journal: str = ""
    vault: str = ""
    keys: str = ""
    capture_lake: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = "galeno"
    oidc_jwks: str = ""
    oidc_role_claim: str = "role"
    oidc_site_claim: str = "site"
    oidc_client_id: str = ""
    oidc_client_secret_file: str = ""
    idle_minutes: int = 15
    cds_clients: str = ""
    public_url: str = ""
    upload_mib: int = 48

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServiceSettings":
        """Read the settings; an empty variable counts as unset.

        Raises:
            SettingError: GALENO_IDLE_MINUTES is not a whole number from 1 to 720, or GALENO_UPLOAD_MIB is
                none from 1 to 512.
        """
        env = os.environ if environment is None else environment
        named: dict[str, Any] = {name: env.get(f"GALENO_{name.upper()}", "") for name in cls.__slots__}
        for name, most, remedy in (
            ("idle_minutes", 720, "Set it to the minutes after which an idle session ends, or unset it"),
            ("upload_mib", 512, "Set it to the MiB of one request with sounds or images, or unset it"),
        ):
            value = named[name]
            if value:
                if not value.isdecimal() or not 1 <= int(value) <= most:
                    raise SettingError(
                        f"GALENO_{name.upper()} is not a whole number from 1 to {most}",
                        where="environment",
                        remedy=remedy,
                    )
                named[name] = int(value)
        return cls(**{name: value for name, value in named.items() if value})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; a command's own options come first.

    Attributes:
        home: GALENO_HOME, the folder that holds lake, runs, packages and registry.
        threads: GALENO_THREADS, threads per fit and per ONNX session.
        registry: GALENO_REGISTRY, an MLflow tracking URI; empty means SQLite in the home.
    """

    home: Path
    threads: int
    registry: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Raises:
            SettingError: GALENO_THREADS is not a whole number above 0.
        """
        env = os.environ if environment is None else environment
        threads = env.get("GALENO_THREADS") or str(min(os.cpu_count() or 1, 8))
        if not threads.isdecimal() or int(threads) < 1:
            raise SettingError(
                "GALENO_THREADS is not a whole number above 0",
                where="environment",
                remedy="Set it to the number of cores that Galeno may use, or unset it",
            )
        home = Path(env.get("GALENO_HOME") or Path.home() / ".galeno")
        return cls(home=home.expanduser(), threads=int(threads), registry=env.get("GALENO_REGISTRY", ""))


@dataclass(frozen=True, slots=True)
class KnowledgeSettings:
    """Where the knowledge of rare diseases is.

    Attributes:
        ontology: GALENO_HPO_ONTOLOGY, hp.obo; None takes the one of the extra `rare`.
        annotations: GALENO_HPO_ANNOTATIONS, phenotype.hpoa of the same release; None likewise.
        translation: GALENO_HPO_TRANSLATION, Babelon table of term names in other languages; None has none.
        merge: GALENO_DISEASE_MERGE, table of OMIM, Orphanet and DECIPHER entries that are one disease.
        cache: GALENO_CACHE, folder for what can be made again; `galeno` in the user's cache folder.
    """

    ontology: Path | None
    annotations: Path | None
    translation: Path | None
    merge: Path | None
    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "KnowledgeSettings":
        """Read the settings; an empty variable counts as unset."""
        env = os.environ if environment is None else environment

        def read(name: str) -> Path | None:
            return Path(env[name]).expanduser() if env.get(name) else None

        cache = env.get("GALENO_CACHE") or str(Path(env.get("XDG_CACHE_HOME") or "~/.cache") / "galeno")
        return cls(
            ontology=read("GALENO_HPO_ONTOLOGY"),
            annotations=read("GALENO_HPO_ANNOTATIONS"),
            translation=read("GALENO_HPO_TRANSLATION"),
            merge=read("GALENO_DISEASE_MERGE"),
            cache=Path(cache).expanduser(),
        )
