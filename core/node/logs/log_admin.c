/* Which named logs there are, and who carries them: records of the event log, changed on condition
 * that nobody changed them in between. */
#include "core/node/logs/log_admin.h"

#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"
#include "core/node/logs/named.h"

#include <string.h>

#define COMMIT_MS    5000u
#define ROLE_LOGS_MS 500u
#define KEEP_ENTRIES 65536u
#define KEEP_BYTES   (4u << 20)

static struct hm_bytes key_of(const struct hm_name *name)
{
    return (struct hm_bytes){(const uint8_t *)name->text, name->size};
}

/* One form of a name: people write it as they like. */
static struct hm_name lower(const struct hm_name *name)
{
    struct hm_name out = *name;
    for (size_t i = 0; i < out.size; i++) {
        out.text[i] =
            out.text[i] >= 'A' && out.text[i] <= 'Z' ? (char)(out.text[i] + 32) : out.text[i];
    }
    return out;
}

static size_t count_logs(const struct hm_node *node)
{
    const struct hm_records *records = &node->view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    size_t first = hm_records_after(records, &scope, (struct hm_bytes){0});
    size_t at = first;
    while (at < records->count && hm_name_equal(&records->items[at]->scope, &scope)) {
        at++;
    }
    return at - first;
}

static bool must_pass_on(const struct hm_node *node)
{
    return !node->control.logs || node->view->cluster == 0;
}

static void submit_record(struct hm_node *node, uint64_t token, const struct hm_name *name,
                          uint64_t index, const struct hm_log_record *record, uint32_t id)
{
    struct hm_buf value = {0};
    struct hm_buf next = {0};
    struct hm_name ids = hm_name_of(HM_SCOPE_LOG_IDS);
    const struct hm_record *counter =
        hm_records_find(&node->view->records, &ids, hm_bytes_of_text("next"));
    if (record) {
        hm_message_encode(&value,
                          &(struct hm_message){.kind = HM_MSG_log_record, .log_record = *record});
    }
    hm_put_u32(&next, id + 1);
    struct hm_condition conditions[2] = {
        {.scope = hm_name_of(HM_SCOPE_LOGS), .key = key_of(name), .index = index},
        {.scope = ids, .key = hm_bytes_of_text("next"), .index = counter ? counter->index : 0}};
    struct hm_change changes[2] = {{.scope = hm_name_of(HM_SCOPE_LOGS),
                                    .key = key_of(name),
                                    .present = record != NULL,
                                    .value = hm_buf_view(&value)},
                                   {.scope = ids,
                                    .key = hm_bytes_of_text("next"),
                                    .present = true,
                                    .value = hm_buf_view(&next)}};
    /* The counter changes with a log that is new only, and comes first: who sees the log sees it.
     */
    uint32_t count = id ? 2 : 1;
    if (id) {
        struct hm_change swap = changes[0];
        changes[0] = changes[1];
        changes[1] = swap;
    }
    hm_node_submit(node,
                   &(struct hm_message){.kind = HM_MSG_request_write,
                                        .request_write = {.conditions = conditions,
                                                          .conditions_count = count,
                                                          .changes = changes,
                                                          .changes_count = count}},
                   HM_CALL_LOGS, token, node->now + COMMIT_MS);
    hm_buf_fini(&value);
    hm_buf_fini(&next);
}

void hm_node_log_record_expired(struct hm_node *node, const struct hm_call *call)
{
    hm_node_answer_status(node, call->user, HM_NO_QUORUM,
                          "not committed: the control plane has no quorum");
}

void hm_node_log_record_submitted(struct hm_node *node, const struct hm_call *call,
                                  const struct hm_submitted *answer)
{
    uint64_t token = call->user;
    if (answer->status == HM_CONFLICT) {
        hm_node_answer_status(node, token, HM_CONFLICT,
                              "the logs were changed at the same time by somebody else; look, and "
                              "try again");
        return;
    }
    hm_node_answer(node, token,
                   &(struct hm_message){.kind = HM_MSG_answer,
                                        .answer = {.status = answer->status,
                                                   .reason = answer->reason,
                                                   .index = answer->index}});
}

