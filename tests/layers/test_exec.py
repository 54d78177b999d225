"""The exec layer under the emulator: any executable as a handler, once each or kept."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_httpserver import HTTPServer

from tests.layers.built import FUNCTIONS, built
from tests.layers.starts import fail_to_start
from tests.real.emulator import Answer, Function, emulator, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_REQUEST = 6 * 1024 * 1024
MAX_RESPONSE = 6 * 1024 * 1024 + 100
TOO_LARGE = {
    "errorType": "Function.ResponseSizeTooLarge",
    "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    "stackTrace": [],
}


def run(
    handler: str, directory: Path, *options: str, task_root: Path = FUNCTIONS
) -> AbstractContextManager[Function]:
    return emulator(
        [str(built("exec") / "bootstrap")],
        task_root=task_root,
        directory=directory,
        options=(f"--handler={handler}", "--function-name=function", *options),
    )


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with run("once.py", tmp_path_factory.mktemp("once")) as function:
        yield function


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with run("lines.py", tmp_path_factory.mktemp("kept"), "--env=RIE_EXEC_MODE=lines") as function:
        yield function


def error_of(answer: Answer) -> tuple[object, object]:
    assert answer.error == "Unhandled", answer
    fields = answer.fields()
    return fields["errorType"], fields["errorMessage"]


# --- one process for each invocation ------------------------------------------------------


def test_the_event_is_on_stdin_and_stdout_is_the_answer(once: Function) -> None:
    event = {"text": "žluťoučký kůň 漢 😀", "list": [1, None]}

    assert once.invoke(event).json() == event


def test_the_answer_is_passed_on_byte_for_byte(once: Function) -> None:
    assert once.call("bytes", hex="00ff0a220d").payload == b'\x00\xff\n"\r'


def test_no_output_is_an_empty_answer(once: Function) -> None:
    answer = once.call("bytes", hex="")

    assert (answer.payload, answer.error) == (b"", None)


def test_the_invocation_is_described_in_variables(once: Function) -> None:
    context = json.dumps({"custom": {"key": "ž"}}).encode()
    encoded = base64.b64encode(context).decode()

    answer = once.send(b'{"do": "context"}', client_context=encoded)

    told = answer.fields()
    assert told["AWS_LAMBDA_REQUEST_ID"] == answer.request_id
    assert str(told["AWS_LAMBDA_INVOKED_FUNCTION_ARN"]).endswith(":function:function")
    assert str(told["AWS_LAMBDA_DEADLINE_MS"]).isdigit()
    assert str(told["_X_AMZN_TRACE_ID"]).startswith("Root=")
    assert json.loads(str(told["AWS_LAMBDA_CLIENT_CONTEXT"])) == json.loads(context)
    assert "AWS_LAMBDA_COGNITO_IDENTITY" not in told


def test_what_one_invocation_is_told_the_next_is_not(once: Function) -> None:
    once.send(b'{"do": "context"}', client_context="e30=")

    assert "AWS_LAMBDA_CLIENT_CONTEXT" not in once.call("context").fields()


def test_stderr_is_the_log(once: Function) -> None:
    answer = once.send(b'{"do": "log", "text": "said on stderr\\n"}', tail=True)

    assert b"said on stderr\n" in (answer.log or b"")


def test_an_exit_status_is_an_error_with_the_last_lines_of_stderr(once: Function) -> None:
    lines = "".join(f"line {number}\n" for number in range(20))

    answer = once.call("exit", code=3, stderr=lines, stdout="ignored")

    last = "\n".join(f"line {number}" for number in range(10, 20))
    assert error_of(answer) == ("Function.ExitError", f"once.py exited with status 3: {last}")


def test_a_program_that_fails_can_write_its_own_error_to_stdout(once: Function) -> None:
    own = '{"errorType": "Mine", "errorMessage": "my own", "more": [1]}'

    answer = once.call("exit", code=1, stdout=own)

    assert answer.payload.decode() == own
    assert answer.error == "Unhandled"


def test_a_program_that_fails_can_end_its_log_with_its_error(once: Function) -> None:
    own = '{"errorType": "Mine", "errorMessage": "my own"}'

    answer = once.call("exit", code=1, stderr=f"a line\n{own}\n")

    assert answer.payload.decode() == own


def test_a_signal_is_told_by_name(once: Function) -> None:
    kind, message = error_of(once.call("signal", name="SIGSEGV"))

    assert kind == "Function.Killed"
    assert message == "once.py was killed by signal 11 (segmentation fault)"


def test_the_largest_event_and_the_largest_answer_arrive(once: Function) -> None:
    frame = len('{"do": "size", "pad": ""}')
    event = b'{"do": "size", "pad": "%s"}' % (b"x" * (MAX_REQUEST - frame))

    assert once.send(event).json() == MAX_REQUEST
    assert len(once.call("big", n=MAX_RESPONSE).payload) == MAX_RESPONSE


def test_a_larger_answer_is_an_error_and_no_more(once: Function) -> None:
    answer = once.call("big", n=MAX_RESPONSE + 1)

    assert (answer.error, answer.fields()) == ("Unhandled", TOO_LARGE)
    assert once.invoke(1).json() == 1


def test_what_a_process_has_started_dies_with_its_invocation(once: Function) -> None:
    lines = once.call("leave", session=False).payload.splitlines()

    pid = next(json.loads(line)["pid"] for line in lines if line.startswith(b"{"))
    wait_until(lambda: not is_running_here(pid), "the end of the child")
    assert once.invoke({"then": 1}).json() == {"then": 1}


def test_a_child_that_has_left_its_group_writes_into_no_later_answer(once: Function) -> None:
    once.call("leave", session=True)

    for number in range(20):
        assert once.invoke(number).json() == number


def is_running_here(pid: int) -> bool:
    """Look for the process of this number, in whichever namespace, that still writes."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if fields["NSpid"].split()[-1] == str(pid) and b"left-over" in command:
            return True
    return False


