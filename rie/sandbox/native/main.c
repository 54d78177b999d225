/* Sets up a process between its spawn and its exec, and stays behind to see it and all its
 * descendants out.
 *
 *     launcher OPERATION [ARGUMENT]... OPERATION [ARGUMENT]...
 *
 * A dumb executor: one operation is one or a few system calls, and plan.py says which, in what
 * order. It exists because posix_spawn and vfork know no namespaces, mounts, control groups or
 * limits, and because Python must not be run between fork and exec of a process with threads.
 *
 * The first operation that fails is told as "F operation errno argument" on the socket that
 * `report` named, and the process ends with 125. Nothing that was done before needs undoing:
 * namespaces, mounts and memberships end with the process.
 *
 * All descriptors above 2 are closed at exec, but for those that `inherit` names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

enum { FAILED = 125, CLOSE_ON_EXEC = 4 };

/* In older headers than the kernels that we run on. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

int report = -1;
int children_file = -1;
const char *operation = "", *about = "";
mode_t users_mask;

_Noreturn void fail(void)
{
    char text[PATH_MAX + 128];
    snprintf(text, sizeof text, "F %s %d %s", operation, errno, about);
    if (report >= 0)
        send(report, text, strlen(text), MSG_NOSIGNAL);
    _exit(FAILED);
}

int must(int result)
{
    if (result < 0)
        fail();
    return result;
}

_Noreturn void refuse(int error)
{
    errno = error;
    fail();
}

void write_file(const char *path, const char *text)
{
    int file = must(open(path, O_WRONLY | O_CLOEXEC));
    must((int)write(file, text, strlen(text)));
    close(file);
}

/* report SOCKET */
static void report_to(char **words)
{
    report = atoi(words[0]);
}

/* announce: tell who this process is, and when it begins to be the runtime, in seconds on the
 * monotonic clock; the kernel adds its id, as the reader knows it */
static void announce(char **words)
{
    char text[64];
    struct timespec now;
    (void)words;
    must(clock_gettime(CLOCK_MONOTONIC, &now));
    snprintf(text, sizeof text, "P %lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
    must((int)send(report, text, strlen(text), MSG_NOSIGNAL));
}

static const struct {
    const char *name;
    int arguments;
    act *perform;
} operations[] = {
    {"announce", 0, announce},
    {"bind", 2, bind_to},
    {"devices", 0, devices},
    {"directory", 1, directory},
    {"enter", 1, enter},
    {"exec", 2, run},
    {"ext4", 2, mount_ext4},
    {"freezer", 4, freezer},
    {"hold", 1, hold},
    {"identity", 2, identity},
    {"ignore", 1, ignore},
    {"inherit", 1, inherit},
    {"ipc-namespace", 0, ipc_namespace},
    {"join", 1, join},
    {"keep-capabilities", 1, keep_capabilities},
    {"kill-group", 1, kill_group_by},
    {"layer", 2, layer},
    {"limit", 2, limit},
    {"listen", 1, listen_at},
    {"make-folder", 1, make_folder},
    {"mount-namespace", 0, mount_namespace},
    {"network-namespace", 0, network_namespace},
    {"new-session", 0, new_session},
    {"no-new-privileges", 0, no_new_privileges},
    {"no-user-namespaces", 0, no_user_namespaces},
    {"out-of-memory-score", 1, out_of_memory_score},
    {"overlay", 2, mount_overlay},
    {"process-namespace", 0, process_namespace},
    {"read-only", 1, read_only},
    {"remove", 2, remove_at_end},
    {"replace", 2, replace},
    {"report", 1, report_to},
    {"seal", 1, seal},
    {"send-namespaces", 0, send_namespaces},
    {"shadow", 1, shadow},
    {"show", 0, show},
    {"supervise", 1, supervise},
    {"tmpfs", 2, mount_tmpfs},
    {"unmount", 1, unmount},
    {"user-namespace", 4, user_namespace},
};

static int perform(char **words, int left)
{
    operation = words[0];
    about = "";
    for (size_t each = 0; each < sizeof operations / sizeof *operations; each++) {
        if (strcmp(operations[each].name, words[0]))
            continue;
        if (operations[each].arguments >= left)
            refuse(EINVAL);
        if (operations[each].arguments)
            about = words[1];
        operations[each].perform(words + 1);
        return 1 + operations[each].arguments;
    }
    refuse(ENOSYS);
}

int main(int count, char **words)
{
    char path[64];
    syscall(SYS_close_range, 3, ~0U, CLOSE_ON_EXEC);
    users_mask = umask(022);
    /* Opened here: in the mount namespace that is joined, /proc is another's. */
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    children_file = open(path, O_RDONLY | O_CLOEXEC);
    for (int next = 1; next < count;)
        next += perform(words + next, count - next);
    return 0;
}
