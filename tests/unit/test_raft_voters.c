/* Quorum arithmetic and changes of the configuration: all small cases against what the words mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/raft_internal.h"

#define VOTERS_MAX 7u
#define NODES      4u /* of the changes */

static struct hm_voter voter(unsigned number, bool voting)
{
    return (struct hm_voter){.id = {{(uint8_t)(number + 1)}}, .voting = voting};
}

/* The highest of the values that more than half of the voting reach; 0 when nobody votes. */
static uint64_t by_definition(const struct hm_voter *voters, unsigned count, const uint64_t *values)
{
    uint64_t best = 0;
    unsigned voting = 0;
    for (unsigned i = 0; i < count; i++) {
        voting += voters[i].voting;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned reach = 0;
        for (unsigned j = 0; j < count; j++) {
            reach += voters[j].voting && values[j] >= values[i];
        }
        best = 2 * reach > voting && values[i] > best ? values[i] : best;
    }
    return voting ? best : 0;
}

/* Every vector of what up to seven voters have: as many different values as there are voters make
 * every order of them, ties included. A learner in between, ahead of all, makes no difference. */
static void test_quorum_of_all_vectors(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= VOTERS_MAX; count++) {
        struct hm_voter voters[VOTERS_MAX + 1];
        uint64_t values[VOTERS_MAX + 1];
        unsigned learner = count / 2;
        unsigned vectors = 1;
        for (unsigned i = 0; i < count; i++) {
            vectors *= count;
        }
        for (unsigned i = 0; i <= count; i++) {
            voters[i] = voter(i, i != learner);
        }
        for (unsigned vector = 0; vector < vectors; vector++) {
            unsigned rest = vector;
            for (unsigned i = 0; i <= count; i++) {
                values[i] = i == learner ? 100 : rest % count;
                rest /= i == learner ? 1 : count;
            }
            uint64_t wanted = by_definition(voters, count + 1, values);
            assert_int_equal(raft_voters_quorum(voters, count + 1, values), wanted);
        }
    }
}

/* Every configuration of up to six nodes, voting or not, and every set of them that granted. */
static void test_elections_of_all_shapes(void **state)
{
    (void)state;
    for (unsigned count = 1; count < VOTERS_MAX; count++) {
        for (unsigned sets = 0; sets < 1u << (2 * count); sets++) {
            struct hm_voter voters[VOTERS_MAX];
            unsigned voting = 0;
            unsigned yes = 0;
            for (unsigned i = 0; i < count; i++) {
                voters[i] = voter(i, sets >> i & 1);
                voting += voters[i].voting;
                yes += voters[i].voting && (sets >> (count + i) & 1);
            }
            assert_int_equal(raft_voters_won(voters, count, sets >> count),
                             voting && 2 * yes > voting);
            assert_int_equal(raft_voters_valid(voters, count), voting > 0);
        }
    }
}

/* Bit i: node i votes. */
static unsigned voting_of(const struct hm_voter *voters, uint32_t count)
{
    unsigned set = 0;
    for (uint32_t i = 0; i < count; i++) {
        set |= voters[i].voting ? 1u << (voters[i].id.bytes[0] - 1) : 0;
    }
    return set;
}

static bool is_majority(unsigned set, unsigned of)
{
    return 2 * __builtin_popcount(set & of) > __builtin_popcount(of);
}

static bool all_quorums_meet(unsigned before, unsigned after)
{
    for (unsigned one = 0; one < 1u << NODES; one++) {
        for (unsigned other = 0; other < 1u << NODES; other++) {
            if (is_majority(one, before) && is_majority(other, after) &&
                (one & other & before & after) == 0) {
                return false;
            }
        }
    }
    return true;
}

static raft_voters_change *const changes[] = {raft_voters_add, raft_voters_promote,
                                              raft_voters_remove};

/* A configuration of the four as one number: for each node absent, learning or voting. */
static unsigned number_of(const struct hm_voter *voters, uint32_t count)
{
    unsigned number = 0;
    for (unsigned node = NODES; node > 0; node--) {
        struct hm_id id = voter(node - 1, false).id;
        uint32_t at = raft_voters_find(voters, count, &id);
        number = number * 3 + (at == count ? 0 : voters[at].voting ? 2 : 1);
    }
    return number;
}

struct configuration {
    bool seen;
    struct hm_voter voters[HM_RAFT_VOTERS_MAX];
    uint32_t count;
};

/* All sequences of changes among four nodes, as all steps out of every configuration that some
 * sequence leads to. */
