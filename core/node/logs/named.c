/* The named logs that this node carries: opened, looked after and closed as their records in the
 * event log say. */
#include "core/node/logs/named.h"

#include "core/base/hash.h"
#include "core/node/desk/acts.h"
#include "core/node/logs/voters.h"

#include <stdio.h>
#include <string.h>

/* As much as there may be, until the record says how much it is. */
static const struct hm_keep keep_all = {HM_KEEP_ENTRIES_MAX, HM_KEEP_BYTES_MAX};

struct hm_named *hm_node_named(const struct hm_node *node, uint32_t id)
{
    const struct hm_carried *carried = node->carried;
    for (size_t i = 0; i < carried->named_count; i++) {
        if (carried->named[i]->id == id) {
            return carried->named[i];
        }
    }
    return NULL;
}

struct hm_named *hm_node_find_named(const struct hm_node *node, const struct hm_name *name)
{
    const struct hm_carried *carried = node->carried;
    for (size_t i = 0; i < carried->named_count; i++) {
        if (name->size && hm_name_equal_nocase(&carried->named[i]->name, name)) {
            return carried->named[i];
        }
    }
    return NULL;
}

bool hm_node_log_record(const struct hm_node *node, const struct hm_name *name,
                        struct hm_arena *arena, struct hm_log_record *out, uint64_t *index)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    struct hm_bytes key = {(const uint8_t *)name->text, name->size};
    struct hm_message message;
    const struct hm_record *record = hm_records_find(&node->view->records, &scope, key);
    if (!record ||
        hm_message_decode_only(record->value, HM_MSG_log_record, arena, &message) != HM_OK) {
        return false;
    }
    *out = message.log_record;
    *index = record->index;
    return true;
}

/* ---- opened ---- */

struct hm_name hm_node_role_log_name(const char *role)
{
    char text[HM_NAME_MAX + 1];
    snprintf(text, sizeof text, HM_ROLE_LOG_PREFIX "%s", role);
    return hm_name_of(text);
}

uint32_t hm_node_role_log_id(const char *role)
{
    return HM_ROLE_LOG_BIT | (uint32_t)hm_hash(0, hm_bytes_of_text(role));
}

const char *hm_node_role_of_log(const struct hm_name *name)
{
    size_t size = sizeof HM_ROLE_LOG_PREFIX - 1;
    return strncmp(name->text, HM_ROLE_LOG_PREFIX, size) == 0 ? name->text + size : NULL;
}

static const struct hm_module_ctx *module_of(const struct hm_node *node, uint32_t log)
{
    for (size_t i = 0; i < node->config.module_count; i++) {
        if (log != 0 && node->modules[i].log == log) {
            return &node->modules[i];
        }
    }
    return NULL;
}

/* What the journal has of a role that this node has no more stays in it: should the role come back,
 * the node knows what it has promised. */
bool hm_node_use_log(void *context, uint32_t log, struct hm_participant_config *out)
{
    struct hm_node *node = context;
    const struct hm_module_ctx *ctx = module_of(node, log);
    out->raft.log = log;
    out->keep = (struct hm_keep){0};
    if (log == 0) {
        out->machine = &hm_state_machine;
        out->context = node->control.state;
    } else if (ctx) {
        out->machine = &ctx->machine;
        out->context = ctx->state;
    } else {
        out->machine = &hm_list_machine;
        out->keep = keep_all;
    }
    return ctx || !(log & HM_ROLE_LOG_BIT);
}

static struct hm_named *add(struct hm_node *node, uint32_t id, struct hm_participant *participant)
{
    struct hm_carried *carried = node->carried;
    struct hm_named *named = hm_alloc(1, sizeof *named);
    const struct hm_module_ctx *ctx = module_of(node, id);
    named->id = id;
    named->participant = participant;
    named->upkeep = (struct hm_upkeep){.raft = hm_participant_raft(participant),
                                       .log = named->name.text,
                                       .role = ctx ? ctx->module->performs[0] : NULL,
                                       .look_at = node->now};
    carried->named = hm_grow(carried->named, carried->named_count, &carried->named_capacity,
                             sizeof(struct hm_named *));
    carried->named[carried->named_count++] = named;
    return named;
}

void hm_node_adopt_logs(struct hm_node *node)
{
    size_t cursor = 0;
    uint32_t id;
    struct hm_participant *participant;
    while ((participant = hm_logs_next(node->control.logs, &cursor, &id))) {
        if (id != 0) {
            add(node, id, participant);
        }
    }
}

/* All who are named in the record begin with the same configuration; whoever comes later begins
 * with nothing, and is brought in as a learner. A node that lost its disk has a new id: it is not
 * named, and cannot vote as if it remembered. */
static struct hm_named *open_log(struct hm_node *node, const struct hm_log_record *record)
{
    struct hm_participant_config config = {0};
    if (!hm_node_use_log(node, record->id, &config)) {
        return NULL; /* of a role that this node has not */
    }
    struct hm_participant *participant = hm_logs_open(node->control.logs, node->now, &config);
    if (!participant) {
        return NULL;
    }
    return add(node, record->id, participant);
}

