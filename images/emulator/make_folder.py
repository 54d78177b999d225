"""Makes the folder that carries the emulator into any image: `make_folder.py TARGET`.

What goes in: Debian's interpreter with its standard library, the wheels, the package itself, each
library that these are linked with, the loader that loads them, and a starter in C. Paths inside
are absolute: the folder works at TARGET and takes nothing from the image around it, which may
have another libc or none. The same inputs give the same bytes.

A step of the Dockerfile beside it: runs on Debian, where everything is at hand.
"""

from __future__ import annotations

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


def main(target: Path) -> None:
    """Fill `target`, whose parent is there."""
    libraries = target / "lib"
    standard = libraries / PYTHON
    packages = standard / "site-packages"
    copy(Path(sys.executable).resolve(), target / "bin" / PYTHON)
    put_standard_library(standard)
    for wheel in sorted((HERE / "wheels").glob("*.whl")):
        put_wheel(wheel, packages)
    put_package(HERE / "rie", packages / "rie")
    compile_to(HERE / "start.py", libraries / "start.pyc", seen_as="start.py")
    compile_to(HERE / "ssl.py", standard / "ssl.pyc", seen_as="ssl.py")
    link(target, libraries)
    macros = (f'-DFOLDER="{target}"', f'-DPYTHON="{PYTHON}"')
    build_c(target / "aws-lambda-rie", HERE / "starter.c", macros=macros)
    (target / "rie").symlink_to("aws-lambda-rie")
    settle(target)


def put_standard_library(into: Path) -> None:
    """Compile the modules in Python, copy those in C."""
    left_out = words_of(HERE / "left_out.txt")
    for source in sorted(STDLIB.rglob("*.py")):
        path = source.relative_to(STDLIB)
        if path.parts[0].removesuffix(".py") in left_out or "-packages" in path.parts[0]:
            continue
        if path.parts[0] == "encodings" and path.stem not in ENCODINGS:
            continue
        compile_to(source, into / path.with_suffix(".pyc"), seen_as=f"{PYTHON}/{path}")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for name in sorted(EXTENSIONS):
        copy(STDLIB / "lib-dynload" / f"{name}{suffix}", into / "lib-dynload" / f"{name}{suffix}")


def words_of(file: Path) -> set[str]:
    """Return the words of all lines but comments."""
    lines = file.read_text().splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def put_wheel(wheel: Path, into: Path) -> None:
    """Unpack what runs: modules, compiled, and programs; and the licences."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so") or (name.split("/")[-1] in LICENCES):
                place = into / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(name))
            elif name.endswith(".py") and not name.endswith("_testbase.py"):
                put_code(archive.read(name), into / Path(name).with_suffix(".pyc"), name)


def put_package(source: Path, into: Path) -> None:
    """Compile our own package, in both languages."""
    for each in sorted(source.rglob("*.py")):
        path = each.relative_to(source)
        compile_to(each, into / path.with_suffix(".pyc"), seen_as=f"rie/{path}")
    native = source / "sandbox/native"
    build_c(into / "sandbox/native/launcher", *sorted(native.glob("*.c")))


def compile_to(source: Path, place: Path, seen_as: str) -> None:
    """Compile a module; `seen_as` is what tracebacks call it."""
    put_code(source.read_bytes(), place, seen_as)


def put_code(source: bytes, place: Path, seen_as: str) -> None:
    """Write the bytecode of a module, which is never compared with a source."""
    code = compile(source, seen_as, "exec", dont_inherit=True, optimize=2)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"".join((MAGIC_NUMBER, UNCHECKED, bytes(8), marshal.dumps(code))))


def link(target: Path, libraries: Path) -> None:
    """Bring all libraries along, and have every program look for them there and nowhere else.

    By DT_RPATH, which comes before the LD_LIBRARY_PATH of the image; DT_RUNPATH comes after it.
    """
    interpreter = target / "bin" / PYTHON
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
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(*command: str) -> None:
    """Run a program that has nothing to say."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
