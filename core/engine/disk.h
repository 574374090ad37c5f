/* What an engine wants of the disk. Files live in one directory, the node's own; an adapter does
 * the operations of a batch in order and then reports the batch done or failed. */
#ifndef HM_ENGINE_DISK_H
#define HM_ENGINE_DISK_H

#include "core/base/bytes.h"

#define HM_DISK_FILE_BYTES_MAX 64

enum hm_disk_op_kind {
    HM_DISK_ALLOCATE, /* create `file` (fail if it is there), `size` zero bytes, durable with its
                         name */
    HM_DISK_WRITE,    /* `bytes` at `offset` of `file`; durable only after a later SYNC */
    HM_DISK_SYNC,     /* all earlier writes to `file` are durable */
    HM_DISK_REPLACE,  /* `file` has `bytes` as its whole content, durably and all or nothing */
    HM_DISK_REMOVE,   /* `file` is gone; not being there is fine */
};

struct hm_disk_op {
    enum hm_disk_op_kind kind;
    char file[HM_DISK_FILE_BYTES_MAX]; /* plain name without a slash */
    uint64_t offset;
    uint64_t size;
    struct hm_bytes bytes; /* borrowed: see the call that gives the operation */
};

/* A file as found at start. */
struct hm_disk_file {
    char name[HM_DISK_FILE_BYTES_MAX];
    struct hm_bytes content;
};

#endif
