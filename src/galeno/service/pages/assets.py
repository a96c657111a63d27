"""Style sheets, script and icon: read once, told apart by a hash of their content, kept by browsers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parent / "static"
TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of other kinds are not given out."""
KEEP: Final = "public, max-age=31536000, immutable"
"""For an address with the right hash, which never means anything else."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str
    hash: str


def read_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """The files of a folder by name. Only what was found here is given out, so no path is ever followed."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in TYPES and path.is_file():
            content = path.read_bytes()
            found[path.name] = Asset(content, TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])
    return found


def address_of(assets: Mapping[str, Asset], name: str) -> str:
    """Where a browser finds a file."""
    return f"/static/{name}?v={assets[name].hash}"


def router(assets: Mapping[str, Asset]) -> APIRouter:
    """The route of the files."""
    routes = APIRouter()

    @routes.get("/static/{name}")
    async def read(name: str, request: Request) -> Response:
        asset = assets.get(name)
        if asset is None:
            return Response(status_code=404, media_type="text/plain")
        headers = {
            "etag": f'"{asset.hash}"',
            "cache-control": KEEP if request.query_params.get("v") == asset.hash else "no-cache",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    return routes
