"""The whole bootstrap as a process, against a Runtime API that follows a script.

Every script ends with a 500 to /next, on which the documentation has a runtime exit, so each
process that is not ended by a signal exits with 1.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bootstrap
from bootstrap import RuntimeClient, logs
from bootstrap.termination import die_by_sigterm
from tests.bootstrap.scripted import (
    ACCEPTED,
    PATIENCE,
    REPOSITORY,
    REQUEST_ID,
    Answer,
    Event,
    Finished,
    ScriptedApi,
    finish,
    refusing_address,
    run_bootstrap,
    start_bootstrap,
    status,
    wait_until_parked,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NEXT = "/2018-06-01/runtime/invocation/next"
END = status(500)
EXAMPLES = REPOSITORY / "examples" / "functions"
APP = """
import asyncio, json, os, sys, signal, subprocess, threading, time
calls = 0
def echo(event, context): return event
def count(event, context):
    global calls
    calls += 1
    return [calls, os.getpid()]
def trace(event, context):
    child = [sys.executable, "-c", "import os; print(os.environ.get('_X_AMZN_TRACE_ID'))"]
    return [os.environ.get("_X_AMZN_TRACE_ID"), subprocess.check_output(child, text=True).strip()]
def fail(event, context): raise ValueError(event["message"])
def deep(event, context): return fail(event, context)
def bad(event, context): return {1, 2}
def raw(event, context): return b"\\0raw"
def leave(event, context): sys.exit(event["code"])
def die(event, context): os.kill(os.getpid(), event["signal"])
def cancelled(event, context): raise asyncio.CancelledError("no more")
def partial(event, context): print("no line end", end="")
def close_stdout(event, context): sys.stdout.close()
def interrupt(event, context): raise KeyboardInterrupt
def too_few(event): return event
async def coroutine(event, context):
    await asyncio.sleep(0)
    return await inner(event)
async def inner(event):
    if "message" in event: raise ValueError(event["message"])
    return event
async def leave_async(event, context): sys.exit(event["code"])
def caller(event, context): return context.client_context.custom["k"]
def whoami(event, context): return [repr(context), os.getcwd(), sys.path[0], context.tenant_id]
def wait(event, context):
    print("waiting", flush=True)
    threading.Event().wait()
