"""`rie run`: its options, and the Settings that they, the variables and AWS's defaults make.

The function's process gets the documented variables only: credentials and region, and what
`--env`, `--env-file` and `--pass-env` name. What else Lambda sets is the worker's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rie.core.limits import MAX_ENVIRONMENT
from rie.options import (
    BadValueError,
    Option,
    Reading,
    UsageError,
    address,
    boolean,
    choice,
    read,
    seconds,
    text,
    whole_number,
)
from rie.settings import CHOICES, Settings, SettingsError
from rie.worker.variables import CREDENTIALS, reserved_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

USAGE = "rie run [OPTION]... [--] [COMMAND [ARG]...]"
ABOUT = """\
Run a Lambda function on this machine as AWS Lambda runs it: COMMAND is the
function's runtime, for example `rie run -- python -m bootstrap app.handler`.
Without COMMAND, the first file named bootstrap in the task root, /var/task,
/opt and /var/runtime is run. Options end at COMMAND. Each option is also a
variable; the command line wins."""


# 2^32 - 1 is no user: to the kernel it means that nothing is to change.
MOST_ID = 2**32 - 2


def assignment(value: str) -> tuple[str, str]:
    """Take NAME=VALUE; the value may hold anything, `=` too."""
    name, equals, content = value.partition("=")
    if not equals:
        raise BadValueError("must be NAME=VALUE")
    if "\0" in content:
        raise BadValueError("holds a zero byte, which no variable can")
    return variable_name(name), content


def variable_name(value: str) -> str:
    """Take the name of a variable that a user may set."""
    if not value.isidentifier() or not value.isascii():
        raise BadValueError("must name a variable in letters, digits and underscores")
    if reserved_in({value: ""}):
        raise BadValueError("is set by Lambda; it has an option of its own or is not yours to set")
    return value


def identity(value: str) -> tuple[int, int]:
    """Take UID, UID:GID, or names; the group is the user's own where it is not said."""
    import grp  # noqa: PLC0415 - only where it is asked for
    import pwd  # noqa: PLC0415 - as above

    user, colon, group = value.partition(":")
    if not user or (colon and not group) or ":" in group:
        raise BadValueError("must be UID or UID:GID")
    if any(each.isdecimal() and int(each) > MOST_ID for each in (user, group)):
        raise BadValueError(f"must be numbers up to {MOST_ID}")
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if not user.isdecimal() or not group:
            raise BadValueError("names no user of this machine") from None
    else:
        user, group = str(entry.pw_uid), group or str(entry.pw_gid)
    try:
        return int(user), int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise BadValueError("names no group of this machine") from None


log_level = choice(
    *CHOICES["log_level"],
    warn="warning",
    trace="debug",
    fatal="error",
    panic="error",
)