/* Not named, or there already: it waits for the leader. */
static void found_if_named(struct hm_node *node, struct hm_named *named,
                           const struct hm_log_record *record)
{
    if (hm_raft_found_with(named->upkeep.raft, node->now, record->generation, record->voters,
                           record->voters_count) == HM_OK) {
        hm_node_recall_leaves(node);
    }
}

enum hm_status hm_node_recover_named(struct hm_node *node, struct hm_named *named,
                                     uint64_t generation)
{
    enum hm_status status = hm_participant_recover(named->participant, node->now, generation, NULL);
    if (status == HM_OK) {
        named->recovered = hm_raft_last_index(named->upkeep.raft);
    }
    return status;
}

/* The survivor is the only voter: what is committed is on its disk. */
bool hm_node_named_are_recovered(const struct hm_node *node)
{
    for (size_t i = 0; i < node->carried->named_count; i++) {
        const struct hm_named *named = node->carried->named[i];
        if (hm_raft_commit(named->upkeep.raft) < named->recovered) {
            return false;
        }
    }
    return true;
}

/* Those who were to vote with the survivor of a lost majority are fenced: a log of their generation
 * goes on with it alone, also when its record was found only then, or when a power cut took the
 * recovery of this log but not that of the event log. */
static void recover_if_left(struct hm_node *node, struct hm_named *named,
                            const struct hm_log_record *record)
{
    if (record->generation != node->generation &&
        hm_raft_generation(named->upkeep.raft) < node->generation &&
        hm_node_recover_named(node, named, node->generation) == HM_OK) {
        hm_node_log(node, HM_LOG_WARN, "log recovered", "log=%s id=%u", named->name.text,
                    named->id);
    }
}

static void forget(struct hm_node *node, size_t at)
{
    struct hm_carried *carried = node->carried;
    struct hm_named *named = carried->named[at];
    hm_node_log(node, HM_LOG_INFO, "log closed", "log=%s id=%u", named->name.text, named->id);
    hm_logs_forget(node->control.logs, named->id);
    hm_free(named);
    carried->named_count--;
    memmove(carried->named + at, carried->named + at + 1,
            (carried->named_count - at) * sizeof(struct hm_named *));
}

static void follow_record(struct hm_node *node, const struct hm_record *record,
                          uint32_t ids[HM_NAMED_MAX], size_t *count)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_log_record *log = &message.log_record;
    if (hm_message_decode_only(record->value, HM_MSG_log_record, &arena, &message) == HM_OK &&
        log->id != 0 && *count < HM_NAMED_MAX && record->key.size <= HM_NAME_MAX) {
        struct hm_named *named = hm_node_named(node, log->id);
        bool fresh = !named;
        named = named ? named : open_log(node, log);
        ids[(*count)++] = log->id;
        if (named) {
            memcpy(named->name.text, record->key.data, record->key.size);
            named->name.size = (uint8_t)record->key.size;
            named->upkeep.excluded_count = 0;
            for (uint32_t i = 0; i < log->excluded_count; i++) {
                named->upkeep.excluded[named->upkeep.excluded_count++] = log->excluded[i].id;
            }
            hm_participant_keep(named->participant,
                                (struct hm_keep){log->keep_entries, log->keep_bytes});
        }
        if (named && fresh) {
            hm_node_log(node, HM_LOG_INFO, "log opened", "log=%s id=%u", named->name.text,
                        named->id);
        }
        if (named) {
            found_if_named(node, named, log);
            recover_if_left(node, named, log);
        }
    }
    hm_arena_fini(&arena);
}

/* The id that the next log gets: those below without a record were deleted. */
uint32_t hm_node_next_log_id(const struct hm_node *node)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_LOG_IDS);
    const struct hm_record *record =
        hm_records_find(&node->view->records, &scope, hm_bytes_of_text("next"));
    struct hm_reader in = hm_reader_of(record ? record->value : (struct hm_bytes){0});
    uint32_t next = hm_get_u32(&in);
    return in.bad || next == 0 ? 1 : next;
}

void hm_node_sync_logs(struct hm_node *node)
{
    struct hm_carried *carried = node->carried;
    const struct hm_records *records = &node->view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    uint64_t version = hm_records_version(records, &scope);
    if (version == carried->logs_version || node->phase == HM_PHASE_STOPPED) {
        return;
    }
    uint32_t ids[HM_NAMED_MAX];
    size_t count = 0;
    carried->logs_version = version;
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        follow_record(node, records->items[i], ids, &count);
    }
    uint32_t next = hm_node_next_log_id(node);
    for (size_t i = carried->named_count; i > 0; i--) {
        bool there = false;
        for (size_t at = 0; at < count; at++) {
            there = there || ids[at] == carried->named[i - 1]->id;
        }
        if (!there && carried->named[i - 1]->id < next) {
            forget(node, i - 1);
        }
    }
}

