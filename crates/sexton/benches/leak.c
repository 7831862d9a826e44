// What the agent is measured on.
//   leak live N     N children that sleep, as on any node
//   leak burst      leaks as fast as it can until fork fails, then prints the milliseconds from
//                   there to the first fork that works again
//   leak rate N     leaks N children a second
//   leak ping SECS  bounces a byte between two processes, prints the median and the 99th
//                   percentile of a round trip in microseconds
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int child(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid > 0;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void ping(double seconds) {
    static double times[2000000];
    int there[2], back[2];
    char byte = 0;
    if (pipe(there) || pipe(back)) exit(1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) {}
        _exit(0);
    }
    int n = 0;
    for (double end = now() + seconds; now() < end && n < 2000000; n++) {
        double begin = now();
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) exit(1);
        times[n] = (now() - begin) * 1e6;
        usleep(200);
    }
    qsort(times, n, sizeof *times, by_value);
    printf("%.1f %.1f\n", times[n / 2], times[n * 99 / 100]);
    fflush(stdout);
    exit(0);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    double number = argc > 2 ? atof(argv[2]) : 0;
    if (!strcmp(what, "live")) {
        for (int i = 0; i < number; i++)
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;) pause();
            }
        puts("done");
        fflush(stdout);
    } else if (!strcmp(what, "burst")) {
        while (child()) {}
        double full = now();
        puts("full");
        fflush(stdout);
        while (!child()) usleep(2000);
        printf("%.0f\n", (now() - full) * 1e3);
        fflush(stdout);
    } else if (!strcmp(what, "rate")) {
        double begin = now();
        for (long started = 0;;) {
            while (started < (now() - begin) * number) started += child();
            usleep(1000);
        }
    } else if (!strcmp(what, "ping")) {
        ping(number);
    } else
        return 2;
    for (;;) pause();
}
