"""The Node.js image: a user's Dockerfile FROM it, run as a user runs it and as Lambda would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import containers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.containers import Container

pytestmark = pytest.mark.matrix

APP = """
const fs = require("fs");
const handlers = {
  echo: (event) => event,
  about: (event, context) => ({
    node: process.version,
    path: process.env.PATH,
    environment: process.env.AWS_EXECUTION_ENV,
    memory: context.memoryLimitInMB,
    uid: process.getuid(),
    cwd: process.cwd(),
    flags: process.execArgv,
  }),
  fail: () => { throw new RangeError("zu klein: 漢"); },
  sleep: () => new Promise((done) => setTimeout(done, 600_000)),
  log: () => console.log("from the function"),
  write: (event) => fs.writeFileSync(event.file, "written") ?? fs.readFileSync(event.file, "utf8"),
  layer: () => [require("both"), require("one")],
};
exports.handler = async (event, context) => handlers[event.do](event, context);
"""
DOCKERFILE = """
FROM rie/node:18
COPY layer/ /opt/
COPY *.js *.mjs ${LAMBDA_TASK_ROOT}/
CMD ["app.handler"]
"""
FILES = {
    "app.js": APP,
    "broken.js": "require('missing');",
    "module.mjs": "export const handler = async (event) => ({ got: event });",
    "layer/nodejs/node_modules/both/index.js": "module.exports = 'of every version';",
    "layer/nodejs/node18/node_modules/both/index.js": "module.exports = 'of this version';",
    "layer/nodejs/node_modules/one/index.js": "module.exports = 'one';",
    "layer/wrapper": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    "wrapped.js": "exports.handler = async () => process.env.WRAPPED ?? 'no';",
}


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("node")
    folder = tmp_path_factory.mktemp("node")
    write(folder, {"Dockerfile": DOCKERFILE, **FILES})
    (folder / "layer/wrapper").chmod(0o755)
    return containers.build(folder)


@pytest.fixture(scope="module")
def function(image: str) -> Iterator[Container]:
    """Run it with Lambda's bounds."""
    with containers.running(image, lambda_like=True, memory=256) as container:
        yield container


def test_it_answers_as_lambda_would_run_it(function: Container) -> None:
    answer = function.invoke({"do": "echo", "größe": "漢 😀"})

    assert (answer.payload, answer.function_error) == ({"do": "echo", "größe": "漢 😀"}, None)


def test_the_handler_finds_the_surroundings_of_awss_image(function: Container) -> None:
    about = function.invoke({"do": "about"}).payload

    assert about["node"].startswith("v18.")
    assert about["path"].startswith("/var/lang/bin:")
    assert about["environment"] == "AWS_Lambda_nodejs18.x"
    assert (about["uid"], about["cwd"]) == (993, "/var/task")
    memory = int(about["memory"])
    assert f"--max-old-space-size={memory * 90 // 100}" in about["flags"]
    assert f"--max-semi-space-size={memory * 5 // 100}" in about["flags"]


def test_an_error_of_the_handler_is_the_answer(function: Container) -> None:
    answer = function.invoke({"do": "fail"})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "RangeError"
    assert answer.payload["errorMessage"] == "zu klein: 漢"
    assert answer.payload["trace"][1].endswith("(/var/task/app.js:14:23)")


def test_layers_are_found_that_of_the_version_first(function: Container) -> None:
    assert function.invoke({"do": "layer"}).payload == ["of this version", "one"]


def test_console_is_in_the_log_with_time_and_request_id(function: Container) -> None:
    log = function.invoke({"do": "log"}).log

    start, line, *_ = log.splitlines()
    request_id = start.split()[2]
    assert line.split("\t")[1:] == [request_id, "INFO", "from the function"]
    assert line in function.logs()[0]


def test_only_tmp_can_be_written_to(function: Container) -> None:
    assert function.invoke({"do": "write", "file": "/tmp/file"}).payload == "written"
    for file in ("/var/task/file", "/opt/file", "/file"):
        error = function.invoke({"do": "write", "file": file}).payload["errorMessage"]
        assert error.startswith("EROFS")


def test_a_timeout_is_the_answer_and_the_next_call_is_served(image: str) -> None:
    with containers.running(image, env={"AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}) as container:
        late = container.invoke({"do": "sleep"})
        after = container.invoke({"do": "echo"})

    assert late.payload["errorType"] == "Sandbox.Timedout"
    assert after.payload == {"do": "echo"}


def test_an_init_error_is_the_answer(image: str) -> None:
    with containers.running(image, "broken.handler") as container:
        answer = container.invoke({})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.ImportModuleError"
    assert "Cannot find module 'missing'" in answer.payload["errorMessage"]


def test_an_es_module_is_a_handler_too(image: str) -> None:
    with containers.running(image, "module.handler", lambda_like=True) as container:
        assert container.invoke({"a": 1}).payload == {"got": {"a": 1}}


@pytest.mark.parametrize(
    ("wrapper", "answer"),
    [("/opt/wrapper", "yes"), ("/opt/none", None), ("/var/task/app.js", None)],
)
def test_a_wrapper_starts_node(image: str, wrapper: str, answer: str | None) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": wrapper}

    with containers.running(image, "wrapped.handler", env=variables) as container:
        payload = container.invoke({}).payload
        logs = "".join(container.logs())

    if answer:
        assert payload == answer
    else:
        assert payload["errorType"] == "Runtime.ExitError"
        assert f"AWS_LAMBDA_EXEC_WRAPPER: {wrapper}: " in logs


def test_sigterm_ends_it_in_the_middle_of_a_call(image: str) -> None:
    with containers.running(image, lambda_like=True) as container:
        container.invoke({"do": "echo"})

        assert container.stop() == 0


def test_json_records_are_taken_as_they_are(image: str) -> None:
    with containers.running(image, env={"AWS_LAMBDA_LOG_FORMAT": "JSON"}) as container:
        container.invoke({"do": "log"})
        lines = container.logs()[0].splitlines()

    records = [json.loads(line) for line in lines if "from the function" in line]
    assert [record["message"] for record in records] == ["from the function"]
