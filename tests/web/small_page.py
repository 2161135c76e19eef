"""A small page of our own in the real server, as `python small_page.py [ACCOUNTS_FILE]`; settings come from MM4ST_*."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
import gradio as gr
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from mm4st_agent.errors import MM4STError
from mm4st_agent.settings import load_settings
from mm4st_agent.web.accounts import Accounts
from mm4st_agent.web.server import listen, serve, signed_in_user, web_app
from mm4st_agent.web.sign_in import SIGN_OUT_FORM, Gate

router = APIRouter()


@router.get("/mm4st/who")
@router.post("/mm4st/who")
async def who(request: Request) -> dict[str, str | None]:
    return {"user": request.state.user, "scheme": request.url.scheme}


@router.get("/mm4st/ticks")
async def ticks() -> StreamingResponse:
    async def forever() -> AsyncIterator[str]:
        while True:
            yield "data: tick\n\n"
            await asyncio.sleep(60)

    return StreamingResponse(forever(), media_type="text/event-stream")


@router.get("/mm4st/own-policy")
async def own_policy() -> PlainTextResponse:
    return PlainTextResponse("", headers={"Content-Security-Policy": "sandbox"})


def page(*, accounts: bool) -> gr.Blocks:
    async def greet(text: str, request: gr.Request) -> AsyncIterator[str]:
        yield "..."
        yield f"{text}, {request.username}"

    with gr.Blocks(title="small") as blocks:
        box = gr.Textbox(label="In", elem_id="in")
        out = gr.Textbox(label="Out", elem_id="out")
        if accounts:
            gr.HTML(SIGN_OUT_FORM)
        box.submit(greet, box, out, api_visibility="private")
    return blocks.queue(max_size=32, default_concurrency_limit=4, api_open=False)


def main(accounts: Path | None) -> None:
    settings = load_settings()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(settings.home / "cache")
    gate = None if accounts is None else Gate(Accounts(accounts))
    app = web_app(settings, [router], gate)
    gr.mount_gradio_app(
        app,
        page(accounts=gate is not None),
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=1,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        auth_dependency=None if gate is None else signed_in_user,
        head='<meta name="of-the-page" content="yes">',
        css="#of-the-page { color: red; }",
    )
    serve(app, settings.host, listen(settings.host, settings.port), lambda: click.echo("open"))
    click.echo("ended in order")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    except MM4STError as err:
        sys.exit(str(err))
