/* A participant: the program's state machine under core/log's participant, and what its effects
 * mean here. */
#include "core/embed/internal.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>

#define KEEP_ENTRIES       65536u
#define KEEP_BYTES         (1u << 20)
#define KEEP_BYTES_MAX     (4u << 20)
#define SNAPSHOT_CRC_BYTES 4u

struct hivemind_writer {
    struct hm_buf *out;
};

/* ---- the machine ---- */

static enum hm_status admit(void *context, const struct hm_log_entry *entry)
{
    struct hivemind_participant *participant = context;
    participant->applied_session = entry->session;
    participant->applied_seq = entry->seq;
    return hm_list_machine.admit(context, entry);
}

static void apply(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct hivemind_participant *participant = context;
    struct hivemind_result result = {.status = HM_OK};
    struct hivemind_entry told = {.index = entry->index,
                                  .time_ms = entry->time_ms,
                                  .data = entry->request.data,
                                  .size = entry->request.size};
    participant->machine.apply(participant->context, &told, &result);
    result.reason[sizeof result.reason - 1] = 0;
    /* Between participants "not the leader" means "ask another": no machine says it. */
    out->status = result.status == HM_NOT_LEADER ? HM_CONFLICT : result.status;
    snprintf(out->reason, sizeof out->reason, "%s", result.reason);
}

/* A session remembers the outcome of its last request alone. */
static void repeat(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    const struct hm_session *session = hm_sessions_find(entry->sessions, &entry->session);
    (void)context;
    if (session && session->last_seq != entry->seq) {
        out->status = HM_COMPACTED;
        snprintf(out->reason, sizeof out->reason,
                 "it was applied; what the state machine said is not known any more");
    }
}

static void snapshot(void *context, struct hm_buf *out)
{
    struct hivemind_participant *participant = context;
    struct hivemind_writer writer = {out};
    if (participant->machine.snapshot) {
        participant->machine.snapshot(participant->context, &writer);
    }
}

void hivemind_write(struct hivemind_writer *writer, const void *data, size_t size)
{
    hm_buf_append(writer->out, data, size);
}

static enum hm_status install(void *context, struct hm_bytes state)
{
    struct hivemind_participant *participant = context;
    if (!participant->machine.install) {
        return HM_OK;
    }
    return participant->machine.install(participant->context, state.data, state.size) == HM_OK
               ? HM_OK
               : HM_BAD_BYTES;
}

const struct hm_machine embed_machine = {
    .apply = apply, .repeat = repeat, .admit = admit, .snapshot = snapshot, .install = install};

/* ---- what it knows ---- */

uint64_t embed_index(const struct hivemind_participant *participant)
{
    return hm_participant_replica(participant->log_end)->index;
}

static const struct hm_voter *find_self(const struct hivemind_participant *participant)
{
    size_t count;
    const struct hm_voter *voters = hm_raft_voters(participant->raft, &count);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, &participant->server->self.id)) {
            return &voters[i];
        }
    }
    return NULL;
}

bool embed_is_in(const struct hivemind_participant *participant)
{
    return find_self(participant) != NULL;
}

static enum hivemind_role role_of(const struct hivemind_participant *participant)
{
    const struct hm_voter *self = find_self(participant);
    switch (hm_raft_role(participant->raft)) {
    case HM_RAFT_LEADER:
        return HIVEMIND_LEADER;
    case HM_RAFT_CANDIDATE:
    case HM_RAFT_PRECANDIDATE:
        return HIVEMIND_CANDIDATE;
    default:
        return participant->removed ? HIVEMIND_REMOVED
               : !self              ? HIVEMIND_UNJOINED
               : self->voting       ? HIVEMIND_FOLLOWER
                                    : HIVEMIND_LEARNER;
    }
}

static enum hm_status check_started(const struct hivemind_participant *participant)
{
    return participant->log_end ? HM_OK
                                : embed_fail(participant->server, HM_NOT_STARTED,
                                             "log %s is not started", participant->name.text);
}

