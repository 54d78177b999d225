"""How an invocation ends by the rules up to Node.js 22, where there are callbacks.

Expectations are what aws-lambda-ric 3.3.0, AWS's client for those versions, did in the same
place, where no other reason is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.scripted import ACCEPTED, Event, ScriptedApi, finish
from tests.node.played import NODE_24, OURS, THE_END, event, play_ours, start, write
from tests.real.runtimes import OUR_NODE, require

if TYPE_CHECKING:
    from pathlib import Path

HANDLED = {"errorType": "string", "errorMessage": "handled"}
UNWRITABLE = {
    "errorType": "Runtime.JSONStringifyError",
    "errorMessage": "Unable to stringify response body",
}


@pytest.fixture(autouse=True)
def node() -> None:
    require(*OUR_NODE.tools)


def bad(error_type: str, message: str = "bad") -> dict[str, str]:
    return {"errorType": error_type, "errorMessage": message}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("callback(null, 1)", ("response", 1)),
        ("callback(undefined, 1)", ("response", 1)),
        ("callback()", ("response", None)),
        ("callback(new TypeError('bad'))", ("error", bad("TypeError"))),
        ("callback('bad')", ("error", bad("string"))),
        ("callback(null, 1); callback(null, 2); context.succeed(3)", ("response", 1)),
        ("callback(null, 10n)", ("error", UNWRITABLE)),
        ("context.succeed(1); throw new Error('too late')", ("response", 1)),
        ("setTimeout(() => context.succeed('late'), 5)", ("response", "late")),
        ("context.fail(new RangeError('bad'))", ("error", bad("RangeError"))),
        ("context.fail()", ("error", HANDLED)),
        ("context.done(null, 5)", ("response", 5)),
        ("context.done('bad', 5)", ("error", bad("string"))),
        ("throw new RangeError('bad')", ("error", bad("RangeError"))),
        ("return 5", ("response", None)),
        ("return Promise.resolve(5)", ("response", 5)),
        ("return Promise.reject()", ("error", HANDLED)),
        ("return { then: (found) => found(6) }", ("response", 6)),
        ("callback(null, 1); return Promise.resolve(2)", ("response", 1)),
        ("", ("response", None)),
        ("return new Promise(() => {})", ("response", None)),
    ],
)
def test_the_first_that_a_handler_says_counts(
    tmp_path: Path, body: str, answer: tuple[str, object]
) -> None:
    source = f"exports.handler = (event, context, callback) => {{ {body} }};"

    played = play_ours(tmp_path, source, event(), event())

    assert played.answers() == [answer, answer]


LEFT_TO_DO = """
const done = [];
exports.handler = (event, context, callback) => {
  context.callbackWaitsForEmptyEventLoop = event.waits;
  setTimeout(() => done.push('done'), 20);
  callback(null, done);
};
"""


def test_a_callbacks_result_waits_until_nothing_is_left_to_do(tmp_path: Path) -> None:
    played = play_ours(tmp_path, LEFT_TO_DO, event({"waits": True}), event({"waits": True}))

    assert played.answers() == [("response", ["done"]), ("response", ["done", "done"])]


def test_a_callbacks_result_goes_at_once_if_the_context_says_so(tmp_path: Path) -> None:
    played = play_ours(tmp_path, LEFT_TO_DO, event({"waits": False}))

    assert played.answers() == [("response", [])]


def test_a_promises_result_goes_at_once(tmp_path: Path) -> None:
    source = "exports.handler = async () => { setTimeout(() => {}, 600_000); return 1; };"

    played = play_ours(tmp_path, source)

    assert played.answers() == [("response", 1)]


def test_what_was_answered_has_gone_even_if_the_process_exits(tmp_path: Path) -> None:
    source = "exports.handler = (e, context) => { context.succeed('told'); process.exit(4); };"

    played = play_ours(tmp_path, source)

    assert played.answers() == [("response", "told")]
    assert played.ended.code == 4


def test_an_exception_that_nobody_catches_ends_invocation_and_process(tmp_path: Path) -> None:
    source = "exports.handler = () => { setTimeout(() => { throw new RangeError('bad'); }, 5); };"

    played = play_ours(tmp_path, source)

    assert played.answers() == [("error", bad("RangeError"))]
    assert played.ended.code == 129
    ((_, level, message),) = played.records()
    assert (level, message.partition("\t")[0]) == ("ERROR", "Uncaught Exception ")


def test_a_rejection_that_nobody_handles_ends_invocation_and_process(tmp_path: Path) -> None:
    source = "exports.handler = () => { Promise.reject(new RangeError('bad')); };"

    played = play_ours(tmp_path, source)

    error = bad("Runtime.UnhandledPromiseRejection", "RangeError: bad")
    assert played.answers() == [("error", error)]
    assert played.ended.code == 128
    ((_, level, message),) = played.records()
    assert (level, message.partition("\t")[0]) == ("ERROR", "Unhandled Promise Rejection ")


def test_an_exception_after_the_answer_ends_the_process_and_leaves_the_answer(
    tmp_path: Path,
) -> None:
    source = (
        "exports.handler = async () => {"
        " setImmediate(() => { throw new Error('bad'); }); return 1; };"
    )

    played = play_ours(tmp_path, source)

    assert played.answers() == [("response", 1)]
    assert played.ended.code == 129


def test_an_exception_between_invocations_ends_the_process(tmp_path: Path) -> None:
    source = "exports.handler = async () => { setTimeout(() => { throw new Error('bad'); }, 50); };"
    write(tmp_path, {"app.js": source})

    # The second /next stays parked.
    with ScriptedApi(event(), ACCEPTED) as api:
        ended = finish(start(OURS, api, tmp_path, "app.handler"))

    assert [post.path.rpartition("/")[2] for post in api.posts()] == ["response"]
    assert ended.code == 129
    assert "Uncaught Exception" in ended.out


def test_a_module_that_fails_after_it_was_loaded_is_an_init_error(tmp_path: Path) -> None:
    source = "Promise.reject(new Error('bad')); exports.handler = async () => 1;"

    played = play_ours(tmp_path, source)

    error = bad("Runtime.UnhandledPromiseRejection", "Error: bad")
    assert [post.path for post in played.posts] == ["/2018-06-01/runtime/init/error"]
    assert played.answers() == [("error", error)]
    assert played.ended.code == 128


def test_a_module_that_waits_for_ever_is_an_init_error(tmp_path: Path) -> None:
    source = "export const handler = await new Promise(() => {});"

    played = play_ours(tmp_path, source, file="app.mjs")

    # The official client exits without a word.
    error = bad("Runtime.NodeJsExit", "the module's top-level await never came to an end")
    assert played.answers() == [("error", error)]
    assert played.ended.code == 1


def test_without_callbacks_a_promise_that_is_never_settled_is_an_error(tmp_path: Path) -> None:
    source = "exports.handler = () => new Promise(() => {});"

    played = play_ours(tmp_path, source, event(), event(), env=NODE_24)

    # The official client exits without a word.
    message = "nothing is left to do, and the handler's promise has not been settled"
    assert played.answers() == [("error", bad("Runtime.NodeJsExit", message))] * 2


def test_an_event_that_is_not_json_is_an_error_of_its_invocation(tmp_path: Path) -> None:
    broken = Event(b"not json", event().headers)

    played = play_ours(tmp_path, "exports.handler = async () => 1;", broken, event())

    (_, error), after = played.answers()
    assert isinstance(error, dict)
    assert error["errorType"] == "SyntaxError"
    assert after == ("response", 1)


@pytest.mark.parametrize("header", ["Client_Context", "Cognito_Identity"])
def test_a_context_that_is_not_json_is_an_error_of_its_invocation(
    tmp_path: Path, header: str
) -> None:
    broken = event(**{header: "{not json"})

    played = play_ours(tmp_path, "exports.handler = async () => 1;", broken, event())

    (_, error), after = played.answers()
    assert isinstance(error, dict)
    assert error["errorMessage"].startswith(f"Cannot parse {header.replace('_', '')} as json")
    assert after == ("response", 1)


def test_tracing_libraries_find_what_they_wrap(tmp_path: Path) -> None:
    source = """
      exports.handler = (event, context, callback) => {
        const listener = Symbol.for('aws.lambda.beforeExit');
        const original = globalThis[listener];
        globalThis[listener] = () => { console.log('wrapped'); original(); };
        callback(null, globalThis[Symbol.for('aws.lambda.runtime.requestId')]);
      };
    """

    played = play_ours(tmp_path, source)

    assert played.answers() == [("response", event().request_id)]
    assert played.records()[0] == (event().request_id, "INFO", "wrapped")


def test_a_streaming_handler_is_told_that_it_cannot_stream(tmp_path: Path) -> None:
    source = "exports.handler = awslambda.streamifyResponse(async (event, stream) => stream.end());"

    played = play_ours(tmp_path, source)

    (answer,) = played.answers()
    message = (
        "app.handler streams its response (awslambda.streamifyResponse), "
        "which is not supported here"
    )
    assert answer == ("error", bad("Runtime.MalformedStreamingHandler", message))
    assert played.posts[0].path.endswith("/init/error")


def test_the_end_of_the_runtime_api_is_the_end_of_the_process(tmp_path: Path) -> None:
    write(tmp_path, {"app.js": "exports.handler = async () => 1;"})

    with ScriptedApi(THE_END) as api:
        ended = finish(start(OURS, api, tmp_path, "app.handler"))

    assert ended.code == 1
    assert "'/2018-06-01/runtime/invocation/next' endpoint failed. Reason: '500'" in ended.out
