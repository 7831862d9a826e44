/* A parent that fails to wait in one of several ways: `parent MODE NAME COUNT`.
 *
 * Its children end at once under the name NAME. When they are there to be seen it sleeps. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
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

static void *idle(void *unused)
{
    (void)unused;
    for (;;)
        pause();
}

static void collect(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static void *by_sigwait(void *unused)
{
    sigset_t chld;
    int sig;

    (void)unused;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    while (sigwait(&chld, &sig) == 0)
        collect();
    return NULL;
}

static void *by_signalfd(void *unused)
{
    struct signalfd_siginfo info;
    sigset_t chld;

    (void)unused;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    int fd = signalfd(-1, &chld, SFD_CLOEXEC);
    /* Were it to read at once, it would sometimes be faster than the other thread. */
    usleep(500000);
    while (read(fd, &info, sizeof info) > 0)
        collect();
    return NULL;
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
        for (;;) {
            usleep(100000);
            waited_for = fork();
            if (waited_for == 0)
                _exit(0);
            if (waited_for > 0)
                waitpid(waited_for, NULL, 0);
        }
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
    } else if (!strcmp(mode, "wait-for-one")) {
        pid_t main_child = fork();
        if (main_child == 0)
            for (;;)
                pause();
        orphans(1);
        waitpid(main_child, NULL, 0);
    } else if (!strcmp(mode, "sigwait") || !strcmp(mode, "signalfd")) {
        /* One thread does not block SIGCHLD, and another collects it. */
        pthread_t thread;
        pthread_create(&thread, NULL, idle, NULL);
        sigprocmask(SIG_BLOCK, &chld, NULL);
        pthread_create(&thread, NULL, mode[3] == 'w' ? by_sigwait : by_signalfd, NULL);
        usleep(100000);
        own();
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
