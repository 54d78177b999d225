/* The load generator: keep-alive invocations, timed one by one.
 *
 *     load -p PORT [-f FUNCTION] [-n CALLS] [-c CALLERS] [-s BYTES] [-g GAP_MS] [-w WARM_UP]
 *          [-t SECONDS] [-H HOLD_MS]
 *     load -x -p PORT [-f FUNCTION] [-s BYTES] [-t SECONDS] -- COMMAND [ARGS...]
 *
 * The payload is a JSON array of one string, BYTES long as a whole, so that every JSON writer
 * gives it back unchanged. Each answer must have status 200 and that same length; all others are
 * counted as errors, and their times left out. With -H the string asks the benchmark's own
 * runtimes to take that long. -t ends the measurement early, and bounds any wait.
 *
 * With -x it executes COMMAND, an emulator, and measures to its first accept and first answer;
 * the whole process group is killed afterwards.
 *
 * One caller blocks in recv; several share one thread and epoll, and block only to send. Prints
 * one JSON object.
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CALLERS = 1024, ROOM = 64 * 1024, POLL_NS = 200 * 1000 };

struct caller {
    int fd;
    char *buffer; /* the answer: payload size and ROOM for its head and chunk lines */
    size_t received;
    size_t body_at;  /* 0: the head is not complete */
    size_t expected; /* Content-Length */
    bool chunked;
    size_t chunk_at; /* where the next chunk's length line starts */
    size_t chunk_sum;
    int status;
    size_t sent;
    double started;
};

static struct {
    int port, callers, calls, warm_up, hold_ms;
    double gap_ms, seconds;
    size_t size;
    const char *function;
} options = {0, 1, 1000, 0, 0, 0.0, 30.0, 1024, "function"};

static char head[512];
static struct iovec request[2];
static size_t request_length;
static struct caller callers[MAX_CALLERS];
static double *times;
static int issued, measured, errors, done;
static double deadline;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void sleep_until(double at_us) {
    struct timespec t = {.tv_sec = (time_t)(at_us / 1e6)};
    t.tv_nsec = (long)((at_us - (double)t.tv_sec * 1e6) * 1e3);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static void make_request(void) {
    size_t size = options.size < 4 ? 4 : options.size;
    char *body = malloc(size + 1);
    if (!body) die("malloc");
    memset(body, 'x', size);
    memcpy(body, "[\"", 2);
    memcpy(body + size - 2, "\"]", 2);
    if (options.hold_ms) {
        char directive[32];
        int n = snprintf(directive, sizeof directive, "hold %d ", options.hold_ms);
        if ((size_t)n + 4 <= size) memcpy(body + 2, directive, (size_t)n);
    }
    int n = snprintf(head, sizeof head,
                     "POST /2015-03-31/functions/%s/invocations HTTP/1.1\r\n"
                     "Host: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     options.function, options.port, size);
    options.size = size;
    request[0] = (struct iovec){head, (size_t)n};
    request[1] = (struct iovec){body, size};
    request_length = (size_t)n + size;
}

static int connect_once(void) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)options.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = (time_t)options.seconds + 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    return -1;
}

static bool open_caller(struct caller *c) {
    c->fd = connect_once();
    if (!c->buffer) {
        c->buffer = malloc(options.size + ROOM);
        if (!c->buffer) die("malloc");
    }
    return c->fd >= 0;
}

/* Send what is left of the request. False: the connection is of no more use. */
static bool send_request(struct caller *c) {
    while (c->sent < request_length) {
        size_t of_head = c->sent < request[0].iov_len ? c->sent : request[0].iov_len;
        size_t of_body = c->sent - of_head;
        struct iovec parts[2] = {
            {(char *)request[0].iov_base + of_head, request[0].iov_len - of_head},
            {(char *)request[1].iov_base + of_body, request[1].iov_len - of_body}};
        ssize_t n = writev(c->fd, parts, 2);
        if (n < 0) return false;
        c->sent += (size_t)n;
    }
    return true;
}

static bool begin(struct caller *c) {
    c->received = c->body_at = c->expected = c->chunk_sum = c->chunk_at = c->sent = 0;
    c->chunked = false, c->status = 0;
    issued++;
    c->started = now_us();
    return send_request(c);
}

static void read_head(struct caller *c) {
    char *end = memmem(c->buffer, c->received, "\r\n\r\n", 4);
    if (!end) return;
    *end = 0;
    c->status = c->received > 12 ? atoi(c->buffer + 9) : 0;
    for (char *line = strstr(c->buffer, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, "content-length:", 15) == 0)
            c->expected = strtoul(line + 15, NULL, 10);
        else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
            c->chunked = true;
    }
    c->body_at = c->chunk_at = (size_t)(end - c->buffer) + 4;
}

/* Walk over the chunks that are complete. True: the last one is here. */
static bool read_chunks(struct caller *c) {
    for (;;) {
        char *line = c->buffer + c->chunk_at;
        char *end = memmem(line, c->received - c->chunk_at, "\r\n", 2);
        if (!end) return false;
        size_t length = strtoul(line, NULL, 16);
        size_t after = (size_t)(end - c->buffer) + 2 + length + 2;
        if (after > c->received) return false;
        c->chunk_sum += length;
        c->chunk_at = after;
        if (!length) return true;
    }
}

static bool is_complete(struct caller *c) {
    if (!c->body_at) read_head(c);
    if (!c->body_at) return false;
    if (c->chunked) return read_chunks(c);
    return c->received >= c->body_at + c->expected;
}

static void finish(struct caller *c) {
    double took = now_us() - c->started;
    size_t length = c->chunked ? c->chunk_sum : c->expected;
    done++;
    if (c->status != 200 || length != options.size) errors++;
    else if (done > options.warm_up) times[measured++] = took;
}

