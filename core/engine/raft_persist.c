#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/engine/raft_internal.h"

#include <string.h>

/* The journal's list of entries is as long as a message may be. */
#define WRITE_ENTRIES_MAX 4096u

static void persist(struct hm_raft *raft, const struct hm_message *message, struct hm_bytes blob,
                    const struct raft_write *write)
{
    HM_ASSERT(!raft->failed);
    struct hm_effect effect = {
        .kind = HM_EFFECT_PERSIST, .number = ++raft->number, .message = blob};
    hm_outbox_push(&raft->outbox, &effect, message);
    raft->writes =
        hm_grow(raft->writes, raft->writes_count, &raft->writes_capacity, sizeof *raft->writes);
    raft->writes[raft->writes_count] = *write;
    raft->writes[raft->writes_count++].number = raft->number;
}

bool raft_hard_is_durable(const struct hm_raft *raft)
{
    return !raft->hard_dirty && raft->hard_number <= raft->durable_number && !raft->failed;
}

void raft_save_commit(struct hm_raft *raft)
{
    raft->commit_saved = raft->commit < raft->durable_index ? raft->commit : raft->durable_index;
    struct hm_message message = {.kind = HM_MSG_log_hard_state,
                                 .log_hard_state = {.log = raft->config.log,
                                                    .generation = raft->generation,
                                                    .term = raft->term,
                                                    .vote = raft->vote,
                                                    .commit = raft->commit_saved}};
    persist(raft, &message, (struct hm_bytes){0}, &(struct raft_write){0});
    raft->commit_number = raft->number;
}

void raft_save_hard(struct hm_raft *raft)
{
    if (!raft->hard_dirty || raft->failed) {
        return;
    }
    raft_save_commit(raft);
    raft->hard_number = raft->number;
    raft->hard_dirty = false;
}

static bool append_is_written(const struct hm_raft *raft)
{
    for (size_t i = 0; i < raft->writes_count; i++) {
        if (raft->writes[i].appends) {
            return true;
        }
    }
    return false;
}

static void save_entries(struct hm_raft *raft, uint64_t first, uint32_t count)
{
    struct hm_message message = {.kind = HM_MSG_log_append,
                                 .log_append = {.log = raft->config.log, .first_index = first}};
    if (count) {
        message.log_append.entries = (struct hm_entry *)raft_log_at(&raft->log, first);
        message.log_append.entries_count = count;
    }
    struct raft_write write = {.last_index = count ? first + count - 1 : 0, .appends = true};
    persist(raft, &message, (struct hm_bytes){0}, &write);
}

void raft_save_log(struct hm_raft *raft)
{
    if (raft->failed || append_is_written(raft)) {
        return;
    }
    while (raft->unsaved <= raft_log_last(&raft->log)) {
        uint32_t count = raft_log_batch(&raft->log, raft->unsaved, WRITE_ENTRIES_MAX,
                                        raft->config.batch_bytes_max);
        save_entries(raft, raft->unsaved, count);
        raft->unsaved += count;
    }
}

/* A snapshot of the leader that replaces our log: what the log holds behind it belongs to another
 * history and goes first. A crash between the two leaves a shorter log, never a mixed one. */
void raft_save_snapshot(struct hm_raft *raft)
{
    uint64_t covers = 0;
    if (raft->installing) {
        covers = raft->snapshot->last_index;
        save_entries(raft, covers + 1, 0);
    }
    persist(raft, NULL, raft->snapshot->blob, &(struct raft_write){.last_index = covers});
    raft->snapshot_number = raft->number;
}

void raft_cut(struct hm_raft *raft, uint64_t from)
{
    for (uint64_t i = from; i <= raft_log_last(&raft->log); i++) {
        if (raft_log_at(&raft->log, i)->kind == HM_RAFT_REQUEST) {
            hm_outbox_notify(&raft->outbox, HM_RAFT_DROPPED, NULL, i);
        }
    }
    raft_log_cut(&raft->log, from);
    for (size_t i = 0; i < raft->writes_count && !hm_plant("cut_keeps_writes"); i++) {
        struct raft_write *write = &raft->writes[i];
        write->last_index = write->last_index < from ? write->last_index : from - 1;
    }
    raft->unsaved = raft->unsaved < from ? raft->unsaved : from;
    raft->durable_index = raft->durable_index < from ? raft->durable_index : from - 1;
    raft->ack_match = raft->ack_match < from ? raft->ack_match : from - 1;
    raft->ack_sent = raft->ack_sent < from ? raft->ack_sent : from - 1;
    if (raft->voters_index >= from) {
        raft_voters_reload(raft);
    }
}

uint64_t raft_append(struct hm_raft *raft, uint8_t kind, struct hm_bytes body)
{
    raft_log_append(&raft->log, &(struct hm_entry){.term = raft->term, .kind = kind, .body = body});
    return raft_log_last(&raft->log);
}

