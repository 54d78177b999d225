/* Functions for the runtime beside this file. */

#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Finds the first string that is a member of that name, and returns it as it is written between
 * its quotes. That is no JSON parser, but all that a greeting needs.
 */
static const char *member(const struct buffer *event, const char *name, int *length)
{
    char key[64];
    const char *found = event->data;
    snprintf(key, sizeof key, "\"%s\"", name);
    while ((found = strstr(found, key))) {
        found += strlen(key);
        const char *value = found + strspn(found, " \t\r\n");
        if (*value != ':')
            continue;
        value += 1 + strspn(value + 1, " \t\r\n");
        if (*value++ != '"')
            continue;
        const char *end = value;
        while (*end && *end != '"')
            end += *end == '\\' && end[1] ? 2 : 1;
        *length = (int)(end - value);
        return value;
    }
    return NULL;
}

static bool greet(const struct buffer *event, const struct context *context,
                  struct answer *answer)
{
    int length = 0;
    const char *name = member(event, "name", &length);
    if (!name)
        return fail(answer, "NoName", "The event has no \"name\"");
    fprintf(stderr, "greeting %.*s in %s\n", length, name, context->request_id);
    append_format(&answer->body, "{\"greeting\":\"Hello, %.*s!\"}", length, name);
    return true;
}

/* Answers with the event, byte for byte and however large. */
static bool echo(const struct buffer *event, const struct context *context,
                 struct answer *answer)
{
    (void)context;
    append(&answer->body, event->data, event->length);
    return true;
}

/* What is kept between invocations: variables, for as long as the environment lives. */
static int calls;

static bool count(const struct buffer *event, const struct context *context,
                  struct answer *answer)
{
    (void)event, (void)context;
    append_format(&answer->body, "{\"calls\":%d}", ++calls);
    return true;
}

static void append_member(struct buffer *body, const char *name, const char *text)
{
    append_json(body, name);
    append_format(body, ":");
    append_json(body, text);
    append_format(body, ",");
}

/* What a function knows about its invocation and about itself. */
static bool about(const struct buffer *event, const struct context *context,
                  struct answer *answer)
{
    const char *memory = getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    struct buffer *body = &answer->body;
    (void)event;
    append_format(body, "{");
    append_member(body, "requestId", context->request_id);
    append_member(body, "arn", context->function_arn);
    append_member(body, "traceId", getenv("_X_AMZN_TRACE_ID"));
    append_member(body, "name", getenv("AWS_LAMBDA_FUNCTION_NAME"));
    append_member(body, "version", getenv("AWS_LAMBDA_FUNCTION_VERSION"));
    append_format(body, "\"remainingMs\":%lld,", remaining_ms(context));
    append_format(body, "\"clientContext\":%s,",
                  context->client_context ? context->client_context : "null");
    append_format(body, "\"memoryMb\":%s}", memory ? memory : "null");
    return true;
}

/* With an init: where that fails, each invocation is answered with its failure. */
static char *greeting;

static bool find_greeting(struct answer *answer)
{
    greeting = getenv("GREETING");
    return greeting || fail(answer, "NoGreeting", "The variable GREETING is not set");
}

static bool greet_all(const struct buffer *event, const struct context *context,
                      struct answer *answer)
{
    (void)event, (void)context;
    append_json(&answer->body, greeting);
    return true;
}

const struct function functions[] = {
    {.name = "hello.greet", .handle = greet},
    {.name = "hello.greet_all", .handle = greet_all, .init = find_greeting},
    {.name = "hello.echo", .handle = echo},
    {.name = "hello.count", .handle = count},
    {.name = "hello.about", .handle = about},
    {0},
};