"""


def serve(
    folder: Path,
    handler: str,
    *script: Answer | Event | bytes,
    env: Mapping[str, str] | None = None,
) -> tuple[ScriptedApi, Finished]:
    (folder / "app.py").write_text(APP)
    with ScriptedApi(*script) as api:
        return api, run_bootstrap(api, folder, handler, env=env)


def test_an_invocation_is_answered_and_the_next_asked_for(tmp_path: Path) -> None:
    api, finished = serve(tmp_path, "app.echo", Event(b'{"a": "\xc3\xa9"}'), ACCEPTED, END)

    post = api.requests[1]
    assert [request.path for request in api.requests] == [
        NEXT,
        f"/2018-06-01/runtime/invocation/{REQUEST_ID}/response",
        NEXT,
    ]
    assert (post.json(), post.headers["content-type"]) == ({"a": "é"}, "application/json")
    assert {request.connection for request in api.requests} == {0}
    assert finished.code == 1
    assert finished.out.count("\n") == 1
    assert "Failed to get next invocation" in finished.out
    assert finished.err == ""


def test_what_is_outside_the_handler_runs_once(tmp_path: Path) -> None:
    script = [line for _ in range(5) for line in (Event(), ACCEPTED)]

    api, _ = serve(tmp_path, "app.count", *script, END)

    answers = [json.loads(post.body) for post in api.posts()]
    assert [calls for calls, _ in answers] == [1, 2, 3, 4, 5]
    assert len({pid for _, pid in answers}) == 1


@pytest.mark.parametrize(
    ("handler", "event", "body"),
    [
        ("app.echo", b"[1, null, 1.5]", b"[1, null, 1.5]"),
        ("app.coroutine", b'{"b": 2}', b'{"b": 2}'),
        ("app.raw", b"{}", b"\0raw"),
        ("app.partial", b"{}", b"null"),
    ],
)
def test_results_are_posted(tmp_path: Path, handler: str, event: bytes, body: bytes) -> None:
    api, _ = serve(tmp_path, handler, Event(event), ACCEPTED, END)

    assert api.requests[1].body == body


@pytest.mark.parametrize("size", [6_291_456, 6_291_556])
def test_the_largest_events_come_and_go(tmp_path: Path, size: int) -> None:
    event = b'"' + b"x" * (size - 2) + b'"'

    api, _ = serve(tmp_path, "app.echo", Event(event), ACCEPTED, END)

    assert api.requests[1].body == event


@pytest.mark.parametrize(
    ("handler", "event", "error_type", "message"),
    [
        ("app.fail", Event(b'{"message": "no\\n\\u0000"}'), "ValueError", "no\n\0"),
        ("app.coroutine", Event(b'{"message": "no"}'), "ValueError", "no"),
        ("app.cancelled", Event(), "CancelledError", "no more"),
        (
            "app.bad",
            Event(),
            "Runtime.MarshalError",
            "Unable to marshal response: Object of type set is not JSON serializable",
        ),
        (
            "app.echo",
            Event(b""),
            "Runtime.UnmarshalError",
            "Unable to unmarshal input: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "app.echo",
            Event(headers={"Lambda-Runtime-Client-Context": "{"}),
            "Runtime.LambdaContextUnmarshalError",
            (
                "Unable to parse Client Context JSON: Expecting property name enclosed in double "
                "quotes: line 1 column 2 (char 1)"
            ),
        ),
        (
            "app.too_few",
            Event(),
            "TypeError",
            "too_few() takes 1 positional argument but 2 were given",
        ),
    ],
)
def test_a_failure_is_posted_logged_once_and_survived(
    tmp_path: Path, handler: str, event: Event, error_type: str, message: str
) -> None:
    api, finished = serve(tmp_path, handler, event, ACCEPTED, Event(), ACCEPTED, END)

    post = api.requests[1]
    assert post.path.endswith(f"{REQUEST_ID}/error")
    assert (post.json()["errorType"], post.json()["errorMessage"]) == (error_type, message)
    assert post.json()["requestId"] == REQUEST_ID
    own = [line for line in finished.out.split("\n") if f"{error_type}: " in line]
    assert len([line for line in own if message.partition("\n")[0] in line]) >= 1
    assert len(api.posts()) == 2


def test_the_log_shows_an_error_once(tmp_path: Path) -> None:
    _, finished = serve(tmp_path, "app.fail", Event(b'{"message": "unique"}'), ACCEPTED, END)

    assert finished.out.count("unique") == 1


@pytest.mark.parametrize(
    ("handler", "names"),
    [("app.deep", ["deep", "fail"]), ("app.coroutine", ["coroutine", "inner"])],
)
def test_a_stack_trace_is_the_users_frames_alone(
    tmp_path: Path, handler: str, names: list[str]
) -> None:
    api, _ = serve(tmp_path, handler, Event(b'{"message": "no"}'), ACCEPTED, END)

    trace = api.requests[1].json()["stackTrace"]
    assert isinstance(trace, list)
    assert [entry.splitlines()[0].rpartition(" in ")[2] for entry in trace] == names


def test_the_context_says_what_the_environment_and_the_headers_say(tmp_path: Path) -> None:
    env = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
    headers = {"Lambda-Runtime-Aws-Tenant-Id": "blue", "LAMBDA-RUNTIME-INVOKED-FUNCTION-ARN": "arn"}

    api, _ = serve(tmp_path, "app.whoami", Event(headers=headers), ACCEPTED, END, env=env)

    shown, cwd, first_path, tenant = json.loads(api.requests[1].body)
    assert f"aws_request_id={REQUEST_ID}," in shown
    assert "function_name=f,memory_limit_in_mb=128," in shown
    assert "invoked_function_arn=arn," in shown
    assert (cwd, first_path, tenant) == (str(tmp_path), str(tmp_path), "blue")


def test_long_and_raw_utf_8_headers_arrive_as_they_are(tmp_path: Path) -> None:
    custom = "größe 🎈 " * 300
    client_context = json.dumps({"custom": {"k": custom}}, ensure_ascii=False)
    headers = {"Lambda-Runtime-Client-Context": client_context}
    event = Event(headers=headers, request_id="i" * 128)

    api, _ = serve(tmp_path, "app.caller", event, ACCEPTED, END)

    assert json.loads(api.requests[1].body) == custom
    assert api.requests[1].path.endswith(f"/{'i' * 128}/response")


def test_the_trace_id_is_each_invocations_own(tmp_path: Path) -> None:
    first = Event(headers={"Lambda-Runtime-Trace-Id": "Root=1"})
    second = Event(headers={"Lambda-Runtime-Trace-Id": "Root=2"})

    api, _ = serve(
        tmp_path, "app.trace", first, ACCEPTED, second, ACCEPTED, Event(), ACCEPTED, Event(),
        ACCEPTED, END,
    )  # fmt: skip

    seen = [json.loads(post.body) for post in api.posts()]
    assert seen == [["Root=1"] * 2, ["Root=2"] * 2, [None, "None"], [None, "None"]]


def test_the_invocation_id_is_echoed_only_when_given(tmp_path: Path) -> None:
    first = Event(headers={"Lambda-Runtime-Invocation-Id": "nonce"})

    api, _ = serve(tmp_path, "app.echo", first, ACCEPTED, Event(), ACCEPTED, END)

    sent = [post.headers.get("lambda-runtime-invocation-id") for post in api.posts()]
    assert sent == ["nonce", None]


@pytest.mark.parametrize("handler", ["app.leave", "app.leave_async"])
def test_a_handler_that_exits_ends_the_process_without_an_answer(
    tmp_path: Path, handler: str
) -> None:
    api, finished = serve(tmp_path, handler, Event(b'{"code": 3}'))

    assert finished.code == 3
    assert api.posts() == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_handler_that_dies_by_a_signal_leaves_no_answer(
    tmp_path: Path, number: signal.Signals
) -> None:
    api, finished = serve(tmp_path, "app.die", Event(json.dumps({"signal": number}).encode()))

    assert finished.code == -number
    assert api.posts() == []


def test_an_invocation_id_with_control_characters_ends_the_process(tmp_path: Path) -> None:
    forged = Event(headers={"Lambda-Runtime-Invocation-Id": "a\x01b"})

    api, finished = serve(tmp_path, "app.echo", forged)

    assert (finished.code, finished.err, api.posts()) == (1, "", [])


def test_many_invocations_leave_nothing_behind(tmp_path: Path) -> None:
    measure = """
