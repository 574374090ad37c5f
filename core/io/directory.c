/* A data directory before the node runs: made, locked, read. */
#include "core/base/memory.h"
#include "core/io/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static enum hm_status explain(struct hm_buf *error, const char *what, const char *path, int why)
{
    hm_buf_printf(error, "cannot %s %s: %s", what, path, strerror(why));
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
        hm_buf_printf(error, "another hivemind (pid %s) uses %s", text[0] ? text : "unknown",
                      directory);
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

/* Appends a whole file; false with errno when it cannot be read. */
static bool read_file(int at, const char *name, struct hm_buf *out)
{
    struct stat about;
    int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    bool good = fstat(fd, &about) == 0;
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