OPTIONS: tuple[Option, ...] = (
    Option(
        name="handler",
        parse=text,
        metavar="NAME",
        help="The function's handler, told to the runtime as _HANDLER.",
        default="last word of COMMAND, where that has two or more",
        group="Function",
    ),
    Option(
        name="function-name",
        parse=text,
        metavar="NAME",
        help="The function's name, in its ARN and in the URL that it is called by.",
        default="named after the task root",
        group="Function",
    ),
    Option(
        name="function-version",
        parse=text,
        metavar="VERSION",
        help="The version that is run.",
        default="$LATEST",
        group="Function",
    ),
    Option(
        name="timeout",
        parse=seconds,
        metavar="SECONDS",
        help="How long one invocation may take, at most 900.",
        default="3",
        group="Function",
    ),
    Option(
        name="memory-size",
        parse=whole_number,
        metavar="MB",
        help="The function's memory, from 128 to 10240.",
        default="128",
        group="Function",
    ),
    Option(
        name="region",
        parse=text,
        metavar="REGION",
        help="The region that the function believes to be in.",
        default="us-east-1",
        group="Function",
        variables=("AWS_REGION", "AWS_DEFAULT_REGION"),
    ),
    Option(
        name="account-id",
        parse=text,
        metavar="DIGITS",
        help="The account in the function's ARN, 12 digits.",
        default="123456789012",
        group="Function",
    ),
    Option(
        name="task-root",
        parse=text,
        metavar="DIR",
        help="The function's code: its working folder and LAMBDA_TASK_ROOT.",
        default="the current folder",
        group="Function",
    ),
    Option(
        name="code",
        parse=text,
        metavar="FILE",
        help="The function's code as a deployment package, a zip file, in the task root's place; "
        "unpacked once and kept.",
        group="Function",
    ),
    Option(
        name="layer",
        parse=text,
        metavar="FILE",
        help="A layer, a zip file or a folder, that the function finds in /opt; at most 5, of "
        "which a later one wins. In RIE_LAYER, separated by colons.",
        group="Function",
        repeatable=True,
        separator=":",
    ),
    Option(
        name="env",
        parse=assignment,
        metavar="NAME=VALUE",
        help="A variable for the function; in RIE_ENV, one to a line.",
        group="Function",
        repeatable=True,
    ),
    Option(
        name="env-file",
        parse=text,
        metavar="FILE",
        help="A file of NAME=VALUE lines for the function; # starts a comment line, quotes "
        "around a value are dropped. In RIE_ENV_FILE, separated by colons.",
        group="Function",
        repeatable=True,
        separator=":",
    ),
    Option(
        name="pass-env",
        parse=variable_name,
        metavar="NAME",
        help="A variable of this shell to hand on to the function. Credentials and region are "
        "handed on anyway, nothing else is. In RIE_PASS_ENV, separated by commas.",
        group="Function",
        repeatable=True,
        separator=",",
    ),
    Option(
        name="init",
        parse=choice(*CHOICES["init"]),
        metavar="WHEN",
        help="Start the function at once (eager) or with its first call (lazy).",
        default="eager",
        group="Execution environments",
    ),
    Option(
        name="init-timeout",
        parse=seconds,
        metavar="SECONDS",
        help="How long the init phase may take before it is tried again inside the first call.",
        default="10",
        group="Execution environments",
    ),
    Option(
        name="environments",
        parse=whole_number,
        metavar="N",
        help="How many execution environments may run at once; they start as calls need them.",
        default="1",
        group="Execution environments",
    ),
    Option(
        name="on-busy",
        parse=choice(*CHOICES["on_busy"]),
        metavar="HOW",
        help="A call that finds all of them busy is kept for later (wait) or refused with 429 "
        "(throttle).",
        default="wait",
        group="Execution environments",
    ),
    Option(
        name="idle-timeout",
        parse=seconds,
        metavar="SECONDS",
        help="End an environment that has had no call for so long.",
        default="never",
        group="Execution environments",
    ),
    Option(
        name="max-lifetime",
        parse=seconds,
        metavar="SECONDS",
        help="End an environment of this age, between calls.",
        default="never",
        group="Execution environments",
    ),
    Option(
        name="tmp-size",
        parse=whole_number,
        metavar="MB",
        help="The size of the function's own /tmp, from 512 to 10240.",
        default="512",
        group="Bounds",
    ),
    Option(
        name="writable",
        parse=boolean,
        switch=True,
        help="Let the function write to files outside of /tmp, as far as its user may.",
        default="no, as on AWS",
        group="Bounds",
    ),
    Option(
        name="user",
        parse=identity,
        metavar="UID[:GID]",
        help="Who the function runs as.",
        default="993:990, Lambda's own, where started as root and where that user can read "
        "what it needs",
        group="Bounds",
    ),
    Option(
        name="network",
        parse=choice(*CHOICES["network"]),
        metavar="KIND",
        help="This machine's network (host), or one of its own (isolated) in which nothing but "
        "its Runtime API answers, at 127.0.0.1:9001.",
        default="host",
        group="Bounds",
    ),
    Option(
        name="egress",
        parse=boolean,
        switch=True,
        help="Let a function with an isolated network reach the outside.",
        default="yes",
        group="Bounds",
    ),
    Option(
        name="cpu-scaling",
        parse=boolean,
        switch=True,
        help="Give the function a processor's time for each 1,769 MB of memory, as AWS does.",
        default="no",
        group="Bounds",
    ),
    Option(
        name="freeze",
        parse=boolean,
        switch=True,
        help="Stop everything in an environment between invocations, as AWS does.",
        default="no",
        group="Bounds",
    ),
    Option(
        name="sandbox",
        parse=boolean,
        switch=True,
        help="Hold environments to Lambda's bounds, as far as this machine can: memory, /tmp, "
        "read-only files, descriptors, processes. `rie doctor` says how far. Without, they are "
        "processes like any others.",
        default="yes",
        group="Bounds",
    ),
    Option(
        name="listen",
        parse=address,
        metavar="HOST:PORT",
        help="Where the Invoke API answers; port 0 is one that is free.",
        default="127.0.0.1:8080",
        group="Addresses",
    ),
    Option(
        name="runtime-api",
        parse=address,
        metavar="HOST:PORT",
        help="Where the first environment's Runtime API answers.",
        default="127.0.0.1, a port that is free",
        group="Addresses",
    ),
    Option(
        name="ready-file",
        parse=text,
        metavar="FILE",
        help='Write {"invoke_api": URL, "pid": N} to this file once calls can be taken.',
        group="Addresses",
    ),
    Option(
        name="forward-content-type",
        parse=boolean,
        switch=True,
        help="Tell the runtime the caller's Content-Type instead of application/json.",
        default="no",
        group="Addresses",
    ),
    Option(
        name="log-format",
        parse=choice(*CHOICES["log_format"]),
        metavar="FORMAT",
        help="The function's log on stdout: Text or JSON.",
        default="Text",
        group="Logs",
    ),
    Option(
        name="application-log-level",
        parse=choice(*CHOICES["application_log_level"]),
        metavar="LEVEL",
        help="Least of TRACE, DEBUG, INFO, WARN, ERROR, FATAL that the function logs; JSON only.",
        default="INFO",
        group="Logs",
    ),
    Option(
        name="system-log-level",
        parse=choice(*CHOICES["system_log_level"]),
        metavar="LEVEL",
        help="Least of DEBUG, INFO, WARN that Lambda itself logs; JSON only.",
        default="INFO",
        group="Logs",
    ),
    Option(
        name="log-group",
        parse=text,
        metavar="NAME",
        help="The log group that the function is told.",
        default="/aws/lambda/ and the function's name",
        group="Logs",
    ),
    Option(
        name="log-dir",
        parse=text,
        metavar="DIR",
        help="Keep a file per log stream here as well.",
        group="Logs",
    ),
    Option(
        name="log-level",
        parse=log_level,
        metavar="LEVEL",
        help="Least of debug, info, warning, error in the emulator's own diary, on stderr.",
        default="info",
        group="Logs",
    ),
    Option(
        name="diary-format",
        parse=choice(*CHOICES["diary_format"]),
        metavar="FORMAT",
        help="The diary as console or json; auto is console, in colour on a terminal.",
        default="auto",
        group="Logs",
    ),
)


