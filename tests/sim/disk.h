/* A node's disk: does batches of operations with a latency, fails, fills up, and forgets at a power
 * cut what was not synced: whole writes, or sectors of them. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "core/engine/disk.h"
#include "tests/sim/world.h"

#define SIM_FILES_MAX   64
#define SIM_BATCHES_MAX 2

struct sim_file {
    struct hm_disk_file seen; /* what a reader would find */
    struct hm_bytes safe;     /* what survives a power cut */
    size_t dirty_start;       /* they differ at most from here */
    size_t dirty_end;
};

/* A batch is done: whose, its number, and how. */
typedef void sim_disk_done(void *context, uint64_t number, enum hm_status status);

struct sim_batch {
    struct hm_disk_op *ops; /* with bytes of its own; NULL: a free place */
    size_t op_count;
    uint64_t number;
    uint64_t generation; /* completions of older ones are void */
};

struct sim_disk {
    struct sim_world *world;
    sim_disk_done *done;
    void *context;
    struct sim_file files[SIM_FILES_MAX];
    size_t file_count;
    struct sim_batch batches[SIM_BATCHES_MAX]; /* in flight */
    uint64_t generation;                       /* of the last one */
    hm_ms latency_min;
    hm_ms latency_max;
    uint32_t error_permille;
    bool full;       /* nothing new can be allocated */
    bool unreadable; /* a start finds nothing but errors, and is to be tried later */
    uint64_t synced;
};

void sim_disk_init(struct sim_disk *disk, struct sim_world *world, sim_disk_done *done,
                   void *context);
void sim_disk_fini(struct sim_disk *disk);
/* It is copied. At most SIM_BATCHES_MAX at a time, done in any order. */
void sim_disk_submit(struct sim_disk *disk, const struct hm_disk_op *ops, size_t count,
                     uint64_t number);
/* Does it at once, while no process has the disk. */
HM_MUST_USE enum hm_status sim_disk_do(struct sim_disk *disk, const struct hm_disk_op *ops,
                                       size_t count);
/* The process ends: of a batch in flight some first operations are done. With `power` everything
 * that was not synced is lost or torn. */
void sim_disk_crash(struct sim_disk *disk, bool power);
/* What is in flight will never have touched the disk, when a crash comes next. */
void sim_disk_lose(struct sim_disk *disk);
void sim_disk_wipe(struct sim_disk *disk);
/* Keeps nothing but this file, under another name. */
void sim_disk_put_aside(struct sim_disk *disk, const char *kept, const char *name);
/* What a start finds, unless `unreadable`; all of it is synced first. Valid until the disk changes.
 */
size_t sim_disk_read(struct sim_disk *disk, struct hm_disk_file files[SIM_FILES_MAX]);

#endif
