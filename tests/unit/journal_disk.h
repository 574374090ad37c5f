/* A small disk for a journal, that can be full, torn and damaged. */
#ifndef TESTS_UNIT_JOURNAL_DISK_H
#define TESTS_UNIT_JOURNAL_DISK_H

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/engine/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DISK_FILES_MAX    64
#define DISK_SECTOR_BYTES 64u /* small, so that records tear in many places */

struct disk {
    struct hm_disk_file files[DISK_FILES_MAX];
    size_t count;
    uint64_t room; /* bytes that may still be allocated */
    size_t ops;    /* done so far */
};

struct hm_disk_file *disk_find(struct disk *disk, const char *name);
struct hm_disk_file *disk_create(struct disk *disk, const char *name, size_t size);
void disk_remove(struct disk *disk, const char *name);
void disk_copy(struct disk *to, const struct disk *from);
void disk_fini(struct disk *disk);
uint8_t *disk_bytes(struct hm_disk_file *file);
/* `torn`: of a write, each sector arrives or not. */
void disk_write(struct disk *disk, const struct hm_disk_op *op, struct hm_random *torn);
enum hm_status disk_do(struct disk *disk, const struct hm_disk_op *op);
/* Does what the journal wants until it wants nothing. Returns what is durable. */
uint64_t disk_run(struct hm_journal *journal, struct disk *disk);

#endif
