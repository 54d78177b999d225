"""The example runtimes in Go, Rust, Node.js, Java and bash, deployed as on Lambda.

Each is a folder with a `bootstrap` that `rie run` finds, and runs in the default bounds. What
is asked of each runtime is the same; where a language or an official client differs is said in
tests/support/example_runtimes.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.emulator import LIMIT, Function, emulator, user_variables
from tests.real.runtimes import EXAMPLES, require
from tests.support.example_runtimes import ALL, BASH, JAVA, NODE, RUST, Example, deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAMBDAS_USER = 993
SIZE = 5_000_000
TEXTS = {
    "basic plane": "žluťoučký kůň, 漢字かな",
    "beyond it": "😀 \U0001d49c",
    "right to left": "שלום",
    "line separators": "a\u2028b\r\nc",
    "controls and quotes": '\x01\x7f"\\/',
}


@pytest.fixture(scope="module", params=ALL, ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Example:
    assert isinstance(request.param, Example)
    return request.param


@pytest.fixture(scope="module")
def run(
    example: Example, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Function]]:
    """Give the emulator that runs a function of the example: one each, for all tests."""
    folder = deployed(example)
    running: dict[str, Function] = {}
    with ExitStack() as life:

        def start(name: str) -> Function:
            if name not in running:
                running[name] = life.enter_context(
                    emulator(
                        [],
                        task_root=folder,
                        directory=tmp_path_factory.mktemp(example.name),
                        options=[
                            *("--handler", example.handler(name)),
                            *("--function-name", f"{example.name}-{name}-{os.getpid()}"),
                        ],
                    )
                )
            return running[name]

        yield start


def test_it_greets(run: Callable[[str], Function]) -> None:
    assert run("greet").invoke({"name": "Ada"}).json() == {"greeting": "Hello, Ada!"}


def test_it_greets_when_it_is_started_as_its_readme_says(example: Example, tmp_path: Path) -> None:
    command = [*example.command, example.handler("greet")]

    with emulator(command, task_root=deployed(example), directory=tmp_path) as function:
        assert function.invoke({"name": "Ada"}).json() == {"greeting": "Hello, Ada!"}

    readme = (EXAMPLES / example.name / "README.md").read_text()
    assert f"$ rie run -- {' '.join(command)}\n" in readme


def test_what_it_prints_is_in_the_log(run: Callable[[str], Function]) -> None:
    answer = run("greet").send(b'{"name": "Ada"}', tail=True)

    lines = (answer.log or b"").decode().splitlines()
    assert f"greeting Ada in {answer.request_id}" in lines


def test_its_error_has_a_type_and_a_message(
    example: Example, run: Callable[[str], Function]
) -> None:
    answer = run("greet").invoke({})

    error = answer.fields()
    assert answer.error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == (
        example.no_name,
        'The event has no "name"',
    )


def test_its_error_says_where_it_comes_from(
    example: Example, run: Callable[[str], Function]
) -> None:
    trace = run("greet").invoke({}).fields().get("stackTrace")

    if not example.trace:
        assert trace is None
        return
    assert isinstance(trace, list)
    assert re.search(r"greet.*\(?.*hello\.(mjs|sh|java):\d+", str(trace[0]), re.IGNORECASE)


def test_it_goes_on_after_an_error(example: Example, run: Callable[[str], Function]) -> None:
    function = run("greet")
    function.invoke({"name": "Ada"})
    before = processes(example, "greet")

    function.invoke({})

    assert function.invoke({"name": "Grace"}).json() == {"greeting": "Hello, Grace!"}
    assert before & processes(example, "greet")


def test_a_handler_that_does_not_exist_is_told_to_every_caller(
    example: Example, run: Callable[[str], Function]
) -> None:
    for _ in range(2):
        answer = run("nowhere").invoke({})

        assert answer.error == "Unhandled"
        assert answer.fields()["errorType"] == example.unknown
        assert "nowhere" in str(answer.fields()["errorMessage"])


@pytest.mark.parametrize("example", [NODE, JAVA, BASH], ids=lambda example: example.name)
def test_what_fails_while_a_function_is_loaded_is_told_to_the_caller(
    example: Example, tmp_path: Path
) -> None:
    options = ["--handler", example.broken_handler]
    folder = deployed(example)
    with emulator([], task_root=folder, directory=tmp_path, options=options) as function:
        answer = function.invoke({})

    error = answer.fields()
    assert answer.error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Broken", "broken while loading")


def test_the_function_is_told_about_its_invocation(
    example: Example, run: Callable[[str], Function]
) -> None:
    answer = run("about").invoke({})

    told = answer.fields()
    name = f"{example.name}-about-{os.getpid()}"
    remaining = told.pop("remainingMs")
    trace = told.pop("traceId")
    assert told == {
        "requestId": answer.request_id,
        "arn": f"arn:aws:lambda:us-east-1:123456789012:function:{name}",
        "clientContext": None,
        "name": name,
        "version": "$LATEST",
        "memoryMb": 1024,
    }
    assert isinstance(remaining, int)
    assert 0 < remaining <= 60_000
    assert re.match("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", str(trace))


def test_the_function_has_the_clients_context(
    example: Example, run: Callable[[str], Function]
) -> None:
    # The client for Rust takes nothing but ASCII in a header, and ends at anything else.
    word = "green" if example is RUST else "grün 漢"
    context = {"custom": {"colour": word}}

    answer = run("about").send(b"{}", client_context=encoded(context))

    assert answer.error is None
    assert answer.fields()["clientContext"] == context


@pytest.mark.parametrize("escaped", [False, True], ids=["utf-8", "escaped"])
def test_any_text_comes_back_as_it_went(run: Callable[[str], Function], *, escaped: bool) -> None:
    answer = run("echo").send(json.dumps(TEXTS, ensure_ascii=escaped).encode())

    assert answer.json() == TEXTS


@pytest.mark.parametrize("event", [None, True, 0, "", [], {}, [{"a": [None]}]])
def test_any_json_comes_back_as_it_went(run: Callable[[str], Function], event: object) -> None:
    assert run("echo").invoke(event).json() == event


def test_large_events_and_answers_pass(run: Callable[[str], Function]) -> None:
    event = {"text": "x" * SIZE}

    assert run("echo").invoke(event).json() == event


def test_what_the_function_keeps_is_there_the_next_time(run: Callable[[str], Function]) -> None:
    counted = [run("count").invoke({}).fields()["calls"] for _ in range(3)]

    assert counted == [1, 2, 3]


@pytest.mark.parametrize("example", [NODE, JAVA, BASH], ids=lambda example: example.name)
def test_it_ends_at_a_sigterm_while_it_waits_even_as_the_first_process(example: Example) -> None:
    require("unshare")
    if os.geteuid() != 0:
        pytest.skip("only root can make a process the first of its namespace")
    folder = deployed(example)
    with socket.create_server(("127.0.0.1", 0)) as api:
        api.settimeout(LIMIT)
        variables = {
            **user_variables(),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.getsockname()[1]}",
            "_HANDLER": example.handler("greet"),
            "LAMBDA_TASK_ROOT": str(folder),
        }
        command = ["unshare", "--pid", "--fork", "--kill-child", "./bootstrap"]
        with subprocess.Popen(command, cwd=folder, env=variables) as process:
            poll, _ = api.accept()
            with poll:
                poll.settimeout(LIMIT)
                assert b"/invocation/next" in poll.recv(65536)
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                os.kill(int(children.read_text()), signal.SIGTERM)

                assert process.wait(LIMIT) == 128 + signal.SIGTERM


@pytest.fixture
def run_more(tmp_path: Path) -> Iterator[Callable[..., Function]]:
    """Give the emulator that runs an example with a file of functions more."""
    with ExitStack() as life:

        def start(example: Example, handler: str, file: str, text: str) -> Function:
            folder = tmp_path / example.name
            shutil.copytree(deployed(example), folder)
            (folder / file).write_text(text)
            options = ["--handler", handler]
            return life.enter_context(
                emulator([], task_root=folder, directory=tmp_path, options=options)
            )

        yield start


NODE_FUNCTIONS = """
const forms = {
  never: () => new Promise(() => {}),
  late: () => new Promise(() => setTimeout(() => { throw new RangeError("too late"); }, 10)),
  rejected: () => { Promise.reject(new RangeError("of nobody")); return new Promise(() => {}); },
  string: () => { throw "no error at all"; },
  number: () => 1n,
  nothing: () => {},
};
export const handler = (event) => forms[event]();
"""


@pytest.mark.parametrize(
    ("form", "error_type", "message"),
    [
        ("never", "Runtime.NodeJsExit", "Nothing is left to do, and there is no answer"),
        ("late", "RangeError", "too late"),
        ("rejected", "RangeError", "of nobody"),
        ("string", "string", "no error at all"),
        ("number", "TypeError", "Do not know how to serialize a BigInt"),
    ],
)
def test_node_reports_whatever_keeps_a_function_from_answering(
    run_more: Callable[..., Function], form: str, error_type: str, message: str
) -> None:
    function = run_more(NODE, "more.handler", "more.mjs", NODE_FUNCTIONS)

    error = function.invoke(form).fields()

    assert (error["errorType"], error["errorMessage"]) == (error_type, message)
    assert function.invoke("nothing").json() is None


BASH_FUNCTIONS = """
post() { :; }  # the runtime has one, and keeps it
handler() {
  case $(cat) in
    '"nothing"') ;;
    '"too much"') echo debug; echo '{}' ;;
    '"status"') return 7 ;;
    '"large"') raise Large "$(head -c 500000 /dev/zero | tr '\\0' x)"; return ;;
  esac
}
"""


@pytest.mark.parametrize(
    ("form", "error_type", "message"),
    [
        ("too much", "Runtime.MarshalError", "handler printed no JSON: debug\n{}"),
        ("status", "HandlerError", "handler returned 7"),
        ("large", "Large", "x" * 500_000),
    ],
)
def test_bash_reports_what_is_no_answer(
    run_more: Callable[..., Function], form: str, error_type: str, message: str
) -> None:
    function = run_more(BASH, "more.handler", "more.sh", BASH_FUNCTIONS)

    error = function.invoke(form).fields()

    assert (error["errorType"], error["errorMessage"]) == (error_type, message)
    assert function.invoke("nothing").json() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a function as somebody else")
def test_it_runs_as_lambdas_user_on_code_that_it_cannot_change(
    example: Example, run: Callable[[str], Function]
) -> None:
    run("greet").invoke({"name": "Ada"})

    mounts = [contents(Path(f"/proc/{each}/mountinfo")) for each in processes(example, "greet")]
    users = {user(each) for each in processes(example, "greet")} - {None}
    assert users == {LAMBDAS_USER}
    for table in filter(None, mounts):
        rows = [line.split() for line in table.decode().splitlines()]
        options = {row[4]: row[5].split(",") for row in rows}
        assert ("ro" in options["/"], "ro" in options["/var/task"]) == (True, True)


def processes(example: Example, function: str) -> set[int]:
    """Find the processes of a function of the example, by a variable that only they have."""
    mark = f"AWS_LAMBDA_FUNCTION_NAME={example.name}-{function}-{os.getpid()}".encode()
    return {
        int(entry.parent.name)
        for entry in Path("/proc").glob("[0-9]*/environ")
        if mark in contents(entry).split(b"\0")
        # The supervisor, which is ours, has its variables from the runtime.
        and contents(entry.parent / "comm") != b"launcher\n"
    }


def user(process: int) -> int | None:
    """Say whose a process is; None when it has ended."""
    found = re.search(rb"^Uid:\t(\d+)", contents(Path(f"/proc/{process}/status")), re.MULTILINE)
    return int(found[1]) if found else None


def contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile
        return b""


def encoded(context: object) -> str:
    return base64.b64encode(json.dumps(context, ensure_ascii=False).encode()).decode()
