/* Preloaded into a node, this remembers what a power cut would lose: beside the data directory
 * (HIVEMIND_POWER_DATA) lies another (HIVEMIND_POWER_LOST) with what was there before each write
 * and each change of the directory that no fsync has made safe. After the node was killed,
 * power.py takes back any part of that, as a disk without power might have.
 *
 * While there is a file lost/lies syncs do nothing and make nothing safe: a build without fsync.
 *
 * lost/dir          struct change, one after the other: what happened to the directory
 * lost/kept-N       a file that a change took away
 * lost/file-INODE   struct before + bytes, one after the other: what writes went over
 *
 * A record is whole before what it tells of happens; one that a kill has torn is of something that
 * did not happen. All calls are made under one lock. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX    1024
#define SECTOR       512u
#define NAME_BYTES   120u
#define RECORD_MAGIC 0x706f7772u

enum watched { NOTHING, DIRECTORY, REGULAR };

/* `size` bytes of a file from `offset` on as they were, and how long it was. */
struct before {
    uint32_t magic;
    uint32_t reserved;
    uint64_t offset;
    uint64_t size;
    uint64_t file_bytes;
};

enum change_kind { CREATED = 1, RENAMED = 2, REMOVED = 3 };

struct change {
    uint32_t magic;
    uint32_t kind;
    uint64_t kept; /* number of the file that was there under `to`, or was removed; 0: none */
    char from[NAME_BYTES];
    char to[NAME_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t watched[FILES_MAX];
static int lost = -1;
static uint64_t kept_count;

/* ---- what is written down ---- */

__attribute__((noreturn)) static void give_up(const char *what)
{
    fprintf(stderr, "power: %s: %s\n", what, strerror(errno));
    abort();
}

/* False: there is no room, or none of it is watched. */
static bool begin(void)
{
    const char *path = getenv("HIVEMIND_POWER_LOST");
    if (lost < 0 && path && getenv("HIVEMIND_POWER_DATA")) {
        lost = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
        /* Those of an earlier process of this node stay. */
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        kept_count = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    return lost >= 0;
}

/* One write, so that a kill tears nothing but the last record. */
static bool put(const char *name, const void *head, size_t head_bytes, const void *data,
                size_t data_bytes)
{
    int fd = (int)syscall(SYS_openat, lost, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    uint8_t *whole = malloc(head_bytes + data_bytes);
    if (!whole) {
        give_up("malloc");
    }
    memcpy(whole, head, head_bytes);
    if (data_bytes) {
        memcpy(whole + head_bytes, data, data_bytes);
    }
    off_t end = (off_t)syscall(SYS_lseek, fd, 0, SEEK_END);
    ssize_t done = (ssize_t)syscall(SYS_write, fd, whole, head_bytes + data_bytes);
    int error = done < 0 ? errno : ENOSPC;
    bool good = done == (ssize_t)(head_bytes + data_bytes);
    if (!good && syscall(SYS_ftruncate, fd, end) != 0) {
        give_up("cannot take back half a record");
    }
    free(whole);
    syscall(SYS_close, fd);
    errno = good ? errno : error;
    return good;
}

static void undo_name(char out[64], uint64_t inode)
{
    snprintf(out, 64, "file-%llu", (unsigned long long)inode);
}

static void kept_name(char out[64], uint64_t number)
{
    snprintf(out, 64, "kept-%llu", (unsigned long long)number);
}

static enum watched kind_of(int fd)
{
    return fd >= 0 && fd < FILES_MAX ? (enum watched)watched[fd] : NOTHING;
}

/* Remembers what lies in the sectors that a write of `size` at `offset` touches. */
static bool remember(int fd, uint64_t offset, uint64_t size)
{
    struct stat now;
    char name[64];
    if (fstat(fd, &now) != 0) {
        return false;
    }
    uint64_t from = offset / SECTOR * SECTOR;
    uint64_t end = (offset + size + SECTOR - 1) / SECTOR * SECTOR;
    uint64_t old = (uint64_t)now.st_size;
    uint64_t until = end < old ? end : old;
    struct before before = {.magic = RECORD_MAGIC,
                            .offset = from,
                            .size = until > from ? until - from : 0,
                            .file_bytes = old};
    uint8_t *bytes = before.size ? malloc(before.size) : NULL;
    if (before.size && !bytes) {
        give_up("malloc");
    }
    for (uint64_t at = 0; at < before.size;) {
        /* The file may be open for writing only. */
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        ssize_t done =
            (ssize_t)syscall(SYS_pread64, reader, bytes + at, before.size - at, (off_t)(from + at));
        syscall(SYS_close, reader);
        if (done <= 0) {
            give_up("cannot read what is written over");
        }
        at += (uint64_t)done;
    }
    undo_name(name, (uint64_t)now.st_ino);
    bool good = put(name, &before, sizeof before, bytes, before.size);
    free(bytes);
    return good;
}

static void forget_file(uint64_t inode)
{
    char name[64];
    undo_name(name, inode);
    syscall(SYS_unlinkat, lost, name, 0);
}

/* What was changed in the directory is safe: what it took away is gone for good. */
static void forget_changes(void)
{
    struct change change;
    int fd = (int)syscall(SYS_openat, lost, "dir", O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    while (syscall(SYS_read, fd, &change, sizeof change) == (ssize_t)sizeof change) {
        char name[64];
        struct stat file;
        kept_name(name, change.kept);
        if (change.kept && fstatat(lost, name, &file, 0) == 0) {
            syscall(SYS_unlinkat, lost, name, 0);
            if (file.st_nlink == 1) {
                forget_file((uint64_t)file.st_ino);
            }
        }
    }
    if (syscall(SYS_ftruncate, fd, 0) != 0) {
        give_up("cannot forget");
    }
    syscall(SYS_close, fd);
}

static bool note_change(int directory, enum change_kind kind, const char *from, const char *to)
{
    struct change change = {.magic = RECORD_MAGIC, .kind = kind};
    char name[64];
    snprintf(change.from, sizeof change.from, "%s", from);
    snprintf(change.to, sizeof change.to, "%s", to);
    const char *taken = kind == REMOVED ? from : to;
    kept_name(name, kept_count + 1);
    if (kind != CREATED && syscall(SYS_linkat, directory, taken, lost, name, 0) == 0) {
        change.kept = ++kept_count;
    }
    return put("dir", &change, sizeof change, NULL, 0);
}

/* ---- what is watched ---- */

/* What `fd` is: the data directory, a file in it, or nothing of interest. */
static void look(int fd)
{
    const char *data = getenv("HIVEMIND_POWER_DATA");
    char link[64];
    char path[PATH_MAX];
    struct stat now;
    size_t length = strlen(data);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    if (fd >= FILES_MAX) {
        give_up("too many files");
    }
    watched[fd] = NOTHING;
    if (strncmp(path, data, length) == 0 && fstat(fd, &now) == 0) {
        watched[fd] = path[length] == 0 && S_ISDIR(now.st_mode)     ? DIRECTORY
                      : path[length] == '/' && S_ISREG(now.st_mode) ? REGULAR
                                                                    : NOTHING;
    }
}

static int open_at(int directory, const char *name, int flags, mode_t mode)
{
    struct stat before;
    bool inside = kind_of(directory) == DIRECTORY && strchr(name, '/') == NULL;
    bool there = inside && fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
    if (inside && !there && (flags & O_CREAT) && !note_change(directory, CREATED, name, "")) {
        return -1;
    }
    if (inside && there && (flags & O_TRUNC)) {
        int fd = (int)syscall(SYS_openat, directory, name, O_RDWR | O_CLOEXEC, 0);
        bool good = fd >= 0 && remember(fd, 0, (uint64_t)before.st_size);
        syscall(SYS_close, fd);
        if (!good) {
            return -1;
        }
    }
    int fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    if (fd >= 0) {
        look(fd);
    }
    if (fd >= 0 && inside && !there) {
        struct stat now;
        if (fstat(fd, &now) == 0) {
            forget_file((uint64_t)now.st_ino); /* of a file that had this number before */
        }
    }
    return fd;
}

/* ---- the calls, in place of the C library's ---- */

static bool enter(void)
{
    pthread_mutex_lock(&lock);
    return begin();
}

static void leave(void)
{
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
}

static int opened(int directory, const char *name, int flags, mode_t mode)
{
    int fd = enter() ? open_at(directory, name, flags, mode)
                     : (int)syscall(SYS_openat, directory, name, flags, mode);
    leave();
    return fd;
}

static bool has_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

int openat(int directory, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = has_mode(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return opened(directory, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = has_mode(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return opened(AT_FDCWD, name, flags, mode);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t done = -1;
    if (!enter() || kind_of(fd) != REGULAR || remember(fd, (uint64_t)offset, size)) {
        done = (ssize_t)syscall(SYS_pwrite64, fd, data, size, offset);
    }
    leave();
    return done;
}

int ftruncate(int fd, off_t size)
{
    int result = -1;
    struct stat now;
    bool watches = enter() && kind_of(fd) == REGULAR && fstat(fd, &now) == 0;
    uint64_t cut = watches && now.st_size > size ? (uint64_t)(now.st_size - size) : 0;
    if (!watches || remember(fd, (uint64_t)size, cut)) {
        result = (int)syscall(SYS_ftruncate, fd, size);
    }
    leave();
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    int result = -1;
    if (!enter() || kind_of(fd) != REGULAR || remember(fd, (uint64_t)offset, 0)) {
        result = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    }
    leave();
    return result;
}

static int synced(int fd, long call)
{
    struct stat now;
    bool watches = enter() && kind_of(fd) != NOTHING;
    bool lies = watches && syscall(SYS_faccessat, lost, "lies", F_OK) == 0;
    int result = lies ? 0 : (int)syscall(call, fd);
    if (watches && !lies && result == 0) {
        if (kind_of(fd) == DIRECTORY) {
            forget_changes();
        } else if (fstat(fd, &now) == 0) {
            forget_file((uint64_t)now.st_ino);
        }
    }
    leave();
    return result;
}

int fsync(int fd)
{
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, SYS_fdatasync);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    int result = -1;
    if (!enter() || kind_of(to_directory) != DIRECTORY ||
        note_change(to_directory, RENAMED, from, to)) {
        result = (int)syscall(SYS_renameat, from_directory, from, to_directory, to);
    }
    leave();
    return result;
}

int unlinkat(int directory, const char *name, int flags)
{
    int result = -1;
    if (!enter() || kind_of(directory) != DIRECTORY || note_change(directory, REMOVED, name, "")) {
        result = (int)syscall(SYS_unlinkat, directory, name, flags);
    }
    leave();
    return result;
}

/* The names that programs call which are built for files of any size. */
#define SAME(type, name, of, ...) type name(__VA_ARGS__) __attribute__((alias(of)))
SAME(int, openat64, "openat", int, const char *, int, ...);
SAME(int, open64, "open", const char *, int, ...);
SAME(ssize_t, pwrite64, "pwrite", int, const void *, size_t, off_t);
SAME(int, ftruncate64, "ftruncate", int, off_t);
SAME(int, fallocate64, "fallocate", int, int, off_t, off_t);
