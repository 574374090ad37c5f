/* Bugs planted in the Raft engine on purpose: the clusters of raft_cluster.c must find each. */
#include "core/base/plant.h"
#include "tests/unit/raft_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS_MAX 10000u

const char *hm_planted_bug;

static const char *const bugs[] = {
    "ack_before_durable",
    "ack_unverified",
    "campaign_on_undurable",
    "candidacy_not_persisted",
    "change_before_noop",
    "commit_beyond_match",
    "commit_unverified",
    "cut_always",
    "cut_keeps_writes",
    "figure_8",
    "install_before_durable",
    "leader_counts_undurable",
    "leads_after_failed_write",
    "learner_counts",
    "no_election_restriction",
    "no_lease_check",
    "no_prev_check",
    "no_prevote",
    "quorum_of_half",
    "read_before_noop",
    "round_of_older_term",
    "stale_read",
    "term_not_durable",
    "two_changes",
    "vote_not_persisted",
    "votes_twice",
};

/* In a child: a planted bug may also break an assertion of the engine, which is finding it, too. */
static bool is_found(const char *bug)
{
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hm_planted_bug = bug;
        struct cluster_totals totals = {0};
        for (uint64_t seed = 1; seed <= SEEDS_MAX; seed++) {
            const char *violated = raft_cluster_run(seed, &totals);
            if (violated) {
                printf("found  %-26s seed %llu: %s\n", bug, (unsigned long long)seed, violated);
                fflush(stdout);
                _exit(0);
            }
        }
        printf("MISSED %s\n", bug);
        fflush(stdout);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        printf("found  %-26s by an assertion\n", bug);
    }
    return WIFSIGNALED(status) || WEXITSTATUS(status) == 0;
}

static void test_planted_bugs_are_found(void **state)
{
    (void)state;
    size_t found = 0;
    size_t count = sizeof bugs / sizeof *bugs;
    const char *one = getenv("HM_BUG");
    if (one) {
        assert_true(is_found(one));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        found += is_found(bugs[i]);
    }
    assert_int_equal(found, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planted_bugs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
