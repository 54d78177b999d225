// The second argument of a handler.
//
// Source: developer guide, "Using the Lambda context object to retrieve Node.js function
// information"; names and their order are the official client's. `memoryLimitInMB` is a string.

"use strict";

// Raises an Error if client context or identity are not JSON.
function contextOf(invocation, variables) {
    return {
        functionVersion: variables.AWS_LAMBDA_FUNCTION_VERSION,
        functionName: variables.AWS_LAMBDA_FUNCTION_NAME,
        memoryLimitInMB: variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
        logGroupName: variables.AWS_LAMBDA_LOG_GROUP_NAME,
        logStreamName: variables.AWS_LAMBDA_LOG_STREAM_NAME,
        clientContext: parsed(invocation.clientContext, "ClientContext"),
        identity: parsed(invocation.cognitoIdentity, "CognitoIdentity"),
        invokedFunctionArn: invocation.functionArn,
        awsRequestId: invocation.requestId,
        tenantId: invocation.tenantId,
        xRayTraceId: invocation.traceId,
        getRemainingTimeInMillis: () => invocation.deadline - Date.now(),
    };
}

// What a handler before Node.js 24 may say by its context.
function addCallbacks(context, settlement) {
    return {
        get callbackWaitsForEmptyEventLoop() {
            return settlement.waitsForEmptyLoop;
        },
        set callbackWaitsForEmptyEventLoop(value) {
            settlement.waitsForEmptyLoop = value;
        },
        succeed: (result) => settlement.succeed(result),
        fail: (error) => settlement.fail(error),
        done: (error, result) => settlement.done(error, result),
        ...context,
    };
}

function parsed(text, name) {
    if (!text) {
        return undefined;
    }
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Error(`Cannot parse ${name} as json: ${error}`);
    }
}

module.exports = { contextOf, addCallbacks };
