// Functions for the runtime beside this file.

class NoName extends Error {
  name = "NoName";
}

export async function greet(event, context) {
  if (!event.name) throw new NoName('The event has no "name"');
  console.log(`greeting ${event.name} in ${context.awsRequestId}`);
  return { greeting: `Hello, ${event.name}!` };
}

// Answers with the event, however large.
export const echo = (event) => event;

// What is kept between invocations: variables, for as long as the environment lives.
let calls = 0;
export const count = () => ({ calls: ++calls });

// What a function knows about its invocation and about itself.
export function about(event, context) {
  return {
    requestId: context.awsRequestId,
    arn: context.invokedFunctionArn,
    traceId: process.env._X_AMZN_TRACE_ID,
    remainingMs: context.getRemainingTimeInMillis(),
    clientContext: context.clientContext ?? null,
    name: context.functionName,
    version: context.functionVersion,
    memoryMb: Number(context.memoryLimitInMB),
  };
}
