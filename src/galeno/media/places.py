"""Where files of sounds and images are: a folder, a zip file, an object store, or beside the table.

A name comes from a table that somebody else wrote: it never leads out of its place.
"""

import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from galeno.errors import SourceError
from galeno.media.archive import open_archive, read_member
from galeno.media.fault import MediaFault

_ADDRESS = re.compile(r"s3a?://([^/@\s:]+)(?:/(.*))?", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DRIVE = re.compile(r"[A-Za-z]:")
_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


class Place(Protocol):
    """Where files are read from; to be closed, or used as a context manager."""

    def read(self, name: str, most: int) -> bytes:
        """The bytes of a file.

        Args:
            name: as the table has it: a path below the place, with slashes of either kind, in any normal form
                of Unicode; `archive.zip/inner` for a member of a zip file in a folder; or `s3://BUCKET/KEY`.
            most: bytes that it may have.

        Raises:
            MediaFault: missing_file, empty_file, too_large or damaged.
            SourceError: the object store cannot be reached.
        """

    def close(self) -> None:
        """Close the files that are open."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""


def open_place(files: str, table: Path | None) -> Place:
    """Open the place where a study's files are.

    Args:
        files: `records.files` of the study: a folder or a .zip, relative to the table's folder;
            `s3://BUCKET/PREFIX`; or empty for beside the table: its folder, else the one folder in it that
            has the file, else the one .zip in it that does.
        table: path of the table; None where there is none, then relative paths start at the working folder.

    Raises:
        SourceError: there is no such folder or archive, or it is of another kind.
    """
    if _ADDRESS.fullmatch(files):
        return BucketPlace(files)
    if _SCHEME.match(files):
        raise SourceError("is not an address that files are read from", remedy="s3://BUCKET/PREFIX")
    folder = table.parent if table is not None else Path()
    if not files:
        return FolderPlace(folder, around=True)
    path = folder / files
    if path.is_dir():
        return FolderPlace(path)
    if not path.is_file():
        raise SourceError("there is no such folder or archive", where=str(path), remedy="See records.files")
    try:
        return ZipPlace(path)
    except MediaFault as fault:
        raise SourceError(fault.what, where=str(path), remedy="See records.files") from None


class _Closing:
    """A place as a context manager."""

    def close(self) -> None:
        """Close the files that are open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ZipPlace(_Closing):
    """The members of a zip file, which stays open.

    A name is looked for as it is, then in the folders at the top of the archive, if one has it.

    Args:
        path: the archive.

    Raises:
        MediaFault: damaged.
    """

    def __init__(self, path: Path) -> None:
        self._archive = open_archive(path)
        self._lock = Lock()
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._below: dict[str, list[zipfile.ZipInfo]] = {}
        for member in self._archive.infolist():
            if member.is_dir():
                continue
            name = _composed(member.filename)
            self._members[name] = member
            self._below.setdefault(name.partition("/")[2], []).append(member)

    def read(self, name: str, most: int) -> bytes:
        """See Place."""
        parts = _composed("/".join(_parts(name)))
        found = self._members.get(parts)
        if found is None:
            others = self._below.get(parts, [])
            if len(others) > 1:
                raise _ambiguous()
            if not others:
                raise _missing()
            found = others[0]
        with self._lock:  # one archive, one position in it, and several threads
            return _filled(read_member(self._archive, found, most))

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


class FolderPlace(_Closing):
    """The files of a folder.

    Args:
        folder: the folder.
        around: whether a file that is not there is looked for in the folders and the archives in it.
    """

    def __init__(self, folder: Path, *, around: bool = False) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._around = around
        self._archives: dict[Path, ZipPlace] = {}
        self._lock = Lock()
        self._buckets: dict[str, BucketPlace] = {}

    def read(self, name: str, most: int) -> bytes:
        """See Place."""
        if address := _ADDRESS.fullmatch(name):
            return self._bucket(address[1]).read(address[2] or "", most)
        parts = _parts(name)
        path = self._find(self._folder, parts)
        if path is not None:
            return _read_file(path, most)
        for depth in range(1, len(parts)):
            if parts[depth - 1].lower().endswith(".zip"):
                archive = self._find(self._folder, parts[:depth])
                if archive is not None:
                    return self._open(archive).read("/".join(parts[depth:]), most)
        if self._around:
            return self._read_around(parts, most)
        raise _missing()

    def close(self) -> None:
        """Close the archives that were opened."""
        for place in self._archives.values():
            place.close()
        self._archives.clear()

    def _read_around(self, parts: tuple[str, ...], most: int) -> bytes:
        """Read from the one folder, else the one archive, that has the file."""
        first = _composed(parts[0])
        folders = [folder for folder, names in self._folders.items() if first in names]
        found = [path for folder in folders if (path := self._find(folder, parts)) is not None]
        if len(found) > 1:
            raise _ambiguous()
        if found:
            return _read_file(found[0], most)
        read: bytes | None = None
        for archive in self._zips:
            try:
                place = self._open(archive)
            except MediaFault:  # an archive that nobody named: it need not be one of the study's
                continue
            try:
                one = place.read("/".join(parts), most)
            except MediaFault as fault:
                if fault.rule != "missing_file":
                    raise
                continue
            if read is not None:
                raise _ambiguous()
            read = one
        if read is None:
            raise _missing()
        return read

    @cached_property
    def _folders(self) -> dict[Path, frozenset[str]]:
        """The folders in the folder, with the names in each."""
        return {
            path: frozenset(_composed(entry) for entry in _entries(path))
            for path in _listed(self._folder)
            if path.is_dir() and not path.is_symlink()
        }

    @cached_property
    def _zips(self) -> list[Path]:
        """The archives in the folder; no links that lead out of it."""
        return [
            path
            for path in _listed(self._folder)
            if path.suffix.lower() == ".zip"
            and path.resolve().is_relative_to(self._root)
            and zipfile.is_zipfile(path)
        ]

    def _find(self, folder: Path, parts: tuple[str, ...]) -> Path | None:
        """The regular file of this name, in either normal form; None where there is none."""
        name = "/".join(parts)
        for form in _spellings(name):
            path = folder / form
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    break
            except (OSError, ValueError):
                continue
        else:
            return None
        if not path.resolve().is_relative_to(self._root):
            raise MediaFault("missing_file", "The file is a link that leads out of its folder")
        return path

    def _open(self, archive: Path) -> ZipPlace:
        with self._lock:
            if archive not in self._archives:
                self._archives[archive] = ZipPlace(archive)
            return self._archives[archive]

    def _bucket(self, name: str) -> "BucketPlace":
        if name not in self._buckets:
            self._buckets[name] = BucketPlace(f"s3://{name}")
        return self._buckets[name]


class BucketPlace(_Closing):
    """The objects below an address of an object store, reached as the usual AWS_* variables say.

    Args:
        address: `s3://BUCKET/PREFIX`.

    Raises:
        SourceError: an address of another kind.
    """

    def __init__(self, address: str) -> None:
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise SourceError("is not an address that files are read from", remedy="s3://BUCKET/PREFIX")
        self._bucket = found[1]
        self._prefix = (found[2] or "").strip("/")

    def read(self, name: str, most: int) -> bytes:
        """See Place."""
        if address := _ADDRESS.fullmatch(name):
            bucket, key = address[1], "/".join(_parts(address[2] or ""))
        else:
            bucket = self._bucket
            key = "/".join(part for part in (self._prefix, *_parts(name)) if part)
        for form in _spellings(key):
            file = self._read_key(f"{bucket}/{form}", most)
            if file is not None:
                return _filled(file)
        raise _missing()

    def _read_key(self, key: str, most: int) -> bytes | None:
        """An object's bytes; None where there is none."""
        try:
            with self._store.open_input_stream(key) as stream:
                file: bytes = stream.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError:
            raise SourceError(
                "the object store cannot be read",
                where=f"s3://{self._bucket}",
                remedy="Check its address and the AWS_* variables of the environment",
            ) from None
        if len(file) > most:
            raise _too_large(most)
        return file

    @cached_property
    def _store(self) -> Any:
        """The client; it connects when it is first used."""
        from pyarrow.fs import S3FileSystem

        options: dict[str, Any] = {"connect_timeout": 10, "request_timeout": 60}
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            scheme, _, host = endpoint.rpartition("://")
            options |= {"scheme": scheme or "https", "endpoint_override": host.rstrip("/")}
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if region or endpoint:
            options["region"] = region or "us-east-1"
        return S3FileSystem(**options)


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a relative path.

    Raises:
        MediaFault: missing_file, where it is empty, absolute, or goes up.
    """
    plain = name.strip().replace("\\", "/")
    if not plain or "\0" in plain:
        raise MediaFault("missing_file", "The name of the file is empty")
    if plain.startswith("/") or _DRIVE.match(plain) or _SCHEME.match(plain):
        raise MediaFault("missing_file", "The file is named by an absolute path, which is not followed")
    parts = PurePosixPath(plain).parts
    if ".." in parts:
        raise MediaFault("missing_file", "The name of the file leads out of its folder")
    if not parts:
        raise MediaFault("missing_file", "The name of the file is empty")
    return parts


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _spellings(name: str) -> list[str]:
    """A name as it is and in either normal form of Unicode, each once."""
    return list(dict.fromkeys([name, *(unicodedata.normalize(form, name) for form in _FORMS)]))


def _listed(folder: Path) -> Iterator[Path]:
    """What is in a folder, in order of names; nothing where it cannot be listed."""
    return (folder / name for name in sorted(_entries(folder)))


def _entries(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _read_file(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError:
        raise MediaFault("missing_file", "The file may not be read") from None
    if len(data) > most:
        raise _too_large(most)
    return _filled(data)


def _filled(file: bytes) -> bytes:
    if not file:
        raise MediaFault("empty_file", "The file is empty")
    return file


def _missing() -> MediaFault:
    return MediaFault("missing_file", "There is no file of this name")


def _ambiguous() -> MediaFault:
    return MediaFault("missing_file", "More than one folder or archive has a file of this name")


def _too_large(most: int) -> MediaFault:
    return MediaFault("too_large", f"The file is larger than {most:,} bytes")
