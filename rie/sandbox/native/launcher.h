/* What the files of the launcher share: how an operation fails, and which operations there are.
 *
 * main.c says what the launcher is; plan.py which operations are done, in what order.
 */
#pragma once

#include <sys/types.h>

/* The operation that is being done, and with what: for the report should it fail. */
extern const char *operation, *about;

extern int report;         /* a socket: failures, and who will be the runtime; -1 before `report` */
extern mode_t users_mask;  /* the caller's umask, for the runtime; ours is another */
extern int children_file;  /* of /proc, the numbers of this process's children; -1 without */

/* Tell that the operation has failed, errno being why, and end the process. */
_Noreturn void fail(void);
_Noreturn void refuse(int error);

/* Fail where a system call has; else return what it has returned. */
int must(int result);

void write_file(const char *path, const char *text);

typedef void act(char **words);

/* namespaces.c */
act ipc_namespace, join, listen_at, mount_namespace, network_namespace, send_namespaces, user_namespace;

/* files.c */
act bind_to, devices, hold, layer, make_folder, mount_ext4, mount_overlay, mount_tmpfs, read_only, replace, seal, shadow,
    show, unmount;

/* process.c */
act directory, enter, identity, ignore, inherit, keep_capabilities, limit, new_session,
    no_new_privileges, no_user_namespaces, out_of_memory_score, run;

/* supervision.c */
act freezer, kill_group_by, process_namespace, remove_at_end, supervise;
