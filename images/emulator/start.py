"""What the starter (starter.c) has the interpreter run: the program of rie that is named first.

The emulator is to be there when the function is, and most of a start is importing: so modules
come out of one file, whose index tells where each is, and what dataclasses would compile is in it
compiled. make_folder.py writes both.
"""

import gc
import marshal
import os
import sys
from _thread import RLock

HERE = __file__.rpartition("/")[0]
STANDARD = f"{HERE}/python{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = f"{STANDARD}/site-packages"
ASIDE = "RIE_ASIDE_"
EXIT_USAGE = 2

# Objects made before the collector looks for garbage; there are many in a start, and none is any.
THRESHOLD = 100_000

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    Place = tuple[str, int, int]  # of a module: its path, where its code begins, how long it is
else:
    ModuleSpec = type(sys.__spec__)  # importlib.machinery is yet to be found


class Modules:
    """Finds modules by the index, and loads them. Those in C are found in their folders."""

    def __init__(self, code: str, index: str) -> None:
        self._code = code
        with open(index, "rb") as file:  # noqa: PTH123 - pathlib is a module yet to be imported
            found = marshal.load(file)  # noqa: S302 - our own
        self._modules, self._generated, self._deferred = found

    def find_spec(self, name: str, *_: object) -> "ModuleSpec | None":
        """Say where a module is; None where it is none of ours."""
        found = self._modules.get(name)
        if found is None:
            return None
        place, _, _ = found
        spec = ModuleSpec(name, self, origin=f"{HERE}/{place}")  # type: ignore[arg-type]
        spec.has_location = True
        if place.endswith("/__init__.pyc"):
            spec.submodule_search_locations = [f"{HERE}/{place}".rpartition("/")[0]]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """Leave it to the import system."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code, or do so when it is first asked for something."""
        place = self._modules[module.__name__]
        if module.__name__ in self._deferred:
            module.__getattr__ = Deferred(self, module, place)  # type: ignore[method-assign]
        else:
            self.run(place, module.__dict__)

    def run(self, place: "Place", scope: dict[str, object]) -> None:
        """Run a module's code there."""
        _, offset, size = place
        exec(self._load(offset, size), scope)  # noqa: S102 - that is what importing is

    def execute(self, source: str, *scopes: dict[str, object]) -> None:
        """Do as exec, with what was compiled ahead."""
        found = self._generated.get(source)
        exec(self._load(*found) if found else source, *scopes)  # noqa: S102 - as above

    def _load(self, offset: int, size: int) -> "CodeType":
        # Not kept open: it could be one of the first three, where those are closed.
        file = os.open(self._code, os.O_RDONLY | os.O_CLOEXEC)
        code: CodeType = marshal.loads(os.pread(file, size, offset))  # noqa: S302 - our own
        os.close(file)
        return code


class Deferred:
    """What a module that is not loaded does when it is asked for a name that it lacks."""

    def __init__(self, modules: Modules, module: "ModuleType", place: "Place") -> None:
        self._modules = modules
        self._module = module
        self._place: Place | None = place
        self._lock = RLock()  # others wait until all of it is there

    def __call__(self, name: str) -> object:
        """Load the module, and return what it has of that name. Raises AttributeError."""
        scope = self._module.__dict__
        with self._lock:
            place, self._place = self._place, None
            if place is not None:
                self._modules.run(place, scope)
        if name in scope:
            return scope[name]
        raise AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")


class Signatures:
    """What dataclasses asks inspect for, to put it into docstrings that nobody reads."""

    @staticmethod
    def signature(_: type) -> str:
        """Say nothing."""
        return ""


def main() -> int:
    """Run the program, and return its exit status."""
    gc.set_threshold(THRESHOLD)
    equip(Modules(f"{HERE}/code", f"{HERE}/index"))
    put_back()
    let_signals_in()
    program = sys.argv[0] = sys.argv.pop(1)
    from rie import __main__ as programs  # noqa: PLC0415 - only now can it be found

    try:
        return programs.main() if program == "rie" else programs.drop_in()
    except ModuleNotFoundError as error:
        if (error.name or "rie").partition(".")[0] == "rie":
            raise
        return explain(program, error.name)


def equip(modules: Modules) -> None:
    """Have the import system ask for modules there, before it looks into folders."""
    sys.path[:] = [f"{STANDARD}/lib-dynload"]
    sys.meta_path.insert(2, modules)  # after what is built in
    import dataclasses  # noqa: PLC0415 - as above

    dataclasses.exec = modules.execute  # type: ignore[attr-defined]
    dataclasses.inspect = Signatures  # type: ignore[attr-defined]


def put_back() -> None:
    """Undo what the starter did to variables for the interpreter's sake."""
    for name in [each for each in os.environ if each.startswith(ASIDE)]:
        os.environ[name.removeprefix(ASIDE)] = os.environ.pop(name)


def let_signals_in() -> None:
    """Take those that have come since the starter: nothing has been started that must be ended.

    Later ones are the program's, which has its own handlers. SIGINT has Python's.
    """
    import signal  # noqa: PLC0415 - as above

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # not by an exception: see rie/cli.py
    held = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def explain(program: str, lacking: str | None) -> int:
    """Say why a command does not work here. What it would need has no place in an image."""
    sys.stderr.write(
        f"{program}: the emulator that images carry has no {lacking}, which this command needs: "
        "run it on your machine\n"
    )
    return EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main())
