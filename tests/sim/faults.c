#include "tests/sim/faults.h"

static const struct {
    const char *name;
    uint32_t weight;
} table[] = {
#define SIM_FAULT_ROW(name, weight) {#name, weight},
    SIM_FAULT_TABLE(SIM_FAULT_ROW)
#undef SIM_FAULT_ROW
};

const char *sim_fault_name(enum sim_fault fault)
{
    return table[fault].name;
}

static void restart(void *context, uint64_t node, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_faults *faults = context;
    faults->hooks->start(faults->context, node);
}

static void heal_links(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct sim_faults *faults = context;
    sim_trace(faults->world, "the network is whole");
    sim_net_heal(faults->net);
}

static void heal_disk(void *context, uint64_t node, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_faults *faults = context;
    struct sim_disk *disk = faults->hooks->disk(faults->context, node);
    if (disk) {
        sim_trace(faults->world, "node %u: its disk is well", (unsigned)node);
        disk->full = disk->unreadable = false;
        disk->error_permille = 0;
        disk->latency_min = 0;
        disk->latency_max = 4;
    }
}

static void crash(struct sim_faults *faults, size_t node, bool power)
{
    faults->hooks->crash(faults->context, node, power);
    sim_net_died(faults->net, node, power);
    /* Half of them are back before the others have elected anyone. */
    hm_ms most = sim_chance(faults->world, 500) ? 150 : 4000;
    sim_after(faults->world, sim_between(faults->world, 10, most), restart, faults, node);
}

static void cut_links(struct sim_faults *faults, enum sim_fault fault, size_t victim)
{
    struct sim_net *net = faults->net;
    uint64_t side = sim_between(faults->world, 1, ((uint64_t)1 << faults->node_count) - 1);
    size_t other = sim_between(faults->world, 0, faults->node_count - 1);
    bool hears = sim_chance(faults->world, 500);
    for (size_t a = 0; a < faults->node_count; a++) {
        for (size_t b = 0; b < faults->node_count; b++) {
            switch ((int)fault) {
            case SIM_FAULT_isolate:
                net->cut[a][b] |= a == victim || b == victim;
                break;
            case SIM_FAULT_split:
                net->cut[a][b] |= (side >> a & 1) != (side >> b & 1);
                break;
            case SIM_FAULT_one_way:
                net->cut[a][b] |= a == victim && b == other;
                break;
            case SIM_FAULT_deaf:
                net->cut[a][b] |= (hears ? a : b) == victim;
                break;
            }
        }
    }
    sim_after(faults->world, sim_between(faults->world, 50, 6000), heal_links, faults, 0);
}

static void hurt_disk(struct sim_faults *faults, enum sim_fault fault, size_t victim)
{
    struct sim_disk *disk = faults->hooks->disk(faults->context, victim);
    if (!disk) {
        return;
    }
    if (fault == SIM_FAULT_slow_disk) {
        disk->latency_max = sim_between(faults->world, 20, 500);
        disk->latency_min = disk->latency_max / 4;
    } else if (fault == SIM_FAULT_read_errors) {
        disk->unreadable = true;
    } else if (fault == SIM_FAULT_disk_errors) {
        disk->error_permille = (uint32_t)sim_between(faults->world, 20, 1000);
    } else {
        disk->full = true;
    }
    sim_after(faults->world, sim_between(faults->world, 50, 5000), heal_disk, faults, victim);
}

static void heal_clock(void *context, uint64_t node, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_faults *faults = context;
    if (faults->hooks->clock_rate) {
        faults->hooks->clock_rate(faults->context, node, 1000);
    }
}

static void disturb_clock(struct sim_faults *faults, enum sim_fault fault, size_t victim)
{
    struct sim_world *world = faults->world;
    if (fault == SIM_FAULT_clock_rate) {
        bool fast = sim_chance(world, 500);
        uint32_t permille =
            (uint32_t)(fast ? sim_between(world, 1001, 3000) : sim_between(world, 300, 999));
        faults->hooks->clock_rate(faults->context, victim, permille);
        sim_after(world, sim_between(world, 500, 8000), heal_clock, faults, victim);
    } else {
        int64_t most = INT64_C(3600000) * 48;
        faults->hooks->clock_jump(faults->context, victim,
                                  (int64_t)sim_between(world, 0, (uint64_t)most * 2) - most);
    }
}

static void inject(struct sim_faults *faults, enum sim_fault fault)
{
    struct sim_world *world = faults->world;
    size_t victim = sim_between(world, 0, faults->node_count - 1);
    faults->counts[fault]++;
    sim_trace(world, "fault: %s, node %zu", table[fault].name, victim);
    switch (fault) {
    case SIM_FAULT_kill:
    case SIM_FAULT_power_cut:
        crash(faults, victim, fault == SIM_FAULT_power_cut);
        break;
    case SIM_FAULT_all_power:
        for (size_t i = 0; i < faults->node_count; i++) {
            crash(faults, i, true);
        }
        break;
    case SIM_FAULT_pause:
        faults->hooks->pause(faults->context, victim, world->now + sim_between(world, 50, 3000));
        break;
    case SIM_FAULT_bad_weather:
        faults->net->loss_permille = (uint32_t)sim_between(world, 0, 300);
        faults->net->twice_permille = (uint32_t)sim_between(world, 0, 500);
        faults->net->delay_max = sim_between(world, 1, sim_chance(world, 250) ? 600 : 100);
        faults->net->delay_min = sim_between(world, 0, faults->net->delay_max);
        sim_after(world, sim_between(world, 100, 8000), heal_links, faults, 0);
        break;
    case SIM_FAULT_slow_disk:
    case SIM_FAULT_disk_errors:
    case SIM_FAULT_full_disk:
    case SIM_FAULT_read_errors:
        hurt_disk(faults, fault, victim);
        break;
    case SIM_FAULT_clock_rate:
    case SIM_FAULT_clock_jump:
        disturb_clock(faults, fault, victim);
        break;
    default:
        cut_links(faults, fault, victim);
    }
}

static void heal_all(struct sim_faults *faults)
{
    heal_links(faults, 0, (struct hm_bytes){0});
    for (size_t i = 0; i < faults->node_count; i++) {
        heal_disk(faults, i, (struct hm_bytes){0});
        heal_clock(faults, i, (struct hm_bytes){0});
        faults->hooks->start(faults->context, i);
    }
}

static void next(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct sim_faults *faults = context;
    struct sim_world *world = faults->world;
    if (world->now >= faults->until) {
        heal_all(faults);
        return;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        total += faults->enabled[i] ? table[i].weight : 0;
    }
    if (total) {
        uint64_t draw = sim_between(world, 0, total - 1);
        enum sim_fault fault = 0;
        for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
            uint64_t weight = faults->enabled[i] ? table[i].weight : 0;
            if (draw < weight) {
                fault = (enum sim_fault)i;
                break;
            }
            draw -= weight;
        }
        inject(faults, fault);
    }
    sim_after(world, sim_between(world, 20, faults->gap_max), next, faults, 0);
}

void sim_faults_start(struct sim_faults *faults)
{
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        faults->enabled[i] = sim_chance(faults->world, 500);
    }
    faults->enabled[SIM_FAULT_clock_rate] &= faults->hooks->clock_rate != NULL;
    faults->enabled[SIM_FAULT_clock_jump] &= faults->hooks->clock_jump != NULL;
    if (faults->gap_max == 0) {
        faults->gap_max = sim_between(faults->world, 300, 3000);
    }
    sim_after(faults->world, sim_between(faults->world, 100, 2000), next, faults, 0);
}
