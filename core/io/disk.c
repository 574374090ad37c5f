#include "core/io/disk.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIME_BUCKETS     256u /* eight for every doubling, from 1 us */
#define TIMES_MAX        512u /* then all that came before counts half */
#define ZERO_BYTES       (256u << 10)
#define TEMPORARY_SUFFIX ".new"
#define PATH_BYTES       (HM_DISK_FILE_BYTES_MAX + sizeof TEMPORARY_SUFFIX)

/* A batch on its way: first to the thread, then back. */
struct batch {
    struct batch *next;
    uint64_t number;
    uint64_t sync_ns;  /* the longest sync of it; 0: it has none */
    uint64_t failures; /* that `done` had told of when it was submitted */
    enum hm_status status;
    size_t count;
    struct hm_disk_op *ops; /* with their bytes behind them, in one piece */
};

struct queue {
    struct batch *first;
    struct batch **end; /* where the next one goes; NULL: at first */
};

/* One: more would keep the room of segments that the thread beside has removed. */
struct open_file {
    char name[HM_DISK_FILE_BYTES_MAX];
    int fd; /* 0: none */
};

struct hm_disk {
    uv_async_t *wake;
    void (*done)(void *context, uint64_t number, enum hm_status status);
    void *context;
    bool memory;
    uint64_t failures_told;
    struct hm_disk_times *times;
    uint32_t time_counts[TIME_BUCKETS];
    uint32_t time_count;

    uv_thread_t thread;
    uv_mutex_t mutex; /* over the fields up to the next gap */
    uv_cond_t work;
    struct queue todo;
    struct queue finished;
    bool stop;

    bool started; /* the thread runs: since the first batch, for some disks never have one */

    /* Of the thread alone. */
    int directory;
    struct open_file open;
    uint64_t failures;
    enum hm_status last_failure;
};

static void push(struct queue *queue, struct batch *batch)
{
    batch->next = NULL;
    *(queue->first ? queue->end : &queue->first) = batch;
    queue->end = &batch->next;
}

static struct batch *pop(struct queue *queue)
{
    struct batch *batch = queue->first;
    if (batch != NULL) {
        queue->first = batch->next;
    }
    return batch;
}

/* ---- the thread's side ---- */

static enum hm_status status_of(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return HM_NO_SPACE;
    case EEXIST:
        return HM_EXISTS;
    default:
        return HM_IO;
    }
}

static enum hm_status failed(void)
{
    return status_of(errno);
}

static void close_file(struct hm_disk *disk)
{
    if (disk->open.fd != 0) {
        close(disk->open.fd);
        disk->open.fd = 0;
    }
}

static void close_if(struct hm_disk *disk, const char *name)
{
    if (strcmp(disk->open.name, name) == 0) {
        close_file(disk);
    }
}

/* -1 with errno when it cannot be opened. */
static int open_file(struct hm_disk *disk, const char *name)
{
    if (disk->open.fd != 0 && strcmp(disk->open.name, name) == 0) {
        return disk->open.fd;
    }
    int fd = openat(disk->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -1;
    }
    close_file(disk);
    disk->open.fd = fd;
    snprintf(disk->open.name, sizeof disk->open.name, "%s", name);
    return fd;
}

static enum hm_status write_at(int fd, const uint8_t *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t done = pwrite(fd, data, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? failed() : HM_IO;
        }
        data += done;
        size -= (size_t)done;
        offset += (uint64_t)done;
    }
    return HM_OK;
}

/* Written zeros, not only reserved space: later writes then change no metadata, and fdatasync has
 * nothing but data to wait for. */
static enum hm_status allocate(struct hm_disk *disk, const struct hm_disk_op *op)
{
    static uint8_t zeros[ZERO_BYTES]; /* not const: so it takes no room in the program */
    int fd = openat(disk->directory, op->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failed();
    }
    enum hm_status status = HM_OK;
    if (op->size > 0 && fallocate(fd, 0, 0, (off_t)op->size) != 0 && errno != EOPNOTSUPP) {
        status = failed();
    }
    for (uint64_t at = 0; status == HM_OK && at < op->size;) {
        size_t size = op->size - at < ZERO_BYTES ? (size_t)(op->size - at) : ZERO_BYTES;
        status = write_at(fd, zeros, size, at);
        at += size;
    }
    if (status == HM_OK && (fsync(fd) != 0 || fsync(disk->directory) != 0)) {
        status = failed();
    }
    close(fd);
    if (status != HM_OK) {
        unlinkat(disk->directory, op->file, 0);
    }
    return status;
}