import gc, os
def handler(event, context):
    gc.collect()
    return [len(gc.get_objects()), len(os.listdir("/dev/fd"))]
async def also_async(event, context):
    return handler(event, context)
"""
    (tmp_path / "app.py").write_text(measure)
    script = [line for _ in range(200) for line in (Event(), ACCEPTED)]

    for handler in ("app.handler", "app.also_async"):
        with ScriptedApi(*script, END) as api:
            run_bootstrap(api, tmp_path, handler)

        counts = [json.loads(post.body) for post in api.posts()]
        assert counts[-1][0] <= counts[20][0] + 20
        assert counts[-1][1] == counts[20][1]
        assert {request.connection for request in api.requests} == {0}


def test_an_interrupted_handler_ends_the_process_quietly(tmp_path: Path) -> None:
    _, finished = serve(tmp_path, "app.interrupt", Event())

    assert (finished.code, finished.err) == (130, "")


INIT_ERRORS = [
    ("nohandler", "", "Runtime.MalformedHandlerName"),
    ("app.missing", "", "Runtime.HandlerNotFound"),
    ("gone.handler", "", "Runtime.ImportModuleError"),
    ("app.handler", "def handler(", "Runtime.UserCodeSyntaxError"),
    ("app.handler", "raise ValueError('at import')", "ValueError"),
]


@pytest.mark.parametrize(("handler", "code", "error_type"), INIT_ERRORS)
def test_an_init_error_is_posted_and_the_process_exits(
    tmp_path: Path, handler: str, code: str, error_type: str
) -> None:
    (tmp_path / "app.py").write_text(code)

    with ScriptedApi(ACCEPTED) as api:
        finished = run_bootstrap(api, tmp_path, handler)

    (request,) = api.requests
    assert request.path == "/2018-06-01/runtime/init/error"
    assert request.json()["errorType"] == error_type
    assert finished.code == 1
    assert finished.out.count(f"[ERROR] {error_type}: ") == 1
    assert finished.err == ""


@pytest.mark.parametrize(
    "answer",
    [status(403), status(500), Answer((), "close"), Answer((), "reset"), b"garbage\r\n\r\n"],
)
def test_an_init_error_that_nobody_takes_ends_the_process_too(
    tmp_path: Path, answer: Answer | bytes
) -> None:
    with ScriptedApi(answer) as api:
        finished = run_bootstrap(api, tmp_path, "gone.handler")

    assert finished.code == 1
    assert len(api.requests) == 1
    assert "Failed to post the init error" in finished.out


def test_a_module_that_exits_at_import_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import sys; sys.exit(5)")

    with ScriptedApi() as api:
        finished = run_bootstrap(api, tmp_path, "app.handler")

    assert (finished.code, api.requests) == (5, [])


@pytest.mark.parametrize("code", [400, 403, 410, 413])
def test_a_refused_answer_is_logged_and_the_next_invocation_served(
    tmp_path: Path, code: int
) -> None:
    api, finished = serve(tmp_path, "app.count", Event(), status(code), Event(), ACCEPTED, END)

    assert [json.loads(post.body)[0] for post in api.posts()] == [1, 2]
    assert finished.out.count(f"Reason: '{code}'") == 1


@pytest.mark.parametrize("answer", [status(500), Answer((), "reset"), Answer((), "close")])
def test_an_answer_that_is_lost_with_the_api_ends_the_process(
    tmp_path: Path, answer: Answer
) -> None:
    # The kept connection was dropped: one more try on a new one, which is lost as well.
    api, finished = serve(tmp_path, "app.count", Event(), answer, answer, answer)

    assert finished.code == 1
    assert len(api.posts()) <= 2
    assert [json.loads(post.body)[0] for post in api.posts()] == [1] * len(api.posts())


@pytest.mark.parametrize(
    "answer",
    [
        status(403),
        status(500),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"not http\r\n\r\n",
    ],
)
def test_without_an_invocation_the_handler_is_not_called_and_the_process_exits(
    tmp_path: Path, answer: Answer | bytes
) -> None:
    api, finished = serve(tmp_path, "app.count", answer)

    assert finished.code == 1
    assert len(api.requests) == 1


def test_a_connection_that_is_closed_after_each_reply_is_no_hindrance(tmp_path: Path) -> None:
    closing = Answer((Event().whole(),), "close")

    api, _ = serve(tmp_path, "app.count", closing, Answer((ACCEPTED,), "close"), Event(), ACCEPTED,
                   END)  # fmt: skip

    assert [json.loads(post.body)[0] for post in api.posts()] == [1, 2]


def test_a_parked_call_that_is_reset_is_made_again(tmp_path: Path) -> None:
    api, _ = serve(tmp_path, "app.count", Answer((), "reset"), Event(), ACCEPTED, END)

    assert [json.loads(post.body)[0] for post in api.posts()] == [1]


def test_where_nobody_listens_the_process_exits(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with ScriptedApi() as api, refusing_address() as (host, port):
        env = {"AWS_LAMBDA_RUNTIME_API": f"{host}:{port}"}
        finished = run_bootstrap(api, tmp_path, "app.echo", env=env)

    assert finished.code == 1


def test_what_was_printed_is_out_before_the_answer(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    with ScriptedApi(Event()) as api:
        process = start_bootstrap(api, tmp_path, "app.partial")
        assert process.stdout is not None
        api.wait_for_requests(2)
        os.set_blocking(process.stdout.fileno(), False)
        printed = os.read(process.stdout.fileno(), 100)
        process.kill()
        finish(process)

    assert printed == b"no line end"


def test_a_handler_may_close_stdout(tmp_path: Path) -> None:
    api, _ = serve(tmp_path, "app.close_stdout", Event(), ACCEPTED, Event(), ACCEPTED, END)

    assert api.posts()[0].path.endswith("/response")


def test_much_noise_at_import_is_no_deadlock(tmp_path: Path) -> None:
    noisy = "print('x' * 79 + chr(10), end='') or [print('y' * 79) for _ in range(65536)]\n"
    (tmp_path / "noisy.py").write_text(noisy + "def handler(event, context): return 1\n")

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        finished = run_bootstrap(api, tmp_path, "noisy.handler")

    assert len(api.posts()) == 1
    assert finished.out.count("y" * 79 + "\n") == 65536


def test_without_standard_streams_it_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    starter = "import os, sys\nfor n in (0, 1, 2): os.close(n)\nos.execv(sys.argv[1], sys.argv[1:])"

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        command = [
            sys.executable,
            "-c",
            starter,
            sys.executable,
            "-P",
            "-m",
            "bootstrap",
            "app.echo",
        ]
        env = {"PYTHONPATH": str(REPOSITORY), "AWS_LAMBDA_RUNTIME_API": api.address}
        code = subprocess.run(
            command, env={**os.environ, **env}, cwd=tmp_path, check=False, timeout=60
        ).returncode

    assert (code, len(api.posts())) == (1, 1)


# Those that wait for a signal look up again and again: one that comes just before the lock is
# waited for would be handled after it.
HOOKS = """
import atexit, signal, sys, threading
atexit.register(print, "exit hook ran")
{hook}
def handler(event, context): return 1
def busy(event, context):
    print("busy", flush=True)
    try:
        while not threading.Event().wait(1): pass
    except BaseException:
        pass
