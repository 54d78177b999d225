"""The Java image: handlers compiled here, a user's Dockerfile FROM it, run as Lambda would."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from rie.artifacts.images.downloads import download_jars
from rie.artifacts.shipped import shipped
from tests.real.runtimes import require
from tests.support import containers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.containers import Container

pytestmark = pytest.mark.matrix

SOURCES = {
    "Layered.java": """
package layered;

public class Layered {
    public static String name() {
        return "of the layer";
    }
}
""",
    "Handler.java": """
package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

public class Handler implements RequestHandler<Map<String, String>, Object> {
    public Object handleRequest(Map<String, String> event, Context context) {
        try {
            return answer(event, context);
        } catch (java.io.IOException | InterruptedException problem) {
            return problem.toString();
        }
    }

    private Object answer(Map<String, String> event, Context context)
            throws java.io.IOException, InterruptedException {
        switch (event.get("do")) {
            case "about":
                return Map.of(
                        "version", System.getProperty("java.version"),
                        "request", context.getAwsRequestId(),
                        "memory", context.getMemoryLimitInMB(),
                        "heap", Runtime.getRuntime().maxMemory() >> 20,
                        "environment", System.getenv("AWS_EXECUTION_ENV"),
                        "tool", System.getProperty("tool", "none"),
                        "mapped", Files.readString(Path.of("/proc/self/maps")));
            case "fail":
                throw new IllegalStateException("zu klein: 漢");
            case "log":
                context.getLogger().log("from the function");
                return null;
            case "sleep":
                Thread.sleep(600_000);
                return null;
            case "layer":
                return layered.Layered.name();
            case "write":
                Files.writeString(Path.of(event.get("file")), "written");
                return Files.readString(Path.of(event.get("file")));
            default:
                return event;
        }
    }
}
""",
    "Stream.java": """
package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

public class Stream implements RequestStreamHandler {
    public void handleRequest(InputStream event, OutputStream answer, Context context)
            throws IOException {
        event.transferTo(answer);
    }
}
""",
    "Broken.java": """
package example;

public class Broken {
    static {
        if (true) {
            throw new IllegalStateException("broken while loading");
        }
    }

    public String handleRequest(String event) {
        return event;
    }
}
""",
}
DOCKERFILE = """
FROM rie/java:17
COPY layer/ /opt/java/lib/
COPY classes/ ${LAMBDA_TASK_ROOT}/
COPY wrapper /opt/
CMD ["example.Handler::handleRequest"]
"""
WRAPPER = '#!/bin/sh\nexport JAVA_TOOL_OPTIONS=-Dtool=wrapped\nexec "$@"\n'


def compiled(folder: Path) -> None:
    """Compile the handlers into classes/, and what they have of a layer into layer/."""
    require("javac", "jar")
    jars = folder / "jars"
    download_jars(shipped("images") / "java/pom.xml", jars)
    for name, text in SOURCES.items():
        (folder / name).write_text(text)
    javac(folder, "layered", f"{jars}/*", "Layered.java")
    (folder / "layer").mkdir()
    run("jar", "--create", "--file", folder / "layer/layered.jar", "-C", folder / "layered", ".")
    javac(folder, "classes", f"{jars}/*:{folder}/layered", *set(SOURCES) - {"Layered.java"})
    for gone in ("jars", "layered"):
        shutil.rmtree(folder / gone)


def javac(folder: Path, target: str, path: str, *sources: str) -> None:
    files = [folder / source for source in sources]
    run(
        "javac", "--release", "17", "-encoding", "UTF-8", "-d", folder / target, "-cp", path, *files
    )


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("java")
    folder = tmp_path_factory.mktemp("java")
    compiled(folder)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "wrapper").write_text(WRAPPER)
    (folder / "wrapper").chmod(0o755)
    return containers.build(folder)


@pytest.fixture(scope="module")
def function(image: str) -> Iterator[Container]:
    """Run it with Lambda's bounds."""
    variables = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
    with containers.running(image, lambda_like=True, memory=512, env=variables) as container:
        yield container


