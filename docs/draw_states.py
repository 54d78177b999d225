# ruff: noqa: INP001 - a script beside its page, no package
"""Draws docs/states.md from the tables in rie/core/states.py.

python docs/draw_states.py           write the page
python docs/draw_states.py --check   fail when the page is not what the tables say
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from rie.core.states import (  # noqa: E402
    PHASES,
    RUNTIME,
    WANTED,
    Phase,
    RuntimeCall,
    RuntimeState,
    Turn,
)

PAGE = ROOT / "docs" / "states.md"
COMMAND = "python docs/draw_states.py"

HEAD = f"""\
<!-- Drawn by `{COMMAND}` from rie/core/states.py. Do not edit. -->
# States

Two tables say what may happen in an execution environment: one for the runtime's dialogue
with the Runtime API, one for the environment as a whole. What is not in a table is refused
and changes nothing.
"""

RUNTIME_TEXT = """\
## The runtime

Each call of the runtime moves it. `SendInvocation` is the environment's own step: it answers a
parked `/next`; `body complete` is the end of the body whose head was the `/response` or `/error`.
The caller has its answer then; the environment takes the next invocation only after another
`/next`. A `/next` in Running gives the same event again, because a runtime that asks twice has
lost the first reply.
"""

REFUSED_TEXT = """\
A call that has no place in a state gets status 403 and error type `InvalidStateTransition`, with
the message

> State transition from *state* to *wanted* failed for runtime.
> Error: State transition is not allowed

where *state* is the row and *wanted* the cell. `✓` means that the call is allowed. A `/response`
or `/error` is held against the id in its path before its state: an id that is not the running
invocation's is a 400 `InvalidRequestID`, that of one which was cut off by its timeout a 410
`InvokeTimeout`.
"""

PHASE_TEXT = """\
## The environment

`failed` is a deadline that passed, the exit of the runtime, or an error at its start. The
processes are killed then, /tmp and the log stream stay, and the environment is cold: the next
invocation begins with an init of its own, which counts towards its duration and its timeout
(AWS calls this suppressed init). An environment whose runtime ended while it was idle may be
given an invocation while the remains are cleared away; it begins when it is cold.
"""

PHASE_NAMES = {
    Phase.CREATED: "nothing has been started",
    Phase.INIT: "the runtime starts; ends with its first `/next`",
    Phase.READY: "waits for an invocation",
    Phase.INVOKE: "runs an invocation, an init before it where there are no processes",
    Phase.RESETTING: "its processes are being killed",
    Phase.COLD: "waits for an invocation, without processes",
    Phase.SHUTDOWN: "its processes are being killed for good",
    Phase.ENDED: "nothing is left",
}

TURN_NAMES = {Turn.FAILED: "failed"}


def page() -> str:
    """Draw the whole page."""
    parts = [
        HEAD,
        RUNTIME_TEXT,
        _diagram(_edges(RUNTIME), RuntimeState.STARTED, last=()),
        REFUSED_TEXT,
        _refusals(),
        PHASE_TEXT,
        _diagram(_edges(PHASES, TURN_NAMES), Phase.CREATED, last=(Phase.ENDED,)),
        _phases(),
    ]
    return "\n".join(parts)


Edge = tuple[str, str, str]


def _edges(
    table: dict[RuntimeState, dict[RuntimeCall, RuntimeState]] | dict[Phase, dict[Turn, Phase]],
    names: dict[Turn, str] | None = None,
) -> Iterator[Edge]:
    for state, row in table.items():
        for cause, target in row.items():
            name = (names or {}).get(cause, cause.value) if isinstance(cause, Turn) else cause.value
            yield state.value, target.value, name


def _diagram(edges: Iterable[Edge], first: Enum, last: Iterable[Enum]) -> str:
    """Draw a Mermaid diagram; what leads from one state to the same other is one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for source, target, name in edges:
        arrows.setdefault((source, target), []).append(name)
    lines = [f"    [*] --> {first.value}"]
    lines += [f"    {a} --> {b}: {' or '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in last]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def _refusals() -> str:
    # The other two are steps of the environment, not calls that could be refused.
    calls = [c for c in RuntimeCall if c not in {RuntimeCall.INVOKED, RuntimeCall.SENT}]
    rows = [
        [state.value, *("✓" if call in RUNTIME[state] else WANTED[call].value for call in calls)]
        for state in RuntimeState
    ]
    return _table(["state", *(f"`{call.value}`" for call in calls)], rows)


def _phases() -> str:
    rows = [
        [
            phase.value,
            PHASE_NAMES[phase],
            ", ".join(f"{turn.value} → {target.value}" for turn, target in PHASES[phase].items()),
        ]
        for phase in Phase
    ]
    return _table(["phase", "what it does", "what leads on"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Write or check the page; return the exit code."""
    if "--check" in sys.argv[1:]:
        fresh = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
        if not fresh:
            sys.stderr.write(f"docs/states.md is stale; renew it with: {COMMAND}\n")
        return 0 if fresh else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