static bool is_over(void) {
    return issued >= options.calls + options.warm_up || now_us() >= deadline;
}

/* Receive once. False: the connection ended before the answer did. */
static bool receive(struct caller *c) {
    size_t room = options.size + ROOM - c->received;
    if (!room) return false;
    ssize_t n = recv(c->fd, c->buffer + c->received, room, options.callers > 1 ? MSG_DONTWAIT : 0);
    if (n <= 0) return n < 0 && errno == EAGAIN && options.callers > 1;
    c->received += (size_t)n;
    return true;
}

static void lose(struct caller *c) {
    done++, errors++;
    close(c->fd);
    c->fd = -1;
}

static void run_one_caller(void) {
    struct caller *c = &callers[0];
    double next = now_us();
    if (!open_caller(c)) die("connect");
    while (!is_over()) {
        if (options.gap_ms > 0) {
            next += options.gap_ms * 1e3;
            if (next < now_us()) next = now_us();
            sleep_until(next);
        }
        bool alive = begin(c);
        while (alive && !is_complete(c)) alive = receive(c);
        if (alive) finish(c);
        else {
            lose(c);
            if (!open_caller(c)) return;
        }
    }
}

static void run_many_callers(void) {
    struct epoll_event events[64];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), in_flight = 0;
    for (int i = 0; i < options.callers && !is_over(); i++) {
        struct caller *c = &callers[i];
        if (!open_caller(c)) die("connect");
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
        if (begin(c)) in_flight++;
        else lose(c);
    }
    while (in_flight) {
        int count = epoll_wait(epoll_fd, events, 64, (int)(options.seconds * 1e3) + 5000);
        if (count == 0) { /* nothing for longer than the limit: all that is in flight is lost */
            errors += in_flight, done += in_flight;
            return;
        }
        for (int i = 0; i < count; i++) {
            struct caller *c = &callers[events[i].data.u32];
            bool alive = receive(c);
            if (alive && !is_complete(c)) continue;
            in_flight--;
            if (!alive) {
                lose(c);
                continue;
            }
            finish(c);
            if (is_over()) continue;
            if (begin(c)) in_flight++;
            else lose(c);
        }
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) {
    if (!measured) return 0;
    int index = (int)(q * measured);
    return times[index < measured ? index : measured - 1];
}

static void report(double seconds) {
    double sum = 0;
    for (int i = 0; i < measured; i++) sum += times[i];
    qsort(times, (size_t)measured, sizeof *times, by_value);
    printf("{\"calls\": %d, \"errors\": %d, \"p50_us\": %.2f, \"p99_us\": %.2f, "
           "\"mean_us\": %.2f, \"per_second\": %.1f, \"seconds\": %.3f}\n",
           measured, errors, quantile(0.5), quantile(0.99), measured ? sum / measured : 0,
           seconds > 0 ? done / seconds : 0, seconds);
}

static int run_load(void) {
    times = malloc(sizeof *times * (size_t)(options.calls + options.warm_up + MAX_CALLERS));
    if (!times) die("malloc");
    double started = now_us();
    deadline = started + options.seconds * 1e6;
    if (options.callers == 1) run_one_caller();
    else run_many_callers();
    report((now_us() - started) / 1e6);
    return 0;
}

static pid_t start_command(char **command) {
    pid_t pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 1), dup2(null, 2);
    signal(SIGPIPE, SIG_DFL);
    execvp(command[0], command);
    _exit(127);
}

static int run_start(char **command) {
    struct caller *c = &callers[0];
    double started = now_us(), accepted = 0;
    pid_t pid = start_command(command);
    if (pid < 0) die("fork");
    deadline = started + options.seconds * 1e6;
    times = malloc(sizeof *times);
    while (!open_caller(c) && now_us() < deadline) sleep_until(now_us() + POLL_NS / 1e3);
    if (c->fd >= 0) {
        accepted = now_us();
        bool alive = begin(c);
        while (alive && !is_complete(c)) alive = receive(c);
        if (alive) finish(c);
        else errors++;
    } else
        errors++;
    double answered = now_us();
    kill(-pid, SIGKILL); /* what it left in other groups ends with it, or by the harness */
    waitpid(pid, NULL, 0);
    printf("{\"errors\": %d, \"accepts_ms\": %.3f, \"answers_ms\": %.3f}\n", errors,
           (accepted - started) / 1e3, (answered - started) / 1e3);
    return 0;
}

static void usage(void) {
    fputs("usage: load [-x] -p PORT [-f FUNCTION] [-n CALLS] [-c CALLERS] [-s BYTES] [-g GAP_MS]\n"
          "            [-w WARM_UP] [-t SECONDS] [-H HOLD_MS] [-- COMMAND [ARGS...]]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv) {
    int option;
    bool starts = false;
    while ((option = getopt(argc, argv, "+xp:f:n:c:s:g:w:t:H:")) != -1) {
        switch (option) {
        case 'x': starts = true; break;
        case 'p': options.port = atoi(optarg); break;
        case 'f': options.function = optarg; break;
        case 'n': options.calls = atoi(optarg); break;
        case 'c': options.callers = atoi(optarg); break;
        case 's': options.size = strtoul(optarg, NULL, 10); break;
        case 'g': options.gap_ms = atof(optarg); break;
        case 'w': options.warm_up = atoi(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'H': options.hold_ms = atoi(optarg); break;
        default: usage();
        }
    }
    if (!options.port || options.calls < 1 || options.callers < 1 ||
        options.callers > MAX_CALLERS || starts != (optind < argc))
        usage();
    signal(SIGPIPE, SIG_IGN);
    make_request();
    return starts ? run_start(argv + optind) : run_load();
}
