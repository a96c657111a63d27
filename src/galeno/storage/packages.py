"""Sealed folders: a manifest with the hash of every file, in which one changed byte is found.

`manifest.json`, format 1, is canonical JSON (sorted keys, indent 2, one newline at the end):

    format           1
    about            what the package is, without times and paths
    files            name -> {sha256, bytes, identity}
    package_sha256   hash of `about` and of the names and hashes of the identity files: the same
                     study, data and seed give the same value
    seal             hash of the canonical manifest without this key, so that the manifest is covered too

A seal tells damage and tampering after the fact; it is no signature of who made the package.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galeno.errors import PackageError
from galeno.storage.atomic import write_bytes

MANIFEST = "manifest.json"
FORMAT = 1

_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNUSABLE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_DAMAGED = "Take an undamaged copy of the package, or run the study again"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package."""

    sha256: str
    bytes: int
    identity: bool
    """Whether it belongs to the package hash."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package says of itself."""

    about: Mapping[str, Any]
    files: Mapping[str, Entry]
    package_sha256: str
    seal: str


def seal(folder: Path, identity: Iterable[str], about: Mapping[str, Any]) -> str:
    """Write the manifest of a finished package and give its hash.

    Args:
        folder: holds the files, also in subfolders; a manifest that is there is replaced.
        identity: names of the files that make the package hash, relative to the folder, with `/`.
        about: JSON values that also belong to the hash; no times, no paths.

    Raises:
        PackageError: a file is not a plain file, a name is unusable, or an identity file is not there.
    """
    names = _list_files(folder)
    wanted = set(identity)
    for name in sorted(wanted - set(names)):
        raise PackageError("the file is to be sealed but is not there", where=str(folder / name))
    files = {}
    for name in names:
        digest, size = _hash_file(folder / name)
        files[name] = {"sha256": digest, "bytes": size, "identity": name in wanted}
    body: dict[str, Any] = {"format": FORMAT, "about": dict(about), "files": files}
    try:
        body["package_sha256"] = _hash_identity(body)
        body["seal"] = _hash_json(body)
    except (TypeError, ValueError):
        raise PackageError("what the package is about is not plain JSON", where=str(folder)) from None
    write_bytes(folder / MANIFEST, _canonical(body))
    return str(body["package_sha256"])


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check the manifest itself; the other files are not opened.

    Raises:
        PackageError: no package there, another format, or the manifest was changed.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise PackageError("not a plain file", where=str(path), remedy=_DAMAGED)
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise PackageError(
            "no package there",
            where=str(path),
            remedy="Give the folder that `galeno run` named as the package",
        ) from None
    except OSError as error:
        raise PackageError(f"cannot be read ({type(error).__name__})", where=str(path)) from None
    body = _parse(raw, str(path))
    files = {name: Entry(**entry) for name, entry in body["files"].items()}
    return Manifest(
        about=body["about"], files=files, package_sha256=body["package_sha256"], seal=body["seal"]
    )


def verify(folder: Path) -> Manifest:
    """Check every byte of a package against its manifest.

    Raises:
        PackageError: naming the first file that is missing, extra, not plain, or changed.
    """
    manifest = read_manifest(folder)
    names = set(_list_files(folder))
    for name in sorted(set(manifest.files) - names):
        raise PackageError("the file is missing", where=str(folder / name), remedy=_DAMAGED)
    for name in sorted(names - set(manifest.files)):
        raise PackageError(
            "the file does not belong to the package",
            where=str(folder / name),
            remedy="Remove it if you put it there",
        )
    for name, entry in manifest.files.items():
        digest, size = _hash_file(folder / name)
        if digest != entry.sha256 or size != entry.bytes:
            raise PackageError(
                "the file was changed after it was sealed", where=str(folder / name), remedy=_DAMAGED
            )
    return manifest


def check_name(name: str) -> bool:
    """Whether a file name stays inside its package on every operating system."""
    parts = name.split("/")
    return (
        bool(name)
        and len(name) <= 240
        and not _UNUSABLE.search(name)
        and all(part not in ("", ".", "..") and part == part.strip() for part in parts)
        and name != MANIFEST
    )


def _list_files(folder: Path) -> list[str]:
    """Names of all files below the folder, sorted; links and special files are refused, never followed."""
    if not folder.is_dir():
        raise PackageError("no such folder", where=str(folder))
    names = []
    for parent, folders, files in os.walk(folder, followlinks=False):
        for entry in (*folders, *files):
            path = Path(parent) / entry
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise PackageError(
                    "a package holds plain files only, no links",
                    where=str(path),
                    remedy="Replace it by the file itself",
                )
        names += [(Path(parent) / file).relative_to(folder).as_posix() for file in files]
    names = sorted(name for name in names if name != MANIFEST)
    for name in names:
        if not check_name(name):
            raise PackageError(
                "the file's name is not usable in a package", where=repr(name), remedy="Rename it"
            )
    return names


def _hash_file(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise PackageError(f"cannot be read ({type(error).__name__})", where=str(path)) from None
    return digest.hexdigest(), size


def _parse(raw: bytes, where: str) -> dict[str, Any]:
    changed = PackageError("the manifest was changed after it was sealed", where=where, remedy=_DAMAGED)
    try:
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise changed
        if body.get("format") != FORMAT:
            raise PackageError(
                f"the package is not of format {FORMAT}, the one known here",
                where=where,
                remedy="Update galeno to open it",
            )
        if _canonical(body) != raw or not _is_intact(body):
            raise changed
    except (ValueError, RecursionError):
        raise changed from None
    return body


def _is_intact(body: dict[str, Any]) -> bool:
    """Whether the manifest has the shape of its format and its own two hashes are right."""
    unsealed = {key: value for key, value in body.items() if key != "seal"}
    if set(body) != {"format", "about", "files", "package_sha256", "seal"} or body["seal"] != _hash_json(
        unsealed
    ):
        return False
    files = body["files"]
    if not isinstance(body["about"], dict) or not isinstance(files, dict):
        return False
    shaped = all(check_name(name) and _is_entry(entry) for name, entry in files.items())
    return shaped and body["package_sha256"] == _hash_identity(body)


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"sha256", "bytes", "identity"}
        and isinstance(entry["sha256"], str)
        and _SHA256.fullmatch(entry["sha256"]) is not None
        and type(entry["bytes"]) is int
        and type(entry["identity"]) is bool
    )


def _hash_identity(body: Mapping[str, Any]) -> str:
    files = {name: entry["sha256"] for name, entry in body["files"].items() if entry["identity"]}
    return _hash_json({"format": body["format"], "about": body["about"], "files": files})


def _hash_json(body: Any) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(body: Any) -> bytes:
    text = json.dumps(body, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"
