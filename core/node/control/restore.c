#include "core/node/control/restore.h"

#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/node/desk/disk.h"
#include "core/node/logs/named.h"

#include <string.h>

/* ---- whether it may be done ---- */

static uint64_t number_of(const struct hm_backup_head *head)
{
    return head->generation >> 32 > head->epoch ? head->generation >> 32 : head->epoch;
}

uint64_t hm_restore_epoch(const struct hm_backup_head *head)
{
    return number_of(head) + HM_EPOCH_RECOVERY;
}

/* Control nodes of the backup go; whoever else is there is expected to be there still. */
static enum hm_status check_place(const struct hm_backup_check *check,
                                  const struct hm_restore_config *config, struct hm_buf *error)
{
    const struct hm_members *members = &hm_state_view(check->state)->members;
    const struct hm_member *holder = hm_members_find_name(members, &config->self.name);
    const struct hm_member *neighbour = hm_members_find_addr(members, &config->self.addr);
    char addr[HM_ADDR_TEXT_BYTES];
    if (holder && !hm_member_has_role(holder, "control")) {
        hm_buf_printf(error,
                      "name %s is held by a member of the backup that is no control node; set "
                      "another name:",
                      holder->name.text);
        return HM_DENIED;
    }
    if (neighbour && !hm_member_has_role(neighbour, "control")) {
        hm_buf_printf(error,
                      "address %s is held by member %s of the backup, which is no control node; "
                      "set another advertise:",
                      hm_addr_format(&config->self.addr, addr), neighbour->name.text);
        return HM_DENIED;
    }
    return HM_OK;
}

static enum hm_status check_roles(const struct hm_backup_check *check,
                                  const struct hm_restore_config *config, struct hm_buf *error)
{
    if (!hm_member_has_role(&config->self, "control")) {
        hm_buf_printf(error,
                      "node %s has not the role control; add it to roles:", config->self.name.text);
        return HM_DENIED;
    }
    for (uint32_t i = 0; i < check->log_count; i++) {
        const char *role =
            check->logs[i].log & HM_ROLE_LOG_BIT ? hm_node_role_of_log(&check->logs[i].name) : NULL;
        if (role && !hm_member_has_role(&config->self, role)) {
            hm_buf_printf(error, "the backup has the log of role %s; add it to roles: of node %s",
                          role, config->self.name.text);
            return HM_DENIED;
        }
    }
    return HM_OK;
}

enum hm_status hm_restore_may(const struct hm_backup_check *check,
                              const struct hm_restore_config *config, struct hm_buf *error)
{
    const struct hm_backup_head *head = &check->head;
    if (head->key && head->key != config->key_id && !config->other_key) {
        hm_buf_printf(error,
                      "the backup is of a cluster with key %08x, the key of node %s is %08x: its "
                      "hosts would not hear this node; --other-key makes another cluster of it",
                      head->key, config->self.name.text, config->key_id);
        return HM_DENIED;
    }
    if (hm_state_feature(check->state) > config->self.feature) {
        hm_buf_printf(error, "the backup is of feature level %u, this release has %u; upgrade it",
                      hm_state_feature(check->state), config->self.feature);
        return HM_WRONG_FEATURE;
    }
    if (hm_restore_epoch(head) > UINT32_MAX) {
        hm_buf_printf(error, "no epoch above %llu is left", (unsigned long long)number_of(head));
        return HM_TOO_LARGE;
    }
    enum hm_status status = check_roles(check, config, error);
    return status == HM_OK ? check_place(check, config, error) : status;
}

/* ---- whether there is room for it ---- */

static bool is_of_node(const char *name)
{
    return strcmp(name, "identity") == 0 || strcmp(name, HM_NODE_FENCED_FILE) == 0 ||
           strncmp(name, "journal-", 8) == 0 || strncmp(name, "snapshot-", 9) == 0;
}

static enum hm_status check_rejoin(const struct hm_backup_head *head, struct hm_bytes content,
                                   struct hm_buf *error)
{
    struct hm_node_identity was;
    if (!hm_node_get_identity(content, &was)) {
        hm_buf_printf(error, "file " HM_NODE_REJOIN_FILE " there is damaged; name another "
                             "directory with data:");
        return HM_DAMAGED;
    }
    if (was.cluster != head->cluster) {
        hm_buf_printf(error,
                      "file " HM_NODE_REJOIN_FILE " there is of cluster %016llx, the backup is of "
                      "cluster %016llx; name another directory with data:",
                      (unsigned long long)was.cluster, (unsigned long long)head->cluster);
        return HM_WRONG_CLUSTER;
    }
    return HM_OK;
}

enum hm_status hm_restore_is_free(const struct hm_backup_head *head,
                                  const struct hm_disk_file *files, size_t count,
                                  struct hm_buf *error)
{
    enum hm_status status = HM_OK;
    for (size_t i = 0; i < count && status == HM_OK; i++) {
        if (is_of_node(files[i].name)) {
            hm_buf_printf(error,
                          "file %s is there already: it is a node's, or what an interrupted "
                          "restore left; put it elsewhere, or name another directory with data:",
                          files[i].name);
            status = HM_EXISTS;
        } else if (strcmp(files[i].name, HM_NODE_REJOIN_FILE) == 0) {
            status = check_rejoin(head, files[i].content, error);
        }
    }
    return status;
}

