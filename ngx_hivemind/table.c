#include "ngx_hivemind/table.h"

#include "core/base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC        "hmtable1"
#define HEADER_BYTES 4096u

/* generation <= writing <= generation + 1. The half of generation g is number g & 1; it is
 * overwritten only for g + 2, so what was read of it is whole while writing < g + 2. */
struct header {
    char magic[8];
    uint64_t half_bytes;
    uint64_t generation; /* atomic: what is shown */
    uint64_t writing;    /* atomic: what is, or was last, being written */
};

static struct header *header_of(const struct hm_table *table)
{
    return (struct header *)(void *)table->map;
}

static uint8_t *half_of(const struct hm_table *table, uint64_t generation)
{
    return table->map + HEADER_BYTES + (generation & 1) * table->half_bytes;
}

static enum hm_status status_of_errno(void)
{
    switch (errno) {
    case ENOENT:
        return HM_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return HM_DENIED;
    case ENOSPC:
    case EDQUOT:
        return HM_NO_SPACE;
    default:
        return HM_IO;
    }
}

static size_t half_bytes_for(size_t bytes)
{
    size_t half = (bytes + 1) / 2;
    return (half + HEADER_BYTES - 1) / HEADER_BYTES * HEADER_BYTES;
}

static enum hm_status map_file(struct hm_table *table, int fd, bool writer)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0) {
        return status_of_errno();
    }
    if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)HEADER_BYTES ||
        (uint64_t)stat.st_size > HM_TABLE_BYTES_MAX + HEADER_BYTES * 3ull) {
        return HM_DAMAGED;
    }
    size_t bytes = (size_t)stat.st_size;
    void *map = mmap(NULL, bytes, writer ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return status_of_errno();
    }
    struct hm_table mapped = {.fd = fd, .map = map, .map_bytes = bytes, .writer = writer};
    struct header header;
    memcpy(&header, map, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0 ||
        header.half_bytes % HEADER_BYTES != 0 || header.half_bytes > bytes ||
        HEADER_BYTES + 2 * header.half_bytes != bytes) {
        munmap(map, bytes);
        return HM_DAMAGED;
    }
    mapped.half_bytes = (size_t)header.half_bytes;
    *table = mapped;
    return HM_OK;
}

static enum hm_status open_table(struct hm_table *table, const char *path, bool writer)
{
    int fd = open(path, (writer ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return status_of_errno();
    }
    enum hm_status status = HM_OK;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (writer && fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        status = errno == EAGAIN || errno == EACCES ? HM_BUSY : status_of_errno();
    }
    if (status == HM_OK) {
        status = map_file(table, fd, writer);
    }
    if (status != HM_OK) {
        close(fd);
    }
    return status;
}

enum hm_status hm_table_open_reader(struct hm_table *table, const char *path)
{
    return open_table(table, path, false);
}

enum hm_status hm_table_open_writer(struct hm_table *table, const char *path)
{
    return open_table(table, path, true);
}

void hm_table_close(struct hm_table *table)
{
    if (table->map) {
        munmap(table->map, table->map_bytes);
        close(table->fd);
    }
    *table = (struct hm_table){.fd = -1};
}

enum hm_status hm_table_publish(struct hm_table *table, const struct hm_draft *draft)
{
    HM_ASSERT(table->writer);
    struct header *header = header_of(table);
    uint64_t next = __atomic_load_n(&header->generation, __ATOMIC_RELAXED) + 1;
    if (hm_table_snapshot_bytes(draft) > table->half_bytes) {
        return HM_TOO_LARGE;
    }
    /* A reader that sees any byte of the new half must also see `writing`, and one that sees the
     * new generation must see the whole half. */
    __atomic_store_n(&header->writing, next, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    enum hm_status status =
        hm_table_snapshot_encode(draft, half_of(table, next), table->half_bytes);
    if (status == HM_OK) {
        __atomic_store_n(&header->generation, next, __ATOMIC_RELEASE);
    }
    return status;
}

bool hm_table_begin(const struct hm_table *table, struct hm_table_reading *reading)
{
    uint64_t generation = hm_table_generation(table);
    reading->generation = generation;
    return hm_table_view_open(&reading->view, half_of(table, generation), table->half_bytes);
}

bool hm_table_end(const struct hm_table *table, const struct hm_table_reading *reading)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t writing = __atomic_load_n(&header_of(table)->writing, __ATOMIC_RELAXED);
    return writing - reading->generation < 2;
}

uint64_t hm_table_generation(const struct hm_table *table)
{
    return __atomic_load_n(&header_of(table)->generation, __ATOMIC_ACQUIRE);
}

size_t hm_table_capacity(const struct hm_table *table)
{
    return table->half_bytes;
}

/* The newest sound half of a table that may have a live writer; NULL when there is none. */
static const uint8_t *sound_half(const struct hm_table *table, bool *shown)
{
    struct hm_table_reading reading;
    for (int attempt = 0; attempt < HM_TABLE_ATTEMPTS; attempt++) {
        bool begun = hm_table_begin(table, &reading);
        bool sound = begun && hm_table_snapshot_is_sound(reading.view.data, table->half_bytes);
        if (sound && hm_table_end(table, &reading)) {
            *shown = true;
            return reading.view.data;
        }
    }
    *shown = false;
    const uint8_t *other = half_of(table, hm_table_generation(table) + 1);
    return hm_table_snapshot_is_sound(other, table->half_bytes) ? other : NULL;
}

/* Fills the new file; `from` is the snapshot that it starts with, or NULL. */
static enum hm_status fill_file(int fd, size_t half, const uint8_t *from, size_t used)
{
    size_t bytes = HEADER_BYTES + 2 * half;
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error != 0) {
        errno = error;
        return status_of_errno();
    }
    uint8_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return status_of_errno();
    }
    if (from) {
        memcpy(map + HEADER_BYTES, from, used);
    } else {
        enum hm_status status =
            hm_table_snapshot_encode(&(struct hm_draft){0}, map + HEADER_BYTES, half);
        HM_ASSERT(status == HM_OK);
    }
    struct header header = {.half_bytes = half};
    memcpy(header.magic, MAGIC, sizeof header.magic);
    memcpy(map, &header, sizeof header);
    int synced = msync(map, bytes, MS_SYNC);
    munmap(map, bytes);
    return synced == 0 ? HM_OK : status_of_errno();
}