/* ---- create and delete ---- */

/* The voters of the event log begin it, as far as they are members and have the role, if it takes
 * one. */
static uint32_t first_voters(const struct hm_node *node, const char *role, struct hm_voter *out)
{
    size_t count;
    uint32_t taken = 0;
    const struct hm_voter *voters = hm_raft_voters(node->control.raft, &count);
    for (size_t i = 0; i < count; i++) {
        const struct hm_member *member = hm_members_find(&node->view->members, &voters[i].id);
        if (voters[i].voting && member && (!role || hm_member_has_role(member, role))) {
            out[taken++] = voters[i];
        }
    }
    return taken;
}

/* Begun by the voters that have the role, or by this node when none has. All nodes with the role
 * may try at once: one of them is first. */
static void found_role_log(struct hm_node *node, const char *role)
{
    struct hm_name name = hm_node_role_log_name(role);
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    const struct hm_member *self = hm_members_find(&node->view->members, &node->id);
    if (hm_records_find(&node->view->records, &scope, key_of(&name)) || !self ||
        !hm_member_has_role(self, role)) {
        return;
    }
    struct hm_log_record record = {.id = hm_node_role_log_id(role),
                                   .generation = node->generation,
                                   .voters = voters,
                                   .voters_count = first_voters(node, role, voters)};
    if (record.voters_count == 0) {
        voters[record.voters_count++] =
            (struct hm_voter){.id = node->id, .addr = node->config.addr, .voting = true};
    }
    submit_record(node, 0, &name, 0, &record, 0);
}

/* A log of which the survivor of a lost majority has nothing is lost with those who had it: it
 * begins anew with the survivor. One of a role that it has not is forgotten, for whoever has the
 * role to found again. */
static void refound(struct hm_node *node, const struct hm_record *record)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_log_record *log = &message.log_record;
    struct hm_voter self = {.id = node->id, .addr = node->config.addr, .voting = true};
    struct hm_name name;
    if (hm_message_decode_only(record->value, HM_MSG_log_record, &arena, &message) == HM_OK &&
        log->generation != node->generation &&
        hm_name_set(&name, (const char *)record->key.data, record->key.size)) {
        const struct hm_named *named = hm_node_named(node, log->id);
        size_t voters = 0;
        if (named) {
            (void)hm_raft_voters(named->upkeep.raft, &voters);
        }
        log->generation = node->generation;
        log->voters = &self;
        log->voters_count = 1;
        if (voters == 0) {
            submit_record(node, 0, &name, record->index, named ? log : NULL, 0);
        }
    }
    hm_arena_fini(&arena);
}

/* Only while it is alone: whoever came later waits for the leaders of the logs. */
static void refound_lost_logs(struct hm_node *node)
{
    const struct hm_records *records = &node->view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    size_t voters = 0;
    (void)hm_raft_voters(node->control.raft, &voters);
    if (node->generation == 0 || voters != 1 ||
        hm_raft_role(node->control.raft) != HM_RAFT_LEADER) {
        return;
    }
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        refound(node, records->items[i]);
    }
}

void hm_node_found_role_logs(struct hm_node *node)
{
    if (node->phase != HM_PHASE_MEMBER || node->now < node->log_admin->role_logs_at ||
        !hm_raft_has_quorum(node->control.raft, node->now)) {
        return;
    }
    node->log_admin->role_logs_at = node->now + ROLE_LOGS_MS;
    refound_lost_logs(node);
    for (size_t i = 0; i < node->config.module_count; i++) {
        if (node->modules[i].log) {
            found_role_log(node, node->modules[i].module->performs[0]);
        }
    }
}

