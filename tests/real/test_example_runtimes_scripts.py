"""The example runtimes in Perl, Ruby, PHP, Lua and C, each through the calls of a real client.

First those that all runtimes are tried with, for which each has the kit in functions/. Then its
own example, run as its README says, and what becomes of code that fails or is not there.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.emulator import Function, emulator
from tests.real.runtimes import CACHE, EXAMPLES, FUNCTIONS, Runtime, require
from tests.real.test_runtimes import (  # noqa: F401 - the tests that all runtimes share
    test_a_crash_is_reported_and_the_next_call_starts_anew,
    test_a_larger_response_is_an_error_that_the_function_survives,
    test_a_thousand_calls_in_a_row_are_served_by_one_environment,
    test_a_timeout_ends_the_call_and_the_next_starts_anew,
    test_an_error_arrives_as_the_client_reports_it,
    test_an_init_error_is_the_callers_answer,
    test_any_json_comes_back_as_it_went,
    test_any_text_comes_back_as_it_went,
    test_overlapping_calls_share_several_environments,
    test_overlapping_calls_wait_for_the_one_environment,
    test_the_function_is_told_about_its_invocation,
    test_the_largest_event_arrives,
    test_the_largest_response_arrives,
    test_what_the_function_prints_is_in_the_log_tail,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

SIZE = 5_000_000
LAMBDAS_USER = 993
LOADING = "broken while loading"
# What would lead a client astray that believes it.
PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An example runtime: `suffix` of its functions' files, and what such a file may hold.

    `sources` are the text of a file that cannot be compiled, and of one that has no function.
    `modules` is a command that fails where the language's modules are not installed.
    """

    name: str
    tools: tuple[str, ...]
    suffix: str
    sources: tuple[str, str]
    modules: tuple[str, ...] = ()
    untyped: str = "Error"

    def runtime(self) -> Runtime:
        return Runtime(
            name=self.name,
            command=(str(EXAMPLES / self.name / "bootstrap"),),
            task_root=FUNCTIONS / self.name,
        )


PERL = Example(
    name="perl",
    tools=("perl",),
    suffix="pl",
    sources=("sub handler { 1 +; }", "1;"),
    modules=("perl", "-MJSON::PP", "-e", "1"),
)
RUBY = Example(
    name="ruby",
    tools=("ruby",),
    suffix="rb",
    sources=("def handler(", ""),
    untyped="RuntimeError",
)
PHP = Example(
    name="php",
    tools=("php",),
    suffix="php",
    sources=("<?php return [;", "<?php return [];"),
    untyped="RuntimeException",
)
LUA = Example(
    name="lua",
    tools=("lua5.3",),
    suffix="lua",
    sources=("return {", "return {}"),
    modules=("lua5.3", "-e", 'require "posix" require "socket"'),
)
SCRIPTS = (PERL, RUBY, PHP, LUA)
C = Example(name="c", tools=("cc",), suffix="c", sources=("", ""))
SYNTAX_ERRORS = {
    "perl": "Runtime.UserCodeSyntaxError",
    "ruby": "SyntaxError",
    "php": "ParseError",
    "lua": "Runtime.UserCodeSyntaxError",
}