void hm_raft_durable(struct hm_raft *raft, hm_ms now, uint64_t number)
{
    raft->now = now > raft->now ? now : raft->now;
    number = number < raft->number ? number : raft->number;
    if (number <= raft->durable_number) {
        return;
    }
    raft->durable_number = number;
    size_t done = 0;
    while (done < raft->writes_count && raft->writes[done].number <= number) {
        uint64_t last = raft->writes[done++].last_index;
        raft->durable_index = last > raft->durable_index ? last : raft->durable_index;
    }
    raft->writes_count -= done;
    memmove(raft->writes, raft->writes + done, raft->writes_count * sizeof *raft->writes);
    if (raft->failed) {
        return;
    }
    raft_snapshot_installed(raft);
    raft_snapshot_forget(raft);
    raft_vote_durable(raft);
    raft_campaign_durable(raft);
    raft_answer_durable(raft);
    raft_count_commit(raft);
    raft_save_hard(raft);
    raft_tell_removed(raft);
}

void hm_raft_persist_failed(struct hm_raft *raft, hm_ms now)
{
    raft->now = now > raft->now ? now : raft->now;
    if (raft->failed) {
        return;
    }
    if (hm_plant("leads_after_failed_write")) {
        hm_raft_durable(raft, now, raft->number);
        return;
    }
    if (raft->role == HM_RAFT_LEADER) {
        raft_hand_over(raft, raft_peer_best(raft));
    }
    raft_step_down(raft, raft->term);
    raft->failed = true;
    raft->election_at = HM_NEVER;
    raft->hears_leader = false;
    raft->vote_due = false;
    raft->answer_due = false;
}

void hm_raft_persist_recovered(struct hm_raft *raft, hm_ms now)
{
    raft->now = now > raft->now ? now : raft->now;
    if (!raft->failed) {
        return;
    }
    raft->failed = false;
    raft->writes_count = 0; /* what became durable in the end has been taken off */
    raft->hard_dirty = true;
    raft_save_hard(raft);
    if (raft->snapshot && raft->snapshot_number > raft->durable_number) {
        raft_save_snapshot(raft);
    }
    uint64_t first = raft->durable_index + 1;
    raft->unsaved = first > raft->log.base_index ? first : raft->log.base_index + 1;
    raft_restart_timer(raft);
}

/* ---- what the journal recovered ---- */

static enum hm_status restore_append(struct hm_raft *raft, const struct hm_log_append *append)
{
    uint64_t first = append->first_index;
    if (first == 0 || first > RAFT_NUMBER_MAX || first > raft_log_last(&raft->log) + 1) {
        return HM_DAMAGED;
    }
    if (first > raft->log.base_index) {
        raft_log_cut(&raft->log, first);
    }
    for (uint32_t i = 0; i < append->entries_count; i++) {
        const struct hm_entry *entry = &append->entries[i];
        if (first + i <= raft->log.base_index) {
            continue;
        }
        struct hm_log_voters voters;
        bool fits =
            entry->kind != HM_RAFT_VOTERS || raft_voters_decode(&raft->arena, entry->body, &voters);
        hm_arena_clear(&raft->arena);
        if (!fits || entry->kind > HM_RAFT_REQUEST || entry->term > raft->term ||
            entry->term < raft_log_term_at(&raft->log, raft_log_last(&raft->log))) {
            return HM_DAMAGED;
        }
        raft_log_append(&raft->log, entry);
    }
    return HM_OK;
}

static enum hm_status restore_snapshot(struct hm_raft *raft, const struct hm_log_snapshot *message)
{
    if (raft->snapshot || raft_log_last(&raft->log) || message->last_index == 0 ||
        message->last_index > RAFT_NUMBER_MAX || message->last_term > raft->term ||
        !raft_voters_valid(message->voters, message->voters_count)) {
        return HM_DAMAGED;
    }
    raft->snapshot = raft_snapshot_make(message);
    raft_log_begin(raft, message);
    raft->commit = raft->applied = message->last_index;
    struct hm_effect effect = {
        .kind = HM_EFFECT_APPLY, .number = message->last_index, .message = raft->snapshot->blob};
    hm_outbox_push(&raft->outbox, &effect, NULL);
    raft_snapshot_forget(raft);
    return HM_OK;
}

enum hm_status hm_raft_restore(struct hm_raft *raft, const struct hm_message *message)
{
    enum hm_status status = HM_DAMAGED;
    switch ((int)message->kind) {
    case HM_MSG_log_hard_state:
        if (message->log_hard_state.term <= RAFT_NUMBER_MAX) {
            raft->term = message->log_hard_state.term;
            raft->generation = message->log_hard_state.generation;
            raft->vote = message->log_hard_state.vote;
            raft->commit_restored = message->log_hard_state.commit;
            status = HM_OK;
        }
        break;
    case HM_MSG_log_snapshot:
        status = restore_snapshot(raft, &message->log_snapshot);
        break;
    case HM_MSG_log_append:
        status = restore_append(raft, &message->log_append);
        break;
    }
    if (status == HM_OK) {
        raft->durable_index = raft_log_last(&raft->log);
        raft->unsaved = raft->durable_index + 1;
        raft_voters_reload(raft);
        raft_restart_timer(raft);
    }
    return status;
}
