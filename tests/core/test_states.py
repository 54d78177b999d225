from __future__ import annotations

from itertools import product

import pytest

from rie.core.errors import InvalidPhaseTransition, InvalidStateTransition
from rie.core.states import (
    PHASES,
    RUNTIME,
    WANTED,
    Phase,
    RuntimeCall,
    RuntimeState,
    Turn,
    moved,
    turned,
)

S, C = RuntimeState, RuntimeCall
P, T = Phase, Turn

# Written out again, apart from the tables: a change has to be meant twice.
MOVES = {
    (S.STARTED, C.NEXT): S.READY,
    (S.STARTED, C.INIT_ERROR): S.INIT_ERROR,
    (S.READY, C.NEXT): S.READY,
    (S.READY, C.INVOKED): S.RUNNING,
    (S.RUNNING, C.NEXT): S.RUNNING,
    (S.RUNNING, C.RESPONSE): S.RESPONDING,
    (S.RUNNING, C.ERROR): S.ERRING,
    (S.RESPONDING, C.SENT): S.RESPONDED,
    (S.ERRING, C.SENT): S.RESPONDED,
    (S.RESPONDED, C.NEXT): S.READY,
}

TURNS = {
    (P.CREATED, T.START): P.INIT,
    (P.CREATED, T.RETIRE): P.SHUTDOWN,
    (P.INIT, T.ALL_READY): P.READY,
    (P.INIT, T.FAILED): P.RESETTING,
    (P.INIT, T.RETIRE): P.SHUTDOWN,
    (P.READY, T.INVOKE): P.INVOKE,
    (P.READY, T.FAILED): P.RESETTING,
    (P.READY, T.RETIRE): P.SHUTDOWN,
    (P.INVOKE, T.ALL_READY): P.READY,
    (P.INVOKE, T.FAILED): P.RESETTING,
    (P.INVOKE, T.RETIRE): P.SHUTDOWN,
    (P.RESETTING, T.KILLED): P.COLD,
    (P.RESETTING, T.RETIRE): P.SHUTDOWN,
    (P.COLD, T.INVOKE): P.INVOKE,
    (P.COLD, T.RETIRE): P.SHUTDOWN,
    (P.SHUTDOWN, T.KILLED): P.ENDED,
}

WANTED_NAMES = {
    C.NEXT: "Ready",
    C.INIT_ERROR: "InitError",
    C.INVOKED: "Running",
    C.RESPONSE: "InvocationResponse",
    C.ERROR: "InvocationErrorResponse",
    C.SENT: "RuntimeResponseSentState",
}


def sentence(state: str, wanted: str) -> str:
    return (
        f"State transition from {state} to {wanted} failed for runtime. "
        "Error: State transition is not allowed"
    )


@pytest.mark.parametrize(("state", "call"), list(product(S, C)))
def test_a_call_moves_the_runtime_by_the_table_or_is_refused_naming_both_states(
    state: RuntimeState, call: RuntimeCall
) -> None:
    if (state, call) in MOVES:
        assert moved(state, call) is MOVES[state, call]
        return

    with pytest.raises(InvalidStateTransition) as refused:
        moved(state, call)

    assert refused.value.message == sentence(state.value, WANTED_NAMES[call])
    assert (refused.value.status, refused.value.error_type) == (403, "InvalidStateTransition")


@pytest.mark.parametrize(("phase", "turn"), list(product(P, T)))
def test_an_environment_turns_by_the_table_or_not_at_all(phase: Phase, turn: Turn) -> None:
    if (phase, turn) in TURNS:
        assert turned(phase, turn) is TURNS[phase, turn]
        return

    with pytest.raises(InvalidPhaseTransition, match=f"{phase.value}.*{turn.value}"):
        turned(phase, turn)


def test_the_second_response_is_refused_in_the_official_emulator_s_words() -> None:
    with pytest.raises(InvalidStateTransition) as refused:
        moved(S.RESPONDED, C.RESPONSE)

    assert str(refused.value) == (
        "State transition from RuntimeResponseSentState to InvocationResponse failed for "
        "runtime. Error: State transition is not allowed"
    )


def test_every_state_and_every_call_has_its_place_in_the_tables() -> None:
    assert set(RUNTIME) == set(RuntimeState)
    assert set(WANTED) == set(RuntimeCall)
    assert set(PHASES) == set(Phase)


def test_every_state_can_be_reached_from_the_first() -> None:
    assert {S.STARTED, *MOVES.values()} == set(RuntimeState)
    assert {P.CREATED, *TURNS.values()} == set(Phase)
