"""The same function under AWS's own client (4.0, by Node.js 24's rules) and under ours.

What is posted, in which words, and whether the process goes on: the same, but for stack traces.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.node.played import NODE_24, OFFICIAL, OURS, Played, event, play
from tests.real.runtimes import NODE, require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.bootstrap.scripted import Event, Request


@dataclass(frozen=True, slots=True)
class Case:
    """A function, and the events that it is given."""

    source: str = "exports.handler = async () => 'found';"
    events: tuple[Event, ...] = (event({"a": 1}),)
    file: str = "app.js"
    handler: str = "app.handler"
    more: Mapping[str, str] = field(default_factory=dict)

    def play(self, command: tuple[str, ...], folder: Path) -> Played:
        files = {self.file: self.source, **self.more}
        return play(command, folder, files, *self.events, handler=self.handler, env=NODE_24)


RESULTS = {
    "the event": "event",
    "nothing": "undefined",
    "a date and a map": "[new Date(0), new Map([[1, 2]])]",
    "toJSON": "({toJSON: () => 'own words'})",
    "NaN": "[NaN, Infinity]",
    "any text": "'a\\u2028b\\0\\x7f \\ud83d\\ude00 \\ud83d'",
    "a buffer": "Buffer.from('bytes')",
    "a BigInt": "10n",
    "a cycle": "(() => { const a = {}; a.a = a; return a; })()",
    "a promise of a promise": "Promise.resolve(Promise.resolve(1))",
    "a thenable": "({then: (found) => found('then')})",
}
FAILURES = {
    "an error": "new Error('bad')",
    "an error of a class": "new (class Own extends TypeError { name = 'Own'; })('bad')",
    "an error with fields": "Object.assign(new Error('bad'), {code: 'E1', name: 'Named'})",
    "an error without a message": "new Error()",
    "an error without a stack": "Object.assign(new Error('bad'), {stack: undefined})",
    "a control character": "new Error('a\\x7fb')",
    "a text": "'bad'",
    "a number": "42",
    "an object": "({errorType: 'mine'})",
    "an object without text": "Object.create(null)",
    "a text of the world": "new Error('größer 漢 😀\\n\\tzwei')",
}
CASES = {
    **{
        f"an async handler returns {name}": Case(
            f"exports.handler = async (event, context) => {value};"
        )
        for name, value in RESULTS.items()
    },
    **{
        f"a plain handler returns {name}": Case(f"exports.handler = (event) => {value};")
        for name, value in RESULTS.items()
    },
    **{
        f"an async handler throws {name}": Case(
            f"exports.handler = async () => {{ throw {value}; }};",
            (event(1), event(2)),
        )
        for name, value in FAILURES.items()
    },
    **{
        f"a plain handler throws {name}": Case(f"exports.handler = () => {{ throw {value}; }};")
        for name, value in FAILURES.items()
    },
    "several events in a row": Case(
        "let n = 0; exports.handler = async (event) => [++n, event];",
        tuple(event(n) for n in range(5)),
    ),
    "client context and identity": Case(
        "exports.handler = async (_, context) => [context.clientContext, context.identity];",
        (
            event(
                Client_Context='{"custom":{"größe":"漢"},"Client":{}}',
                Cognito_Identity='{"cognitoIdentityId":"a","cognitoIdentityPoolId":"b"}',
            ),
            event(),
        ),
    ),
    "a tenant": Case(
        "exports.handler = async (_, context) => context.tenantId ?? 'none';",
        (event(Aws_Tenant_Id="t1"), event()),
    ),
    "the trace id": Case(
        "exports.handler = async () => process.env._X_AMZN_TRACE_ID ?? 'none';",
        (event(Trace_Id="Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"), event()),
    ),
    "the context": Case(
        "exports.handler = async (_, c) => [c.functionName, c.functionVersion, c.memoryLimitInMB,"
        " c.logGroupName, c.logStreamName, c.invokedFunctionArn, c.awsRequestId, typeof c.done,"
        " typeof c.callbackWaitsForEmptyEventLoop];"
    ),
    "the remaining time is a number": Case(
        "exports.handler = async (_, context) => context.getRemainingTimeInMillis() > 1e6;",
    ),
    "the handler's exit": Case("exports.handler = () => process.exit(3);"),
    "an exit without a code": Case("exports.handler = () => process.exit();"),
    "CommonJS by .cjs": Case(file="app.cjs"),
    "a module by .mjs": Case(
        "export const handler = async () => import.meta.url.at(-1);", file="app.mjs"
    ),
    "a module by its package": Case(
        "import { two } from './two.js'; export const handler = async () => two;",
        more={"package.json": '{"type": "module"}', "two.js": "export const two = 2;"},
    ),
    "a module by the package of a folder above": Case(
        "export const handler = async () => 3;",
        file="a/b/app.js",
        handler="a/b/app.handler",
        more={"package.json": '{"type": "module"}'},
    ),
    "CommonJS below a module's package": Case(
        file="a/app.js",
        handler="a/app.handler",
        more={"package.json": '{"type": "module"}', "a/package.json": "{}"},
    ),
    "a module that waits": Case(
        "export const handler = await new Promise((found) => "
        "setTimeout(() => found(async () => 'waited'), 20));",
        file="app.mjs",
    ),
    "a default export": Case(
        "export default { handler: async () => 'by default' };", file="app.mjs"
    ),
    "a nested handler": Case(
        "exports.a = { b: { handler: async () => 'nested' } };", handler="app.a.b.handler"
    ),
    "a file without an extension": Case(file="app"),
    "a package in node_modules": Case(
        file="node_modules/pack/index.js",
        handler="pack.handler",
    ),
    ".js before .mjs": Case(more={"app.mjs": "throw new Error('not this one')"}),
    ".mjs before .cjs": Case(
        "export const handler = async () => 'mjs';",
        file="app.mjs",
        more={"app.cjs": "throw new Error('not this one')"},
    ),
    "a name without a dot": Case(handler="app"),
    "a name with two dots": Case(handler="../app.handler"),
    "a handler that is not there": Case(handler="app.missing"),
    "a handler that is not a function": Case("exports.handler = 3;"),
    "a nested handler that is not there": Case(handler="app.a.b.c"),
    "a module that is not there": Case(handler="missing.handler"),
    "a module that a module needs is not there": Case("require('missing-too');"),
    "a module that an ES module needs is not there": Case("import 'missing-too';", file="app.mjs"),
    "a syntax error": Case("exports.handler = async () => {"),
    "a syntax error in an ES module": Case("export const handler = async ( => 1;", file="app.mjs"),
    "ES syntax in CommonJS": Case("import fs from 'node:fs';", more={"package.json": "{}"}),
    "a module that throws": Case("throw Object.assign(new Error('broken'), {name: 'Broken'});"),
    "a module that throws a text": Case("throw 'broken';"),
    "a handler with a callback": Case("exports.handler = (event, context, callback) => 1;"),
    "an async handler with a callback": Case("exports.handler = async (e, c, callback) => 1;"),
    "a handler with rest parameters": Case("exports.handler = async (...all) => all.length;"),
    "a handler with a default value": Case("exports.handler = async (e, c, d = 1) => d;"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_answered_as_by_the_official_client(case: Case, tmp_path: Path) -> None:
    require(*NODE.tools)

    theirs = case.play(OFFICIAL, tmp_path)
    ours = case.play(OURS, tmp_path)

    assert [shown(post) for post in ours.posts] == [shown(post) for post in theirs.posts]
    assert ours.ended.code == theirs.ended.code


def shown(post: Request) -> dict[str, object]:
    """Give what was posted, without what is a client's own: its files and frames, two texts."""
    body = json.loads(post.body)
    if isinstance(body, dict) and "errorType" in body:
        del body["trace"]
        # The modules that led to a missing one end with the client's own.
        body["errorMessage"] = body["errorMessage"].partition("\nRequire stack:")[0]
        if body["errorType"] == "Runtime.CallbackHandlerDeprecated":
            del body["errorMessage"]
    cause = json.loads(post.headers.get("lambda-runtime-function-xray-error-cause", "null"))
    return {
        "path": post.path,
        "content type": post.headers["content-type"],
        "body": body,
        "cause": cause and [(e.get("type"), e.get("message")) for e in cause["exceptions"]],
        "folder": cause and cause["working_directory"],
    }