/* ---- driven ---- */

static void notice(struct hm_node *node, struct hm_named *named, const struct hm_log_effect *effect)
{
    if (effect->notice == HM_RAFT_ROLE_CHANGED &&
        hm_raft_role(named->upkeep.raft) == HM_RAFT_LEADER) {
        hm_node_log(node, HM_LOG_INFO, "leads", "log=%s term=%llu", named->name.text,
                    (unsigned long long)effect->number);
        named->upkeep.look_at = node->now;
    } else if (effect->notice == HM_RAFT_REMOVED && node->phase == HM_PHASE_LEAVING &&
               !hm_node_votes(node)) {
        node->stop_at = node->now;
    }
}

void hm_node_on_named_effect(struct hm_node *node, const struct hm_log_effect *effect)
{
    struct hm_named *named = hm_node_named(node, effect->log);
    if (!named) {
        return;
    }
    switch (effect->kind) {
    case HM_LOG_APPLIED:
    case HM_LOG_INSTALLED:
        named->progressed = true;
        break;
    case HM_LOG_NOTICE:
        notice(node, named, effect);
        break;
    case HM_LOG_BROKEN:
        hm_node_log(node, HM_LOG_ERROR, "entry does not decode",
                    "log=%s index=%llu consequence=\"nothing more of this log is applied here\"",
                    named->name.text, (unsigned long long)effect->number);
        break;
    default:
        break;
    }
}

void hm_node_tick_named(struct hm_node *node)
{
    for (size_t i = 0; i < node->carried->named_count; i++) {
        struct hm_named *named = node->carried->named[i];
        if (hm_raft_role(named->upkeep.raft) == HM_RAFT_LEADER && named->name.size) {
            hm_node_tick_voters(node, &named->upkeep);
        }
    }
}

hm_ms hm_node_named_deadline(const struct hm_node *node)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < node->carried->named_count; i++) {
        const struct hm_named *named = node->carried->named[i];
        if (hm_raft_role(named->upkeep.raft) == HM_RAFT_LEADER && named->name.size &&
            named->upkeep.look_at < soonest) {
            soonest = named->upkeep.look_at;
        }
    }
    return soonest;
}

void hm_node_hand_over_logs(struct hm_node *node)
{
    struct hm_carried *carried = node->carried;
    for (size_t i = 0; i < carried->named_count; i++) {
        struct hm_raft *raft = carried->named[i]->upkeep.raft;
        if (hm_raft_role(raft) == HM_RAFT_LEADER &&
            hm_raft_transfer(raft, node->now, NULL) != HM_OK) {
            hm_node_log(node, HM_LOG_DEBUG, "leadership stays",
                        "log=%s reason=\"nobody to hand it to\"", carried->named[i]->name.text);
        }
    }
}

static bool votes_in(const struct hm_node *node, const struct hm_raft *raft)
{
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(raft, &count);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, &node->id)) {
            return voters[i].voting;
        }
    }
    return false;
}

bool hm_node_votes(const struct hm_node *node)
{
    bool votes = node->control.raft && votes_in(node, node->control.raft);
    for (size_t i = 0; i < node->carried->named_count; i++) {
        votes = votes || votes_in(node, node->carried->named[i]->upkeep.raft);
    }
    return votes;
}

void hm_node_free_named(struct hm_node *node)
{
    struct hm_carried *carried = node->carried;
    for (size_t i = 0; i < carried->named_count; i++) {
        hm_free(carried->named[i]);
    }
    hm_free(carried->named);
}

/* ---- who left ---- */

void hm_node_note_left(struct hm_node *node, const struct hm_id *id)
{
    struct hm_carried *carried = node->carried;
    if (node->control.raft) {
        hm_upkeep_note_left(&carried->upkeep, id);
    }
    for (size_t i = 0; i < carried->named_count; i++) {
        hm_upkeep_note_left(&carried->named[i]->upkeep, id);
    }
}

void hm_node_forget_left(struct hm_node *node, const struct hm_id *id)
{
    struct hm_carried *carried = node->carried;
    hm_upkeep_forget_left(&carried->upkeep, id);
    for (size_t i = 0; i < carried->named_count; i++) {
        hm_upkeep_forget_left(&carried->named[i]->upkeep, id);
    }
}

void hm_node_recall_leaves(struct hm_node *node)
{
    uint64_t oldest;
    uint64_t newest;
    hm_state_events_held(node->control.state, &oldest, &newest);
    for (uint64_t i = oldest; i <= newest; i++) {
        struct hm_arena arena = {0};
        struct hm_message left;
        if (hm_message_decode_only(hm_state_event(node->control.state, i)->body, HM_MSG_member_left,
                                   &arena, &left) == HM_OK &&
            !hm_members_find(&node->view->members, &left.member_left.id)) {
            hm_node_note_left(node, &left.member_left.id);
        }
        hm_arena_fini(&arena);
    }
}
