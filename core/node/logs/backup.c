#include "core/node/logs/backup.h"

#include "core/log/backup.h"
#include "core/node/desk/acts.h"
#include "core/node/desk/peers.h"
#include "core/node/desk/requests.h"
#include "core/node/desk/submit.h"
#include "core/node/logs/carriers.h"
#include "core/node/logs/named.h"

#include <stdio.h>

/* Tokens of ours among those that logs are given: no other reaches so far. */
#define TOKEN_BIT (UINT64_C(1) << 63)

#define ANSWER_MS 5000u
#define AGAIN_MS  200u /* a leader that is alive has answered by then */
#define READS_MAX 64u
#define IDLE_MS   30000u /* who asks for nothing more for so long has gone */

static void drop(struct hm_backup *backup)
{
    backup->connection = backup->token = 0;
    backup->log = (struct hm_backup_log){0};
    hm_buf_fini(&backup->state);
}

/* ---- what is handed out ---- */

/* Every log that there is, from the state that the answer is about; false: this node does not carry
 * this one. */
static bool list_logs(const struct hm_node *node, struct hm_arena *arena,
                      struct hm_backup_head *head, struct hm_name *missing)
{
    const struct hm_records *records = &node->view->records;
    const struct hm_member *self = hm_members_find(&node->view->members, &node->id);
    struct hm_name scope = hm_name_of(HM_SCOPE_LOGS);
    head->logs = hm_arena_alloc(arena, HM_LOGS_MAX, sizeof *head->logs);
    head->logs[head->logs_count++].name = hm_name_of("events");
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_log_name one = {0};
        struct hm_log_record record;
        uint64_t index;
        if (!hm_name_set(&one.name, (const char *)records->items[i]->key.data,
                         records->items[i]->key.size) ||
            !hm_node_log_record(node, &one.name, arena, &record, &index) ||
            head->logs_count == HM_LOGS_MAX) {
            continue;
        }
        one.log = record.id;
        /* Who is kept out of a log may still have an old copy of it. */
        if (!hm_node_named(node, one.log) ||
            (!head->local && self && !hm_node_is_carrier(&record, &one.name, self))) {
            *missing = one.name;
            return false;
        }
        uint32_t at = head->logs_count++;
        for (; head->logs[at - 1].log > one.log; at--) {
            head->logs[at] = head->logs[at - 1];
        }
        head->logs[at] = one;
    }
    return true;
}

static void answer_lacking(struct hm_node *node, uint64_t token, const struct hm_name *missing)
{
    char who[256];
    hm_node_name_carriers(node, who, sizeof who);
    if (who[0]) {
        hm_node_answer_status(
            node, token, HM_NOT_FOUND,
            "node %s does not carry log %s; run it on a control node that carries "
            "all of them: %s",
            node->config.name.text, missing->text, who);
    } else {
        hm_node_answer_status(
            node, token, HM_NOT_FOUND,
            "node %s does not carry log %s, and no control node carries all of "
            "them: `hivemind log add` and the roles of a control node change that",
            node->config.name.text, missing->text);
    }
}

static void answer_piece(struct hm_node *node, uint64_t token, uint64_t offset)
{
    struct hm_backup *backup = node->backup;
    struct hm_arena arena = {0};
    struct hm_name missing;
    size_t left = backup->state.size - (size_t)offset;
    struct hm_message message = {
        .kind = HM_MSG_backup_piece,
        .backup_piece = {.about = backup->log,
                         .offset = offset,
                         .data = {backup->state.data + offset, left < HM_BACKUP_DATA_BYTES_MAX
                                                                   ? left
                                                                   : HM_BACKUP_DATA_BYTES_MAX}}};
    struct hm_backup_head *head = &message.backup_piece.head;
    bool complete = true;
    if (backup->log.log == 0 && offset == 0) {
        *head = (struct hm_backup_head){.cluster = node->cluster,
                                        .key = node->config.key_id,
                                        .generation = hm_raft_generation(node->control.raft),
                                        .epoch = node->view->epoch,
                                        .time_ms = node->now + node->wall_offset,
                                        .node = node->config.name,
                                        .local = backup->query.local};
        complete = list_logs(node, &arena, head, &missing);
    }
    if (complete) {
        hm_node_answer(node, token, &message);
    } else {
        drop(backup);
        answer_lacking(node, token, &missing);
    }
    hm_arena_fini(&arena);
}

