"""`aws-lambda-rie`: the official emulator's command line, variables and defaults.

The four official flags, and beside them every option of `rie run` but those that choose
variables, code and layers: the function gets the whole environment except RIE_*, because
`docker run -e` means the function. An unknown flag is refused; the official emulator would try
to run it as the command, so nothing that worked is lost.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rie.commands.run import OPTIONS as RUN_OPTIONS
from rie.commands.run import last_word, settings_from
from rie.options import Option, boolean, read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rie.settings import Settings

USAGE = "aws-lambda-rie [OPTION]... [COMMAND [ARG]...]"
ABOUT = """\
Takes the official Runtime Interface Emulator's place: COMMAND is the
function's runtime, the last of two or more words is its handler too. Without
COMMAND, the first file named bootstrap in the current folder, /var/task, /opt
and /var/runtime is run. Options end at COMMAND. Each option is also a
variable; the command line wins. The function gets the whole environment except
RIE_*."""

# The last two are an image's own business: its builder copies them to where they belong.
NOT_HERE = ("env", "env-file", "pass-env", "code", "layer")
OFFICIAL: dict[str, dict[str, Any]] = {
    "function-name": {"variables": ("AWS_LAMBDA_FUNCTION_NAME",), "default": "test_function"},
    "function-version": {"variables": ("AWS_LAMBDA_FUNCTION_VERSION",)},
    "handler": {"variables": ("AWS_LAMBDA_FUNCTION_HANDLER",)},
    "timeout": {
        "variables": ("AWS_LAMBDA_FUNCTION_TIMEOUT",),
        "default": "300",
        "help": "How long one invocation may take.",
    },
    "memory-size": {
        "variables": ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE",),
        "default": "3008",
        "help": "The function's memory.",
    },
    "account-id": {"variables": ("AWS_ACCOUNT_ID",), "default": "012345678912"},
    "task-root": {
        "variables": ("LAMBDA_TASK_ROOT",),
        "help": "What LAMBDA_TASK_ROOT says; processes start in the current folder.",
    },
    "listen": {"aliases": ("runtime-interface-emulator-address",), "default": "0.0.0.0:8080"},
    "runtime-api": {"aliases": ("runtime-api-address",), "default": "127.0.0.1:9001"},
    "log-format": {"variables": ("AWS_LAMBDA_LOG_FORMAT",)},
    "application-log-level": {"variables": ("AWS_LAMBDA_LOG_LEVEL",)},
    "log-group": {
        "variables": ("AWS_LAMBDA_LOG_GROUP_NAME",),
        "default": "/aws/lambda/Functions",
    },
    "log-level": {"variables": ("LOG_LEVEL",)},
}
DEFAULTS: dict[str, Any] = {
    "function_name": "test_function",
    "timeout": 300.0,
    "memory_size": 3008,
    "account_id": "012345678912",
    "listen": ("0.0.0.0", 8080),  # noqa: S104 - it lives in containers
    "runtime_api": ("127.0.0.1", 9001),
    "log_group": "/aws/lambda/Functions",
}
INIT_CACHING = Option(
    name="enable-init-caching",
    parse=boolean,
    switch=True,
    help="Accepted for the official emulator's sake; has no effect yet.",
    default="no",
    group="Execution environments",
)
OPTIONS: tuple[Option, ...] = (
    *(
        each._replace(**OFFICIAL.get(each.name, {}))
        for each in RUN_OPTIONS
        if each.name not in NOT_HERE
    ),
    INIT_CACHING,
)


def drop_in_settings(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Settings:
    """Return what `aws-lambda-rie ARGV...` asks for.

    Raises UsageError or SettingsError, and HelpWanted or VersionWanted.
    """
    reading = read(OPTIONS, argv, environ)
    values = reading.values()
    if values.pop("enable_init_caching", False):
        values["notices"] = ("--enable-init-caching has no effect yet",)
    values["task_root"] = Path(cwd, values.get("task_root", ""))
    values["working_directory"] = cwd
    values["environment"] = {k: v for k, v in environ.items() if not k.startswith("RIE_")}
    handler = last_word(reading) or environ.get("_HANDLER") or None
    given = {"drop_in": True, "handler": handler} | values
    return settings_from(reading, DEFAULTS | given, cwd)
