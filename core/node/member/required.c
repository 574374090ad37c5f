/* The roles that this node's own roles require. A node that has one of them need not be among those
 * that this node watches: then it is watched as a guest, one of each role while that one lives,
 * more when it does not answer. What counts is what this node finds itself: a role of which no node
 * is to be reached from here is of no use here. */
#include "core/node/member/required.h"

#include "core/node/desk/acts.h"

#include <string.h>

#define LOOK_MS      5000u /* sooner than a guest is forgotten */
#define LOOK_SOON_MS 500u  /* while one is missing, or may be */
#define CALM_MS      2000u /* found gone for so long: a restart may be quicker */

static void add_role(struct hm_required *required, const char *role)
{
    for (size_t i = 0; i < required->count; i++) {
        if (strcmp(required->roles[i].role, role) == 0) {
            return;
        }
    }
    required->roles[required->count++] =
        (struct hm_required_role){.role = role, .gone_at = HM_NEVER};
}

void hm_node_open_required(struct hm_node *node)
{
    struct hm_required *required = node->required;
    size_t most = 0;
    for (size_t i = 0; i < node->config.module_count; i++) {
        const char *const *role = node->modules[i].module->requires;
        for (; role && *role; role++) {
            most++;
        }
    }
    required->roles = hm_alloc(most, sizeof *required->roles);
    for (size_t i = 0; i < node->config.module_count; i++) {
        const char *const *role = node->modules[i].module->requires;
        for (; role && *role; role++) {
            add_role(required, *role);
        }
    }
    required->changed = true;
    required->look_at = required->count ? 0 : HM_NEVER;
}

void hm_node_close_required(struct hm_node *node)
{
    hm_free(node->required->roles);
}

/* ---- who has the role ---- */

static bool is_heard(const struct hm_node *node, const struct hm_id *id)
{
    return hm_id_equal(id, &node->id) || (hm_swim_state(&node->swim, id) != HM_SWIM_STATE_UNKNOWN &&
                                          hm_swim_state(&node->swim, id) != HM_SWIM_STATE_GONE &&
                                          hm_swim_incarnation(&node->swim, id) > 0);
}

enum finding { HEARD, UNHEARD, GONE, NOBODY };

/* The best of those who have it. */
static enum finding find(const struct hm_node *node, const char *role)
{
    struct hm_members_walk walk = {0};
    const struct hm_member *member;
    enum finding found = NOBODY;
    while (found != HEARD && (member = hm_members_next(&node->view->members, role, &walk))) {
        bool gone = hm_swim_state(&node->swim, &member->id) == HM_SWIM_STATE_GONE;
        enum finding one = is_heard(node, &member->id) ? HEARD : gone ? GONE : UNHEARD;
        found = one < found ? one : found;
    }
    return found;
}

/* As far as one that answers, or may yet. */
static void attend(struct hm_node *node, const struct hm_required_role *required)
{
    struct hm_members_walk walk = {0};
    const struct hm_member *member;
    while ((member = hm_members_next(&node->view->members, required->role, &walk))) {
        if (hm_id_equal(&member->id, &node->id)) {
            return;
        }
        hm_swim_attend(&node->swim, node->now, &(struct hm_peer){member->id, member->addr});
        if (hm_swim_state(&node->swim, &member->id) == HM_SWIM_STATE_ALIVE) {
            return;
        }
    }
}

/* ---- driven ---- */

void hm_node_look_for_required(struct hm_node *node)
{
    if (node->required->count) {
        node->required->changed = true;
        node->required->look_at = node->now;
    }
}

static bool is_calm(const struct hm_required *required)
{
    for (size_t i = 0; i < required->count; i++) {
        if (!required->roles[i].live || required->roles[i].gone_at != HM_NEVER) {
            return false;
        }
    }
    return true;
}

void hm_node_tick_required(struct hm_node *node)
{
    struct hm_required *required = node->required;
    if (node->now < required->look_at) {
        return;
    }
    required->changed = true;
    required->look_at = node->now + (is_calm(required) ? LOOK_MS : LOOK_SOON_MS);
    for (size_t i = 0; i < required->count; i++) {
        attend(node, &required->roles[i]);
    }
}

hm_ms hm_node_required_deadline(const struct hm_node *node)
{
    return node->phase == HM_PHASE_MEMBER ? node->required->look_at : HM_NEVER;
}

static void judge(struct hm_node *node, struct hm_required_role *role)
{
    enum finding found = find(node, role->role);
    bool live = role->live;
    if (found != GONE) {
        role->gone_at = HM_NEVER;
    } else if (role->gone_at == HM_NEVER) {
        role->gone_at = node->now;
    }
    if (found == HEARD) {
        live = true;
    } else if (found == NOBODY || (found == GONE && node->now >= role->gone_at + CALM_MS)) {
        live = false;
    }
    if (live != role->live && node->ready_told) {
        hm_node_log(node, live ? HM_LOG_INFO : HM_LOG_WARN,
                    live ? "ready again" : "not ready any more",
                    "reason=\"a live node with role %s is required\"", role->role);
    }
    role->live = live;
}

void hm_node_pump_required(struct hm_node *node)
{
    struct hm_required *required = node->required;
    if (required->changed || !is_calm(required)) {
        for (size_t i = 0; i < required->count; i++) {
            judge(node, &required->roles[i]);
        }
        required->changed = false;
    }
}

const char *hm_node_missing_role(const struct hm_node *node)
{
    for (size_t i = 0; i < node->required->count; i++) {
        if (!node->required->roles[i].live) {
            return node->required->roles[i].role;
        }
    }
    return NULL;
}
