"""Sounds and images in FHIR: attachments of a DocumentReference or a Media, and Binary resources beside them.

DocumentReference is read as R4 (https://hl7.org/fhir/R4/documentreference.html) and R5 write it, Media as R4
(https://hl7.org/fhir/R4/media.html). What an attachment points at is taken from the same Bundle or export;
nothing is ever fetched.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from typing import Any

from galeno.ingest.fhir_check import Issue, element
from galeno.ingest.fhir_value import Meaning, codings, media_kind, system_of
from galeno.media.content import Kind
from galeno.media.limits import LARGEST_SENT
from galeno.study import Study

MOST_ATTACHMENTS = 100
"""Attachments of one resource that are read."""
HOLDERS = ("DocumentReference", "Media")
"""Resources whose attachments are read."""

_CONCEPTS = ("type", "category", "modality", "view", "bodySite")
"""Elements whose codes say what a document or a picture is."""
_R5_ONLY: Mapping[str, frozenset[str]] = {
    "DocumentReference": frozenset(
        {"version", "basedOn", "modality", "event", "bodySite", "facilityType", "practiceSetting", "period",
         "attester"}
    ),
    "content": frozenset({"profile"}),
    "attachment": frozenset({"height", "width", "frames", "duration", "pages"}),
}  # fmt: skip
"""Elements that R4 does not know; they are looked at as JSON where they are looked at at all."""
_BY_HAND = frozenset({"data", "hash", "size"})
"""Elements of a file's attachment that are checked here: its base64 is decoded once, and after its length is
known; R5 writes its size as a text."""
_BLANKS = " \t\r\n"
_CHUNK = 1 << 20
"""Characters that are decoded at a time, a multiple of four: other threads go on between two of them."""
_SIZE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Attached:
    """A file in an attachment, or what is to be told of it."""

    column: str
    meaning: Meaning
    path: str


class _File:
    """A text in base64, decoded when it is first asked for and then kept.

    Args:
        data: the text; anything else is a fault.
    """

    def __init__(self, data: Any) -> None:
        self._data = data

    @cached_property
    def found(self) -> bytes | tuple[str, str]:
        """The bytes, or the code and the text of what is wrong."""
        return _decode(self._data)

    @cached_property
    def hash(self) -> str:
        """SHA-1 of the bytes in base64, as FHIR has it; empty where there are none."""
        file = self.found
        return _digest(file) if isinstance(file, bytes) else ""


class Binary:
    """A Binary that was sent; however many attachments point at it, its file is there once.

    Args:
        raw: the resource as JSON.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.media_type = element(raw, "contentType")
        self.file = _File(raw.get("data"))


class Binaries:
    """The Binary resources of a Bundle or an export that hold sounds or images, by what points at them."""

    def __init__(self) -> None:
        self._held: dict[str, Binary] = {}

    def add(self, raw: Any, full_url: str = "") -> bool:
        """Keep a resource, if it is a Binary with a sound or an image; whether it was kept."""
        if element(raw, "resourceType") != "Binary" or media_kind(element(raw, "contentType")) is None:
            return False
        name, held = element(raw, "id"), Binary(raw)
        for address in (full_url, f"Binary/{name}" if isinstance(name, str) else ""):
            if address:
                self._held[address] = held
        return True

    def find(self, url: Any, *, anywhere: bool = False) -> Binary | None:
        """The resource that an address points at.

        Args:
            url: of an attachment.
            anywhere: whether only the end of the address counts: the files of an export are of one server.
        """
        if not isinstance(url, str):
            return None
        plain = url.partition("/_history/")[0]
        if anywhere and plain not in self._held:
            plain = "/".join(plain.split("/")[-2:])
        return self._held.get(plain)


