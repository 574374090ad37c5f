/* sim: whole clusters in virtual time from a seed. */
#include "tests/sim/group.h"
#ifdef SIM_CLUSTER
#include "tests/sim/cluster.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
    "sim [KIND] SEED               replay a seed with its trace\n"
    "sim [KIND] --seeds N [--from S] [--jobs J]\n"
    "                              run N seeds, S (1) and on, in J (1) processes\n"
    "KIND: cluster (whole nodes), log (a replicated log alone)\n";

/* What runs add up to, shared between processes. */
struct totals {
    uint64_t runs;
    uint64_t failed;
    uint64_t ms;
    uint64_t faults;
    uint64_t agreed; /* operations acknowledged, or events committed */
    uint64_t elections;
    uint64_t messages;
    uint64_t syncs;
};

typedef bool run_function(uint64_t seed, bool loud, struct totals *totals, char why[256]);

static bool run_log(uint64_t seed, bool loud, struct totals *totals, char why[256])
{
    static struct group group;
    group_init(&group, seed, loud);
    group_start(&group);
    group_run(&group, group.options.until + 14000);
    group_check_end(&group);
    totals->runs++;
    totals->ms += group.world.now;
    totals->faults += group.faults.count;
    totals->agreed += group.acked;
    totals->elections += group.elections;
    totals->messages += group.net.sent;
    for (size_t i = 0; i < group.options.nodes; i++) {
        totals->syncs += group.nodes[i].disk.synced;
    }
    bool failed = group.world.failed;
    totals->failed += failed;
    snprintf(why, 256, "%s", group.world.why);
    group_fini(&group);
    return !failed;
}

#ifdef SIM_CLUSTER
static bool run_cluster(uint64_t seed, bool loud, struct totals *totals, char why[256])
{
    static struct cluster cluster;
    cluster_init(&cluster, seed, loud);
    cluster_start(&cluster);
    cluster_run(&cluster, cluster.until + 40000);
    cluster_check_end(&cluster);
    totals->runs++;
    totals->ms += cluster.world.now;
    totals->faults += cluster.faults.count;
    totals->agreed += cluster.highest;
    totals->elections += cluster.elections;
    totals->messages += cluster.net.sent;
    for (size_t i = 0; i < cluster.count; i++) {
        totals->syncs += cluster.nodes[i].disk.synced;
    }
    bool failed = cluster.world.failed;
    totals->failed += failed;
    snprintf(why, 256, "%s", cluster.world.why);
    cluster_fini(&cluster);
    return !failed;
}
#endif

static const struct kind {
    const char *name;
    run_function *run;
} kinds[] = {
#ifdef SIM_CLUSTER
    {"cluster", run_cluster},
#endif
    {"log", run_log},
};

static void run_share(const struct kind *kind, uint64_t from, uint64_t count, uint64_t job,
                      uint64_t jobs, struct totals *totals)
{
    for (uint64_t i = job; i < count; i += jobs) {
        char why[256];
        if (!kind->run(from + i, false, totals, why)) {
            printf("seed %llu FAILED: %s\n  replay: sim %s %llu\n", (unsigned long long)(from + i),
                   why, kind->name, (unsigned long long)(from + i));
            fflush(stdout);
        }
    }
}

static int run_seeds(const struct kind *kind, uint64_t from, uint64_t count, uint64_t jobs)
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
            run_share(kind, from, count, job, jobs, &totals[job]);
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
        all.agreed += totals[job].agreed;
        all.elections += totals[job].elections;
        all.messages += totals[job].messages;
        all.syncs += totals[job].syncs;
    }
    printf(
        "%s: %llu seeds, %llu failed: %.1f hours, %llu faults, %llu elections, %llu messages, %llu "
        "syncs, %llu %s\n",
        kind->name, (unsigned long long)all.runs, (unsigned long long)all.failed,
        (double)all.ms / 3600e3, (unsigned long long)all.faults, (unsigned long long)all.elections,
        (unsigned long long)all.messages, (unsigned long long)all.syncs,
        (unsigned long long)all.agreed,
        kind->run == run_log ? "operations acknowledged" : "events committed");
    return broken || all.failed || all.runs != count;
}

static int replay(const struct kind *kind, uint64_t seed)
{
    struct totals totals = {0};
    char why[256];
    bool good = kind->run(seed, true, &totals, why);
    printf("seed %llu: %s\n", (unsigned long long)seed, good ? "all invariants held" : why);
    return !good;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 0;
    uint64_t from = 1;
    uint64_t jobs = 1;
    int first = 1;
    const struct kind *kind = &kinds[0];
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].name) == 0) {
            kind = &kinds[i];
            first = 2;
        }
    }
    for (int i = first; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0 && next) {
            seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0 && next) {
            from = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--jobs") == 0 && next) {
            jobs = strtoull(argv[++i], NULL, 10);
        } else if (argv[i][0] >= '0' && argv[i][0] <= '9') {
            return replay(kind, strtoull(argv[i], NULL, 10));
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (seeds == 0 || jobs == 0 || jobs > 64) {
        fputs(usage, stderr);
        return 2;
    }
    return run_seeds(kind, from, seeds, jobs);
}
