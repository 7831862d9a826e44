// The least that reading every process one by one costs: getdents, and for each entry open,
// read and close of its stat. Prints microseconds and the number of zombies seen.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct entry {
    unsigned long inode;
    long offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

int main(void) {
    static char listing[1 << 16], text[1024];
    char path[300];
    struct timespec begin, end;
    long zombies = 0, n;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int proc = open("/proc", O_RDONLY | O_DIRECTORY);
    while ((n = syscall(SYS_getdents64, proc, listing, sizeof listing)) > 0) {
        for (char *at = listing; at < listing + n; at += ((struct entry *)at)->length) {
            const char *name = ((struct entry *)at)->name;
            if (!isdigit((unsigned char)name[0])) continue;
            size_t length = strlen(name);
            memcpy(path, name, length);
            memcpy(path + length, "/stat", 6);
            int stat = openat(proc, path, O_RDONLY);
            if (stat < 0) continue;
            long size = read(stat, text, sizeof text);
            close(stat);
            if (size <= 0) continue;
            char *bracket = memrchr(text, ')', size);
            zombies += bracket && bracket[2] == 'Z';
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%ld %ld\n",
           (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000, zombies);
}
