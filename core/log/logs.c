#include "core/log/logs.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <string.h>

#define KEPT_ENTRY_BYTES 64u /* what an entry takes besides its data, and a little more */

/* A PERSIST that is on its way to the disk: the journal counts those of all logs in one row. */
struct write {
    uint64_t number; /* the journal's */
    uint32_t log;
    uint64_t log_number; /* as its Raft counts */
};

struct open_log {
    uint32_t id;
    struct hm_participant *participant;
};

/* A log of the journal that nobody here has use for: kept as it is, for who may have it later. Its
 * entries are moved on when they hold up the segments of the others. */
struct idle_log {
    uint32_t id;
    uint64_t snapshot_index;
    struct hm_bytes *moved; /* log_moved, encoded: all behind the snapshot */
    size_t moved_count;
    size_t moved_capacity;
    size_t bytes;
};

struct hm_logs {
    struct hm_logs_config config;
    struct hm_random random;
    struct hm_journal *journal; /* NULL: not durable */
    struct open_log *items;     /* by rising id */
    size_t count;
    size_t capacity;
    struct idle_log *idle;
    size_t idle_count;
    size_t idle_capacity;
    uint64_t wall_offset; /* wall clock - now, modulo 2^64 */
    bool wall_known;
    size_t turn;          /* whose effects come next */
    uint64_t number;      /* of the last write */
    struct write *writes; /* oldest first */
    size_t write_count;
    size_t write_capacity;
    bool failed; /* the logs were told so */
};

struct hm_logs *hm_logs_new(const struct hm_logs_config *config)
{
    struct hm_logs *logs = hm_alloc(1, sizeof *logs);
    logs->config = *config;
    hm_random_init(&logs->random, config->seed);
    if (config->durable) {
        logs->journal =
            hm_journal_new(&(struct hm_journal_config){.owner = config->self.id,
                                                       .segment_bytes = config->segment_bytes,
                                                       .sides = config->sides});
    }
    return logs;
}

void hm_logs_free(struct hm_logs *logs)
{
    if (!logs) {
        return;
    }
    for (size_t i = 0; i < logs->count; i++) {
        hm_participant_free(logs->items[i].participant);
    }
    for (size_t i = 0; i < logs->idle_count; i++) {
        for (size_t at = 0; at < logs->idle[i].moved_count; at++) {
            hm_bytes_free(logs->idle[i].moved[at]);
        }
        hm_free(logs->idle[i].moved);
    }
    hm_journal_free(logs->journal);
    hm_free(logs->idle);
    hm_free(logs->items);
    hm_free(logs->writes);
    hm_free(logs);
}

/* ---- which are open ---- */

struct hm_participant *hm_logs_find(const struct hm_logs *logs, uint32_t log)
{
    for (size_t i = 0; i < logs->count && logs->items[i].id <= log; i++) {
        if (logs->items[i].id == log) {
            return logs->items[i].participant;
        }
    }
    return NULL;
}

static void tell_wall(const struct hm_logs *logs, size_t at, hm_ms now)
{
    hm_raft_set_wall(hm_participant_raft(logs->items[at].participant), now,
                     logs->wall_known ? now + logs->wall_offset : 0);
}

void hm_logs_set_wall(struct hm_logs *logs, hm_ms now, uint64_t wall_ms)
{
    logs->wall_known = wall_ms != 0;
    logs->wall_offset = wall_ms - now;
    for (size_t i = 0; i < logs->count; i++) {
        tell_wall(logs, i, now);
    }
}

struct hm_participant *hm_logs_open(struct hm_logs *logs, hm_ms now,
                                    const struct hm_participant_config *config)
{
    struct hm_participant_config own = *config;
    HM_ASSERT(!hm_logs_find(logs, own.raft.log));
    if (logs->count >= HM_LOGS_MAX) {
        return NULL;
    }
    own.raft.self = logs->config.self;
    own.raft.seed = hm_random_u64(&logs->random);
    logs->items = hm_grow(logs->items, logs->count, &logs->capacity, sizeof *logs->items);
    size_t at = logs->count++;
    for (; at > 0 && logs->items[at - 1].id > own.raft.log; at--) {
        logs->items[at] = logs->items[at - 1];
    }
    logs->items[at] = (struct open_log){own.raft.log, hm_participant_new(&own, now)};
    tell_wall(logs, at, now);
    if (logs->failed) {
        hm_raft_persist_failed(hm_participant_raft(logs->items[at].participant), now);
    }
    return logs->items[at].participant;
}

