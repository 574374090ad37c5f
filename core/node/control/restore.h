/* From a backup file to the data directory of a node that has none yet: its journal is that of a
 * survivor who is alone in a new generation of all logs. No I/O; the node that starts from it finds
 * nothing unusual. */
#ifndef HM_NODE_RESTORE_H
#define HM_NODE_RESTORE_H

#include "core/engine/disk.h"
#include "core/node/logs/backup_check.h"

/* Who takes the backup over. */
struct hm_restore_config {
    struct hm_member self; /* with a fresh id, and name, address and roles */
    uint32_t key_id;
    bool other_key;             /* the backup may be of a cluster with another key */
    struct hm_id history;       /* of the new epoch; chance */
    struct hm_backup_head head; /* of what was checked; its list is not looked at */
};

/* The number of the epoch that it begins: above the backup's as a recovery's is. */
uint64_t hm_restore_epoch(const struct hm_backup_head *head);
/* Whether this node may take over what was checked as a whole. HM_DENIED, HM_WRONG_FEATURE,
 * HM_TOO_LARGE (no higher epoch is left), with a sentence in `error`. */
HM_MUST_USE enum hm_status hm_restore_may(const struct hm_backup_check *check,
                                          const struct hm_restore_config *config,
                                          struct hm_buf *error);
/* Whether a data directory with these files is free for it: they may not be a node's of any
 * cluster, nor what is left of one of another. HM_EXISTS, HM_WRONG_CLUSTER, HM_DAMAGED, with a
 * sentence. */
HM_MUST_USE enum hm_status hm_restore_is_free(const struct hm_backup_head *head,
                                              const struct hm_disk_file *files, size_t count,
                                              struct hm_buf *error);

/* Does operations in order and durably. */
typedef enum hm_status hm_restore_write(void *context, const struct hm_disk_op *ops, size_t count);

struct hm_restore;

struct hm_restore *hm_restore_new(const struct hm_restore_config *config, hm_restore_write *write,
                                  void *context);
void hm_restore_free(struct hm_restore *restore);
/* For a second reading of the file, which writes journal and snapshots. Its hooks give what `write`
 * gives, and HM_CONFLICT when it is not the file that was checked. */
struct hm_backup_visitor hm_restore_visitor(struct hm_restore *restore);
/* All of the file was there: writes the identity. Without it a node does not start from what was
 * written, so a restore that was cut short is never taken for a whole one. */
HM_MUST_USE enum hm_status hm_restore_finish(struct hm_restore *restore);

#endif
