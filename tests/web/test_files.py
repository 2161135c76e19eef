"""Static files and pictures: what may be had, by whom, and how long it is kept."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from PIL import Image

from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import files
from mm4st_agent.web.markup import STATIC


@pytest.fixture
def homes(tmp_path: Path) -> dict[str | None, Runtime]:
    return {name: Runtime(load_settings(home=tmp_path / str(name))) for name in (None, "ann", "bob")}


@pytest.fixture
def client(homes: dict[str | None, Runtime]) -> TestClient:
    """Who asks is named by the header `who`."""
    app = FastAPI()

    @app.middleware("http")
    async def known(request: Request, go_on: Callable[[Request], Any]) -> Response:
        request.state.user = request.headers.get("who")
        return await go_on(request)

    app.include_router(files.router(homes.__getitem__))
    return TestClient(app)


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("name", "kind"), [("chart.js", "text/javascript"), ("chart.css", "text/css")])
def test_our_own_files(client: TestClient, name: str, kind: str) -> None:
    reply = client.get(f"/mm4st/static/{name}")

    assert reply.content == (STATIC / name).read_bytes()
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["cache-control"] == "no-cache"
    assert client.get(f"/mm4st/static/{name}", headers={"if-none-match": reply.headers["etag"]}).status_code == 304


def test_an_address_with_the_version_is_kept_for_ever(client: TestClient) -> None:
    reply = client.get("/" + files.address("chart.js"))
    stale = client.get("/mm4st/static/chart.js?v=0123")

    assert "immutable" in reply.headers["cache-control"]
    assert stale.headers["cache-control"] == "no-cache"


def test_plotly_is_packed(client: TestClient) -> None:
    package = importlib.metadata.distribution("plotly")
    whole = Path(str(package.locate_file("plotly/package_data/plotly.min.js"))).read_bytes()

    with client.stream("GET", "/mm4st/static/plotly.min.js", headers={"accept-encoding": "gzip"}) as reply:
        sent = b"".join(reply.iter_raw())
    plain = client.get("/mm4st/static/plotly.min.js", headers={"accept-encoding": "identity"})

    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(sent) == whole == plain.content
    assert len(sent) < 2_000_000
    assert "content-encoding" not in plain.headers
    assert reply.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("name", ["markup.py", "..%2Fmarkup.py", "%2e%2e/markup.py", ".hidden", "chart", "%00", ""])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/mm4st/static/{name}").status_code == 404


def test_a_picture(client: TestClient, homes: dict[str | None, Runtime]) -> None:
    image_id = homes["ann"].images.put(picture())

    reply = client.get(f"/mm4st/pictures/{image_id}.png", headers={"who": "ann"})

    assert reply.content == picture()
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_nobody_sees_the_picture_of_another(client: TestClient, homes: dict[str | None, Runtime]) -> None:
    image_id = homes["ann"].images.put(picture())

    for who in ({"who": "bob"}, {}):
        reply = client.get(f"/mm4st/pictures/{image_id}.png", headers=who)
        assert reply.status_code == 404
        assert reply.text.startswith("There is no picture")


@pytest.mark.parametrize("image_id", ["x", "..%2F..%2Fthreads.sqlite", "A" * 64, "0" * 63])
def test_no_picture_has_such_an_id(client: TestClient, image_id: str) -> None:
    reply = client.get(f"/mm4st/pictures/{image_id}.png")

    assert reply.status_code == 404
