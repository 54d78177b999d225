/* The floor: one invocation's whole path, in C over epoll, on one thread.
 *
 * An invocation comes in on the Invoke API, answers the runtime's parked /next, the runtime's
 * /response answers the caller, and START, END and REPORT go to stdout. Nothing else: no limits,
 * no deadlines, no states, no chunked bodies, no restarts, no care for callers that give up. It is
 * what the kernel and two HTTP hops cost, and so what an emulator of this shape can come near to.
 *
 *     floor [-p PORT] [-n ENVIRONMENTS] -- COMMAND [ARGS...]
 *
 * Each environment has a listener of its own on a port from the kernel; COMMAND finds it in
 * AWS_LAMBDA_RUNTIME_API. Bodies are received into a buffer that belongs to the connection and is
 * kept, and sent from there together with the new head (writev): no copy in between.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD_ROOM = 16 * 1024,
    BUFFER_SIZE = 6 * 1024 * 1024 + HEAD_ROOM + 1024,
    MAX_ENVIRONMENTS = 512,
    MAX_FDS = 8192,
    MEMORY_SIZE_MB = 1024,
    TIMEOUT_MS = 30 * 1000
};

static const char ACCEPTED[] = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
                               "Content-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";
static const char BAD_REQUEST[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
static const char NOT_FOUND[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
static const char BAD_GATEWAY[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
static const char INVOCATION[] = "/2018-06-01/runtime/invocation/";

enum kind { UNUSED, INVOKE_LISTENER, RUNTIME_LISTENER, CALLER, RUNTIME };

struct connection {
    enum kind kind;
    int fd;
    int environment; /* of a runtime or its listener */
    char *buffer;    /* BUFFER_SIZE, mapped once: its pages are touched only where bytes arrive */
    size_t received; /* bytes in buffer */
    size_t body_at, body_length; /* of the complete request in it; body_at 0: there is none yet */
    bool busy; /* has a request that is not yet answered: do not read another */
    /* What the socket did not take at once: */
    char head[1024];
    struct iovec rest[2];
    bool writing;
    int held; /* the runtime's connection whose 202 waits for this caller's answer, or -1 */
    int next_waiting; /* the queue of callers without an environment */
};

struct environment {
    pid_t pid;
    int statm; /* kept open: a pread of it is 1 us, an open and read of status 17 */
    int runtime; /* fd parked on /next, or -1 */
    int caller;  /* fd whose invocation runs here, or -1 */
    char request_id[37];
    double started;
};

static struct connection *connections[MAX_FDS];
static struct environment environments[MAX_ENVIRONMENTS];
static int idle[MAX_ENVIRONMENTS], idle_count; /* a stack: the warmest on top */
static int waiting_first = -1, waiting_last = -1;
static int epoll_fd;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_request_id(char *out) {
    static uint64_t state = 0;
    static const char hex[] = "0123456789abcdef";
    if (!state) state = (uint64_t)time(NULL) * 2654435761u + (uint64_t)getpid();
    for (int i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            out[i] = '-';
            continue;
        }
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        out[i] = i == 14 ? '4' : i == 19 ? hex[8 + (state & 3)] : hex[(state >> 20) & 15];
    }
    out[36] = 0;
}

static void watch(struct connection *c, uint32_t events, int operation) {
    struct epoll_event e = {.events = events, .data.fd = c->fd};
    if (epoll_ctl(epoll_fd, operation, c->fd, &e)) die("epoll_ctl");
}

static struct connection *add(int fd, enum kind kind, int environment) {
    if (fd >= MAX_FDS) {
        close(fd);
        return NULL;
    }
    struct connection *c = connections[fd];
    if (!c) {
        c = connections[fd] = calloc(1, sizeof *c);
        if (!c) die("calloc");
    }
    char *buffer = c->buffer;
    memset(c, 0, sizeof *c);
    c->buffer = buffer;
    if (!c->buffer && (kind == CALLER || kind == RUNTIME)) {
        c->buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (c->buffer == MAP_FAILED) die("mmap");
    }
    c->kind = kind, c->fd = fd, c->environment = environment, c->held = -1, c->next_waiting = -1;
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    return c;
}

