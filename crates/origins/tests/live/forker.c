/* Forks in two threads, as fast as it can or at a pace, while signals rain, and checks what comes
 * of it. Ends by SIGTERM; exit status 0 where all was as it should be. Prints how many children
 * there were.
 *
 *     forker [MICROSECONDS_BETWEEN_FORKS [SIGNALS]]
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int over, alarms;
static atomic_long children;
static long pace;

static void end(int signal) { (void)signal; over = 1; }
static void rain(int signal) { (void)signal; alarms++; }

static void wrong(const char *what) {
    fprintf(stderr, "wrong: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static void *forks(void *first) {
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    for (unsigned n = (unsigned)(size_t)first; !over; n += 2) {
        int status, expected = n % 100;
        pid_t child = n % 4 < 2 ? fork() : vfork();
        if (child < 0)
            wrong("fork");
        if (!child) {
            if (n % 3)
                _exit(expected);
            execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
            _exit(99);
        }
        if (n % 3 == 0)
            expected = 7;
        /* SA_RESTART is set: nothing may interrupt it. */
        if (waitpid(child, &status, 0) != child)
            wrong("waitpid");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
            wrong("exit status of a child");
        pthread_sigmask(SIG_SETMASK, NULL, &after);
        if (memcmp(&before, &after, sizeof before))
            wrong("signal mask");
        children++;
        if (pace)
            usleep(pace);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = end, .sa_flags = SA_RESTART};
    pthread_t threads[2];
    pace = argc > 1 ? atol(argv[1]) : 0;
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = rain;
    sigaction(SIGALRM, &action, NULL);
    if (argc > 2) {
        struct itimerval often = {{0, 3000}, {0, 3000}};
        setitimer(ITIMER_REAL, &often, NULL);
    }
    for (size_t n = 0; n < 2; n++)
        if (pthread_create(&threads[n], NULL, forks, (void *)n))
            wrong("pthread_create");
    for (int n = 0; n < 2; n++)
        pthread_join(threads[n], NULL);
    if (argc > 2 && !alarms)
        wrong("no signal came");
    printf("%ld\n", children);
    return 0;
}