static struct hm_name name_of(const struct hm_node *node, uint32_t log)
{
    const struct hm_named *named = hm_node_named(node, log);
    return named ? named->name : hm_name_of("events");
}

static void fail(struct hm_node *node, enum hm_status status, const char *reason)
{
    uint64_t token = node->backup->token;
    drop(node->backup);
    hm_node_answer_status(node, token, status, "%s", reason);
}

/* The state as it is now, for the question that waits. */
static void take(struct hm_node *node)
{
    struct hm_backup *backup = node->backup;
    uint32_t log = backup->query.log;
    const struct hm_participant *participant = hm_logs_find(node->control.logs, log);
    if (!participant || hm_participant_applied(participant) == 0 || node->view->cluster == 0) {
        fail(node, HM_NOT_READY, "there is nothing in the log yet");
        return;
    }
    uint64_t applied = hm_participant_applied(participant);
    if (hm_raft_may_snapshot(hm_participant_raft(participant), applied) != HM_OK) {
        backup->needed = applied + 1; /* the leader's snapshot is about to replace what is here */
        return;
    }
    const struct hm_replica *replica = hm_participant_replica(participant);
    hm_buf_clear(&backup->state);
    hm_replica_snapshot(replica, true, &backup->state);
    if (backup->state.size > HM_WIRE_STORED_BYTES_MAX) {
        fail(node, HM_TOO_LARGE, "the log's state is larger than a snapshot may be");
        return;
    }
    backup->log = (struct hm_backup_log){.log = log,
                                         .name = name_of(node, log),
                                         .index = log ? replica->index : node->view->index,
                                         .applied = applied,
                                         .term = hm_raft_term(hm_participant_raft(participant)),
                                         .bytes = backup->state.size};
    uint64_t token = backup->token;
    backup->token = 0;
    answer_piece(node, token, 0);
}

/* ---- how far the copy must be ---- */

static void ask_index(struct hm_node *node)
{
    struct hm_backup *backup = node->backup;
    struct hm_participant *participant = hm_logs_find(node->control.logs, backup->query.log);
    if (!participant) {
        fail(node, HM_NOT_FOUND, "the log was deleted meanwhile; begin again");
        return;
    }
    struct hm_raft *raft = hm_participant_raft(participant);
    struct hm_id leader = hm_raft_leader(raft);
    struct hm_peer to;
    uint64_t call = ++backup->count;
    backup->again_at = node->now + HM_RETRY_STEP_MS;
    if (hm_raft_role(raft) == HM_RAFT_LEADER) {
        if (hm_participant_read(participant, node->now, TOKEN_BIT | call) != HM_OK) {
            return;
        }
    } else if (!hm_id_is_none(&leader) && hm_node_find_peer(node, &leader, &to)) {
        hm_node_send(node, &to,
                     &(struct hm_message){.kind = HM_MSG_index_query,
                                          .index_query = {.call = call, .log = backup->query.log}});
    } else {
        return;
    }
    backup->first_call = backup->first_call ? backup->first_call : call;
    backup->last_call = call;
    backup->again_at = node->now + AGAIN_MS;
}

/* Any answer to what was asked since the question came will do. */
static void reached(struct hm_node *node, uint32_t log, uint64_t call, uint64_t applied)
{
    struct hm_backup *backup = node->backup;
    if (backup->token && backup->query.log == log && backup->first_call &&
        call >= backup->first_call && call <= backup->last_call && backup->needed == 0) {
        backup->needed = applied;
    }
}

