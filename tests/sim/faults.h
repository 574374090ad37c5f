/* What goes wrong in a run: a schedule of faults drawn from the seed, each healed after a while. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "tests/sim/disk.h"
#include "tests/sim/net.h"

/* name, weight */
#define SIM_FAULT_TABLE(X)                                 \
    X(kill, 10)       /* the process, its files stay */    \
    X(power_cut, 10)  /* the machine, unsynced is torn */  \
    X(pause, 8)       /* it stands still, then goes on */  \
    X(isolate, 8)     /* one node from all others */       \
    X(split, 8)       /* two sides */                      \
    X(one_way, 8)     /* one link, one direction */        \
    X(deaf, 5)        /* a node sends and hears nothing */ \
    X(bad_weather, 8) /* loss, doubles, long delays */     \
    X(slow_disk, 5)                                        \
    X(disk_errors, 5)                                      \
    X(full_disk, 5)                                        \
    X(read_errors, 3) /* it cannot be started */           \
    X(clock_rate, 5)  /* a clock runs slow or fast */      \
    X(clock_jump, 3)  /* the wall clock is set */          \
    X(all_power, 1)   /* every machine at once */

enum sim_fault {
#define SIM_FAULT_ENUM(name, weight) SIM_FAULT_##name,
    SIM_FAULT_TABLE(SIM_FAULT_ENUM)
#undef SIM_FAULT_ENUM
        SIM_FAULT_COUNT,
};

/* What a cluster lets be done to it. */
struct sim_fault_hooks {
    void (*crash)(void *context, size_t node, bool power);
    void (*start)(void *context, size_t node);
    void (*pause)(void *context, size_t node, hm_ms until);
    struct sim_disk *(*disk)(void *context, size_t node); /* NULL: it has none */
    /* NULL where clocks are not disturbed. Time passes at `permille` of the world's; the wall clock
     * is set to `ms` away from the right time. */
    void (*clock_rate)(void *context, size_t node, uint32_t permille);
    void (*clock_jump)(void *context, size_t node, int64_t ms);
};

struct sim_faults {
    struct sim_world *world;
    struct sim_net *net;
    const struct sim_fault_hooks *hooks;
    void *context;
    size_t node_count;
    hm_ms until;   /* none starts later, and all are healed then */
    hm_ms gap_max; /* between two of them; 0: drawn */
    bool enabled[SIM_FAULT_COUNT];
    uint64_t counts[SIM_FAULT_COUNT];
};

const char *sim_fault_name(enum sim_fault fault);

/* Starts the schedule. Each kind of fault is on in half of the seeds. */
void sim_faults_start(struct sim_faults *faults);

#endif
