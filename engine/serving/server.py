"""The HTTP application of a world model: what asks of sessions, and which status answers."""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from engine.protocols import WorldModel
from engine.serving.sessions import BusyError, GoneError, Sessions

LARGEST = 64 * 2**20  # bytes of a question

Answer = Callable[[Request], Awaitable[JSONResponse]]


def serve_world_model(
    model: WorldModel,
    *,
    about: Mapping[str, Any] | None = None,
    token: str = "",
    largest: int = LARGEST,
) -> Starlette:
    """The application; see `engine.served.messages` for what it answers.

    Args:
        about: what is said of the model beside its sizes.
        token: that every request must carry as `Authorization: Bearer TOKEN`; empty: none.
        largest: bytes of a question.
    """
    sessions = Sessions(model, about=about)

    def ask(method: Callable[..., dict[str, Any]], *, said: bool = True) -> Answer:
        async def answer(request: Request) -> JSONResponse:
            if token and not _knows(request, token):
                return _error(401, "this world model asks for a token")
            try:
                given = [request.path_params["session"]] if "session" in request.path_params else []
                message = [await _message(request, largest)] if said else []
                return JSONResponse(await run_in_threadpool(method, *given, *message))
            except OverflowError as error:
                return _error(413, str(error))
            except ValueError as error:
                return _error(400, str(error))
            except GoneError as error:
                return _error(error.status, str(error))
            except BusyError as error:
                return _error(503, str(error))
            except ClientDisconnect:
                return _error(400, "the client went away")

        return answer

    one = "/v1/sessions/{session}"
    return Starlette(
        routes=[
            Route("/v1/world_model", ask(sessions.describe, said=False), methods=["GET"]),
            Route("/v1/sessions", ask(sessions.begin), methods=["POST"]),
            Route(f"{one}/open", ask(sessions.open), methods=["POST"]),
            Route(f"{one}/step", ask(sessions.step), methods=["POST"]),
            Route(f"{one}/decode", ask(sessions.decode), methods=["POST"]),
            Route(one, ask(sessions.end, said=False), methods=["DELETE"]),
        ]
    )


async def _message(request: Request, largest: int) -> Mapping[str, Any]:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > largest:
            raise OverflowError(f"a question may have {largest} bytes")
    try:
        message = json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("the question is not JSON") from error
    if not isinstance(message, dict):
        raise ValueError("the question is not an object")
    return message


def _knows(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return secrets.compare_digest(given.encode(), token.encode())


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)