"""
USER_HOOK = "signal.signal(signal.SIGTERM, lambda *_: (print('user hook ran'), sys.exit(7)))"
THREAD = "threading.Thread(target=threading.Event().wait).start()"


@pytest.mark.parametrize(
    ("hook", "code", "out"),
    [
        ("", -signal.SIGTERM, "exit hook ran\n"),
        (THREAD, -signal.SIGTERM, "exit hook ran\n"),
        (USER_HOOK, 7, "user hook ran\nexit hook ran\n"),
        ("signal.signal(signal.SIGTERM, signal.SIG_DFL)", -signal.SIGTERM, ""),
    ],
)
def test_sigterm_while_parked_runs_the_hooks_and_ends_it(
    tmp_path: Path, hook: str, code: int, out: str
) -> None:
    (tmp_path / "app.py").write_text(HOOKS.format(hook=hook))

    with ScriptedApi(Event(), ACCEPTED) as api:
        process = start_bootstrap(api, tmp_path, "app.handler")
        api.wait_for_requests(3)
        wait_until_parked(process)
        process.terminate()
        finished = finish(process)

    assert (finished.code, finished.out, finished.err) == (code, out, "")


def test_what_a_signal_handler_raises_while_it_is_parked_is_not_blamed_on_the_api(
    tmp_path: Path,
) -> None:
    (tmp_path / "app.py").write_text(
        "import signal\n"
        "def alarm(*_):\n"
        "    raise TimeoutError('the function\\'s own')\n"
        "signal.signal(signal.SIGALRM, alarm)\n"
        "def handler(event, context):\n"
        "    return event\n"
    )

    with ScriptedApi(Event(), ACCEPTED) as api:
        process = start_bootstrap(api, tmp_path, "app.handler")
        api.wait_for_requests(3)
        wait_until_parked(process)
        process.send_signal(signal.SIGALRM)
        finished = finish(process)

        assert len(api.requests) == 3
    assert finished.code == 1
    assert finished.err.endswith("TimeoutError: the function's own\n")
    assert "LAMBDA_RUNTIME" not in finished.out


def test_sigterm_in_the_middle_of_a_handler_ends_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HOOKS.format(hook=""))

    with ScriptedApi(Event()) as api:
        process = start_bootstrap(api, tmp_path, "app.busy")
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], PATIENCE)[0]
        assert process.stdout.readline() == b"busy\n"
        process.terminate()
        finished = finish(process)

    assert (finished.code, finished.out) == (-signal.SIGTERM, "exit hook ran\n")
    assert api.posts() == []


def test_sigterm_in_a_forked_child_runs_no_hooks_of_its_parent(tmp_path: Path) -> None:
    forks = """
