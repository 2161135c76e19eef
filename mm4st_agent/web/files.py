"""Files that the page loads: our scripts and styles, plotly, and a person's pictures."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse

from mm4st_agent.errors import UsageError
from mm4st_agent.web.markup import STATIC
from mm4st_agent.web.served import PREFIX, RuntimeFor

PLOTLY = "plotly.min.js"
_FOR_EVER = "max-age=31536000, immutable"
_PACKABLE = ("text/", "application/json", "image/svg+xml")


@dataclass(frozen=True)
class _Kept:
    """A file's bytes; `packed` is their gzip, None for what does not get smaller."""

    body: bytes
    packed: bytes | None
    kind: str
    version: str


def address(name: str) -> str:
    """Where the page finds one of our static files, with its version, so that the browser may keep it for ever.

    Raises:
        KeyError: there is no such file.
    """
    return f"{PREFIX}/static/{name}?v={_kept(_static()[name]).version}"


def router(runtime_for: RuntimeFor) -> APIRouter:
    """`GET /mm4st/static/{name}` and `GET /mm4st/pictures/{image_id}.png`."""
    routes = APIRouter(prefix=f"/{PREFIX}")

    @routes.get("/static/{name}")
    def static(name: str, request: Request, v: str | None = None) -> Response:
        path = _static().get(name)
        if path is None:
            return PlainTextResponse(f"There is no file {name!r} here.", status_code=404)
        kept = _kept(path)
        tag = f'W/"{kept.version}"'
        headers = {
            "Cache-Control": f"public, {_FOR_EVER}" if v == kept.version else "no-cache",
            "ETag": tag,
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if tag in [known.strip() for known in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        if kept.packed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(kept.packed, media_type=kept.kind, headers={**headers, "Content-Encoding": "gzip"})
        return Response(kept.body, media_type=kept.kind, headers=headers)

    @routes.get("/pictures/{image_id}.png")
    def picture(image_id: str, request: Request) -> Response:
        try:
            path = runtime_for(request.state.user).images.path(image_id)
        except UsageError as err:
            return PlainTextResponse(str(err), status_code=404)
        headers = {"Cache-Control": f"private, {_FOR_EVER}", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type="image/png", headers=headers)

    return routes


def _static() -> dict[str, Path]:
    """What may be asked for, by name."""
    own = {path.name: path for path in STATIC.iterdir() if path.is_file() and not path.name.startswith(".")}
    plotly = importlib.util.find_spec("plotly")  # where it lies, without importing it
    assert plotly is not None
    assert plotly.origin is not None
    return {**own, PLOTLY: Path(plotly.origin).parent / "package_data" / PLOTLY}


def _kept(path: Path) -> _Kept:
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int, size: int) -> _Kept:
    """The file as it is since `modified_ns`; packed once, as plotly has 4.8 MB."""
    body = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(body, mtime=0) if kind.startswith(_PACKABLE) else None
    return _Kept(body, packed, kind, hashlib.sha256(body).hexdigest()[:16])


def _takes_gzip(accepted: str) -> bool:
    """Read an Accept-Encoding.

    >>> _takes_gzip("br, gzip;q=0.8"), _takes_gzip("gzip;q=0"), _takes_gzip("")
    (True, False, False)
    """
    for part in accepted.lower().split(","):
        coding, _, quality = part.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return quality.strip("0.") != "" if quality else True
    return False
