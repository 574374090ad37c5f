/* What a backup file holds: looked at as a whole, and kept as far as people and a restore need it.
 * No I/O. */
#ifndef HM_NODE_BACKUP_CHECK_H
#define HM_NODE_BACKUP_CHECK_H

#include "core/log/backup.h"
#include "core/log/logs.h"
#include "core/state/state.h"

struct hm_backup_check {
    struct hm_backup_head head;             /* its list is `names` */
    struct hm_log_name names[HM_LOGS_MAX];  /* as the header lists them */
    struct hm_backup_log logs[HM_LOGS_MAX]; /* those that came whole, log_count of them */
    uint32_t log_count;
    struct hm_state *state; /* of the event log */
    struct hm_buf *error;   /* gets a sentence for what does not fit together */
};

/* In pairs. */
void hm_backup_check_init(struct hm_backup_check *check, struct hm_buf *error);
void hm_backup_check_fini(struct hm_backup_check *check);
/* For hm_backup_reader_new. Its hooks say HM_DAMAGED where a log's state does not read, or is not
 * what the header tells; the states of roles' logs are for their roles to judge. */
struct hm_backup_visitor hm_backup_check_visitor(struct hm_backup_check *check);
/* The records of a scope in the event log's state. */
size_t hm_backup_check_records(const struct hm_backup_check *check, const char *scope);

#endif
