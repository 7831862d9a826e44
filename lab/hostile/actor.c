// A process in a container that means harm. `actor KIND [ARGUMENT]` leaves three zombies, does what
// KIND says, prints "ready KIND" and stays. `actor all DIR` does all of them at once, each in a
// process of its own, DIR being a folder that it may write to.
//
// Nothing here needs a capability: whatever a pod may run, may do this.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PR_SET_MM_MAP
#include <linux/prctl.h>
#endif

static char self[256];

static void fail(const char *what) {
    fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
    _exit(2);
}

// At a limit a fork may fail; a hostile program tries again.
static pid_t child(void) {
    for (;;) {
        pid_t pid = fork();
        if (pid >= 0) return pid;
        usleep(100000);
    }
}

static void leak(int count) {
    for (int i = 0; i < count; i++)
        if (child() == 0) _exit(i & 7);
    usleep(50000);
}

static void ready(const char *kind) {
    printf("ready %s\n", kind);
    fflush(stdout);
}

static void stay(const char *kind) {
    ready(kind);
    for (;;) pause();
}

// The command line becomes MIB megabytes of memory that was never touched.
static void huge_command_line(unsigned long mib) {
    size_t size = mib << 20;
    char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED) fail("mmap");
    char text[4096];
    int fd = open("/proc/self/stat", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) fail("stat");
    text[length] = 0;
    // proc_pid_stat(5): start_code is field 26, 24 fields after the name.
    char *at = strrchr(text, ')') + 2;
    unsigned long value[60] = {0};
    int count = 3;
    for (char *word = strtok(at, " "); word && count < 60; word = strtok(NULL, " "))
        value[count++] = strtoul(word, NULL, 10);
    unsigned long heap = (unsigned long)sbrk(0);
    struct prctl_mm_map map = {
        .start_code = value[26], .end_code = value[27], .start_data = value[45], .end_data = value[46],
        .start_brk = value[47], .brk = heap, .start_stack = value[28],
        .arg_start = (unsigned long)area, .arg_end = (unsigned long)area + size,
        .env_start = (unsigned long)area, .env_end = (unsigned long)area + size,
        .auxv = NULL, .auxv_size = 0, .exe_fd = (__u32)-1,
    };
    if (prctl(PR_SET_MM, PR_SET_MM_MAP, (unsigned long)&map, sizeof map, 0) != 0) fail("PR_SET_MM_MAP");
    // What the kernel shows must not end in NUL, else it is taken for the old form.
    area[size - 1] = 'x';
}

// Itself again, with so many empty arguments.
static void many_arguments(char *kind, int count) {
    char **arguments = calloc(count + 3, sizeof *arguments);
    arguments[0] = self;
    arguments[1] = kind;
    for (int i = 2; i < count + 2; i++) arguments[i] = "";
    execv(self, arguments);
    fail("exec");
}

static void copy_self(const char *to, off_t *size) {
    char block[65536];
    ssize_t length;
    int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0755);
    if (in < 0 || out < 0) fail(to);
    *size = 0;
    while ((length = read(in, block, sizeof block)) > 0) {
        if (write(out, block, length) != length) fail(to);
        *size += length;
    }
    close(in);
    close(out);
}

// An executable whose path is longer than a page, started by a relative name.
static void deep_path(const char *dir) {
    char name[201];
    off_t size;
    memset(name, 'd', 200);
    name[200] = 0;
    if (chdir(dir) != 0) fail(dir);
    for (int i = 0; i < 25; i++) {
        if (mkdir(name, 0755) != 0 && errno != EEXIST) fail("mkdir");
        if (chdir(name) != 0) fail("chdir");
    }
    copy_self("deep", &size);
    execl("./deep", "deep", "stay", "deep", NULL);
    fail("exec");
}