def test_an_answer_can_be_made_a_json_string(tmp_path: Path) -> None:
    with run("cat", tmp_path, "--env=RIE_EXEC_OUTPUT=string") as function:
        assert function.send(b'{"a": "\\n"}\n').json() == '{"a": "\\n"}'


def test_a_handler_has_arguments_and_is_found_on_path(tmp_path: Path) -> None:
    command = """sh -c 'cat >/dev/null; printf "[\\"%s\\"]" "$1"' sh "two words" """
    with run(command, tmp_path) as function:
        assert function.invoke(None).json() == ["two words"]


def test_the_command_line_comes_before_the_handler(tmp_path: Path) -> None:
    command = [str(built("exec") / "bootstrap"), "echo", "[1,", "2]"]
    with emulator(command, task_root=FUNCTIONS, directory=tmp_path) as function:
        assert function.invoke(None).json() == [1, 2]


def test_a_wrapper_starts_the_runtime(tmp_path: Path) -> None:
    wrapper = script(tmp_path, "wrapper", '#!/bin/sh\nexport WRAPPED="$#"\nexec "$@"\n')
    script(tmp_path, "handler", '#!/bin/sh\necho "$WRAPPED"\n')
    option = f"--env=AWS_LAMBDA_EXEC_WRAPPER=/var/task/{wrapper.name}"

    with run("handler", tmp_path / "log", option, task_root=tmp_path) as function:
        assert function.invoke(None).json() == 2


def script(folder: Path, name: str, text: str, mode: int = 0o755) -> Path:
    (folder / "log").mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_handler_that_is_missing_is_an_init_error(tmp_path: Path) -> None:
    with run("missing", tmp_path) as function:
        kind, message = error_of(function.invoke(None))

    assert kind == "Runtime.HandlerNotFound"
    assert str(message).startswith("no file /var/task/missing, and no program missing on PATH")


BAD_HANDLERS: dict[str, tuple[str, int, str, str]] = {
    # the file's text and mode, the error's type, what its message has
    "none.sh": ("", 0, "Runtime.HandlerNotFound", "none.sh, and no program none.sh on PATH"),
    "plain.sh": ("#!/bin/sh\n", 0o644, "Runtime.HandlerNotExecutable", "chmod +x"),
    "crlf.sh": ("#!/bin/sh\r\necho\r\n", 0o755, "Runtime.HandlerNotExecutable", "sed -i"),
    "text.sh": ("echo\n", 0o755, "Runtime.HandlerNotExecutable", "#!/bin/bash"),
    "no.sh": ("#!/no/such/shell\n", 0o755, "Runtime.HandlerNotExecutable", "/no/such/shell"),
    "'open": ("", 0, "Runtime.MalformedHandlerName", "is not closed"),
}


