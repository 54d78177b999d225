"""`rie image` with a real engine: what it builds, and how it tries an image."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rie.artifacts.images.building import INPUTS, BaseImages, Order, build, own_architecture
from rie.artifacts.images.recipe import read_recipe
from tests.support import containers
from tests.support.emulator import wait_until

DOCKERFILE = """\
FROM rie/python:3.11
COPY app.py ${LAMBDA_TASK_ROOT}/
CMD ["app.handler"]
"""
APP = """\
import os
import time

def handler(event, context):
    match event.get("do"):
        case "fail":
            raise ValueError("as asked")
        case "wait":
            time.sleep(50)
        case "write":
            with open("/var/task/file", "w") as file:
                file.write("x")
        case "take":
            return len(b"x" * (event["mb"] * 1_000_000))
        case "fill":
            with open("/tmp/file", "wb") as file:
                for _ in range(event["mb"]):
                    file.write(bytes(1_000_000))
    print("handled")
    return {"uid": os.getuid(), "memory": context.memory_limit_in_mb}
"""


def make_folder(folder: Path, dockerfile: str = DOCKERFILE, app: str = APP) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    (folder / "app.py").write_text(app, "utf-8")
    return folder


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("python")
    return containers.build(make_folder(tmp_path_factory.mktemp("images") / "function"))


def containers_of(tag: str) -> list[str]:
    # Not by the filter "ancestor", which in podman 4.3 knows no tags.
    said = containers.engine().call("ps", "--all", "--format", "{{.Names}} {{.Image}}")
    return [line for line in said.splitlines() if line.endswith((f" {tag}", f"/{tag}"))]


@contextmanager
def leaving_nothing(tag: str) -> Iterator[None]:
    """See that no container of this image is left."""
    yield
    assert containers_of(tag) == []


def test_a_function_answers_as_it_would_on_lambda(function: str) -> None:
    with leaving_nothing(function):
        result = containers.rie("image", "test", function, "--memory-size", "256")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"uid": 993, "memory": "256"}
    assert "handled" in result.stderr
    assert "answered" in result.stderr
    assert "after SIGTERM it ended with exit status 0" in result.stderr


def test_a_function_that_fails_gives_status_1_and_its_error(function: str) -> None:
    with leaving_nothing(function):
        result = containers.rie("image", "test", function, "--payload", '{"do": "fail"}')

    assert result.returncode == 1
    assert json.loads(result.stdout)["errorType"] == "ValueError"


def test_a_container_that_runs_out_of_memory_leaves_nothing_where_it_was_started(
    function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # podman's monitor writes a file named oom there.
    monkeypatch.chdir(tmp_path)

    options = ("--memory=128m", "--memory-swap=128m")
    with containers.running(function, options=options) as container:
        answer = container.invoke({"do": "take", "mb": 500})

    assert answer.function_error == "Unhandled"
    assert list(tmp_path.iterdir()) == []


def test_a_function_that_writes_outside_of_tmp_is_told_so(function: str) -> None:
    folder = '{"do": "write"}'

    result = containers.rie("image", "test", function, "--payload", folder)

    assert result.returncode == 1
    assert "Read-only file system" in result.stdout


def test_tmp_holds_what_it_is_to_hold_and_no_more(function: str) -> None:
    fits = containers.rie("image", "test", function, "--payload", '{"do": "fill", "mb": 300}')
    too_much = containers.rie("image", "test", function, "--payload", '{"do": "fill", "mb": 700}')

    assert fits.returncode == 0, fits.stderr
    assert too_much.returncode == 1
    assert "No space left on device" in too_much.stdout


def test_a_handler_is_given_in_place_of_the_images_own(function: str) -> None:
    result = containers.rie("image", "test", function, "--handler", "nowhere.handler")

    assert result.returncode == 1
    assert json.loads(result.stdout)["errorType"] == "Runtime.ImportModuleError"


def test_an_image_that_runs_only_as_root_is_told_so(tmp_path: Path) -> None:
    secret = f"{DOCKERFILE}RUN chmod 700 /var/task\n"
    containers.base("python")
    tag = containers.build(make_folder(tmp_path / "secret", secret))

    with leaving_nothing(tag):
        result = containers.rie("image", "test", tag)

    assert result.returncode == 1
    assert "it runs only as root" in result.stderr


def test_an_image_without_an_emulator_cannot_be_tried(tmp_path: Path) -> None:
    text = 'FROM debian:bookworm-slim\nENTRYPOINT ["true"]\n'
    tag = containers.build(make_folder(tmp_path / "without", text))

    with leaving_nothing(tag):
        result = containers.rie("image", "test", tag)

    assert result.returncode == 2
    assert "ended with exit status 0 before it took calls" in result.stderr


def test_a_start_that_fails_leaves_no_container(tmp_path: Path) -> None:
    text = 'FROM debian:bookworm-slim\nENTRYPOINT ["/no/such/program"]\n'
    tag = containers.build(make_folder(tmp_path / "nothing", text))

    with leaving_nothing(tag):
        result = containers.rie("image", "test", tag)

    assert result.returncode == 2
    assert "/no/such/program" in result.stderr


def test_what_is_no_image_is_named_with_the_way_to_make_one() -> None:
    result = containers.rie("image", "test", "no-such-image:1")

    assert result.returncode == 2
    assert "has no image no-such-image:1: rie image build DIR --tag" in result.stderr


def test_a_step_that_fails_shows_its_last_lines_and_gives_status_1(tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "broken",
        'FROM debian:bookworm-slim\nRUN echo before && exit 3\nCMD ["app.handler"]\n',
    )

    result = containers.rie("image", "build", str(folder))

    assert result.returncode == 1
    assert "before" in result.stderr.splitlines()
    assert "broken:latest: step 2/3: RUN echo before && exit 3" in result.stderr


def test_ctrl_c_ends_the_step_that_runs_and_leaves_no_container(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    folder = make_folder(tmp_path / "slow", f"FROM debian:bookworm-slim\nRUN : {mark}; sleep 600\n")
    command = [sys.executable, "-m", "rie", "image", "build", str(folder)]
    variables = {**containers.variables(), "RIE_ENGINE": containers.engine().name}
    with subprocess.Popen(command, cwd=containers.ROOT, env=variables) as process:
        wait_until(lambda: running_with(mark), "the step")

        process.send_signal(signal.SIGINT)

        assert process.wait(containers.STOP_LIMIT) == 130
    assert not running_with(mark)


def test_a_signal_removes_the_container_that_is_tried(function: str) -> None:
    command = [sys.executable, "-m", "rie", "image", "test", function]
    command += ["--timeout", "60", "--payload", '{"do": "wait"}']
    variables = {**containers.variables(), "RIE_ENGINE": containers.engine().name}
    with (
        leaving_nothing(function),
        subprocess.Popen(command, cwd=containers.ROOT, env=variables) as process,
    ):
        wait_until(lambda: containers_of(function), "a container")

        process.send_signal(signal.SIGTERM)

        assert process.wait(containers.STOP_LIMIT) == 128 + signal.SIGTERM


def running_with(mark: str) -> bool:
    """Whether a process has this in its command line, but for those that build."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words and words.startswith(b"/bin/sh"):
            return True
    return False