// An executable whose section table is 268 MB long, or that has a comment of 64 MiB.
static void lying_elf(const char *dir, int table) {
    char path[4096];
    off_t size;
    snprintf(path, sizeof path, "%s/%s", dir, table ? "table" : "comment");
    copy_self(path, &size);
    int fd = open(path, O_RDWR);
    uint64_t at = (size + 4095) & ~4095ull;
    if (table) {
        uint16_t counts[3] = {65535, 4096, 0};
        if (pwrite(fd, &at, 8, 40) != 8 || pwrite(fd, counts, 6, 58) != 6) fail(path);
        if (ftruncate(fd, at + 65535ull * 4096 + 4096) != 0) fail(path);
    } else {
        // Three sections: none, the names, and the comment behind them.
        unsigned char sections[3 * 64] = {0};
        const char names[] = "\0.shstrtab\0.comment";
        uint32_t name[2] = {1, 11};
        uint64_t place[2][2] = {{at + 192, sizeof names}, {at + 4096, 64u << 20}};
        for (int i = 0; i < 2; i++) {
            memcpy(sections + 64 * (i + 1), &name[i], 4);
            memcpy(sections + 64 * (i + 1) + 24, place[i], 16);
        }
        uint16_t counts[3] = {64, 3, 1};
        if (pwrite(fd, &at, 8, 40) != 8 || pwrite(fd, counts, 6, 58) != 6) fail(path);
        if (pwrite(fd, sections, sizeof sections, at) != sizeof sections) fail(path);
        if (pwrite(fd, names, sizeof names, at + 192) != sizeof names) fail(path);
        if (ftruncate(fd, at + 4096 + (64u << 20)) != 0) fail(path);
    }
    close(fd);
    execl(path, path, "stay", table ? "table" : "comment", NULL);
    fail("exec");
}

// A mapped file whose path is longer than half a page: fewer lines fit into one read of `maps`.
static void long_mapping(const char *dir) {
    char name[251];
    memset(name, 'm', 250);
    name[250] = 0;
    if (chdir(dir) != 0) fail(dir);
    for (int i = 0; i < 14; i++) {
        if (mkdir(name, 0755) != 0 && errno != EEXIST) fail("mkdir");
        if (chdir(name) != 0) fail("chdir");
    }
    int fd = open("mapped", O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, 4096) != 0) fail("mapped");
    if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED) fail("mmap");
}

static struct timespec *timeout;

// Asleep with a time-out that another thread makes absurd after the kernel has read it.
static void *lie_later(void *nothing) {
    (void)nothing;
    usleep(300000);
    timeout->tv_sec = -1;
    timeout->tv_nsec = 4000000000;
    ready("timespec");
    for (;;) pause();
}

static void hostile_timespec(void) {
    pthread_t thread;
    sigset_t set;
    timeout = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    timeout->tv_sec = 100000;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_create(&thread, NULL, lie_later, NULL);
    for (;;) sigtimedwait(&set, NULL, timeout);
}

// A filter of its own that kills it for a wait.
static void own_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_wait4, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("seccomp");
}

static void vdso(int rights) {
    char line[4352];
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start = 0, end = 0;
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "[vdso]")) sscanf(line, "%lx-%lx", &start, &end);
    if (maps) fclose(maps);
    if (!start || mprotect((void *)start, end - start, rights) != 0) fail("vdso");
}

// Blocked in a call that is never interrupted for a visit; it uses no processor.
static void blocked(void) {
    int ends[2];
    char block[4096] = {0};
    if (pipe(ends) != 0) fail("pipe");
    ready("blocked");
    for (;;)
        if (write(ends[1], block, sizeof block) < 0 && errno != EINTR) fail("write");
}

static const char *NAMES[] = {
    "<script>x</script>", "\x1b[2J\x1b]0;x\a", "\xff\xfe\x80(a) Z 1 1 1", "a\nState:\tZ", "\"},{\"x\":\"",
    "../../../../x", "$(reboot)`x`", "\xe2\x80\xae" "evil", ") Z 0 0 0 0", "kubelet",
};
enum { NAME_COUNT = sizeof NAMES / sizeof *NAMES };

