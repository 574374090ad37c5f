/* The disk of a node: its data directory, written by one thread in the order that was asked for. */
#ifndef HM_IO_DISK_H
#define HM_IO_DISK_H

#include "core/base/status.h"
#include "core/engine/disk.h"

#include <uv.h>

#define HM_DISK_LOCK_FILE "lock"

/* ---- at the start ---- */

/* Makes the directory (mode 0700, parents 0755) when there is none, and locks it for this process:
 * `*lock` is the descriptor that holds the lock until it is closed. HM_BUSY: another process has
 * it; HM_DENIED, HM_IO: it cannot be made or written. A sentence is appended to `error`. */
HM_MUST_USE enum hm_status hm_disk_lock(const char *directory, int *lock, struct hm_buf *error);

/* Reads all files of the directory but the lock, which are durable then; what an interrupted
 * replacement left is removed. On success `*files` is an array of `*count` for hm_disk_files_free;
 * on failure (HM_IO, HM_DENIED) a sentence is in `error`. */
HM_MUST_USE enum hm_status hm_disk_load(const char *directory, struct hm_disk_file **files,
                                        size_t *count, struct hm_buf *error);
void hm_disk_files_free(struct hm_disk_file *files, size_t count);

/* Puts the control data of a node that does not run aside: its journal, its snapshots and its
 * identity go into a new directory `aside-NUMBER` below, whose name is appended to `where`; what
 * the node was stays, as HM_NODE_REJOIN_FILE. After a failure (a sentence in `error`) it can be
 * done again; until it is done the node does not start from what is left. */
HM_MUST_USE enum hm_status hm_disk_put_aside(const char *directory, struct hm_buf *where,
                                             struct hm_buf *error);

/* ---- while running ---- */

struct hm_disk;

/* How long a sync (fdatasync) takes, of some hundreds of the latest; within an eighth. */
struct hm_disk_times {
    uint64_t p50_us; /* 0: there was none */
    uint64_t p99_us;
};

/* `directory` NULL: a node without one; everything is done at once and forgotten. `done` is called
 * in the loop, once for each batch, in their order. `times` is kept up to date there before; it
 * outlives the disk; NULL: nobody wants to know. */
struct hm_disk *hm_disk_new(uv_loop_t *loop, const char *directory, struct hm_disk_times *times,
                            void (*done)(void *context, uint64_t number, enum hm_status status),
                            void *context);

/* Queues a batch (copied). HM_NO_SPACE, HM_EXISTS (ALLOCATE of a file that is there) and HM_IO end
 * a batch where they happen. Batches given before `done` told of a failure fail with it untried:
 * what follows a hole is worth nothing. */
void hm_disk_submit(struct hm_disk *disk, const struct hm_disk_op *ops, size_t count,
                    uint64_t number);

/* Does what is queued, tells nobody, ends the thread. The loop must run once more. NULL is fine. */
void hm_disk_free(struct hm_disk *disk);

#endif
