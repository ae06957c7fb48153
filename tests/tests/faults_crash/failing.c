/* Lets calls of a hub to its files fail: loaded before the C library by the tests, and by nothing else.
 *
 * What is to fail is said in a page shared with the test: of which kind, with which error, from the how-manieth call below
 * the data directory on, and how many of them. What has gone well, and must be in order for a loss of power to be survived, is
 * written to a log, if the test names one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { NONE, OPEN, WRITE, SYNC, RENAME, LINK, UNLINK, TRUNCATE, MAKE_DIRECTORY, READ };

struct plan {
    uint32_t kind;  /* NONE: nothing fails. */
    uint32_t error; /* 0: half of a write is written. */
    uint32_t first; /* The first call that fails, from 1. */
    uint32_t times; /* How many fail from there. */
    uint32_t seen;  /* Calls of the kind so far. */
    uint32_t hits;  /* Calls that have failed. */
};

static volatile struct plan *plan;
static const char *root;
static int log_file = -1;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("PHASIC_TEST_CALLS");
    root = getenv("PHASIC_TEST_ROOT");
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = file && root ? real(file, O_RDWR) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) plan = page;
    close(fd);
    const char *log = getenv("PHASIC_TEST_LOG");
    if (log) log_file = real(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_wanted(enum kind kind) { return plan && plan->kind == (uint32_t)kind; }

/* Whether this call is to fail. */
static int is_hit(const char *path) {
    size_t length = strlen(root);
    if (!path || strncmp(path, root, length) != 0 || path[length] != '/') return 0;
    uint32_t number = __sync_add_and_fetch(&plan->seen, 1);
    if (number < plan->first || number - plan->first >= plan->times) return 0;
    __sync_add_and_fetch(&plan->hits, 1);
    if (plan->error) errno = (int)plan->error;
    return 1;
}

static int find(int fd, char path[4096]) {
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, 4095);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int is_hit_file(int fd) {
    char path[4096];
    return find(fd, path) && is_hit(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* One line of the log, by one write: what was done to which path, and for links to which other one. */
static void note(const char *what, const char *path, const char *other) {
    char line[3 * 4096];
    if (strncmp(path, root, strlen(root)) != 0) return;
    int length = snprintf(line, sizeof line, "%s %s %s\n", what, path, other);
    int before = errno;
    if (REAL(write)(log_file, line, (size_t)length) != length) abort();
    errno = before;
}

static void note_file(const char *what, int fd) {
    char path[4096];
    if (log_file >= 0 && find(fd, path)) note(what, path, "");
}

#define OPENS(name)                                                      \
    int name(const char *path, int flags, ...) {                         \
        va_list rest;                                                    \
        va_start(rest, flags);                                           \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                    \
        if (is_wanted(OPEN) && is_hit(path)) return -1;                  \
        return REAL(name)(path, flags, mode);                            \
    }
OPENS(open)
OPENS(open64)

#define WRITES(name, declared, ...)                                      \
    ssize_t name declared {                                              \
        if (is_wanted(WRITE) && is_hit_file(fd)) {                       \
            if (plan->error) return -1;                                  \
            count = (count + 1) / 2;                                     \
        }                                                                \
        if (log_file >= 0 && fd != log_file) note_file("write", fd);     \
        return REAL(name)(__VA_ARGS__);                                  \
    }
WRITES(write, (int fd, const void *bytes, size_t count), fd, bytes, count)
WRITES(pwrite, (int fd, const void *bytes, size_t count, off_t at), fd, bytes, count, at)
WRITES(pwrite64, (int fd, const void *bytes, size_t count, off64_t at), fd, bytes, count, at)

#define ON_FILE(type, name, kind, declared, ...)                         \
    type name declared {                                                 \
        if (is_wanted(kind) && is_hit_file(fd)) return -1;               \
        return REAL(name)(__VA_ARGS__);                                  \
    }
ON_FILE(ssize_t, read, READ, (int fd, void *bytes, size_t count), fd, bytes, count)
ON_FILE(ssize_t, pread, READ, (int fd, void *bytes, size_t count, off_t at), fd, bytes, count, at)
ON_FILE(ssize_t, pread64, READ, (int fd, void *bytes, size_t count, off64_t at), fd, bytes, count, at)
#define SYNCS(name)                                                      \
    int name(int fd) {                                                   \
        if (is_wanted(SYNC) && is_hit_file(fd)) return -1;               \
        int result = REAL(name)(fd);                                     \
        if (result == 0) note_file("sync", fd);                          \
        return result;                                                   \
    }
SYNCS(fsync)
SYNCS(fdatasync)
ON_FILE(int, ftruncate, TRUNCATE, (int fd, off_t length), fd, length)
ON_FILE(int, ftruncate64, TRUNCATE, (int fd, off64_t length), fd, length)

#define ON_PATH(name, kind, path, declared, ...)                         \
    int name declared {                                                  \
        if (is_wanted(kind) && is_hit(path)) return -1;                  \
        int result = REAL(name)(__VA_ARGS__);                            \
        if (result == 0 && log_file >= 0 && kind != UNLINK) note(#name, NOTED); \
        return result;                                                   \
    }
#define NOTED from, to
ON_PATH(rename, RENAME, to, (const char *from, const char *to), from, to)
ON_PATH(link, LINK, to, (const char *from, const char *to), from, to)
ON_PATH(linkat, LINK, to, (int one, const char *from, int other, const char *to, int flags), one, from, other, to, flags)
#undef NOTED
#define NOTED path, ""
ON_PATH(unlink, UNLINK, path, (const char *path), path)
ON_PATH(mkdir, MAKE_DIRECTORY, path, (const char *path, mode_t mode), path, mode)