/* The answers to what was asked of a log that was deleted never come. */
static void forget_reads(struct hm_node *node)
{
    struct hm_backup *backup = node->backup;
    for (size_t i = backup->read_count; i > 0; i--) {
        if (!hm_logs_find(node->control.logs, backup->reads[i - 1].log)) {
            backup->reads[i - 1] = backup->reads[--backup->read_count];
        }
    }
}

void hm_node_on_index_query(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message)
{
    const struct hm_index_query *query = &message->index_query;
    struct hm_participant *participant =
        node->control.logs ? hm_logs_find(node->control.logs, query->log) : NULL;
    struct hm_backup *backup = node->backup;
    if (backup->read_count == READS_MAX) {
        forget_reads(node);
    }
    if (!participant || backup->read_count == READS_MAX) {
        node->dropped++;
        return;
    }
    struct hm_index_read read = {.token = TOKEN_BIT | ++backup->count,
                                 .log = query->log,
                                 .peer = *from,
                                 .call = query->call};
    if (hm_participant_read(participant, node->now, read.token) == HM_OK) {
        backup->reads = hm_grow(backup->reads, backup->read_count, &backup->read_capacity,
                                sizeof *backup->reads);
        backup->reads[backup->read_count++] = read;
    }
}

/* Nobody else can say how far the log is. */
static bool votes(const struct hm_node *node, uint32_t log, const struct hm_id *id)
{
    const struct hm_participant *participant =
        node->control.logs ? hm_logs_find(node->control.logs, log) : NULL;
    size_t count = 0;
    const struct hm_voter *voters =
        participant ? hm_raft_voters(hm_participant_raft(participant), &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (voters[i].voting && hm_id_equal(&voters[i].id, id)) {
            return true;
        }
    }
    return false;
}

void hm_node_on_index_reply(struct hm_node *node, const struct hm_peer *from,
                            const struct hm_message *message)
{
    const struct hm_index_reply *reply = &message->index_reply;
    if (votes(node, reply->log, &from->id)) {
        reached(node, reply->log, reply->call, reply->applied);
    } else {
        node->dropped++;
    }
}

bool hm_node_backup_answered(struct hm_node *node, const struct hm_log_effect *effect)
{
    struct hm_backup *backup = node->backup;
    if (!(effect->token & TOKEN_BIT)) {
        return false;
    }
    bool good = effect->outcome->status == HM_OK;
    const struct hm_participant *participant = hm_logs_find(node->control.logs, effect->log);
    uint64_t applied = hm_participant_applied(participant);
    for (size_t i = 0; i < backup->read_count; i++) {
        struct hm_index_read read = backup->reads[i];
        if (read.token != effect->token || read.log != effect->log) {
            continue;
        }
        backup->reads[i] = backup->reads[--backup->read_count];
        if (good) {
            hm_node_send(
                node, &read.peer,
                &(struct hm_message){
                    .kind = HM_MSG_index_reply,
                    .index_reply = {.call = read.call, .log = read.log, .applied = applied}});
        }
        return true;
    }
    if (good) {
        reached(node, effect->log, effect->token & ~TOKEN_BIT, applied);
    }
    return true;
}

/* ---- asked ---- */

static void begin(struct hm_node *node, const struct hm_request *request)
{
    struct hm_backup *backup = node->backup;
    const struct hm_backup_query *query = &request->message->backup_query;
    if (backup->token) {
        hm_node_close_request(node, backup->token);
    }
    backup->log = (struct hm_backup_log){0};
    backup->query = *query;
    backup->token = request->token;
    backup->first_call = backup->last_call = backup->needed = 0;
    backup->until = node->now + ANSWER_MS;
    if (query->local) {
        take(node);
    } else {
        ask_index(node);
    }
}

