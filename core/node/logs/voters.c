/* How the voters grow and change: control nodes come in as learners, the leader promotes them
 * towards an odd target. Failure never shrinks the voters; only a leave does, or a learner that has
 * caught up and takes a failed voter's place. */
#include "core/node/logs/voters.h"

#include "core/node/desk/acts.h"

#define LOOK_MS 100u

static const struct hm_voter *find(const struct hm_voter *voters, size_t count,
                                   const struct hm_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, id)) {
            return &voters[i];
        }
    }
    return NULL;
}

static bool is_among(const struct hm_id *ids, size_t count, const struct hm_id *id)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&ids[i], id)) {
            return true;
        }
    }
    return false;
}

void hm_upkeep_note_left(struct hm_upkeep *upkeep, const struct hm_id *id)
{
    size_t most = sizeof upkeep->left / sizeof *upkeep->left;
    size_t count = 0;
    const struct hm_voter *voters = hm_raft_voters(upkeep->raft, &count);
    if (find(voters, count, id) && !is_among(upkeep->left, upkeep->left_count, id) &&
        upkeep->left_count < most) {
        upkeep->left[upkeep->left_count++] = *id;
    }
}

void hm_upkeep_forget_left(struct hm_upkeep *upkeep, const struct hm_id *id)
{
    for (size_t i = upkeep->left_count; i > 0; i--) {
        if (hm_id_equal(&upkeep->left[i - 1], id)) {
            upkeep->left[i - 1] = upkeep->left[--upkeep->left_count];
        }
    }
}

/* A member that is not to carry the log: it is kept out, or has not the role (any more). */
static bool is_unwanted(const struct hm_node *node, const struct hm_upkeep *upkeep,
                        const struct hm_id *id)
{
    const struct hm_member *member = hm_members_find(&node->view->members, id);
    return is_among(upkeep->excluded, upkeep->excluded_count, id) ||
           (member && upkeep->role && !hm_member_has_role(member, upkeep->role));
}

struct tally {
    size_t voting;
    size_t dead; /* voters that are no members */
    const struct hm_voter *first_dead;
    const struct hm_voter *leaver;    /* a voter or learner that left */
    size_t caught_up;                 /* learners */
    const struct hm_voter *candidate; /* the first of them */
};

static struct tally count(struct hm_node *node, const struct hm_upkeep *upkeep,
                          const struct hm_voter *voters, size_t voter_count)
{
    struct tally tally = {0};
    const struct hm_members *members = &node->view->members;
    for (size_t i = 0; i < voter_count; i++) {
        const struct hm_voter *voter = &voters[i];
        bool unwanted = is_unwanted(node, upkeep, &voter->id);
        bool member = hm_members_find(members, &voter->id) != NULL && !unwanted;
        bool left = unwanted || is_among(upkeep->left, upkeep->left_count, &voter->id);
        bool leaves = !member && (left || !voter->voting);
        if (leaves && (!tally.leaver || !voter->voting)) {
            tally.leaver = voter; /* learners first: that changes no quorum */
        }
        if (voter->voting) {
            tally.voting++;
            if (!member) {
                tally.dead++;
                tally.first_dead = voter;
            }
        } else if (member && hm_raft_is_caught_up(upkeep->raft, &voter->id)) {
            tally.caught_up++;
            tally.candidate = tally.candidate ? tally.candidate : voter;
        }
    }
    return tally;
}

/* A control node that the log does not know yet, or knows elsewhere. */
static bool add_newcomer(struct hm_node *node, const struct hm_upkeep *upkeep,
                         const struct hm_voter *voters, size_t voter_count)
{
    for (size_t i = 0; i < node->view->members.count; i++) {
        const struct hm_member *member = node->view->members.items[i];
        const struct hm_voter *voter = find(voters, voter_count, &member->id);
        if (!hm_member_has_role(member, "control") || is_unwanted(node, upkeep, &member->id) ||
            (voter && hm_addr_equal(&voter->addr, &member->addr))) {
            continue;
        }
        struct hm_peer peer = {member->id, member->addr};
        if (hm_raft_add_learner(upkeep->raft, node->now, &peer) == HM_OK) {
            hm_node_log(node, HM_LOG_INFO, "learner added", "log=%s name=%s", upkeep->log,
                        member->name.text);
            return true;
        }
    }
    return false;
}

void hm_node_tick_voters(struct hm_node *node, struct hm_upkeep *upkeep)
{
    if (node->now < upkeep->look_at) {
        return;
    }
    upkeep->look_at = node->now + LOOK_MS;
    size_t voter_count;
    const struct hm_voter *voters = hm_raft_voters(upkeep->raft, &voter_count);
    if (add_newcomer(node, upkeep, voters, voter_count)) {
        return;
    }
    struct tally tally = count(node, upkeep, voters, voter_count);
    struct hm_peer peer = {{{0}}, {0}};
    enum hm_status status = HM_NOT_FOUND;
    /* 1 goes to 3 in immediate succession: never to 2, where two nodes tolerate less than one. The
     * way is therefore taken only when it can be gone to its end. */
    bool grows = tally.voting < node->config.voters_target &&
                 tally.voting + tally.caught_up >= node->config.voters_target;
    bool replaces = tally.dead > 0 && tally.caught_up > 0;
    /* The only voter leaves: a learner takes its place first, for there is always one. */
    bool succeeds = tally.leaver && tally.leaver->voting && tally.voting == 1;
    if (tally.leaver && !succeeds) {
        peer = (struct hm_peer){tally.leaver->id, tally.leaver->addr};
        status = hm_raft_remove(upkeep->raft, node->now, &peer);
    } else if (tally.dead > 0 && tally.voting > node->config.voters_target) {
        peer = (struct hm_peer){tally.first_dead->id, tally.first_dead->addr};
        status = hm_raft_remove(upkeep->raft, node->now, &peer);
    } else if ((grows || replaces || succeeds) && tally.candidate) {
        peer = (struct hm_peer){tally.candidate->id, tally.candidate->addr};
        status = hm_raft_promote(upkeep->raft, node->now, &peer);
    }
    if (status == HM_OK) {
        hm_node_log(node, HM_LOG_INFO, "voters change", "log=%s voting=%zu caught_up_learners=%zu",
                    upkeep->log, tally.voting, tally.caught_up);
    }
}
