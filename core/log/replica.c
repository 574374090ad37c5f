#include "core/log/replica.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <stdio.h>

void hm_replica_init(struct hm_replica *replica, const struct hm_machine *machine, void *context)
{
    *replica = (struct hm_replica){.machine = machine, .context = context};
}

void hm_replica_look_up(struct hm_replica *replica, hm_kept_body *body, void *context)
{
    replica->kept.body = body;
    replica->kept.context = context;
}

void hm_replica_fini(struct hm_replica *replica)
{
    hm_sessions_fini(&replica->sessions);
    hm_kept_fini(&replica->kept);
}

/* What the log remembers of a request that came before. */
static void recall(struct hm_replica *replica, const struct hm_log_entry *entry,
                   struct hm_outcome *out)
{
    const struct hm_session *session = hm_sessions_find(&replica->sessions, &entry->session);
    struct hm_log_entry again = *entry;
    if (session && session->last_seq == entry->seq) {
        out->status = (enum hm_status)session->last_status;
        out->index = session->last_index;
    } else {
        out->index = hm_kept_written(&replica->kept, &entry->session, entry->seq);
    }
    if (replica->machine->repeat) {
        again.refused = hm_sessions_refused(&replica->sessions, &entry->session, entry->seq);
        replica->machine->repeat(replica->context, &again, out);
    }
}

/* True: the request is to be applied now. Else `out` says what to answer. */
static bool is_new(struct hm_replica *replica, const struct hm_log_entry *entry,
                   struct hm_outcome *out)
{
    if (entry->seq == 0 || hm_id_is_none(&entry->session)) {
        return true;
    }
    enum hm_status admitted =
        replica->machine->admit ? replica->machine->admit(replica->context, entry) : HM_OK;
    if (admitted != HM_OK) {
        out->status = admitted == HM_NOT_FOUND ? HM_OK : admitted;
        if (admitted == HM_SESSION_EXPIRED) {
            snprintf(out->reason, sizeof out->reason,
                     "the session is not known (any more): it may have made this request before");
        }
        return admitted == HM_NOT_FOUND;
    }
    enum hm_status status =
        hm_sessions_note(&replica->sessions, &entry->session, entry->seq, replica->time_ms);
    if (hm_plant("no_deduplication")) {
        return true;
    }
    if (status == HM_EXISTS) {
        recall(replica, entry, out);
    } else if (status == HM_SESSION_EXPIRED) {
        snprintf(out->reason, sizeof out->reason, "request %llu is too old to tell if it was made",
                 (unsigned long long)entry->seq);
        out->status = status;
    } else if (status == HM_FULL) {
        snprintf(out->reason, sizeof out->reason, "the log has %u sessions already",
                 HM_SESSIONS_MAX);
        out->status = status;
    }
    return status == HM_OK;
}

void hm_replica_apply(struct hm_replica *replica, const struct hm_log_request *request,
                      uint64_t raft_index, struct hm_outcome *out)
{
    *out = (struct hm_outcome){.status = HM_OK};
    /* Log time never goes back, whatever the voters' clocks did. */
    replica->time_ms = request->time_ms > replica->time_ms ? request->time_ms : replica->time_ms;
    if (replica->time_ms > HM_SESSION_IDLE_MS && !replica->machine->ends_sessions) {
        hm_sessions_expire(&replica->sessions, replica->time_ms - HM_SESSION_IDLE_MS);
    }
    struct hm_log_entry entry = {.index = replica->index + 1,
                                 .time_ms = replica->time_ms,
                                 .session = request->session,
                                 .seq = request->seq,
                                 .request = request->request,
                                 .sessions = &replica->sessions};
    if (!is_new(replica, &entry, out)) {
        return;
    }
    out->index = ++replica->index;
    if (replica->machine->apply) {
        replica->machine->apply(replica->context, &entry, out);
    }
    hm_kept_add(&replica->kept, &entry, raft_index);
    if (entry.seq) {
        hm_sessions_answered(&replica->sessions, &entry.session, entry.seq, out);
    }
}

uint64_t hm_replica_oldest(const struct hm_replica *replica)
{
    return replica->index + 1 - hm_kept_count(&replica->kept);
}

void hm_replica_snapshot(const struct hm_replica *replica, bool with_kept, struct hm_buf *out)
{
    struct hm_buf machine = {0};
    const struct hm_kept *kept = &replica->kept;
    size_t count = with_kept ? hm_kept_count(kept) : 0;
    struct hm_log_item *items = hm_resize(NULL, count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        bool found = hm_kept_find(kept, hm_replica_oldest(replica) + i, &items[i]);
        HM_ASSERT(found);
    }
    if (replica->machine->snapshot) {
        replica->machine->snapshot(replica->context, &machine);
    }
    struct hm_message message = {.kind = HM_MSG_log_state,
                                 .log_state = {.index = replica->index,
                                               .time_ms = replica->time_ms,
                                               .keep_entries = kept->keep.entries,
                                               .keep_bytes = kept->keep.bytes,
                                               .items = items,
                                               .items_count = (uint32_t)count,
                                               .sessions = replica->sessions.items,
                                               .sessions_count = (uint32_t)replica->sessions.count,
                                               .machine = hm_buf_view(&machine)}};
    if (hm_plant("snapshot_without_sessions")) {
        message.log_state.sessions_count = 0;
    }
    hm_message_encode(out, &message);
    hm_free(items);
    hm_buf_fini(&machine);
}

enum hm_status hm_replica_install(struct hm_replica *replica, struct hm_bytes snapshot)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_sessions sessions = {0};
    struct hm_kept kept = {.body = replica->kept.body, .context = replica->kept.context};
    const struct hm_log_state *state = &message.log_state;
    enum hm_status status = hm_message_decode_only(snapshot, HM_MSG_log_state, &arena, &message);
    if (status == HM_OK) {
        status = hm_sessions_load(&sessions, state->sessions, state->sessions_count);
    }
    if (status == HM_OK) {
        status = hm_kept_load(&kept, (struct hm_keep){state->keep_entries, state->keep_bytes},
                              state->items, state->items_count, state->index);
    }
    if (status == HM_OK && replica->machine->install) {
        status = replica->machine->install(replica->context, state->machine);
    }
    if (status == HM_OK) {
        hm_replica_fini(replica);
        replica->sessions = sessions;
        replica->kept = kept;
        replica->index = state->index;
        replica->time_ms = state->time_ms;
    } else {
        hm_sessions_fini(&sessions);
        hm_kept_fini(&kept);
    }
    hm_arena_fini(&arena);
    return status;
}

/* ---- a log without a state machine ---- */

#define SESSION_AGE_MS   (50u * 60u * 1000u)
#define SESSION_AHEAD_MS (10u * 60u * 1000u) /* a writer's clock may be so far ahead */

/* A session that was forgotten was idle for an hour, so it was opened at least 50 minutes before:
 * it is too old to come in again, and what it wrote is never applied twice. */
static enum hm_status admit(void *context, const struct hm_log_entry *entry)
{
    uint64_t made_ms = 0;
    (void)context;
    if (hm_sessions_find(entry->sessions, &entry->session)) {
        return HM_OK;
    }
    for (size_t i = 0; i < 6; i++) {
        made_ms = made_ms << 8 | entry->session.bytes[i];
    }
    bool recent =
        made_ms + SESSION_AGE_MS > entry->time_ms && made_ms <= entry->time_ms + SESSION_AHEAD_MS;
    return recent ? HM_OK : HM_SESSION_EXPIRED;
}

const struct hm_machine hm_list_machine = {.admit = admit};