def rie_run_settings(argv: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Settings:
    """Return what `rie run ARGV...` asks for.

    Raises UsageError or SettingsError, and HelpWanted or VersionWanted.
    """
    reading = read(OPTIONS, argv, environ)
    values = reading.values()
    if "code" in values and "task_root" in values:
        both = f"{reading.given['code'].where} and {reading.given['task_root'].where}"
        raise UsageError(f"{both} are two ways to say where the code is; give one")
    folder = Path(cwd, values.get("task_root", ""))
    if not os.path.isdir(folder):  # noqa: PTH112 - a name that is too long is none either
        raise UsageError(f"{reading.given['task_root'].where} {str(folder)!r} is not a folder")
    chosen = dict(chosen_variables(reading, environ, cwd))
    values["environment"] = credentials(environ) | chosen
    values["notices"] = tuple(_too_large(chosen))
    for name in ("env", "env_file", "pass_env"):
        values.pop(name, None)
    values["task_root"] = folder.resolve()
    if "code" in values:
        values["code"] = Path(cwd, values["code"])
    values["layers"] = tuple(Path(cwd, each) for each in values.pop("layer", ()))
    return settings_from(reading, {"handler": last_word(reading)} | values, cwd)


def settings_from(reading: Reading, values: dict[str, Any], cwd: Path) -> Settings:
    """Make Settings of `values`; an error names the flag or variable that it came from."""
    for name in ("ready_file", "log_dir"):
        if name in values:
            values[name] = Path(cwd, values[name])
    try:
        return Settings(command=reading.positional, **values)
    except SettingsError as error:
        name = "layer" if error.option == "layers" else error.option  # one, and all of them
        flag = f"--{name.replace('_', '-')}"  # a default that clashes with what was given
        given = reading.given.get(name)
        where, value = (given.where, given.text) if given else (flag, error.value)
        if error.value is None:
            value = None
        elif given and isinstance(given.value, bool) and where.startswith("--"):
            value = None  # nobody has typed one
        raise SettingsError(where, value, error.why) from None


def last_word(reading: Reading) -> str | None:
    """Return the handler by convention: the last of two or more words of COMMAND."""
    return reading.positional[-1] if len(reading.positional) > 1 else None


def credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the function gets without being told to."""
    return {name: environ[name] for name in CREDENTIALS if name in environ}


def chosen_variables(
    reading: Reading, environ: Mapping[str, str], cwd: Path
) -> Iterator[tuple[str, str]]:
    """Yield the variables that the function is to get; a later one wins."""
    values = reading.values()
    for name in values.get("env_file", ()):
        yield from read_env_file(Path(cwd, name), reading.given["env_file"].where)
    for name in values.get("pass_env", ()):
        if name in environ:
            yield name, environ[name]
    yield from values.get("env", ())


def _too_large(variables: Mapping[str, str]) -> Iterator[str]:
    size = sum(len(os.fsencode(name + value)) for name, value in variables.items())
    if size > MAX_ENVIRONMENT:
        yield (
            f"the function's variables take {size} bytes, names and values together; "
            f"AWS refuses more than {MAX_ENVIRONMENT}"
        )


def read_env_file(path: Path, where: str) -> Iterator[tuple[str, str]]:
    """Yield the assignments of a file; raises UsageError that names `where` or the line."""
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{where} {str(path)!r} cannot be read: {reason}") from None
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            name, value = assignment(line.strip().removeprefix("export "))
        except BadValueError as error:
            raise UsageError(f"{path}:{number}: {line.strip()!r} {error}") from None
        yield name, _unquoted(value)


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
