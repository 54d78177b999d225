"""What is asked of each engine for an image, how steps are read, what a Dockerfile is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.images.building import Order, StepFailedError, build, tag_of
from rie.artifacts.images.dockerfile import bases, lineage, stages
from rie.artifacts.images.engine import find
from rie.artifacts.images.function_folder import FunctionFolder
from rie.artifacts.images.steps import Step, step_in
from tests.support.fake_engine import FakeEngine, Says, fake_engine

IMAGE = '[{"Id": "12ab", "Architecture": "amd64", "Size": 7, "Config": {}}]'


def make_folder(folder: Path, dockerfile: str, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_bytes(dockerfile.encode())
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, "utf-8")
    return folder


def findings(folder: Path, dockerfile: str, **files: str) -> list[str]:
    found = FunctionFolder(make_folder(folder, dockerfile, **files), {}).check("x86_64")
    return [f"{each.severity}: {each}" for each in found]


def make_program(folder: Path, content: bytes, mode: int = 0o755) -> Path:
    make_folder(
        folder, 'FROM rie/provided:bookworm\nCOPY bootstrap /var/runtime/\nCMD ["app.handler"]\n'
    )
    (folder / "bootstrap").write_bytes(content)
    (folder / "bootstrap").chmod(mode)
    return folder


def of_program(folder: Path) -> list[str]:
    return [str(each) for each in FunctionFolder(folder, {}).check("x86_64")]


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(11) + machine.to_bytes(2, "little") + bytes(44)


X86_64, ARM64 = 62, 183


def asked_of(fake: FakeEngine, folder: Path, *, cached: bool = True) -> list[str]:
    order = Order(
        engine=find(None, fake.environ),
        architecture="arm64",
        cached=cached,
        build_args=("A=b",),
    )
    build(make_folder(folder, "FROM scratch\n"), "name:1", order)
    return next(call for call in fake.calls if call[0] == "build")


def test_podman_is_asked_for_the_same_bytes(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, info=Says("amd64"), image=Says(IMAGE))

    asked = asked_of(fake, tmp_path / "function", cached=False)

    folder = tmp_path / "function"
    assert asked == [
        *("build", "--format", "oci", "--timestamp", "0", "--network", "host"),
        *("--platform", "linux/arm64", "--no-cache", "--build-arg", "A=b", "--tag", "name:1"),
        *("--file", f"{folder}/Dockerfile", "--", str(folder)),
    ]


def test_buildkit_is_asked_for_the_same_bytes(tmp_path: Path) -> None:
    fake = fake_engine(tmp_path, "docker", version=Says("amd64"), image=Says(IMAGE))

    asked = asked_of(fake, tmp_path / "function")

    assert asked[1:6] == [
        *("--progress", "plain", "--provenance=false"),
        *("--build-arg", "SOURCE_DATE_EPOCH=0"),
    ]


def test_a_docker_without_buildkit_gets_no_options_of_buildkits(tmp_path: Path) -> None:
    fake = fake_engine(
        tmp_path, "docker", version=Says("amd64"), image=Says(IMAGE), buildx=Says(status=1)
    )

    asked = asked_of(fake, tmp_path / "function")

    assert asked[1:3] == ["--platform", "linux/arm64"]


@pytest.mark.parametrize("instruction", ['SHELL ["/bin/bash", "-c"]', "HEALTHCHECK NONE"])
def test_what_only_dockers_format_knows_is_written_in_it(tmp_path: Path, instruction: str) -> None:
    fake = fake_engine(tmp_path, info=Says("amd64"), image=Says(IMAGE))
    order = Order(engine=find(None, fake.environ), architecture="x86_64")

    build(make_folder(tmp_path / "function", f"FROM scratch\n{instruction}\n"), "name:1", order)

    assert ["build", "--format", "docker"] in [call[:3] for call in fake.calls]


def test_a_step_that_fails_is_named_with_the_engines_reason(tmp_path: Path) -> None:
    said = "STEP 1/2: FROM x\nSTEP 2/2: RUN false\nError: exit status 1"
    fake = fake_engine(tmp_path, info=Says("amd64"), build=Says(said, status=1))
    order = Order(engine=find(None, fake.environ), architecture="x86_64")

    with pytest.raises(StepFailedError) as caught:
        build(make_folder(tmp_path / "function", "FROM x\n"), "name:1", order)

    assert str(caught.value) == "name:1: step 2/2: RUN false: podman: exit status 1"
    assert caught.value.last_lines == tuple(said.splitlines())


def test_what_fails_before_any_step_is_no_failed_step(tmp_path: Path) -> None:
    said = Says("Error: tag A: invalid reference format", status=1)
    fake = fake_engine(tmp_path, info=Says("amd64"), build=said)
    order = Order(engine=find(None, fake.environ), architecture="x86_64")

    with pytest.raises(BuildError, match=r"^A: podman: tag A: invalid reference format$") as caught:
        build(make_folder(tmp_path / "function", "FROM x\n"), "A", order)

    assert not isinstance(caught.value, StepFailedError)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("STEP 2/7: RUN  true", Step(2, 7, "RUN true")),
        ("[2/3] STEP 4/5: COPY a b", Step(4, 5, "COPY a b")),
        ("Step 2/7 : RUN true", Step(2, 7, "RUN true")),
        ("#7 [stage-0 3/9] RUN true", Step(3, 9, "RUN true")),
        ("#7 [2/4] COPY a b", Step(2, 4, "COPY a b")),
        ("#7 [internal] load metadata", None),
        ("anything else", None),
    ],
)
def test_steps_are_read_in_the_words_of_each_builder(line: str, step: Step | None) -> None:
    assert step_in(line) == step


def test_an_image_is_named_after_its_folder(tmp_path: Path) -> None:
    assert tag_of(tmp_path / "My Function_2") == "my-function-2:latest"


def test_continued_lines_comments_and_heredocs_are_no_instructions() -> None:
    text = 'FROM a\nRUN one \\\n# a comment\n  two\nRUN <<END\nCMD no\nEND\nCMD ["x"]\n'

    (stage,) = stages(text)

    found = [(each.line, each.name, each.rest) for each in stage.instructions]
    assert found == [(2, "RUN", "one two"), (5, "RUN", "<<END"), (8, "CMD", '["x"]')]


def test_words_may_have_tabs_between_them() -> None:
    (stage,) = stages('FROM\ta\nCMD\t["x"]\n')

    assert stage.base == "a"
    assert [(each.name, each.words) for each in stage.instructions] == [("CMD", ("x",))]


def test_an_argument_before_from_is_filled_in() -> None:
    text = "ARG BASE=a\nFROM ${BASE}:1\n"

    assert [stage.base for stage in stages(text)] == ["a:1"]
    assert [stage.base for stage in stages(text, {"BASE": "b"})] == ["b:1"]


def test_a_stage_has_what_the_stage_it_is_from_has() -> None:
    found = stages("FROM a AS first\nFROM b AS other\nFROM First\nCOPY --from=c /x /x\n")

    assert [stage.base for stage in lineage(found)] == ["First", "a"]
    assert bases(found) == ["a", "b", "c"]


def test_a_folder_without_a_dockerfile_is_told_the_shortest(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="has no Dockerfile; the shortest has three lines"):
        FunctionFolder(tmp_path, {})


def test_what_is_right_has_no_findings(tmp_path: Path) -> None:
    text = 'FROM rie/python:3.11\nCOPY . ./\nCMD ["app.handler"]\n'

    assert findings(tmp_path / "f", text, app_py="") == []


@pytest.mark.parametrize(
    ("rest", "finding"),
    [
        ("", "error: Dockerfile: there is no CMD in its last stage; a Lambda image needs exactly"),
        ("CMD app.handler\n", "error: Dockerfile:2: CMD is in its shell form: it becomes /bin/sh"),
        ("CMD ['app.handler']\n", "error: Dockerfile:2: CMD is not JSON, so that a shell gets it"),
        ('CMD ["app.handler", "x"]\n', "error: Dockerfile:2: CMD has 2 words; a Lambda image"),
        ('CMD [""]\n', "error: Dockerfile:2: CMD names no handler; a Lambda image needs exactly"),
        ('ENTRYPOINT ["x"]\n', "warning: Dockerfile:2: ENTRYPOINT replaces that of the base image"),
        ('CMD ["ap.handler"]\n', "error: Dockerfile:2: the handler ap.handler is in ap.py, and"),
    ],
)
@pytest.mark.parametrize("base", ["rie/python:3.11", "public.ecr.aws/lambda/python:3.11"])
def test_what_the_base_images_entrypoint_would_not_take_is_named(
    tmp_path: Path, base: str, rest: str, finding: str
) -> None:
    found = findings(tmp_path / "f", f"FROM {base}\n{rest}", app_py="")

    assert len(found) == 1
    assert found[0].startswith(finding)


def test_of_an_image_of_somebody_elses_nothing_is_known(tmp_path: Path) -> None:
    assert findings(tmp_path / "f", "FROM somebody/else\n") == []


def test_a_handler_that_a_command_may_make_is_not_missed(tmp_path: Path) -> None:
    text = 'FROM rie/python:3.11\nRUN make app.py\nCMD ["app.handler"]\n'

    assert findings(tmp_path / "f", text) == []


def test_a_handler_of_node_may_be_inside_of_its_module(tmp_path: Path) -> None:
    text = 'FROM rie/node:18\nCOPY . ./\nCMD ["index.inner.handler"]\n'

    assert findings(tmp_path / "f", text, index_mjs="") == []


def test_windows_line_ends_in_a_dockerfile_are_named(tmp_path: Path) -> None:
    text = 'FROM rie/python:3.11\r\nCMD ["app.handler"]\r\n'

    (found,) = findings(tmp_path / "f", text)

    assert found == (
        r"error: Dockerfile: has Windows line ends (CRLF); sed -i 's/\r$//' Dockerfile"
    )


def test_the_base_images_that_it_is_made_from_are_known(tmp_path: Path) -> None:
    text = "FROM rie/provided:bookworm\nCOPY --from=rie/emulator / /\nCOPY --from=x / /\n"

    folder = FunctionFolder(make_folder(tmp_path / "f", text), {})

    assert folder.base_images() == ["provided", "emulator"]


@pytest.mark.parametrize("content", [b"#!/bin/sh\n", elf(X86_64)])
def test_a_bootstrap_that_starts_has_no_findings(tmp_path: Path, content: bytes) -> None:
    assert of_program(make_program(tmp_path / "f", content)) == []


@pytest.mark.parametrize(
    ("content", "mode", "finding"),
    [
        (b"#!/bin/sh\n", 0o644, "bootstrap: is not executable; chmod 755 bootstrap"),
        (b"#!/bin/sh\r\n", 0o755, "bootstrap: has Windows line ends (CRLF); sed"),
        (elf(ARM64), 0o755, "bootstrap: is made for arm64, the image for x86_64; build it"),
        (b"echo\n", 0o755, "bootstrap: is neither a Linux program nor a script"),
    ],
)
def test_a_bootstrap_that_would_not_start_is_named(
    tmp_path: Path, content: bytes, mode: int, finding: str
) -> None:
    (found,) = of_program(make_program(tmp_path / "f", content, mode))

    assert found.startswith(finding)


def test_a_mode_that_the_copy_gives_is_enough(tmp_path: Path) -> None:
    folder = make_program(tmp_path / "f", b"#!/bin/sh\n", 0o644)
    text = (folder / "Dockerfile").read_text("utf-8")
    (folder / "Dockerfile").write_text(text.replace("COPY ", "COPY --chmod=755 "), "utf-8")

    assert of_program(folder) == []


def test_a_mode_that_a_later_command_gives_is_enough(tmp_path: Path) -> None:
    folder = make_program(tmp_path / "f", b"#!/bin/sh\n", 0o644)
    with (folder / "Dockerfile").open("a", encoding="utf-8") as file:
        file.write("RUN chmod +x /var/runtime/bootstrap\n")

    assert of_program(folder) == []


@pytest.mark.parametrize("target", ["$LAMBDA_RUNTIME_DIR", "${LAMBDA_TASK_ROOT}", ".", "/opt"])
def test_a_bootstrap_is_found_below_a_folder_that_is_named_without_a_slash(
    tmp_path: Path, target: str
) -> None:
    folder = make_program(tmp_path / "f", b"#!/bin/sh\n", 0o644)
    text = (folder / "Dockerfile").read_text("utf-8")
    (folder / "Dockerfile").write_text(text.replace("/var/runtime/", target), "utf-8")

    (found,) = of_program(folder)

    assert found.startswith("bootstrap: is not executable")


@pytest.mark.parametrize("to", ["nowhere", "/bin/sh", "../outside"])
def test_a_bootstrap_that_is_a_link_to_no_file_of_the_folder_is_named(
    tmp_path: Path, to: str
) -> None:
    folder = make_program(tmp_path / "f", b"")
    (tmp_path / "outside").write_bytes(b"#!/bin/sh\n")
    (folder / "bootstrap").unlink()
    (folder / "bootstrap").symlink_to(to)

    (found,) = of_program(folder)

    assert found.startswith(f"bootstrap: is a link to {to}, which is no file of the folder")


def test_a_link_in_a_folder_that_is_copied_may_lead_to_a_file_of_the_image(tmp_path: Path) -> None:
    folder = make_program(tmp_path / "f", b"")
    (folder / "bootstrap").unlink()
    (folder / "runtime").mkdir()
    (folder / "runtime" / "bootstrap").symlink_to("/usr/bin/python3.11")
    text = (folder / "Dockerfile").read_text("utf-8")
    (folder / "Dockerfile").write_text(text.replace("COPY bootstrap", "COPY runtime/"), "utf-8")

    assert of_program(folder) == []


def test_a_bootstrap_may_be_a_link_to_another_file_of_the_folder(tmp_path: Path) -> None:
    folder = make_program(tmp_path / "f", b"")
    (folder / "bootstrap").rename(folder / "program")
    (folder / "program").write_bytes(b"#!/bin/sh\n")
    (folder / "bootstrap").symlink_to("program")

    assert of_program(folder) == []


def test_an_image_for_a_bootstrap_that_is_nowhere_is_told_so(tmp_path: Path) -> None:
    folder = make_program(tmp_path / "f", b"")
    (folder / "bootstrap").unlink()

    (found,) = of_program(folder)

    assert "this base image runs bootstrap, and that is nowhere in the folder" in found
