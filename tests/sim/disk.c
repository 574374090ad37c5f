#include "tests/sim/disk.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>

#define SECTOR_BYTES 512u

void sim_disk_init(struct sim_disk *disk, struct sim_world *world, sim_disk_done *done,
                   void *context)
{
    *disk = (struct sim_disk){
        .world = world, .done = done, .context = context, .latency_min = 0, .latency_max = 4};
}

static void drop_batch(struct sim_batch *batch)
{
    for (size_t i = 0; i < batch->op_count; i++) {
        hm_bytes_free(batch->ops[i].bytes);
    }
    hm_free(batch->ops);
    *batch = (struct sim_batch){0};
}

static void drop_batches(struct sim_disk *disk)
{
    for (size_t i = 0; i < SIM_BATCHES_MAX; i++) {
        drop_batch(&disk->batches[i]);
    }
}

static void drop_file(struct sim_disk *disk, struct sim_file *file)
{
    hm_bytes_free(file->seen.content);
    hm_bytes_free(file->safe);
    *file = disk->files[--disk->file_count];
}

void sim_disk_wipe(struct sim_disk *disk)
{
    drop_batches(disk);
    while (disk->file_count) {
        drop_file(disk, &disk->files[0]);
    }
}

void sim_disk_fini(struct sim_disk *disk)
{
    sim_disk_wipe(disk);
}

static struct sim_file *find(struct sim_disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->file_count; i++) {
        if (strcmp(disk->files[i].seen.name, name) == 0) {
            return &disk->files[i];
        }
    }
    return NULL;
}

static void create(struct sim_disk *disk, const char *name, struct hm_bytes content)
{
    HM_ASSERT(disk->file_count < SIM_FILES_MAX);
    struct sim_file *file = &disk->files[disk->file_count++];
    *file = (struct sim_file){.seen = {.content = hm_bytes_copy(content)},
                              .safe = hm_bytes_copy(content)};
    snprintf(file->seen.name, sizeof file->seen.name, "%s", name);
}

void sim_disk_put_aside(struct sim_disk *disk, const char *kept, const char *name)
{
    struct sim_file *file = find(disk, kept);
    struct hm_bytes content = hm_bytes_copy(file ? file->seen.content : (struct hm_bytes){0});
    bool found = file != NULL;
    sim_disk_wipe(disk);
    if (found) {
        create(disk, name, content);
    }
    hm_bytes_free(content);
}

static void sync_file(struct sim_file *file)
{
    if (file->dirty_start < file->dirty_end) {
        memcpy((uint8_t *)file->safe.data + file->dirty_start,
               file->seen.content.data + file->dirty_start, file->dirty_end - file->dirty_start);
    }
    file->dirty_start = file->dirty_end = 0;
}

static void write_file(struct sim_file *file, size_t offset, struct hm_bytes bytes)
{
    size_t end = offset + bytes.size;
    bool clean = file->dirty_start == file->dirty_end;
    memcpy((uint8_t *)file->seen.content.data + offset, bytes.data, bytes.size);
    file->dirty_start = clean || offset < file->dirty_start ? offset : file->dirty_start;
    file->dirty_end = clean || end > file->dirty_end ? end : file->dirty_end;
}

static enum hm_status apply(struct sim_disk *disk, const struct hm_disk_op *op)
{
    struct sim_file *file = find(disk, op->file);
    switch (op->kind) {
    case HM_DISK_ALLOCATE: {
        HM_ASSERT(file == NULL);
        struct hm_bytes zeros = {hm_alloc(op->size, 1), op->size};
        bool fits = !disk->full;
        zeros.size = fits ? zeros.size : zeros.size / 2;
        create(disk, op->file, zeros);
        hm_bytes_free(zeros);
        return fits ? HM_OK : HM_NO_SPACE;
    }
    case HM_DISK_WRITE:
        HM_ASSERT(file && op->offset + op->bytes.size <= file->seen.content.size);
        write_file(file, (size_t)op->offset, op->bytes);
        return HM_OK;
    case HM_DISK_SYNC:
        HM_ASSERT(file);
        sync_file(file);
        disk->synced++;
        return HM_OK;
    case HM_DISK_REPLACE:
        if (disk->full) {
            return HM_NO_SPACE;
        }
        if (file) {
            drop_file(disk, file);
        }
        create(disk, op->file, op->bytes);
        return HM_OK;
    case HM_DISK_REMOVE:
        if (file) {
            drop_file(disk, file);
        }
        return HM_OK;
    }
    return HM_IO;
}

