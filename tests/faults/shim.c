/* Stands between a process and its disk (LD_PRELOAD): what is done to files under one folder is traced, syncs can be
 * forgotten, calls can be made to fail, and which call is under way can be seen from outside.
 *
 *   DISKSHIM_ROOT     the folder that is watched, as a real path; files that end in -shm are not
 *   DISKSHIM_TRACE    append every change to this file: a Head, a first payload (path or data), a second one (path)
 *   DISKSHIM_CONTROL  a Control, shared with whoever watches
 *   DISKSHIM_FORGET   set: fsync and fdatasync say yes and do nothing
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE, SYNC, RENAME, OPEN, UNLINK, MKDIR, TRUNCATE, LINK, LOOK, OPERATIONS };
enum { INCOMING, OBJECTS, RECORDS_LOG, RECORDS, AUDIT_LOG, AUDIT, CHECKPOINTS, OTHER, KINDS };
enum { FILES = 4096, SHORT = -1, ALL = -1 };

typedef struct {
    int32_t armed;     /* 1: fail once, 2: fail until disarmed */
    int32_t operation; /* which, or ALL that need room */
    int32_t kind;      /* which files, or ALL */
    int32_t countdown; /* this many pass first */
    int32_t error;     /* errno, or SHORT */
    int32_t fired;
    int32_t last; /* the last call that ended: operation * KINDS + kind, or -1 */
    int32_t done[OPERATIONS];
    int32_t active[OPERATIONS * KINDS];
} Control;

typedef struct {
    char operation;
    char created;
    char pad[6];
    int64_t handle;
    int64_t offset;
    int64_t first;
    int64_t second;
} Head;

static struct {
    int64_t handle;
    int kind;
} files[FILES];

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1, forget;
static int64_t handles;
static Control *control;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void start(void) __attribute__((constructor));
static void start(void) {
    const char *path = getenv("DISKSHIM_ROOT");
    if (!path) return;
    const char *shared = getenv("DISKSHIM_CONTROL"), *side = getenv("DISKSHIM_TRACE");
    forget = getenv("DISKSHIM_FORGET") != NULL;
    if (side) {
        int fd = REAL(open)(side, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        trace = fcntl(fd, F_DUPFD_CLOEXEC, 900);
        REAL(close)(fd);
    }
    if (shared) {
        int fd = REAL(open)(shared, O_RDWR | O_CLOEXEC);
        control = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (control == MAP_FAILED) abort();
        REAL(close)(fd);
    }
    root_length = strlen(path);
    memcpy(root, path, root_length + 1);
}

static int watched(const char *path) {
    size_t length = strlen(path);
    if (!root_length || length < root_length || memcmp(path, root, root_length)) return 0;
    if (path[root_length] && path[root_length] != '/') return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static int kind_of(const char *path) {
    const char *inner = path + root_length;
    size_t length = strlen(inner);
    int is_log = length > 4 && !strcmp(inner + length - 4, "-wal");
    if (strstr(inner, "/tmp")) return INCOMING;
    if (strstr(inner, "/objects")) return OBJECTS;
    if (strstr(inner, "/records.db")) return is_log ? RECORDS_LOG : RECORDS;
    if (strstr(inner, "/checkpoints")) return CHECKPOINTS;
    if (strstr(inner, "/audit/")) return is_log ? AUDIT_LOG : AUDIT;
    return OTHER;
}

/* The absolute form of what *at() was given; NULL if it is not watched. */
static const char *inside(int folder, const char *path, char *room) {
    if (!root_length || !path) return NULL;
    if (path[0] != '/') {
        char link[64];
        ssize_t length;
        if (folder == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        length = readlink(link, room, PATH_MAX - 1);
        if (length < 0 || length + strlen(path) + 2 > PATH_MAX) return NULL;
        room[length] = '/';
        strcpy(room + length + 1, path);
        path = room;
    }
    return watched(path) ? path : NULL;
}

static void note(char operation, int created, int64_t handle, int64_t offset, const void *first, size_t first_length,
                 const char *second) {
    if (trace < 0) return;
    size_t second_length = second ? strlen(second) : 0;
    Head head = {operation, created, {0}, handle, offset, first_length, second_length};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)first, first_length}, {(void *)second, second_length}};
    ssize_t wanted = sizeof head + first_length + second_length;
    if (writev(trace, parts, 3) != wanted) abort();
}

static void note_path(char operation, const char *first, const char *second) {
    note(operation, 0, 0, 0, first, strlen(first), second);
}

/* 0: go on; otherwise what to fail with. Every call that begins is ended by end(). */
static int begin(int operation, int kind) {
    if (trace >= 0) pthread_mutex_lock(&order);
    if (!control) return 0;
    __atomic_add_fetch(&control->active[operation * KINDS + kind], 1, __ATOMIC_SEQ_CST);
    int armed = __atomic_load_n(&control->armed, __ATOMIC_SEQ_CST);
    if (!armed) return 0;
    int needs_room = operation == WRITE || operation == OPEN || operation == MKDIR || operation == LINK;
    if (control->operation == ALL ? !needs_room : control->operation != operation) return 0;
    if (control->kind != ALL && control->kind != kind) return 0;
    if (__atomic_fetch_sub(&control->countdown, 1, __ATOMIC_SEQ_CST) > 0) return 0;
    if (armed == 1 && __atomic_exchange_n(&control->armed, 0, __ATOMIC_SEQ_CST) != 1) return 0;
    __atomic_add_fetch(&control->fired, 1, __ATOMIC_SEQ_CST);
    return control->error;
}

