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
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILED = 125, MOST_HELD = 64, MOST_REMOVED = 8, MOST_SENT = 4 };

/* In older headers than the kernels that we run on. */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
struct mount_attributes { uint64_t set, clear, propagation, userns; };
enum { ATTRIBUTE_READ_ONLY = 1, WHOLE_TREE = 0x8000, CLOSE_ON_EXEC = 4 };

static int report = -1; /* a socket: failures, and who will be the runtime */
static const char *operation = "", *about = "";
static mode_t users_mask;

/* What the supervisor needs in order to kill, and to leave nothing behind. */
static int kill_file = -1, freezer_file = -1, members_file = -1, children_file = -1;
static int namespaced;
static struct { int folder; const char *name; } removed[MOST_REMOVED];
static int removed_count;

/* What was there before a mount covered it. */
static struct { int file; const char *path; } held[MOST_HELD];
static int held_count;

/* What the emulator is given to hold, so that it outlives this process. */
static struct { int file; const char *name; } sent[MOST_SENT];
static int sent_count;

static void fail(void)
{
    char text[PATH_MAX + 128];
    snprintf(text, sizeof text, "F %s %d %s", operation, errno, about);
    if (report >= 0)
        send(report, text, strlen(text), MSG_NOSIGNAL);
    _exit(FAILED);
}

static int must(int result)
{
    if (result < 0)
        fail();
    return result;
}

static void refuse(int error)
{
    errno = error;
    fail();
}

static void write_file(const char *path, const char *text)
{
    int file = must(open(path, O_WRONLY | O_CLOEXEC));
    must((int)write(file, text, strlen(text)));
    close(file);
}

static void close_standard_streams(void)
{
    for (int each = 0; each <= 2; each++)
        close(each);
}

/* -- namespaces ------------------------------------------------------------------------- */

static void map_one(const char *path, const char *inner, const char *outer)
{
    char line[64];
    snprintf(line, sizeof line, "%s %s 1", inner, outer);
    write_file(path, line);
}

static void remember(int file, const char *name)
{
    if (sent_count == MOST_SENT)
        refuse(E2BIG);
    sent[sent_count].file = must(file);
    sent[sent_count++].name = name;
}

/* user-namespace UID-INSIDE UID GID-INSIDE GID */
static void user_namespace(char **words)
{
    must(unshare(CLONE_NEWUSER));
    write_file("/proc/self/setgroups", "deny"); /* without it an ordinary user may map no group */
    map_one("/proc/self/uid_map", words[0], words[1]);
    map_one("/proc/self/gid_map", words[2], words[3]);
    remember(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), "user");
}

static void network_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWNET));
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int any = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    must(ioctl(any, SIOCSIFFLAGS, &loopback));
    close(any);
    remember(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "net");
}

/* listen PORT, at 127.0.0.1 of the network namespace */
static void listen_at(char **words)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(words[0])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    must(bind(listener, (struct sockaddr *)&address, sizeof address));
    must(listen(listener, SOMAXCONN));
    remember(listener, "listener");
}

static void mount_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWNS));
    /* Nothing that is mounted in there is seen outside, nor the other way round. */
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    remember(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "mnt");
}

/* send-namespaces: what was made, as descriptors, their names as the text */
static void send_namespaces(char **words)
{
    (void)words;
    char names[128] = "N";
    union { char space[CMSG_SPACE(sizeof(int[MOST_SENT]))]; struct cmsghdr aligned; } control;
    size_t size = sizeof(int) * (size_t)sent_count;
    memset(&control, 0, sizeof control);
    for (int each = 0; each < sent_count; each++) {
        strcat(names, " ");
        strcat(names, sent[each].name);
    }
    struct iovec text = {.iov_base = names, .iov_len = strlen(names)};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (sent_count > 0) {
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        for (int each = 0; each < sent_count; each++)
            memcpy(CMSG_DATA(header) + sizeof(int) * (size_t)each, &sent[each].file, sizeof(int));
    }
    must((int)sendmsg(report, &message, MSG_NOSIGNAL));
}

/* join DESCRIPTOR */
static void join(char **words)
{
    must(setns(atoi(words[0]), 0));
}

