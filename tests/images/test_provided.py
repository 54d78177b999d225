"""The image without a language, and what all images have from it: layout, entrypoint, emulator.

The function is a runtime in bash (functions/bootstrap), put into the image as a user would.
"""

from __future__ import annotations

import json
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import containers
from tests.support.emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_httpserver import HTTPServer

    from tests.support.containers import Container

BOOTSTRAP = Path(__file__).with_name("functions") / "bootstrap"
DOCKERFILE = """
FROM rie/provided:bookworm
COPY bootstrap ${LAMBDA_RUNTIME_DIR}/
CMD ["function.handler"]
"""
# The variables of the official images, as their Dockerfiles set them.
VARIABLES = {
    "LANG": "en_US.UTF-8",
    "TZ": ":/etc/localtime",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:"
    "/var/task/lib:/opt/lib",
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}
USAGE = "entrypoint requires the handler name to be the first argument\n"

AARCH64 = 0xB7


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("provided")
    folder = tmp_path_factory.mktemp("provided")
    shutil.copy(BOOTSTRAP, folder)
    return built(folder, DOCKERFILE)


@pytest.fixture(scope="module")
def function(image: str) -> Iterator[Container]:
    """Run it with Lambda's bounds."""
    with containers.running(image, lambda_like=True) as container:
        yield container


def built(folder: Path, dockerfile: str) -> str:
    (folder / "Dockerfile").write_text(dockerfile)
    return containers.build(folder)


