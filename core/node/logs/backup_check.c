#include "core/node/logs/backup_check.h"

#include "core/node/logs/named.h"

#include <string.h>

void hm_backup_check_init(struct hm_backup_check *check, struct hm_buf *error)
{
    *check = (struct hm_backup_check){.state = hm_state_new(), .error = error};
}

void hm_backup_check_fini(struct hm_backup_check *check)
{
    hm_state_free(check->state);
    check->state = NULL;
}

static enum hm_status on_head(void *context, const struct hm_backup_head *head)
{
    struct hm_backup_check *check = context;
    check->head = *head;
    memcpy(check->names, head->logs, head->logs_count * sizeof *head->logs);
    check->head.logs = check->names;
    return HM_OK;
}

static bool lists(const struct hm_backup_head *head, uint32_t log, struct hm_bytes name)
{
    for (uint32_t i = 0; i < head->logs_count; i++) {
        const struct hm_name *known = &head->logs[i].name;
        if (head->logs[i].log == log) {
            return hm_bytes_equal((struct hm_bytes){(const uint8_t *)known->text, known->size},
                                  name);
        }
    }
    return false;
}

/* The logs that the event log knows of are those of the backup: what is restored from it has all of
 * them, and nothing that nobody knows of. */
static bool has_all_logs(const struct hm_backup_check *check)
{
    const struct hm_records *records = &hm_state_view(check->state)->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    uint32_t found = 1;
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_arena arena = {0};
        struct hm_message message;
        bool read = hm_message_decode_only(records->items[i]->value, HM_MSG_log_record, &arena,
                                           &message) == HM_OK;
        uint32_t log = read ? message.log_record.id : 0;
        hm_arena_fini(&arena);
        if (!read || !lists(&check->head, log, records->items[i]->key)) {
            return false;
        }
        found++;
    }
    return found == check->head.logs_count;
}

static bool fits(const struct hm_backup_check *check, const struct hm_backup_log *log,
                 const struct hm_replica *replica)
{
    const struct hm_view *view = hm_state_view(check->state);
    if (log->log != 0) {
        return replica->index == log->index;
    }
    return view->index == log->index && view->cluster == check->head.cluster &&
           view->epoch == check->head.epoch && has_all_logs(check);
}

static enum hm_status on_log(void *context, const struct hm_backup_log *log, struct hm_bytes state)
{
    struct hm_backup_check *check = context;
    struct hm_replica replica;
    hm_replica_init(&replica, log->log ? &hm_list_machine : &hm_state_machine, check->state);
    enum hm_status status = hm_replica_install(&replica, state);
    if (status == HM_OK && !fits(check, log, &replica)) {
        status = HM_BAD_BYTES;
    }
    hm_replica_fini(&replica);
    if (status != HM_OK) {
        hm_buf_printf(check->error,
                      "the state of log %s is whole, but not one that this release reads",
                      log->name.text);
        return HM_DAMAGED;
    }
    check->logs[check->log_count++] = *log;
    return HM_OK;
}

struct hm_backup_visitor hm_backup_check_visitor(struct hm_backup_check *check)
{
    return (struct hm_backup_visitor){.context = check, .head = on_head, .log = on_log};
}

size_t hm_backup_check_records(const struct hm_backup_check *check, const char *scope)
{
    const struct hm_records *records = &hm_state_view(check->state)->records;
    struct hm_name name = hm_name_of(scope);
    size_t count = 0;
    for (size_t i = 0; i < records->count; i++) {
        count += hm_name_equal(&records->items[i]->scope, &name);
    }
    return count;
}
