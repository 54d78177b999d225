from __future__ import annotations

import pytest

from rie.http.message import Response
from rie.http.routing import Route, Router
from rie.http.server import Exchange
from tests.http.wire import Answer, get, serving


def named(name: str) -> Route:
    """Make an endpoint that says its name and what it was given."""
    method, template = name.split()

    def endpoint(exchange: Exchange) -> None:
        params = " ".join(f"{key}={value}" for key, value in exchange.head.params.items())
        exchange.respond(Response(200, f"{name} {params}".strip().encode()))

    return Route(method, template, endpoint)


ROUTES = [
    named("GET /next"),
    named("POST /next"),
    named("POST /invocation/{id}/response"),
    named("POST /invocation/{id}/error"),
    named("GET /invocation/{id}/response"),
    named("POST /invocation/latest/response"),
    named("GET /{kind}/{name}/response"),
    named("GET /functions/{function}"),
]


async def ask(router: Router, method: bytes, path: bytes) -> Answer:
    def route(exchange: Exchange) -> None:
        router.find(exchange.head)(exchange)

    async with serving(route) as served, await served.connect() as client:
        return await client.ask(get(path).replace(b"GET", method))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        (b"GET", b"/next", "GET /next"),
        (b"POST", b"/next?query", "POST /next"),
        (b"POST", b"/invocation/1/response", "POST /invocation/{id}/response id=1"),
        (b"POST", b"/invocation/1/error", "POST /invocation/{id}/error id=1"),
        (b"GET", b"/invocation/1/response", "GET /invocation/{id}/response id=1"),
        (b"POST", b"/invocation/latest/response", "POST /invocation/latest/response"),
        (b"POST", b"/invocation//response", "POST /invocation/{id}/response id="),
        (b"GET", b"/a/b/response", "GET /{kind}/{name}/response kind=a name=b"),
        (b"GET", b"/functions/arn:a%2Fb%C3%A9:1", "GET /functions/{function} function=arn:a/bé:1"),
        (b"GET", b"/functions/{}", "GET /functions/{function} function={}"),
        (b"GET", b"/a/invocation/response", "GET /{kind}/{name}/response kind=a name=invocation"),
    ],
)
async def test_a_path_finds_its_endpoint_and_parameters(
    method: bytes, path: bytes, said: str
) -> None:
    assert (await ask(Router(ROUTES), method, path)).body.decode() == said


@pytest.mark.anyio
@pytest.mark.parametrize("path", [b"/", b"/nex", b"/next/", b"/invocation/1/2/response", b"*"])
async def test_an_unknown_path_is_answered_with_404(path: bytes) -> None:
    answer = await ask(Router(ROUTES), b"OPTIONS", path)

    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.anyio
@pytest.mark.parametrize("path", [b"/next", b"/invocation/1/response"])
async def test_another_method_is_answered_with_405_and_the_allowed_ones(path: bytes) -> None:
    answer = await ask(Router(ROUTES), b"PUT", path)

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.anyio
async def test_what_answers_an_unknown_path_can_be_replaced() -> None:
    def gone(exchange: Exchange) -> None:
        exchange.respond(Response(410))

    assert (await ask(Router(ROUTES, not_found=gone), b"GET", b"/unknown")).status == 410


def test_two_endpoints_for_one_route_are_a_mistake() -> None:
    for name in ("GET /next", "GET /invocation/{other}/response"):
        with pytest.raises(ValueError, match="two routes"):
            Router([*ROUTES, named(name)])