static int listen_on(int port, int *bound) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1024)) die("bind");
    getsockname(fd, (struct sockaddr *)&a, &length);
    *bound = ntohs(a.sin_port);
    return fd;
}

static void hang_up(struct connection *c);
static void answered(struct connection *caller);

/* Send head and body in one call; what the socket does not take is kept and sent on EPOLLOUT. */
static void send_both(struct connection *c, const char *head, size_t head_length, char *body,
                      size_t body_length) {
    struct iovec parts[2] = {{(void *)(uintptr_t)head, head_length}, {body, body_length}};
    ssize_t sent = writev(c->fd, parts, body_length ? 2 : 1);
    if (sent < 0 && errno != EAGAIN) {
        hang_up(c);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == head_length + body_length) return;
    size_t of_head = done < head_length ? done : head_length;
    if (head_length > sizeof c->head) die("head");
    memcpy(c->head, head, head_length);
    c->rest[0] = (struct iovec){c->head + of_head, head_length - of_head};
    c->rest[1] = (struct iovec){body + (done - of_head), body_length - (done - of_head)};
    c->writing = true;
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void write_rest(struct connection *c) {
    ssize_t sent = writev(c->fd, c->rest, 2);
    if (sent < 0) {
        if (errno != EAGAIN) hang_up(c);
        return;
    }
    for (int i = 0; i < 2; i++) {
        size_t taken = (size_t)sent < c->rest[i].iov_len ? (size_t)sent : c->rest[i].iov_len;
        c->rest[i].iov_base = (char *)c->rest[i].iov_base + taken;
        c->rest[i].iov_len -= taken;
        sent -= (ssize_t)taken;
    }
    if (c->rest[0].iov_len || c->rest[1].iov_len) return;
    c->writing = false;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    if (c->kind == CALLER && c->held >= 0) answered(c);
}

static void log_out(const char *text, size_t length) {
    if (write(STDOUT_FILENO, text, length) < 0 && errno != EAGAIN) die("stdout");
}

/* Take the request out of the buffer; what was received after it moves to the front. */
static void forget_request(struct connection *c) {
    size_t used = c->body_at + c->body_length;
    if (c->received > used) memmove(c->buffer, c->buffer + used, c->received - used);
    c->received -= used;
    c->body_at = c->body_length = 0;
    c->busy = false;
}

static void start_invocation(struct environment *e, struct connection *caller) {
    struct connection *runtime = connections[e->runtime];
    char text[512];
    struct timespec t;
    write_request_id(e->request_id);
    int n = snprintf(text, sizeof text, "START RequestId: %s Version: $LATEST\n", e->request_id);
    log_out(text, (size_t)n);
    e->caller = caller->fd, e->runtime = -1, e->started = now_ms();
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                 "Lambda-Runtime-Aws-Request-Id: %s\r\nLambda-Runtime-Deadline-Ms: %lld\r\n"
                 "Lambda-Runtime-Invoked-Function-Arn: "
                 "arn:aws:lambda:us-east-1:012345678912:function:function\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 e->request_id,
                 (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000 + TIMEOUT_MS, caller->body_length);
    send_both(runtime, text, (size_t)n, caller->buffer + caller->body_at, caller->body_length);
}

static void finish_report(struct environment *e) {
    char text[512], pages[64];
    double took = now_ms() - e->started;
    long resident = 0;
    ssize_t n = pread(e->statm, pages, sizeof pages - 1, 0);
    if (n > 0) {
        pages[n] = 0;
        char *second = strchr(pages, ' ');
        resident = second ? strtol(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024) / 1024 : 0;
    }
    int length = snprintf(text, sizeof text,
                          "END RequestId: %s\nREPORT RequestId: %s\tDuration: %.2f ms\t"
                          "Billed Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %ld MB\t\n",
                          e->request_id, e->request_id, took, (int)took + 1, MEMORY_SIZE_MB,
                          resident);
    log_out(text, (size_t)length);
}

/* The caller has all of its answer: now the runtime its 202, then END and REPORT in one write. */
static void answered(struct connection *caller) {
    struct connection *runtime = connections[caller->held];
    caller->held = -1;
    forget_request(caller);
    if (runtime->kind != RUNTIME) return;
    struct environment *e = &environments[runtime->environment];
    forget_request(runtime);
    send_both(runtime, ACCEPTED, sizeof ACCEPTED - 1, NULL, 0);
    finish_report(e);
}

static void finish_invocation(struct environment *e, struct connection *runtime) {
    struct connection *caller = e->caller < 0 ? NULL : connections[e->caller];
    char text[256];
    e->caller = -1;
    if (!caller || caller->kind != CALLER) {
        forget_request(runtime);
        send_both(runtime, ACCEPTED, sizeof ACCEPTED - 1, NULL, 0);
        finish_report(e);
        return;
    }
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "X-Amzn-RequestId: %s\r\nX-Amz-Executed-Version: $LATEST\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     e->request_id, runtime->body_length);
    caller->held = runtime->fd;
    send_both(caller, text, (size_t)n, runtime->buffer + runtime->body_at, runtime->body_length);
    if (!caller->writing && caller->held >= 0) answered(caller);
}

static void answer_shortly(struct connection *c, const char *answer, size_t length) {
    forget_request(c);
    send_both(c, answer, length, NULL, 0);
}

static void on_invoke(struct connection *c) {
    if (idle_count) {
        start_invocation(&environments[idle[--idle_count]], c);
        return;
    }
    if (waiting_first < 0) waiting_first = c->fd;
    else connections[waiting_last]->next_waiting = c->fd;
    waiting_last = c->fd;
}

static void on_next(struct connection *c) {
    struct environment *e = &environments[c->environment];
    forget_request(c);
    e->runtime = c->fd;
    while (waiting_first >= 0) {
        struct connection *caller = connections[waiting_first];
        waiting_first = caller->next_waiting;
        caller->next_waiting = -1;
        if (caller->kind != CALLER || !caller->busy) continue;
        start_invocation(e, caller);
        return;
    }
    idle[idle_count++] = c->environment;
}

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void on_request(struct connection *c) {
    const char *line = c->buffer;
    c->busy = true;
    if (c->kind == CALLER) {
        if (starts_with(line, "POST /2015-03-31/functions/function/invocations ")) on_invoke(c);
        else answer_shortly(c, NOT_FOUND, sizeof NOT_FOUND - 1);
        return;
    }
    struct environment *e = &environments[c->environment];
    size_t prefix = strlen(INVOCATION);
    if (starts_with(line, "GET ") && starts_with(line + 4, INVOCATION) &&
        starts_with(line + 4 + prefix, "next "))
        on_next(c);
    else if (starts_with(line, "POST ") && starts_with(line + 5, INVOCATION)) {
        const char *id = line + 5 + prefix;
        bool current = e->caller >= 0 && starts_with(id, e->request_id) &&
                       (starts_with(id + 36, "/response ") || starts_with(id + 36, "/error "));
        if (current) finish_invocation(e, c);
        else answer_shortly(c, BAD_REQUEST, sizeof BAD_REQUEST - 1);
    } else
        answer_shortly(c, NOT_FOUND, sizeof NOT_FOUND - 1);
}

/* Find the end of the head and Content-Length in it. False: this is nothing the floor can read. */
static bool read_head(struct connection *c) {
    size_t searched = c->received < HEAD_ROOM ? c->received : HEAD_ROOM;
    char *end = memmem(c->buffer, searched, "\r\n\r\n", 4);
    if (!end) return c->received < HEAD_ROOM;
    *end = 0;
    for (char *line = strstr(c->buffer, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, "content-length:", 15) == 0)
            c->body_length = strtoul(line + 15, NULL, 10);
        else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
            return false;
    }
    *end = '\r';
    c->body_at = (size_t)(end - c->buffer) + 4;
    return c->body_at + c->body_length <= BUFFER_SIZE;
}