enum hm_status hivemind_state(const struct hivemind_participant *participant,
                              struct hivemind_state *out)
{
    struct hivemind_server *server = participant->server;
    const struct hm_raft *raft = participant->raft;
    enum hm_status status = check_started(participant);
    if (status != HM_OK) {
        return status;
    }
    const struct hm_replica *replica = hm_participant_replica(participant->log_end);
    struct hm_id leader = hm_raft_leader(raft);
    *out = (struct hivemind_state){
        .role = role_of(participant),
        .ready = hm_raft_has_quorum(raft, embed_now(server)),
        .broken = participant->broken,
        .disk_failing = hm_logs_disk_failed(server->logs),
        .term = hm_raft_term(raft),
        .index = replica->index,
        .oldest = hm_replica_oldest(replica),
        .pending = hm_raft_last_index(raft) - hm_raft_commit(raft),
        .waiting = participant->submits.count + participant->others.count,
        .refused = server->refused,
    };
    memcpy(&out->leader, &leader, sizeof leader);
    return HM_OK;
}

enum hm_status hivemind_members(const struct hivemind_participant *participant,
                                struct hivemind_member *out, size_t most, size_t *count)
{
    enum hm_status status = check_started(participant);
    if (status != HM_OK) {
        return status;
    }
    const struct hm_voter *voters = hm_raft_voters(participant->raft, count);
    for (size_t i = 0; i < *count && i < most; i++) {
        memcpy(&out[i].id, &voters[i].id, sizeof out[i].id);
        hm_addr_format(&voters[i].addr, out[i].address);
        out[i].votes = voters[i].voting;
    }
    return HM_OK;
}

enum hm_status hivemind_snapshot(struct hivemind_participant *participant, const void **data,
                                 size_t *size)
{
    enum hm_status status = check_started(participant);
    if (status != HM_OK) {
        return status;
    }
    status = hm_participant_compact(participant->log_end);
    if (status == HM_OK || status == HM_STALE) { /* there is one that is as new */
        hm_buf_clear(&participant->taken);
        status = hm_participant_snapshot(participant->log_end, &participant->taken);
    }
    if (status != HM_OK) {
        status = status == HM_BAD_ARGUMENT || status == HM_STALE ? HM_NOT_READY : status;
        return embed_fail(participant->server, status, "no snapshot can be taken of log %s: %s",
                          participant->name.text, hm_status_text(status));
    }
    hm_put_u32(&participant->taken, hm_crc32c(0, hm_buf_view(&participant->taken)));
    *data = participant->taken.data;
    *size = participant->taken.size;
    embed_wake(participant->server);
    return HM_OK;
}

/* ---- its life ---- */

static enum hm_status take_peers(struct hivemind_server *server, const struct hivemind_peer *peers,
                                 size_t count, struct hm_peer *known, size_t *known_count)
{
    size_t end = *known_count;
    for (size_t i = 0; i < count; i++) {
        struct hm_peer peer;
        if (end == HIVEMIND_MEMBERS_MAX) {
            return embed_fail(server, HM_FULL, "a log has at most %u members",
                              HIVEMIND_MEMBERS_MAX);
        }
        memcpy(&peer.id, &peers[i].id, sizeof peer.id);
        if (hm_id_is_none(&peer.id) || !peers[i].address ||
            !hm_addr_parse(peers[i].address, 0, &peer.addr) || peer.addr.port == 0) {
            return embed_fail(server, HM_BAD_ARGUMENT,
                              "peer %zu: an id that is not zero and an address IP:PORT are wanted",
                              i);
        }
        for (size_t at = 0; at < end; at++) {
            if (hm_id_equal(&known[at].id, &peer.id)) {
                return embed_fail(server, HM_BAD_ARGUMENT, "peer %zu is there twice", i);
            }
        }
        known[end++] = peer;
    }
    *known_count = end;
    return HM_OK;
}

enum hm_status hivemind_add_peers(struct hivemind_participant *participant,
                                  const struct hivemind_peer *peers, size_t count)
{
    struct hm_peer known[HIVEMIND_MEMBERS_MAX];
    size_t known_count = participant->peer_count;
    if (participant->log_end) {
        return embed_fail(participant->server, HM_EXISTS,
                          "log %s runs: members are added with hivemind_add",
                          participant->name.text);
    }
    memcpy(known, participant->peers, sizeof known);
    enum hm_status status = take_peers(participant->server, peers, count, known, &known_count);
    if (status == HM_OK) {
        memcpy(participant->peers, known, sizeof known);
        participant->peer_count = known_count;
    }
    return status;
}

