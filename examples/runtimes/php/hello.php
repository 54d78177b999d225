<?php

// Functions for the runtime beside this file.

declare(strict_types=1);

use LambdaRuntime\Context;

final class NoName extends Exception
{
    protected $message = 'The event has no "name"';
}

// What is kept between invocations: variables, for as long as the environment lives.
$calls = 0;

return [
    'greet' => function (mixed $event, Context $context): array {
        $name = $event->name ?? throw new NoName();
        error_log("greeting $name in {$context->awsRequestId}");
        return ['greeting' => "Hello, $name!"];
    },

    // Answers with the event, however large.
    'echo' => fn (mixed $event): mixed => $event,

    'count' => function () use (&$calls): array {
        return ['calls' => ++$calls];
    },

    // What a function knows about its invocation and about itself.
    'about' => fn (mixed $event, Context $context): array => [
        'requestId' => $context->awsRequestId,
        'arn' => $context->invokedFunctionArn,
        'traceId' => getenv('_X_AMZN_TRACE_ID') ?: null,
        'remainingMs' => $context->remainingMs(),
        'clientContext' => $context->clientContext,
        'name' => $context->functionName,
        'version' => $context->functionVersion,
        'memoryMb' => $context->memoryLimitInMb,
    ],
];