void hm_node_on_log_create(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_log_create *create = &request->message->log_create;
    struct hm_name name = lower(&create->name);
    if (must_pass_on(node)) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    struct hm_arena arena = {0};
    struct hm_log_record known;
    uint64_t index;
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    struct hm_log_record record = {
        .id = hm_node_next_log_id(node),
        .keep_entries = create->keep_entries ? create->keep_entries : KEEP_ENTRIES,
        .keep_bytes = create->keep_bytes ? create->keep_bytes : KEEP_BYTES,
        .generation = node->generation,
        .voters = voters,
        .voters_count = first_voters(node, NULL, voters)};
    if (!hm_name_is_label(&name)) {
        hm_node_answer_status(node, request->token, HM_BAD_ARGUMENT,
                              "'%s' is no name for a log: letters, digits and hyphens, at most 63",
                              create->name.text);
    } else if (record.keep_entries > HM_KEEP_ENTRIES_MAX || record.keep_bytes > HM_KEEP_BYTES_MAX) {
        hm_node_answer_status(node, request->token, HM_TOO_LARGE,
                              "a log keeps at most %u entries and %u bytes of them",
                              HM_KEEP_ENTRIES_MAX, HM_KEEP_BYTES_MAX);
    } else if (hm_node_log_record(node, &name, &arena, &known, &index)) {
        hm_node_answer_status(node, request->token, HM_EXISTS, "log %s is there already",
                              name.text);
    } else if (count_logs(node) >= HM_NAMED_MAX) {
        hm_node_answer_status(node, request->token, HM_FULL,
                              "there are %u logs already, which is the most there may be",
                              HM_NAMED_MAX);
    } else if (record.voters_count == 0) {
        hm_node_answer_status(node, request->token, HM_NO_QUORUM,
                              "the voters of the control plane are not known here");
    } else {
        submit_record(node, request->token, &name, 0, &record, record.id);
    }
    hm_arena_fini(&arena);
}

static void answer_unknown(struct hm_node *node, uint64_t token, const struct hm_name *name)
{
    hm_node_answer_status(node, token, HM_NOT_FOUND,
                          "there is no log %s; `hivemind log list` shows those that there are",
                          name->text);
}

void hm_node_on_log_delete(struct hm_node *node, const struct hm_request *request)
{
    struct hm_name name = lower(&request->message->log_delete.name);
    if (must_pass_on(node)) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    struct hm_arena arena = {0};
    struct hm_log_record known;
    uint64_t index;
    if (hm_node_role_of_log(&name)) {
        hm_node_answer_status(node, request->token, HM_DENIED,
                              "log %s belongs to the role: it is there as long as the cluster is",
                              name.text);
    } else if (hm_node_log_record(node, &name, &arena, &known, &index)) {
        submit_record(node, request->token, &name, index, NULL, 0);
    } else {
        answer_unknown(node, request->token, &name);
    }
    hm_arena_fini(&arena);
}

/* ---- who carries it ---- */

void hm_node_change_log(struct hm_node *node, uint64_t token, const struct hm_log_change *change)
{
    struct hm_name name = lower(&change->name);
    struct hm_arena arena = {0};
    struct hm_log_record record;
    uint64_t index;
    const struct hm_member *member = hm_members_find_name(&node->view->members, &change->node);
    if (!hm_node_log_record(node, &name, &arena, &record, &index)) {
        answer_unknown(node, token, &name);
    } else if (!member) {
        hm_node_answer_status(node, token, HM_NOT_FOUND, "there is no member %s",
                              change->node.text);
    } else if (!hm_member_has_role(member, "control")) {
        hm_node_answer_status(node, token, HM_BAD_ARGUMENT,
                              "node %s has not the role control: it carries no logs",
                              change->node.text);
    } else {
        struct hm_node_ref kept_out[HM_RAFT_VOTERS_MAX];
        uint32_t count = 0;
        for (uint32_t i = 0; i < record.excluded_count; i++) {
            if (!hm_id_equal(&record.excluded[i].id, &member->id)) {
                kept_out[count++] = record.excluded[i];
            }
        }
        bool was_out = count != record.excluded_count;
        if (change->what == 1 && count < HM_RAFT_VOTERS_MAX) {
            kept_out[count++].id = member->id;
        }
        size_t controls = hm_members_count_role(&node->view->members, "control");
        record.excluded = kept_out;
        record.excluded_count = count;
        if (was_out == (change->what == 1)) {
            hm_node_answer_status(node, token, HM_OK, "nothing changes: node %s %s log %s",
                                  member->name.text, was_out ? "is kept out of" : "may carry",
                                  name.text);
        } else if (controls <= count) {
            hm_node_answer_status(node, token, HM_DENIED, "nobody would be left to carry log %s",
                                  name.text);
        } else {
            submit_record(node, token, &name, index, &record, 0);
        }
    }
    hm_arena_fini(&arena);
}

