/*
 * A Lambda runtime in C, on sockets and the C library.
 *
 * _HANDLER (or the last argument) names one of the functions that the program is made of
 * (runtime.h). A static program needs nothing from its image.
 */

#define _GNU_SOURCE
#include "runtime.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define API "/2018-06-01/runtime/"

static void give_up(const char *what, const char *problem) __attribute__((noreturn));

static void give_up(const char *what, const char *problem)
{
    fprintf(stderr, "%s: %s\n", what, problem);
    exit(1);
}

/* ---- Bytes ---- */

static void reserve(struct buffer *buffer, size_t more)
{
    size_t needed = buffer->length + more + 1;
    if (needed <= more)
        give_up("memory", "too much is asked for");
    if (needed > buffer->capacity) {
        buffer->capacity = needed > 2 * buffer->capacity ? needed : 2 * buffer->capacity;
        buffer->data = realloc(buffer->data, buffer->capacity);
        if (!buffer->data)
            give_up("memory", "there is no more");
    }
}

void append(struct buffer *buffer, const void *data, size_t length)
{
    reserve(buffer, length);
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

static void append_list(struct buffer *buffer, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length > 0) {
        reserve(buffer, (size_t)length);
        vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
        buffer->length += (size_t)length;
    }
    va_end(again);
}

void append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append_list(buffer, format, arguments);
    va_end(arguments);
}

void append_json(struct buffer *buffer, const char *text)
{
    if (!text) {
        append(buffer, "null", 4);
        return;
    }
    append(buffer, "\"", 1);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            append_format(buffer, "\\%c", byte);
        else if (byte < ' ')
            append_format(buffer, "\\u%04x", byte);
        else
            append(buffer, text, 1);
    }
    append(buffer, "\"", 1);
}

static void clear(struct buffer *buffer)
{
    append(buffer, "", 0);
    buffer->length = 0;
    buffer->data[0] = '\0';
}

/* ---- HTTP: one connection, which is kept, without timeouts or proxies ---- */

/* An answer of the Runtime API. The context's texts lie in `head`. */
struct reply {
    int status;
    struct buffer head, body;
    struct context context;
    const char *invocation_id;
};

static const char *host; /* with its port */
static int connection = -1;
static FILE *incoming; /* the connection as a stream, to read lines and counted bytes from */

static void hang_up(void)
{
    if (incoming)
        fclose(incoming);
    incoming = NULL;
    connection = -1;
}

static void dial(void)
{
    char name[256];
    int port = 0;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (sscanf(host, "%255[^:]:%d", name, &port) != 2)
        give_up("AWS_LAMBDA_RUNTIME_API", "is not host:port");
    address.sin_port = htons((uint16_t)port);
    /* Not getaddrinfo: in a static program that needs the C library's shared files after all. */
    if (!inet_pton(AF_INET, strcmp(name, "localhost") ? name : "127.0.0.1", &address.sin_addr))
        give_up("AWS_LAMBDA_RUNTIME_API", "is not an IPv4 address and a port");
    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) < 0)
        give_up("connect", strerror(errno));
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    incoming = fdopen(connection, "r");
    if (!incoming)
        give_up("fdopen", strerror(errno));
}

/* Whether the API has closed the connection since its last answer. */
static bool is_closed(void)
{
    char byte;
    return connection < 0 || recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           errno != EAGAIN;
}

