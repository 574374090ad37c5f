/* Whom a node watches: the subjects of its slice first, then guests, whom it was only asked about.
 */
#include "core/engine/swim_watched.h"

#include "core/base/memory.h"

#include <string.h>

#define HELPERS_ENOUGH 7u /* subjects are asked as well */

struct hm_swim_member *hm_swim_find(const struct hm_swim *swim, const struct hm_id *id)
{
    for (size_t i = 0; i < swim->count; i++) {
        if (hm_id_equal(&swim->members[i].peer.id, id)) {
            return &swim->members[i];
        }
    }
    return NULL;
}

/* A new subject has its first turn soon; then the subject itself says when. */
static hm_ms first_turn(struct hm_swim *swim, hm_ms now)
{
    return now + 1 + hm_random_below(&swim->random, swim->config.probe_interval_ms);
}

static struct hm_swim_member newcomer(struct hm_swim *swim, hm_ms now, const struct hm_peer *peer)
{
    return (struct hm_swim_member){.peer = *peer,
                                   .state = HM_SWIM_STATE_ALIVE,
                                   .urgent_at = HM_NEVER,
                                   .regular_at = first_turn(swim, now)};
}

static void take_out(struct hm_swim *swim, size_t at)
{
    swim->count--;
    memmove(swim->members + at, swim->members + at + 1, (swim->count - at) * sizeof *swim->members);
}

static size_t subject_count(const struct hm_swim *swim)
{
    size_t count = 0;
    while (count < swim->count && !swim->members[count].guest) {
        count++;
    }
    return count;
}

void hm_swim_watch(struct hm_swim *swim, hm_ms now, const struct hm_peer *subjects, size_t count)
{
    size_t guests = swim->count - subject_count(swim);
    struct hm_swim_member *members = hm_alloc(count + guests, sizeof *members);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&subjects[i].id, &swim->config.self.id)) {
            continue;
        }
        struct hm_swim_member *old = hm_swim_find(swim, &subjects[i].id);
        members[kept] = old ? *old : newcomer(swim, now, &subjects[i]);
        if (members[kept].guest) { /* it had no turns */
            members[kept].regular_at = first_turn(swim, now);
        }
        members[kept].guest = false;
        members[kept++].peer = subjects[i];
        if (old) {
            old->guest = false; /* it is one no more */
        }
    }
    for (size_t i = 0; i < swim->count; i++) {
        if (swim->members[i].guest) {
            members[kept++] = swim->members[i];
        }
    }
    hm_free(swim->members);
    swim->members = members;
    swim->count = kept;
    swim->capacity = count + guests;
}

void hm_swim_forget(struct hm_swim *swim, hm_ms now, const struct hm_id *id)
{
    struct hm_swim_member *member = hm_swim_find(swim, id);
    if (!member) {
        return;
    }
    if (!member->guest) {
        *member = newcomer(swim, now, &(struct hm_peer){*id, member->peer.addr});
        return;
    }
    take_out(swim, (size_t)(member - swim->members));
}

void hm_swim_set_helpers(struct hm_swim *swim, const struct hm_peer *helpers, size_t count)
{
    size_t kept = 0;
    size_t subjects = subject_count(swim);
    struct hm_peer *list = hm_alloc(count, sizeof *list);
    for (size_t i = 0; i < count && subjects + kept < HELPERS_ENOUGH; i++) {
        const struct hm_swim_member *member = hm_swim_find(swim, &helpers[i].id);
        if (!hm_id_equal(&helpers[i].id, &swim->config.self.id) && (!member || member->guest)) {
            list[kept++] = helpers[i];
        }
    }
    hm_free(swim->helpers);
    swim->helpers = kept ? hm_resize(list, kept, sizeof *list) : NULL;
    swim->helper_count = kept;
    if (kept == 0) {
        hm_free(list);
    }
}

struct hm_swim_member *hm_swim_add_guest(struct hm_swim *swim, hm_ms now,
                                         const struct hm_suspect *about)
{
    struct hm_peer peer = {about->target, about->target_addr};
    if (hm_addr_is_none(&peer.addr) || swim->count >= HM_SWIM_GUESTS_MAX) {
        return NULL;
    }
    swim->members = hm_grow(swim->members, swim->count, &swim->capacity, sizeof *swim->members);
    struct hm_swim_member *guest = &swim->members[swim->count++];
    *guest = newcomer(swim, now, &peer);
    guest->guest = true;
    guest->regular_at = now + HM_SWIM_GUEST_MS; /* then it goes */
    guest->incarnation = about->incarnation;
    return guest;
}

void hm_swim_forget_guests(struct hm_swim *swim, hm_ms now)
{
    for (size_t i = swim->count; i > 0 && swim->members[i - 1].guest; i--) {
        if (now >= swim->members[i - 1].regular_at) {
            take_out(swim, i - 1);
        }
    }
}

bool hm_swim_is_cut_off(const struct hm_swim *swim)
{
    size_t subjects = subject_count(swim);
    size_t away = 0;
    for (size_t i = 0; i < subjects; i++) {
        away += swim->members[i].state == HM_SWIM_STATE_SUSPECT ||
                swim->members[i].state == HM_SWIM_STATE_GONE;
    }
    return 2 * away > subjects;
}

enum hm_swim_state hm_swim_state(const struct hm_swim *swim, const struct hm_id *id)
{
    const struct hm_swim_member *member = hm_swim_find(swim, id);
    if (!member) {
        return HM_SWIM_STATE_UNKNOWN;
    }
    return member->lossy ? HM_SWIM_STATE_GONE : (enum hm_swim_state)member->state;
}

size_t hm_swim_unwell(const struct hm_swim *swim, struct hm_id *out, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < swim->count && count < most; i++) {
        const struct hm_swim_member *member = &swim->members[i];
        if (member->state != HM_SWIM_STATE_ALIVE || member->lossy) {
            out[count++] = member->peer.id;
        }
    }
    return count;
}

uint64_t hm_swim_incarnation(const struct hm_swim *swim, const struct hm_id *id)
{
    if (hm_id_equal(id, &swim->config.self.id)) {
        return swim->incarnation;
    }
    const struct hm_swim_member *member = hm_swim_find(swim, id);
    return member ? member->incarnation : 0;
}