/* -- files ------------------------------------------------------------------------------ */

static void make_read_only(const char *path, unsigned int how)
{
    struct mount_attributes attributes = {.set = ATTRIBUTE_READ_ONLY};
    must((int)syscall(SYS_mount_setattr, AT_FDCWD, path, how, &attributes, sizeof attributes));
}

/* read-only PATH, with everything mounted below it */
static void read_only(char **words)
{
    make_read_only(words[0], WHOLE_TREE);
}

/* seal PATH: read-only, but not what is mounted below it */
static void seal(char **words)
{
    make_read_only(words[0], 0);
}

/* hold PATH: keep it within reach of `show`, whatever is mounted over it */
static void hold(char **words)
{
    if (held_count == MOST_HELD)
        refuse(E2BIG);
    held[held_count].file = must(open(words[0], O_PATH | O_CLOEXEC));
    held[held_count++].path = words[0];
}

static void make_parents(const char *path)
{
    char part[PATH_MAX];
    if (strlen(path) >= sizeof part)
        refuse(ENAMETOOLONG);
    strcpy(part, path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            fail();
        *slash = '/';
    }
}

/* Bind what `file` stands for (any open descriptor) to `path`, which is made. */
static void bind_descriptor(int file, const char *path)
{
    char source[64];
    struct stat facts;
    must(fstat(file, &facts));
    if (S_ISDIR(facts.st_mode)) {
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            fail();
    } else {
        int made = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        close(must(made));
    }
    snprintf(source, sizeof source, "/proc/self/fd/%d", file);
    must(mount(source, path, NULL, MS_BIND | MS_REC, NULL));
}

/* show: everything that is held, where it was */
static void show(char **words)
{
    (void)words;
    for (int each = 0; each < held_count; each++) {
        about = held[each].path;
        make_parents(held[each].path);
        bind_descriptor(held[each].file, held[each].path);
    }
}

/* bind SOURCE TARGET */
static void bind_to(char **words)
{
    about = words[1];
    must(mount(words[0], words[1], NULL, MS_BIND | MS_REC, NULL));
}

/* tmpfs PATH OPTIONS */
static void mount_tmpfs(char **words)
{
    must(mount("tmpfs", words[0], "tmpfs", MS_NOSUID | MS_NODEV, words[1]));
}

/* ext4 DEVICE PATH: an empty file system of its own for everybody */
static void mount_ext4(char **words)
{
    char found[PATH_MAX];
    about = words[1];
    /* Nobody reads it after a power cut: no need to wait for the disk. */
    must(mount(words[0], words[1], "ext4", MS_NOSUID | MS_NODEV | MS_NOATIME, "nobarrier"));
    must(chmod(words[1], 01777));
    snprintf(found, sizeof found, "%s/lost+found", words[1]);
    rmdir(found); /* mkfs makes it, Lambda has none */
}

static void mirror(int folder, const char *name, const char *path)
{
    char link[PATH_MAX];
    ssize_t length = readlinkat(folder, name, link, sizeof link - 1);
    if (length >= 0) {
        link[length] = '\0';
        must(symlink(link, path));
        return;
    }
    int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return; /* it has gone meanwhile */
    bind_descriptor(must(file), path);
    close(file);
}

