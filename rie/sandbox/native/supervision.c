/* The supervisor: stays behind, tells how the runtime ended, and ends all that came of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

enum { MOST_REMOVED = 8 };

/* What the supervisor needs in order to kill, and to leave nothing behind. */
static int kill_file = -1, freezer_file = -1, members_file = -1;
static const char *to_freeze, *to_thaw;
static int namespaced;
static struct { int folder; const char *name; } removed[MOST_REMOVED];
static int removed_count;

static void close_standard_streams(void)
{
    for (int each = 0; each <= 2; each++)
        close(each);
}

static void tell_exit(int control, int status, long most_resident)
{
    char text[64];
    int length = snprintf(text, sizeof text, "X %d %ld", status, most_resident);
    send(control, text, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int watch_children(sigset_t *mask)
{
    sigemptyset(mask);
    sigaddset(mask, SIGCHLD);
    return sigprocmask(SIG_BLOCK, mask, NULL);
}

/* Collect whoever has ended; tell of `first`, the process that all this is about. */
static void collect(int control, pid_t first)
{
    int status;
    struct rusage usage;
    for (pid_t ended; (ended = wait4(-1, &status, WNOHANG, &usage)) > 0;)
        if (ended == first)
            tell_exit(control, status, usage.ru_maxrss);
}

/* The first process of a process namespace: its end is the end of all in it. */
static void be_init(int control, pid_t runtime)
{
    sigset_t mask;
    int ignored;
    watch_children(&mask);
    close(report);
    close_standard_streams();
    for (;;) {
        collect(control, runtime);
        sigwait(&mask, &ignored);
    }
}

static void put(int file, const char *text)
{
    if (file >= 0 && pwrite(file, text, strlen(text), 0) < 0)
        return; /* the group is gone, and with it everybody in it */
}

static int kill_each(const char *numbers)
{
    int count = 0;
    for (char *end;; numbers = end) {
        pid_t each = (pid_t)strtol(numbers, &end, 10);
        if (end == numbers)
            return count;
        if (each > 1 && !kill(each, SIGKILL))
            count++;
    }
}

/* Kill each process that a file of numbers names; return how many could be. */
static int kill_those_in(int file)
{
    char numbers[8192]; /* the kernel gives a page at a time, of whole numbers */
    int count = 0;
    ssize_t length;
    for (off_t at = 0; (length = pread(file, numbers, sizeof numbers - 1, at)) > 0; at += length) {
        numbers[length] = '\0';
        count += kill_each(numbers);
    }
    return count;
}

static void kill_group(void)
{
    if (kill_file >= 0) {
        put(kill_file, "1");
        return;
    }
    if (freezer_file < 0)
        return;
    /* Who stands still cannot have children while the list is gone through. */
    put(freezer_file, to_freeze);
    kill_those_in(members_file); /* once only: cgroup v1 shows the same list again */
    put(freezer_file, to_thaw);
}

/* Kill the children of this process until there are none: to a subreaper the orphans come.
 * Those that may not be killed (they run as somebody else by now) are left. */
static void kill_children(void)
{
    struct timespec pause = {.tv_nsec = 1000000};
    sigset_t mask;
    watch_children(&mask);
    while (kill_those_in(children_file)) {
        sigtimedwait(&mask, NULL, &pause);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

static void remove_groups(void)
{
    for (int each = 0; each < removed_count; each++)
        for (int tries = 0; tries < 100; tries++) {
            struct timespec pause = {.tv_nsec = 1000000};
            if (!unlinkat(removed[each].folder, removed[each].name, AT_REMOVEDIR)
                || errno != EBUSY)
                break;
            nanosleep(&pause, NULL); /* the last of them are on their way out */
        }
}

/* Wait until the socket's other end is closed: all is to end, or the emulator itself has. */
static void stay(int control, pid_t first)
{
    sigset_t mask;
    watch_children(&mask);
    struct pollfd sources[] = {
        {.fd = control, .events = POLLIN},
        {.fd = must(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)), .events = POLLIN},
    };
    for (;;) {
        struct signalfd_siginfo ignored;
        collect(control, first);
        if (poll(sources, 2, -1) < 0 && errno != EINTR)
            return;
        if (read(sources[1].fd, &ignored, sizeof ignored) > 0)
            continue;
        if (sources[0].revents)
            return;
    }
}

static void see_out(int control, pid_t first)
{
    close(report);
    close_standard_streams();
    stay(control, first);
    kill_group();
    kill_children();
    remove_groups();
    _exit(0);
}

/* process-namespace: the child that `supervise` makes is the first in one of its own */
void process_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWPID));
    namespaced = 1;
}

/* What is of the machine, not of a process, cannot be changed from inside, by root neither. */
static void seal_settings(void)
{
    static const char *const settings[] = {
        "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi",
        "/proc/mtrr",
    };
    for (size_t each = 0; each < sizeof settings / sizeof *settings; each++) {
        const char *path = settings[each];
        if (mount(path, path, NULL, MS_BIND, NULL) < 0 && errno == ENOENT)
            continue; /* not on every machine */
        must(mount(NULL, path, NULL,
                   MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    }
}

/* As the first of its namespace, start the second, which goes on; see to the others. */
static void begin_namespace(int control)
{
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    umount2("/proc", MNT_DETACH); /* that of an earlier process namespace */
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    seal_settings();
    pid_t runtime = must(fork());
    if (runtime)
        be_init(control, runtime);
}

/* supervise SOCKET: what follows happens in a child; this process stays to see it out */
void supervise(char **words)
{
    int control = atoi(words[0]);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t child = must(fork());
    if (child)
        see_out(control, child);
    if (namespaced) {
        operation = "process-namespace"; /* what fails there may succeed without */
        begin_namespace(control);
    }
}

/* kill-group DESCRIPTOR, a cgroup.kill */
void kill_group_by(char **words)
{
    kill_file = atoi(words[0]);
}

/* freezer STATE MEMBERS FREEZE THAW: descriptors of a group's files, and the words for it */
void freezer(char **words)
{
    freezer_file = atoi(words[0]);
    members_file = atoi(words[1]);
    to_freeze = words[2];
    to_thaw = words[3];
}

/* remove DESCRIPTOR NAME: a folder to be removed at the end, as nobody else may live to do it */
void remove_at_end(char **words)
{
    if (removed_count == MOST_REMOVED)
        refuse(E2BIG);
    removed[removed_count].folder = atoi(words[0]);
    removed[removed_count++].name = words[1];
}
