// A Lambda runtime in plain Node.js: no packages, one file.
//
// _HANDLER is `file.function`: a module's exported function (event, context), which may be
// async; what it returns is the answer, what it throws is the caller's error.

import { existsSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const { hostname, port } = new URL(`http://${process.env.AWS_LAMBDA_RUNTIME_API}`);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// Where a failure is to be reported; nowhere, while nothing is being done.
let place = "init/error";
let echoed = {};

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

// One exchange with the Runtime API. No timeout: the environment may be frozen for hours while
// the answer to invocation/next is on its way. Node's http knows no proxy unless it is told to.
function call(method, where, body = "", headers = {}) {
  return new Promise((resolve, reject) => {
    const length = method === "POST" ? { "Content-Length": Buffer.byteLength(body) } : {};
    const options = { method, hostname, port, agent, headers: { ...headers, ...length } };
    options.path = `/2018-06-01/runtime/${where}`;
    const request = http.request(options, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
      });
    });
    request.on("error", (error) => {
      // The other side may close an idle connection in the moment in which it is used again.
      const stale = request.reusedSocket && error.code === "ECONNRESET";
      if (stale) resolve(call(method, where, body, headers));
      else reject(error);
    });
    request.end(body);
  });
}

async function post(where, body, headers = {}) {
  const all = { "Content-Type": "application/json", ...echoed, ...headers };
  const answer = await call("POST", where, body, all);
  // Nothing can be done about a refusal (too large, too late): the next event may do better.
  if (answer.status !== 202) console.error(`${where}: ${answer.status} ${answer.body}`);
}

async function report(where, thrown) {
  console.error(thrown);
  // JavaScript throws anything; an Error has a name, a message and a stack.
  const error = thrown instanceof Error ? thrown : new RuntimeError(typeof thrown, String(thrown));
  const errorType = String(error.name);
  const body = JSON.stringify({
    errorMessage: String(error.message),
    errorType,
    stackTrace: String(error.stack).split("\n").filter((line) => line.startsWith("    at ")),
  });
  // A category and a reason; the log's REPORT line shows it.
  const reason = errorType.replace(/[^A-Za-z.]/g, "");
  const type = reason.includes(".") ? reason : `Function.${reason}`;
  await post(where, body, { "Lambda-Runtime-Function-Error-Type": type });
}

// The end of the process, told to whoever waits for something.
async function die(thrown) {
  const where = place;
  place = null;
  try {
    if (where) await report(where, thrown);
    else console.error(thrown);
  } finally {
    process.exit(1);
  }
}

async function load(handler) {
  const [, file, name] = /^(.+)\.([^./]+)$/.exec(handler) ?? [];
  if (!name) {
    throw new RuntimeError("Runtime.MalformedHandlerName", `"${handler}" is not file.function`);
  }
  const base = path.resolve(process.env.LAMBDA_TASK_ROOT ?? ".", file);
  const found = [".mjs", ".js", ".cjs"].map((ending) => base + ending).find(existsSync);
  if (!found) {
    throw new RuntimeError("Runtime.ImportModuleError", `There is no ${base}.mjs, .js or .cjs`);
  }
  const module = await import(pathToFileURL(found));
  const handle = module[name] ?? module.default?.[name];
  if (typeof handle !== "function") {
    throw new RuntimeError("Runtime.HandlerNotFound", `${found} exports no function "${name}"`);
  }
  return handle;
}

// What the headers of an event tell. Node reads headers as Latin-1, they are UTF-8.
function contextOf(headers) {
  const header = (name) => {
    const value = headers[`lambda-runtime-${name}`];
    return value === undefined ? undefined : Buffer.from(value, "latin1").toString();
  };
  const parsed = (text) => (text === undefined ? undefined : JSON.parse(text));
  const deadline = Number(header("deadline-ms") ?? 0);
  const env = process.env;

  const trace = header("trace-id");
  if (trace === undefined) delete env._X_AMZN_TRACE_ID;
  else env._X_AMZN_TRACE_ID = trace;

  return {
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    awsRequestId: header("aws-request-id"),
    invokedFunctionArn: header("invoked-function-arn"),
    tenantId: header("aws-tenant-id"),
    clientContext: parsed(header("client-context")),
    identity: parsed(header("cognito-identity")),
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}

async function answerOne(handle) {
  const next = await call("GET", "invocation/next");
  const id = next.headers["lambda-runtime-aws-request-id"];
  if (next.status !== 200 || !id) {
    throw new Error(`the Runtime API sent no event: ${next.status} ${next.body}`);
  }
  // A delivery's own number goes back with its answer, so that a late one finds no other caller.
  const delivery = next.headers["lambda-runtime-invocation-id"];
  echoed = delivery ? { "Lambda-Runtime-Invocation-Id": delivery } : {};
  place = `invocation/${id}/error`;
  try {
    const context = contextOf(next.headers);
    const result = await handle(JSON.parse(next.body), context);
    // A function that returns nothing answers null.
    const body = JSON.stringify(result) ?? "null";
    place = null;
    await post(`invocation/${id}/response`, body);
  } catch (thrown) {
    if (!place) throw thrown; // the API cannot be reached
    place = null;
    await report(`invocation/${id}/error`, thrown);
  }
}

for (const name of Object.keys(process.env)) {
  // Between the platform and runtimes that know them; no function's affair.
  if (name.startsWith("_LAMBDA_")) delete process.env[name];
}
// What nobody catches, rejected promises too.
process.on("uncaughtException", die);
// Node would end without a word when a handler waits for what never comes.
process.on("beforeExit", () => {
  die(new RuntimeError("Runtime.NodeJsExit", "Nothing is left to do, and there is no answer"));
});

try {
  const handle = await load(process.env._HANDLER ?? "");
  place = null;
  // A process with the number 1 ignores what it has no listener for.
  if (!process.listenerCount("SIGTERM")) process.on("SIGTERM", () => process.exit(143));
  for (;;) await answerOne(handle);
} catch (thrown) {
  await die(thrown);
}
