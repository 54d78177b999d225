"""Makes the folder that carries the emulator into any image: `make_folder.py TARGET`.

What goes in: Debian's interpreter with its standard library, the wheels, the package itself, each
library that these are linked with, the loader that loads them, and a starter in C. Paths inside
are absolute: the folder works at TARGET and takes nothing from the image around it, which may
have another libc or none. The same inputs give the same bytes.

A step of the Dockerfile beside it: runs on Debian, where everything is at hand.
"""

from __future__ import annotations

import json
import marshal
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path

HERE = Path(__file__).parent
STDLIB = Path(sysconfig.get_path("stdlib"))
PYTHON = f"python3.{sys.version_info.minor}"

# Of the encodings those that Python needs to start, that zip files and host names are in.
ENCODINGS = frozenset(
    {"__init__", "aliases", "ascii", "cp437", "idna", "latin_1", "punycode", "utf_8"}
)
# Of the modules in C those that do not come with libraries of their own.
EXTENSIONS = frozenset(
    {"_asyncio", "_contextvars", "_decimal", "_json", "_queue", "_typing"}
    | {"mmap", "resource", "termios"}
)

LICENCES = ("LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "LICENSE-MPL-2.0", "NOTICE")

# PEP 552: the bytecode has a hash of its source, which is not to be compared with any source.
UNCHECKED = (1).to_bytes(4, "little")

COMPILER_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-s", "-static")


class Code:
    """Modules and other code, put one behind the other; start.py reads it."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._modules: dict[str, tuple[str, int, int]] = {}
        self._generated: dict[str, tuple[int, int]] = {}

    def add(self, place: Path, source: bytes, seen_as: str = "") -> None:
        """Add a module; `place` is where it would be, below the folder of libraries."""
        parts = place.with_suffix("").parts[2 if "site-packages" in place.parts else 1 :]
        name = ".".join(parts).removesuffix(".__init__")
        code = compiled(source, seen_as or str(Path(*parts).with_suffix(".py")))
        self._modules[name] = (str(place.with_suffix(".pyc")), *self._put(code))

    def add_generated(self, source: str) -> None:
        """Add what a module has compiled when it is imported."""
        self._generated[source] = self._put(compiled(source.encode(), "<string>"))

    def write(self, folder: Path) -> None:
        """Write it down, and where each piece is."""
        (folder / "code").write_bytes(self._content)
        found = (self._modules, self._generated, words_of(HERE / "deferred.txt"))
        (folder / "index").write_bytes(marshal.dumps(found))

    def _put(self, code: bytes) -> tuple[int, int]:
        self._content += code
        return len(self._content) - len(code), len(code)


def main(target: Path) -> None:
    """Fill `target`, whose parent is there."""
    libraries = target / "lib"
    packages = libraries / PYTHON / "site-packages"
    interpreter = target / "bin" / PYTHON
    copy(Path(sys.executable).resolve(), interpreter)
    code = Code()
    put_standard_library(code, libraries)
    for wheel in sorted((HERE / "wheels").glob("*.whl")):
        put_wheel(code, wheel, packages)
    put_package(code, HERE / "rie", packages / "rie")
    put_file(libraries / "start.pyc", (HERE / "start.py").read_bytes())
    link(target, interpreter, libraries)
    code.write(libraries)
    foreseen = said(str(interpreter), "-I", "-S", "-B", str(HERE / "foresee.py"), str(libraries))
    for source in json.loads(foreseen):
        code.add_generated(source)
    code.write(libraries)
    macros = (f'-DFOLDER="{target}"', f'-DPYTHON="{PYTHON}"')
    build_c(target / "aws-lambda-rie", HERE / "starter.c", macros=macros)
    (target / "rie").symlink_to("aws-lambda-rie")
    settle(target)


def put_standard_library(code: Code, libraries: Path) -> None:
    """Add the modules in Python, copy those in C; those that a start begins with are files."""
    left_out = words_of(HERE / "left_out.txt")
    for source in sorted(STDLIB.rglob("*.py")):
        path = source.relative_to(STDLIB)
        top = path.parts[0].removesuffix(".py")
        if top in left_out or "-packages" in top:
            continue
        content = source.read_bytes()
        if top in {"encodings", "os"}:  # by the latter the interpreter knows its folder
            if top == "os" or path.stem in ENCODINGS:
                put_file(libraries / PYTHON / path.with_suffix(".pyc"), content)
            continue
        if (HERE / "stand_ins" / path).exists():
            path = path.with_name(f"real_{path.name}")
        code.add(PYTHON / path, content)
    for source in sorted((HERE / "stand_ins").glob("*.py")):
        code.add(Path(PYTHON, source.name), source.read_bytes())
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for name in sorted(EXTENSIONS):
        place = Path("lib-dynload", f"{name}{suffix}")
        copy(STDLIB / place, libraries / PYTHON / place)


def words_of(file: Path) -> set[str]:
    """Return the words of all lines but comments."""
    lines = file.read_text().splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def put_wheel(code: Code, wheel: Path, packages: Path) -> None:
    """Add what runs: modules in Python and in C; and the licences."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so") or (name.split("/")[-1] in LICENCES):
                place = packages / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(name))
            elif name.endswith(".py") and not name.endswith("_testbase.py"):
                code.add(Path(PYTHON, "site-packages", name), archive.read(name))


