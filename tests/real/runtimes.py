"""The six runtimes that the emulator is tried with: how each is started, and what it needs.

All serve the same kit (functions/): the Python clients share one in Python, the Node.js clients
one in JavaScript, the others have their own.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/real"
FUNCTIONS = Path(__file__).parent / "functions"
EXAMPLES = ROOT / "examples/runtimes"
NODE_CLIENT = CACHE / "node/node_modules/aws-lambda-ric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """`command` lacks its last argument, the handler.

    `broken` is a handler whose module fails to load. `trace` is the field of an error that
    holds the stack trace. `timeout` is the shortest that a start fits into, in seconds: after
    a timeout the environment starts again within the next invocation's own.
    """

    name: str
    command: tuple[str, ...]
    task_root: Path
    kit: str = "kit.handler"
    broken: str = "broken.handler"
    trace: str = "stackTrace"
    timeout: int = 1
    tools: tuple[str, ...] = ()


BOOTSTRAP = Runtime(
    name="bootstrap",
    command=(sys.executable, "-P", "-m", "bootstrap"),
    task_root=FUNCTIONS / "python",
)
PYTHON = Runtime(
    name="awslambdaric",
    command=(sys.executable, "-m", "awslambdaric"),
    task_root=FUNCTIONS / "python",
)
NODE = Runtime(
    name="aws-lambda-ric",
    command=("node", str(NODE_CLIENT / "index.mjs")),
    task_root=FUNCTIONS / "node",
    trace="trace",
    tools=("node", str(NODE_CLIENT / "rapid-client.node")),
)
OUR_NODE = Runtime(
    name="node",
    command=("node", str(ROOT / "images/node/runtime/index.cjs")),
    task_root=FUNCTIONS / "node",
    trace="trace",
    tools=("node",),
)
JAVA = Runtime(
    name="java",
    command=(
        "java",
        # A quick start rather than a quick run.
        *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8"),
        *("-cp", str(CACHE / "java"), "Runtime"),
    ),
    task_root=FUNCTIONS / "java",
    kit="Kit.handler",
    broken="Defective.handler",
    timeout=3,
    tools=("java", "javac"),
)
BASH = Runtime(
    name="bash",
    command=(str(EXAMPLES / "bash/bootstrap"),),
    task_root=FUNCTIONS / "bash",
    tools=("bash", "curl", "jq"),
)
RUNTIMES = (BOOTSTRAP, PYTHON, NODE, OUR_NODE, JAVA, BASH)


def require(*tools: str) -> None:
    """Skip the test when a command or file is missing; in continuous integration fail it."""
    missing = [tool for tool in tools if not shutil.which(tool) and not Path(tool).exists()]
    if not missing:
        return
    reason = f"missing: {', '.join(missing)}; tests/real/setup.sh installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
