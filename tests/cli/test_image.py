from __future__ import annotations

from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.cli import main
from rie.commands.image_test import test as try_image
from tests.support.fake_engine import FakeEngine, Says, fake_engine

IMAGE = '[{"Id": "12ab", "Architecture": "amd64", "Size": 7000000, "Config": {}}]'


def use(fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIE_ENGINE", raising=False)
    for name, value in fake.environ.items():
        monkeypatch.setenv(name, value)


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text('FROM somebody/else\nCMD ["app.handler"]\n', "utf-8")
    return folder


def test_a_folder_is_built_and_its_image_named_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    step = Says("STEP 1/2: FROM somebody/else")
    use(fake_engine(tmp_path, info=Says("amd64"), image=Says(IMAGE), build=step), monkeypatch)

    status = main(["image", "build", str(make_folder(tmp_path / "function"))])

    assert status == 0
    assert capfd.readouterr() == (
        "function:latest: 7.0 MB\n",
        "function:latest: step 1/2: FROM somebody/else\n",
    )


def test_a_step_that_fails_gives_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failed = Says("STEP 2/2: RUN false", "Error: it failed", status=1)
    use(fake_engine(tmp_path, info=Says("amd64"), build=failed), monkeypatch)

    status = main(["image", "build", "--tag", "a:1", str(make_folder(tmp_path / "function"))])

    assert status == 1
    assert capfd.readouterr().err.splitlines()[-1] == (
        "rie image build: a:1: step 2/2: RUN false: podman: it failed"
    )


def test_steps_are_carried_out_anew_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_engine(tmp_path, info=Says("amd64"), image=Says(IMAGE))
    use(fake, monkeypatch)
    folder = str(make_folder(tmp_path / "function"))

    for options in ([], ["--no-cache"]):
        assert main(["image", "build", *options, folder]) == 0

    asked = ["--no-cache" in call for call in fake.calls if call[0] == "build"]
    assert asked == [False, True]


def test_without_an_engine_nothing_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RIE_ENGINE", raising=False)

    status = main(["image", "build", str(tmp_path)])

    assert status == 2
    assert "neither podman nor docker is installed: install podman" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build"], "name one base image or one folder; see --help"),
        (["build", "a", "b"], "name one base image or one folder; see --help"),
        (["build", "--build-arg", "x", "a"], "--build-arg 'x' must be NAME=VALUE"),
        (["build", "--engine", "lxc", "a"], "--engine 'lxc' must be podman or docker"),
        (["build", "--architecture", "mips", "a"], "must be x86_64 or arm64"),
        (["test"], "name one image; see --help"),
        (["test", "--memory-size", "64", "a"], "--memory-size '64' must be 128 to 10240"),
        (["test", "--timeout", "0", "a"], "--timeout '0' must be 1 to 900"),
        (["test", "--tmp-size", "1", "a"], "--tmp-size '1' must be 512 to 10240"),
        (["test", "--payload", "{bad", "a"], "--payload '{bad' is not JSON: Expecting property"),
        (["push"], "unknown command 'push'; see rie image --help"),
    ],
)
def test_what_makes_no_sense_is_named(
    words: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status = main(["image", *words])

    assert status == 2
    assert message in capfd.readouterr().err


def test_the_variable_chooses_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    use(fake_engine(tmp_path, "podman"), monkeypatch)
    monkeypatch.setenv("RIE_ENGINE", "docker")

    main(["image", "test", "a"])

    assert "docker was asked for and is not installed" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["build", "test"])
def test_each_command_explains_itself(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    status = main(["image", name, "--help"])

    assert status == 0
    assert "--engine podman|docker" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("config", "machine", "message"),
    [
        ("{}", "amd64", "it has neither ENTRYPOINT nor CMD"),
        ('{"Entrypoint": ["/lambda-entrypoint.sh"]}', "amd64", "its CMD has 0 words"),
        ('{"Cmd": ["x"]}', "arm64", "it is made for amd64, to be run on arm64"),
    ],
)
def test_an_image_that_lambda_would_not_take_is_not_run(
    config: str, machine: str, message: str, tmp_path: Path
) -> None:
    fake = fake_engine(tmp_path, info=Says(machine), image=Says(IMAGE.replace("{}", config)))

    with pytest.raises(BuildError, match=message):
        try_image(["a"], fake.environ)

    assert "run" not in {call[0] for call in fake.calls}
