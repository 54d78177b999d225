<?php

// The kit of tests/real in PHP: `handler` does what the event asks for.

declare(strict_types=1);

use LambdaRuntime\Context;

final class Shortage extends Exception
{
}

final class Kit
{
    private int $count = 0;
    private readonly string $process;

    public function __construct()
    {
        // A process id would be the same in every environment.
        $this->process = trim(file_get_contents('/proc/sys/kernel/random/uuid'));
    }

    public function __invoke(mixed $event, Context $context): mixed
    {
        return isset($event->do) ? $this->{$event->do}($event, $context) : $event;
    }

    private function count(object $event): array
    {
        return ['count' => ++$this->count, 'process' => $this->process, 'tag' => $event->tag ?? null];
    }

    private function context(object $event, Context $context): array
    {
        return [
            'request_id' => $context->awsRequestId,
            'arn' => $context->invokedFunctionArn,
            'remaining_ms' => $context->remainingMs(),
            'name' => $context->functionName,
            'version' => $context->functionVersion,
            'memory' => $context->memoryLimitInMb,
        ];
    }

    private function fail(object $event): never
    {
        throw new $event->type($event->message);
    }

    private function sleep(object $event): array
    {
        usleep($event->ms * 1000);
        return $this->count($event);
    }

    private function exit(object $event): never
    {
        exit($event->code);
    }

    private function size(object $event): array
    {
        return ['size' => strlen($event->value)];
    }

    private function big(object $event): string
    {
        return str_repeat('x', $event->n);
    }

    private function log(object $event): void
    {
        foreach ($event->lines as $line) {
            echo "$line\n";
        }
    }

    // Beyond the common kit.

    private function child(): string
    {
        return trim((string) shell_exec('printenv _X_AMZN_TRACE_ID'));
    }

    private function streams(): void
    {
        echo "first\n";
        fwrite(STDERR, "second\n");
        echo "third\n";
    }

    private function unwritable(): float
    {
        return INF;
    }

    private function text(): never
    {
        throw new RuntimeException('no object');
    }
}

return ['handler' => new Kit()];