import atexit, os, signal, threading
atexit.register(print, "exit hook ran")
def handler(event, context):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"x")
        while not threading.Event().wait(1): pass
    os.read(reader, 1)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
    (tmp_path / "app.py").write_text(forks)

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        finished = run_bootstrap(api, tmp_path, "app.handler")

    assert json.loads(api.posts()[0].body) == -signal.SIGTERM
    assert finished.out.count("exit hook ran") == 1


def test_a_stopped_process_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    with ScriptedApi(Answer(), Event(), ACCEPTED, END) as api:
        process = start_bootstrap(api, tmp_path, "app.echo")
        api.wait_for_requests(1)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        process.send_signal(signal.SIGCONT)
        api.drop_connections()
        finished = finish(process)

    assert len(api.posts()) == 1
    assert finished.code == 1


@pytest.mark.parametrize("path", ["bootstrap.py", "bootstrap/__init__.py"])
def test_a_user_module_of_our_name_is_the_handlers(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    own = "import bootstrap, logging\ndef handler(event, context):\n"
    (tmp_path / path).write_text(f"{own}    logging.warning('w')\n    return bootstrap.__file__\n")

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        finished = run_bootstrap(api, tmp_path, "bootstrap.handler")

    assert json.loads(api.posts()[0].body) == str(tmp_path / path)
    assert f"{REQUEST_ID}\tw\n" in finished.out


def test_a_user_module_of_our_name_is_what_others_import(tmp_path: Path) -> None:
    (tmp_path / "bootstrap.py").write_text("mine = 42")
    (tmp_path / "app.py").write_text("import bootstrap\ndef handler(e, c): return bootstrap.mine")

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        run_bootstrap(api, tmp_path, "app.handler")

    assert api.posts()[0].body == b"42"


@pytest.mark.parametrize("replacement", ["None", "sys.__class__('_json')"])
def test_without_the_c_half_of_json_it_serves_all_the_same(
    tmp_path: Path, replacement: str
) -> None:
    script = """
import sys
sys.modules["_json"] = {}
import bootstrap
bootstrap.run(lambda event, context: event)
"""
    (tmp_path / "script.py").write_text(script.format(replacement))

    with ScriptedApi(Event(b' {"a": [1.5, null]}'), ACCEPTED, END) as api:
        env = {"PYTHONPATH": str(REPOSITORY), "AWS_LAMBDA_RUNTIME_API": api.address}
        command = [sys.executable, "script.py"]
        variables = {**os.environ, **env}
        subprocess.run(
            command, env=variables, cwd=tmp_path, capture_output=True, check=False, timeout=60
        )

    assert api.posts()[0].body == b'{"a": [1.5, null]}'


def test_a_sigterm_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)

    die_by_sigterm()

    assert signal.signal(signal.SIGTERM, before) == signal.SIG_IGN