@pytest.fixture(scope="module", params=(*SCRIPTS, C), ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Example:
    assert isinstance(request.param, Example)
    return ready(request.param)


@pytest.fixture(scope="module", params=SCRIPTS, ids=lambda example: example.name)
def script(request: pytest.FixtureRequest) -> Example:
    assert isinstance(request.param, Example)
    return ready(request.param)


@pytest.fixture(scope="module")
def runtime(example: Example) -> Runtime:
    """Stand in for the runtimes that conftest.py has, in the tests that all share."""
    if example is C:
        command = (str(compiled("kit", FUNCTIONS / "c/kit.c")),)
        return Runtime(name="c", command=command, task_root=FUNCTIONS / "c")
    return example.runtime()


@pytest.fixture(scope="module")
def function(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """Run the kit in one execution environment, with time for everything."""
    with emulator(
        [*runtime.command, runtime.kit],
        task_root=runtime.task_root,
        directory=tmp_path_factory.mktemp(runtime.name),
        options=misled(),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def hello(
    example: Example, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Function]]:
    """Give the emulator that runs a function of the example, as its README says: one each."""
    folder = EXAMPLES / example.name
    program = "./bootstrap"
    if example is C:
        program = str(compiled("bootstrap", folder / "hello.c"))
    with ExitStack() as life:

        @cache
        def start(name: str) -> Function:
            return life.enter_context(
                emulator(
                    [program, f"hello.{name}"],
                    task_root=folder,
                    directory=tmp_path_factory.mktemp(example.name),
                )
            )

        yield start


def test_it_greets(hello: Callable[[str], Function]) -> None:
    answer = hello("greet").send('{"name": "Žofie 漢 😀"}'.encode(), tail=True)

    assert answer.json() == {"greeting": "Hello, Žofie 漢 😀!"}
    assert f"greeting Žofie 漢 😀 in {answer.request_id}\n" in (answer.log or b"").decode()


def test_its_error_says_what_and_where(example: Example, hello: Callable[[str], Function]) -> None:
    answer = hello("greet").invoke({})

    error = answer.fields()
    trace = error.pop("stackTrace")
    assert answer.error == "Unhandled"
    assert error == {"errorType": "NoName", "errorMessage": 'The event has no "name"'}
    assert isinstance(trace, list)
    if example is not C:
        assert re.search(rf"/hello\.{example.suffix}\b", trace[0])
        assert "bootstrap" not in str(trace)


def test_its_error_is_in_the_log_once(hello: Callable[[str], Function]) -> None:
    answer = hello("greet").send(b"{}", tail=True)

    assert (answer.log or b"").decode().count('The event has no "name"') == 1


def test_it_greets_after_an_error(hello: Callable[[str], Function]) -> None:
    hello("greet").invoke({})

    assert hello("greet").invoke({"name": "Grace"}).json() == {"greeting": "Hello, Grace!"}


def test_what_it_keeps_is_there_the_next_time(hello: Callable[[str], Function]) -> None:
    counted = [hello("count").invoke({}).fields()["calls"] for _ in range(3)]

    assert counted == [1, 2, 3]


def test_large_events_and_answers_pass(hello: Callable[[str], Function]) -> None:
    event = {"text": "x" * SIZE, "more": "漢"}

    assert hello("echo").invoke(event).json() == event


def test_it_knows_its_invocation(hello: Callable[[str], Function]) -> None:
    context = {"custom": {"colour": "grün 漢"}}
    text = base64.b64encode(json.dumps(context, ensure_ascii=False).encode()).decode()

    first = hello("about").send(b"{}", client_context=text)
    second = hello("about").send(b"{}")

    told = first.fields()
    assert told["requestId"] == first.request_id
    assert str(told["arn"]).endswith(f":function:{told['name']}")
    assert (told["version"], told["memoryMb"]) == ("$LATEST", 1024)
    assert re.match("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", str(told["traceId"]))
    assert isinstance(told["remainingMs"], int)
    assert 0 < told["remainingMs"] <= 60_000
    assert told["clientContext"] == context
    # Nothing is left of the first.
    assert second.fields()["requestId"] == second.request_id
    assert second.fields()["traceId"] != told["traceId"]
    assert second.fields().get("clientContext") is None


def test_its_children_know_the_trace(function: Function) -> None:
    traces = [function.call("child").json() for _ in range(2)]

    assert all(re.match("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", str(trace)) for trace in traces)
    assert traces[0] != traces[1]


def test_both_output_streams_are_in_the_log_in_order(function: Function) -> None:
    answer = function.send(b'{"do": "streams"}', tail=True)

    lines = (answer.log or b"").decode().splitlines()
    start = lines.index("first")
    assert lines[start : start + 3] == ["first", "second", "third"]


def test_a_message_alone_is_an_error_too(example: Example, function: Function) -> None:
    error = function.call("text").fields()

    assert (error["errorType"], error["errorMessage"]) == (example.untyped, "no object")


@pytest.mark.parametrize(
    "text",
    ['quotes " and \\', "two\nlines\r\n", "\x01\x7f", "x" * 1_000_000],
    ids=["quotes", "lines", "controls", "long"],
)
def test_any_message_arrives(example: Example, function: Function, text: str) -> None:
    error = function.call("fail", type="Shortage", message=text).fields()

    # The kit in C takes the text between the quotes as it is.
    expected = json.dumps(text, ensure_ascii=False)[1:-1] if example is C else text
    assert (error["errorType"], error["errorMessage"]) == ("Shortage", expected)


def test_a_result_that_is_no_json_is_an_error_that_it_survives(
    script: Example, tmp_path: Path
) -> None:
    with running(script, FUNCTIONS / script.name, "kit.handler", tmp_path) as function:
        before = function.call("count").fields()
        answer = function.call("unwritable")
        after = function.call("count").fields()

    assert answer.error == "Unhandled"
    assert answer.fields()["errorType"] == "Runtime.MarshalError"
    assert after["process"] == before["process"]


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("nowhere.handler", "Runtime.ImportModuleError"),
        ("empty.handler", "Runtime.HandlerNotFound"),
        ("handler", "Runtime.MalformedHandlerName"),
        ("..", "Runtime.MalformedHandlerName"),
    ],
)
def test_a_function_that_is_not_there_is_told_to_the_caller(
    script: Example, folder: Path, handler: str, error_type: str
) -> None:
    (folder / f"empty.{script.suffix}").write_text(script.sources[1])

    with running(script, folder, handler, folder / "run") as function:
        answers = [function.invoke({}) for _ in range(2)]

    for answer in answers:
        error = answer.fields()
        assert answer.error == "Unhandled"
        assert error["errorType"] == error_type
        assert handler.partition(".")[0] in str(error["errorMessage"])


