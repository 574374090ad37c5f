/* A data directory before the node runs: made, locked, read. */
#include "core/base/memory.h"
#include "core/io/disk.h"
#include "core/node/node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANOTHER "name another data directory (`data`, in nginx `state`)"

static enum hm_status explain(struct hm_buf *error, const char *what, const char *path, int why)
{
    hm_buf_printf(error, "cannot %s %s: %s; ", what, path, strerror(why));
    if (why == EACCES || why == EPERM) {
        hm_buf_printf(error, "let this user (uid %u) do so, or ", (unsigned)geteuid());
    } else if (why == ENOSPC || why == EDQUOT) {
        hm_buf_append_text(error, "make room there, or ");
    }
    hm_buf_append_text(error, ANOTHER);
    return why == EACCES || why == EPERM ? HM_DENIED : HM_IO;
}

static enum hm_status make(const char *directory, struct hm_buf *error)
{
    struct hm_buf path = {0};
    enum hm_status status = HM_OK;
    for (size_t i = 1; status == HM_OK && i <= strlen(directory); i++) {
        if (directory[i] != '/' && directory[i] != 0) {
            continue;
        }
        hm_buf_clear(&path);
        hm_buf_append(&path, directory, i);
        hm_put_u8(&path, 0);
        if (mkdir((char *)path.data, directory[i] ? 0755 : 0700) != 0 && errno != EEXIST) {
            status = explain(error, "make the directory", (char *)path.data, errno);
        }
    }
    hm_buf_fini(&path);
    return status;
}

enum hm_status hm_disk_lock(const char *directory, int *lock, struct hm_buf *error)
{
    struct stat about;
    if (stat(directory, &about) != 0) {
        enum hm_status status = make(directory, error);
        if (status != HM_OK) {
            return status;
        }
    }
    int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) {
        return explain(error, "open the data directory", directory, errno);
    }
    int fd = openat(at, HM_DISK_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int why = errno;
    close(at);
    if (fd < 0) {
        return explain(error, "write in the data directory", directory, why);
    }
    char text[32] = {0};
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t size = pread(fd, text, sizeof text - 1, 0);
        text[size > 0 ? strspn(text, "0123456789") : 0] = 0;
        hm_buf_printf(error, "another hivemind (pid %s) uses %s; stop it, or " ANOTHER,
                      text[0] ? text : "unknown", directory);
        close(fd);
        return HM_BUSY;
    }
    int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        why = errno;
        close(fd);
        return explain(error, "write in the data directory", directory, why);
    }
    *lock = fd;
    return HM_OK;
}

/* Appends a whole file, which is durable then: what a process wrote just before it was killed is
 * there to read, but a power cut could still take it. False with errno when that cannot be done. */
static bool read_file(int at, const char *name, struct hm_buf *out)
{
    struct stat about;
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    bool good = fstat(fd, &about) == 0 && fsync(fd) == 0;
    uint8_t *into = good ? hm_buf_extend(out, (size_t)about.st_size) : NULL;
    size_t done = 0;
    while (good && done < out->size) {
        ssize_t got = read(fd, into + done, out->size - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        good = got >= 0;
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
    }
    int why = errno;
    out->size = done;
    close(fd);
    errno = why;
    return good;
}

static bool is_leftover(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".new") == 0;
}

enum hm_status hm_disk_load(const char *directory, struct hm_disk_file **files, size_t *count,
                            struct hm_buf *error)
{
    struct hm_disk_file *found = NULL;
    size_t found_count = 0;
    size_t capacity = 0;
    enum hm_status status = HM_OK;
    DIR *listing = opendir(directory);
    if (listing == NULL) {
        return explain(error, "read the data directory", directory, errno);
    }
    for (struct dirent *entry; status == HM_OK && (entry = readdir(listing)) != NULL;) {
        const char *name = entry->d_name;
        struct stat about;
        struct hm_buf content = {0};
        if (fstatat(dirfd(listing), name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(about.st_mode) || strcmp(name, HM_DISK_LOCK_FILE) == 0 ||
            strlen(name) >= HM_DISK_FILE_BYTES_MAX) {
            continue;
        }
        if (is_leftover(name)) {
            unlinkat(dirfd(listing), name, 0);
            continue;
        }
        if (!read_file(dirfd(listing), name, &content)) {
            hm_buf_printf(error, "in %s: ", directory);
            status = explain(error, "read", name, errno);
            hm_buf_fini(&content);
            break;
        }
        found = hm_grow(found, found_count, &capacity, sizeof *found);
        memset(&found[found_count], 0, sizeof *found);
        memcpy(found[found_count].name, name, strlen(name));
        found[found_count++].content = hm_buf_view(&content);
    }
    closedir(listing);
    if (status != HM_OK) {
        hm_disk_files_free(found, found_count);
        return status;
    }
    *files = found;
    *count = found_count;
    return HM_OK;
}

void hm_disk_files_free(struct hm_disk_file *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hm_bytes_free(files[i].content);
    }
    hm_free(files);
}

/* ---- control data put aside ---- */

static bool is_control_data(const char *name)
{
    return strncmp(name, "journal-", 8) == 0 || strncmp(name, "snapshot-", 9) == 0 ||
           strcmp(name, HM_NODE_FENCED_FILE) == 0;
}

static int make_aside(int from, char name[32])
{
    for (unsigned number = 1; number < 10000; number++) {
        snprintf(name, 32, "aside-%u", number);
        if (mkdirat(from, name, 0700) == 0) {
            return openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (errno != EEXIST) {
            return -1;
        }
    }
    return -1;
}

/* The identity first: a journal without its node is refused at a start, so that a half-done job is
 * seen. What fences comes last. */
static bool move_all(int from, int to)
{
    bool moved = (linkat(from, "identity", from, HM_NODE_REJOIN_FILE, 0) == 0 || errno == ENOENT ||
                  errno == EEXIST) &&
                 fsync(from) == 0 &&
                 (renameat(from, "identity", to, "identity") == 0 || errno == ENOENT) &&
                 fsync(from) == 0;
    int copy = moved ? openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *files = copy >= 0 ? fdopendir(copy) : NULL;
    for (struct dirent *file; files && moved && (file = readdir(files));) {
        if (is_control_data(file->d_name) && strcmp(file->d_name, HM_NODE_FENCED_FILE) != 0) {
            moved = renameat(from, file->d_name, to, file->d_name) == 0;
        }
    }
    if (files) {
        closedir(files);
    }
    moved = moved && files && fsync(to) == 0 && fsync(from) == 0;
    return moved &&
           (renameat(from, HM_NODE_FENCED_FILE, to, HM_NODE_FENCED_FILE) == 0 || errno == ENOENT) &&
           fsync(from) == 0;
}

enum hm_status hm_disk_put_aside(const char *directory, struct hm_buf *where, struct hm_buf *error)
{
    char name[32] = "";
    enum hm_status status = HM_OK;
    int from = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int to = from >= 0 ? make_aside(from, name) : -1;
    if (to < 0) {
        status = explain(error, "make a directory in", directory, errno);
    } else {
        /* Of an earlier time: what this node is now is in its identity. */
        if (faccessat(from, "identity", F_OK, 0) == 0) {
            unlinkat(from, HM_NODE_REJOIN_FILE, 0);
        }
        if (!move_all(from, to)) {
            status = explain(error, "put the control data aside in", directory, errno);
        }
        hm_buf_printf(where, "%s/%s", directory, name);
        close(to);
    }
    if (from >= 0) {
        close(from);
    }
    return status;
}