static void end(int operation, int kind) {
    int kept = errno;
    if (control) {
        __atomic_add_fetch(&control->done[operation], 1, __ATOMIC_SEQ_CST);
        if (operation != LOOK) __atomic_store_n(&control->last, operation * KINDS + kind, __ATOMIC_SEQ_CST);
        __atomic_sub_fetch(&control->active[operation * KINDS + kind], 1, __ATOMIC_SEQ_CST);
    }
    if (trace >= 0) pthread_mutex_unlock(&order);
    errno = kept;
}

static int failed(int error) {
    errno = error;
    return -1;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *whole = inside(folder, path, room);
    if (!whole) return REAL(openat)(folder, path, flags, mode);
    int kind = kind_of(whole), creating = (flags & O_CREAT) && access(whole, F_OK) != 0;
    int error = begin(creating ? OPEN : LOOK, kind), fd;
    if (error && error != SHORT) {
        fd = failed(error);
    } else {
        fd = REAL(openat)(folder, path, flags, mode);
        if (fd >= 0 && fd < FILES) {
            files[fd].handle = ((int64_t)getpid() << 32) + ++handles;
            files[fd].kind = kind;
            note('O', creating, files[fd].handle, 0, whole, strlen(whole), NULL);
            if ((flags & O_TRUNC) && !creating) note('T', 0, files[fd].handle, 0, NULL, 0, NULL);
        }
    }
    end(creating ? OPEN : LOOK, kind);
    return fd;
}

static mode_t mode_in(int flags, va_list rest) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPENER(name, folder, ...)             \
    int name(__VA_ARGS__, int flags, ...) {   \
        va_list rest;                         \
        va_start(rest, flags);                \
        mode_t mode = mode_in(flags, rest);   \
        va_end(rest);                         \
        return opened(folder, path, flags, mode); \
    }
OPENER(open, AT_FDCWD, const char *path)
OPENER(open64, AT_FDCWD, const char *path)
OPENER(openat, folder, int folder, const char *path)
OPENER(openat64, folder, int folder, const char *path)
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }

int close(int fd) {
    if (fd >= 0 && fd < FILES) files[fd].handle = 0;
    return REAL(close)(fd);
}

static int is_ours(int fd) { return fd >= 0 && fd < FILES && files[fd].handle; }

static ssize_t written(int fd, const void *data, size_t size, int64_t at, int positioned) {
    ssize_t (*put)(int, const void *, size_t) = REAL(write);
    ssize_t (*put_at)(int, const void *, size_t, off64_t) = REAL(pwrite64);
    if (!is_ours(fd)) return positioned ? put_at(fd, data, size, at) : put(fd, data, size);
    int kind = files[fd].kind;
    int error = begin(WRITE, kind);
    ssize_t count;
    if (error && error != SHORT) {
        count = failed(error);
    } else {
        if (error == SHORT && size > 1) size /= 2;
        count = positioned ? put_at(fd, data, size, at) : put(fd, data, size);
        if (count > 0) {
            int64_t offset = positioned ? at : lseek64(fd, 0, SEEK_CUR) - count;
            note('W', 0, files[fd].handle, offset, data, count, NULL);
        }
    }
    end(WRITE, kind);
    return count;
}

ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return written(fd, data, size, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return written(fd, data, size, at, 1); }

static int synced(int fd, int (*sync)(int)) {
    if (!is_ours(fd)) return sync(fd);
    if (forget) return 0;
    int kind = files[fd].kind, error = begin(SYNC, kind), result;
    if (error && error != SHORT) {
        result = failed(error);
    } else {
        result = sync(fd);
        if (!result) note('S', 0, files[fd].handle, 0, NULL, 0, NULL);
    }
    end(SYNC, kind);
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

static int cut(int fd, int64_t size) {
    if (!is_ours(fd)) return REAL(ftruncate64)(fd, size);
    int kind = files[fd].kind, error = begin(TRUNCATE, kind);
    int result = error && error != SHORT ? failed(error) : REAL(ftruncate64)(fd, size);
    if (!result) note('T', 0, files[fd].handle, size, NULL, 0, NULL);
    end(TRUNCATE, kind);
    return result;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

/* One call on names: `act` does it where `whole` is watched and no failure is due. */
#define ON_NAME(operation, letter, whole, second, act)                        \
    do {                                                                      \
        int kind = kind_of(whole), error = begin(operation, kind), result;    \
        result = error && error != SHORT ? failed(error) : (act);             \
        if (!result) note_path(letter, whole, second);                        \
        end(operation, kind);                                                 \
        return result;                                                        \
    } while (0)

int renameat(int from, const char *old, int to, const char *new) {
    char old_room[PATH_MAX], new_room[PATH_MAX];
    const char *source = inside(from, old, old_room), *target = inside(to, new, new_room);
    if (!source || !target) return REAL(renameat)(from, old, to, new);
    ON_NAME(RENAME, 'R', source, target, REAL(renameat)(from, old, to, new));
}

int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    char old_room[PATH_MAX], new_room[PATH_MAX];
    const char *source = inside(from, old, old_room), *target = inside(to, new, new_room);
    if (!source || !target) return REAL(linkat)(from, old, to, new, flags);
    ON_NAME(LINK, 'L', source, target, REAL(linkat)(from, old, to, new, flags));
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int folder, const char *path, int flags) {
    char room[PATH_MAX];
    const char *whole = inside(folder, path, room);
    if (!whole) return REAL(unlinkat)(folder, path, flags);
    ON_NAME(UNLINK, 'U', whole, NULL, REAL(unlinkat)(folder, path, flags));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char room[PATH_MAX];
    const char *whole = inside(folder, path, room);
    if (!whole) return REAL(mkdirat)(folder, path, mode);
    ON_NAME(MKDIR, 'M', whole, NULL, REAL(mkdirat)(folder, path, mode));
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
