"""What the function's processes find when they start: variables, folders, addresses.

Source of the variables: developer guide, "Defined runtime environment variables"; the set
and the values as recorded from AWS. Those that point to something not built yet (the
X-Ray daemon, the metadata endpoint) are left out: a variable that points nowhere is worse
than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rie.core.function import FunctionConfiguration

# The user cannot set these: developer guide, "Reserved environment variables".
RESERVED = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_METADATA_API",
        "AWS_LAMBDA_METADATA_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)

# Reserved too, but a local function's credentials are its user's own: they are passed on.
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

RUNTIME_FOLDER = "/var/runtime"

# The user may set these: "Unreserved environment variables".
UNRESERVED = {
    "LANG": "en_US.UTF-8",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
    "/var/task:/var/task/lib:/opt/lib",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "TZ": ":UTC",
}


def reserved_in(environment: Mapping[str, str]) -> list[str]:
    """Name what a user may not set; a leading underscore is Lambda's own mark."""
    return sorted(name for name in environment if name in RESERVED or name.startswith("_"))


def runtime_environment(  # noqa: PLR0913 - each is one fact that the function is told
    function: FunctionConfiguration,
    user: Mapping[str, str],
    *,
    runtime_api: str,
    task_root: Path,
    log_group: str,
    log_stream: str,
    log_format: str,
    log_level: str,
    telemetry_log: int,
) -> dict[str, str]:
    """Put together the variables of a runtime's process.

    `runtime_api` is host:port without a scheme: the official Python and Node clients take
    nothing else. Credentials come from `user`.
    """
    platform = {
        "AWS_DEFAULT_REGION": function.name.region,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
        "AWS_LAMBDA_FUNCTION_NAME": function.name.name,
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": function.name.region,
        "LAMBDA_RUNTIME_DIR": RUNTIME_FOLDER,
        "LAMBDA_TASK_ROOT": str(task_root),
        "PWD": str(task_root),
        # The official clients frame their log records, whole and with their level, to this.
        "_LAMBDA_TELEMETRY_LOG_FD": str(telemetry_log),
    }
    if log_format == "JSON":  # levels exist in JSON only
        platform["AWS_LAMBDA_LOG_LEVEL"] = log_level
    if function.handler:
        platform["_HANDLER"] = function.handler
    allowed = {k: v for k, v in user.items() if k not in RESERVED and not k.startswith("_")}
    return {**UNRESERVED, **allowed, **platform}
