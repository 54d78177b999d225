"""What is wrong with the folder of a function before its Dockerfile is built.

A build takes its time, and what it gives would fail only when it is invoked, or on AWS. Base
images are those that come with rie and AWS's own, which share one contract: their entrypoint
takes exactly one argument, the handler. What cannot be told is let pass.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, error, shown, warning
from rie.artifacts.images.dockerfile import Instruction, bases, filled_in, lineage, stages
from rie.artifacts.images.recipe import names, recipe_of
from rie.artifacts.programs import HEAD, Architecture, Binary, Script, Unknown, program

_OFFICIAL = "public.ecr.aws/lambda/"
_VARIABLES = {"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
# Which are folders in the base images: a COPY to one of them puts a file below it.
_FOLDERS = {"/var/task", "/var/runtime", "/opt"}
_WITH_RUNTIME = {"python", "node", "java", "shell"}
_ONE_ARGUMENT = 'a Lambda image needs exactly one argument, the handler: CMD ["app.handler"]'

# Which files a handler app.handler may be in.
_MODULES = {
    "python": ("{}.py", "{}/__init__.py", "{}.so", "{}.*.so"),
    "node": ("{}.js", "{}.mjs", "{}.cjs"),
    "shell": ("{}.sh",),
    "provided": ("bootstrap",),
}


class FunctionFolder:
    """A folder with a Dockerfile."""

    def __init__(self, folder: Path, build_args: Mapping[str, str]) -> None:
        self._folder = folder
        self._text = _read(folder)
        self._stages = stages(self._text, build_args)
        self._chain = lineage(self._stages)
        self._language = _language(self._chain[-1].base) if self._chain else ""

    def base_images(self) -> list[str]:
        """Return the names of the base images of ours that it is made from."""
        return [name for name in map(_own, bases(self._stages)) if name]

    def check(self, architecture: Architecture) -> list[Finding]:
        """Return all that is wrong with it, in the order of the Dockerfile."""
        if "\r\n" in self._text:
            return [_crlf("Dockerfile")]
        if not self._chain:
            return [
                error("Dockerfile", "there is no FROM in it", "begin with: FROM rie/python:3.11")
            ]
        found = [*self._programs(architecture)]
        base = self._chain[-1].base
        if _own(base) or base.startswith(_OFFICIAL):
            found += self._command()
        return found

    def _command(self) -> Iterator[Finding]:
        entrypoint = self._last("ENTRYPOINT")
        if entrypoint is not None:
            yield warning(
                _at(entrypoint),
                "ENTRYPOINT replaces that of the base image, which starts the emulator and "
                "the runtime",
                "leave it out, unless it does so itself",
            )
            return
        command = self._last("CMD")
        if command is None:
            yield error("Dockerfile", "there is no CMD in its last stage", _ONE_ARGUMENT)
        elif command.words is None:
            yield self._shell_form(command)
        elif len(command.words) != 1:
            yield error(_at(command), f"CMD has {len(command.words)} words", _ONE_ARGUMENT)
        elif not command.words[0]:
            yield error(_at(command), "CMD names no handler", _ONE_ARGUMENT)
        else:
            yield from self._handler(command, command.words[0])

    def _shell_form(self, command: Instruction) -> Finding:
        if command.rest.startswith("["):
            return error(_at(command), "CMD is not JSON, so that a shell gets it", _ONE_ARGUMENT)
        return error(
            _at(command), "CMD is in its shell form: it becomes /bin/sh -c ...", _ONE_ARGUMENT
        )

    def _handler(self, command: Instruction, handler: str) -> Iterator[Finding]:
        patterns = _MODULES.get(self._language, ())
        if not patterns or self._is_made_elsewhere():
            return
        module = _module(self._language, handler)
        wanted = [each.format(module) for each in patterns]
        if any(self._has(pattern) for pattern in wanted):
            return
        where, remedy = f"the handler {shown(handler)} is in {shown(wanted[0])}", ", or mend CMD"
        if self._language == "provided":  # whatever the handler is
            where, remedy = "this base image runs bootstrap", ""
        yield error(
            _at(command), f"{where}, and that is nowhere in the folder", f"put it there{remedy}"
        )

    def _is_made_elsewhere(self) -> bool:
        """Whether a file may come from a command, another image or an archive."""
        return any(
            each.name in {"RUN", "ADD", "ONBUILD"} or "from" in each.flags
            for stage in self._chain
            for each in stage.instructions
        )

    def _has(self, pattern: str) -> bool:
        """Whether a file of that name, or path, is anywhere in the folder."""
        files = (path.relative_to(self._folder) for path in self._folder.rglob("*"))
        return any(fnmatch.fnmatch(f"/{file.as_posix()}", f"*/{pattern}") for file in files)

    def _last(self, name: str) -> Instruction | None:
        return next((found for stage in self._chain if (found := stage.last(name))), None)

    def _programs(self, architecture: Architecture) -> Iterator[Finding]:
        """Find what would not start of the programs that Lambda starts itself."""
        ahead = [each for stage in reversed(self._chain) for each in stage.instructions]
        while ahead:
            each = ahead.pop(0)
            if each.name in {"COPY", "ADD"} and "from" not in each.flags:
                given = "chmod" in each.flags or any(_changes_modes(other) for other in ahead)
                for path in self._started(each):
                    yield from _not_started(path, self._folder, architecture, mode_is_given=given)

    def _started(self, copy: Instruction) -> Iterator[Path]:
        """List the files of a COPY that are a bootstrap or an extension in the image."""
        *sources, target = (filled_in(path, _VARIABLES) for path in copy.paths or ("",))
        for source in sources:
            for path in self._matches(source):
                for file in path.rglob("*") if path.is_dir() else [path]:
                    inside = file.relative_to(path) if path.is_dir() else PurePosixPath(path.name)
                    exact = not path.is_dir() and not _is_folder(target)
                    name = target if exact else f"{target}/{inside.as_posix()}"
                    # A link inside of a folder is copied as a link, and may lead to the image's.
                    copied = file == path or _is_file_of(self._folder, file)
                    if copied and self._starts(name):
                        yield file

    def _starts(self, name: str) -> bool:
        """Whether a file of the image, by its path, is one that Lambda starts itself."""
        parts = PurePosixPath("/var/task", name).parts
        if parts[-1] == "bootstrap":
            # Beside a runtime that is there already, it is any file of the function.
            return parts[-2] == "runtime" or self._language not in _WITH_RUNTIME
        return parts[:-1] == ("/", "opt", "extensions")

    def _matches(self, source: str) -> list[Path]:
        inside = posixpath.normpath(source.strip("/") or ".")
        exact = self._folder / inside
        if inside == "." or exact.is_symlink():  # which glob skips if it leads nowhere
            return [exact]
        return sorted(self._folder.glob(inside))


def _module(language: str, handler: str) -> str:
    """Return the file, without its suffix, that a handler is in."""
    folder, slash, name = handler.rpartition("/")
    if language == "node":  # what follows the first dot is inside of the module
        return folder + slash + name.partition(".")[0]
    return folder + slash + (name.rpartition(".")[0] or name).replace(".", "/")


def _is_folder(target: str) -> bool:
    """Whether a COPY of one file puts it below its target, rather than there."""
    return target.endswith(("/", ".")) or posixpath.join("/var/task", target) in _FOLDERS


def _is_file_of(folder: Path, path: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


def _changes_modes(instruction: Instruction) -> bool:
    return instruction.name == "RUN" and "chmod" in instruction.rest


def _not_started(
    path: Path, folder: Path, architecture: Architecture, *, mode_is_given: bool
) -> Iterator[Finding]:
    """Find why a program would not start; `mode_is_given` if the build itself sets its mode."""
    name = path.relative_to(folder).as_posix()
    if not _is_file_of(folder, path):
        yield error(
            name,
            f"is a link to {shown(str(path.readlink()))}, which is no file of the folder",
            "put the program itself in its place",
        )
        return
    with path.open("rb") as file:
        made = program(file.read(HEAD))
    match made:
        case Script(crlf=True):
            yield _crlf(name)
        case Binary(machine) if machine != architecture:
            yield error(
                name,
                f"is made for {machine}, the image for {architecture}",
                f"build it for {architecture}, or give --architecture",
            )
        case Binary() | Script():
            pass
        case Unknown():
            yield error(
                name,
                "is neither a Linux program nor a script with a #! line",
                "write the interpreter into its first line: #!/bin/sh",
            )
    if not path.stat().st_mode & 0o111 and not mode_is_given:
        yield error(name, "is not executable", f"chmod 755 {shown(name)}")


def _read(folder: Path) -> str:
    path = folder / "Dockerfile"
    if not folder.is_dir():
        known = ", ".join(names())
        raise BuildError(f"{shown(str(folder))} is no folder; base images are {known}")
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise BuildError(
            f"{shown(str(folder))} has no Dockerfile; the shortest has three lines: "
            'FROM rie/python:3.11, COPY . ${LAMBDA_TASK_ROOT}, CMD ["app.handler"]'
        ) from None
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from None


def _crlf(name: str) -> Finding:
    return error(name, "has Windows line ends (CRLF)", f"sed -i 's/\\r$//' {shown(name)}")


def _at(instruction: Instruction) -> str:
    return f"Dockerfile:{instruction.line}"


def _own(image: str) -> str:
    """Return the name of the base image of ours that has this tag, "" for any other."""
    plain = image.removeprefix("localhost/").removesuffix(":latest")
    own = {recipe_of(name).tag.removesuffix(":latest"): name for name in names()}
    return own.get(plain, "")


def _language(image: str) -> str:
    if image.startswith(_OFFICIAL):
        return image.removeprefix(_OFFICIAL).partition(":")[0].removesuffix("js")
    return _own(image)
