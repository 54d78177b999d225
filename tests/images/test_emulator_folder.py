"""The folder that carries the emulator: it works in an image that has nothing else in it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rie.artifacts.images.recipe import recipe_of
from rie.version import __version__
from tests.real.runtimes import require
from tests.support import containers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.containers import Container

ROOT = Path(__file__).parents[2]
FOLDER = "/usr/local/lib/rie"
SOURCE = ROOT / "examples/runtimes/c"

# An image without a libc, a shell or so much as a /tmp; its variables are of another world.
DOCKERFILE = f"""
FROM scratch
COPY --from=rie/emulator:latest / /
COPY files/ /
WORKDIR /var/task
ENV _HANDLER=hello.echo LANG=tlh_QO.UTF-8 TZ=Antarctica/Troll \\
    LD_LIBRARY_PATH=/opt/lib LD_PRELOAD=/opt/lib/jemalloc.so GLIBC_TUNABLES=glibc.malloc.check=9 \\
    PYTHONHOME=/none PYTHONPATH=/var/task PYTHONOPTIMIZE=no
ENTRYPOINT ["{FOLDER}/aws-lambda-rie"]
CMD ["/var/task/bootstrap"]
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    require("gcc")
    containers.base("emulator")
    folder = tmp_path_factory.mktemp("scratch")
    files = folder / "files"
    for name in ("var/task", "opt/lib"):
        (files / name).mkdir(parents=True)
    (files / "opt/lib/jemalloc.so").write_text("of a libc that is not there\n")
    (files / "var/task/os.py").write_text("raise SystemExit('the user\\'s own')\n")
    program = str(files / "var/task/bootstrap")
    sources = map(str, sorted(SOURCE.glob("*.c")))
    subprocess.run(["gcc", "-O2", "-static", "-o", program, *sources], check=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return containers.build(folder)


@pytest.fixture(scope="module")
def function(image: str) -> Iterator[Container]:
    with containers.running(image) as container:
        yield container


def test_it_serves_a_static_program_where_there_is_nothing_else(function: Container) -> None:
    assert function.invoke({"größe": "漢"}).payload == {"größe": "漢"}


def test_it_is_not_disturbed_by_variables_for_the_function(function: Container) -> None:
    _, diary = function.logs()

    assert "listening" in diary
    assert "ld.so" not in diary
    assert "locale" not in diary


def test_it_needs_no_tmp_where_none_can_be_made(image: str) -> None:
    engine = containers.engine()
    read_only = ["--read-only", *(["--read-only-tmpfs=false"] if engine.name == "podman" else [])]

    with containers.running(image, options=read_only) as container:
        assert container.invoke("echo").payload == "echo"
        diary = container.logs()[1]

    assert "there is no /tmp" in diary


def test_it_says_its_version_there() -> None:
    version = run("--version")

    assert (version.returncode, version.stdout) == (0, f"rie {__version__}\n")


def test_it_examines_the_bounds_there(image: str) -> None:
    with containers.running(image) as container:
        features = json.loads(container.run(f"{FOLDER}/rie", "doctor", "--json"))

    assert features


def test_commands_that_it_lacks_the_packages_for_say_so() -> None:
    result = run("invoke", program="rie")

    assert result.returncode == 2
    assert result.stderr == (
        "rie: the emulator that images carry has no httpx, which this command needs: "
        "run it on your machine\n"
    )


def test_an_unknown_option_is_refused_as_anywhere() -> None:
    result = run("--nonsense")

    assert result.returncode == 2
    assert "unknown option" in result.stderr


def test_its_packages_are_those_of_the_lock() -> None:
    lock = blocks(ROOT / "requirements.lock")
    pinned = blocks(recipe_of("emulator").folder / "requirements.txt")

    assert sorted(pinned) == ["httptools", "orjson", "structlog", "uvloop"]
    assert pinned == {name: lock[name] for name in pinned}


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["emulator", "provided", "python"])
def test_the_same_inputs_give_the_same_bytes(name: str) -> None:
    ids = []
    for _ in range(2):
        result = containers.rie("image", "build", "--no-cache", name)
        assert result.returncode == 0, result.stderr
        tag = recipe_of(name).tag
        ids.append(containers.engine().call("image", "inspect", "--format", "{{.Id}}", tag))

    assert ids[0] == ids[1]


def blocks(requirements: Path) -> dict[str, str]:
    """Read a file of requirements: by name what is pinned, with its hashes."""
    found = re.findall(
        r"^([\w.-]+)(==[^\n]*(?:\n    --hash=[^\n]*)+)", requirements.read_text(), re.MULTILINE
    )
    return dict(found)


def run(*arguments: str, program: str = "aws-lambda-rie") -> subprocess.CompletedProcess[str]:
    engine = containers.engine()
    command = [str(engine.program), "run", "--rm", f"--entrypoint={FOLDER}/{program}"]
    return subprocess.run(
        [*command, containers.base("emulator"), *arguments],
        env=dict(engine.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