enum hm_status hm_logs_begin(struct hm_logs *logs, hm_ms now, uint32_t log,
                             const struct hm_message *snapshot)
{
    struct hm_participant *participant = hm_logs_find(logs, log);
    HM_ASSERT(participant != NULL && snapshot->kind == HM_MSG_log_snapshot);
    struct hm_raft *raft = hm_participant_raft(participant);
    (void)now;
    if (hm_raft_term(raft) || hm_raft_last_index(raft)) {
        return HM_EXISTS;
    }
    /* What this participant answers to a leader is written behind these two, so it cannot outlive
     * them. */
    struct hm_message hard = {
        .kind = HM_MSG_log_hard_state,
        .log_hard_state = {.log = log, .term = snapshot->log_snapshot.last_term}};
    if (snapshot->log_snapshot.log != log || hm_raft_restore(raft, &hard) != HM_OK ||
        hm_raft_restore(raft, snapshot) != HM_OK) {
        return HM_BAD_BYTES;
    }
    if (logs->journal) {
        hm_journal_write(logs->journal, &hard, ++logs->number);
        hm_journal_write(logs->journal, snapshot, ++logs->number);
    }
    return HM_OK;
}

struct hm_participant *hm_logs_next(const struct hm_logs *logs, size_t *cursor, uint32_t *log)
{
    if (*cursor >= logs->count) {
        return NULL;
    }
    *log = logs->items[*cursor].id;
    return logs->items[(*cursor)++].participant;
}

void hm_logs_forget(struct hm_logs *logs, uint32_t log)
{
    size_t at = 0;
    while (at < logs->count && logs->items[at].id != log) {
        at++;
    }
    if (at == logs->count) {
        return;
    }
    hm_participant_free(logs->items[at].participant);
    logs->count--;
    memmove(logs->items + at, logs->items + at + 1, (logs->count - at) * sizeof *logs->items);
    if (logs->journal) {
        hm_journal_write(
            logs->journal,
            &(struct hm_message){.kind = HM_MSG_log_forget, .log_forget = {.log = log}},
            ++logs->number);
    }
}

bool hm_logs_is_forgotten(const struct hm_logs *logs, uint32_t log)
{
    return logs->journal && hm_journal_is_forgotten(logs->journal, log);
}

struct recovery {
    struct hm_logs *logs;
    hm_ms now;
    hm_logs_open_hook *open;
    void *context;
    bool damaged;
};

static uint32_t log_of(const struct hm_message *message)
{
    switch ((int)message->kind) {
#define LOG_OF(name)    \
    case HM_MSG_##name: \
        return message->name.log;
        LOG_OF(log_hard_state)
        LOG_OF(log_snapshot)
        LOG_OF(log_append)
        LOG_OF(vote_request)
        LOG_OF(vote_reply)
        LOG_OF(append)
        LOG_OF(append_reply)
        LOG_OF(snapshot_chunk)
        LOG_OF(snapshot_reply)
        LOG_OF(timeout_now)
#undef LOG_OF
    default:
        return UINT32_MAX;
    }
}

static struct idle_log *find_idle(struct hm_logs *logs, uint32_t log)
{
    for (size_t i = 0; i < logs->idle_count; i++) {
        if (logs->idle[i].id == log) {
            return &logs->idle[i];
        }
    }
    return NULL;
}

static void keep_idle(struct hm_logs *logs, const struct hm_message *message)
{
    struct idle_log *idle = find_idle(logs, log_of(message));
    if (!idle) {
        logs->idle = hm_grow(logs->idle, logs->idle_count, &logs->idle_capacity, sizeof *idle);
        idle = &logs->idle[logs->idle_count++];
        *idle = (struct idle_log){.id = log_of(message)};
    }
    if (message->kind == HM_MSG_log_snapshot) {
        idle->snapshot_index = message->log_snapshot.last_index;
    } else if (message->kind == HM_MSG_log_append) {
        struct hm_buf moved = {0};
        const struct hm_log_append *append = &message->log_append;
        hm_message_encode(
            &moved, &(struct hm_message){.kind = HM_MSG_log_moved,
                                         .log_moved = {.log = append->log,
                                                       .first_index = append->first_index,
                                                       .entries = append->entries,
                                                       .entries_count = append->entries_count}});
        idle->moved =
            hm_grow(idle->moved, idle->moved_count, &idle->moved_capacity, sizeof *idle->moved);
        idle->moved[idle->moved_count++] = hm_bytes_copy(hm_buf_view(&moved));
        idle->bytes += moved.size;
        hm_buf_fini(&moved);
    }
}

