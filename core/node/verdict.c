/* The leader counts the observers' reports: H distinct live observers make a member failed, and
 * nothing else does (Rapid, ATC'18, section 4.2; DESIGN section 4). */
#include "core/node/internal.h"

#include <string.h>

#define OBSERVERS_NEEDED 6u /* H, where there are K = 8 observers or more */
#define LOW_WATERMARK    3u
#define OBSERVERS_FULL   8u
#define BATCH_MAX        256u
#define RELEASE_EVERY_MS 500u
#define PROPOSE_AGAIN_MS 1000u /* a removal may be lost, or left out of a long batch */

static struct hm_tally *find(struct hm_control *control, const struct hm_id *target)
{
    for (size_t i = 0; i < control->tally_count; i++) {
        if (hm_id_equal(&control->tallies[i].target, target)) {
            return &control->tallies[i];
        }
    }
    return NULL;
}

void hm_node_forget_reports(struct hm_node *node, const struct hm_id *target)
{
    struct hm_control *control = &node->control;
    struct hm_tally *tally = find(control, target);
    if (tally) {
        *tally = control->tallies[--control->tally_count];
    }
}

static void add_reporter(struct hm_tally *tally, const struct hm_id *reporter)
{
    size_t most = sizeof tally->reporters / sizeof *tally->reporters;
    for (size_t i = 0; i < tally->count; i++) {
        if (hm_id_equal(&tally->reporters[i], reporter)) {
            return;
        }
    }
    if (tally->count == most) {
        /* As many as there are rings: some of them observe it no longer. */
        memmove(tally->reporters, tally->reporters + 1, --tally->count * sizeof *reporter);
    }
    tally->reporters[tally->count++] = *reporter;
}

static bool is_observer(const struct hm_node *node, const struct hm_id *target,
                        const struct hm_id *id)
{
    struct hm_peer observers[HM_SLICE_RINGS_MAX];
    size_t count = hm_slice_observers_of(&node->slice, target, observers, HM_SLICE_RINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&observers[i].id, id)) {
            return true;
        }
    }
    return false;
}

static void remove_reporter(struct hm_tally *tally, const struct hm_id *reporter)
{
    for (size_t i = tally->count; i > 0; i--) {
        if (hm_id_equal(&tally->reporters[i - 1], reporter)) {
            tally->reporters[i - 1] = tally->reporters[--tally->count];
        }
    }
}

void hm_node_on_report(struct hm_node *node, const struct hm_peer *from,
                       const struct hm_message *message)
{
    struct hm_control *control = &node->control;
    const struct hm_report *report = &message->report;
    if (!hm_node_is_leader(node) || !hm_members_find(&node->view->members, &report->target) ||
        !is_observer(node, &report->target, &from->id)) {
        return;
    }
    struct hm_tally *tally = find(control, &report->target);
    if (!tally && !report->gone) {
        return;
    }
    if (!tally) {
        control->tallies = hm_grow(control->tallies, control->tally_count, &control->tally_capacity,
                                   sizeof *control->tallies);
        tally = &control->tallies[control->tally_count++];
        *tally = (struct hm_tally){.target = report->target};
        /* The first report makes all observers probe at once: each is told of the suspicion. */
        struct hm_peer observers[HM_SLICE_RINGS_MAX];
        size_t count =
            hm_slice_observers_of(&node->slice, &report->target, observers, HM_SLICE_RINGS_MAX);
        struct hm_message suspect = {
            .kind = HM_MSG_suspect,
            .suspect = {.target = report->target, .incarnation = report->incarnation}};
        for (size_t i = 0; i < count; i++) {
            hm_node_send(node, &observers[i], &suspect);
        }
    }
    if (report->gone) {
        add_reporter(tally, &from->id);
    } else {
        remove_reporter(tally, &from->id);
    }
}

/* An observer that is itself reported above the low watermark does not count. */
static bool is_live(struct hm_node *node, const struct hm_id *id, uint32_t low)
{
    const struct hm_tally *tally = find(&node->control, id);
    return !tally || tally->count < low;
}

static bool is_gone(struct hm_node *node, const struct hm_tally *tally)
{
    struct hm_peer observers[HM_SLICE_RINGS_MAX];
    size_t all = hm_slice_observers_of(&node->slice, &tally->target, observers, HM_SLICE_RINGS_MAX);
    uint32_t low = all < OBSERVERS_FULL ? 1 : LOW_WATERMARK;
    size_t live = 0;
    size_t said = 0;
    for (size_t i = 0; i < all; i++) {
        if (!is_live(node, &observers[i].id, low)) {
            continue;
        }
        live++;
        for (size_t j = 0; j < tally->count; j++) {
            said += hm_id_equal(&tally->reporters[j], &observers[i].id);
        }
    }
    size_t needed = live < OBSERVERS_FULL ? live / 2 + 1 : OBSERVERS_NEEDED;
    return live > 0 && said >= needed;
}

void hm_node_count_reports(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    struct hm_node_ref gone[BATCH_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i < control->tally_count && count < BATCH_MAX; i++) {
        struct hm_tally *tally = &control->tallies[i];
        /* Whoever leads hears a quorum: it is not gone, whatever a few observers say. */
        bool self = hm_id_equal(&tally->target, &node->id);
        if (!self && node->now >= tally->propose_at && is_gone(node, tally)) {
            tally->propose_at = node->now + PROPOSE_AGAIN_MS;
            gone[count++].id = tally->target;
        }
    }
    if (count == 0) {
        return;
    }
    struct hm_buf body = {0};
    struct hm_pending pending = {0};
    hm_message_encode(&body,
                      &(struct hm_message){
                          .kind = HM_MSG_request_fail,
                          .request_fail = {.nodes = gone,
                                           .nodes_count = count,
                                           .brake_ms = (uint32_t)node->config.removal_brake_ms}});
    if (hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending) != HM_OK) {
        for (size_t i = 0; i < control->tally_count; i++) {
            control->tallies[i].propose_at = 0;
        }
    }
    hm_buf_fini(&body);
}

void hm_node_release_braked(struct hm_node *node)
{
    struct hm_control *control = &node->control;
    struct hm_id host = {{0}};
    struct hm_braked braked;
    uint64_t time_ms = hm_raft_time(control->raft, node->now);
    bool due = false;
    if (node->now < control->release_at) {
        return;
    }
    control->release_at = node->now + RELEASE_EVERY_MS;
    while (!due && hm_view_next_braked(node->view, &host, &braked)) {
        due = time_ms >= braked.until_ms;
    }
    if (due) {
        struct hm_buf body = {0};
        struct hm_pending pending = {0};
        hm_message_encode(&body, &(struct hm_message){.kind = HM_MSG_request_release,
                                                      .request_release = {.until_ms = time_ms}});
        /* Whatever becomes of it, it is looked at again soon. */
        (void)!hm_node_propose(node, &node->id, 0, hm_buf_view(&body), &pending);
        hm_buf_fini(&body);
    }
}
