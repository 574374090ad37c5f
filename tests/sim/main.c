/* sim: whole clusters in virtual time from a seed. */
#include "tests/sim/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64

static const char usage[] =
    "sim [KIND] SEED               replay a seed with its trace\n"
    "sim [KIND] --seeds N [--from S] [--jobs J]\n"
    "                              run N seeds, S (1) and on, in J (1) processes; it ends at the\n"
    "                              first violation and says how to replay it\n"
    "sim --scenario [NAME]         a named scenario with its trace; without NAME: list them\n"
#ifdef HM_PLANTED
    "sim --planted [--seeds N] [BUG..]\n"
    "                              find planted bugs, each in at most N (10000) seeds\n"
#endif
    "KIND: cluster (whole nodes), names (with those who want names), churn (members come and go),\n"
    "lost (a majority of the control plane is lost), lite (with lite hosts), brake (many hosts "
    "fail\n"
    "at once), log (a replicated log alone), members (membership alone); without one a SEED is of\n"
    "cluster, --seeds runs N of each\n";

/* Processes share the totals; `stop` is set by the first that finds a violation. */
struct shared {
    volatile bool stop;
    struct sim_totals totals[JOBS_MAX];
};

static void run_share(const struct sim_kind *kind, uint64_t from, uint64_t count, uint64_t job,
                      uint64_t jobs, struct shared *shared)
{
    for (uint64_t i = job; i < count && !shared->stop; i += jobs) {
        char why[256];
        if (!kind->run(from + i, false, &shared->totals[job], why)) {
            shared->stop = true;
            printf("seed %llu FAILED: %s\n  replay: ./build.sh sim %s %llu\n",
                   (unsigned long long)(from + i), why, kind->name, (unsigned long long)(from + i));
            fflush(stdout);
        }
    }
}

static void add_up(struct sim_totals *all, const struct sim_totals *some)
{
    for (size_t i = 0; i < sizeof *all / sizeof(uint64_t); i++) {
        ((uint64_t *)all)[i] += ((const uint64_t *)some)[i];
    }
}

static void report(const struct sim_kind *kind, const struct sim_totals *all)
{
    uint64_t faults = 0;
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        faults += all->faults[i];
    }
    printf("%s: %llu seeds, %llu failed: %.1f hours, %llu faults, %llu elections, %llu messages, "
           "%llu syncs, %llu %s\n ",
           kind->name, (unsigned long long)all->runs, (unsigned long long)all->failed,
           (double)all->ms / 3600e3, (unsigned long long)faults, (unsigned long long)all->elections,
           (unsigned long long)all->messages, (unsigned long long)all->syncs,
           (unsigned long long)all->agreed, kind->agreed);
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        printf(" %s %llu,", sim_fault_name((enum sim_fault)i), (unsigned long long)all->faults[i]);
    }
    printf(" messages lost %llu, doubled %llu\n", (unsigned long long)all->lost,
           (unsigned long long)all->doubled);
}

static int run_seeds(const struct sim_kind *kind, uint64_t from, uint64_t count, uint64_t jobs)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    int broken = 0;
    fflush(stdout);
    for (uint64_t job = 0; job < jobs; job++) {
        pid_t child = fork();
        if (child == 0) {
            run_share(kind, from, count, job, jobs, shared);
            exit(0);
        }
    }
    for (uint64_t job = 0; job < jobs; job++) {
        int status;
        broken |= wait(&status) < 0 || status != 0;
    }
    struct sim_totals all = {0};
    for (uint64_t job = 0; job < jobs; job++) {
        add_up(&all, &shared->totals[job]);
    }
    report(kind, &all);
    munmap(shared, sizeof *shared);
    return broken || all.failed || all.runs != count;
}

static int replay(const struct sim_kind *kind, uint64_t seed)
{
    struct sim_totals totals = {0};
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
    const struct sim_kind *kind = NULL;
    if (argc > 1 && strcmp(argv[1], "--scenario") == 0) {
        return sim_scenario(argc > 2 ? argv[2] : NULL);
    }
#ifdef HM_PLANTED
    if (argc > 1 && strcmp(argv[1], "--planted") == 0) {
        return sim_planted(argv + 2);
    }
#endif
    for (size_t i = 0; argc > 1 && i < sim_kind_count; i++) {
        if (strcmp(argv[1], sim_kinds[i].name) == 0) {
            kind = &sim_kinds[i];
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
            return replay(kind ? kind : &sim_kinds[0], strtoull(argv[i], NULL, 10));
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (seeds == 0 || jobs == 0 || jobs > JOBS_MAX) {
        fputs(usage, stderr);
        return 2;
    }
    int result = 0;
    for (size_t i = 0; i < sim_kind_count && result == 0; i++) {
        if (!kind || kind == &sim_kinds[i]) {
            result = run_seeds(&sim_kinds[i], from, seeds, jobs);
        }
    }
    return result;
}
