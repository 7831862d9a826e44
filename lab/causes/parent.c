/* A parent that fails to wait in one of several ways: `parent MODE NAME COUNT`.
 *
 * Its children end at once under the name NAME. When they are there to be seen it sleeps. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *name;
static int count;

static void end(void)
{
    prctl(PR_SET_NAME, name);
    _exit(0);
}

static void own(void)
{
    for (int i = 0; i < count; i++)
        if (fork() == 0)
            end();
}

/* Children of a child that ends first, so that they come to us; we wait for that child. In a
 * session of their own as with daemon(3), or in ours. */
static void orphans(int new_session)
{
    for (int i = 0; i < count; i++) {
        pid_t between = fork();
        if (between == 0) {
            if (new_session)
                setsid();
            if (fork() == 0) {
                usleep(100000);
                end();
            }
            _exit(0);
        }
        waitpid(between, NULL, 0);
    }
}

static void wait_once(int sig)
{
    (void)sig;
    wait(NULL);
}

/* Until all children have ended. They are not waited for, so this is a guess, and tests look. */
static void all_ended(void)
{
    usleep(300000);
}

int main(int argc, char **argv)
{
    const char *mode = argv[argc > 1 ? 1 : 0];
    sigset_t chld;

    name = argc > 2 ? argv[2] : "child";
    count = argc > 3 ? atoi(argv[3]) : 5;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    if (!strcmp(mode, "own")) {
        own();
    } else if (!strcmp(mode, "orphans")) {
        orphans(0);
    } else if (!strcmp(mode, "daemons")) {
        orphans(1);
    } else if (!strcmp(mode, "subreaper")) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        orphans(1);
    } else if (!strcmp(mode, "some")) {
        pid_t waited_for = fork();
        if (waited_for == 0)
            _exit(0);
        waitpid(waited_for, NULL, 0);
        own();
    } else if (!strcmp(mode, "handler")) {
        /* The signals merge while they are blocked. */
        signal(SIGCHLD, wait_once);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        own();
        all_ended();
        sigprocmask(SIG_UNBLOCK, &chld, NULL);
    } else if (!strcmp(mode, "blocked")) {
        signal(SIGCHLD, wait_once);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        own();
    } else if (!strcmp(mode, "ignored")) {
        own();
        all_ended();
        signal(SIGCHLD, SIG_IGN);
    } else if (!strcmp(mode, "vfork")) {
        own();
        if (vfork() == 0) {
            sleep(1000);
            _exit(0);
        }
    } else if (strcmp(mode, "idle")) {
        fprintf(stderr, "%s: what is `%s`?\n", argv[0], mode);
        return 2;
    }
    for (;;)
        pause();
}
