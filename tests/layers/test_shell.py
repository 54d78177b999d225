"""The shell layer under the emulator: shell functions, and scripts, as handlers."""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_httpserver import HTTPServer

from tests.layers.built import FUNCTIONS, built
from tests.layers.starts import fail_to_start
from tests.real.emulator import Answer, Function, emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REQUEST = 6 * 1024 * 1024
MAX_RESPONSE = 6 * 1024 * 1024 + 100


def run(
    handler: str, directory: Path, *options: str, task_root: Path = FUNCTIONS
) -> AbstractContextManager[Function]:
    directory.mkdir(exist_ok=True)
    return emulator(
        [str(built("shell") / "bootstrap")],
        task_root=task_root,
        directory=directory,
        options=(f"--handler={handler}", "--function-name=function", *options),
    )


def once(handler: str, directory: Path, event: object = None, *options: str) -> Answer:
    with run(handler, directory, *options) as function:
        return function.invoke(event)


def error_of(answer: Answer) -> tuple[object, object]:
    assert answer.error == "Unhandled", answer
    fields = answer.fields()
    return fields["errorType"], fields["errorMessage"]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """Run the functions of shell.sh, by the names that events have."""
    with run("shell.kit", tmp_path_factory.mktemp("kit")) as function:
        yield function


# --- events and answers -------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with run("shell.echo_event", tmp_path_factory.mktemp("echo")) as function:
        yield function


def test_the_event_is_on_stdin_and_stdout_is_the_answer(echo: Function) -> None:
    event = {"text": "žluťoučký kůň 漢 😀 \\ \u0001", "list": [1, None]}

    assert echo.invoke(event).json() == event


def test_the_largest_event_arrives_and_comes_back(echo: Function) -> None:
    payload = b'"%s"' % (b"x" * (MAX_REQUEST - 2))

    assert echo.send(payload).payload == payload


def test_events_in_a_row_get_their_own_answers(echo: Function) -> None:
    assert [echo.invoke(number).json() for number in range(30)] == list(range(30))


def test_answers_are_bytes(kit: Function) -> None:
    assert kit.call("bytes").payload == b'\x00\xff\n"\r'


def test_a_function_of_awss_tutorial_runs_as_it_is(tmp_path: Path) -> None:
    with run("plain.handler", tmp_path) as function:
        answer = function.send(b'{"a":  "b"}', tail=True)

    assert answer.payload == b'Echoing request: \'{"a": "b"}\'\n'
    assert b'{"a":  "b"}\n' in (answer.log or b"")


def test_functions_keep_what_they_have_in_variables(kit: Function) -> None:
    first, second = kit.call("counted").fields(), kit.call("counted").fields()

    count = int(str(first["count"])) + 1
    assert second == {"count": count, "kept": count, "process": first["process"]}


def test_the_invocation_is_described_in_variables(kit: Function) -> None:
    answer = kit.send(b'{"do": "context"}', client_context="eyJhIjogIsW+In0=")
    after = kit.call("context").fields()

    told = answer.fields()
    assert told["id"] == answer.request_id
    assert str(told["deadline"]).isdigit()
    assert str(told["arn"]).endswith(":function:function")
    assert str(told["trace"]).startswith("Root=")
    assert told["client"] == {"a": "ž"}
    assert told["identity"] == "unset"
    assert after["client"] is None


def test_stderr_is_the_log(kit: Function) -> None:
    assert b"said on stderr\n" in (kit.send(b'{"do": "log"}', tail=True).log or b"")


def test_a_child_left_behind_writes_into_no_later_answer(kit: Function) -> None:
    assert kit.call("left_over").payload == b"1\n"
    assert kit.call("left_over").payload == b"2\n"


def test_what_a_function_does_to_its_shell_is_no_harm(tmp_path: Path) -> None:
    with run("shell.in_the_way", tmp_path) as function:
        assert [function.invoke(None).json() for _ in range(3)] == [1, 1, 1]


def test_nothing_of_the_runtimes_is_in_tmp(kit: Function) -> None:
    assert b"rie" not in kit.call("temporary").payload