static void send_all(const struct buffer *bytes)
{
    size_t sent = 0;
    while (sent < bytes->length) {
        /* MSG_NOSIGNAL: a closed connection is an error, not the end by SIGPIPE. */
        ssize_t count = send(connection, bytes->data + sent, bytes->length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            give_up("send", strerror(errno));
        sent += count > 0 ? (size_t)count : 0;
    }
}

/* A line without its end, to be freed. */
static char *read_line(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = getline(&line, &capacity, incoming);
    if (length < 0)
        give_up("Runtime API", "it has closed the connection");
    while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        line[--length] = '\0';
    return line;
}

static void read_bytes(struct buffer *body, size_t count)
{
    reserve(body, count);
    if (fread(body->data + body->length, 1, count, incoming) != count)
        give_up("Runtime API", "it has closed the connection");
    body->length += count;
    body->data[body->length] = '\0';
}

static void read_chunks(struct buffer *body)
{
    for (size_t size = 1; size;) {
        char *line = read_line();
        size = strtoull(line, NULL, 16);
        free(line);
        if (size) {
            read_bytes(body, size);
            free(read_line());
        }
    }
    for (bool more = true; more;) { /* trailers */
        char *line = read_line();
        more = *line != '\0';
        free(line);
    }
}

static void read_rest(struct buffer *body)
{
    char block[65536];
    for (size_t count; (count = fread(block, 1, sizeof block, incoming));)
        append(body, block, count);
}

/* All that is kept of a header is in `head`: "name\0value\0", the name in lower case. */
static void keep_header(struct buffer *head, char *line)
{
    char *value = strchr(line, ':');
    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " \t");
    for (size_t length = strlen(value); length && strchr(" \t", value[length - 1]);)
        value[--length] = '\0';
    for (char *letter = line; *letter; letter++)
        *letter = (char)tolower((unsigned char)*letter);
    append(head, line, strlen(line) + 1);
    append(head, value, strlen(value) + 1);
}

static const char *header(const struct reply *reply, const char *name)
{
    const char *end = reply->head.data + reply->head.length;
    for (const char *each = reply->head.data; each < end;) {
        const char *value = each + strlen(each) + 1;
        if (!strcmp(each, name))
            return value;
        each = value + strlen(value) + 1;
    }
    return NULL;
}

static void receive(struct reply *reply)
{
    clear(&reply->head);
    clear(&reply->body);
    char *line = read_line();
    if (sscanf(line, "HTTP/%*s %d", &reply->status) != 1)
        give_up("Runtime API", line);
    while (*line) {
        free(line);
        line = read_line();
        keep_header(&reply->head, line);
    }
    free(line);
    const char *length = header(reply, "content-length");
    if (reply->status < 200 || reply->status == 204)
        return;
    if (header(reply, "transfer-encoding"))
        read_chunks(&reply->body);
    else if (length)
        read_bytes(&reply->body, strtoull(length, NULL, 10));
    else
        read_rest(&reply->body);
}

/* Sends `request` and receives the answer, other than a provisional one. */
static void exchange(const struct buffer *request, struct reply *reply)
{
    if (is_closed()) {
        hang_up();
        dial();
    }
    send_all(request);
    do {
        receive(reply);
    } while (reply->status < 200);
    const char *after = header(reply, "connection");
    if (after && !strcasecmp(after, "close"))
        hang_up();
}

/* ---- The Runtime API ---- */

static void next(struct reply *invocation)
{
    static struct buffer request;
    clear(&request);
    append_format(&request, "GET " API "invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    exchange(&request, invocation);
    const char *deadline = header(invocation, "lambda-runtime-deadline-ms");
    invocation->invocation_id = header(invocation, "lambda-runtime-invocation-id");
    invocation->context = (struct context){
        .request_id = header(invocation, "lambda-runtime-aws-request-id"),
        .function_arn = header(invocation, "lambda-runtime-invoked-function-arn"),
        .trace_id = header(invocation, "lambda-runtime-trace-id"),
        .tenant_id = header(invocation, "lambda-runtime-aws-tenant-id"),
        .client_context = header(invocation, "lambda-runtime-client-context"),
        .identity = header(invocation, "lambda-runtime-cognito-identity"),
        .deadline_ms = deadline ? atoll(deadline) : 0,
    };
    if (invocation->status != 200 || !invocation->context.request_id) {
        fprintf(stderr, "invocation/next: %d ", invocation->status);
        give_up("the API", invocation->body.data);
    }
}

/* Returns the status: a refusal (4xx) is no reason to end. */
static int post(const char *path, const char *headers, const struct buffer *body)
{
    static struct buffer request;
    static struct reply reply;
    clear(&request);
    append_format(&request,
                  "POST " API "%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n%s\r\n",
                  path, host, body->length, headers);
    append(&request, body->data, body->length);
    exchange(&request, &reply);
    if (reply.status >= 400)
        fprintf(stderr, "%s: %d %s\n", path, reply.status, reply.body.data);
    if (reply.status >= 500)
        exit(1);
    return reply.status;
}

/* The header's two words of letters; the body tells all. */
static void append_error_type(struct buffer *headers, const char *type)
{
    append_format(headers, "Lambda-Runtime-Function-Error-Type: ");
    if (!strncmp(type, "Runtime.", 8) || !strncmp(type, "Function.", 9)) {
        size_t category = strcspn(type, ".") + 1;
        append(headers, type, category);
        type += category;
    } else {
        append_format(headers, "Function.");
    }
    for (; *type; type++)
        if (isalpha((unsigned char)*type))
            append(headers, type, 1);
    append_format(headers, "\r\n");
}

static void post_error(const char *path, const char *echo, const struct answer *answer)
{
    static struct buffer headers, body;
    const char *type = answer->error_type.data, *message = answer->error_message.data;
    fprintf(stderr, "%s: %s\n", type, message);
    clear(&headers);
    append_format(&headers, "%s", echo);
    append_error_type(&headers, type);
    clear(&body);
    append_format(&body, "{\"errorType\":");
    append_json(&body, type);
    append_format(&body, ",\"errorMessage\":");
    append_json(&body, message);
    append_format(&body, ",\"stackTrace\":[]}");
    post(path, headers.data, &body);
}

/* ---- The function ---- */

long long remaining_ms(const struct context *context)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long left = context->deadline_ms - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
    return left > 0 ? left : 0;
}