@pytest.mark.parametrize("name", BAD_HANDLERS)
def test_a_handler_that_cannot_be_run_is_an_init_error_that_says_why(
    tmp_path: Path, httpserver: HTTPServer, name: str
) -> None:
    text, mode, kind, remedy = BAD_HANDLERS[name]
    if text:
        script(tmp_path, name, text, mode)

    failed = fail_to_start(httpserver, "exec", tmp_path, name)

    assert (failed.kind, failed.header, failed.status) == (kind, kind, 1)
    assert remedy in failed.message
    assert f"bootstrap: {kind}: {failed.message}\n" in failed.log


def test_a_program_for_another_machine_is_an_init_error(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    # Enough of an ELF header to say 64 bits, little endian, RISC-V.
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00\x01\x00\x00\x00" + bytes(40)
    script(tmp_path, "main", "").write_bytes(header)

    failed = fail_to_start(httpserver, "exec", tmp_path, "main")

    assert failed.kind == "Runtime.HandlerArchitecture"
    assert "is built for EM_RISCV, and this function runs on" in failed.message


def test_a_setting_that_is_none_is_an_init_error(httpserver: HTTPServer) -> None:
    failed = fail_to_start(httpserver, "exec", FUNCTIONS, "once.py", RIE_EXEC_MODE="twice")

    assert failed.kind == "Runtime.InvalidSetting"
    assert failed.message == 'RIE_EXEC_MODE is "twice"; it can be ["once" "lines"]'


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_wrapper_that_cannot_be_run_is_an_init_error(
    tmp_path: Path, httpserver: HTTPServer, mode: int | None
) -> None:
    wrapper = tmp_path / "wrapper"
    if mode:
        script(tmp_path, "wrapper", "#!/bin/sh\n", mode)

    failed = fail_to_start(
        httpserver, "exec", FUNCTIONS, "once.py", AWS_LAMBDA_EXEC_WRAPPER=str(wrapper)
    )

    assert failed.kind == "Runtime.InvalidExecWrapper"
    assert failed.status == (126 if mode else 127)
    assert str(wrapper) in failed.message


# --- one process that is kept -------------------------------------------------------------


def test_one_process_answers_line_by_line(kept: Function) -> None:
    first, second = kept.call("count").fields(), kept.call("count").fields()

    assert second == {"count": int(str(first["count"])) + 1, "process": first["process"]}


def test_an_event_of_several_lines_is_one_line(kept: Function) -> None:
    assert kept.send(b'{\n "a": [1,\r\n 2],\n "b": "x\\ny"\n}\n').json() == {
        "a": [1, 2],
        "b": "x\ny",
    }


def test_the_invocation_is_described_beside_the_event(kept: Function) -> None:
    answer = kept.send(b'{"do": "context"}', client_context="eyJhIjogMX0=")

    told = answer.fields()
    assert told["requestId"] == answer.request_id
    assert told["clientContext"] == {"a": 1}
    assert isinstance(told["deadlineMs"], int)
    assert str(told["traceId"]).startswith("Root=")
    assert set(told) == {
        "requestId", "clientContext", "deadlineMs", "traceId", "invokedFunctionArn",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ({"errorType": "Mine", "errorMessage": "own"}, "Mine", "own"),
        ("a text", "HandlerError", "a text"),
    ],
)
def test_an_error_is_a_line_too(kept: Function, said: object, kind: str, message: str) -> None:
    answer = kept.call("error", error=said)

    assert error_of(answer) == (kind, message)


def test_null_is_a_result_and_no_error(kept: Function) -> None:
    assert kept.call("null").json() is None
    assert kept.call("json-rpc").json() == 1


def test_lines_that_are_no_messages_are_the_log(kept: Function) -> None:
    answer = kept.send(b'{"do": "noise"}', tail=True)

    assert answer.json() == "after the noise"
    assert b'noise\n{"level": "info", "result": 3}\n{"resu\n' in (answer.log or b"")


def test_a_line_may_come_in_pieces(kept: Function) -> None:
    assert kept.call("pieces").json() == "of pieces"


