// What went wrong, in the words of AWS's own Node.js client (aws-lambda-ric 3.3 and 4.0).
//
// A Fault is blamed on how the function was set up, or on what it returned; everything else that
// is thrown is the function's own.

"use strict";

const { types } = require("node:util");

const UNKNOWN = "Runtime.Unknown";
const FRAME = /^\s+at /; // other lines are the message's
const PLACE = /^(?:file:\/\/)?(.*?)(?::(\d+))?(?::\d+)?$/;
const DELETE = /\x7F/g; // a control character that JSON leaves as it is, and headers do not allow

// `reason` comes after "Runtime." in the error's type. `stack` is another error's, where that one
// says more.
class Fault extends Error {
    constructor(reason, message, stack) {
        super(message);
        // Not enumerable, or it would be logged as a field of the function's.
        Object.defineProperty(this, "name", { value: `Runtime.${reason}` });
        this.stack = stack ?? this.stack.replace(/^Error(?=: |\n)/, this.name);
    }
}

// The Runtime API answered with something else than what was asked for.
class RuntimeApiError extends Error {
    constructor(endpoint, status, body) {
        super(
            `Request to Lambda Runtime '${endpoint}' endpoint failed. Reason: '${status}'. ` +
                `Response body: '${body.toString("utf8", 0, 1000).trim()}'`,
        );
        Object.defineProperty(this, "name", { value: "Runtime.RuntimeApiError" });
        this.status = status;
    }
}

// The body of an error, keys in the official client's order.
function reportOf(error) {
    try {
        if (isError(error)) {
            return {
                errorType: printable(error.name),
                errorMessage: printable(error.message),
                trace: printable(error.stack ?? "").split("\n"),
            };
        }
        return { errorType: typeof error, errorMessage: String(error), trace: [] };
    } catch {
        return {
            errorType: "handled",
            errorMessage: "the error's name, message or stack could not be read",
            trace: [],
        };
    }
}

// The value of Lambda-Runtime-Function-XRay-Error-Cause, or "" where there is none to be had.
function xrayCauseOf(error) {
    try {
        const stack = framesOf(printable(error.stack ?? ""));
        return JSON.stringify({
            working_directory: process.cwd(),
            exceptions: [{ type: printable(error.name), message: printable(error.message), stack }],
            paths: [...new Set(stack.map((frame) => frame.path))],
        });
    } catch {
        return "";
    }
}

// `error` as it is logged: with the fields that the function gave it, and those of its causes.
function inFull(error) {
    const expand = (_key, value) => (value instanceof Error ? expanded(value) : value);
    try {
        return JSON.stringify(error, expand);
    } catch {
        return JSON.stringify(reportOf(error)); // a cycle, a BigInt
    }
}

// The platform takes Category.Reason here, and makes anything else Runtime.Unknown.
function typeHeaderOf(error) {
    return error instanceof Fault ? error.name : UNKNOWN;
}

function asError(thrown) {
    return isError(thrown) ? thrown : new Error(String(thrown));
}

// Errors of another realm (node:vm) too, and what looks like one.
function isError(thrown) {
    return (
        types.isNativeError(thrown) ||
        [thrown?.name, thrown?.message, thrown?.stack].every((field) => field && isText(field))
    );
}

const isText = (value) => typeof value === "string";

function expanded(error) {
    const all = {
        errorType: error.name,
        errorMessage: error.message,
        code: error.code,
        ...error,
    };
    if (isText(error.stack)) {
        all.stack = error.stack.split("\n");
    }
    return all;
}

function framesOf(stack) {
    return stack
        .split("\n")
        .filter((line) => FRAME.test(line))
        .map(frameOf);
}

// "    at label (path:line:column)", or without a label and the brackets.
function frameOf(line) {
    const words = line
        .trim()
        .replace(/^\S*\s|[()]/g, "")
        .split(" ");
    const [, path, number] = PLACE.exec(words.pop());
    return { path, line: Number(number ?? 0), label: words.join(" ") || "anonymous" };
}

function printable(text) {
    return text?.replace(DELETE, "%7F");
}

module.exports = {
    Fault,
    RuntimeApiError,
    asError,
    inFull,
    reportOf,
    typeHeaderOf,
    xrayCauseOf,
};
