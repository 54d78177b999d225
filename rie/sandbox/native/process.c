/* The process that becomes the runtime: its groups, limits, rights, and its exec. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

/* enter DESCRIPTOR, a control group's cgroup.procs */
void enter(char **words)
{
    must((int)write(atoi(words[0]), "0", 1));
}

/* limit RESOURCE MOST, by its number; what is less already stays so */
void limit(char **words)
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
void ignore(char **words)
{
    signal(atoi(words[0]), SIG_IGN);
}

/* out-of-memory-score N */
void out_of_memory_score(char **words)
{
    write_file("/proc/self/oom_score_adj", words[0]);
}

void new_session(char **words)
{
    (void)words;
    must(setsid());
}

/* keep-capabilities MASK, in hexadecimal: none but these can ever be had again */
void keep_capabilities(char **words)
{
    uint64_t kept = strtoull(words[0], NULL, 16);
    for (int each = 0; each < 64; each++)
        if (!(kept >> each & 1) && prctl(PR_CAPBSET_DROP, each, 0, 0, 0) < 0 && errno != EINVAL)
            fail();
}

/* identity UID GID */
void identity(char **words)
{
    gid_t group = (gid_t)strtoul(words[1], NULL, 10);
    uid_t user = (uid_t)strtoul(words[0], NULL, 10);
    must(setgroups(0, NULL));
    must(setresgid(group, group, group));
    must(setresuid(user, user, user));
}

void no_new_privileges(char **words)
{
    (void)words;
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#ifdef NATIVE
#define FIELD(name) (offsetof(struct seccomp_data, name))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE(error) ANSWER(SECCOMP_RET_ERRNO | (error))
#define SKIP_UNLESS(number, steps) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, steps)
#define SKIP_UNLESS_SET(bits, steps) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, steps)

/* In a user namespace of its own a process has every capability, and may mount control groups
 * and loosen its limits. There are none on Lambda. clone3 keeps its flags where no filter can
 * see them: the C library does without it. Other architectures' calls have other numbers. */
static struct sock_filter no_namespaces[] = {
    LOAD(FIELD(arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0),
    REFUSE(ENOSYS),
    LOAD(FIELD(nr)),
#ifdef __x86_64__
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32 */
    REFUSE(ENOSYS),
#endif
    SKIP_UNLESS(SYS_clone3, 1),
    REFUSE(ENOSYS),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 1, 0),
    SKIP_UNLESS(SYS_clone, 3),
    LOAD(FIELD(args[0])),
    SKIP_UNLESS_SET(CLONE_NEWUSER, 1),
    REFUSE(EPERM),
    ANSWER(SECCOMP_RET_ALLOW),
};

/* no-user-namespaces: for whoever cannot get new privileges */
void no_user_namespaces(char **words)
{
    struct sock_fprog program = {
        .len = sizeof no_namespaces / sizeof *no_namespaces,
        .filter = no_namespaces,
    };
    (void)words;
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}
#else
void no_user_namespaces(char **words)
{
    (void)words;
    refuse(ENOSYS);
}
#endif

/* inherit DESCRIPTOR */
void inherit(char **words)
{
    must(fcntl(atoi(words[0]), F_SETFD, 0));
}

/* directory PATH */
void directory(char **words)
{
    must(chdir(words[0]));
}

/* exec FILE ARGUMENT... */
void run(char **words)
{
    umask(users_mask);
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)); /* not before: a change of user clears it */
    must(execv(words[0], words + 1));
}