def test_it_answers_as_lambda_would_run_it(function: Container) -> None:
    answer = function.invoke({"do": "echo", "größe": "漢 😀"})

    assert (answer.payload, answer.function_error) == ({"do": "echo", "größe": "漢 😀"}, None)


def test_the_heap_is_85_percent_of_the_memory(function: Container) -> None:
    about = function.invoke({"do": "about"}).payload

    assert about["version"].startswith("17.")
    assert about["environment"] == "AWS_Lambda_java17"
    assert about["memory"] == 512
    # The collector keeps one of its spaces to itself.
    assert 0.8 * 512 <= about["heap"] <= 0.86 * 512


def test_the_clients_classes_come_out_of_their_archive(function: Container) -> None:
    assert "/var/runtime/lib/runtime.jsa" in function.invoke({"do": "about"}).payload["mapped"]


def test_an_error_of_the_handler_is_the_answer(function: Container) -> None:
    answer = function.invoke({"do": "fail"})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "java.lang.IllegalStateException"
    assert answer.payload["errorMessage"] == "zu klein: 漢"
    assert answer.payload["stackTrace"][0].startswith("example.Handler.answer(Handler.java:")


def test_a_layers_jar_is_on_the_class_path(function: Container) -> None:
    assert function.invoke({"do": "layer"}).payload == "of the layer"


def test_the_context_has_a_logger(function: Container) -> None:
    assert "from the function" in function.invoke({"do": "log"}).log


def test_only_tmp_can_be_written_to(function: Container) -> None:
    assert function.invoke({"do": "write", "file": "/tmp/file"}).payload == "written"
    assert "Read-only" in function.invoke({"do": "write", "file": "/var/task/file"}).payload


def test_a_stream_handler_gets_bytes_and_gives_bytes(image: str) -> None:
    with containers.running(image, "example.Stream", lambda_like=True, memory=512) as container:
        assert container.invoke({"größe": "漢 😀"}).payload == {"größe": "漢 😀"}


def test_tmp_may_forbid_to_execute(image: str) -> None:
    # As docker's --tmpfs does: the client must not load its native part from there.
    options = ["--read-only", "--tmpfs=/tmp:rw,noexec,size=64m"]
    with containers.running(image, options=options) as container:
        assert container.invoke({"do": "echo"}).payload == {"do": "echo"}


def test_a_timeout_is_the_answer_and_the_next_call_is_served(image: str) -> None:
    with containers.running(image, env={"AWS_LAMBDA_FUNCTION_TIMEOUT": "10"}) as container:
        late = container.invoke({"do": "sleep"})
        after = container.invoke({"do": "echo"})

    assert late.payload["errorType"] == "Sandbox.Timedout"
    assert after.payload == {"do": "echo"}


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("example.Broken::handleRequest", "java.lang.ExceptionInInitializerError"),
        ("example.Missing::handleRequest", "java.lang.ClassNotFoundException"),
    ],
)
def test_an_init_error_is_the_answer(image: str, handler: str, error_type: str) -> None:
    with containers.running(image, handler) as container:
        answer = container.invoke({})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == error_type


@pytest.mark.parametrize(
    ("variables", "tool"),
    [
        ({"JAVA_TOOL_OPTIONS": "-Dtool=given"}, "given"),
        ({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}, "wrapped"),
    ],
)
def test_the_jvm_takes_options_from_variable_and_wrapper(
    image: str, variables: dict[str, str], tool: str
) -> None:
    with containers.running(image, env=variables) as container:
        assert container.invoke({"do": "about"}).payload["tool"] == tool


def test_sigterm_ends_it_in_time(image: str) -> None:
    with containers.running(image, lambda_like=True, memory=512) as container:
        container.invoke({"do": "echo"})

        assert container.stop() == 0