static enum hm_status replace(struct hm_disk *disk, const struct hm_disk_op *op)
{
    char temporary[PATH_BYTES];
    snprintf(temporary, sizeof temporary, "%s" TEMPORARY_SUFFIX, op->file);
    close_if(disk, op->file);
    int fd = openat(disk->directory, temporary,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return failed();
    }
    enum hm_status status = write_at(fd, op->bytes.data, op->bytes.size, 0);
    if (status == HM_OK && fsync(fd) != 0) {
        status = failed();
    }
    if (close(fd) != 0 && status == HM_OK) {
        status = failed();
    }
    if (status == HM_OK && (renameat(disk->directory, temporary, disk->directory, op->file) != 0 ||
                            fsync(disk->directory) != 0)) {
        status = failed();
    }
    if (status != HM_OK) {
        unlinkat(disk->directory, temporary, 0);
    }
    return status;
}

static enum hm_status sync_file(struct hm_disk *disk, const struct hm_disk_op *op, uint64_t *ns)
{
    int fd = open_file(disk, op->file);
    uint64_t start = uv_hrtime();
    if (fd < 0 || fdatasync(fd) != 0) {
        return failed();
    }
    uint64_t took = uv_hrtime() - start;
    *ns = took > *ns ? took : *ns;
    return HM_OK;
}

static enum hm_status do_op(struct hm_disk *disk, const struct hm_disk_op *op, uint64_t *sync_ns)
{
    int fd;
    switch (op->kind) {
    case HM_DISK_ALLOCATE:
        return allocate(disk, op);
    case HM_DISK_WRITE:
        fd = open_file(disk, op->file);
        return fd < 0 ? failed() : write_at(fd, op->bytes.data, op->bytes.size, op->offset);
    case HM_DISK_SYNC:
        return sync_file(disk, op, sync_ns);
    case HM_DISK_REPLACE:
        return replace(disk, op);
    case HM_DISK_REMOVE:
        close_if(disk, op->file);
        if (unlinkat(disk->directory, op->file, 0) != 0) {
            return errno == ENOENT ? HM_OK : failed();
        }
        return fsync(disk->directory) != 0 ? failed() : HM_OK;
    }
    HM_ASSERT(op->kind <= HM_DISK_REMOVE);
    return HM_IO;
}

static void do_batch(struct hm_disk *disk, struct batch *batch)
{
    if (batch->failures < disk->failures) {
        batch->status = disk->last_failure;
        disk->failures++;
        return;
    }
    for (size_t i = 0; i < batch->count && batch->status == HM_OK; i++) {
        batch->status = do_op(disk, &batch->ops[i], &batch->sync_ns);
    }
    if (batch->status != HM_OK) {
        disk->failures++;
        disk->last_failure = batch->status;
        close_file(disk);
    }
}

static void run_thread(void *argument)
{
    struct hm_disk *disk = argument;
    uv_mutex_lock(&disk->mutex);
    for (;;) {
        struct batch *batch = pop(&disk->todo);
        if (batch != NULL) {
            uv_mutex_unlock(&disk->mutex);
            do_batch(disk, batch);
            uv_mutex_lock(&disk->mutex);
            push(&disk->finished, batch);
            uv_mutex_unlock(&disk->mutex);
            uv_async_send(disk->wake); /* whom it wakes takes the mutex first */
            uv_mutex_lock(&disk->mutex);
        } else if (disk->stop) {
            break;
        } else {
            uv_cond_wait(&disk->work, &disk->mutex);
        }
    }
    uv_mutex_unlock(&disk->mutex);
}

/* ---- the loop's side ---- */

static uint32_t bucket_of(uint64_t us)
{
    uint32_t octave = 0;
    while (octave < TIME_BUCKETS / 8 - 1 && us >> (octave + 1)) {
        octave++;
    }
    uint64_t eighth = octave < 3 ? us << (3 - octave) : us >> (octave - 3);
    return octave * 8 + (uint32_t)(eighth & 7);
}

/* The upper end of what falls into a bucket. */
static uint64_t bucket_us(uint32_t bucket)
{
    uint64_t eighths = 8 + bucket % 8 + 1;
    uint32_t octave = bucket / 8;
    return octave < 3 ? (eighths + (8u >> octave) - 1) >> (3 - octave) : eighths << (octave - 3);
}

