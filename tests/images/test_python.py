"""The Python image: a user's Dockerfile FROM it, run as a user runs it and as Lambda would."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import containers
from tests.support.emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.containers import Container

APP = Path(__file__).with_name("functions") / "app.py"
NO_NAMESPACES = Path(__file__).with_name("no_namespaces.json")
DOCKERFILE = """
FROM rie/python:3.11
COPY requirements.txt *.whl ./
RUN pip install --no-index --find-links . -r requirements.txt -t ${LAMBDA_TASK_ROOT}
COPY layer/ /opt/
COPY *.py ${LAMBDA_TASK_ROOT}/
CMD ["app.handler"]
"""
# A wrapper as AWS's guide has it: it puts options before the last argument.
WRAPPER = """\
#!/bin/bash
args=("$@")
export WRAPPED="${args[*]}"
exec "${args[@]:0:$#-1}" -X importtime "${args[@]: -1}"
"""
FILES = {
    "app.py": APP.read_text(),
    "broken.py": "import missing\n",
    "requirements.txt": "greeting==1.0\n",
    "layer/python/both.py": "where = 'of every version'\n",
    "layer/python/lib/python3.11/site-packages/both.py": "where = 'of this version'\n",
    "layer/python/one.py": "where = 'one'\n",
    "layer/bin/tool": "#!/bin/sh\necho a tool of a layer\n",
    "layer/lib/libnone.so": "no library, but here\n",
    "layer/extensions/idle": "#!/bin/sh\nexec sleep 600\n",
    "layer/wrapper": WRAPPER,
    "layer/no-wrapper": "#!/bin/sh\n",
}
PROGRAMS = ("layer/bin/tool", "layer/extensions/idle", "layer/wrapper")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("python")
    folder = tmp_path_factory.mktemp("python")
    for name, text in {"Dockerfile": DOCKERFILE, **FILES}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for name in PROGRAMS:
        (folder / name).chmod(0o755)
    make_wheel(folder)
    return containers.build(folder)


def make_wheel(folder: Path) -> None:
    """Make a package as an index would have it: containers have no way to one here."""
    project = folder / "project"
    project.mkdir()
    (project / "greeting.py").write_text("def greet(name):\n    return f'hello, {name}'\n")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "greeting"\nversion = "1.0"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(project)], check=True)


@pytest.fixture(scope="module")
def function(image: str) -> Iterator[Container]:
    """Run it with Lambda's bounds."""
    with containers.running(image, lambda_like=True, memory=256) as container:
        yield container


def about(function: Container) -> dict[str, Any]:
    found: dict[str, Any] = function.invoke({"do": "about"}).payload
    return found


def test_it_answers_as_lambda_would_run_it(function: Container) -> None:
    event = {"do": "echo", "größe": "漢 😀"}

    answer = function.invoke(event)

    assert (answer.payload, answer.function_error) == (event, None)


def test_the_handler_finds_the_surroundings_of_awss_image(function: Container) -> None:
    found = about(function)

    assert found["version"] == [3, 11]
    assert found["executable"] == "/var/lang/bin/python3.11"
    assert (found["ids"], found["cwd"]) == ([993, 990], "/var/task")
    assert (
        found["variables"]
        | {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "LAMBDA_TASK_ROOT": "/var/task",
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "LANG": "en_US.UTF-8",
            "TZ": ":/etc/localtime",
            "_HANDLER": "app.handler",
        }
        == found["variables"]
    )


def test_a_home_of_root_is_not_given_to_another_user(image: str) -> None:
    # Lambda sets none: what caches below it would fail here, and not there.
    with containers.running(image) as container:
        assert "HOME=/root" in container.run("cat", "/proc/1/environ").split("\0")

        assert "HOME" not in about(container)["variables"]


def test_a_home_that_is_asked_for_is_given(image: str) -> None:
    with containers.running(image, env={"HOME": "/tmp"}) as container:
        assert about(container)["variables"]["HOME"] == "/tmp"