/* The message of a snapshot as hivemind_snapshot gave it. */
static bool read_snapshot(struct hm_bytes bytes, uint32_t log, struct hm_arena *arena,
                          struct hm_message *out)
{
    if (bytes.size < SNAPSHOT_CRC_BYTES) {
        return false;
    }
    struct hm_bytes blob = {bytes.data, bytes.size - SNAPSHOT_CRC_BYTES};
    struct hm_reader crc =
        hm_reader_of((struct hm_bytes){bytes.data + blob.size, SNAPSHOT_CRC_BYTES});
    return hm_get_u32(&crc) == hm_crc32c(0, blob) &&
           hm_message_decode_only(blob, HM_MSG_log_snapshot, arena, out) == HM_OK &&
           out->log_snapshot.log == log && out->log_snapshot.last_index > 0 &&
           out->log_snapshot.last_term > 0;
}

/* What stands for a log's name in messages and in the journal; 0 is the cluster's own log. */
static uint32_t number_of(const char *name)
{
    uint32_t number = (uint32_t)hm_hash(0, hm_bytes_of_text(name));
    return number ? number : 1;
}

static enum hm_status check_config(struct hivemind_server *server,
                                   const struct hivemind_log_config *config, struct hm_name *name)
{
    if (!config->name || !config->name[0] ||
        !hm_name_set(name, config->name, strlen(config->name)) || !config->machine.apply) {
        return embed_fail(server, HM_BAD_ARGUMENT,
                          "a log has a name of 1 to %d bytes, and a machine that applies",
                          HM_NAME_MAX);
    }
    uint32_t log = number_of(config->name);
    for (size_t i = 0; i < server->participant_count; i++) {
        const struct hivemind_participant *other = server->participants[i];
        if (other->log == log) {
            bool same = hm_name_equal(&other->name, name);
            return embed_fail(server, same ? HM_EXISTS : HM_CONFLICT,
                              same ? "log %s is open already"
                                   : "log %s cannot be told from one that is open: rename it",
                              config->name);
        }
    }
    if (server->participant_count == HIVEMIND_LOGS_MAX) {
        return embed_fail(server, HM_FULL, "a server has at most %u logs", HIVEMIND_LOGS_MAX);
    }
    struct hm_arena arena = {0};
    struct hm_message message;
    bool good =
        !config->snapshot ||
        (config->joins && read_snapshot((struct hm_bytes){config->snapshot, config->snapshot_size},
                                        log, &arena, &message));
    hm_arena_fini(&arena);
    return good ? HM_OK
                : embed_fail(server, config->joins ? HM_BAD_BYTES : HM_BAD_ARGUMENT,
                             "that is no snapshot which a participant of log %s can join from",
                             config->name);
}

enum hm_status hivemind_open(struct hivemind_server *server,
                             const struct hivemind_log_config *config,
                             const struct hivemind_peer *peers, size_t peer_count,
                             struct hivemind_participant **out)
{
    struct hm_name name;
    struct hm_peer known[HIVEMIND_MEMBERS_MAX];
    size_t known_count = 0;
    enum hm_status status = check_config(server, config, &name);
    if (status == HM_OK) {
        status = take_peers(server, peers, peer_count, known, &known_count);
    }
    if (status != HM_OK) {
        return status;
    }
    struct hivemind_participant *participant = hm_alloc(1, sizeof *participant);
    *participant = (struct hivemind_participant){
        .server = server,
        .name = name,
        .log = number_of(config->name),
        .machine = config->machine,
        .context = config->context,
        .joins = config->joins,
        .keep = {config->keep_entries ? config->keep_entries : KEEP_ENTRIES,
                 config->keep_bytes ? config->keep_bytes : KEEP_BYTES},
        .peer_count = known_count,
        .calls_at = HM_NEVER,
        .changes_at = HM_NEVER,
    };
    participant->keep.bytes =
        participant->keep.bytes < KEEP_BYTES_MAX ? participant->keep.bytes : KEEP_BYTES_MAX;
    memcpy(participant->peers, known, sizeof known);
    if (config->snapshot) {
        participant->snapshot =
            hm_bytes_copy((struct hm_bytes){config->snapshot, config->snapshot_size});
    }
    if (server->started) {
        status = embed_begin(participant);
    }
    if (status != HM_OK) {
        embed_participant_free(participant);
        return status;
    }
    if (server->started) {
        embed_begun(participant);
    }
    server->participants[server->participant_count++] = participant;
    embed_wake(server);
    *out = participant;
    return HM_OK;
}

