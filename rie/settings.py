"""What one emulator is asked to be: every choice, checked once, before anything starts.

Settings says what; who asked (command line, variable, test) is rie/options.py's and
rie/commands' business, and `emulator.py` reads it. Nothing here touches a file or a port.
Times are in seconds, sizes in MB. Bounds: AWS's quotas (Lambda developer guide, "Lambda
quotas", and the CreateFunction API); the drop-in keeps to the official emulator, which has none.

Imports stay light: this module is read before the runtime process is started.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_letters, ascii_lowercase, digits
from typing import TYPE_CHECKING, Literal, get_args

from rie.core.assignment import OnBusy
from rie.core.errors import RieError
from rie.core.limits import INIT_TIMEOUT, MAX_LAYERS, MEMORY_RANGE_MB, TIMEOUT_RANGE, TMP_RANGE_MB
from rie.sandbox.wanted import Identity, Network
from rie.telemetry.diary import DiaryFormat, DiaryLevel
from rie.telemetry.lines import Level, SystemLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

Address = tuple[str, int]  # host, port; port 0 lets the kernel choose
Init = Literal["eager", "lazy"]
LogFormat = Literal["Text", "JSON"]

MAX_PORT = 65535

# What names are made of, and their greatest length: CreateFunction, API reference. As sets,
# because compiling patterns would cost the start a millisecond.
_NAME = frozenset(ascii_letters + digits + "_-")
_REGION = frozenset(ascii_lowercase + digits + "-")
_LOG_GROUP = _NAME | frozenset("/.#")
_DIGITS = frozenset(digits)


class SettingsError(RieError):
    """One setting cannot be used: which one, its value (None: it takes none), and why; one line.

    `option` is the field of Settings, or the flag or variable that it came from.
    """

    def __init__(self, option: str, value: object, why: str) -> None:
        self.option = option
        self.value = value
        self.why = why
        super().__init__(f"{option} {why}" if value is None else f"{option} {value!r} {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration of one emulator, with the defaults of `rie run`.

    Raises SettingsError, with the field's name as its option.
    """

    # The function
    command: tuple[str, ...] = ()  # empty: the first `bootstrap` where Lambda looks for one
    handler: str | None = None  # what _HANDLER says; None leaves it unset
    function_name: str = ""  # "" is named after the task root
    function_version: str = "$LATEST"
    timeout: float = 3.0  # AWS takes whole seconds, we also take fractions
    memory_size: int = 128
    region: str = "us-east-1"
    account_id: str = "123456789012"
    task_root: Path = field(default_factory=Path.cwd)  # LAMBDA_TASK_ROOT
    code: Path | None = None  # a deployment package, a zip file, in the task root's place
    layers: tuple[Path, ...] = ()  # zip files or folders for /opt; a later one wins
    working_directory: Path | None = None  # where the processes start; None is the task root
    environment: Mapping[str, str] = field(default_factory=dict)  # given to the function

    # Execution environments
    init: Init = "eager"
    init_timeout: float = INIT_TIMEOUT
    environments: int = 1  # at most this many at once
    on_busy: OnBusy = "wait"
    idle_timeout: float | None = None  # None: kept until the emulator ends
    max_lifetime: float | None = None

    # The bounds of an environment
    sandbox: bool = True  # False: processes of this machine like any others, only watched
    tmp_size: int = 512
    network: Network = "host"
    egress: bool = True  # from an isolated network to the outside
    freeze: bool = False  # everything stands still between invocations
    writable: bool = False  # files outside of /tmp too
    cpu_scaling: bool = False  # processors in proportion to the memory
    user: Identity | None = None  # uid and gid; None: Lambda's, where started as root

    # Addresses
    listen: Address = ("127.0.0.1", 8080)  # the Invoke API
    runtime_api: Address | None = None  # of the first environment; None: a port from the kernel
    ready_file: Path | None = None  # written once calls are taken
    forward_content_type: bool = False  # the caller's Content-Type to the runtime

    # Logs
    log_format: LogFormat = "Text"
    application_log_level: Level = "INFO"  # levels filter in JSON only, as on AWS
    system_log_level: SystemLevel = "INFO"
    log_group: str = ""  # "" is /aws/lambda/<function name>
    log_dir: Path | None = None  # a file per log stream
    log_level: DiaryLevel = "info"
    diary_format: DiaryFormat = "auto"  # auto is console, in colour on a terminal

    drop_in: bool = False  # in the place of the official emulator
    notices: tuple[str, ...] = ()  # for the diary: what was asked for and has no effect

    def __post_init__(self) -> None:
        if not self.function_name:
            name = function_name_from(self.code.with_suffix("") if self.code else self.task_root)
            object.__setattr__(self, "function_name", name)
        if not self.log_group:
            object.__setattr__(self, "log_group", f"/aws/lambda/{self.function_name}")
        self._check_function()
        self._check_quotas()
        self._check_environments()
        self._check_sandbox()
        self._check_addresses()
        for name, choice in CHOICES.items():
            self._require(name, getattr(self, name) in choice, f"must be {one_of(choice)}")

    def _check_function(self) -> None:
        require = self._require
        require("command", "" not in self.command[:1], "must name a program")
        require(
            "function_name",
            _made_of(_NAME, self.function_name, 64),
            "must be 1 to 64 letters, digits, hyphens or underscores",
        )
        require(
            "function_version",
            _made_of(_NAME, self.function_version.removeprefix("$"), 128),
            "must be $LATEST, a version number or an alias",
        )
        require("region", _made_of(_REGION, self.region, 32), "must be like us-east-1")
        require(
            "account_id",
            _made_of(_DIGITS, self.account_id, 12) and len(self.account_id) == 12,  # noqa: PLR2004
            "must be 12 digits",
        )
        require(
            "log_group",
            _made_of(_LOG_GROUP, self.log_group, 512),
            "must be 1 to 512 letters, digits or any of _ - / . #",
        )

    def _check_quotas(self) -> None:
        longest, (least, most) = TIMEOUT_RANGE[1], MEMORY_RANGE_MB
        self._require("timeout", _positive(self.timeout), "must be more than 0 seconds")
        self._require("memory_size", self.memory_size > 0, "must be more than 0 MB")
        if self.drop_in:  # the official emulator has no bounds, and debuggers need long timeouts
            return
        self._require("timeout", self.timeout <= longest, f"must be at most {longest} seconds")
        self._require(
            "memory_size",
            least <= self.memory_size <= most,
            f"must be from {least} to {most} MB",
        )

    def _check_environments(self) -> None:
        self._require("environments", self.environments >= 1, "must be at least 1")
        for name in ("init_timeout", "idle_timeout", "max_lifetime"):
            seconds = getattr(self, name)
            ok = seconds is None or _positive(seconds)
            self._require(name, ok, "must be more than 0 seconds")

    def _check_sandbox(self) -> None:
        count = f"are {len(self.layers)}; a function has at most {MAX_LAYERS}"
        if len(self.layers) > MAX_LAYERS:
            raise SettingsError("layers", None, count)
        least, most = TMP_RANGE_MB
        self._require(
            "tmp_size", least <= self.tmp_size <= most, f"must be from {least} to {most} MB"
        )
        if not self.sandbox:
            for name, default in _BOUNDS.items():
                self._require(
                    name,
                    getattr(self, name) == default,
                    "needs the sandbox; leave out --no-sandbox",
                )
        self._require(
            "egress", self.egress or self.network == "isolated", "needs --network isolated"
        )

    def _check_addresses(self) -> None:
        for name in ("listen", "runtime_api"):
            address = getattr(self, name)
            ok = address is None or (address[0] and 0 <= address[1] <= MAX_PORT)
            self._require(name, bool(ok), f"must be a host and a port from 0 to {MAX_PORT}")
        same = self.runtime_api == self.listen and self.listen[1] != 0
        self._require("runtime_api", not same, "is the Invoke API's address; choose another")

    def _require(self, name: str, holds: bool, why: str) -> None:  # noqa: FBT001 - a condition
        if not holds:
            raise SettingsError(name, getattr(self, name), why)


# What makes no sense without a sandbox.
_BOUNDS: dict[str, object] = {
    "tmp_size": 512,
    "writable": False,
    "network": "host",
    "freeze": False,
    "cpu_scaling": False,
    "user": None,
    "layers": (),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "init": get_args(Init),
    "on_busy": get_args(OnBusy),
    "network": get_args(Network),
    "log_format": get_args(LogFormat),
    "application_log_level": get_args(Level),
    "system_log_level": get_args(SystemLevel),
    "log_level": get_args(DiaryLevel),
    "diary_format": get_args(DiaryFormat),
}


def function_name_from(folder: Path) -> str:
    """Return a name that Lambda would take, after `folder`: `my app` -> `my-app`."""
    name = "".join(each if each in _NAME else "-" for each in folder.name)
    return name.strip("-")[:64] or "function"


def one_of(choice: tuple[str, ...]) -> str:
    """Return the choice as it is said: `a, b or c`."""
    return f"{', '.join(choice[:-1])} or {choice[-1]}"


def _made_of(characters: frozenset[str], text: str, longest: int) -> bool:
    return 1 <= len(text) <= longest and characters.issuperset(text)


def _positive(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds > 0
