from __future__ import annotations

from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.images.engine import Engine, EngineError, find
from rie.artifacts.images.engine_errors import remedy_for
from tests.support.fake_engine import Says, fake_engine

IMAGE = """[{"Id": "sha256:12ab", "Architecture": "amd64", "Size": 7,
 "Config": {"Labels": {"a": "b"}, "Entrypoint": ["/e"], "Cmd": ["app.handler"],
            "Env": ["LANG=C", "EQUAL=a=b"]}}]"""


def test_podman_is_taken_before_docker(tmp_path: Path) -> None:
    fake_engine(tmp_path, "docker")
    environ = fake_engine(tmp_path, "podman").environ

    assert find(None, environ).name == "podman"


def test_docker_is_taken_where_there_is_no_podman(tmp_path: Path) -> None:
    assert find(None, fake_engine(tmp_path, "docker").environ).name == "docker"


def test_the_engine_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    fake_engine(tmp_path, "docker")
    environ = fake_engine(tmp_path, "podman").environ

    assert find("docker", environ).name == "docker"


def test_without_an_engine_it_is_said_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="neither podman nor docker is installed: install podman"):
        find(None, {"PATH": str(tmp_path)})


def test_an_engine_that_is_asked_for_and_is_not_there_is_named(tmp_path: Path) -> None:
    environ = fake_engine(tmp_path, "podman").environ

    with pytest.raises(BuildError, match="docker was asked for and is not installed"):
        find("docker", environ)


def test_an_engine_that_does_not_work_is_quoted_with_the_remedy(tmp_path: Path) -> None:
    complaint = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    fake = fake_engine(tmp_path, "docker", version=Says(stderr=complaint, status=1))

    with pytest.raises(EngineError) as caught:
        find(None, fake.environ).architecture()

    assert str(caught.value) == (
        f"docker: {complaint}; start it (systemctl start docker), or use --engine podman"
    )


@pytest.mark.parametrize(
    ("complaint", "remedy"),
    [
        ("runc: setrlimit `RLIMIT_NOFILE`: Operation not permitted", "default_ulimits"),
        ("crun: cgroups in hybrid mode not supported", 'runtime = "runc"'),
        ("netavark: No such file or directory", "install netavark and iptables"),
        ("sd-bus call: Permission denied", 'cgroup_manager = "cgroupfs"'),
        ("dial tcp: lookup somewhere on 10.0.0.1:53: no such host", "no registry in reach"),
        ("exec /bin/sh: exec format error", "qemu-user-static"),
        ('COPY <<END /x": copier: stat: "/<<END": no such file or directory', "knows no heredocs"),
        ("write /layer.tar: no space left on device", "make room"),
        ('short-name "rie/own" did not resolve to an alias', "build it first"),
    ],
)
def test_what_machines_are_known_to_fail_with_has_a_remedy(complaint: str, remedy: str) -> None:
    assert remedy in remedy_for(complaint)


def test_what_is_not_known_has_none() -> None:
    assert remedy_for("the moon is full") == ""


def test_the_last_line_of_a_complaint_is_the_reason(tmp_path: Path) -> None:
    complaint = "STEP 1/2: FROM x\nError: the reason\n\n"
    fake = fake_engine(tmp_path, info=Says(stderr=complaint, status=125))

    with pytest.raises(EngineError, match=r"^podman: the reason$"):
        find(None, fake.environ).architecture()


def test_a_call_that_hangs_is_ended(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, info=Says(hangs=True))

    with pytest.raises(EngineError, match=r"podman info was ended: it took more than 0\.5 s"):
        find(None, fake.environ).call("info", limit=0.5)


def test_a_build_that_hangs_is_ended_and_its_lines_have_come(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, build=Says(stdout="STEP 1/2: FROM x", hangs=True))
    lines: list[str] = []

    with pytest.raises(EngineError, match="podman build was ended"):
        find(None, fake.environ).follow("build", line=lines.append, limit=2)

    assert lines[0] == "STEP 1/2: FROM x"


def test_an_engine_that_is_killed_is_not_quoted_with_its_last_line(tmp_path: Path) -> None:
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho 'STEP 1/2: FROM x'\nkill -9 $$\n", "utf-8")
    program.chmod(0o755)
    engine = Engine("podman", program)

    with pytest.raises(EngineError, match=r"^podman was killed by signal 9$"):
        engine.follow("build", line=lambda _: None)
    with pytest.raises(EngineError, match=r"^podman was killed by signal 9$"):
        engine.call("info")


@pytest.mark.parametrize("said", ["no json", "[]"])
def test_an_engine_that_tells_of_an_image_what_nobody_understands_is_named(
    tmp_path: Path, said: str
) -> None:
    fake = fake_engine(tmp_path, image=Says(stdout=said))

    with pytest.raises(EngineError, match="podman told nothing of the image"):
        find(None, fake.environ).image("x")


def test_lines_come_without_the_colours_of_the_old_builder(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, build=Says("\x1b[91mE: no\x1b[0m"))
    lines: list[str] = []

    find(None, fake.environ).follow("build", line=lines.append)

    assert lines[0] == "E: no"


def test_an_image_is_told_as_the_engine_knows_it(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, image=Says(stdout=IMAGE))

    image = find(None, fake.environ).image("name")

    assert image is not None
    assert (image.id, image.architecture, image.size) == ("12ab", "amd64", 7)
    assert (image.entrypoint, image.command) == (("/e",), ("app.handler",))
    assert image.variables == {"LANG": "C", "EQUAL": "a=b"}


@pytest.mark.parametrize("complaint", ["Error: x: image not known", "Error: No such image: x"])
def test_an_image_that_is_not_there_is_none(tmp_path: Path, complaint: str) -> None:
    fake = fake_engine(tmp_path, image=Says(stderr=complaint, status=1))

    assert find(None, fake.environ).image("x") is None


def test_an_engine_that_fails_to_look_for_an_image_says_so(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, image=Says(stderr="Error: storage is broken", status=125))

    with pytest.raises(EngineError, match="storage is broken"):
        find(None, fake.environ).image("x")


def test_it_runs_with_the_variables_that_it_was_found_with(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path)
    engine = Engine("podman", fake.program, {"PATH": "", "ONLY": "this"})

    engine.call("info")

    assert fake.calls == [["info"]]