static void restore(void *context, const struct hm_message *message)
{
    struct recovery *recovery = context;
    uint32_t log = log_of(message);
    struct hm_participant *participant = hm_logs_find(recovery->logs, log);
    struct hm_participant_config config = {.raft.log = log};
    if (!participant && recovery->open(recovery->context, log, &config)) {
        participant = hm_logs_open(recovery->logs, recovery->now, &config);
    }
    if (!participant) {
        keep_idle(recovery->logs, message);
    }
    if (participant && hm_raft_restore(hm_participant_raft(participant), message) != HM_OK) {
        recovery->damaged = true;
    }
}

enum hm_status hm_logs_recover(struct hm_logs *logs, hm_ms now, const struct hm_disk_file *files,
                               size_t count, hm_logs_open_hook *open, void *context,
                               struct hm_buf *error, struct hm_buf *report)
{
    struct recovery recovery = {.logs = logs, .now = now, .open = open, .context = context};
    HM_ASSERT(logs->count == 0);
    if (!logs->journal) {
        return HM_OK;
    }
    enum hm_status status =
        hm_journal_recover(logs->journal, files, count, restore, &recovery, error, report);
    if (status == HM_OK && recovery.damaged) {
        status = HM_DAMAGED;
        hm_buf_printf(error, "the journal's pieces do not fit together");
    }
    return status;
}

/* ---- fed ---- */

enum hm_status hm_logs_input(struct hm_logs *logs, hm_ms now, const struct hm_peer *from,
                             const struct hm_message *message)
{
    struct hm_participant *participant = hm_logs_find(logs, log_of(message));
    return participant ? hm_participant_input(participant, now, from, message) : HM_NOT_FOUND;
}

void hm_logs_tick(struct hm_logs *logs, hm_ms now)
{
    for (size_t i = 0; i < logs->count; i++) {
        hm_raft_tick(hm_participant_raft(logs->items[i].participant), now);
    }
}

hm_ms hm_logs_deadline(const struct hm_logs *logs)
{
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < logs->count; i++) {
        hm_ms deadline = hm_raft_deadline(hm_participant_raft(logs->items[i].participant));
        soonest = deadline < soonest ? deadline : soonest;
    }
    return soonest;
}

void hm_logs_peer_reset(struct hm_logs *logs, hm_ms now, const struct hm_id *peer)
{
    for (size_t i = 0; i < logs->count; i++) {
        hm_raft_peer_reset(hm_participant_raft(logs->items[i].participant), now, peer);
    }
}

/* ---- effects ---- */

static void persist(struct hm_logs *logs, hm_ms now, struct hm_participant *participant,
                    const struct hm_log_effect *effect)
{
    if (!logs->journal) {
        hm_raft_durable(hm_participant_raft(participant), now, effect->number);
        return;
    }
    logs->writes =
        hm_grow(logs->writes, logs->write_count, &logs->write_capacity, sizeof *logs->writes);
    logs->writes[logs->write_count++] = (struct write){++logs->number, effect->log, effect->number};
    hm_journal_write_encoded(logs->journal, effect->message, logs->number);
}

bool hm_logs_output(struct hm_logs *logs, hm_ms now, struct hm_log_effect *out)
{
    /* One log after the other is emptied, until all of them have nothing more in a row. */
    for (size_t idle = 0; idle < logs->count;) {
        logs->turn = logs->turn < logs->count ? logs->turn : 0;
        struct hm_participant *participant = logs->items[logs->turn].participant;
        if (!hm_participant_output(participant, out)) {
            logs->turn++;
            idle++;
        } else if (out->kind == HM_LOG_PERSIST) {
            persist(logs, now, participant, out);
            idle = 0;
        } else {
            return true;
        }
    }
    return false;
}

/* ---- the disk ---- */

bool hm_logs_disk_output(struct hm_logs *logs, struct hm_journal_batch *out)
{
    return logs->journal && hm_journal_output(logs->journal, out);
}