def test_an_executable_script_is_a_handler_too(tmp_path: Path) -> None:
    with run("script.sh", tmp_path) as function:
        answer = function.invoke({"a": 1})
        own = function.invoke("own")
        plain = function.invoke("fail")

    assert answer.fields() == {"event": {"a": 1}, "id": answer.request_id}
    assert error_of(own) == ("Own", "my own")
    assert error_of(plain) == ("HandlerError", "script.sh returned 4")


# --- errors -------------------------------------------------------------------------------


def test_what_is_raised_is_the_error_and_the_environment_goes_on(kit: Function) -> None:
    before = kit.call("counted").fields()

    fields = kit.call("raised").fields()

    assert fields["errorType"] == "My.Error"
    assert fields["errorMessage"] == 'tab\t "quotes" \\ \x01\x1b ž 漢 😀\nnew line'
    stack = fields["stackTrace"]
    assert isinstance(stack, list)
    assert [line.split(" in ")[1] for line in stack] == ["deeper", "raised", "kit"]
    assert stack[0].startswith("/var/task/shell.sh:")
    assert kit.call("counted").fields()["process"] == before["process"]


def test_any_bytes_can_be_raised(kit: Function) -> None:
    kind, message = error_of(kit.call("raised_bytes"))

    assert kind == "Any type at all: ž"
    assert str(message).startswith("\ufffd ")


def test_who_has_raised_an_error_has_failed(kit: Function) -> None:
    assert error_of(kit.call("raised_and_gone_on")) == ("Mine", "I said so")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("failing", "1: false"),
        ("pipe_failing", "1: "),
        ("unset_variable", "1: "),
        ("leaving", "3: exit 3"),
    ],
)
def test_a_shell_that_ends_is_an_error_and_starts_anew(kit: Function, name: str, how: str) -> None:
    before = kit.call("counted").fields()

    kind, message = error_of(kit.call(name))

    assert kind == "Runtime.ExitError"
    assert str(message).startswith(f"shell.kit ended the shell with status {how}")
    assert kit.call("counted").fields()["process"] != before["process"]


def test_a_status_is_an_error_where_nothing_was_raised(tmp_path: Path) -> None:
    assert error_of(once("plain.returning", tmp_path)) == (
        "HandlerError",
        "plain.returning returned 7",
    )


def test_without_its_options_bash_goes_on_after_a_failure(tmp_path: Path) -> None:
    assert once("plain.going_on", tmp_path).json() == "gone on"


def test_an_answer_that_is_too_large_is_an_error_that_the_shell_survives(kit: Function) -> None:
    before = kit.call("counted").fields()

    too_large = kit.call("big", n=MAX_RESPONSE + 1)
    largest = kit.call("big", n=MAX_RESPONSE)

    assert error_of(too_large)[0] == "Function.ResponseSizeTooLarge"
    assert largest.payload == b"x" * MAX_RESPONSE
    assert kit.call("counted").fields()["process"] == before["process"]


# --- init ---------------------------------------------------------------------------------

