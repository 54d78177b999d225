// The program: `node index.cjs [HANDLER]` serves Lambda invocations with a JavaScript handler.
//
// HANDLER is file.function, such as app.handler or orders/api.handler; by default the variable
// _HANDLER names it. AWS_LAMBDA_RUNTIME_API says where the Runtime API listens (host:port),
// LAMBDA_TASK_ROOT where the code is (by default the current folder).
//
// These are CommonJS modules, because Node.js takes 12 ms longer to start with as many ES modules;
// .cjs, so that NODE_PATH, which leads here too, lets nobody's require("log") find ours.

"use strict";

const { Client } = require("./client.cjs");
const { rulesFor } = require("./rules.cjs");
const { Runtime } = require("./runtime.cjs");

const MISUSE = 2;
const DEATH_BY_SIGTERM = 128 + 15;

function misused(why) {
    process.stderr.write(`bootstrap: ${why}\n`);
    process.exit(MISUSE);
}

function openClient(address) {
    if (!address) {
        misused(
            "AWS_LAMBDA_RUNTIME_API is not set: there is no Runtime API to ask for invocations",
        );
    }
    try {
        return new Client(address);
    } catch (error) {
        return misused(error.message);
    }
}

// The kernel lets the first process of a container ignore SIGTERM, unless it says otherwise. A
// listener of the function's own takes this one's place.
function dieBySigterm() {
    if (process.pid !== 1) {
        return;
    }
    process.on("SIGTERM", () => {
        if (process.listenerCount("SIGTERM") === 1) {
            process.exit(DEATH_BY_SIGTERM);
        }
    });
}

const words = process.argv.slice(2);
const variables = process.env;
if (words.length > 1 || words[0]?.startsWith("-")) {
    misused(`one handler, and no options: ${words.join(" ")}`);
}
const client = openClient(variables.AWS_LAMBDA_RUNTIME_API);
dieBySigterm();
const runtime = new Runtime(client, rulesFor(variables.AWS_EXECUTION_ENV, process.versions.node));
// Not awaited: Node.js would say that a top-level await has not ended, and change exit codes.
runtime.serve(words[0] ?? variables._HANDLER ?? "", variables.LAMBDA_TASK_ROOT || process.cwd());
