"""Which endpoint a method and a path belong to. Routes are data.

A template such as `/runtime/invocation/{id}/response` names parameters, each one segment of the
path. Paths are split before they are percent-decoded: a parameter may hold `%2F`, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rie.http.message import Response, percent_decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rie.http.exchange import Endpoint, Exchange

NOT_FOUND = Response(404, b"404 page not found\n", content_type=b"text/plain; charset=utf-8")

MAX_RECENT = 32
MAX_RECENT_PATH = 512  # bytes

_HOLE = b"{}"
_NO_PARAMS: Mapping[str, str] = {}


class Route(NamedTuple):
    """One method of one path."""

    method: str
    template: str
    endpoint: Endpoint


class Match(NamedTuple):
    """What is known about a path: its endpoints by method, and its parameters."""

    endpoints: Mapping[str, Endpoint]
    params: Mapping[str, str]


class _Shape:
    """The templates of as many segments that have their parameters in the same places."""

    def __init__(self, holes: tuple[int, ...]) -> None:
        self.holes = holes
        self.found: dict[bytes, tuple[list[tuple[str, int]], dict[str, Endpoint]]] = {}

    def match(self, segments: list[bytes]) -> Match | None:
        key = segments.copy()
        for hole in self.holes:
            key[hole] = _HOLE
        found = self.found.get(b"/".join(key))
        if found is None:
            return None
        places, endpoints = found
        return Match(endpoints, {name: percent_decoded(segments[at]) for name, at in places})


def not_found(exchange: Exchange) -> None:
    """Answer 404, as net/http would."""
    exchange.respond(NOT_FOUND)


class Router:
    """Finds the endpoint of a request; is an endpoint itself."""

    def __init__(self, routes: Iterable[Route], *, not_found: Endpoint = not_found) -> None:
        self._not_found = not_found
        self._static: dict[bytes, Match] = {}
        self._recent: dict[bytes, Match] = {}  # of paths with parameters
        self._shapes: dict[int, list[_Shape]] = {}  # by number of segments, fewest holes first
        for route in routes:
            self._add(route)

    def __call__(self, exchange: Exchange) -> None:
        """Hand the exchange to its endpoint, its parameters in `exchange.params`."""
        request = exchange.request
        path = request.raw_path
        match = self._static.get(path) or self._recent.get(path) or self.resolve(path)
        if match is None:
            self._not_found(exchange)
            return
        endpoint = match.endpoints.get(request.method)
        if endpoint is None:
            allowed = ", ".join(sorted(match.endpoints)).encode()
            exchange.respond(Response(405, headers=((b"Allow", allowed),)))
            return
        exchange.params = match.params
        endpoint(exchange)

    def resolve(self, raw_path: bytes) -> Match | None:
        """Find what is known about a path; a literal segment goes before a parameter."""
        match = self._static.get(raw_path) or self._recent.get(raw_path)
        if match is None:
            match = self._search(raw_path)
            if match is not None and len(raw_path) <= MAX_RECENT_PATH:
                if len(self._recent) == MAX_RECENT:
                    self._recent.clear()
                self._recent[raw_path] = match
        return match

    def _search(self, raw_path: bytes) -> Match | None:
        segments = raw_path.split(b"/")
        for shape in self._shapes.get(len(segments), ()):
            match = shape.match(segments)
            if match is not None:
                return match
        return None

    def _add(self, route: Route) -> None:
        segments = route.template.encode().split(b"/")
        holes = tuple(
            index for index, segment in enumerate(segments) if segment[:1] + segment[-1:] == _HOLE
        )
        if not holes:
            match = self._static.setdefault(route.template.encode(), Match({}, _NO_PARAMS))
            endpoints = dict(match.endpoints)
            self._static[route.template.encode()] = Match(endpoints, _NO_PARAMS)
        else:
            endpoints = self._parametrised(segments, holes)
        if route.method in endpoints:
            raise ValueError(f"two routes for {route.method} {route.template}")
        endpoints[route.method] = route.endpoint

    def _parametrised(self, segments: list[bytes], holes: tuple[int, ...]) -> dict[str, Endpoint]:
        shapes = self._shapes.setdefault(len(segments), [])
        shape = next((shape for shape in shapes if shape.holes == holes), None)
        if shape is None:
            shape = _Shape(holes)
            shapes.append(shape)
            shapes.sort(key=lambda shape: len(shape.holes))
        places = [(segments[hole][1:-1].decode(), hole) for hole in holes]
        key = b"/".join(_HOLE if at in holes else part for at, part in enumerate(segments))
        return shape.found.setdefault(key, (places, {}))[1]
