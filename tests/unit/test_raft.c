/* Raft: clusters under faults from seeds, and what hostile messages may not do. */
#include "tests/unit/raft_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_clusters_under_faults(void **state)
{
    (void)state;
    const char *one = getenv("HM_SEED");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    const char *more = getenv("HM_SEEDS");
    uint64_t end = first + (one ? 1 : more ? strtoull(more, NULL, 10) : 1000);
    struct cluster_totals totals = {0};
    for (uint64_t seed = first; seed < end; seed++) {
        const char *violated = cluster_run(seed, &totals);
        if (violated) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, violated);
        }
    }
    print_message("applied %llu, elections %llu, reads %llu, changes %llu, crashes %llu, "
                  "snapshots %llu\n",
                  (unsigned long long)totals.applied, (unsigned long long)totals.elections,
                  (unsigned long long)totals.reads, (unsigned long long)totals.changes,
                  (unsigned long long)totals.crashes, (unsigned long long)totals.installs);
    assert_true(one != NULL || (totals.applied && totals.elections && totals.reads &&
                                totals.changes && totals.crashes && totals.installs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clusters_under_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
