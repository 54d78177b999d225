// The function's log: console's methods write records in AWS's text or JSON format.
//
// They are lines on stdout, or frames on a descriptor of the platform's
// (_LAMBDA_TELEMETRY_LOG_FD): type, length and time (microseconds since the epoch), big-endian,
// then the text. Formats, levels and frame types: aws-lambda-ric 4.0.

"use strict";

const fs = require("node:fs");
const { format } = require("node:util");

const { asError, inFull } = require("./errors.cjs");

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const FIRST_LEVEL_BITS = 4; // in a frame's type; each further level adds as many
const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;
const FRAME_HEAD = 16; // bytes

class Log {
    #isJson;
    #lowest;
    #write;
    requestId = "-";
    tenantId = undefined;

    // Follow the environment; the descriptor's variable is taken out of it.
    constructor(variables) {
        this.#isJson = variables.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";
        this.#lowest = Math.max(0, LEVELS.indexOf(variables.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()));
        const descriptor = takeDescriptor(variables);
        this.#write =
            descriptor === undefined ? writeLine : (...record) => writeFrame(descriptor, ...record);
    }

    // From now on console is this log.
    takeOver(console) {
        LEVELS.forEach((level, rank) => {
            const record = (...words) => this.#record(rank, words);
            console[level.toLowerCase()] = rank < this.#lowest ? () => {} : record;
        });
        console.log = console.info;
    }

    // From now on records are about this invocation.
    begin(invocation) {
        this.requestId = invocation.requestId;
        this.tenantId = invocation.tenantId;
    }

    // Log what was thrown; `what` says where from, in the text format.
    error(what, thrown) {
        const error = asError(thrown);
        if (this.#isJson) {
            console.error(error);
        } else {
            console.error(what, `\t${inFull(error)}`);
        }
    }

    #record(rank, words) {
        const now = new Date();
        const text = this.#isJson
            ? JSON.stringify(...this.#fields(now, rank, words))
            : [now.toISOString(), this.requestId, LEVELS[rank], format(...words)].join("\t");
        this.#write(text, now, rank, this.#isJson);
    }

    // The arguments of JSON.stringify.
    #fields(now, rank, words) {
        const fields = {
            timestamp: now.toISOString(),
            level: LEVELS[rank],
            requestId: this.requestId,
        };
        if (this.tenantId) {
            fields.tenantId = this.tenantId;
        }
        if (words.length < 2) {
            return [{ ...fields, message: serializable(words[0]) }, withErrors];
        }
        const error = words.find((word) => word instanceof Error);
        return [{ ...fields, message: format(...words), ...(error && errorFields(error)) }];
    }
}

function takeDescriptor(variables) {
    const given = variables._LAMBDA_TELEMETRY_LOG_FD ?? "";
    delete variables._LAMBDA_TELEMETRY_LOG_FD;
    return /^\d+$/.test(given) ? Number(given) : undefined;
}

// A record of several lines is kept one by carriage returns.
function writeLine(text) {
    process.stdout.write(`${text.replaceAll("\n", "\r")}\n`);
}

function writeFrame(descriptor, text, now, rank, isJson) {
    const data = Buffer.from(isJson ? text : `${text}\n`);
    const head = Buffer.alloc(FRAME_HEAD);
    const bits = FIRST_LEVEL_BITS * (rank + 1);
    head.writeUInt32BE(((isJson ? JSON_FRAME : TEXT_FRAME) | bits) >>> 0, 0);
    head.writeUInt32BE(data.length, 4);
    head.writeBigUInt64BE(BigInt(now.getTime()) * 1000n, 8);
    writeAll(descriptor, Buffer.concat([head, data]));
}

function writeAll(descriptor, bytes) {
    for (let at = 0; at < bytes.length;) {
        at += fs.writeSync(descriptor, bytes, at);
    }
}

// A value that JSON has no way to write (a cycle, a BigInt) is logged as text would have it.
function serializable(value) {
    try {
        JSON.stringify(value, withErrors);
        return value;
    } catch {
        return format(value);
    }
}

function withErrors(_key, value) {
    return value instanceof Error ? { ...errorFields(value), ...value } : value;
}

function errorFields(error) {
    return {
        errorType: error.constructor?.name ?? "UnknownError",
        errorMessage: error.message,
        stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
    };
}

module.exports = { Log };