/* Does the operations until one fails. */
enum hm_status sim_disk_do(struct sim_disk *disk, const struct hm_disk_op *ops, size_t count)
{
    enum hm_status status = HM_OK;
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        status = apply(disk, &ops[i]);
    }
    return status;
}

static void complete(void *context, uint64_t generation, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_disk *disk = context;
    struct sim_batch *batch = &disk->batches[0];
    while (batch->generation != generation) {
        if (++batch == disk->batches + SIM_BATCHES_MAX) {
            return;
        }
    }
    enum hm_status status;
    if (sim_chance(disk->world, disk->error_permille)) {
        status = sim_disk_do(disk, batch->ops, sim_between(disk->world, 0, batch->op_count - 1));
        status = HM_IO;
    } else {
        status = sim_disk_do(disk, batch->ops, batch->op_count);
    }
    uint64_t number = batch->number;
    drop_batch(batch);
    disk->done(disk->context, number, status);
}

void sim_disk_submit(struct sim_disk *disk, const struct hm_disk_op *ops, size_t count,
                     uint64_t number)
{
    struct sim_batch *batch = &disk->batches[0];
    while (batch->ops) {
        HM_ASSERT(++batch < disk->batches + SIM_BATCHES_MAX);
    }
    *batch = (struct sim_batch){.ops = hm_alloc(count + 1, sizeof *ops),
                                .op_count = count,
                                .number = number,
                                .generation = ++disk->generation};
    for (size_t i = 0; i < count; i++) {
        batch->ops[i] = ops[i];
        batch->ops[i].bytes = hm_bytes_copy(ops[i].bytes);
    }
    sim_after(disk->world, sim_between(disk->world, disk->latency_min, disk->latency_max), complete,
              disk, batch->generation);
}

static void tear(struct sim_disk *disk, struct sim_file *file)
{
    struct hm_bytes seen = file->seen.content;
    size_t first = file->dirty_start / SECTOR_BYTES * SECTOR_BYTES;
    for (size_t at = first; at < file->dirty_end; at += SECTOR_BYTES) {
        size_t left = seen.size - at;
        size_t size = left < SECTOR_BYTES ? left : SECTOR_BYTES;
        bool same = memcmp(seen.data + at, file->safe.data + at, size) == 0;
        if (!same && sim_chance(disk->world, 500)) {
            memcpy((uint8_t *)seen.data + at, file->safe.data + at, size);
        }
    }
    sync_file(file);
}

void sim_disk_crash(struct sim_disk *disk, bool power)
{
    for (size_t i = 0; i < SIM_BATCHES_MAX; i++) {
        struct sim_batch *batch = &disk->batches[i];
        if (batch->ops) {
            enum hm_status status =
                sim_disk_do(disk, batch->ops, sim_between(disk->world, 0, batch->op_count));
            (void)status; /* nobody is told */
        }
        drop_batch(batch);
    }
    for (size_t i = 0; power && i < disk->file_count; i++) {
        tear(disk, &disk->files[i]);
    }
}

void sim_disk_lose(struct sim_disk *disk)
{
    drop_batches(disk);
}

size_t sim_disk_read(struct sim_disk *disk, struct hm_disk_file files[SIM_FILES_MAX])
{
    for (size_t i = 0; i < disk->file_count; i++) {
        sync_file(&disk->files[i]);
        files[i] = disk->files[i].seen;
    }
    return disk->file_count;
}
