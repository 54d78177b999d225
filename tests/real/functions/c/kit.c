/* The kit of tests/real in C: `handler` does what the event asks for. */

#define _GNU_SOURCE
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef bool doing(const struct buffer *event, const struct context *context,
                   struct answer *answer);

static char process[37];
static int counted;

/* Where the value of a member begins. The events are written by Python, with ": " behind keys. */
static const char *member(const struct buffer *event, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = strstr(event->data, key);
    return found ? found + strlen(key) : "\"\"";
}

static int number(const struct buffer *event, const char *name)
{
    return atoi(member(event, name));
}

/* A string with its escapes as they are. */
static char *string(const struct buffer *event, const char *name)
{
    const char *value = member(event, name) + 1, *end = value;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    return strndup(value, (size_t)(end - value));
}

static bool do_count(const struct buffer *event, const struct context *context,
                     struct answer *answer)
{
    (void)context;
    append_format(&answer->body, "{\"count\":%d,\"process\":\"%s\",\"tag\":%d}", ++counted, process,
                  number(event, "tag"));
    return true;
}

static bool do_context(const struct buffer *event, const struct context *context,
                       struct answer *answer)
{
    (void)event;
    append_format(&answer->body,
                  "{\"request_id\":\"%s\",\"arn\":\"%s\",\"remaining_ms\":%lld,\"name\":\"%s\","
                  "\"version\":\"%s\",\"memory\":%s}",
                  context->request_id, context->function_arn, remaining_ms(context),
                  getenv("AWS_LAMBDA_FUNCTION_NAME"), getenv("AWS_LAMBDA_FUNCTION_VERSION"),
                  getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    return true;
}

static bool do_fail(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    (void)context;
    char *type = string(event, "type"), *message = string(event, "message");
    fail(answer, type, "%s", message);
    free(type);
    free(message);
    return false;
}

static bool do_sleep(const struct buffer *event, const struct context *context,
                     struct answer *answer)
{
    int ms = number(event, "ms");
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
    return do_count(event, context, answer);
}

static bool do_exit(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    (void)context, (void)answer;
    exit(number(event, "code"));
}

static bool do_size(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    (void)context;
    char *value = string(event, "value");
    append_format(&answer->body, "{\"size\":%zu}", strlen(value));
    free(value);
    return true;
}

static bool do_big(const struct buffer *event, const struct context *context,
                   struct answer *answer)
{
    (void)context;
    size_t count = (size_t)number(event, "n");
    char *text = malloc(count + 2);
    memset(text, 'x', count + 2);
    text[0] = text[count + 1] = '"';
    append(&answer->body, text, count + 2);
    free(text);
    return true;
}

static bool do_log(const struct buffer *event, const struct context *context,
                   struct answer *answer)
{
    (void)context;
    for (const char *line = member(event, "lines"); (line = strchr(line, '"'));) {
        size_t length = strcspn(++line, "\"");
        printf("%.*s\n", (int)length, line);
        line += length + 1;
    }
    append_json(&answer->body, NULL);
    return true;
}

/* Beyond the common kit. */

static bool do_child(const struct buffer *event, const struct context *context,
                     struct answer *answer)
{
    (void)event, (void)context;
    char trace[256] = "";
    FILE *child = popen("printenv _X_AMZN_TRACE_ID", "r");
    if (child && fscanf(child, "%255s", trace) == 1)
        append_json(&answer->body, trace);
    return child && !pclose(child);
}

static bool do_streams(const struct buffer *event, const struct context *context,
                       struct answer *answer)
{
    (void)event, (void)context;
    printf("first\n");
    fprintf(stderr, "second\n");
    printf("third\n");
    append_json(&answer->body, NULL);
    return true;
}

static bool do_text(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    (void)event, (void)context;
    return fail(answer, "Error", "no object");
}

static bool do_echo(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    (void)context;
    append(&answer->body, event->data, event->length);
    return true;
}

static const struct {
    const char *name;
    doing *function;
} kit[] = {
    {"count", do_count}, {"context", do_context}, {"fail", do_fail},     {"sleep", do_sleep},
    {"exit", do_exit},   {"size", do_size},       {"big", do_big},       {"log", do_log},
    {"child", do_child}, {"streams", do_streams}, {"text", do_text},
};

static bool handler(const struct buffer *event, const struct context *context,
                    struct answer *answer)
{
    char *asked = strstr(event->data, "\"do\": ") == event->data + 1 ? string(event, "do") : NULL;
    doing *chosen = do_echo;
    for (size_t each = 0; asked && each < sizeof kit / sizeof *kit; each++)
        if (!strcmp(kit[each].name, asked))
            chosen = kit[each].function;
    free(asked);
    return chosen(event, context, answer);
}

static bool load(struct answer *answer)
{
    /* A process id would be the same in every environment. */
    FILE *file = fopen("/proc/sys/kernel/random/uuid", "r");
    bool good = file && fscanf(file, "%36s", process) == 1;
    if (file)
        fclose(file);
    return good || fail(answer, "Error", "no uuid");
}

static bool load_broken(struct answer *answer)
{
    return fail(answer, "Broken", "broken while loading");
}

const struct function functions[] = {
    {.name = "kit.handler", .handle = handler, .init = load},
    {.name = "broken.handler", .handle = handler, .init = load_broken},
    {0},
};