bool fail(struct answer *answer, const char *type, const char *format, ...)
{
    va_list arguments;
    clear(&answer->error_type);
    append_format(&answer->error_type, "%s", type);
    clear(&answer->error_message);
    va_start(arguments, format);
    append_list(&answer->error_message, format, arguments);
    va_end(arguments);
    return false;
}

static void start_answer(struct answer *answer)
{
    clear(&answer->body);
    fail(answer, "Error", "The function failed without a reason");
}

static const struct function *find(const char *name, struct answer *answer)
{
    for (const struct function *each = functions; each->name; each++)
        if (!strcmp(each->name, name))
            return each->init && !each->init(answer) ? NULL : each;
    fail(answer, "Runtime.HandlerNotFound", "No function named '%s' in this program", name);
    return NULL;
}

static void serve(const struct function *function)
{
    static struct reply invocation;
    static struct answer answer;
    static struct buffer path, echo;
    next(&invocation);
    const struct context *context = &invocation.context;
    if (context->trace_id)
        setenv("_X_AMZN_TRACE_ID", context->trace_id, true);
    else
        unsetenv("_X_AMZN_TRACE_ID");
    clear(&echo);
    if (invocation.invocation_id)
        append_format(&echo, "Lambda-Runtime-Invocation-Id: %s\r\n", invocation.invocation_id);

    start_answer(&answer);
    bool good = function->handle(&invocation.body, context, &answer);
    fflush(stdout);
    clear(&path);
    if (good) {
        append_format(&path, "invocation/%s/response", context->request_id);
        if (post(path.data, echo.data, &answer.body) != 413)
            return;
        fail(&answer, "Function.ResponseSizeTooLarge", "The answer is too large: %zu bytes",
             answer.body.length);
        clear(&path);
    }
    append_format(&path, "invocation/%s/error", context->request_id);
    post_error(path.data, echo.data, &answer);
}

static void end(int signal)
{
    _exit(128 + signal);
}

int main(int count, char **arguments)
{
    struct answer answer = {0};
    const char *name = getenv("_HANDLER");
    host = getenv("AWS_LAMBDA_RUNTIME_API");
    if (!host)
        give_up("AWS_LAMBDA_RUNTIME_API", "is not set: start me with rie run");
    host = strdup(host);
    unsetenv("_LAMBDA_TELEMETRY_LOG_FD"); /* between platform and runtime */
    signal(SIGTERM, end);                 /* process 1 would not die of it */
    setvbuf(stdout, NULL, _IOLBF, 0);

    start_answer(&answer);
    const struct function *function = find(name ? name : arguments[count - 1], &answer);
    if (!function) {
        post_error("init/error", "", &answer);
        return 1;
    }
    while (true)
        serve(function);
}