static struct hm_name member_name(const struct hm_node *node, const struct hm_id *id)
{
    const struct hm_member *member = hm_members_find(&node->view->members, id);
    return member ? member->name : (struct hm_name){0};
}

void hm_node_reply_log_members(struct hm_node *node, uint64_t token, const struct hm_named *named)
{
    struct hm_arena arena = {0};
    struct hm_message message = {.kind = HM_MSG_log_members_reply};
    struct hm_log_members_reply *reply = &message.log_members_reply;
    struct hm_id leader = hm_raft_leader(named->upkeep.raft);
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(named->upkeep.raft, &count);
    reply->members =
        hm_arena_alloc(&arena, count + named->upkeep.excluded_count, sizeof *reply->members);
    for (size_t i = 0; i < count; i++) {
        bool leads = hm_id_equal(&voters[i].id, &leader);
        reply->members[reply->members_count++] =
            (struct hm_log_member){.id = voters[i].id,
                                   .addr = voters[i].addr,
                                   .name = member_name(node, &voters[i].id),
                                   .state = hm_bytes_of_text(!voters[i].voting ? "learner"
                                                             : leads           ? "voter,leader"
                                                                               : "voter")};
    }
    for (size_t i = 0; i < named->upkeep.excluded_count; i++) {
        const struct hm_id *id = &named->upkeep.excluded[i];
        const struct hm_member *member = hm_members_find(&node->view->members, id);
        if (member) {
            reply->members[reply->members_count++] =
                (struct hm_log_member){.id = *id,
                                       .addr = member->addr,
                                       .name = member->name,
                                       .state = hm_bytes_of_text("excluded")};
        }
    }
    hm_node_answer(node, token, &message);
    hm_arena_fini(&arena);
}

/* ---- list ---- */

static struct hm_log_info describe(const struct hm_node *node, const struct hm_named *named)
{
    const struct hm_replica *replica = hm_participant_replica(named->participant);
    struct hm_id leader = hm_raft_leader(named->upkeep.raft);
    struct hm_log_info info = {.name = named->name,
                               .id = named->id,
                               .leader = member_name(node, &leader),
                               .newest = replica->index,
                               .oldest = hm_replica_oldest(replica),
                               .keep_entries = replica->kept.keep.entries,
                               .keep_bytes = replica->kept.keep.bytes};
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(named->upkeep.raft, &count);
    for (size_t i = 0; i < count; i++) {
        info.voters += voters[i].voting;
        info.learners += !voters[i].voting;
    }
    return info;
}

void hm_node_on_log_list(struct hm_node *node, const struct hm_request *request)
{
    if (must_pass_on(node)) {
        hm_node_forward(node, request->token, request->message);
        return;
    }
    struct hm_arena arena = {0};
    struct hm_message message = {.kind = HM_MSG_log_listed};
    struct hm_log_listed *listed = &message.log_listed;
    const struct hm_records *records = &node->view->records;
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    listed->logs = hm_arena_alloc(&arena, HM_NAMED_MAX, sizeof *listed->logs);
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope) &&
         listed->logs_count < HM_NAMED_MAX;
         i++) {
        struct hm_name name = {0};
        struct hm_bytes key = records->items[i]->key;
        name.size = (uint8_t)(key.size < HM_NAME_MAX ? key.size : HM_NAME_MAX);
        memcpy(name.text, key.data, name.size);
        const struct hm_named *named = hm_node_find_named(node, &name);
        if (named) {
            listed->logs[listed->logs_count++] = describe(node, named);
        }
    }
    hm_node_answer(node, request->token, &message);
    hm_arena_fini(&arena);
}
