"""Commands that run and look after a service: serve, users, outcomes, audit, privacy, keys."""

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from galeno.errors import GalenoError, InputError
from galeno.options import Home, Json, choose_home
from galeno.settings import ServiceSettings

users = typer.Typer(help="Add, list and revoke those who may ask the service.", no_args_is_help=True)
outcomes = typer.Typer(help="Confirmed conditions, which may come weeks later.", no_args_is_help=True)
audit = typer.Typer(help="Check and export the audit trail.", no_args_is_help=True)
privacy = typer.Typer(help="Export or erase everything of one patient.", no_args_is_help=True)
keys = typer.Typer(help="The keys that protect patient data.", no_args_is_help=True)

Patient = Annotated[str, typer.Argument(metavar="PATIENT", help="The hospital's own id of the patient.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write. Default: standard output.")
]
Expires = Annotated[int, typer.Option("--expires-days", min=1, help="Days until the key ends.")]

LOCAL = "http://127.0.0.1:8000"
"""Where the service answers unless it was told otherwise; GALENO_PUBLIC_URL comes first."""
OPERATOR = "operator"
"""Who the audit trail names for a command; whoever runs it has the home itself."""


def add_operations(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(serve)
    for name, group in {
        "users": users,
        "outcomes": outcomes,
        "audit": audit,
        "privacy": privacy,
        "keys": keys,
    }.items():
        app.add_typer(group, name=name)


def serve(
    home: Home = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that answer.")] = 1,
    demo: Annotated[
        bool, typer.Option("--demo", help="No login: whoever reaches it may do all. Loopback only.")
    ] = False,
    ui: Annotated[
        bool, typer.Option("--ui/--no-ui", help="Pages for people with a browser, beside the API.")
    ] = True,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Its private key (PEM).")] = None,
    behind_proxy: Annotated[
        str,
        typer.Option(
            "--behind-proxy",
            metavar="ADDRESS",
            help="Address of the proxy that ends TLS; its X-Forwarded headers are believed.",
        ),
    ] = "",
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Requests a second of one caller.")] = 2000.0,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, help="Requests at a time and worker; more get 503.")
    ] = 256,
    body_limit: Annotated[
        int,
        typer.Option("--body-limit", min=1000, help="Bytes of one request; batches have their own."),
    ] = 1_000_000,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of one inference.")] = 1,
) -> None:
    """Answer over HTTP with the champion of each study.

    Pages, the REST API, FHIR and CDS Hooks on one port.

    Without --demo, add people and systems first: galeno users add NAME --role clinician, and for the
    pages galeno users password NAME.
    """
    from galeno.service.app import AppOptions
    from galeno.service.serve import ServeOptions, check
    from galeno.service.serve import serve as answer

    settings = ServiceSettings.from_environment()
    secure = tls_cert is not None or bool(behind_proxy) or settings.public_url.startswith("https://")
    app = AppOptions(
        home=choose_home(home),
        demo=demo,
        pages=ui,
        threads=threads,
        rate=rate,
        in_flight=in_flight,
        body_limit=body_limit,
        secure=secure,
    )
    options = ServeOptions(app, host, port, workers, tls_cert, tls_key, behind_proxy)
    check(options)
    if demo:
        typer.echo("DEMO MODE: no login. Whoever reaches this address may do everything.", err=True)
    answer(options, settings, say=lambda line: typer.echo(line, err=True))


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One person or system; no shared accounts.")],
    role: Annotated[str, typer.Option("--role", help="clinician, engineer, auditor or admin.")],
    site: Annotated[str, typer.Option("--site", help="Site whose cases a clinician sees.")] = "",
    expires: Expires = 365,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Add a user and print the key, once. It is sent as: Authorization: Bearer KEY."""
    from galeno.governance.access import Action
    from galeno.governance.users import Users

    with _stores(home) as stores:
        user, key = Users(stores.journal).add(name, role, site=site, expires_days=expires)
        _audit(stores, Action.USERS_MANAGE, subject=user.name, detail=f"added as {user.role}")
    _print_key(user, key, as_json=as_json)


@users.command("renew")
def renew_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")],
    expires: Expires = 365,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Give a user a new key and print it, once.

    The old one opens nothing any more.
    """
    from galeno.governance.access import Action
    from galeno.governance.users import Users

    with _stores(home) as stores:
        user, key = Users(stores.journal).renew(name, expires_days=expires)
        _audit(stores, Action.USERS_MANAGE, subject=user.name, detail="key renewed")
    _print_key(user, key, as_json=as_json)


