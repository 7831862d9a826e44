// Makes many processes cheaply: `herd live N` sleep until killed, `herd zombies N` end and are
// never waited for. Prints `done` when all are there. The children die with their parent.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int live = strcmp(argv[1], "live") == 0;
    for (int i = atoi(argv[2]); i > 0; i--) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            if (!live) _exit(i % 3);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) pause();
        }
    }
    puts("done");
    fflush(stdout);
    for (;;) pause();
}
