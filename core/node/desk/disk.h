/* The data directory of a node: small files, the identity, and the turns of the journal. */
#ifndef HM_NODE_DISK_H
#define HM_NODE_DISK_H

#include "core/node/node.h"

struct hm_file_write {
    struct hm_disk_op op;
    struct hm_buf content;
};

/* A batch for the disk; one at a time is out. Small files wait in order, the journal comes last.
 * Its large snapshots go beside all that. */
struct hm_disk_queue {
    struct hm_file_write *files;
    size_t count;
    size_t capacity;
    uint64_t number_last;
    uint64_t number;        /* of the batch that is out */
    bool busy;              /* a batch is out */
    bool journal_is_out;    /* it is that of the logs; else it is files[0] */
    hm_ms retry_at;         /* of a journal that failed; HM_NEVER: it did not */
    enum hm_status failure; /* why something waits to be written again; HM_OK: nothing does */
    uint64_t side;          /* number of the batch beside it that is out; 0: none */
    bool side_failed;       /* the last one did */
    hm_ms side_retry_at;    /* HM_NEVER: now */
};

/* Replaces a small file in the data directory (nothing without one). */
void hm_node_keep_file(struct hm_node *node, const char *file, struct hm_bytes content);
/* True when every small file is durable. */
bool hm_node_files_are_kept(const struct hm_node *node);
void hm_node_pump_disk(struct hm_node *node);
void hm_node_tick_disk(struct hm_node *node);
void hm_node_on_disk_done(struct hm_node *node, uint64_t number, enum hm_status status);
/* The content of file identity; `out` is empty before. False: this is none. */
void hm_node_put_identity(struct hm_buf *out, const struct hm_node_identity *identity);
bool hm_node_get_identity(struct hm_bytes content, struct hm_node_identity *out);
/* The identity file, from what the node knows. */
void hm_node_keep_identity(struct hm_node *node);

#endif
