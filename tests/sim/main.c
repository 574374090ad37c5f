/* sim: whole clusters in virtual time from a seed. */
#include "tests/sim/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "sim SEED                      replay a seed with its trace\n"
    "sim --seeds N [--from S] [--jobs J]\n"
    "                              run N seeds, S (1) and on, in J (1) processes\n";

/* What runs add up to, shared between processes. */
struct totals {
    uint64_t runs;
    uint64_t failed;
    uint64_t ms;
    uint64_t faults;
    uint64_t acked;
    uint64_t elections;
    uint64_t messages;
    uint64_t syncs;
};

static bool run_seed(uint64_t seed, bool loud, struct totals *totals, char why[256])
{
    static struct group group;
    group_init(&group, seed, loud);
    group_start(&group);
    group_run(&group, group.options.until + 14000);
    group_check_end(&group);
    totals->runs++;
    totals->ms += group.world.now;
    totals->faults += group.faults.count;
    totals->acked += group.acked;
    totals->elections += group.elections;
    totals->messages += group.net.sent;
    for (size_t i = 0; i < group.options.nodes; i++) {
        totals->syncs += group.nodes[i].disk.synced;
    }
    bool failed = group.world.failed;
    if (failed) {
        totals->failed++;
        snprintf(why, 256, "%s", group.world.why);
    }
    group_fini(&group);
    return !failed;
}

static void run_share(uint64_t from, uint64_t count, uint64_t job, uint64_t jobs,
                      struct totals *totals)
{
    for (uint64_t i = job; i < count; i += jobs) {
        char why[256];
        if (!run_seed(from + i, false, totals, why)) {
            printf("seed %llu FAILED: %s\n  replay: sim %llu\n", (unsigned long long)(from + i),
                   why, (unsigned long long)(from + i));
            fflush(stdout);
        }
    }
}

static int run_seeds(uint64_t from, uint64_t count, uint64_t jobs)
{
    struct totals *totals = mmap(NULL, jobs * sizeof *totals, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    int broken = 0;
    for (uint64_t job = 0; job < jobs; job++) {
        pid_t child = fork();
        if (child == 0) {
            run_share(from, count, job, jobs, &totals[job]);
            exit(0);
        }
    }
    for (uint64_t job = 0; job < jobs; job++) {
        int status;
        broken |= wait(&status) < 0 || status != 0;
    }
    struct totals all = {0};
    for (uint64_t job = 0; job < jobs; job++) {
        all.runs += totals[job].runs;
        all.failed += totals[job].failed;
        all.ms += totals[job].ms;
        all.faults += totals[job].faults;
        all.acked += totals[job].acked;
        all.elections += totals[job].elections;
        all.messages += totals[job].messages;
        all.syncs += totals[job].syncs;
    }
    printf("%llu seeds, %llu failed: %.1f hours, %llu faults, %llu elections, %llu messages, %llu "
           "syncs, %llu operations acknowledged\n",
           (unsigned long long)all.runs, (unsigned long long)all.failed, (double)all.ms / 3600e3,
           (unsigned long long)all.faults, (unsigned long long)all.elections,
           (unsigned long long)all.messages, (unsigned long long)all.syncs,
           (unsigned long long)all.acked);
    return broken || all.failed || all.runs != count;
}

static int replay(uint64_t seed)
{
    struct totals totals = {0};
    char why[256];
    bool good = run_seed(seed, true, &totals, why);
    printf("seed %llu: %s\n", (unsigned long long)seed, good ? "all invariants held" : why);
    return !good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 0;
    uint64_t from = 1;
    uint64_t jobs = 1;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0 && next) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0 && next) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0 && next) {
            jobs = strtoull(argv[++i], NULL, 10);
        } else if (argv[i][0] >= '0' && argv[i][0] <= '9') {
            return replay(strtoull(argv[i], NULL, 10));
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (seeds == 0 || jobs == 0 || jobs > 64) {
        fputs(usage, stderr);
        return 2;
    }
    return run_seeds(from, seeds, jobs);
}
