"""Routes for data of one's own: send a file, see how it is understood, correct that, store it, delete it again."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from mm4st_agent.errors import DataError, MM4STError, UsageError
from mm4st_agent.web.served import PREFIX, RuntimeFor
from mm4st_agent.web.upload_files import KINDS, NoRoomError, TooLargeError, check_size, new_folder, receive, settle
from mm4st_agent.web.upload_jobs import Upload, Uploads
from mm4st_agent.web.upload_page import own_sets, shown
from mm4st_agent.web.upload_review import Corrections

if TYPE_CHECKING:
    from mm4st_agent.runtime import Runtime

LONGEST_LABEL = 200
MOST_CORRECTIONS_BYTES = 256 * 2**10


class ForeignRequestError(MM4STError):
    """A request comes from another site's page."""

    kind = "foreign"


class UnknownUploadError(MM4STError):
    """There is no such upload, or it is somebody else's."""

    kind = "unknown"


STATUS: dict[type[MM4STError], int] = {
    ForeignRequestError: 403,
    UnknownUploadError: 404,
    TooLargeError: 413,
    NoRoomError: 507,
    DataError: 422,
    UsageError: 409,
}


class _Answering(APIRoute):
    """Tells our errors as JSON, under the status of their kind."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except MM4STError as err:
                status = next((code for kind, code in STATUS.items() if isinstance(err, kind)), 400)
                return JSONResponse({"message": err.message, "hint": err.hint}, status_code=status)

        return answer


def router(runtime_for: RuntimeFor) -> APIRouter:
    """The routes below `/mm4st/uploads`; each works with the folder and the data sets of who asks.

    `GET` of the collection: the limit, the kinds that are read, and the person's own data sets. `POST` to it, with the
    file as the body, `?name=` and an `?id=` of 32 hexadecimal digits: a new upload, which is looked at right away. Of
    one upload: `GET` its state, `POST` `/inspect` and `/store` with corrections as JSON, `DELETE` it at any time.
    `DELETE /own/{dataset}`: one's own data set. Whatever changes something is taken from our own page only.
    """
    routes = APIRouter(prefix=f"/{PREFIX}/uploads", dependencies=[Depends(_from_our_page)], route_class=_Answering)
    uploads = Uploads()

    def mine(request: Request) -> tuple[Runtime, Path]:
        runtime = runtime_for(request.state.user)
        return runtime, runtime.settings.ready_home() / "uploads"

    def upload_of(request: Request, name: str) -> Upload:
        found = uploads.get(mine(request)[1], name)
        if found is None:
            raise UnknownUploadError("This upload is not here any more.", "Send the file again.")
        return found

    @routes.get("")
    def overview(request: Request) -> dict[str, Any]:
        runtime, folder = mine(request)
        uploads.sweep(folder)
        return {"limit_mb": runtime.settings.max_upload_mb, "kinds": KINDS, "html": own_sets(runtime.registry)}

    @routes.post("", status_code=201)
    async def send(request: Request, id: str, name: str) -> Response:
        runtime, folder = mine(request)
        limit = runtime.settings.max_upload_mb
        await asyncio.to_thread(uploads.sweep, folder)
        arriving = new_folder(folder, id)
        try:
            check_size(_length(request), limit, folder)
            arrived = await receive(request.stream(), arriving, limit)
            label = " ".join(name.split())[:LONGEST_LABEL] or "data"
            path = await asyncio.to_thread(settle, arrived, label)
        except ClientDisconnect:
            shutil.rmtree(arriving, ignore_errors=True)
            return Response(status_code=400)  # nobody reads it
        except BaseException:
            shutil.rmtree(arriving, ignore_errors=True)
            raise
        upload = await asyncio.to_thread(uploads.add, path, label)
        if upload is None:
            return Response(status_code=400)  # cancelled; nobody reads it
        upload.start(Corrections())
        return JSONResponse(shown(upload, runtime.registry), status_code=201)

    @routes.get("/{upload}")
    def state(request: Request, upload: str) -> dict[str, Any]:
        return shown(upload_of(request, upload), mine(request)[0].registry)

    @routes.post("/{upload}/inspect", status_code=202)
    async def inspect(request: Request, upload: str) -> dict[str, Any]:
        found = upload_of(request, upload)
        _begun(found.start(await _corrections(request)))
        return shown(found, mine(request)[0].registry)

    @routes.post("/{upload}/store", status_code=202)
    async def store(request: Request, upload: str) -> dict[str, Any]:
        found, runtime = upload_of(request, upload), mine(request)[0]
        corrections = await _corrections(request)
        await asyncio.to_thread(runtime.registry.check_new, corrections.name)
        _begun(found.start(corrections, runtime.settings.home / "data" / corrections.name))
        return shown(found, runtime.registry)

    @routes.delete("/{upload}", status_code=204)
    def cancel(request: Request, upload: str) -> None:
        uploads.remove(mine(request)[1], upload)

    @routes.delete("/own/{dataset}")
    def forget(request: Request, dataset: str) -> dict[str, Any]:
        registry = mine(request)[0].registry
        registry.remove(dataset)
        return {"html": own_sets(registry)}

    return routes


def zone_names() -> list[str]:
    """Time zones to choose from, without old and special ones."""
    return ["UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))]


def _length(request: Request) -> int:
    """What the request says of its size; 0 where it does not."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


async def _corrections(request: Request) -> Corrections:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_CORRECTIONS_BYTES:
            raise UsageError("The form has too many fields.")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as err:
        raise UsageError("The form did not arrive whole.", "Try again.") from err
    return Corrections.of(values)


def _begun(begun: bool) -> None:
    if not begun:
        raise UsageError("This file is being read already.", "Wait until that is done, or cancel it.")


def _from_our_page(request: Request) -> None:
    """Refuse what another site's page sends in a person's name: a browser says where a request comes from.

    Raises:
        ForeignRequestError: it comes from elsewhere, or does not say.
    """
    if request.method == "GET":
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    ours = site == "same-origin" if site else urlsplit(origin).netloc == request.headers.get("host") != ""
    if not ours:
        raise ForeignRequestError("Only the page of mm4st itself may send this.", "Open the page, and do it there.")
