// Find the function's handler by its name.
//
// A name is file.function, where the file may be below folders and the function inside objects:
// orders/api.nested.handler. CommonJS and ES modules are told apart as Node.js does it: by .cjs and
// .mjs, or by "type" in the nearest package.json.

"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

const { Fault } = require("./errors.cjs");

const NAME = /^([^.]*)\.(.+)$/;
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");

// Return the handler. Raises a Fault, or whatever else the module raises while it is loaded.
async function load(name, taskRoot, rules) {
    if (name.includes("..")) {
        throw new Fault(
            "MalformedHandlerName",
            `'${name}' is not a valid handler name. ` +
                "Use absolute paths when specifying root directories in handler names.",
        );
    }
    const parts = NAME.exec(path.posix.basename(name));
    if (!parts) {
        throw new Fault("MalformedHandlerName", "Bad handler");
    }
    const folder = path.resolve(taskRoot, path.posix.dirname(name));
    const module = await loadModule(folder, parts[1], taskRoot);
    return checked(find(module, parts[2]) ?? find(module?.default, parts[2]), name, rules);
}

async function loadModule(folder, file, taskRoot) {
    try {
        return await importFirst(folder, file, taskRoot);
    } catch (error) {
        if (error instanceof SyntaxError) {
            throw new Fault("UserCodeSyntaxError", String(error), error.stack);
        }
        if (error?.code === "MODULE_NOT_FOUND") {
            throw new Fault("ImportModuleError", String(error));
        }
        throw error;
    }
}

function importFirst(folder, file, taskRoot) {
    const base = path.join(folder, file);
    if (isFile(base)) {
        return require(base);
    }
    if (isFile(`${base}.js`)) {
        return isModuleScope(folder) ? importFile(`${base}.js`) : require(`${base}.js`);
    }
    if (isFile(`${base}.mjs`)) {
        return importFile(`${base}.mjs`);
    }
    if (isFile(`${base}.cjs`)) {
        return require(`${base}.cjs`);
    }
    if (fs.existsSync(base)) {
        return require(base); // a folder with an index.js
    }
    return require(require.resolve(file, { paths: [taskRoot, folder] })); // in node_modules
}

function importFile(file) {
    return import(pathToFileURL(file).href);
}

function isFile(file) {
    return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

// Whether the nearest package.json says "type": "module".
function isModuleScope(folder) {
    for (let at = folder; path.basename(at) !== "node_modules"; at = path.dirname(at)) {
        const file = path.join(at, "package.json");
        if (fs.existsSync(file)) {
            return typeIn(file) === "module";
        }
        if (at === path.dirname(at)) {
            break;
        }
    }
    return false;
}

function typeIn(file) {
    try {
        return JSON.parse(fs.readFileSync(file, "utf8"))?.type;
    } catch (error) {
        console.warn(`${file} cannot be read; it does not count for the kind of module.`, error);
        return undefined;
    }
}

function find(module, dotted) {
    return dotted.split(".").reduce((nested, key) => nested?.[key], module);
}

function checked(handler, name, rules) {
    if (!handler) {
        throw new Fault("HandlerNotFound", `${name} is undefined or not exported`);
    }
    if (typeof handler !== "function") {
        throw new Fault("HandlerNotFound", `${name} is not a function`);
    }
    if (handler[STREAMING]) {
        throw new Fault(
            "MalformedStreamingHandler",
            `${name} streams its response (awslambda.streamifyResponse), which is not supported here`,
        );
    }
    if (!rules.takesCallbacks && handler.length > 2) {
        throw new Fault(
            "CallbackHandlerDeprecated",
            `${name} has a third parameter: from Node.js 24 on there are no callbacks, ` +
                "only results that are returned, and promises",
        );
    }
    return handler;
}

// What a module with a streaming handler calls while it is loaded.
const awslambda = {
    streamifyResponse: (handler) => Object.assign(handler, { [STREAMING]: "response" }),
    HttpResponseStream: {
        from: () => {
            throw new Fault("InvalidStreamingOperation", "streaming is not supported here");
        },
    },
};

module.exports = { load, awslambda };