def test_a_script_may_run_its_own_handler(tmp_path: Path) -> None:
    script = "import bootstrap\nbootstrap.run(lambda event, context: [event, context.tenant_id])\n"
    (tmp_path / "script.py").write_text(script)

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        env = {"PYTHONPATH": str(REPOSITORY), "AWS_LAMBDA_RUNTIME_API": api.address}
        subprocess.run(
            [sys.executable, "script.py"], env={**os.environ, **env}, cwd=tmp_path,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip

    assert json.loads(api.posts()[0].body) == [{"a": 1}, None]


def test_run_works_outside_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LOG", logs.Log())
    codes = []

    def target(client: RuntimeClient) -> None:
        try:
            bootstrap.run(lambda _event, _context: 1, client)
        except SystemExit as end:
            codes.append(end.code)

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        client = RuntimeClient(api.address)
        thread = threading.Thread(target=target, args=(client,), daemon=True)
        thread.start()
        thread.join(PATIENCE)

    assert codes == [1]
    assert api.posts()[0].body == b"1"


@pytest.mark.parametrize(
    ("handler", "event", "result"),
    [
        ("hello.handler", b'{"name": "you"}', {"message": "Hello, you!", "requestId": REQUEST_ID}),
        ("echo.handler", b"[1]", [1]),
        ("async_handler.handler", b'{"numbers": [1, 2, 3]}', [1, 4, 9]),
        ("class_handler.Counter.handle", b'{"add": 2}', {"total": 2}),
        ("class_handler.count", b"{}", {"total": 1}),
    ],
)
def test_the_examples_do_what_they_say(handler: str, event: bytes, result: object) -> None:
    with ScriptedApi(Event(event), ACCEPTED, END) as api:
        run_bootstrap(api, EXAMPLES, handler)

    assert json.loads(api.posts()[0].body) == result


def find_python(version: str) -> str:
    """Find an interpreter of a version: on the path, or where pyenv or uv keep theirs."""
    for found in (shutil.which(f"python{version}"), *kept_pythons(version)):
        # What is on the path may be a shim for a version that is switched off.
        if found and works(found):
            return found
    pytest.skip(f"no python{version} on the path, and none from pyenv or uv")


def works(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def kept_pythons(version: str) -> Iterator[str]:
    for command in (["pyenv", "prefix", version], ["uv", "python", "find", version]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            place = Path(done.stdout.strip() or "nowhere")
            yield str(place / "bin" / f"python{version}" if place.is_dir() else place)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
@pytest.mark.parametrize("handler", ["app.coroutine", "app.fail", "app.bad"])
def test_other_versions_of_python_behave_alike(tmp_path: Path, version: str, handler: str) -> None:
    python = find_python(version)
    (tmp_path / "app.py").write_text(APP)

    with ScriptedApi(Event(b'{"message": "no"}'), ACCEPTED, END) as api:
        finished = run_bootstrap(api, tmp_path, handler, python=python)
    with ScriptedApi(Event(b'{"message": "no"}'), ACCEPTED, END) as ours:
        run_bootstrap(ours, tmp_path, handler)

    assert api.posts()[0].body == ours.posts()[0].body
    assert (finished.code, finished.err) == (1, "")


def test_a_proxy_in_the_environment_is_ignored(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = "http://{}:{}".format(*proxy.getsockname())
        env = {"http_proxy": address, "HTTP_PROXY": address, "ALL_PROXY": address}

        api, _ = serve(tmp_path, "app.echo", Event(), ACCEPTED, END, env=env)

    assert len(api.posts()) == 1
