"""Sounds, images and pictures of them that go out, as responses."""

from collections.abc import Mapping
from typing import Final

from fastapi import Response

from galeno.media.content import ENDING
from galeno.service.media_intake import HeldFile

SANDBOX: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of a file that somebody sent: no browser shall run it, guess what it is, or keep it."""


def send_file(diagnosis_id: str, held: HeldFile, data: bytes) -> Response:
    """A file as a response; its name tells the diagnosis alone."""
    name = f"{diagnosis_id}-{held.kind}.{ENDING[held.kind]}"
    headers = {**SANDBOX, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=held.media_type, headers=headers)


def send_picture(picture: bytes) -> Response:
    """A picture of a file, a PNG, as a response."""
    return Response(picture, media_type="image/png", headers=dict(SANDBOX))
