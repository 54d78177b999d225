/* Namespaces: made, handed to the emulator, which holds them, and joined. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher.h"

enum { MOST_SENT = 8 };

/* What the emulator is given to hold, so that it outlives this process. */
static struct { int file; const char *name; } sent[MOST_SENT];
static int sent_count;

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
void user_namespace(char **words)
{
    must(unshare(CLONE_NEWUSER));
    write_file("/proc/self/setgroups", "deny"); /* without it an ordinary user may map no group */
    map_one("/proc/self/uid_map", words[0], words[1]);
    map_one("/proc/self/gid_map", words[2], words[3]);
    remember(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), "user");
}

void network_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWNET));
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int any = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    must(ioctl(any, SIOCSIFFLAGS, &loopback));
    close(any);
    remember(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "net");
}

/* System V's shared memory, semaphores and queues, and POSIX's queues */
void ipc_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWIPC));
    remember(open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC), "ipc");
}

/* listen PORT, at 127.0.0.1 of the network namespace */
void listen_at(char **words)
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

void mount_namespace(char **words)
{
    (void)words;
    must(unshare(CLONE_NEWNS));
    /* Nothing that is mounted in there is seen outside, nor the other way round. */
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    remember(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "mnt");
}

/* send-namespaces: what was made, as descriptors, their names as the text */
void send_namespaces(char **words)
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
void join(char **words)
{
    must(setns(atoi(words[0]), 0));
}
