// The kit of tests/real in JavaScript: `handler` does what the event asks for.
"use strict";

// A process id would be the same in every environment.
const process_id = require("fs").readFileSync("/proc/sys/kernel/random/uuid", "utf8").trim();

let counted = 0;

const kit = {
  count: (event) => ({ count: ++counted, process: process_id, tag: event.tag }),
  context: (event, context) => ({
    request_id: context.awsRequestId,
    arn: context.invokedFunctionArn,
    remaining_ms: context.getRemainingTimeInMillis(),
    name: context.functionName,
    version: context.functionVersion,
    memory: Number(context.memoryLimitInMB),
  }),
  fail: (event) => {
    throw Object.assign(new Error(event.message), { name: event.type });
  },
  sleep: async (event) => {
    await new Promise((done) => setTimeout(done, event.ms));
    return kit.count(event);
  },
  exit: (event) => process.exit(event.code),
  size: (event) => ({ size: event.value.length }),
  big: (event) => "x".repeat(event.n),
  log: (event) => event.lines.forEach((line) => console.log(line)),
};

exports.handler = async (event, context) =>
  event?.do ? kit[event.do](event, context) : event;
