/* What the function sees of the file system: mounts, in a mount namespace of its own. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher.h"

enum { MOST_HELD = 64 };

/* In older headers than the kernels that we run on. */
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
struct mount_attributes { uint64_t set, clear, propagation, userns; };
enum { ATTRIBUTE_READ_ONLY = 1, WHOLE_TREE = 0x8000 };

/* What was there before a mount covered it. */
static struct { int file; const char *path; } held[MOST_HELD];
static int held_count;

static void make_read_only(const char *path, unsigned int how)
{
    struct mount_attributes attributes = {.set = ATTRIBUTE_READ_ONLY};
    must((int)syscall(SYS_mount_setattr, AT_FDCWD, path, how, &attributes, sizeof attributes));
}

/* read-only PATH, with everything mounted below it */
void read_only(char **words)
{
    make_read_only(words[0], WHOLE_TREE);
}

/* seal PATH: read-only, but not what is mounted below it */
void seal(char **words)
{
    make_read_only(words[0], 0);
}

/* hold PATH: keep it within reach of `show`, whatever is mounted over it */
void hold(char **words)
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
void show(char **words)
{
    (void)words;
    for (int each = 0; each < held_count; each++) {
        about = held[each].path;
        make_parents(held[each].path);
        bind_descriptor(held[each].file, held[each].path);
    }
}

/* bind SOURCE TARGET */
void bind_to(char **words)
{
    about = words[1];
    must(mount(words[0], words[1], NULL, MS_BIND | MS_REC, NULL));
}

/* layer SOURCE TARGET */
void layer(char **words)
{
    bind_to(words);
}

/* overlay TARGET OPTIONS: several folders as one, which nobody can write to */
void mount_overlay(char **words)
{
    must(mount("overlay", words[0], "overlay", MS_NOSUID | MS_NODEV | MS_RDONLY, words[1]));
}

/* unmount PATH: nothing can be mounted on what has been deleted */
void unmount(char **words)
{
    must(umount2(words[0], MNT_DETACH));
}

/* tmpfs PATH OPTIONS */
void mount_tmpfs(char **words)
{
    must(mount("tmpfs", words[0], "tmpfs", MS_NOSUID | MS_NODEV, words[1]));
}

/* ext4 DEVICE PATH: an empty file system of its own for everybody */
void mount_ext4(char **words)
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
void shadow(char **words)
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
void make_folder(char **words)
{
    make_parents(words[0]);
    if (mkdir(words[0], 0755) < 0 && errno != EEXIST)
        fail();
}

/* devices: Lambda's /dev. There is no /dev/shm, so that semaphores fail as they do there. */
void devices(char **words)
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
void replace(char **words)
{
    static const char passing[] = "/dev/.replaced"; /* on a file system of ours */
    int file = must(open(passing, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    must((int)write(file, words[1], strlen(words[1])));
    close(file);
    must(mount(passing, words[0], NULL, MS_BIND, NULL));
    must(mount(NULL, words[0], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL));
    must(unlink(passing));
}