/* shadow FOLDER: the same entries in a folder that more can be added to */
static void shadow(char **words)
{
    char path[PATH_MAX];
    int folder = must(open(words[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *entries = fdopendir(dup(folder));
    if (!entries)
        fail();
    must(mount("tmpfs", words[0], "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (snprintf(path, sizeof path, "%s/%s", words[0], entry->d_name) >= (int)sizeof path)
            refuse(ENAMETOOLONG);
        about = path;
        mirror(folder, entry->d_name, path);
    }
    closedir(entries);
    close(folder);
}

/* make-folder PATH */
static void make_folder(char **words)
{
    make_parents(words[0]);
    if (mkdir(words[0], 0755) < 0 && errno != EEXIST)
        fail();
}

/* devices: Lambda's /dev. There is no /dev/shm: semaphores fail with ENOSYS as they do there. */
static void devices(char **words)
{
    static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
    enum { COUNT = sizeof nodes / sizeof *nodes };
    int files[COUNT];
    char path[64];
    (void)words;
    for (int each = 0; each < COUNT; each++) {
        snprintf(path, sizeof path, "/dev/%s", nodes[each]);
        files[each] = open(path, O_PATH | O_CLOEXEC);
    }
    must(mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755"));
    for (int each = 0; each < COUNT; each++) {
        if (files[each] < 0)
            continue;
        snprintf(path, sizeof path, "/dev/%s", nodes[each]);
        bind_descriptor(files[each], path);
        close(files[each]);
    }
    must(symlink("/proc/self/fd", "/dev/fd"));
    must(symlink("/proc/self/fd/0", "/dev/stdin"));
    must(symlink("/proc/self/fd/1", "/dev/stdout"));
    must(symlink("/proc/self/fd/2", "/dev/stderr"));
}

/* replace FILE CONTENT, for whoever is in the mount namespace; after `devices` */
static void replace(char **words)
{
    static const char passing[] = "/dev/.replaced"; /* on a file system of ours */
    int file = must(open(passing, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    must((int)write(file, words[1], strlen(words[1])));
    close(file);
    must(mount(passing, words[0], NULL, MS_BIND, NULL));
    must(mount(NULL, words[0], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL));
    must(unlink(passing));
}

/* -- the process itself ----------------------------------------------------------------- */

/* enter DESCRIPTOR, a control group's cgroup.procs */
static void enter(char **words)
{
    must((int)write(atoi(words[0]), "0", 1));
}

/* limit RESOURCE MOST, by its number; what is less already stays so */
static void limit(char **words)
{
    int resource = atoi(words[0]);
    rlim_t most = strtoull(words[1], NULL, 10);
    struct rlimit now;
    must(getrlimit(resource, &now));
    struct rlimit wanted = {
        .rlim_cur = most < now.rlim_max ? most : now.rlim_max,
        .rlim_max = most < now.rlim_max ? most : now.rlim_max,
    };
    must(setrlimit(resource, &wanted));
}

/* ignore SIGNAL, by its number; the program that is run inherits that */
static void ignore(char **words)
{
    signal(atoi(words[0]), SIG_IGN);
}

/* out-of-memory-score N */
static void out_of_memory_score(char **words)
{
    write_file("/proc/self/oom_score_adj", words[0]);
}

static void new_session(char **words)
{
    (void)words;
    must(setsid());
}

/* keep-capabilities MASK, in hexadecimal: none but these can ever be had again */
static void keep_capabilities(char **words)
{
    uint64_t kept = strtoull(words[0], NULL, 16);
    for (int each = 0; each < 64; each++)
        if (!(kept >> each & 1) && prctl(PR_CAPBSET_DROP, each, 0, 0, 0) < 0 && errno != EINVAL)
            fail();
}

/* identity UID GID */
static void identity(char **words)
{
    gid_t group = (gid_t)strtoul(words[1], NULL, 10);
    uid_t user = (uid_t)strtoul(words[0], NULL, 10);
    must(setgroups(0, NULL));
    must(setresgid(group, group, group));
    must(setresuid(user, user, user));
}

static void no_new_privileges(char **words)
{
    (void)words;
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* inherit DESCRIPTOR */
static void inherit(char **words)
{
    must(fcntl(atoi(words[0]), F_SETFD, 0));
}

/* directory PATH */
static void directory(char **words)
{
    must(chdir(words[0]));
}

/* report SOCKET */
static void report_to(char **words)
{
    report = atoi(words[0]);
}

/* announce: tell who this process is; the kernel adds its id, as the reader knows it */
static void announce(char **words)
{
    (void)words;
    must((int)send(report, "P", 1, MSG_NOSIGNAL));
}

/* -- supervision ------------------------------------------------------------------------ */

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

/* Kill each process that a file of numbers names; return how many could be. */
static int kill_those_in(int file)
{
    static char numbers[1 << 20];
    int count = 0;
    ssize_t length = pread(file, numbers, sizeof numbers - 1, 0);
    if (length <= 0)
        return 0;
    numbers[length] = '\0';
    for (char *next = numbers, *end; ; next = end) {
        pid_t each = (pid_t)strtol(next, &end, 10);
        if (end == next)
            return count;
        if (each > 1 && !kill(each, SIGKILL))
            count++;
    }
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
    put(freezer_file, "FROZEN");
    kill_those_in(members_file);
    put(freezer_file, "THAWED");
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

/* Wait until the emulator says that all is to end, or is itself gone. True: it is gone. */
static int stay(int control, pid_t first)
{
    sigset_t mask;
    char order;
    watch_children(&mask);
    struct pollfd sources[] = {
        {.fd = control, .events = POLLIN},
        {.fd = must(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)), .events = POLLIN},
    };
    for (;;) {
        struct signalfd_siginfo ignored;
        collect(control, first);
        if (poll(sources, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (read(sources[1].fd, &ignored, sizeof ignored) > 0)
            continue;
        if (sources[0].revents)
            return recv(control, &order, 1, MSG_DONTWAIT) <= 0;
    }
}

static void see_out(int control, pid_t first)
{
    close(report);
    close_standard_streams();
    int abandoned = stay(control, first);
    kill_group();
    kill_children();
    if (abandoned)
        remove_groups();
    _exit(0);
}

/* process-namespace: the child that `supervise` makes is the first in one of its own */
static void process_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWPID));
    namespaced = 1;
}

/* As the first of its namespace, start the second, which goes on; see to the others. */
static void begin_namespace(int control)
{
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    umount2("/proc", MNT_DETACH); /* that of an earlier process namespace */
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    pid_t runtime = must(fork());
    if (runtime)
        be_init(control, runtime);
}

/* supervise SOCKET: what follows happens in a child; this process stays to see it out */
static void supervise(char **words)
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
static void kill_group_by(char **words)
{
    kill_file = atoi(words[0]);
}

/* freezer STATE MEMBERS, descriptors of a freezer group's files */
static void freezer(char **words)
{
    freezer_file = atoi(words[0]);
    members_file = atoi(words[1]);
}

/* remove DESCRIPTOR NAME: a folder to be removed if the emulator does not live to do it */
static void remove_at_end(char **words)
{
    if (removed_count == MOST_REMOVED)
        refuse(E2BIG);
    removed[removed_count].folder = atoi(words[0]);
    removed[removed_count++].name = words[1];
}

/* exec FILE ARGUMENT... */
static void run(char **words)
{
    umask(users_mask);
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); /* not before: a change of user clears it */
    must(execv(words[0], words + 1));
}

static const struct {
    const char *name;
    int arguments;
    void (*perform)(char **words);
} operations[] = {
    {"announce", 0, announce},
    {"bind", 2, bind_to},
    {"devices", 0, devices},
    {"directory", 1, directory},
    {"enter", 1, enter},
    {"exec", 2, run},
    {"ext4", 2, mount_ext4},
    {"freezer", 2, freezer},
    {"hold", 1, hold},
    {"identity", 2, identity},
    {"ignore", 1, ignore},
    {"inherit", 1, inherit},
    {"join", 1, join},
    {"keep-capabilities", 1, keep_capabilities},
    {"kill-group", 1, kill_group_by},
    {"limit", 2, limit},
    {"listen", 1, listen_at},
    {"make-folder", 1, make_folder},
    {"mount-namespace", 0, mount_namespace},
    {"network-namespace", 0, network_namespace},
    {"new-session", 0, new_session},
    {"no-new-privileges", 0, no_new_privileges},
    {"out-of-memory-score", 1, out_of_memory_score},
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
    {"user-namespace", 4, user_namespace},
};

static int perform(char **words, int left)
{
    operation = words[0];
    for (size_t each = 0; each < sizeof operations / sizeof *operations; each++) {
        if (strcmp(operations[each].name, words[0]))
            continue;
        if (operations[each].arguments >= left)
            refuse(EINVAL);
        about = operations[each].arguments ? words[1] : "";
        operations[each].perform(words + 1);
        return 1 + operations[each].arguments;
    }
    refuse(ENOSYS);
    return 0;
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