SMALL = """\
FROM debian:bookworm-slim AS build
COPY file /file
RUN date +%N >/dev/null && cp /file /copy

FROM scratch
COPY --from=build /copy /copy
"""


def make_base(folder: Path, content: str = "content") -> Path:
    folder.mkdir()
    (folder / "image.toml").write_text(f'tag = "rie-test/{folder.name}:1"\n', "utf-8")
    (folder / "Dockerfile").write_text(SMALL, "utf-8")
    (folder / "file").write_text(content, "utf-8")
    return folder


def make_order(*, cached: bool = True) -> Order:
    engine = containers.engine()
    return Order(engine=engine, architecture=own_architecture(engine), cached=cached)


@contextmanager
def removing(tag: str) -> Iterator[None]:
    try:
        yield
    finally:
        containers.engine().call("rmi", "--force", tag)


def test_the_same_inputs_make_the_same_image(tmp_path: Path) -> None:
    recipe = read_recipe(make_base(tmp_path / secrets.token_hex(4)))
    with removing(recipe.tag):
        first = BaseImages(make_order(cached=False)).of(recipe)
        os.utime(recipe.folder / "file", (1, 1))

        second = BaseImages(make_order(cached=False)).of(recipe)

        assert second.made
        assert second.image.id == first.image.id


def test_a_base_image_is_made_again_only_when_its_inputs_have_changed(tmp_path: Path) -> None:
    recipe = read_recipe(make_base(tmp_path / secrets.token_hex(4)))
    with removing(recipe.tag):
        first = BaseImages(make_order()).of(recipe)

        again = BaseImages(make_order()).of(recipe)
        (recipe.folder / "file").write_text("other content", "utf-8")
        changed = BaseImages(make_order()).of(recipe)

        assert (first.made, again.made, changed.made) == (True, False, True)
        assert again.image == first.image
        assert changed.image.labels[INPUTS] != first.image.labels[INPUTS]


def test_a_build_argument_arrives_in_the_dockerfile(tmp_path: Path) -> None:
    text = "FROM scratch\nARG WHO=nobody\nLABEL who=$WHO\nCOPY app.py /\n"
    folder = make_folder(tmp_path / "labelled", text)
    order = Order(
        engine=containers.engine(),
        architecture=own_architecture(containers.engine()),
        build_args=("WHO=me",),
    )
    tag = f"rie-test/labelled:{secrets.token_hex(4)}"
    with removing(tag):
        built = build(folder, tag, order)

        assert built.image.labels["who"] == "me"