static void go_on(struct hm_node *node, const struct hm_request *request)
{
    struct hm_backup *backup = node->backup;
    const struct hm_backup_query *query = &request->message->backup_query;
    if (query->log != backup->log.log || query->applied != backup->log.applied ||
        query->offset >= backup->state.size) {
        hm_node_answer_status(node, request->token, HM_NOT_FOUND,
                              "what was being read is no longer held; begin again");
        return;
    }
    answer_piece(node, request->token, query->offset);
    if (backup->state.size - query->offset <= HM_BACKUP_DATA_BYTES_MAX) {
        hm_buf_fini(&backup->state); /* that was all of it */
    }
}

static void read_logs(struct hm_node *node, const struct hm_request *request)
{
    const struct hm_backup_query *query = &request->message->backup_query;
    const struct hm_origin *origin = hm_node_origin(node, request->token);
    struct hm_backup *backup = node->backup;
    uint64_t connection = origin ? origin->connection : 0;
    if (backup->connection != 0 && backup->connection != connection) {
        hm_node_answer_status(node, request->token, HM_BUSY,
                              "another backup is being read from node %s; try again later",
                              node->config.name.text);
    } else if (!hm_logs_find(node->control.logs, query->log)) {
        hm_node_answer_status(node, request->token, HM_NOT_FOUND,
                              "node %s does not carry log %u (any more); begin again",
                              node->config.name.text, query->log);
    } else {
        backup->connection = connection;
        backup->drop_at = node->now + IDLE_MS;
        (query->applied ? go_on : begin)(node, request);
    }
}

void hm_node_on_backup_query(struct hm_node *node, const struct hm_request *request)
{
    if (!node->control.logs) {
        hm_node_answer_status(node, request->token, HM_NOT_FOUND,
                              "node %s is not of the control plane; run it on a control node",
                              node->config.name.text);
    } else if (node->phase == HM_PHASE_FENCED && !request->message->backup_query.local) {
        hm_node_answer_status(node, request->token, HM_STALE,
                              "node %s is fenced; --local takes what it has all the same",
                              node->config.name.text);
    } else {
        read_logs(node, request);
    }
}

/* ---- driven ---- */

void hm_node_pump_backup(struct hm_node *node)
{
    struct hm_backup *backup = node->backup;
    if (!backup->token || !backup->needed) {
        return;
    }
    const struct hm_participant *participant = hm_logs_find(node->control.logs, backup->query.log);
    if (!participant || hm_participant_applied(participant) >= backup->needed) {
        take(node);
    }
}

static void expire(struct hm_node *node)
{
    char reason[256];
    struct hm_name log = name_of(node, node->backup->query.log);
    bool lags = node->backup->needed != 0;
    snprintf(reason, sizeof reason, "%s %s %s; --local takes what node %s has",
             log.size && node->backup->query.log ? "log" : "the event log,", log.text,
             lags ? "of this node is behind its leader"
                  : "has no leader with a quorum that this node hears",
             node->config.name.text);
    fail(node, lags ? HM_NOT_READY : HM_NO_QUORUM, reason);
}

void hm_node_tick_backup(struct hm_node *node)
{
    struct hm_backup *backup = node->backup;
    if (!backup->connection) {
        return;
    }
    if (!backup->token) {
        if (node->now >= backup->drop_at) {
            drop(backup);
        }
    } else if (node->now >= backup->until) {
        expire(node);
    } else if (!backup->needed && node->now >= backup->again_at) {
        ask_index(node);
    }
}

hm_ms hm_node_backup_deadline(const struct hm_node *node)
{
    const struct hm_backup *backup = node->backup;
    if (!backup->connection) {
        return HM_NEVER;
    }
    if (!backup->token) {
        return backup->drop_at;
    }
    return backup->needed || backup->until < backup->again_at ? backup->until : backup->again_at;
}

void hm_node_close_backup(struct hm_node *node, uint64_t connection)
{
    if (node->backup->connection == connection) {
        drop(node->backup);
    }
}