/* Tells every log how far it is durable. */
static void tell_durable(struct hm_logs *logs, hm_ms now, uint64_t number)
{
    size_t done = 0;
    while (done < logs->write_count && logs->writes[done].number <= number) {
        done++;
    }
    for (size_t i = 0; i < logs->count; i++) {
        size_t last = done;
        while (last > 0 && logs->writes[last - 1].log != logs->items[i].id) {
            last--;
        }
        if (last > 0) {
            hm_raft_durable(hm_participant_raft(logs->items[i].participant), now,
                            logs->writes[last - 1].log_number);
        }
    }
    logs->write_count -= done;
    if (logs->write_count) {
        memmove(logs->writes, logs->writes + done, logs->write_count * sizeof *logs->writes);
    }
}

/* As much of a journal is fine: what is kept of all logs has to be in it. */
static uint64_t journal_bytes_most(const struct hm_logs *logs)
{
    uint64_t bytes = HM_LOGS_JOURNAL_BYTES;
    if (logs->config.segment_bytes) {
        bytes = HM_LOGS_JOURNAL_BYTES / HM_JOURNAL_SEGMENT_BYTES * logs->config.segment_bytes;
    }
    for (size_t i = 0; i < logs->count; i++) {
        const struct hm_kept *kept = &hm_participant_replica(logs->items[i].participant)->kept;
        bytes += 2 * (kept->bytes + hm_kept_count(kept) * KEPT_ENTRY_BYTES);
    }
    for (size_t i = 0; i < logs->idle_count; i++) {
        bytes += 2 * logs->idle[i].bytes;
    }
    return bytes;
}

static void move_on(struct hm_logs *logs, const struct idle_log *idle)
{
    if (idle->moved_count) {
        hm_journal_move(logs->journal, idle->moved, idle->moved_count);
        return;
    }
    /* What holds was cut, or is in the snapshot. */
    struct hm_buf none = {0};
    hm_message_encode(&none,
                      &(struct hm_message){
                          .kind = HM_MSG_log_moved,
                          .log_moved = {.log = idle->id, .first_index = idle->snapshot_index + 1}});
    struct hm_bytes piece = hm_buf_view(&none);
    hm_journal_move(logs->journal, &piece, 1);
    hm_buf_fini(&none);
}

/* A log to which little is written would keep the segments of all others. */
static void let_go(struct hm_logs *logs)
{
    uint32_t log;
    if (hm_journal_bytes(logs->journal) <= journal_bytes_most(logs) ||
        !hm_journal_is_held(logs->journal, &log)) {
        return;
    }
    struct hm_participant *participant = hm_logs_find(logs, log);
    const struct idle_log *idle = participant ? NULL : find_idle(logs, log);
    enum hm_status status = participant ? hm_participant_compact(participant) : HM_NOT_FOUND;
    if (idle) {
        move_on(logs, idle);
    }
    (void)status; /* not possible yet: the next time */
}

void hm_logs_disk_done(struct hm_logs *logs, hm_ms now, enum hm_status status)
{
    tell_durable(logs, now, hm_journal_done(logs->journal, status));
    let_go(logs);
    bool failed = hm_journal_failed(logs->journal);
    for (size_t i = 0; i < logs->count && failed != logs->failed; i++) {
        struct hm_raft *raft = hm_participant_raft(logs->items[i].participant);
        if (failed) {
            hm_raft_persist_failed(raft, now);
        } else {
            hm_raft_persist_recovered(raft, now);
        }
    }
    logs->failed = failed;
}

bool hm_logs_side_output(struct hm_logs *logs, struct hm_journal_batch *out)
{
    return logs->journal && hm_journal_side_output(logs->journal, out);
}

bool hm_logs_side_done(struct hm_logs *logs, enum hm_status status)
{
    bool failed = hm_journal_side_done(logs->journal, status);
    let_go(logs);
    return failed;
}

bool hm_logs_disk_failed(const struct hm_logs *logs)
{
    return logs->failed;
}

void hm_logs_disk_retry(struct hm_logs *logs)
{
    if (hm_journal_failed(logs->journal)) {
        hm_journal_retry(logs->journal);
    }
}

uint64_t hm_logs_journal_bytes(const struct hm_logs *logs)
{
    return logs->journal ? hm_journal_bytes(logs->journal) : 0;
}