static void *idle(void *nothing) {
    (void)nothing;
    prctl(PR_SET_NAME, "\x1b[31mthread", 0, 0, 0);
    usleep(15000);
    return NULL;
}

// Comes, rewrites its names, churns threads, leaves a zombie behind, becomes itself again under
// another command line, and dies after a while.
static void churn(int round, int lives) {
    char command[512];
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        prctl(PR_SET_NAME, NAMES[(round + i) % NAME_COUNT], 0, 0, 0);
        if (pthread_create(&thread, NULL, idle, NULL) == 0) pthread_detach(thread);
        usleep(20000);
    }
    if (lives == 0) _exit(round & 127);
    if (child() == 0) _exit(0);
    snprintf(command, sizeof command, "%s %s %s", NAMES[round % NAME_COUNT],
             NAMES[(round + 3) % NAME_COUNT], NAMES[(round + 7) % NAME_COUNT]);
    char next[16], left[16];
    snprintf(next, sizeof next, "%d", round + 1);
    snprintf(left, sizeof left, "%d", lives - 1);
    execl(self, command, "churn", next, left, NULL);
    _exit(1);
}

// Keeps some of them going for ever; its own children it waits for, mostly.
static void churners(int count) {
    int round = 0;
    signal(SIGCHLD, SIG_DFL);
    for (int i = 0; i < count; i++)
        if (child() == 0) churn(i, 10);
    ready("churn");
    for (;;) {
        int status;
        // One in eight is left to be somebody else's work.
        if (round % 8 == 7) {
            usleep(100000);
        } else if (waitpid(-1, &status, 0) < 0) {
            usleep(100000);
        }
        round++;
        if (child() == 0) churn(round, 10);
    }
}

static void be(char *kind, char *argument) {
    if (!strcmp(kind, "exe")) deep_path(argument);
    if (!strcmp(kind, "table")) lying_elf(argument, 1);
    if (!strcmp(kind, "comment")) lying_elf(argument, 0);
    if (!strcmp(kind, "arguments")) many_arguments("stay-arguments", 200000);
    if (!strcmp(kind, "churn")) churners(6);
    leak(3);
    if (!strcmp(kind, "cmdline")) huge_command_line(argument ? strtoul(argument, NULL, 10) : 400);
    else if (!strcmp(kind, "maps")) long_mapping(argument);
    else if (!strcmp(kind, "timespec")) hostile_timespec();
    else if (!strcmp(kind, "filter")) own_filter();
    else if (!strcmp(kind, "vdso-none")) vdso(PROT_NONE);
    else if (!strcmp(kind, "vdso-read")) vdso(PROT_READ);
    else if (!strcmp(kind, "blocked")) blocked();
    else if (!strcmp(kind, "name")) prctl(PR_SET_NAME, argument, 0, 0, 0);
    else if (strcmp(kind, "plain")) { errno = EINVAL; fail(kind); }
    stay(kind);
}

static void all(char *dir) {
    char *alone[][2] = {
        {"cmdline", "400"}, {"arguments", NULL}, {"exe", dir}, {"table", dir}, {"comment", dir},
        {"maps", dir}, {"timespec", NULL}, {"filter", NULL}, {"vdso-none", NULL}, {"vdso-read", NULL},
        {"blocked", NULL}, {"blocked", NULL}, {"blocked", NULL}, {"blocked", NULL},
        {"name", "containerd-shim"}, {"name", "sexton"}, {"churn", NULL},
    };
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        if (child() == 0) be(alone[i][0], alone[i][1]);
    stay("all");
}

int main(int count, char **argument) {
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) self[length] = 0;
    if (count < 2) return 2;
    if (!strcmp(argument[1], "stay") || !strcmp(argument[1], "stay-arguments")) {
        leak(3);
        stay(count > 2 && *argument[2] ? argument[2] : "arguments");
    }
    if (!strcmp(argument[1], "churn") && count == 4) churn(atoi(argument[2]), atoi(argument[3]));
    if (!strcmp(argument[1], "all")) all(argument[2]);
    be(argument[1], count > 2 ? argument[2] : NULL);
}
