"""`rie invoke` against a server that plays the emulator."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug import Request, Response

from rie.cli import main
from tests.support.pipes import read_some
from tests.support.raw_http import LIMIT

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer


class Emulator:
    """Gives every call the same answer, and keeps the calls."""

    def __init__(self, server: HTTPServer) -> None:
        self.endpoint = server.url_for("").rstrip("/")
        self.calls: list[Request] = []
        self.answer = Response(b'{"ok": true}', 200)
        server.expect_request(re.compile(".*")).respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        request.get_data()
        self.calls.append(request)
        return self.answer

    @property
    def call(self) -> Request:
        (call,) = self.calls
        return call

    def invoke(self, *argv: str) -> int:
        return main(["invoke", "--endpoint", self.endpoint, *argv])


@pytest.fixture
def emulator(httpserver: HTTPServer) -> Emulator:
    return Emulator(httpserver)


@pytest.fixture
def closed_endpoint() -> Iterator[str]:
    """Where nobody listens: it is kept, or it might be somebody else's by then."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"


def test_the_answer_is_printed_byte_for_byte(
    emulator: Emulator, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    emulator.answer.set_data(b"\x00\xff no newline")

    assert emulator.invoke() == 0
    assert capfdbinary.readouterr() == (b"\x00\xff no newline", b"")


def test_without_name_and_payload_the_function_there_is_called_with_an_empty_object(
    emulator: Emulator,
) -> None:
    emulator.invoke()

    assert emulator.call.method == "POST"
    assert emulator.call.path == "/2015-03-31/functions/function/invocations"
    assert emulator.call.get_data() == b"{}"
    assert emulator.call.query_string == b""
    assert "X-Amz-Invocation-Type" not in emulator.call.headers
    assert "X-Amz-Log-Type" not in emulator.call.headers


@pytest.mark.parametrize(
    "name", ["orders", "orders:prod", "arn:aws:lambda:us-east-1:123456789012:function:orders"]
)
def test_a_name_or_arn_goes_into_the_path(emulator: Emulator, name: str) -> None:
    emulator.invoke(name)

    assert emulator.call.path == f"/2015-03-31/functions/{name}/invocations"


def test_options_may_follow_the_name(emulator: Emulator) -> None:
    emulator.invoke("orders", "--payload", "[]", "--qualifier", "7")

    assert emulator.call.path == "/2015-03-31/functions/orders/invocations"
    assert emulator.call.args["Qualifier"] == "7"
    assert emulator.call.get_data() == b"[]"


def test_a_payload_is_sent_as_written_for_the_service_to_judge(emulator: Emulator) -> None:
    emulator.invoke("--payload", "{nonsense ü")

    assert emulator.call.get_data() == "{nonsense ü".encode()


def test_arguments_that_are_no_utf_8_are_sent_as_they_are(emulator: Emulator) -> None:
    wild = os.fsdecode(b"\xff")

    emulator.invoke(wild, "--payload", wild, "--qualifier", wild, "--client-context", wild)

    assert emulator.call.get_data() == b"\xff"
    assert emulator.call.environ["REQUEST_URI"] == (
        "/2015-03-31/functions/%FF/invocations?Qualifier=%FF"
    )
    assert emulator.call.headers["X-Amz-Client-Context"] == b64encode(b"\xff").decode()


def test_a_payload_can_be_a_file(emulator: Emulator, tmp_path: Path) -> None:
    Path(tmp_path, "event.json").write_bytes(b'{"from": "file\xff"}')

    emulator.invoke("--payload", f"@{tmp_path}/event.json")

    assert emulator.call.get_data() == b'{"from": "file\xff"}'


def test_a_payload_can_come_from_stdin(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"from": "stdin"}')))

    emulator.invoke("--payload", "-")

    assert emulator.call.get_data() == b'{"from": "stdin"}'


def test_a_payload_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invoke", "--payload=@/nowhere"]) == 2
    assert capsys.readouterr().err == (
        "rie invoke: --payload '@/nowhere' cannot be read: No such file or directory\n"
    )


def invoke_program(
    emulator: Emulator, *argv: str, stdin: int | None = None, stdout: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    program = (sys.executable, "-m", "rie", "invoke", "--endpoint", emulator.endpoint, *argv)
    return subprocess.run(
        program, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=LIMIT
    )


def test_a_stdin_that_cannot_be_read_is_said_in_one_line(
    emulator: Emulator, tmp_path: Path
) -> None:
    with (tmp_path / "for writing").open("wb") as file:
        result = invoke_program(emulator, "--payload=-", stdin=file.fileno())

    assert result.returncode == 2
    assert result.stderr == b"rie invoke: --payload '-' cannot be read: Bad file descriptor\n"


def test_a_closed_stdin_has_no_payload(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # what Python makes of a closed one: <&-

    assert emulator.invoke("--payload=-") == 2
    assert capsys.readouterr().err == (
        "rie invoke: --payload '-' cannot be read: stdin is closed\n"
    )


def test_an_answer_that_cannot_be_printed_is_said_in_one_line(emulator: Emulator) -> None:
    with Path("/dev/full").open("wb") as full:
        result = invoke_program(emulator, stdout=full.fileno())

    assert result.returncode == 2
    assert result.stderr == (b"rie invoke: stdout cannot be written to: No space left on device\n")


def test_tail_asks_for_the_log_and_prints_it_to_stderr(
    emulator: Emulator, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    emulator.answer.headers["X-Amz-Log-Result"] = b64encode("START ü\nEND\n".encode()).decode()

    assert emulator.invoke("--tail") == 0
    assert emulator.call.headers["X-Amz-Log-Type"] == "Tail"
    assert capfdbinary.readouterr() == (b'{"ok": true}', "START ü\nEND\n".encode())


def test_async_makes_it_an_event_and_prints_nothing(
    emulator: Emulator, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    emulator.answer = Response(b"", 202)

    assert emulator.invoke("--async") == 0
    assert emulator.call.headers["X-Amz-Invocation-Type"] == "Event"
    assert capfdbinary.readouterr() == (b"", b"")


def test_a_client_context_is_sent_in_base64(emulator: Emulator) -> None:
    emulator.invoke("--client-context", '{"custom": {"a": "ü"}}')

    sent = b64encode('{"custom": {"a": "ü"}}'.encode()).decode()
    assert emulator.call.headers["X-Amz-Client-Context"] == sent


def test_a_function_error_is_printed_and_exits_with_1(
    emulator: Emulator, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    emulator.answer = Response(b'{"errorType": "KeyError"}', 200)
    emulator.answer.headers["X-Amz-Function-Error"] = "Unhandled"

    assert emulator.invoke() == 1
    assert capfdbinary.readouterr().out == b'{"errorType": "KeyError"}'


@pytest.mark.parametrize(
    ("status", "error_type", "body", "line"),
    [
        (
            404,
            "ResourceNotFoundException",
            '{"Message": "Function not found: x", "Type": "User"}',
            "ResourceNotFoundException: Function not found: x",
        ),
        (429, "TooManyRequestsException", '{"message": "Rate Exceeded."}', None),
        (500, None, "two\nlines", "HTTP status 500: two lines"),
        (502, None, '"a string"', 'HTTP status 502: "a string"'),
    ],
)
def test_a_refusal_is_one_line_and_exits_with_3(  # noqa: PLR0913 - the table's columns
    emulator: Emulator,
    capfd: pytest.CaptureFixture[str],
    *,
    status: int,
    error_type: str | None,
    body: str,
    line: str | None,
) -> None:
    emulator.answer = Response(body, status)
    if error_type:
        emulator.answer.headers["X-Amzn-ErrorType"] = error_type

    assert emulator.invoke() == 3
    expected = line or "TooManyRequestsException: Rate Exceeded."
    assert capfd.readouterr() == ("", f"rie invoke: {expected}\n")


def test_when_nothing_runs_there_it_says_how_to_start_one(
    closed_endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["invoke", "--endpoint", closed_endpoint]) == 2
    assert capsys.readouterr().err == (
        f"rie invoke: no emulator at {closed_endpoint} ([Errno 111] Connection refused); "
        "start one with `rie run -- COMMAND` or say where it is with --endpoint\n"
    )


def test_the_endpoint_can_be_a_variable(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIE_ENDPOINT", f"{emulator.endpoint}/")

    assert main(["invoke"]) == 0
    assert emulator.call.path == "/2015-03-31/functions/function/invocations"


def test_proxies_of_the_shell_are_not_for_this_machine(
    emulator: Emulator, closed_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", closed_endpoint)
    monkeypatch.delenv("no_proxy", raising=False)

    assert emulator.invoke() == 0


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["a", "b"], "one function at a time, not 'a b'"),
        (["--tail", "--async"], "--tail has no log to show with --async: it runs later"),
        (["--endpoint=localhost"], "--endpoint 'localhost' must be a URL, such as http://"),
        (["--endpoint=http://a:b:c"], "'http://a:b:c' is no URL: "),
    ],
)
def test_a_call_that_makes_no_sense_is_not_made(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["invoke", *argv]) == 2
    assert capsys.readouterr().err.startswith(f"rie invoke: {line}")


def test_an_emulator_that_ends_in_the_middle_is_said_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        program = [sys.executable, "-m", "rie", "invoke", "--endpoint", endpoint]
        with subprocess.Popen(program, stderr=subprocess.PIPE) as process:
            try:
                connection, _ = server.accept()
                connection.settimeout(LIMIT)
                connection.recv(65536)
                connection.close()
                _, err = process.communicate(timeout=LIMIT)
            finally:
                process.kill()

    assert process.returncode == 3
    assert err.decode().startswith(f"rie invoke: {endpoint} ended without an answer")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_answer_ends_its_line(emulator: Emulator) -> None:
    master, slave = os.openpty()
    program = [sys.executable, "-m", "rie", "invoke", "--endpoint", emulator.endpoint]

    subprocess.run(program, stdout=slave, check=True, timeout=LIMIT)
    os.close(slave)

    printed = b""
    with suppress(OSError):  # what the end of a terminal is
        while piece := read_some(master):
            printed += piece
    os.close(master)
    assert printed == b'{"ok": true}\r\n'


def test_an_interrupted_call_exits_with_130(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx  # noqa: PLC0415 - to interrupt it

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx.Client, "post", interrupt)

    assert emulator.invoke() == 130
