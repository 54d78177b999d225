// The runtime's life: load the handler, then ask, call and answer until the end.
//
// Exit codes: 1 when the function cannot be started or the Runtime API is of no more use, 128
// and 129 after a rejection or an exception that nobody caught, as aws-lambda-ric 3.3 has them;
// what the function gives to process.exit, without an answer being posted.

"use strict";

const { addCallbacks, contextOf } = require("./context.cjs");
const { Fault, RuntimeApiError } = require("./errors.cjs");
const { awslambda, load } = require("./handler.cjs");
const { Log } = require("./log.cjs");
const { Settlement } = require("./settlement.cjs");

const FAILURE = 1;
const UNHANDLED_REJECTION = 128;
const UNCAUGHT_EXCEPTION = 129;

// What tracing libraries know of the official client, and wrap.
const BEFORE_EXIT = Symbol.for("aws.lambda.beforeExit");
const REQUEST_ID = Symbol.for("aws.lambda.runtime.requestId");
const NO_GLOBAL = /^(1|true)$/;

class Runtime {
    #client;
    #rules;
    #log;
    #settlement = null; // of the invocation under way
    #answered = Promise.resolve(); // when the last answer has been taken
    #isStarted = false;
    #ending = null; // when the init error has been told

    constructor(client, rules) {
        this.#client = client;
        this.#rules = rules;
        this.#log = new Log(process.env);
    }

    // Serve invocations with the handler of that name until the Runtime API ends it.
    async serve(handlerName, taskRoot) {
        this.#prepareProcess();
        const handler = await this.#load(handlerName, taskRoot);
        await turn(); // a promise that the module rejected is noticed now
        await this.#ending;
        this.#isStarted = true;
        for (;;) {
            await this.#perform(handler, await this.#next());
            await turn(); // what the handler left to do
        }
    }

    #prepareProcess() {
        this.#log.takeOver(console);
        if (!NO_GLOBAL.test(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA ?? "")) {
            globalThis.awslambda = awslambda;
        }
        globalThis[BEFORE_EXIT] = () => {};
        process.on("beforeExit", () => globalThis[BEFORE_EXIT]());
        process.on("uncaughtException", (error) => {
            this.#abort("Uncaught Exception", error, UNCAUGHT_EXCEPTION);
        });
        process.on("unhandledRejection", (reason, promise) => {
            const error = Object.assign(rejectionOf(reason), { reason, promise });
            this.#abort("Unhandled Promise Rejection", error, UNHANDLED_REJECTION);
        });
    }

    async #load(name, taskRoot) {
        globalThis[BEFORE_EXIT] = () => {
            const what = "the module's top-level await never came to an end";
            this.#reportInitError("Init Error", new Fault("NodeJsExit", what), FAILURE);
        };
        try {
            return await load(name, taskRoot, this.#rules);
        } catch (error) {
            return this.#reportInitError("Init Error", error, FAILURE);
        }
    }

    async #next() {
        try {
            return await this.#client.next();
        } catch (error) {
            return this.#giveUp("Failed to get the next invocation", error);
        }
    }

    #perform(handler, invocation) {
        this.#log.begin(invocation);
        globalThis[REQUEST_ID] = invocation.requestId;
        showTraceId(invocation.traceId);
        return new Promise((resolve) => {
            const settlement = new Settlement((outcome) => {
                globalThis[BEFORE_EXIT] = () => {};
                this.#answered = this.#answer(invocation, outcome);
                resolve(this.#answered);
            });
            this.#settlement = settlement;
            globalThis[BEFORE_EXIT] = () => settlement.loopEmptied(this.#withoutOutcome());
            this.#call(handler, invocation, settlement);
        });
    }

    #call(handler, invocation, settlement) {
        try {
            const event = JSON.parse(invocation.body);
            const context = contextOf(invocation, process.env);
            if (!this.#rules.takesCallbacks) {
                this.#follow(handler(event, context), settlement);
                return;
            }
            const callback = (error, result) => settlement.callback(error, result);
            const returned = handler(event, addCallbacks(context, settlement), callback);
            if (isPromise(returned)) {
                this.#follow(returned, settlement);
            }
        } catch (error) {
            settlement.fail(error);
        }
    }

    #follow(returned, settlement) {
        Promise.resolve(returned).then(
            (result) => settlement.succeed(result),
            (error) => settlement.fail(error),
        );
    }

    // What comes of an invocation that has said nothing and left nothing to do.
    #withoutOutcome() {
        if (this.#rules.takesCallbacks) {
            return { result: null };
        }
        const what = "nothing is left to do, and the handler's promise has not been settled";
        return { error: new Fault("NodeJsExit", what) };
    }

    // Runs up to the writing of the request at once: see wire.cjs.
    async #answer(invocation, outcome) {
        try {
            await this.#post(invocation, outcome);
        } catch (error) {
            // 400, 403, 410, 413: this answer is lost, the next invocation is not. 5xx is the API's
            // word for "exit", and of a lost connection nobody knows what arrived.
            if (!(error instanceof RuntimeApiError) || error.status >= 500) {
                await this.#giveUp("Failed to post the answer", error);
            }
            this.#log.error("Failed to post the answer", error);
        }
    }

    #post(invocation, outcome) {
        if ("error" in outcome) {
            return this.#postError(invocation, outcome.error, outcome.what);
        }
        const body = serialized(outcome.result);
        if (body === undefined) {
            const fault = new Fault("JSONStringifyError", "Unable to stringify response body");
            return this.#postError(invocation, fault);
        }
        return this.#client.respond(invocation, body);
    }

    #postError(invocation, error, what = "Invoke Error") {
        this.#log.error(what, error);
        return this.#client.fail(invocation, error);
    }

    // Nobody caught this: the invocation ends with it, and so does the process.
    async #abort(what, error, code) {
        if (!this.#isStarted) {
            await this.#reportInitError(what, error, code);
            return;
        }
        if (this.#settlement?.isDecided ?? true) {
            this.#log.error(what, error); // too late to be told to anybody else
        } else {
            this.#settlement.abort(error, what);
        }
        await this.#answered;
        process.exit(code);
    }

    // Ends the process; what follows the first is lost.
    #reportInitError(what, error, code) {
        this.#ending ??= this.#postInitError(what, error, code);
        return this.#ending;
    }

    async #postInitError(what, error, code) {
        this.#log.error(what, error);
        try {
            await this.#client.initError(error);
        } catch (refusal) {
            this.#log.error("Failed to post the init error", refusal);
        }
        process.exit(code);
    }

    async #giveUp(what, error) {
        this.#log.error(what, error);
        process.exit(FAILURE);
    }
}

// Let the event loop go round once.
function turn() {
    return new Promise(setImmediate);
}

function rejectionOf(reason) {
    return new Fault("UnhandledPromiseRejection", String(reason));
}

// As JSON, or undefined: a cycle, a BigInt, a function.
function serialized(result) {
    try {
        return JSON.stringify(result === undefined ? null : result);
    } catch {
        return undefined;
    }
}

function isPromise(value) {
    return typeof value?.then === "function";
}

// Let the handler, X-Ray's SDK and child processes see the trace; an old one never.
function showTraceId(traceId) {
    if (traceId === undefined) {
        delete process.env._X_AMZN_TRACE_ID;
    } else {
        process.env._X_AMZN_TRACE_ID = traceId;
    }
}

module.exports = { Runtime };
