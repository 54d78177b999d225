"""Two environments see nothing of each other; in an isolated network nothing else is."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import LIMIT
from tests.support.running_function import RunningFunction, Whom, open_folder

HERE, AWS_PORT = "127.0.0.1", 9001
NAMES = ["first", "second"]


@contextmanager
def meeting() -> Iterator[socket.socket]:
    """Listen where every environment can come to: a socket is no matter of mounts or networks."""
    with open_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = folder / "meeting"
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        listener.settimeout(LIMIT)
        yield listener


def overlapping(function: RunningFunction) -> list[dict[str, Any]]:
    """Have a call in each of two environments at once; return what they see of each other."""
    with meeting() as listener, ExitStack() as stack:
        calls = [
            stack.enter_context(function.begin("meet", listener.getsockname(), name))
            for name in NAMES
        ]
        there = [stack.enter_context(listener.accept()[0]) for _ in NAMES]  # both are running
        assert not reaches(AWS_PORT)
        for each in there:
            each.send(b".")
        return [call.read_response().fields() for call in calls]


def reaches(port: int) -> bool:
    try:
        socket.create_connection((HERE, port), timeout=LIMIT).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("network", ["host", "isolated"])
def test_two_environments_do_not_see_each_others_tmp(network: str, as_whom: Whom) -> None:
    with as_whom.run("--environments=2", f"--network={network}") as function:
        seen = overlapping(function)

    for name, other, each in zip(NAMES, reversed(NAMES), seen, strict=True):
        assert name in each["tmp"]
        assert other not in each["tmp"]


def test_each_isolated_environment_has_its_runtime_api_where_aws_has_it(as_whom: Whom) -> None:
    with as_whom.run("--environments=2", "--network=isolated") as function:
        seen = overlapping(function)

    assert [(each["api"], each["ping"]) for each in seen] == [(f"{HERE}:{AWS_PORT}", "pong")] * 2


def test_what_listens_on_this_machine_cannot_be_reached_from_an_isolated_network(
    as_whom: Whom,
) -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        with as_whom.run("--network=isolated") as function:
            assert function.call("connect", HERE, port) == errno.ECONNREFUSED

        with as_whom.run() as function:
            assert function.call("connect", HERE, port) is None


def test_without_egress_there_is_no_interface_but_loopback(as_whom: Whom) -> None:
    with as_whom.run("--network=isolated", "--no-egress") as function:
        assert function.call("interfaces") == ["lo"]
        # An address of documentation (RFC 5737): nobody is asked, as there is no way to it.
        assert function.call("connect", "192.0.2.1", 80) == errno.ENETUNREACH
        assert function.call("ping", f"{HERE}:{AWS_PORT}") == "pong"


def test_two_emulators_have_it_at_the_same_port(as_whom: Whom) -> None:
    with as_whom.run("--network=isolated") as one, as_whom.run("--network=isolated") as another:
        for each in (one, another):
            assert each.call("ping", f"{HERE}:{AWS_PORT}") == "pong"


def test_its_network_is_this_machines_unless_it_is_isolated(function: RunningFunction) -> None:
    names = {each.name for each in Path("/sys/class/net").iterdir()}

    assert set(function.call("interfaces")) <= names