void embed_participant_config(struct hivemind_participant *participant,
                              struct hm_participant_config *out)
{
    const struct hivemind_server_config *config = &participant->server->config;
    *out = (struct hm_participant_config){
        .raft = {.log = participant->log,
                 .election_ms = config->election_ms,
                 .heartbeat_ms = config->heartbeat_ms},
        .machine = &embed_machine,
        .context = participant,
        .keep = participant->keep,
    };
}

/* A log that the directory does not know: founded, or entered. */
static enum hm_status begin_anew(struct hivemind_participant *participant)
{
    struct hivemind_server *server = participant->server;
    hm_ms now = embed_now(server);
    struct hm_participant_config config;
    struct hm_voter voters[HIVEMIND_MEMBERS_MAX];
    bool self = false;
    for (size_t i = 0; i < participant->peer_count; i++) {
        voters[i] = (struct hm_voter){participant->peers[i].id, participant->peers[i].addr, true};
        self |= hm_id_equal(&participant->peers[i].id, &server->self.id);
    }
    if (!participant->joins && !self) {
        return embed_fail(server, HM_BAD_ARGUMENT,
                          "log %s is founded by its peers, but this server is not among them",
                          participant->name.text);
    }
    if (hm_logs_is_forgotten(server->logs, participant->log)) {
        return embed_fail(server, HM_CONFLICT,
                          "log %s was closed, and the directory is not rid of it yet: use another "
                          "name, or open it after a later start",
                          participant->name.text);
    }
    embed_participant_config(participant, &config);
    struct hm_participant *opened = hm_logs_open(server->logs, now, &config);
    HM_ASSERT(opened != NULL);
    enum hm_status status = HM_OK;
    if (!participant->joins) {
        status = hm_raft_found_with(hm_participant_raft(opened), now, 0, voters,
                                    participant->peer_count);
    } else if (participant->snapshot.size) {
        struct hm_arena arena = {0};
        struct hm_message message;
        bool good = read_snapshot(participant->snapshot, participant->log, &arena, &message);
        HM_ASSERT(good);
        status = hm_logs_begin(server->logs, now, participant->log, &message);
        hm_arena_fini(&arena);
    }
    return status == HM_OK ? status
                           : embed_fail(server, status, "log %s cannot be begun: %s",
                                        participant->name.text, hm_status_text(status));
}

enum hm_status embed_begin(struct hivemind_participant *participant)
{
    struct hm_logs *logs = participant->server->logs;
    enum hm_status status = HM_OK;
    if (!hm_logs_find(logs, participant->log)) {
        status = begin_anew(participant);
    }
    if (status == HM_OK) {
        participant->log_end = hm_logs_find(logs, participant->log);
        participant->raft = hm_participant_raft(participant->log_end);
        participant->changed = true;
    }
    return status;
}

void embed_begun(struct hivemind_participant *participant)
{
    hm_bytes_free(participant->snapshot);
    participant->snapshot = (struct hm_bytes){0};
}

/* Nothing hangs on what it remembers: it is out of the log and nothing can bring that back, or
 * nobody else is in. */
static bool is_free_to_go(const struct hivemind_participant *participant)
{
    const struct hm_raft *raft = participant->raft;
    size_t count;
    (void)hm_raft_voters(raft, &count);
    bool settled = hm_raft_commit(raft) == hm_raft_last_index(raft);
    return participant->removed || (settled && (!embed_is_in(participant) ||
                                                (count == 1 && find_self(participant)->voting)));
}

enum hm_status hivemind_close(struct hivemind_participant *participant)
{
    struct hivemind_server *server = participant->server;
    if (server->stepping) {
        return embed_fail(server, HM_BUSY, "log %s is closed within a step",
                          participant->name.text);
    }
    if (participant->raft && !is_free_to_go(participant)) {
        return embed_fail(server, HM_DENIED,
                          "this server is a member of log %s: it is to be removed first",
                          participant->name.text);
    }
    size_t at = 0;
    while (server->participants[at] != participant) {
        at++;
    }
    server->participant_count--;
    memmove(server->participants + at, server->participants + at + 1,
            (server->participant_count - at) * sizeof(struct hivemind_participant *));
    if (participant->raft) {
        hm_logs_forget(server->logs, participant->log);
    }
    embed_participant_free(participant);
    embed_wake(server); /* the disk */
    return HM_OK;
}