class FileMap:
    """Which columns of sounds and images the attachments of a resource go to.

    Args:
        study: its `fhir.columns` may give such a column a code, which is looked for in type, category,
            modality, view and body site; a column without a code takes any; where there is no mapping, the
            only column of its kind takes any.
    """

    def __init__(self, study: Study) -> None:
        kinds: dict[str, Kind] = {}
        for name, column in study.features_columns.items():
            if column.holds_file:
                kinds[name] = "sound" if column.type == "sound" else "image"
        self.kinds: Mapping[str, Kind] = kinds
        """Feature columns of sounds and images."""
        self._coded: dict[tuple[str, str], list[str]] = {}
        self._any: dict[Kind, list[str]] = {"sound": [], "image": []}
        mapped = study.fhir.columns
        for name, kind in kinds.items():
            if name in mapped and mapped[name].code:
                for code in (mapped[name].code, *mapped[name].also):
                    self._coded.setdefault((system_of(mapped[name].system), code), []).append(name)
            elif name in mapped or sum(other == kind for other in kinds.values()) == 1:
                self._any[kind].append(name)

    def __bool__(self) -> bool:
        """Whether the study has such columns."""
        return bool(self.kinds)

    def read(
        self, resource: Any, raw: Any, path: str, binaries: Binaries, *, anywhere: bool = False
    ) -> list[Attached]:
        """The files of a DocumentReference or a Media.

        Args:
            resource: as `load_resource` gives it.
            raw: the same as JSON.
            path: where it stands.
            binaries: of the same Bundle or export.
            anywhere: as in `Binaries.find`.
        """
        found: list[Attached] = []
        for number, (place, attachment) in enumerate(_attachments(raw, path)):
            if number == MOST_ATTACHMENTS:
                found.append(
                    Attached("", _fault("too-costly", f"holds more than {number} files", path), path)
                )
                break
            held = binaries.find(element(attachment, "url"), anywhere=anywhere)
            kind = media_kind(element(attachment, "contentType") or (held.media_type if held else None))
            if kind is None:
                continue
            names = self._columns(kind, resource, raw)
            meaning = _read(attachment, held, place)
            if not names:
                text = f"no column of this study takes this {kind}; ignored"
                meaning = Meaning(issues=(Issue("not-supported", text, place, "information"),))
            found += [Attached(name, meaning, place) for name in names or [""]]
        return found

    def _columns(self, kind: Kind, resource: Any, raw: Any) -> list[str]:
        pairs = [pair for name in _CONCEPTS for pair in _codings(resource, raw, name)]
        coded = [name for pair in pairs for name in self._coded.get(pair, ()) if self.kinds[name] == kind]
        return list(dict.fromkeys(coded or self._any[kind]))


def plain_resource(raw: Any) -> Any:
    """A resource as R4 structures are held against it: without its files, and without what R5 added."""
    kind = element(raw, "resourceType")
    if kind not in HOLDERS or not isinstance(raw, Mapping):
        return raw
    plain = {name: value for name, value in raw.items() if name not in _R5_ONLY.get(kind, ())}
    if kind == "Media":
        if isinstance(raw.get("content"), Mapping):
            plain["content"] = _plain_attachment(raw["content"])
        return plain
    if isinstance(raw.get("context"), list):  # R5: references, of which encounters are read here
        plain["context"] = {"encounter": raw["context"]}
    if any(isinstance(element(one, "code"), Mapping) for one in _listed(raw.get("relatesTo"))):
        del plain["relatesTo"]
    if isinstance(raw.get("content"), list):
        plain["content"] = [_plain_content(each) for each in raw["content"]]
    return plain


def _plain_content(content: Any) -> Any:
    if not isinstance(content, Mapping):
        return content
    plain = {name: value for name, value in content.items() if name not in _R5_ONLY["content"]}
    if isinstance(content.get("attachment"), Mapping):
        plain["attachment"] = _plain_attachment(content["attachment"])
    return plain


