#include "core/log/replica.h"

#include "core/base/plant.h"

#include <stdio.h>

void hm_replica_init(struct hm_replica *replica, const struct hm_machine *machine, void *context)
{
    *replica = (struct hm_replica){.machine = machine, .context = context};
}

void hm_replica_fini(struct hm_replica *replica)
{
    hm_sessions_fini(&replica->sessions);
}

/* What the log remembers of a request that came before. */
static void recall(struct hm_replica *replica, const struct hm_log_entry *entry,
                   struct hm_outcome *out)
{
    const struct hm_session *session = hm_sessions_find(&replica->sessions, &entry->session);
    if (session && session->last_seq == entry->seq) {
        out->status = (enum hm_status)session->last_status;
        out->index = session->last_index;
    }
    if (replica->machine->repeat) {
        replica->machine->repeat(replica->context, entry, out);
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
                      struct hm_outcome *out)
{
    *out = (struct hm_outcome){.status = HM_OK};
    /* Log time never goes back, whatever the leader's clock did. */
    replica->time_ms = request->time_ms > replica->time_ms ? request->time_ms : replica->time_ms;
    if (replica->time_ms > HM_SESSION_IDLE_MS) {
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
    replica->machine->apply(replica->context, &entry, out);
    if (entry.seq) {
        hm_sessions_answered(&replica->sessions, &entry.session, entry.seq, out);
    }
}

void hm_replica_snapshot(const struct hm_replica *replica, struct hm_buf *out)
{
    struct hm_buf machine = {0};
    replica->machine->snapshot(replica->context, &machine);
    struct hm_message message = {.kind = HM_MSG_log_state,
                                 .log_state = {.index = replica->index,
                                               .time_ms = replica->time_ms,
                                               .sessions = replica->sessions.items,
                                               .sessions_count = (uint32_t)replica->sessions.count,
                                               .machine = hm_buf_view(&machine)}};
    if (hm_plant("snapshot_without_sessions")) {
        message.log_state.sessions_count = 0;
    }
    hm_message_encode(out, &message);
    hm_buf_fini(&machine);
}

enum hm_status hm_replica_install(struct hm_replica *replica, struct hm_bytes snapshot)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_sessions sessions = {0};
    enum hm_status status = hm_message_decode_only(snapshot, HM_MSG_log_state, &arena, &message);
    if (status == HM_OK) {
        status = hm_sessions_load(&sessions, message.log_state.sessions,
                                  message.log_state.sessions_count);
    }
    if (status == HM_OK) {
        status = replica->machine->install(replica->context, message.log_state.machine);
    }
    if (status == HM_OK) {
        hm_sessions_fini(&replica->sessions);
        replica->sessions = sessions;
        replica->index = message.log_state.index;
        replica->time_ms = message.log_state.time_ms;
    } else {
        hm_sessions_fini(&sessions);
    }
    hm_arena_fini(&arena);
    return status;
}
