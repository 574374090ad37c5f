/* sim: whole clusters in virtual time from a seed. */
#include "tests/sim/run.h"

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
    "sim --scenario [NAME]         a named scenario with its trace; without NAME: list them\n"
#ifdef HM_PLANTED
    "sim --planted [--seeds N] [BUG..]\n"
    "                              find planted bugs, each in at most N (5000) seeds\n"
#endif
    "KIND: cluster (whole nodes), log (a replicated log alone)\n";

static void run_share(const struct sim_kind *kind, uint64_t from, uint64_t count, uint64_t job,
                      uint64_t jobs, struct sim_totals *totals)
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

static int run_seeds(const struct sim_kind *kind, uint64_t from, uint64_t count, uint64_t jobs)
{
    struct sim_totals *totals = mmap(NULL, jobs * sizeof *totals, PROT_READ | PROT_WRITE,
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
    struct sim_totals all = {0};
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
        strcmp(kind->name, "log") == 0 ? "operations acknowledged" : "events committed");
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
    const struct sim_kind *kind = &sim_kinds[0];
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