@users.command("list")
def list_users(home: Home = None, as_json: Json = False) -> None:
    """List users; keys are never shown."""
    from galeno.governance.users import Users

    with _stores(home) as stores:
        found = [asdict(user) for user in Users(stores.journal).list()]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for user in found:
        state = "revoked" if user["revoked"] else f"until {str(user['expires'] or 'revoked')[:10]}"
        typer.echo(f"{user['name']:<24} {user['role']:<10} {user['site']:<12} {state}")


@users.command("revoke")
def revoke_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")], home: Home = None
) -> None:
    """Take a user's key back; within seconds it opens nothing."""
    from galeno.governance.access import Action
    from galeno.governance.users import Users

    with _stores(home) as stores:
        Users(stores.journal).revoke(name)
        _audit(stores, Action.USERS_MANAGE, subject=name, detail="revoked")
    typer.echo(f"{name} may ask no more")


@users.command("password")
def set_password(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")],
    from_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    home: Home = None,
) -> None:
    """Set the password that a user signs in to the pages with. Sessions of the user end."""
    from galeno.governance.access import Action
    from galeno.governance.passwords import Passwords

    if from_stdin:
        password = sys.stdin.readline(1000).rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    with _stores(home) as stores:
        Passwords(stores.journal).set(name, password)
        _audit(stores, Action.USERS_MANAGE, subject=name, detail="password set")
    typer.echo(f"{name} may sign in with the new password")


@users.command("welcome")
def welcome_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")],
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=1440, help="How long the address is good.")
    ] = 30,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print an address that signs a user in to the pages, once. Give it to nobody else."""
    from galeno.service.invite import invite

    settings = ServiceSettings.from_environment()
    with _stores(home) as stores:
        address = invite(stores, name, settings.public_url or LOCAL, minutes=minutes)
    typer.echo(json.dumps({"name": name, "address": address}) if as_json else address)


@outcomes.command("import")
def import_outcomes(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")],
    input_file: Annotated[
        Path,
        typer.Option("--input", "-i", help="CSV: condition, confirmed_on, and diagnosis_id or patient_id."),
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Import confirmed conditions. Importing a file twice adds nothing."""
    from galeno.ingest.tables import read_table
    from galeno.service.desk import Desk
    from galeno.service.opening import open_rooms

    table = read_table(input_file)
    with open_rooms(choose_home(home), ServiceSettings.from_environment()) as rooms:
        done = asyncio.run(Desk(rooms).import_outcomes(_operator("engineer"), study, table))
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(f"{done.imported} outcomes imported, {done.known} were there already")
    if done.faults:
        shown = [(f"row {row}, {column}", what) for row, column, what in done.faults]
        raise InputError(shown, where=str(input_file), remedy="Correct these rows and import the file again")


@audit.command("verify")
def verify_audit(home: Home = None, as_json: Json = False) -> None:
    """Look for changed, removed or reordered entries. Exit code 4: there are some."""
    from galeno.errors import AuditError
    from galeno.governance.audit import verify

    with _stores(home) as stores:
        report = verify(stores.journal, stores.ring.audit_key, stores.home.anchor)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    elif report.intact:
        typer.echo(f"{report.entries} entries, intact")
    if not report.intact:
        found = "; ".join(f"entry {seq}: {what}" for seq, what in report.faults[:5])
        raise AuditError(
            f"the audit trail was changed: {found}",
            where=stores.journal.name,
            remedy="Find out who had access to the database, and compare with a backup",
        )