BAD_FILES: dict[str, tuple[str, str, str, str]] = {
    # handler, what the file of its name has, type, what the message has
    "no file": ("missing.f", "", "Runtime.ImportModuleError", "missing.sh, and no executable"),
    "no function": ("app.g", "f() { :; }", "Runtime.HandlerNotFound", "no function g in"),
    "no dot": ("app", "f() { :; }", "Runtime.MalformedHandlerName", "bad handler 'app'"),
    "CR LF": ("app.f", "f() {\r\n :\r\n}\r\n", "Runtime.UserCodeSyntaxError", "sed -i 's/\\r$//'"),
    "syntax": ("app.f", "f() {", "Runtime.UserCodeSyntaxError", "line 2: syntax error"),
    "false": ("app.f", "false", "Runtime.ImportModuleError", "returned 1 when it was loaded"),
    "raised": ("app.f", "raise Mine 'no database'", "Mine", "no database"),
    "exit": ("app.f", "exit 4", "Runtime.ExitError", "app.sh ended the shell with status 4 while"),
    "set -e": ("app.f", "set -e; false; f() { :; }", "Runtime.ExitError", "with status 1 while"),
    "mode": ("app.sh", "#!/bin/bash", "Runtime.HandlerNotExecutable", "chmod +x it, or name a"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_an_init_error_that_says_why(
    tmp_path: Path, httpserver: HTTPServer, name: str
) -> None:
    handler, text, kind, part = BAD_FILES[name]
    if text:
        (tmp_path / "app.sh").write_text(text + ("" if text.endswith("\n") else "\n"), newline="")

    failed = fail_to_start(httpserver, "shell", tmp_path, handler)

    assert (failed.kind, failed.header, failed.status) == (kind, kind, 1)
    assert part in failed.message
    assert f"bootstrap: {kind}: {failed.message}\n" in failed.log


def test_an_init_error_is_what_callers_get(tmp_path: Path) -> None:
    assert error_of(once("shell.no_such_function", tmp_path)) == (
        "Runtime.HandlerNotFound",
        "no function no_such_function in /var/task/shell.sh",
    )


def path_of(folder: Path, *programs: str) -> str:
    """Make a folder of programs to be all that PATH has."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found
        (folder / program).symlink_to(found)
    return str(folder)


def test_without_curl_there_is_an_init_error_all_the_same(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    path = path_of(tmp_path / "bin", "bash", "rm")

    failed = fail_to_start(httpserver, "shell", FUNCTIONS, "shell.log", PATH=path)

    assert failed.kind == failed.header == "Runtime.MissingProgram"
    assert failed.message == (
        f"there is no curl on PATH ({path}): install it in the image, or add a layer that has it "
        "in bin/"
    )


def test_without_a_folder_for_payloads_there_is_an_init_error(httpserver: HTTPServer) -> None:
    failed = fail_to_start(httpserver, "shell", FUNCTIONS, "shell.log", TMPDIR="/no/such/folder")

    assert failed.kind == "Runtime.NoTemporaryFiles"
    assert "/no/such/folder" in failed.message


def test_neither_jq_nor_much_else_is_needed(tmp_path: Path) -> None:
    path = path_of(tmp_path / "bin", "bash", "curl", "rm")

    with run("shell.raised", tmp_path / "log", f"--env=PATH={path}", "--no-sandbox") as function:
        function.invoke(None)

        assert error_of(function.invoke("x"))[0] == "My.Error"


def test_a_wrapper_starts_the_shell(tmp_path: Path) -> None:
    (tmp_path / "wrapper").write_text('#!/bin/sh\nexport WRAPPED="$1"\nexec "$@"\n')
    (tmp_path / "wrapper").chmod(0o755)
    (tmp_path / "app.sh").write_text('f() { printf "\\"%s\\"" "$WRAPPED"; }\n')
    option = "--env=AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrapper"

    with run("app.f", tmp_path / "log", option, task_root=tmp_path) as function:
        assert str(function.invoke(None).json()).endswith("/bash")


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_wrapper_that_cannot_be_run_is_an_init_error(
    tmp_path: Path, httpserver: HTTPServer, mode: int | None
) -> None:
    wrapper = tmp_path / "wrapper"
    if mode:
        wrapper.write_text("#!/bin/sh\n")
        wrapper.chmod(mode)

    failed = fail_to_start(
        httpserver, "shell", FUNCTIONS, "shell.log", AWS_LAMBDA_EXEC_WRAPPER=str(wrapper)
    )

    assert failed.kind == "Runtime.InvalidExecWrapper"
    assert failed.status == (126 if mode else 127)
    assert str(wrapper) in failed.message


def test_the_event_need_not_be_an_argument(tmp_path: Path) -> None:
    (tmp_path / "app.sh").write_text('f() { echo "$#"; }\n')

    with run("app.f", tmp_path / "log", "--env=RIE_SHELL_EVENT=stdin", task_root=tmp_path) as f:
        assert json.loads(f.invoke(None).payload) == 0