void embed_participant_free(struct hivemind_participant *participant)
{
    embed_calls_fini(participant);
    if (participant->closed) {
        participant->closed(participant->context);
    }
    hm_bytes_free(participant->snapshot);
    hm_free(participant->asks);
    hm_free(participant->watches);
    hm_buf_fini(&participant->taken);
    hm_free(participant);
}

/* ---- what the log wants ---- */

static void applied(struct hivemind_participant *participant, const struct hm_outcome *outcome)
{
    if (outcome && participant->applied_seq) {
        embed_calls_applied(participant, &participant->applied_session, participant->applied_seq,
                            outcome);
    }
    participant->applied_seq = 0;
    (void)embed_watches_push(participant);
}

static void notice(struct hivemind_participant *participant, const struct hm_log_effect *effect)
{
    participant->changed = true;
    switch (effect->notice) {
    case HM_RAFT_ROLE_CHANGED:
        participant->hint = (struct hm_peer){0};
        participant->changes_at = 0;
        embed_calls_resend(participant, NULL);
        break;
    case HM_RAFT_VOTERS_CHANGED:
        participant->removed = participant->removed && !embed_is_in(participant);
        participant->changes_at = 0;
        break;
    case HM_RAFT_REMOVED:
        participant->removed = true;
        embed_calls_removed(participant);
        break;
    default:
        break;
    }
}

static struct hivemind_participant *participant_of(struct hivemind_server *server, uint32_t log)
{
    for (size_t i = 0; i < server->participant_count; i++) {
        if (server->participants[i]->log == log) {
            return server->participants[i];
        }
    }
    return NULL;
}

static void do_effect(struct hivemind_server *server, const struct hm_log_effect *effect)
{
    struct hivemind_participant *participant = participant_of(server, effect->log);
    HM_ASSERT(participant != NULL);
    switch (effect->kind) {
    case HM_LOG_SEND:
        embed_send(participant, &effect->peer, effect->message);
        break;
    case HM_LOG_APPLIED:
        applied(participant, effect->outcome);
        break;
    case HM_LOG_INSTALLED:
        participant->changed = true;
        participant->applied_seq = 0;
        embed_calls_again(participant);
        (void)embed_watches_push(participant);
        break;
    case HM_LOG_ANSWER:
        embed_answer(participant, effect->token, effect->outcome->status, effect->outcome->index,
                     hm_bytes_of_text(effect->outcome->reason));
        break;
    case HM_LOG_NOTICE:
        notice(participant, effect);
        break;
    case HM_LOG_BROKEN:
        participant->broken = true;
        participant->changed = true;
        break;
    case HM_LOG_PERSIST:
        break; /* the logs' own */
    }
}

static bool tell(struct hivemind_participant *participant)
{
    bool any = embed_calls_deliver(participant);
    if (embed_watches_push(participant)) {
        embed_wake(participant->server);
    }
    if (participant->changed) {
        participant->changed = false;
        if (participant->machine.changed) {
            participant->machine.changed(participant->context);
        }
        any = true;
    }
    return any;
}

bool embed_pump(struct hivemind_server *server)
{
    struct hm_log_effect effect;
    struct hm_journal_batch batch;
    bool any = false;
    bool again = true;
    while (again) {
        again = false;
        while (hm_logs_output(server->logs, embed_now(server), &effect)) {
            do_effect(server, &effect);
            any = true;
        }
        for (size_t i = 0; i < server->participant_count; i++) {
            again |= embed_changes_pump(server->participants[i]);
            again |= embed_calls_pump(server->participants[i]);
            again |= tell(server->participants[i]);
        }
        any |= again;
    }
    while (server->disk && hm_logs_disk_output(server->logs, &batch)) {
        hm_disk_submit(server->disk, batch.ops, batch.count, ++server->batch);
        any = true;
    }
    return any;
}