def test_nothing_of_the_emulators_own_is_in_the_functions_environment(function: Container) -> None:
    names = about(function)["variables"].keys()

    assert not [name for name in names if name.startswith(("RIE", "MALLOC_", "LC_"))]
    assert {"PYTHONHOME", "PYTHONHASHSEED"}.isdisjoint(names)


def test_the_emulators_interpreter_is_not_on_the_path(function: Container) -> None:
    found = function.invoke({"do": "which", "names": ["python3", "python", "pip", "rie"]}).payload

    assert found == ["/var/lang/bin/python3", "/var/lang/bin/python", "/var/lang/bin/pip", None]


def test_packages_that_pip_put_into_the_task_root_are_imported(function: Container) -> None:
    assert function.invoke({"do": "greet", "name": "you"}).payload == "hello, you"


def test_packages_of_layers_are_imported_those_of_the_version_first(function: Container) -> None:
    assert function.invoke({"do": "layer"}).payload == ["of this version", "one"]


def test_programs_and_libraries_of_layers_are_found(function: Container) -> None:
    assert function.invoke({"do": "run", "command": ["tool"]}).payload == "a tool of a layer\n"
    assert "/opt/lib" in about(function)["variables"]["LD_LIBRARY_PATH"].split(":")


def test_an_exception_comes_back_with_its_stack_trace(function: Container) -> None:
    answer = function.invoke({"do": "fail"})

    assert answer.function_error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("KeyError", "'漢'")
    assert answer.payload["stackTrace"][-1].startswith('  File "/var/task/app.py", line ')


def test_only_tmp_can_be_written_to(function: Container) -> None:
    assert function.invoke({"do": "write", "file": "/tmp/file"}).payload == "written"
    for file in ("/var/task/file", "/opt/file", "/file", "/usr/lib/file"):
        assert function.invoke({"do": "write", "file": file}).payload["errorType"] == "OSError"


def test_700_mb_in_tmp_are_refused(function: Container) -> None:
    answer = function.invoke({"do": "fill", "file": "/tmp/large", "mb": 700})

    assert answer.payload["errorMessage"] == "[Errno 28] No space left on device"


def test_700_mb_in_tmp_are_refused_without_a_tmpfs_too(image: str) -> None:
    """By a tmpfs of the environment's own, or else by a limit for each file."""
    with containers.running(image) as container:
        answer = container.invoke({"do": "fill", "file": "/tmp/large", "mb": 700})

    assert answer.payload["errorMessage"] in {
        "[Errno 27] File too large",
        "[Errno 28] No space left on device",
    }


def test_what_it_prints_is_in_the_log_of_its_call(function: Container) -> None:
    log = function.invoke({"do": "say", "text": "größer"}).log

    start, line, *_ = log.splitlines()
    assert start.startswith("START RequestId: ")
    assert line == "größer"
    assert line in function.logs()[0].splitlines()