/* ---- done ---- */

struct hm_restore {
    struct hm_restore_config config;
    hm_restore_write *write;
    void *context;
    struct hm_journal *journal;
    uint64_t number; /* of the last message in it */
    uint64_t cluster;
    uint64_t epoch;
    uint64_t generation;
};

struct hm_restore *hm_restore_new(const struct hm_restore_config *config, hm_restore_write *write,
                                  void *context)
{
    struct hm_restore *restore = hm_alloc(1, sizeof *restore);
    restore->config = *config;
    restore->write = write;
    restore->context = context;
    restore->journal = hm_journal_new(&(struct hm_journal_config){.owner = config->self.id});
    return restore;
}

void hm_restore_free(struct hm_restore *restore)
{
    if (restore) {
        hm_journal_free(restore->journal);
        hm_free(restore);
    }
}

static enum hm_status on_head(void *context, const struct hm_backup_head *head)
{
    struct hm_restore *restore = context;
    const struct hm_backup_head *checked = &restore->config.head;
    uint32_t chance;
    if (head->cluster != checked->cluster || head->time_ms != checked->time_ms ||
        head->generation != checked->generation || head->epoch != checked->epoch) {
        return HM_CONFLICT;
    }
    memcpy(&chance, restore->config.history.bytes, sizeof chance);
    restore->cluster = head->cluster;
    restore->epoch = hm_restore_epoch(head);
    restore->generation =
        hm_plant("restores_old_generation") ? head->generation : restore->epoch << 32 | chance;
    return HM_OK;
}

static void put(struct hm_restore *restore, const struct hm_message *message)
{
    hm_journal_write(restore->journal, message, ++restore->number);
}

static enum hm_status flush(struct hm_restore *restore)
{
    struct hm_journal_batch batch;
    enum hm_status status = HM_OK;
    while (status == HM_OK && hm_journal_output(restore->journal, &batch)) {
        status = restore->write(restore->context, batch.ops, batch.count);
        hm_journal_done(restore->journal, status);
    }
    return status;
}

/* The first entry of the new generation, as a recovery makes it: the epoch, and who goes on. */
static void put_epoch(struct hm_restore *restore, const struct hm_backup_log *log)
{
    struct hm_buf request = {0};
    struct hm_buf body = {0};
    hm_message_encode(&request,
                      &(struct hm_message){.kind = HM_MSG_request_recover,
                                           .request_recover = {.epoch = restore->epoch,
                                                               .history = restore->config.history,
                                                               .survivor = restore->config.self}});
    hm_message_encode(&body,
                      &(struct hm_message){.kind = HM_MSG_log_request,
                                           .log_request = {.request = hm_buf_view(&request)}});
    struct hm_entry entry = {
        .term = log->term, .kind = HM_RAFT_REQUEST, .body = hm_buf_view(&body)};
    put(restore, &(struct hm_message){.kind = HM_MSG_log_append,
                                      .log_append = {.log = log->log,
                                                     .first_index = log->applied + 1,
                                                     .entries = &entry,
                                                     .entries_count = 1}});
    hm_buf_fini(&request);
    hm_buf_fini(&body);
}

static enum hm_status on_log(void *context, const struct hm_backup_log *log, struct hm_bytes state)
{
    struct hm_restore *restore = context;
    struct hm_voter self = {
        .id = restore->config.self.id, .addr = restore->config.self.addr, .voting = true};
    put(restore, &(struct hm_message){.kind = HM_MSG_log_hard_state,
                                      .log_hard_state = {.log = log->log,
                                                         .term = log->term,
                                                         .commit = log->applied,
                                                         .generation = restore->generation}});
    put(restore, &(struct hm_message){.kind = HM_MSG_log_snapshot,
                                      .log_snapshot = {.log = log->log,
                                                       .last_index = log->applied,
                                                       .last_term = log->term,
                                                       .voters = &self,
                                                       .voters_count = 1,
                                                       .state = state}});
    if (log->log == 0) {
        put_epoch(restore, log);
    }
    return flush(restore);
}

struct hm_backup_visitor hm_restore_visitor(struct hm_restore *restore)
{
    return (struct hm_backup_visitor){.context = restore, .head = on_head, .log = on_log};
}

enum hm_status hm_restore_finish(struct hm_restore *restore)
{
    struct hm_buf bytes = {0};
    hm_node_put_identity(&bytes, &(struct hm_node_identity){.id = restore->config.self.id,
                                                            .name = restore->config.self.name,
                                                            .cluster = restore->cluster,
                                                            .voted = true});
    struct hm_disk_op op = {
        .kind = HM_DISK_REPLACE, .file = "identity", .bytes = hm_buf_view(&bytes)};
    enum hm_status status = restore->write(restore->context, &op, 1);
    hm_buf_fini(&bytes);
    return status;
}