static enum hm_status replace_file(const char *path, size_t half, const uint8_t *from, size_t used,
                                   uid_t owner, gid_t group)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside) {
        errno = ENAMETOOLONG;
        return HM_IO;
    }
    if (unlink(beside) != 0 && errno != ENOENT) {
        return status_of_errno();
    }
    int fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return status_of_errno();
    }
    enum hm_status status = fill_file(fd, half, from, used);
    if (status == HM_OK && (fchown(fd, owner, group) != 0 || rename(beside, path) != 0)) {
        status = status_of_errno();
    }
    if (status != HM_OK) {
        int error = errno;
        unlink(beside);
        errno = error;
    }
    close(fd);
    return status;
}

enum hm_status hm_table_prepare(const char *path, size_t bytes, uid_t owner, gid_t group,
                                enum hm_table_found *found)
{
    if (bytes < HM_TABLE_BYTES_MIN || bytes > HM_TABLE_BYTES_MAX) {
        errno = EINVAL;
        return HM_BAD_ARGUMENT;
    }
    size_t half = half_bytes_for(bytes);
    struct hm_table old = {.fd = -1};
    enum hm_status status = hm_table_open_reader(&old, path);
    if (status != HM_OK && status != HM_NOT_FOUND && status != HM_DAMAGED) {
        return status;
    }
    enum hm_table_found what = status == HM_NOT_FOUND ? HM_TABLE_CREATED : HM_TABLE_RENEWED;
    const uint8_t *from = NULL;
    size_t used = 0;
    if (status == HM_OK) {
        bool shown = false;
        from = sound_half(&old, &shown);
        used = from ? hm_table_snapshot_used(from, old.half_bytes) : 0;
        if (from) {
            what = !shown                   ? HM_TABLE_RESTORED
                   : old.half_bytes == half ? HM_TABLE_KEPT
                                            : HM_TABLE_RESIZED;
        }
    }
    status = HM_OK;
    if (used > half) {
        errno = EFBIG;
        status = HM_TOO_LARGE;
    } else if (what == HM_TABLE_KEPT) {
        status = fchown(old.fd, owner, group) == 0 ? HM_OK : status_of_errno();
    } else {
        status = replace_file(path, half, from, used, owner, group);
    }
    hm_table_close(&old);
    if (status == HM_OK) {
        *found = what;
    }
    return status;
}
