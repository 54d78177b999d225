"""Which endpoint a method and a path belong to. Routes are data.

A template such as `/runtime/invocation/{id}/response` names parameters, each one segment of the
path. Paths are split before they are percent-decoded: a parameter may hold `%2F`, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rie.http.message import Response, header_lines, percent_decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rie.http.exchange import Endpoint, Exchange
    from rie.http.head import Head

NOT_FOUND = Response(404, b"404 page not found\n", content_type=b"text/plain; charset=utf-8")


_HOLE = b"{}"


class Route(NamedTuple):
    """One method of one path."""

    method: str
    template: str
    endpoint: Endpoint


class _Template:
    """A path with parameters.

    With one of them, as nearly all have, it is what stands before it and after it.
    """

    def __init__(self, segments: Sequence[str]) -> None:
        holes = [at for at, part in enumerate(segments) if _is_hole(part)]
        self.endpoints: dict[str, Endpoint] = {}
        self.names = [segments[at][1:-1] for at in holes]
        self.slashes = len(segments) - 1
        self.shape = b"/".join(_HOLE if _is_hole(part) else part.encode() for part in segments)
        self._holes = holes
        self._before, _, self._after = self.shape.partition(_HOLE)
        self._value = slice(len(self._before), -len(self._after) or None)

    def params(self, raw_path: bytes) -> Mapping[str, str] | None:
        """Return the parameters of a path with as many slashes, if it is one of this template."""
        if len(self._holes) == 1:
            if raw_path.startswith(self._before) and raw_path.endswith(self._after):
                value = raw_path[self._value]
                return {self.names[0]: percent_decoded(value)}
            return None
        segments = raw_path.split(b"/")
        shape = segments.copy()
        for at in self._holes:
            shape[at] = _HOLE
        if b"/".join(shape) != self.shape:
            return None
        values = [percent_decoded(segments[at]) for at in self._holes]
        return dict(zip(self.names, values, strict=True))


def not_found(exchange: Exchange) -> None:
    """Answer 404, as net/http would."""
    exchange.respond(NOT_FOUND)


class Router:
    """Finds the endpoint of a request."""

    def __init__(self, routes: Iterable[Route], *, not_found: Endpoint = not_found) -> None:
        self._not_found = not_found
        self._static: dict[bytes, dict[str, Endpoint]] = {}
        self._templates: dict[int, list[_Template]] = {}  # by number of slashes
        for route in routes:
            self._add(route)

    def find(self, head: Head) -> Endpoint:
        """Find the endpoint of a request, and put its parameters into `head.params`."""
        endpoints = self._static.get(head.raw_path) or self._search(head)
        if endpoints is None:
            return self._not_found
        return endpoints.get(head.method) or _not_allowed(endpoints)

    def _search(self, head: Head) -> Mapping[str, Endpoint] | None:
        """Look at the templates; a literal segment goes before a parameter."""
        for template in self._templates.get(head.raw_path.count(b"/"), ()):
            params = template.params(head.raw_path)
            if params is not None:
                head.params = params
                return template.endpoints
        return None

    def _add(self, route: Route) -> None:
        segments = route.template.split("/")
        if any(map(_is_hole, segments)):
            endpoints = self._like(_Template(segments)).endpoints
        else:
            endpoints = self._static.setdefault(route.template.encode(), {})
        if route.method in endpoints:
            raise ValueError(f"two routes for {route.method} {route.template}")
        endpoints[route.method] = route.endpoint

    def _like(self, template: _Template) -> _Template:
        """Find the template that has its parameters in the same places, or add this one."""
        alike = self._templates.setdefault(template.slashes, [])
        for known in alike:
            if known.shape == template.shape:
                return known
        alike.append(template)
        alike.sort(key=lambda template: len(template.names))
        return template


def _is_hole(segment: str) -> bool:
    return segment.startswith("{") and segment.endswith("}")


def _not_allowed(endpoints: Iterable[str]) -> Endpoint:
    allowed = ", ".join(sorted(endpoints)).encode()
    response = Response(405, headers=header_lines([(b"Allow", allowed)]))
    return lambda exchange: exchange.respond(response)
