// The Runtime API, version 2018-06-01, from the runtime's side.
//
// Source: developer guide, "Using the Lambda runtime API for custom runtimes". What to do about a
// refusal is runtime.cjs's decision.

"use strict";

const { RuntimeApiError, reportOf, typeHeaderOf, xrayCauseOf } = require("./errors.cjs");
const { Connection } = require("./wire.cjs");

const ROOT = "/2018-06-01/runtime/";
const ADDRESS = /^(\[[^\]]+\]|[^:/\s]+):(\d{1,5})(\/[!-~]*)?$/;
const MAX_CAUSE = 1_048_576; // bytes; a longer X-Ray cause is left out, as the official client does
const CONTROLS = /[\0-\x1F\x7F]/;

// One event with its metadata. `body` is text, not parsed yet; what was not said is undefined.
class Invocation {
    constructor(headers, body) {
        const field = (name) => headers.get(`lambda-runtime-${name}`);
        this.body = body;
        this.requestId = field("aws-request-id");
        this.deadline = Number(field("deadline-ms") ?? 0); // milliseconds since the epoch
        this.functionArn = field("invoked-function-arn");
        this.traceId = field("trace-id");
        this.clientContext = field("client-context");
        this.cognitoIdentity = field("cognito-identity");
        this.tenantId = field("aws-tenant-id");
        this.nonce = field("invocation-id");
    }
}

// The calls that a runtime makes. Each rejects with RuntimeApiError when the API refuses.
class Client {
    #connection;
    #prefix;
    #common;

    // `address` is host:port; a path may follow. Raises an Error for another shape.
    constructor(address) {
        const parts = ADDRESS.exec(address);
        if (!parts) {
            throw new Error(
                `AWS_LAMBDA_RUNTIME_API must be host:port, not ${JSON.stringify(address)}`,
            );
        }
        const [, host, port, path = ""] = parts;
        this.#connection = new Connection(host.replace(/[[\]]/g, ""), Number(port));
        this.#prefix = path.replace(/\/$/, "") + ROOT;
        this.#common =
            ` HTTP/1.1\r\nHost: ${host}:${port}\r\n` +
            `User-Agent: rie-bootstrap-node/${process.versions.node}\r\n`;
    }

    // Wait for the next invocation, for as long as it takes.
    async next() {
        const path = `${this.#prefix}invocation/next`;
        const head = `GET ${path}${this.#common}\r\n`;
        // Repeatable: while an invocation is not answered, /next gives the same one again.
        const reply = await this.#connection.exchange(head, undefined, true);
        const invocation = new Invocation(reply.headers, reply.body.toString("utf8"));
        if (reply.status !== 200 || !invocation.requestId) {
            throw new RuntimeApiError(path, reply.status, reply.body);
        }
        return invocation;
    }

    // Answer with `body`, which is JSON.
    respond(invocation, body) {
        return this.#answer(invocation, "response", body, {});
    }

    fail(invocation, error) {
        const cause = xrayCauseOf(error);
        const isSent = cause !== "" && Buffer.byteLength(cause) < MAX_CAUSE;
        const extra = isSent ? { "Lambda-Runtime-Function-XRay-Error-Cause": cause } : {};
        return this.#answer(invocation, "error", JSON.stringify(reportOf(error)), extra);
    }

    // Say that the function could not be started; the process is expected to exit.
    initError(error) {
        const extra = { "Lambda-Runtime-Function-Error-Type": typeHeaderOf(error) };
        return this.#post("init/error", JSON.stringify(reportOf(error)), extra);
    }

    #answer(invocation, verb, body, extra) {
        if (invocation.nonce !== undefined) {
            extra["Lambda-Runtime-Invocation-Id"] = invocation.nonce;
        }
        const id = encodeURIComponent(invocation.requestId);
        return this.#post(`invocation/${id}/${verb}`, body, extra);
    }

    async #post(endpoint, body, extra) {
        const path = this.#prefix + endpoint;
        const data = Buffer.from(body);
        const fields = {
            "Content-Type": "application/json",
            "Content-Length": String(data.length),
            ...extra,
        };
        const lines = Object.entries(fields).map(lineOf).join("");
        const head = `POST ${path}${this.#common}${lines}\r\n`;
        const reply = await this.#connection.exchange(head, data);
        if (reply.status < 200 || reply.status >= 300) {
            throw new RuntimeApiError(path, reply.status, reply.body);
        }
    }
}

function lineOf([name, value]) {
    if (CONTROLS.test(value)) {
        throw new Error(`control characters in the header ${name}`);
    }
    return `${name}: ${value}\r\n`;
}

module.exports = { Invocation, Client };
