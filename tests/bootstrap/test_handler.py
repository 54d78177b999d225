"""Which handler a name means, and what is said when it means none."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
from awslambdaric.bootstrap import _get_handler
from awslambdaric.lambda_runtime_exception import FaultException

import bootstrap
from bootstrap.errors import ErrorReport, Fault
from bootstrap.handler import EventLoop, load, make_way_for_user_module
from tests.bootstrap.scripted import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

APP = """
def handler(event, context):
    return "function"

class Greeter:
    def __init__(self): self.word = "method"
    def greet(self, event, context): return self.word
    @staticmethod
    def static(event, context): return "static"
    @classmethod
    def of_class(cls, event, context): return cls.__name__
    def __call__(self, event, context): return "instance"

class Louder(Greeter):
    class Inner:
        pass

instance = Greeter()
number = 3
"""


@pytest.fixture
def task_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


def write(task_root: Path, path: str, text: str = APP) -> None:
    file = task_root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("kit_app.handler", "function"),
        ("kit_app.instance", "instance"),
        ("kit_app.Greeter.greet", "method"),
        ("kit_app.Louder.greet", "method"),
        ("kit_app.Greeter.static", "static"),
        ("kit_app.Louder.of_class", "Louder"),
    ],
)
def test_a_name_means_a_function_an_instance_or_a_method(
    task_root: Path, name: str, result: str
) -> None:
    write(task_root, "kit_app.py")

    assert load(name)({}, None) == result


@pytest.mark.parametrize("name", ["kit_pkg/sub/mod.handler", "kit_pkg.sub.mod.handler"])
def test_a_module_in_packages_is_named_with_dots_or_slashes(task_root: Path, name: str) -> None:
    write(task_root, "kit_pkg/sub/mod.py")

    assert load(name)({}, None) == "function"


@pytest.mark.parametrize(
    ("name", "error_type", "message"),
    [
        (
            "nohandler",
            "Runtime.MalformedHandlerName",
            "Bad handler 'nohandler': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "",
            "Runtime.MalformedHandlerName",
            "Bad handler '': not enough values to unpack (expected 2, got 1)",
        ),
        (
            "kit_none.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'kit_none': No module named 'kit_none'",
        ),
        (
            "kit_pkg/kit_none.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'kit_pkg/kit_none': No module named 'kit_pkg'",
        ),
        (
            "kit_app.missing",
            "Runtime.HandlerNotFound",
            "Handler 'missing' missing on module 'kit_app'",
        ),
        (
            "kit_app.Greeter.missing",
            "Runtime.HandlerNotFound",
            "Handler 'missing' missing on module 'kit_app.Greeter'",
        ),
        (
            "kit_app.number.real",
            "Runtime.ImportModuleError",
            (
                "Unable to import module 'kit_app.number': "
                "No module named 'kit_app.number'; 'kit_app' is not a package"
            ),
        ),
        (
            "kit_needs.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'kit_needs': No module named 'kit_none'",
        ),
        (
            "sys.exit",
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module sys as a handler module",
        ),
    ],
)
def test_a_name_that_means_nothing_is_a_fault_in_the_official_words(
    task_root: Path, name: str, error_type: str, message: str
) -> None:
    write(task_root, "kit_app.py")
    write(task_root, "kit_needs.py", "import kit_none")

    with pytest.raises(Fault) as ours:
        load(name)

    assert (ours.value.error_type, ours.value.message) == (error_type, message)
    if "Greeter" not in name:  # methods of classes are ours alone
        with pytest.raises(FaultException) as theirs:
            _get_handler(name)
        assert (theirs.value.exception_type, theirs.value.msg) == (error_type, message)


@pytest.mark.parametrize(
    "name", ["..", ".handler", "kit_app.", "../x.handler", "./kit_app.handler"]
)
def test_a_relative_or_empty_name_is_malformed(task_root: Path, name: str) -> None:
    # The official client ends these with a ValueError or TypeError of the import system.
    write(task_root, "kit_app.py")

    with pytest.raises(Fault, match="Bad handler") as raised:
        load(name)

    assert raised.value.error_type == "Runtime.MalformedHandlerName"


def test_a_syntax_error_shows_its_line(task_root: Path) -> None:
    write(task_root, "kit_synt.py", "def handler(e,c)\n  pass\n")

    with pytest.raises(Fault) as raised:
        load("kit_synt.handler")

    path = task_root / "kit_synt.py"
    assert raised.value.error_type == "Runtime.UserCodeSyntaxError"
    assert raised.value.message.startswith("Syntax error in module 'kit_synt': ")
    assert raised.value.trace == (f'  File "{path}" Line 1\n    def handler(e,c)\n',)


def test_an_error_at_import_is_shown_without_the_import_system(task_root: Path) -> None:
    write(task_root, "kit_raises.py", "def f():\n    1 / 0\nf()\n")

    with pytest.raises(ZeroDivisionError) as raised:
        load("kit_raises.handler")
    trace = raised.value.__traceback__
    assert trace is not None
    report = ErrorReport(raised.value.with_traceback(trace.tb_next))

    assert [entry.splitlines()[0].strip() for entry in report.stack_trace] == [
        f'File "{task_root}/kit_raises.py", line 3, in <module>',
        f'File "{task_root}/kit_raises.py", line 2, in f',
    ]


def test_async_handlers_share_one_event_loop() -> None:
    loop = EventLoop()
    seen = []

    async def handler(event: object, _context: object) -> object:
        await asyncio.sleep(0)
        seen.append(asyncio.get_running_loop())
        return event

    loop.prepare(handler)

    assert [loop.call(handler, n, None) for n in (1, 2)] == [1, 2]
    assert seen[0] is seen[1]
    loop.close()
    loop.close()


def test_any_awaitable_is_awaited() -> None:
    loop = EventLoop()

    class Later:
        def __await__(self) -> Generator[object, None, int]:
            yield from asyncio.sleep(0).__await__()
            return 7

    loop.prepare(Later)

    assert loop.call(lambda _event, _context: Later(), None, None) == 7
    loop.close()


def test_a_sync_handler_needs_no_event_loop() -> None:
    loop = EventLoop()

    loop.prepare(load)

    assert loop.call(lambda event, _context: event, 1, None) == 1
    assert loop._loop is None


def test_a_user_module_of_our_name_is_what_is_imported(task_root: Path) -> None:
    write(task_root, "bootstrap.py")

    make_way_for_user_module(str(task_root), "bootstrap.handler")

    assert load("bootstrap.handler")({}, None) == "function"
    assert sys.modules["bootstrap"] is not bootstrap


def test_a_handler_in_a_folder_of_our_name_is_found(task_root: Path) -> None:
    write(task_root, "bootstrap/app.py")

    make_way_for_user_module(str(task_root), "bootstrap/app.handler")

    assert load("bootstrap/app.handler")({}, None) == "function"


@pytest.mark.parametrize("path", ["bootstrap/style.css", "app.py"])
def test_without_a_user_module_of_our_name_we_stay(task_root: Path, path: str) -> None:
    write(task_root, path)

    make_way_for_user_module(str(task_root), "app.handler")

    assert sys.modules["bootstrap"] is bootstrap


def test_where_the_task_root_holds_this_very_package_we_stay() -> None:
    make_way_for_user_module(str(REPOSITORY), "bootstrap.handler")

    assert sys.modules["bootstrap"] is bootstrap