static void test_all_sequences_of_changes(void **state)
{
    (void)state;
    static struct configuration all[81];
    unsigned queue[81];
    unsigned queued = 0;
    struct hm_voter founder = voter(0, true);
    unsigned first = number_of(&founder, 1);
    all[first] = (struct configuration){.seen = true, .voters = {founder}, .count = 1};
    queue[queued++] = first;
    unsigned steps = 0;
    for (unsigned done = 0; done < queued; done++) {
        const struct configuration *before = &all[queue[done]];
        for (unsigned step = 0; step < 3 * NODES; step++) {
            struct configuration after = *before;
            struct hm_peer peer = {.id = voter(step / 3, false).id};
            enum hm_status status = changes[step % 3](after.voters, &after.count, &peer);
            if (status != HM_OK) {
                assert_int_equal(after.count, before->count);
                assert_memory_equal(after.voters, before->voters, sizeof after.voters);
                continue;
            }
            steps++;
            unsigned old = voting_of(before->voters, before->count);
            unsigned new = voting_of(after.voters, after.count);
            assert_true(raft_voters_valid(after.voters, after.count));
            assert_int_equal((old ^ new) & ~(1u << step / 3), 0);
            assert_true(all_quorums_meet(old, new));
            unsigned number = number_of(after.voters, after.count);
            if (!all[number].seen) {
                after.seen = true;
                all[number] = after;
                queue[queued++] = number;
            }
        }
    }
    assert_int_equal(queued, 81 - 16); /* all in which somebody votes */
    assert_true(steps > queued);
}

static void test_what_changes_refuse(void **state)
{
    (void)state;
    struct hm_voter voters[HM_RAFT_VOTERS_MAX] = {voter(0, true)};
    uint32_t count = 1;
    struct hm_peer nobody = {{{0}}, {0}};
    struct hm_peer founder = {.id = voters[0].id};
    assert_int_equal(raft_voters_add(voters, &count, &nobody), HM_BAD_ARGUMENT);
    assert_int_equal(raft_voters_add(voters, &count, &founder), HM_EXISTS);
    assert_int_equal(raft_voters_promote(voters, &count, &founder), HM_EXISTS);
    assert_int_equal(raft_voters_remove(voters, &count, &founder), HM_BAD_ARGUMENT);
    while (count < HM_RAFT_VOTERS_MAX) {
        struct hm_peer more = {.id = voter(count, false).id};
        assert_int_equal(raft_voters_promote(voters, &count, &more), HM_NOT_FOUND);
        assert_int_equal(raft_voters_remove(voters, &count, &more), HM_NOT_FOUND);
        assert_int_equal(raft_voters_add(voters, &count, &more), HM_OK);
    }
    struct hm_peer last = {.id = voter(count, false).id};
    assert_int_equal(raft_voters_add(voters, &count, &last), HM_FULL);
    struct hm_peer moved = {.id = voters[3].id, .addr = {.family = 4, .ip = {10}, .port = 9}};
    assert_int_equal(raft_voters_add(voters, &count, &moved), HM_OK);
    assert_true(hm_addr_equal(&voters[3].addr, &moved.addr));
    assert_int_equal(count, HM_RAFT_VOTERS_MAX);
}

/* Without a log, and asked for its vote by those whom a recovery left behind: it follows those who
 * recovered all the same. */
static void test_who_has_nothing_follows_a_recovery(void **state)
{
    (void)state;
    struct hm_peer left_behind = {.id = {{2}}};
    struct hm_peer recovered = {.id = {{3}}};
    const uint64_t generation = (UINT64_C(65537) << 32) + 5;
    struct hm_raft *raft =
        hm_raft_new(&(struct hm_raft_config){.self = {.id = {{1}}}, .seed = 7}, 0);
    struct hm_message request = {
        .kind = HM_MSG_vote_request,
        .vote_request = {.term = 4, .last_index = 9, .last_term = 3, .transfer = true}};
    assert_int_equal(hm_raft_input(raft, 10, &left_behind, &request), HM_OK);
    assert_int_equal(hm_raft_term(raft), 4);
    struct hm_message append = {
        .kind = HM_MSG_append,
        .append = {.generation = generation, .term = 5, .prev_index = 7, .prev_term = 5}};
    assert_int_equal(hm_raft_input(raft, 20, &recovered, &append), HM_OK);
    assert_int_equal(hm_raft_generation(raft), generation);
    struct hm_id leader = hm_raft_leader(raft);
    assert_true(hm_id_equal(&leader, &recovered.id));
    /* And the others no more. */
    request.vote_request.term = 9;
    assert_int_equal(hm_raft_input(raft, 30, &left_behind, &request), HM_OK);
    assert_int_equal(hm_raft_term(raft), 5);
    hm_raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum_of_all_vectors),
        cmocka_unit_test(test_elections_of_all_shapes),
        cmocka_unit_test(test_all_sequences_of_changes),
        cmocka_unit_test(test_what_changes_refuse),
        cmocka_unit_test(test_who_has_nothing_follows_a_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