def test_a_file_that_cannot_be_compiled_is_told_to_the_caller(
    script: Example, folder: Path
) -> None:
    (folder / f"faulty.{script.suffix}").write_text(script.sources[0])

    with running(script, folder, "faulty.handler", folder / "run") as function:
        answer = function.invoke({})

    assert answer.error == "Unhandled"
    assert answer.fields()["errorType"] == SYNTAX_ERRORS[script.name]
    assert answer.fields()["errorMessage"]


def test_a_failure_while_loading_is_in_the_log_and_ends_the_runtime(
    script: Example, tmp_path: Path
) -> None:
    with running(script, FUNCTIONS / script.name, "broken.handler", tmp_path) as function:
        function.invoke({})

    log = (tmp_path / "log").read_text()
    assert f"Broken: {LOADING}" in log
    assert "Runtime.ExitError" not in log


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("nowhere", {}, ("Runtime.HandlerNotFound", "'hello.nowhere'")),
        ("greet_all", {}, ("NoGreeting", "GREETING is not set")),
    ],
)
def test_an_init_that_fails_in_c_is_told_to_the_caller(
    tmp_path: Path, name: str, variables: Mapping[str, str], expected: tuple[str, str]
) -> None:
    ready(C)
    program = compiled("bootstrap", EXAMPLES / "c/hello.c")

    with emulator(
        [str(program), f"hello.{name}"],
        task_root=EXAMPLES / "c",
        directory=tmp_path,
        options=[f"--env={key}={value}" for key, value in variables.items()],
    ) as function:
        error = function.invoke({}).fields()

    assert error["errorType"] == expected[0]
    assert expected[1] in str(error["errorMessage"])


def test_an_init_that_succeeds_in_c_comes_before_the_first_event(tmp_path: Path) -> None:
    ready(C)
    program = compiled("bootstrap", EXAMPLES / "c/hello.c")

    with emulator(
        [str(program), "hello.greet_all"],
        task_root=EXAMPLES / "c",
        directory=tmp_path,
        options=["--env=GREETING=Hello, all!"],
    ) as function:
        assert function.invoke({}).json() == "Hello, all!"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a function as somebody else")
def test_it_runs_as_lambdas_user_on_code_that_it_cannot_change(
    example: Example, tmp_path: Path
) -> None:
    mark = f"EXAMPLE={uuid.uuid4()}"
    folder = EXAMPLES / example.name
    program = "./bootstrap" if example is not C else str(compiled("bootstrap", folder / "hello.c"))

    with emulator(
        [program, "hello.greet"],
        task_root=folder,
        directory=tmp_path,
        options=["--env", mark],
    ) as function:
        assert function.invoke({"name": "Ada"}).error is None
        (process,) = processes(mark)
        status = (process / "status").read_text()
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]

    assert re.search(rf"^Uid:\t{LAMBDAS_USER}\b", status, re.MULTILINE)
    options = {fields[4]: fields[5].split(",") for fields in mounts}
    assert ("ro" in options["/"], "ro" in options["/var/task"]) == (True, True)


@pytest.fixture
def folder(script: Example, tmp_path: Path) -> Path:
    """Give a folder of code with the runtime in it, as an archive for AWS would have it."""
    for each in (EXAMPLES / script.name).iterdir():
        shutil.copy(each, tmp_path)
    (tmp_path / "run").mkdir()
    return tmp_path


def running(
    example: Example, folder: Path, handler: str, directory: Path
) -> AbstractContextManager[Function]:
    """Run a function of other files than the example's own."""
    own = folder / "bootstrap"
    program = own if own.exists() else EXAMPLES / example.name / "bootstrap"
    return emulator([str(program), handler], task_root=folder, directory=directory)


def ready(example: Example) -> Example:
    """Skip the test where the language is not installed; in continuous integration fail it."""
    require(*example.tools)
    if example.modules and subprocess.run(example.modules, check=False).returncode:
        require(f"the modules of {example.name}")
    return example


def compiled(name: str, functions: Path) -> Path:
    """Compile the runtime in C with some functions, for everyone to run."""
    program = CACHE / f"c/{name}"
    program.parent.mkdir(parents=True, exist_ok=True)
    new = program.with_name(f"{name}.{os.getpid()}")
    source = EXAMPLES / "c/runtime.c"
    warnings = ("-Wall", "-Wextra", "-Werror")
    command = ["cc", "-std=c11", "-O2", *warnings, "-static", f"-I{source.parent}"]
    subprocess.run([*command, "-o", new, source, functions], check=True)
    # At once: another run of the tests may have started the one before.
    return new.replace(program)


def misled() -> list[str]:
    return [f"--env={name}=http://127.0.0.1:1" for name in PROXIES]


def processes(mark: str) -> list[Path]:
    """Find the runtimes that have this variable; not their supervisor, which has it too."""
    return [
        entry.parent
        for entry in Path("/proc").glob("[0-9]*/environ")
        if mark.encode() in contents(entry).split(b"\0")
        and contents(entry.parent / "comm") != b"launcher\n"
    ]


def contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile
        return b""