def _plain_attachment(attachment: Mapping[str, Any]) -> dict[str, Any]:
    gone = _R5_ONLY["attachment"]
    if media_kind(attachment.get("contentType")) is not None:
        gone |= _BY_HAND
    return {name: value for name, value in attachment.items() if name not in gone}


def _attachments(raw: Any, path: str) -> Iterable[tuple[str, Any]]:
    content = element(raw, "content")
    if isinstance(content, Mapping):  # Media
        yield f"{path}.content", content
    for number, each in enumerate(_listed(content)):
        yield f"{path}.content[{number}].attachment", element(each, "attachment")


def _codings(resource: Any, raw: Any, name: str) -> list[tuple[str, str]]:
    """Codes of one element, which holds a CodeableConcept or several; of R5's, as JSON."""
    held = getattr(resource, name, None)
    if held is not None:
        return [pair for one in (held if isinstance(held, list) else [held]) for pair in codings(one)]
    sent = element(raw, name)
    concepts = sent if isinstance(sent, list) else [sent]
    coded = [
        one
        for concept in concepts
        for one in _listed(element(concept, "coding") or element(concept, "concept"))
    ]
    return [
        (system_of(element(one, "system")), element(one, "code"))
        for one in coded
        if isinstance(element(one, "code"), str) and isinstance(element(one, "system"), str | None)
    ]


def _read(attachment: Any, held: Binary | None, path: str) -> Meaning:
    """The bytes of an attachment."""
    data = element(attachment, "data")
    if data is not None:
        file, place = _File(data), f"{path}.data"
    elif element(attachment, "url") is None:
        return Meaning(issues=(Issue("required", "data or url is missing", path, "warning"),))
    elif held is None:
        text = "is not in what was sent, and addresses are not fetched; ignored"
        return Meaning(issues=(Issue("not-supported", text, f"{path}.url", "warning"),))
    else:
        file, place = held.file, f"{path}.url"
    found = file.found
    if isinstance(found, bytes):
        return _hold_to_claims(file, found, attachment, path)
    return _fault(*found, place)


def _decode(data: Any) -> bytes | tuple[str, str]:
    """The bytes in base64, or the code and the text of what is wrong; a longer text is not decoded."""
    if not isinstance(data, str):
        return "structure", "is not a text in base64"
    if len(data) <= LARGEST_SENT * 3 // 2:
        try:
            file = _unpack(data)
        except (binascii.Error, ValueError):
            return "value", "is not in base64"
        if len(file) <= LARGEST_SENT:
            return file
    return "too-long", f"is larger than {LARGEST_SENT >> 20} MiB"


def _unpack(text: str) -> bytes:
    """Decode base64, blanks aside.

    Raises:
        ValueError: it is none.
    """
    for blank in _BLANKS:
        if blank in text:
            text = text.replace(blank, "")
    if "=" in text[:-2]:
        raise ValueError("padding before the end")
    parts = range(0, len(text), _CHUNK)
    return b"".join(base64.b64decode(text[at : at + _CHUNK], validate=True) for at in parts)


def _hold_to_claims(file: _File, found: bytes, attachment: Any, path: str) -> Meaning:
    """Refuse a file that is not what the attachment says of its length and hash (SHA-1, as FHIR has it)."""
    size, digest = element(attachment, "size"), element(attachment, "hash")
    if size is not None and (not _SIZE.fullmatch(str(size)) or int(size) != len(found)):
        return _fault("value", "is not the size of the file", f"{path}.size")
    if digest is not None and (
        not isinstance(digest, str) or not hmac.compare_digest(digest.strip().encode(), file.hash.encode())
    ):
        return _fault("value", "is not the hash of the file", f"{path}.hash")
    return Meaning(found)


def _digest(file: bytes) -> str:
    return base64.b64encode(sha1(file, usedforsecurity=False).digest()).decode()


def _fault(code: str, text: str, path: str) -> Meaning:
    return Meaning(issues=(Issue(code, text, path),))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
