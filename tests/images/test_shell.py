"""The image with bash and curl: a user's Dockerfile FROM it, run as Lambda would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import containers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.containers import Container

pytestmark = pytest.mark.matrix

HANDLERS = """\
echo_() { printf '%s' "$1"; }
about() { printf '"%s:%s %s %s"' "$(id -u)" "$(id -g)" "$PWD" "${WRAPPED:-bare}"; }
fail() { raise NoLuck 'größer'; }
nap() { sleep 600; }
tool() { printf '"%s"' "$(tool-of-a-layer)"; }
save() { printf '"%s"' "$(echo x 2>&1 >"$(tr -d '"' <<<"$1")" || true)"; }
"""
DOCKERFILE = """
FROM rie/shell:bookworm
COPY layer/ /opt/
COPY *.sh ${LAMBDA_TASK_ROOT}/
CMD ["app.echo_"]
"""
FILES = {
    "app.sh": HANDLERS,
    "layer/bin/tool-of-a-layer": "#!/bin/sh\necho here\n",
    "layer/wrapper": '#!/bin/sh\nexport WRAPPED=wrapped\nexec "$@"\n',
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("shell")
    folder = tmp_path_factory.mktemp("shell")
    for name, text in {"Dockerfile": DOCKERFILE, **FILES}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if name.startswith("layer/") else 0o644)
    return containers.build(folder)


@pytest.fixture
def function(image: str, request: pytest.FixtureRequest) -> Iterator[Container]:
    """Run the handler that the test names, with Lambda's bounds."""
    with containers.running(image, f"app.{request.param}", lambda_like=True) as container:
        yield container


def handler(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("function", [name], indirect=True)


@handler("echo_")
def test_it_answers(function: Container) -> None:
    assert function.invoke({"größe": "漢 😀"}).payload == {"größe": "漢 😀"}


@handler("about")
def test_the_function_is_where_and_who_lambda_has_it(function: Container) -> None:
    assert function.invoke({}).payload == "993:990 /var/task bare"


@handler("fail")
def test_an_error_that_is_raised_is_the_answer(function: Container) -> None:
    answer = function.invoke({})

    assert answer.function_error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("NoLuck", "größer")


@handler("tool")
def test_programs_of_layers_are_found(function: Container) -> None:
    assert function.invoke({}).payload == "here"


@handler("save")
def test_only_tmp_can_be_written_to(function: Container) -> None:
    assert function.invoke("/tmp/file").payload == ""
    assert "Read-only file system" in function.invoke("/var/task/file").payload


@handler("missing")
def test_a_missing_function_is_the_answer(function: Container) -> None:
    assert function.invoke({}).payload["errorType"] == "Runtime.HandlerNotFound"


def test_a_timeout_is_the_answer(image: str) -> None:
    variables = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}
    with containers.running(image, "app.nap", env=variables) as container:
        assert container.invoke({}).payload["errorType"] == "Sandbox.Timedout"


def test_a_wrapper_starts_the_runtime(image: str) -> None:
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}
    with containers.running(image, "app.about", env=variables) as container:
        assert container.invoke({}).payload.endswith(" /var/task wrapped")


def test_sigterm_ends_it(image: str) -> None:
    with containers.running(image, lambda_like=True) as container:
        assert container.stop() == 0
