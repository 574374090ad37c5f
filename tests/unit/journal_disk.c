#include "tests/unit/journal_disk.h"

struct hm_disk_file *disk_find(struct disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->count; i++) {
        if (strcmp(disk->files[i].name, name) == 0) {
            return &disk->files[i];
        }
    }
    return NULL;
}

struct hm_disk_file *disk_create(struct disk *disk, const char *name, size_t size)
{
    assert_true(disk->count < DISK_FILES_MAX);
    struct hm_disk_file *file = &disk->files[disk->count++];
    memset(file, 0, sizeof *file);
    snprintf(file->name, sizeof file->name, "%s", name);
    file->content = (struct hm_bytes){hm_alloc(size, 1), size};
    return file;
}

void disk_remove(struct disk *disk, const char *name)
{
    struct hm_disk_file *file = disk_find(disk, name);
    if (file) {
        hm_bytes_free(file->content);
        *file = disk->files[--disk->count];
    }
}

void disk_copy(struct disk *to, const struct disk *from)
{
    *to = *from;
    for (size_t i = 0; i < to->count; i++) {
        to->files[i].content = hm_bytes_copy(from->files[i].content);
    }
}

void disk_fini(struct disk *disk)
{
    while (disk->count) {
        disk_remove(disk, disk->files[0].name);
    }
}

uint8_t *disk_bytes(struct hm_disk_file *file)
{
    return (uint8_t *)file->content.data;
}

void disk_write(struct disk *disk, const struct hm_disk_op *op, struct hm_random *torn)
{
    struct hm_disk_file *file = disk_find(disk, op->file);
    assert_non_null(file);
    assert_true(op->offset + op->bytes.size <= file->content.size);
    for (size_t i = 0; i < op->bytes.size; i++) {
        static bool arrives = true;
        if (torn && (i == 0 || (op->offset + i) % DISK_SECTOR_BYTES == 0)) {
            arrives = hm_random_chance(torn, 500);
        }
        if (!torn || arrives) {
            disk_bytes(file)[op->offset + i] = op->bytes.data[i];
        }
    }
}

enum hm_status disk_do(struct disk *disk, const struct hm_disk_op *op)
{
    disk->ops++;
    switch (op->kind) {
    case HM_DISK_ALLOCATE:
        assert_null(disk_find(disk, op->file));
        if (op->size > disk->room) {
            disk_create(disk, op->file, (size_t)disk->room / 2);
            return HM_NO_SPACE;
        }
        disk->room -= op->size;
        disk_create(disk, op->file, op->size);
        return HM_OK;
    case HM_DISK_WRITE:
        disk_write(disk, op, NULL);
        return HM_OK;
    case HM_DISK_SYNC:
        assert_non_null(disk_find(disk, op->file));
        return HM_OK;
    case HM_DISK_REPLACE: {
        disk_remove(disk, op->file);
        struct hm_disk_file *file = disk_create(disk, op->file, op->bytes.size);
        memcpy(disk_bytes(file), op->bytes.data, op->bytes.size);
        return HM_OK;
    }
    case HM_DISK_REMOVE:
        disk_remove(disk, op->file);
        return HM_OK;
    }
    return HM_IO;
}

uint64_t disk_run(struct hm_journal *journal, struct disk *disk)
{
    struct hm_journal_batch batch;
    uint64_t durable = 0;
    while (hm_journal_output(journal, &batch)) {
        enum hm_status status = HM_OK;
        size_t syncs = 0;
        for (size_t i = 0; i < batch.count && status == HM_OK; i++) {
            syncs += batch.ops[i].kind == HM_DISK_SYNC;
            status = disk_do(disk, &batch.ops[i]);
        }
        assert_true(syncs <= 1);
        durable = hm_journal_done(journal, status);
    }
    return durable;
}