@audit.command("export")
def export_audit(
    output: Output = None,
    since: Annotated[str | None, typer.Option("--since", help="ISO time; only entries from then on.")] = None,
    home: Home = None,
) -> None:
    """Write the audit trail as FHIR AuditEvent.

    A JSON line for each entry.
    """
    from galeno.governance.access import Action
    from galeno.governance.audit_event import export
    from galeno.storage.atomic import replacing

    with _stores(home) as stores:
        _audit(stores, Action.AUDIT_EXPORT)
        if output is None:
            count = export(stores.journal, sys.stdout, since=since)
        else:
            with replacing(output) as temporary, temporary.open("w", encoding="utf-8") as stream:
                count = export(stores.journal, stream, since=since)
    typer.echo(f"{count} entries", err=True)


@privacy.command("export")
def export_patient(
    patient: Patient,
    output: Output = None,
    home: Home = None,
    fhir: Annotated[bool, typer.Option("--fhir", help="As a FHIR Bundle.")] = False,
) -> None:
    """Write everything that is kept of one patient, as JSON. It holds clear text: keep it safe."""
    from galeno.governance.access import Action
    from galeno.governance.extract import export, to_bundle
    from galeno.storage.atomic import write_json

    with _stores(home) as stores:
        found = export(patient, home=stores.home, journal=stores.journal, cipher=stores.cipher)
        _audit(stores, Action.PATIENTS_EXPORT, patient=stores.cipher.pseudonym(patient))
    content: Any = to_bundle(found) if fhir else found
    if output is None:
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        write_json(output, content)


@privacy.command("erase")
def erase_patient(
    patient: Patient,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Destroy a patient's key and remove plain copies.

    Says which models had learned from the patient.
    """
    from galeno.governance.erasure import erase

    if not yes and sys.stdin.isatty():
        typer.confirm("This cannot be undone. Erase the patient?", abort=True, err=True)
    with _stores(home) as stores:
        report = erase(
            patient,
            home=stores.home,
            journal=stores.journal,
            cipher=stores.cipher,
            vault=stores.vault,
            trail=stores.trail,
            caller=_operator("admin"),
            capture_lake=ServiceSettings.from_environment().capture_lake,
        )
    if report.remains:
        left = ", ".join(report.remains[:5])
        typer.echo(f"The patient is still named in: {left}. Remove these by hand.", err=True)
    if not report.searched:
        typer.echo("The id is too short to be looked for in texts: check free texts by hand.", err=True)
    typer.echo(json.dumps(report.to_dict(), indent=None if as_json else 2))


@keys.command("rotate")
def rotate_keys(home: Home = None, as_json: Json = False) -> None:
    """Make a new master key and wrap every patient's key with it. Can be repeated after a crash."""
    from galeno.governance.access import Action
    from galeno.storage.rotation import rotate
    from galeno.terminal import terminal_reporter

    with _stores(home) as stores, terminal_reporter() as reporter:
        done = rotate(stores.ring, stores.vault, reporter)
        _audit(stores, Action.USERS_MANAGE, detail="keys rotated")
    typer.echo(
        json.dumps(done) if as_json else f"{done['rewrapped']} keys wrapped anew with {done['current']}"
    )


def _stores(home: Path | None) -> Any:
    from galeno.service.opening import open_stores

    place = choose_home(home)
    if not place.is_dir():
        raise GalenoError(
            "there is no home here", where=str(place), remedy="Name it with --home or GALENO_HOME"
        )
    return open_stores(place, ServiceSettings.from_environment())


def _print_key(user: Any, key: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"name": user.name, "role": user.role, "site": user.site, "key": key}))
        return
    typer.echo("Keep it now, it is not shown again:", err=True)
    typer.echo(key)


def _operator(role: Any) -> Any:
    from galeno.governance.access import Caller

    return Caller(OPERATOR, role, face="cli", purpose="operations", demo=True)


def _audit(stores: Any, action: Any, **about: str) -> None:
    """Write down what a command did."""
    from galeno.service.opening import note

    note(stores, _operator("admin"), action, **about)