static uint64_t percentile(const struct hm_disk *disk, uint32_t percent)
{
    uint32_t seen = 0;
    uint32_t bucket = 0;
    while (bucket < TIME_BUCKETS - 1 &&
           (seen += disk->time_counts[bucket]) * 100u < disk->time_count * percent) {
        bucket++;
    }
    return bucket_us(bucket);
}

static void note_time(struct hm_disk *disk, uint64_t ns)
{
    if (!disk->times || ns == 0) {
        return;
    }
    if (disk->time_count >= TIMES_MAX) {
        disk->time_count = 0;
        for (size_t i = 0; i < TIME_BUCKETS; i++) {
            disk->time_counts[i] /= 2;
            disk->time_count += disk->time_counts[i];
        }
    }
    disk->time_counts[bucket_of(ns / 1000 ? ns / 1000 : 1)]++;
    disk->time_count++;
    disk->times->p50_us = percentile(disk, 50);
    disk->times->p99_us = percentile(disk, 99);
}

static void on_wake(uv_async_t *wake)
{
    struct hm_disk *disk = wake->data;
    for (;;) {
        uv_mutex_lock(&disk->mutex);
        struct batch *batch = pop(&disk->finished);
        uv_mutex_unlock(&disk->mutex);
        if (batch == NULL) {
            return;
        }
        disk->failures_told += batch->status != HM_OK;
        note_time(disk, batch->sync_ns);
        disk->done(disk->context, batch->number, batch->status);
        hm_free(batch);
    }
}

struct hm_disk *hm_disk_new(uv_loop_t *loop, const char *directory, struct hm_disk_times *times,
                            void (*done)(void *context, uint64_t number, enum hm_status status),
                            void *context)
{
    struct hm_disk *disk = hm_alloc(1, sizeof *disk);
    disk->done = done;
    disk->context = context;
    disk->times = times;
    disk->memory = directory == NULL;
    disk->directory = directory != NULL ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    disk->wake = hm_alloc(1, sizeof *disk->wake);
    HM_ASSERT(uv_async_init(loop, disk->wake, on_wake) == 0);
    disk->wake->data = disk;
    HM_ASSERT(uv_mutex_init(&disk->mutex) == 0 && uv_cond_init(&disk->work) == 0);
    return disk;
}

/* One piece of memory for a batch, its operations and their bytes. */
static struct batch *copy_batch(const struct hm_disk_op *ops, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += ops[i].bytes.size;
    }
    struct batch *batch = hm_alloc(1, sizeof *batch + count * sizeof *ops + bytes);
    batch->count = count;
    batch->ops = (struct hm_disk_op *)(batch + 1);
    uint8_t *into = (uint8_t *)(batch->ops + count);
    for (size_t i = 0; i < count; i++) {
        batch->ops[i] = ops[i];
        batch->ops[i].bytes.data = into;
        if (ops[i].bytes.size > 0) {
            memcpy(into, ops[i].bytes.data, ops[i].bytes.size);
        }
        into += ops[i].bytes.size;
    }
    return batch;
}

void hm_disk_submit(struct hm_disk *disk, const struct hm_disk_op *ops, size_t count,
                    uint64_t number)
{
    struct batch *batch = copy_batch(ops, disk->memory ? 0 : count);
    batch->number = number;
    batch->failures = disk->failures_told;
    uv_mutex_lock(&disk->mutex);
    push(disk->memory ? &disk->finished : &disk->todo, batch);
    uv_mutex_unlock(&disk->mutex);
    uv_cond_signal(&disk->work); /* whom it wakes takes the mutex first */
    if (disk->memory) {
        uv_async_send(disk->wake);
    } else if (!disk->started) {
        HM_ASSERT(uv_thread_create(&disk->thread, run_thread, disk) == 0);
        disk->started = true;
    }
}

static void free_handle(uv_handle_t *handle)
{
    hm_free(handle);
}

void hm_disk_free(struct hm_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    uv_mutex_lock(&disk->mutex);
    disk->stop = true;
    uv_cond_signal(&disk->work);
    uv_mutex_unlock(&disk->mutex);
    if (disk->started) {
        uv_thread_join(&disk->thread);
    }
    for (struct batch *batch; (batch = pop(&disk->finished)) != NULL;) {
        hm_free(batch);
    }
    close_file(disk);
    if (disk->directory >= 0) {
        close(disk->directory);
    }
    uv_mutex_destroy(&disk->mutex);
    uv_cond_destroy(&disk->work);
    uv_close((uv_handle_t *)disk->wake, free_handle);
    hm_free(disk);
}
