/* Bugs planted in the engines and the node on purpose: the simulator must find each. */
#include "core/base/plant.h"
#include "tests/sim/run.h"
#include "tests/unit/raft_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS 10000u

const char *hm_planted_bug;

static const struct {
    const char *name;
    const char *kind; /* or scenario, or "engines" */
} bugs[] = {
    {"ack_before_durable", "unpersisted"},
    {"ack_unverified", "log"},
    {"campaign_on_undurable", "engines"},
    {"candidacy_not_persisted", "engines"},
    {"backup_may_be_cut", "log"},
    {"backup_unchecked", "log"},
    {"backup_without_kept", "log"},
    {"change_before_noop", "engines"},
    {"chunk_out_of_place", "engines"},
    {"commit_beyond_match", "log"},
    {"commit_unverified", "log"},
    {"commits_what_it_recovers", "log"},
    {"cut_always", "log"},
    {"cut_keeps_writes", "engines"},
    {"figure_8", "figure_8"},
    {"forgets_voters", "log"},
    {"forgets_what_is_kept", "log"},
    {"install_before_durable", "engines"},
    {"forgotten_is_new", "log"},
    {"journal_drops_snapshot", "log"},
    {"journal_drops_vote", "log"},
    {"journal_removes_too_much", "log"},
    {"journal_trusts_torn_tail", "log"},
    {"journal_upkeep_unsettled", "log"},
    {"journal_without_sync", "log"},
    {"leader_counts_undurable", "unpersisted"},
    {"leads_after_failed_write", "full_disk"},
    {"learner_counts", "log"},
    {"longer_log_wins", "log"},
    {"no_deduplication", "log"},
    {"no_election_restriction", "log"},
    {"no_lease_check", "engines"},
    {"no_prev_check", "log"},
    {"no_prevote", "engines"},
    {"packs_one_too_few", "log"},
    {"prevote_is_vote", "log"},
    {"quorum_of_half", "log"},
    {"read_before_noop", "log"},
    {"read_by_lease", "engines"},
    {"reply_of_older_term", "log"},
    {"round_of_older_term", "log"},
    {"serves_without_kept", "log"},
    {"shortens_what_is_kept", "log"},
    {"snapshot_counts_all", "log"},
    {"snapshot_without_sessions", "log"},
    {"stale_read", "engines"},
    {"term_not_durable", "engines"},
    {"trims_a_session", "log"},
    {"two_changes", "log"},
    {"vote_not_persisted", "engines"},
    {"votes_twice", "log"},
    {"commit_beats_push", "cluster"},
    {"feed_skips_gap", "members"},
    {"founds_beside", "wiped_founder"},
    {"join_before_commit", "cluster"},
    {"lets_go_of_a_subject", "cluster"},
    {"never_lets_go", "cluster"},
    {"slice_skips_join", "members"},
    {"takes_older_version", "cluster"},
    {"name_given_twice", "names"},
    {"feed_takes_stale_epoch", "members"},
    {"in_before_commit", "members"},
    {"one_report_is_enough", "members"},
    {"epoch_not_raised", "recovery"},
    {"no_fence", "recovery"},
    {"restores_old_generation", "restore"},
    {"old_generation_counts", "lost"},
    {"brakes_at_half", "brake"},
    {"falls_count_for_ever", "brake"},
    {"first_fallen_stay_gone", "brake"},
    {"refused_is_forgotten", "brake"},
    {"stays_braked", "brake"},
    {"adopted_is_heard", "lite"},
    {"all_shares_move", "lite"},
    {"repeated_keepalive_counts", "lite"},
    {"stale_keepalive_counts", "lite"},
    {"withdrawal_not_logged", "lite"},
};

/* Raft engines alone, without a journal or clients, step by step: what they promise is compared
 * with what is on their disks. */
static bool run_engines(uint64_t seed, bool loud, struct sim_totals *totals, char why[256])
{
    struct cluster_totals counted = {0};
    (void)loud;
    (void)totals;
    const char *violated = raft_cluster_run(seed, &counted);
    snprintf(why, 256, "%s", violated ? violated : "");
    return violated == NULL;
}

static const struct sim_kind engines = {.name = "engines", .run = run_engines};

static const struct sim_kind *kind_of(const char *name)
{
    if (strcmp(name, engines.name) == 0) {
        return &engines;
    }
    for (size_t i = 0; i < sim_kind_count; i++) {
        if (strcmp(sim_kinds[i].name, name) == 0) {
            return &sim_kinds[i];
        }
    }
    size_t at = 0;
    while (strcmp(sim_scenarios[at].name, name) != 0) {
        at++;
    }
    return &sim_scenarios[at];
}

/* In a child, which notes the seed it tries: a planted bug may also break an assertion, which is
 * finding it, too. */
static bool find(const char *bug, const struct sim_kind *kind, uint64_t seeds,
                 volatile uint64_t *seed)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct sim_totals totals = {0};
        char why[256];
        hm_planted_bug = bug;
        bool found = false;
        for (*seed = 1; !found && *seed <= seeds; *seed += !found) {
            found = !kind->run(*seed, false, &totals, why);
        }
        if (found) {
            printf("found %s at seed %llu: %s\n", bug, (unsigned long long)*seed, why);
        } else {
            printf("NOT FOUND %s in %llu seeds\n", bug, (unsigned long long)seeds);
        }
        fflush(stdout);
        _exit(!found);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("sim: fork");
        return false;
    }
    if (WIFSIGNALED(status)) {
        printf("found %s at seed %llu: an assertion\n", bug, (unsigned long long)*seed);
    }
    return WIFSIGNALED(status) || WEXITSTATUS(status) == 0;
}

static bool is_asked(const char *bug, char **names)
{
    bool any = names[0] == NULL;
    for (; *names && !any; names++) {
        any = strcmp(*names, bug) == 0;
    }
    return any;
}

int sim_planted(char **arguments)
{
    uint64_t seeds = SEEDS;
    size_t asked = 0;
    size_t found = 0;
    uint64_t *seed =
        mmap(NULL, sizeof *seed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seed == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    if (arguments[0] && strcmp(arguments[0], "--seeds") == 0 && arguments[1]) {
        seeds = strtoull(arguments[1], NULL, 10);
        arguments += 2;
    }
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++) {
        if (is_asked(bugs[i].name, arguments)) {
            asked++;
            found += find(bugs[i].name, kind_of(bugs[i].kind), seeds, seed);
        }
    }
    printf("%zu of %zu planted bugs found\n", found, asked);
    return asked == 0 || found != asked;
}
