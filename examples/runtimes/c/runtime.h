/* A Lambda runtime in C: what a function and the runtime are to each other. */

#ifndef RUNTIME_H
#define RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that grow. There is always a NUL behind the last one. */
struct buffer {
    char *data;
    size_t length, capacity;
};

void append(struct buffer *buffer, const void *data, size_t length);
void append_format(struct buffer *buffer, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* Appends a JSON string, quotes included, or null for NULL. */
void append_json(struct buffer *buffer, const char *text);

/* What is not known is NULL. The texts are valid for the length of the invocation. */
struct context {
    const char *request_id;
    const char *function_arn;
    const char *trace_id;
    const char *tenant_id;
    const char *client_context; /* JSON, as it came */
    const char *identity;       /* JSON, as it came */
    long long deadline_ms;      /* since 1970 */
};

long long remaining_ms(const struct context *context);

/* What a function answers: success with the bytes in `body`, or a failure. */
struct answer {
    struct buffer body;
    struct buffer error_type, error_message;
};

/* `return fail(answer, "NoName", "...")` is how a function ends in failure. */
bool fail(struct answer *answer, const char *type, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * The program's functions, by name. `init`, which may be NULL, is called once, before the first
 * event is asked for. Both return whether they succeeded.
 */
struct function {
    const char *name;
    bool (*handle)(const struct buffer *event, const struct context *context,
                   struct answer *answer);
    bool (*init)(struct answer *answer);
};

extern const struct function functions[]; /* one without a name is the last */

#endif
