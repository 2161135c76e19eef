"""What the page says of data and chat models before anything is asked."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request

from mm4st_agent.runtime import Runtime
from mm4st_agent.settings import load_settings
from mm4st_agent.web import about


def client(runtime: Runtime) -> TestClient:
    app = FastAPI()

    @app.middleware("http")
    async def nobody(request: Request, call_next):
        request.state.user = None
        return await call_next(request)

    app.include_router(about.router(runtime.of_user))
    return TestClient(app)


def test_the_quality_page_of_a_data_set_is_served() -> None:
    reply = client(Runtime()).get("/mm4st/quality/demo")

    assert reply.status_code == 200
    assert "<h1>Port Alder" in reply.text


def test_an_unknown_data_set_has_no_quality_page() -> None:
    reply = client(Runtime()).get("/mm4st/quality/dmeo")

    assert reply.status_code == 404
    assert "Did you mean 'demo'?" in reply.text


def test_a_chat_model_that_nobody_serves_is_not_ready() -> None:
    settings = load_settings(vllm_url="http://127.0.0.1:9/v1")

    assert about.chat_model_state(settings, "embedded")[0]
    ready, sentence = about.chat_model_state(settings, "vllm")
    assert not ready
    assert "http://127.0.0.1:9/v1" in sentence
    assert "make serve-vlm" in sentence