static void receive(struct connection *c) {
    if (c->busy) { /* a hang-up is all that may come now; one that comes later is seen then */
        char probe;
        ssize_t n = recv(c->fd, &probe, 1, MSG_PEEK);
        if (n == 0 || (n < 0 && errno != EAGAIN)) hang_up(c);
        return;
    }
    ssize_t n = recv(c->fd, c->buffer + c->received, BUFFER_SIZE - c->received, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        hang_up(c);
        return;
    }
    c->received += (size_t)n;
    if (!c->body_at && !read_head(c)) {
        hang_up(c);
        return;
    }
    if (c->body_at && c->received >= c->body_at + c->body_length) on_request(c);
}

static void hang_up(struct connection *c) {
    enum kind kind = c->kind;
    c->kind = UNUSED;
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    if (kind == CALLER) {
        for (int i = 0; i < MAX_ENVIRONMENTS; i++)
            if (environments[i].caller == c->fd) environments[i].caller = -1;
        return;
    }
    struct environment *e = &environments[c->environment];
    for (int i = 0; i < idle_count; i++)
        if (idle[i] == c->environment && e->runtime == c->fd) {
            memmove(idle + i, idle + i + 1, (size_t)(--idle_count - i) * sizeof *idle);
            break;
        }
    if (e->runtime == c->fd) e->runtime = -1;
    if (e->caller >= 0 && connections[e->caller]->kind == CALLER) {
        struct connection *caller = connections[e->caller];
        e->caller = -1;
        answer_shortly(caller, BAD_GATEWAY, sizeof BAD_GATEWAY - 1);
    }
}

