/* aws-lambda-rie and rie, as images carry them: starts the interpreter beside it.
 *
 * Variables of the image may concern its own libraries: a LD_PRELOAD made for another libc would
 * end ours before it begins. They are the function's. So each is put aside under another name,
 * and start.py puts it back when the interpreter is loaded: what is started from then on sees it.
 *
 * Signals that end a program wait until then too: the first process of a container loses those
 * that it has no handler for, and would be killed ten seconds later.
 *
 * FOLDER and PYTHON are given by make_folder.py.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASIDE "RIE_ASIDE_"

static const char *const of_the_loader[] = {"LD_", "GLIBC_TUNABLES=", "MALLOC_", "GCONV_PATH=",
                                            "LOCPATH="};

/* -I: no variables PYTHON*, and nothing of the working folder. -S: no site-packages but ours.
 * -X utf8: whatever the locale is, which may not be there. */
static const char *const interpreter[] = {FOLDER "/bin/" PYTHON, "-I", "-S", "-B", "-X", "utf8",
                                          FOLDER "/lib/start.pyc"};
enum { WORDS = sizeof interpreter / sizeof *interpreter };

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(127);
}

static void *memory(size_t size) {
    void *found = malloc(size);
    if (!found)
        fail("memory");
    return found;
}

static int concerns_the_loader(const char *variable) {
    for (size_t i = 0; i < sizeof of_the_loader / sizeof *of_the_loader; i++)
        if (strncmp(variable, of_the_loader[i], strlen(of_the_loader[i])) == 0)
            return 1;
    return 0;
}

static char *put_aside(const char *variable) {
    char *renamed = memory(sizeof ASIDE + strlen(variable));
    strcpy(stpcpy(renamed, ASIDE), variable);
    return renamed;
}

static void hold_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv) {
    int is_rie = strcmp(program_invocation_short_name, "rie") == 0;
    size_t given = argc > 0 ? (size_t)argc : 1;
    const char **words = memory((WORDS + given + 1) * sizeof *words);
    memcpy(words, interpreter, sizeof interpreter);
    words[WORDS] = is_rie ? "rie" : "aws-lambda-rie";
    for (size_t i = 1; i < given; i++)
        words[WORDS + i] = argv[i];
    words[WORDS + given] = NULL;

    for (char **each = environ; *each; each++)
        if (concerns_the_loader(*each))
            *each = put_aside(*each);
    hold_signals();
    execv(interpreter[0], (char *const *)words);
    fail(interpreter[0]);
}