def test_a_timeout_is_the_answer_and_the_next_call_is_served(image: str) -> None:
    with containers.running(image, env={"AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}) as container:
        late = container.invoke({"do": "sleep"})
        after = container.invoke({"do": "echo"})

    assert late.payload["errorType"] == "Sandbox.Timedout"
    assert after.payload == {"do": "echo"}


def test_a_function_that_needs_more_than_its_memory_ends_alone(image: str) -> None:
    """What the kernel does not limit, the emulator looks at."""
    with containers.running(image, env={"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}) as container:
        hungry = container.invoke({"do": "take", "mb": 300})
        after = container.invoke({"do": "echo"})

    assert_out_of_memory(hungry)
    assert after.payload == {"do": "echo"}


def test_a_function_that_takes_the_containers_memory_ends_alone(image: str) -> None:
    """The kernel kills what has the highest score, which is never the emulator."""
    options = ("--memory=160m", "--memory-swap=160m")
    with containers.running(image, options=options) as container:
        hungry = container.invoke({"do": "take", "mb": 300})
        after = container.invoke({"do": "echo"})

    assert_out_of_memory(hungry)
    assert after.payload == {"do": "echo"}


def test_the_kernel_would_choose_the_function_before_the_emulator(function: Container) -> None:
    assert function.invoke({"do": "read", "file": "/proc/self/oom_score_adj"}).payload == "1000\n"
    assert function.run("cat", "/proc/1/oom_score_adj") != "1000\n"


def test_without_privileges_too_it_ends_alone(image: str) -> None:
    with containers.running(image, lambda_like=True, memory=128) as container:
        hungry = container.invoke({"do": "take", "mb": 3000})
        after = container.invoke({"do": "echo"})

    assert_out_of_memory(hungry)
    assert after.payload == {"do": "echo"}


def assert_out_of_memory(answer: containers.Answer) -> None:
    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith(
        "Error: Runtime exited with error: signal: killed"
    )
    assert "Status: error\tError Type: Runtime.OutOfMemory" in answer.log


def test_bounds_that_need_no_namespaces_hold_where_none_may_be_made(image: str) -> None:
    """As in docker, whose defaults refuse what the profile beside this file does."""
    options = (f"--security-opt=seccomp={NO_NAMESPACES}",)
    memory = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
    with containers.running(image, options=options, env=memory) as container:
        large = container.invoke({"do": "fill", "file": "/tmp/large", "mb": 700})
        hungry = container.invoke({"do": "take", "mb": 300})
        found = about(container)

    assert large.payload["errorMessage"] == "[Errno 27] File too large"
    assert_out_of_memory(hungry)
    assert found["ids"] == [993, 990]


def test_a_missing_handler_module_is_the_answer(image: str) -> None:
    with containers.running(image, "absent.handler") as container:
        answer = container.invoke({})

        assert container.is_running()
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert answer.payload["errorMessage"] == (
        "Unable to import module 'absent': No module named 'absent'"
    )


def test_a_module_that_cannot_be_imported_is_the_answer(image: str) -> None:
    with containers.running(image, "broken.handler") as container:
        answer = container.invoke({})

    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'missing'" in answer.payload["errorMessage"]


def test_a_wrapper_may_give_the_interpreter_options(image: str) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}
    with containers.running(image, env=variables) as container:
        wrapped = about(container)["variables"]["WRAPPED"]
        logs = container.logs()[0]

    assert wrapped == "/var/lang/bin/python3.11 -P /var/runtime/bootstrap.py"
    assert "import time:" in logs


@pytest.mark.parametrize(
    ("wrapper", "why"),
    [("/opt/none", "does not exist"), ("/opt/no-wrapper", "is not executable")],
)
def test_a_wrapper_that_cannot_be_run_is_named(image: str, wrapper: str, why: str) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": wrapper}
    with containers.running(image, env=variables) as container:
        answer = container.invoke({})
        logs = container.logs()[0]

    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert f"AWS_LAMBDA_EXEC_WRAPPER: {wrapper}: {why}" in logs


def test_sigterm_ends_it_and_tells_who_waits(image: str) -> None:
    with (
        containers.running(image, lambda_like=True) as container,
        ThreadPoolExecutor() as executor,
    ):
        call = executor.submit(container.invoke, {"do": "sleep"})
        wait_until(lambda: "sleeping" in container.logs()[0], "the function's call")
        status = container.stop()
        answer = call.exception(timeout=30)

    assert status == 0
    assert "The emulator is shutting down" in str(answer)


def test_sigterm_ends_it_while_it_starts(image: str) -> None:
    with containers.started(image) as container:
        assert container.stop() == 0


@pytest.mark.parametrize("user", ["12345:12345", "0:0", "1000"])
def test_any_user_will_do(image: str, user: str) -> None:
    options = ("--user", user, "--cap-drop=all", "--security-opt=no-new-privileges", "--read-only")
    with containers.running(image, options=options) as container:
        assert container.invoke({"do": "write", "file": "/tmp/file"}).payload == "written"


def test_nobody_is_disturbed_by_an_extension(function: Container) -> None:
    function.invoke({"do": "echo"})

    assert "Extension" not in "".join(function.logs())