static void take_in(struct connection *listener) {
    int fd, one = 1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        add(fd, listener->kind == INVOKE_LISTENER ? CALLER : RUNTIME, listener->environment);
    }
}

static void start_runtime(int index, char **command) {
    struct environment *e = &environments[index];
    char text[64];
    int port;
    add(listen_on(0, &port), RUNTIME_LISTENER, index);
    snprintf(text, sizeof text, "127.0.0.1:%d", port);
    setenv("AWS_LAMBDA_RUNTIME_API", text, 1);
    e->runtime = e->caller = -1;
    e->pid = fork();
    if (e->pid < 0) die("fork");
    if (e->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        execvp(command[0], command);
        die(command[0]);
    }
    snprintf(text, sizeof text, "/proc/%d/statm", (int)e->pid);
    e->statm = open(text, O_RDONLY | O_CLOEXEC);
}

static void serve(void) {
    struct epoll_event events[64];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *c = connections[events[i].data.fd];
            if (c->kind == INVOKE_LISTENER || c->kind == RUNTIME_LISTENER) {
                take_in(c);
                continue;
            }
            if (c->kind != UNUSED && c->writing && (events[i].events & EPOLLOUT)) write_rest(c);
            if (c->kind != UNUSED && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                receive(c);
        }
    }
}

static void usage(void) {
    fputs("usage: floor [-p PORT] [-n ENVIRONMENTS] -- COMMAND [ARGS...]\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    int option, port = 0, count = 1;
    while ((option = getopt(argc, argv, "+p:n:")) != -1) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'n') count = atoi(optarg);
        else usage();
    }
    if (optind >= argc || count < 1 || count > MAX_ENVIRONMENTS) usage();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < MAX_ENVIRONMENTS; i++) environments[i].caller = environments[i].runtime = -1;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) die("epoll_create1");
    add(listen_on(port, &port), INVOKE_LISTENER, -1);
    fprintf(stderr, "floor: 127.0.0.1:%d\n", port);
    for (int i = 0; i < count; i++) start_runtime(i, argv + optind);
    serve();
}
