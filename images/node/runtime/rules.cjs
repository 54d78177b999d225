// What AWS changed for handlers with Node.js 24.
//
// Source: developer guide, "Define Lambda function handler in Node.js", and aws-lambda-ric 3.3 and
// 4.0, which AWS has in its images for Node.js up to 22 and from 24 on.

"use strict";

const NAMED = /^AWS_Lambda_nodejs(\d+)\./;
const FIRST_WITHOUT_CALLBACKS = 24;

// `takesCallbacks`: a handler may have a third parameter, the context has done, succeed and fail,
// what a handler returns counts only if it is a promise, and an invocation of which nothing is
// left to do ends with null. Without: any return value is the result, and such an invocation is
// an error.
function rulesFor(executionEnvironment, nodeVersion) {
    const named = NAMED.exec(executionEnvironment ?? "");
    const major = Number.parseInt(named ? named[1] : nodeVersion, 10);
    return { takesCallbacks: major < FIRST_WITHOUT_CALLBACKS };
}

module.exports = { rulesFor };
