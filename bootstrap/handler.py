"""Find the user's handler by its name, and call it.

A name is `module.function`, with dots or slashes for packages, or, beyond what AWS's own client
takes, `module.Class.method`. Messages are the official client's (awslambdaric 4.2.2).
"""

from __future__ import annotations

import importlib
import sys

from bootstrap.errors import (
    BAD_HANDLER_NAME,
    BAD_IMPORT,
    BAD_SYNTAX,
    BUILT_IN_MODULE,
    NO_HANDLER,
    Fault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable

    Handler = Callable[[object, object], object]

PACKAGE = "bootstrap"
CO_COROUTINE = 0x80  # the flag of a code object that inspect.iscoroutinefunction looks at


def load(name: str) -> Handler:
    """Import the module of the handler `name` and return the handler.

    Raises Fault, or whatever else the module raises while it is imported.
    """
    try:
        module_name, attribute = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault(BAD_HANDLER_NAME, f"Bad handler '{name}': {error}") from error
    if not (attribute and module_name.strip("./") and module_name[0] not in "./"):
        raise Fault(BAD_HANDLER_NAME, f"Bad handler '{name}': it must be module.function")
    owner = _import(module_name)
    try:
        handler: Handler = getattr(_instance_for(owner, attribute), attribute)
    except AttributeError as error:
        message = f"Handler '{attribute}' missing on module '{module_name}'"
        raise Fault(NO_HANDLER, message) from error
    return handler


def make_way_for_user_module(task_root: str, handler_name: str) -> None:
    """Step out of sys.modules if the user has a module of our own name in the task root.

    The modules of this package go on working: they hold one another, and import nothing more of
    the package by name. A folder without __init__.py counts only if the handler is in it, since
    it may as well hold style sheets.
    """
    from importlib.machinery import PathFinder  # noqa: PLC0415  (runpy has imported it)

    spec = PathFinder.find_spec(PACKAGE, [task_root])
    if spec is None or spec.origin == sys.modules[PACKAGE].__file__:
        return
    is_folder = spec.origin is None
    if is_folder and handler_name.replace("/", ".").partition(".")[0] != PACKAGE:
        return
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(PACKAGE + ".")]:
        del sys.modules[name]
    if is_folder:
        from importlib.util import module_from_spec  # noqa: PLC0415  (as above)

        # Else the import system prefers our package, having an __init__.py, to the user's folder.
        sys.modules[PACKAGE] = module_from_spec(spec)


class EventLoop:
    """The event loop of async handlers: one for all invocations, made when it is needed."""

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: AbstractEventLoop | None = None

    def prepare(self, handler: object) -> None:
        """Make the loop now, in the init phase, if `handler` will want it."""
        function = getattr(handler, "__func__", handler)
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & CO_COROUTINE:
            self._open()

    def call(self, handler: Handler, event: object, context: object) -> object:
        """Return what `handler` returns, or what that comes to when it is awaited."""
        result = handler(event, context)
        if not hasattr(type(result), "__await__"):
            return result
        return self._open().run_until_complete(_complete(result))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the loop, if there is one."""
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _open(self) -> AbstractEventLoop:
        if self._loop is None:
            import asyncio  # noqa: PLC0415  (40 ms, and only for functions that use it)

            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop


async def _complete(result: Awaitable[object]) -> object:
    return await result


def _import(module_name: str) -> object:
    """Return the module, or the class that a dotted name ends with."""
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault(BUILT_IN_MODULE, message)
    dotted = module_name.replace("/", ".")
    try:
        return importlib.import_module(dotted)
    except ImportError as error:
        found = _class_in_module(dotted, error)
        if found is not None:
            return found
        raise Fault(BAD_IMPORT, f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        trace = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault(BAD_SYNTAX, message, (trace,)) from error


def _class_in_module(dotted: str, error: ImportError) -> object:
    """`module.Class`, where `dotted` itself, and nothing that it imports, was not found."""
    if error.name != dotted:
        return None
    parent, _, name = dotted.rpartition(".")
    found = getattr(sys.modules.get(parent), name, None)
    return found if isinstance(found, type) else None


def _instance_for(owner: object, attribute: str) -> object:
    """Return an instance of `owner` if it is a class and the handler an ordinary method."""
    if not isinstance(owner, type):
        return owner
    raw = next((vars(c)[attribute] for c in owner.__mro__ if attribute in vars(c)), None)
    return owner() if hasattr(raw, "__code__") else owner