def put_package(code: Code, source: Path, place: Path) -> None:
    """Add our own package, in both languages."""
    for each in sorted(source.rglob("*.py")):
        path = Path(PYTHON, "site-packages", "rie", each.relative_to(source))
        code.add(path, each.read_bytes())
    native = source / "sandbox/native"
    build_c(place / "sandbox/native/launcher", *sorted(native.glob("*.c")))


def put_file(place: Path, source: bytes) -> None:
    """Write the bytecode of a module, which is never compared with a source."""
    place.parent.mkdir(parents=True, exist_ok=True)
    head = MAGIC_NUMBER + UNCHECKED + bytes(8)
    place.write_bytes(head + compiled(source, place.with_suffix(".py").name))


def compiled(source: bytes, seen_as: str) -> bytes:
    """Compile; tracebacks call it `seen_as`. Nobody reads docstrings here."""
    return marshal.dumps(compile(source, seen_as, "exec", dont_inherit=True, optimize=2))


def link(target: Path, interpreter: Path, libraries: Path) -> None:
    """Bring all libraries along, and have every program look for them there and nowhere else.

    By DT_RPATH, which comes before the LD_LIBRARY_PATH of the image; DT_RUNPATH comes after it.
    """
    programs = [interpreter, *sorted(target.rglob("*.so"))]
    needed = {library for program in programs for library in needs(program)}
    for library in sorted(needed):
        copy(library.resolve(), libraries / library.name)
    loader = Path(said("patchelf", "--print-interpreter", str(interpreter)))
    copy(loader.resolve(), libraries / loader.name)
    run("patchelf", "--set-interpreter", str(libraries / loader.name), str(interpreter))
    for program in programs:
        run("strip", "--strip-unneeded", str(program))  # wheels may have symbols for a debugger
    for program in [*programs, *(libraries / each.name for each in sorted(needed))]:
        if program.name not in {loader.name, "libc.so.6"}:  # which the loader knows by heart
            run("patchelf", "--force-rpath", "--set-rpath", str(libraries), str(program))


def needs(program: Path) -> Iterator[Path]:
    """Yield the libraries that a program is linked with, and those that they are."""
    for line in said("ldd", str(program)).splitlines():
        found = re.search(r"=> (/\S+)", line)
        if found:
            yield Path(found[1])
        elif "not found" in line:
            raise SystemExit(f"{program}: {line.strip()}")


def build_c(program: Path, *sources: Path, macros: tuple[str, ...] = ()) -> None:
    """Compile a static program: it starts at once, in any image."""
    program.parent.mkdir(parents=True, exist_ok=True)
    run("gcc", *COMPILER_FLAGS, *macros, "-o", str(program), *map(str, sources))


def copy(source: Path, place: Path) -> None:
    """Copy a file, not what it is linked to."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)
    place.chmod(0o755)


def settle(target: Path) -> None:
    """Let everybody read, nobody write, and no clock show."""
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        os.utime(path, (0, 0), follow_symlinks=False)


def said(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def run(*command: str) -> None:
    """Run a program that has nothing to say."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