def inspect(image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(containers.engine().call("image", "inspect", image))
    return found[0]


@contextmanager
def idle() -> Iterator[Container]:
    """Run the image itself, without a function, to look at it."""
    tag = containers.base("provided")
    with containers.started(tag, "600", options=("--entrypoint=/bin/sleep",)) as container:
        yield container


def test_its_configuration_is_that_of_the_official_images() -> None:
    config = inspect(containers.base("provided"))["Config"]

    assert dict(each.split("=", 1) for each in config["Env"]) == VARIABLES
    assert config["Entrypoint"] == ["/lambda-entrypoint.sh"]
    assert config["WorkingDir"] == "/var/task"
    assert not any(config.get(name) for name in ("Cmd", "User", "ExposedPorts", "Volumes"))


def test_it_leaves_the_places_of_functions_and_layers_empty() -> None:
    with idle() as container:
        found = container.run("find", "/opt", "/var/task", "/var/runtime")

    assert found.split() == ["/opt", "/var/task", "/var/runtime"]


def test_nothing_of_its_making_is_left_in_it() -> None:
    places = "/var/lib/apt/lists /var/cache/apt /var/log /etc/machine-id"
    with idle() as container:
        found = container.run("sh", "-c", f"find {places} -type f -size +0 2>/dev/null || true")

    assert not found


def test_it_answers_as_lambda_would_run_it(function: Container) -> None:
    answer = function.invoke({"größe": "漢 😀"})

    assert (answer.payload, answer.function_error) == ({"größe": "漢 😀"}, None)


def test_the_function_finds_the_surroundings_of_awss_image(function: Container) -> None:
    assert function.invoke("about").payload == (
        "993:990 /var/task /var/runtime/bootstrap function.handler en_US.UTF-8 :/etc/localtime"
        " /var/runtime"
    )


def test_the_locale_that_lambda_names_is_there(function: Container) -> None:
    """Perl would say so if it were not."""
    assert function.invoke("perl").payload == "set"


def test_an_exit_is_the_answer_and_the_next_call_is_served(image: str) -> None:
    with containers.running(image) as container:
        ended = container.invoke("exit")
        after = container.invoke("echo")

    assert ended.payload["errorType"] == "Runtime.ExitError"
    assert after.payload == "echo"


def test_a_timeout_is_the_answer_and_the_next_call_is_served(image: str) -> None:
    with containers.running(image, env={"AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}) as container:
        late = container.invoke("sleep")
        after = container.invoke("echo")

    assert late.payload["errorType"] == "Sandbox.Timedout"
    assert after.payload == "echo"


def test_sigterm_ends_it_in_the_middle_of_a_call(image: str) -> None:
    with containers.running(image) as container, ThreadPoolExecutor() as executor:
        call = executor.submit(container.invoke, "sleep")
        wait_until(lambda: "sleeping" in container.logs()[0], "the function's call")
        status = container.stop()

        assert status == 0
        assert "The emulator is shutting down" in str(call.exception(timeout=30))


@pytest.mark.parametrize("arguments", [(), ("one", "two"), ("one", "two", "three")])
def test_exactly_one_argument_is_taken(image: str, arguments: tuple[str, ...]) -> None:
    # An image without CMD, since none of ours would be no argument.
    tag = image if arguments else containers.base("provided")
    with containers.started(tag, *arguments) as container:
        assert container.wait() == 142
        assert container.logs() == ("", USAGE)


def test_where_there_is_a_runtime_api_the_bootstrap_is_run_by_itself(
    image: str, httpserver: HTTPServer
) -> None:
    runtime = "/2018-06-01/runtime/invocation"
    event = httpserver.expect_ordered_request(f"{runtime}/next")
    event.respond_with_json("about", headers={"Lambda-Runtime-Aws-Request-Id": "the-id"})
    answer = httpserver.expect_ordered_request(f"{runtime}/the-id/response", method="POST")
    answer.respond_with_json({"status": "OK"}, status=202)
    api = f"{httpserver.host}:{httpserver.port}"

    with containers.started(
        image, "app.handler", env={"AWS_LAMBDA_RUNTIME_API": api}, options=("--network=host",)
    ):
        wait_until(lambda: len(httpserver.log) >= 2, "the bootstrap's answer")

    assert b"/var/runtime/bootstrap app.handler" in httpserver.log[1][0].get_data()


def test_variables_of_the_container_are_the_functions(image: str) -> None:
    variables = {"GREETING": "guten Tag", "LD_PRELOAD": "/none.so", "MALLOC_ARENA_MAX": "1"}
    with containers.running(image, env={**variables, "PYTHONHOME": "/none"}) as container:
        found = container.invoke("variables").payload.split("|")

    assert {f"{name}={value}" for name, value in variables.items()} <= set(found)
    assert "PYTHONHOME=/none" in found
    assert not [each for each in found if each.startswith("RIE")]


@pytest.mark.parametrize("folder", ["/var/task", "/opt"])
def test_a_bootstrap_in_the_code_or_in_a_layer_is_found_too(folder: str) -> None:
    tag, options = containers.base("provided"), (f"--volume={BOOTSTRAP}:{folder}/bootstrap:ro",)

    with containers.running(tag, "a.handler", options=options) as container:
        assert container.invoke("echo").payload == "echo"


def elf(machine: int) -> bytes:
    """Return the head of a program of some other machine."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44)


@pytest.mark.parametrize(
    ("content", "mode", "message", "hint"),
    [
        (BOOTSTRAP.read_bytes(), 0o644, "permission denied", "is not executable"),
        (b"#!/bin/bash\r\nexit\r\n", 0o755, "no such file or directory", "Windows line ends"),
        (elf(AARCH64), 0o755, "exec format error", "is built for aarch64, this machine is x86_64"),
        (None, 0, "no such file or directory", "does not exist"),
    ],
    ids=["not executable", "CRLF", "of another machine", "missing"],
)
def test_a_bootstrap_that_cannot_be_run_is_named(
    content: bytes | None, mode: int, message: str, hint: str, tmp_path: Path
) -> None:
    options = []
    if content is not None:
        (tmp_path / "bootstrap").write_bytes(content)
        (tmp_path / "bootstrap").chmod(mode)
        options.append(f"--volume={tmp_path}/bootstrap:/var/runtime/bootstrap:ro")

    with containers.running(containers.base("provided"), "a.handler", options=options) as container:
        answers = [container.invoke({}) for _ in range(2)]
        diary = container.logs()[1]

    for answer in answers:
        assert answer.payload["errorType"] == "Runtime.InvalidEntrypoint"
        assert answer.payload["errorMessage"].endswith(f"/var/runtime/bootstrap: {message}")
    assert "/var/runtime/bootstrap" in diary
    assert hint in diary


def test_the_command_line_that_aws_documents_for_go_works(image: str) -> None:
    options = ("--entrypoint=/usr/local/bin/aws-lambda-rie",)
    with containers.running(image, "/var/runtime/bootstrap", options=options) as container:
        assert container.invoke("echo").payload == "echo"
