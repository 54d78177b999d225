"""A defect of the emulator's own costs the call that met it, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.emulator import is_running, scripted_function, wait_until

if TYPE_CHECKING:
    import pytest


def test_a_defect_costs_one_call_and_keeps_nothing_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> list[tuple[bytes, bytes]]:
        raise AssertionError("a defect")

    with scripted_function(timeout=1) as function:
        function.running.has_defect = True
        runtime = function.runtime()
        runtime.park()
        with monkeypatch.context() as patch:
            patch.setattr("rie.apis.runtime.next_headers", broken)

            lost = function.call().read_response()

        # The event never reached the runtime; the timeout sees to the rest.
        assert b"Task timed out" in lost.body
        call = function.call(b'"next"')
        function.serve(function.runtime(), b'"works"')
        assert call.read_response().body == b'"works"'

        with monkeypatch.context() as patch:
            patch.setattr("rie.apis.runtime.next_headers", broken)
            function.call()
            function.settle()
            function.end()

    wait_until(lambda: not is_running(runtime.pid), "the end of the runtime")
