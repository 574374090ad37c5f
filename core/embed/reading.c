/* Committed entries for the program: pulled from an index, or pushed to watches. */
#include "core/embed/internal.h"

#include "core/base/memory.h"

#include <string.h>

/* Entries that one watch is told in a round, so that none keeps the heartbeats waiting. */
#define ENTRIES_A_ROUND 256u

static const struct hm_replica *replica_of(const struct hivemind_participant *participant)
{
    return hm_participant_replica(participant->log_end);
}

static uint64_t oldest_of(const struct hivemind_participant *participant)
{
    return hm_replica_oldest(replica_of(participant));
}

static void fill(const struct hm_log_item *item, struct hivemind_entry *out)
{
    *out = (struct hivemind_entry){.index = item->index,
                                   .time_ms = item->time_ms,
                                   .data = item->data.data,
                                   .size = item->data.size};
}

/* May entries be asked for from here on? */
static enum hm_status check_from(const struct hivemind_participant *participant, uint64_t from)
{
    struct hivemind_server *server = participant->server;
    if (!participant->log_end) {
        return embed_fail(server, HM_NOT_STARTED, "log %s is not started", participant->name.text);
    }
    if (from == 0) {
        return embed_fail(server, HM_BAD_ARGUMENT, "entries count from 1");
    }
    uint64_t oldest = oldest_of(participant);
    if (from < oldest) {
        return embed_fail(
            server, HM_COMPACTED, "entry %llu of log %s is not kept any more; the oldest is %llu",
            (unsigned long long)from, participant->name.text, (unsigned long long)oldest);
    }
    return HM_OK;
}

enum hm_status hivemind_read(const struct hivemind_participant *participant, uint64_t from,
                             struct hivemind_entry *out, size_t most, size_t *count)
{
    enum hm_status status = check_from(participant, from);
    if (status != HM_OK) {
        return status;
    }
    size_t found = 0;
    struct hm_log_item item;
    while (found < most && hm_kept_find(&replica_of(participant)->kept, from + found, &item)) {
        fill(&item, &out[found++]);
    }
    *count = found;
    return HM_OK;
}

enum hm_status hivemind_watch(struct hivemind_participant *participant, uint64_t from,
                              hivemind_committed *committed, void *context, uint64_t *watch)
{
    enum hm_status status = check_from(participant, from);
    if (status != HM_OK) {
        return status;
    }
    participant->watches = hm_grow(participant->watches, participant->watch_count,
                                   &participant->watch_capacity, sizeof *participant->watches);
    participant->watches[participant->watch_count++] =
        (struct embed_watch){++participant->next_watch, from, committed, context};
    *watch = participant->next_watch;
    embed_wake(participant->server);
    return HM_OK;
}

static size_t place_of(const struct hivemind_participant *participant, uint64_t number)
{
    size_t at = 0;
    while (at < participant->watch_count && participant->watches[at].number != number) {
        at++;
    }
    return at;
}

void hivemind_unwatch(struct hivemind_participant *participant, uint64_t watch)
{
    size_t at = place_of(participant, watch);
    if (at < participant->watch_count) {
        participant->watch_count--;
        memmove(participant->watches + at, participant->watches + at + 1,
                (participant->watch_count - at) * sizeof *participant->watches);
    }
}

/* Tells one watch one entry; false: it has them all. The watch may be gone afterwards. */
static bool push_one(struct hivemind_participant *participant, struct embed_watch *watch)
{
    uint64_t oldest = oldest_of(participant);
    hivemind_committed *committed = watch->committed;
    void *context = watch->context;
    struct hivemind_entry entry = {0};
    if (watch->next >= oldest) {
        struct hm_log_item item;
        if (!hm_kept_find(&replica_of(participant)->kept, watch->next, &item)) {
            return false;
        }
        fill(&item, &entry);
        watch->next++;
    } else {
        watch->next = oldest;
    }
    committed(context, &entry);
    return true;
}

bool embed_watches_push(struct hivemind_participant *participant)
{
    bool more = false;
    uint64_t last = 0;
    for (size_t at = 0; at < participant->watch_count;) {
        uint64_t number = participant->watches[at].number;
        size_t told = 0;
        while (told < ENTRIES_A_ROUND && at < participant->watch_count &&
               participant->watches[at].number == number &&
               push_one(participant, &participant->watches[at])) {
            told++;
        }
        more |= told == ENTRIES_A_ROUND;
        /* Callbacks add behind and take out anywhere: numbers rise, so go on behind this one. */
        last = number;
        at = 0;
        while (at < participant->watch_count && participant->watches[at].number <= last) {
            at++;
        }
    }
    return more;
}