def test_a_second_answer_to_one_event_is_left_out(kept: Function) -> None:
    for number in range(5):
        assert kept.call("twice").json() == 1
        assert kept.invoke(number).json() == number


def test_the_largest_lines_arrive_in_both_directions(kept: Function) -> None:
    frame = len('{"do": "size", "pad": ""}')
    event = b'{"do": "size", "pad": "%s"}' % (b"x" * (MAX_REQUEST - frame))

    assert int(str(kept.send(event).json())) > MAX_REQUEST
    assert len(kept.call("big", n=MAX_RESPONSE).payload) == MAX_RESPONSE


@pytest.mark.parametrize("n", [MAX_RESPONSE + 1, MAX_RESPONSE + 100_000])
def test_a_larger_line_is_an_error_that_the_process_survives(kept: Function, n: int) -> None:
    before = kept.call("count").fields()

    answer = kept.call("big", n=n)

    assert answer.error == "Unhandled"
    assert answer.fields()["errorType"] == "Function.ResponseSizeTooLarge"
    assert kept.call("count").fields()["process"] == before["process"]


@pytest.mark.parametrize("stdout", ["", "no line's end", '{"result": "no end"}'])
def test_a_process_that_exits_has_failed_and_another_answers_next(
    kept: Function, stdout: str
) -> None:
    answer = kept.call("exit", code=3, stdout=stdout)

    assert error_of(answer) == (
        "Function.ExitError",
        "lines.py exited with status 3 before it had answered: the last words",
    )
    assert kept.call("count").fields()["count"] == 1


def test_a_process_that_exits_after_its_answer_has_answered(kept: Function) -> None:
    assert kept.call("answer and exit").json() == "my last"
    assert kept.call("count").fields()["count"] == 1


def test_a_killed_process_is_told_by_its_signal(kept: Function) -> None:
    kind, message = error_of(kept.call("signal", name="SIGKILL"))

    assert kind == "Function.Killed"
    assert "killed by signal 9 (killed, perhaps for want of memory) before it had" in str(message)


def test_a_process_that_cannot_answer_any_more_is_replaced(kept: Function) -> None:
    assert kept.call("close").error == "Unhandled"
    assert kept.call("count").fields()["count"] == 1


def test_a_process_can_say_when_it_is_ready(tmp_path: Path) -> None:
    settings = ("--env=RIE_EXEC_MODE=lines", "--env=RIE_EXEC_READY=line")

    with run("lines.py", tmp_path, *settings) as function:
        assert function.call("count").fields()["count"] == 1


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("error", "NoDatabase", "it is not there"),
        ("exit", "Function.ExitError",
         "lines.py exited with status 4 before it had answered: no database"),
    ],
)  # fmt: skip
def test_a_process_that_cannot_begin_is_an_init_error(
    httpserver: HTTPServer, how: str, kind: str, message: str
) -> None:
    settings = {"RIE_EXEC_MODE": "lines", "RIE_EXEC_READY": "line", "BROKEN": how}

    failed = fail_to_start(httpserver, "exec", FUNCTIONS, "lines.py", **settings)

    assert (failed.kind, failed.message) == (kind, message)


def test_a_timeout_ends_the_process_and_another_answers_next(tmp_path: Path) -> None:
    handler = script(
        tmp_path,
        "slow",
        """#!/bin/sh
while read -r line; do
  case $line in *sleep*) sleep 600 ;; *) echo '{"result": 1}' ;; esac
done
""",
    )
    options = ("--env=RIE_EXEC_MODE=lines", "--timeout=1")

    with run(handler.name, tmp_path / "log", *options, task_root=tmp_path) as function:
        assert error_of(function.invoke("sleep"))[0] == "Sandbox.Timedout"
        assert function.invoke("go on").json() == 1


def sequence_of(function: Function, events: Sequence[object]) -> list[object]:
    return [function.invoke(event).json() for event in events]


def test_lines_in_a_row_get_their_own_answers(kept: Function) -> None:
    events = list(range(200))

    assert sequence_of(kept, events) == events


def test_without_a_runtime_api_it_says_who_starts_it() -> None:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    ended = subprocess.run(
        [built("exec") / "bootstrap"], env=variables, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        "bootstrap: AWS_LAMBDA_RUNTIME_API is not set: this is started by Lambda, or by rie run\n"
    )
