#include "tests/sim/group.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/plant.h"

#include <string.h>

#define DISK_RETRY_MS 500u
#define WEIGHT_STEP   1000u

struct hm_peer group_peer(const struct group_node *node)
{
    struct hm_peer peer = {.addr = {.family = 4, .port = 9610}};
    peer.id.bytes[0] = 1;
    peer.id.bytes[1] = (uint8_t)node->slot;
    peer.id.bytes[2] = (uint8_t)node->life;
    peer.addr.ip[0] = 10;
    peer.addr.ip[2] = (uint8_t)node->life;
    peer.addr.ip[3] = (uint8_t)(node->slot + 1);
    return peer;
}

hm_ms group_now(const struct group_node *node)
{
    hm_ms passed = node->group->world.now - node->clock_set;
    return node->clock_then + passed * node->clock_permille / 1000;
}

/* World's time from now until the node's clock shows `at`. */
static hm_ms until(const struct group_node *node, hm_ms at)
{
    hm_ms now = group_now(node);
    return at > now ? ((at - now) * 1000 + node->clock_permille - 1) / node->clock_permille : 0;
}

static void set_wall(struct group_node *node)
{
    hm_ms now = group_now(node);
    hm_logs_set_wall(node->logs, now, GROUP_WALL_START_MS + now + (uint64_t)node->wall_offset);
}

struct group_node *group_find(struct group *group, const struct hm_id *id)
{
    for (size_t i = 0; i < group->options.nodes; i++) {
        struct hm_id here = group_peer(&group->nodes[i]).id;
        if (hm_id_equal(&here, id)) {
            return &group->nodes[i];
        }
    }
    return NULL;
}

struct group_node *group_leader(struct group *group)
{
    struct group_node *leader = NULL;
    for (size_t i = 0; i < group->options.nodes; i++) {
        struct group_node *node = &group->nodes[i];
        if (node->runs && hm_raft_role(node->raft) == HM_RAFT_LEADER &&
            (!leader || hm_raft_term(node->raft) > hm_raft_term(leader->raft))) {
            leader = node;
        }
    }
    return leader;
}

/* ---- the state machine ---- */

struct hm_id group_session(size_t client, uint64_t opened_ms)
{
    struct hm_id id = {{0}};
    for (size_t i = 0; i < 6; i++) {
        id.bytes[i] = (uint8_t)(opened_ms >> (40 - 8 * i));
    }
    id.bytes[15] = (uint8_t)(client + 1);
    return id;
}

/* Nothing keeps log time within the hour after which sessions are forgotten. */
static enum hm_status machine_admit(void *context, const struct hm_log_entry *entry)
{
    (void)context;
    return hm_plant("forgotten_is_new") ? HM_OK : hm_list_machine.admit(NULL, entry);
}

static void machine_put(void *context, struct hm_buf *out)
{
    struct group_node *node = context;
    const struct machine *machine = &node->machine;
    hm_put_u64(out, machine->length);
    hm_put_u64(out, machine->hash);
    hm_put_u64(out, machine->time_ms);
    for (size_t i = 0; i < GROUP_CLIENTS_MAX; i++) {
        hm_put_u64(out, machine->last_seq[i]);
        hm_put_u64(out, machine->place[i]);
    }
    /* Some weight, so that a snapshot takes several chunks now and then. */
    size_t weight = (size_t)(machine->length % 7) * 30000;
    uint8_t *room = hm_buf_extend(out, weight);
    memset(room, 0, weight);
    for (size_t i = 0; i < weight; i += WEIGHT_STEP) {
        room[i] = (uint8_t)(i / WEIGHT_STEP);
    }
}

/* Is every part of it at its place? */
static bool is_whole(struct hm_bytes weight)
{
    size_t at = 0;
    while (at < weight.size && weight.data[at] == (uint8_t)(at / WEIGHT_STEP)) {
        at += WEIGHT_STEP;
    }
    return at >= weight.size;
}

static enum hm_status machine_get(void *context, struct hm_bytes state)
{
    struct group_node *node = context;
    struct machine *machine = &node->machine;
    struct hm_reader in = hm_reader_of(state);
    *machine = (struct machine){0};
    machine->length = hm_get_u64(&in);
    machine->hash = hm_get_u64(&in);
    machine->time_ms = hm_get_u64(&in);
    for (size_t i = 0; i < GROUP_CLIENTS_MAX; i++) {
        machine->last_seq[i] = hm_get_u64(&in);
        machine->place[i] = hm_get_u64(&in);
    }
    return is_whole(hm_get_bytes(&in, hm_reader_left(&in))) ? HM_OK : HM_BAD_BYTES;
}

/* The sessions below see to it that nothing comes twice. */
static void machine_append(void *context, const struct hm_log_entry *entry, struct hm_outcome *out)
{
    struct group_node *node = context;
    struct machine *machine = &node->machine;
    size_t client = (size_t)entry->session.bytes[15] - 1;
    if (client >= GROUP_CLIENTS_MAX || entry->seq <= machine->last_seq[client]) {
        sim_fail(&node->group->world, "node %zu: client %zu's %llu was applied twice", node->slot,
                 client, (unsigned long long)entry->seq);
        return;
    }
    if (entry->time_ms < machine->time_ms) {
        sim_fail(&node->group->world, "node %zu: log time goes back", node->slot);
    }
    machine->time_ms = entry->time_ms;
    uint64_t words[3] = {client, entry->seq, machine->time_ms};
    machine->last_seq[client] = entry->seq;
    machine->place[client] = ++machine->length;
    machine->hash = hm_hash(machine->hash, (struct hm_bytes){(uint8_t *)words, sizeof words});
    if (out->index != machine->length) {
        sim_fail(&node->group->world, "node %zu: entry %llu of the log is number %llu of the list",
                 node->slot, (unsigned long long)out->index, (unsigned long long)machine->length);
    }
}

const struct hm_machine group_machine = {.apply = machine_append,
                                         .admit = machine_admit,
                                         .snapshot = machine_put,
                                         .install = machine_get};

static void applied(struct group_node *node, const struct hm_log_effect *effect)
{
    struct hm_arena arena = {0};
    struct hm_message voters;
    if (effect->number != node->machine.applied + 1) {
        sim_fail(&node->group->world, "node %zu applied %llu after %llu", node->slot,
                 (unsigned long long)effect->number, (unsigned long long)node->machine.applied);
        return;
    }
    node->machine.applied = effect->number;
    if (hm_message_decode_only(effect->message, HM_MSG_log_voters, &arena, &voters) == HM_OK) {
        check_voters(node->group, effect->number, &voters.log_voters);
    }
    check_applied(node, effect->number, effect->message);
    hm_arena_fini(&arena);
}

static void installed(struct group_node *node, uint64_t index)
{
    node->machine.applied = index;
    sim_trace(&node->group->world, "node %zu: snapshot at %llu", node->slot,
              (unsigned long long)index);
    check_installed(node, index);
    check_kept(node);
}

/* ---- effects ---- */

static void send(struct group_node *node, const struct hm_log_effect *effect)
{
    struct group *group = node->group;
    struct group_node *to = group_find(group, &effect->peer.id);
    if (!to || to == node) {
        return;
    }
    /* First who sends and who is meant: a slot may have a new life when it arrives. */
    struct hm_buf bytes = {0};
    struct hm_id id = group_peer(node).id;
    hm_buf_append(&bytes, id.bytes, sizeof id.bytes);
    hm_buf_append(&bytes, effect->peer.id.bytes, sizeof id.bytes);
    hm_buf_append(&bytes, effect->message.data, effect->message.size);
    if (group->options.datagrams) {
        sim_net_datagram(&group->net, node->slot, to->slot, hm_buf_view(&bytes));
    } else {
        sim_net_stream(&group->net, node->slot, to->slot, hm_buf_view(&bytes));
    }
    hm_buf_fini(&bytes);
}

/* Could its old id still come back to the voters? */
static bool is_remembered(struct group *group, const struct hm_id *id)
{
    for (size_t i = 0; i < group->options.nodes; i++) {
        struct group_node *node = &group->nodes[i];
        struct hm_id self = group_peer(node).id;
        if (!check_is_member(group, &self)) {
            continue;
        }
        size_t count = 0;
        const struct hm_voter *voters = node->runs ? hm_raft_voters(node->raft, &count) : NULL;
        for (size_t at = 0; at < count; at++) {
            if (hm_id_equal(&voters[at].id, id)) {
                return true;
            }
        }
        if (!node->runs) {
            return true;
        }
    }
    return false;
}

static void retire(void *context, uint64_t life, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_node *node = context;
    struct group *group = node->group;
    struct hm_id id = group_peer(node).id;
    if (node->life != life || check_is_member(group, &id)) {
        return;
    }
    if (is_remembered(group, &id)) {
        sim_after(&group->world, 1000, retire, node, life);
        return;
    }
    sim_trace(&group->world, "node %zu: removed, comes back as a new one", node->slot);
    group_crash(group, node->slot, false);
    sim_net_died(&group->net, node->slot, false);
    sim_disk_wipe(&node->disk);
    node->life++;
    group_boot(group, node->slot);
}

static void retire_removed(struct group *group)
{
    for (size_t i = 0; i < group->options.nodes; i++) {
        struct group_node *node = &group->nodes[i];
        struct hm_id id = group_peer(node).id;
        if (node->runs && hm_raft_last_index(node->raft) && !check_is_member(group, &id) &&
            group->checker.member_count) {
            sim_after(&group->world, 2000, retire, node, node->life);
        }
    }
}

static void compact(struct group_node *node)
{
    uint64_t behind = node->machine.applied - hm_raft_snapshot_index(node->raft);
    if (node->compact_every == 0 || behind < node->compact_every) {
        return;
    }
    uint64_t before = hm_raft_snapshot_index(node->raft);
    if (node->shortens) {
        if (node->machine.applied < node->shortened + node->compact_every / 4 + 1) {
            return;
        }
        node->shortened = node->machine.applied;
        hm_participant_shorten(node->log);
    } else if (hm_participant_compact(node->log) != HM_OK) {
        return;
    }
    if (hm_raft_snapshot_index(node->raft) > before) {
        sim_trace(&node->group->world, "node %zu: compacted up to %llu at %llu", node->slot,
                  (unsigned long long)hm_raft_snapshot_index(node->raft),
                  (unsigned long long)node->machine.applied);
    }
    check_kept(node);
}

static void wake(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_node *node = context;
    struct sim_world *world = &node->group->world;
    if (!node->runs || starts != node->starts) {
        return;
    }
    if (node->paused_until > world->now) {
        sim_after(world, node->paused_until - world->now, wake, node, starts);
        return;
    }
    if (node->wake_at <= world->now) {
        node->wake_at = HM_NEVER;
        hm_logs_tick(node->logs, group_now(node));
        group_pump(node);
    }
}

static void do_effects(struct group_node *node)
{
    struct hm_log_effect effect;
    struct sim_world *world = &node->group->world;
    while (!world->failed && hm_logs_output(node->logs, group_now(node), &effect)) {
        switch (effect.kind) {
        case HM_LOG_SEND:
            send(node, &effect);
            break;
        case HM_LOG_APPLIED:
            applied(node, &effect);
            break;
        case HM_LOG_INSTALLED:
            installed(node, effect.number);
            break;
        case HM_LOG_ANSWER:
            client_answered(node, effect.token, effect.outcome);
            break;
        case HM_LOG_NOTICE:
            if (effect.notice == HM_RAFT_VOTERS_CHANGED || effect.notice == HM_RAFT_REMOVED) {
                retire_removed(node->group);
            }
            break;
        case HM_LOG_BROKEN:
            sim_fail(world, "node %zu applied an entry that does not decode", node->slot);
            break;
        case HM_LOG_PERSIST:
            break;
        }
        check_role(node);
    }
}

void group_pump(struct group_node *node)
{
    struct sim_world *world = &node->group->world;
    struct hm_journal_batch batch;
    do_effects(node);
    compact(node);
    do_effects(node);
    check_role(node);
    if (!node->side_busy && hm_logs_side_output(node->logs, &batch)) {
        node->side_busy = true;
        sim_disk_submit(&node->disk, batch.ops, batch.count, 2 * node->starts + 1);
    }
    if (!node->disk_busy && hm_logs_disk_output(node->logs, &batch)) {
        node->disk_busy = true;
        sim_disk_submit(&node->disk, batch.ops, batch.count, 2 * node->starts);
    }
    hm_ms deadline = hm_logs_deadline(node->logs);
    hm_ms delay = deadline == HM_NEVER ? HM_NEVER : until(node, deadline);
    if (delay != HM_NEVER && world->now + delay < node->wake_at) {
        node->wake_at = world->now + delay;
        sim_after(world, delay, wake, node, node->starts);
    }
}

/* ---- what comes in, put off while the node is paused ---- */

static void retry_disk(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_node *node = context;
    if (node->runs && starts == node->starts && hm_logs_disk_failed(node->logs)) {
        hm_logs_disk_retry(node->logs);
        group_pump(node);
    }
}

static void disk_done(void *context, uint64_t number, enum hm_status status);

static void disk_done_late(void *context, uint64_t number, struct hm_bytes status)
{
    disk_done(context, number, (enum hm_status)status.data[0]);
}

static void retry_side(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct group_node *node = context;
    if (node->runs && starts == node->starts) {
        node->side_busy = false;
        group_pump(node);
    }
}

static void side_done(struct group_node *node, enum hm_status status)
{
    struct sim_world *world = &node->group->world;
    if (hm_logs_side_done(node->logs, status)) {
        sim_trace(world, "node %zu: disk, beside: %s", node->slot, hm_status_text(status));
        sim_after(world, DISK_RETRY_MS, retry_side, node, node->starts);
        return;
    }
    node->side_busy = false;
    group_pump(node);
}

/* `number` is twice what `starts` was, and one more for what is done beside the journal. */
static void disk_done(void *context, uint64_t number, enum hm_status status)
{
    struct group_node *node = context;
    struct sim_world *world = &node->group->world;
    if (!node->runs || number / 2 != node->starts) {
        return;
    }
    if (node->paused_until > world->now) {
        struct hm_buf kept = {0};
        hm_put_u8(&kept, (uint8_t)status);
        sim_after_with(world, node->paused_until - world->now, disk_done_late, node, number,
                       hm_buf_view(&kept));
        return;
    }
    if (number % 2) {
        side_done(node, status);
        return;
    }
    node->disk_busy = false;
    hm_logs_disk_done(node->logs, group_now(node), status);
    if (status != HM_OK) {
        sim_trace(world, "node %zu: disk: %s", node->slot, hm_status_text(status));
    }
    if (hm_logs_disk_failed(node->logs)) {
        sim_after(world, DISK_RETRY_MS, retry_disk, node, node->starts);
    }
    group_pump(node);
}

static void receive_late(void *context, uint64_t starts, struct hm_bytes bytes);

static void receive(void *context, size_t slot, size_t from, struct hm_bytes bytes)
{
    (void)from;
    struct group *group = context;
    struct group_node *node = &group->nodes[slot];
    struct sim_world *world = &group->world;
    if (node->paused_until > world->now) {
        sim_after_with(world, node->paused_until - world->now, receive_late, node, node->starts,
                       hm_bytes_copy(bytes));
        return;
    }
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    struct hm_peer peer = {0};
    struct hm_bytes id = hm_get_bytes(&in, sizeof peer.id.bytes);
    memcpy(peer.id.bytes, id.data, sizeof peer.id.bytes);
    struct hm_id self = group_peer(node).id;
    struct hm_bytes meant = hm_get_bytes(&in, sizeof self.bytes);
    if (memcmp(meant.data, self.bytes, sizeof self.bytes) != 0) {
        return;
    }
    enum hm_status status = hm_message_decode(&in, &arena, &message);
    HM_ASSERT(status == HM_OK);
    status = hm_logs_input(node->logs, group_now(node), &peer, &message);
    if (status != HM_OK && status != HM_IO) {
        struct hm_buf line = {0};
        hm_message_print(&line, &message);
        sim_fail(world, "node %zu refused %.*s: %s", slot, (int)line.size, (char *)line.data,
                 hm_status_text(status));
        hm_buf_fini(&line);
    }
    hm_arena_fini(&arena);
    group_pump(node);
}

static void receive_late(void *context, uint64_t starts, struct hm_bytes bytes)
{
    struct group_node *node = context;
    if (node->runs && node->starts == starts) {
        receive(node->group, node->slot, 0, bytes);
    }
}

static bool runs(void *context, size_t slot)
{
    struct group *group = context;
    return group->nodes[slot].runs;
}

static void stream_up(void *context, size_t slot, size_t peer)
{
    (void)context;
    (void)slot;
    (void)peer;
}

static void stream_down(void *context, size_t slot, size_t peer, enum hm_status why)
{
    struct group *group = context;
    struct group_node *node = &group->nodes[slot];
    if (why == HM_IO && node->paused_until <= group->world.now) {
        struct hm_id id = group_peer(&group->nodes[peer]).id;
        hm_logs_peer_reset(node->logs, group_now(node), &id);
        group_pump(node);
    }
}

static void refused(void *context, size_t from, size_t to)
{
    (void)context;
    (void)from;
    (void)to;
}

static const struct sim_net_hooks net_hooks = {runs,      receive,     receive,
                                               stream_up, stream_down, refused};

/* ---- lives ---- */

void group_crash(struct group *group, size_t slot, bool power)
{
    struct group_node *node = &group->nodes[slot];
    if (!node->runs) {
        return;
    }
    sim_trace(&group->world, "node %zu: %s", slot, power ? "power cut" : "killed");
    node->runs = false;
    node->starts++;
    hm_logs_free(node->logs);
    node->logs = NULL;
    node->log = NULL;
    node->raft = NULL;
    sim_disk_crash(&node->disk, power);
}

static bool use_log(void *context, uint32_t log, struct hm_participant_config *out)
{
    struct group_node *node = context;
    out->machine = &group_machine;
    out->context = context;
    out->raft.trailing_entries = node->group->options.trailing_entries;
    out->keep = (struct hm_keep){node->group->options.keep_entries, HM_KEEP_BYTES_MAX};
    return log == 0;
}

static void open_log(struct group_node *node)
{
    struct sim_world *world = &node->group->world;
    node->logs =
        hm_logs_new(&(struct hm_logs_config){.self = group_peer(node),
                                             .seed = sim_between(world, 0, UINT32_MAX),
                                             .durable = true,
                                             .sides = true,
                                             .segment_bytes = node->group->options.segment_bytes});
    set_wall(node);
    struct hm_disk_file files[SIM_FILES_MAX];
    size_t count = sim_disk_read(&node->disk, files);
    struct hm_buf error = {0};
    struct hm_buf report = {0};
    struct hm_participant_config config = {0};
    if (hm_logs_recover(node->logs, group_now(node), files, count, use_log, node, &error,
                        &report) != HM_OK) {
        sim_fail(world, "node %zu: %.*s", node->slot, (int)error.size, (char *)error.data);
    }
    node->log = hm_logs_find(node->logs, 0);
    if (!node->log) {
        (void)use_log(node, 0, &config);
        node->log = hm_logs_open(node->logs, group_now(node), &config);
    }
    node->raft = hm_participant_raft(node->log);
    sim_trace(world, "node %zu: starts, term %llu, last %llu %.*s", node->slot,
              (unsigned long long)hm_raft_term(node->raft),
              (unsigned long long)hm_raft_last_index(node->raft), (int)report.size,
              report.size ? (char *)report.data : "");
    hm_buf_fini(&error);
    hm_buf_fini(&report);
}

static void boot_again(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    group_boot(context, slot);
}

void group_boot(struct group *group, size_t slot)
{
    struct group_node *node = &group->nodes[slot];
    struct sim_world *world = &group->world;
    if (node->runs) {
        return;
    }
    if (node->disk.unreadable) {
        sim_trace(world, "node %zu: cannot read its disk", slot);
        sim_after(world, DISK_RETRY_MS, boot_again, group, slot);
        return;
    }
    node->runs = true;
    node->starts++;
    node->disk_busy = node->side_busy = false;
    node->paused_until = 0;
    node->wake_at = HM_NEVER;
    node->machine = (struct machine){0};
    node->compact_every = sim_chance(world, 700) ? sim_between(world, 5, 300) : 0;
    node->shortens = sim_chance(world, 500);
    node->shortened = 0;
    open_log(node);
    group_pump(node);
}

static void fault_crash(void *context, size_t slot, bool power)
{
    group_crash(context, slot, power);
}

static void fault_start(void *context, size_t slot)
{
    group_boot(context, slot);
}

static void fault_pause(void *context, size_t slot, hm_ms until)
{
    struct group *group = context;
    group->nodes[slot].paused_until = until;
}

static struct sim_disk *fault_disk(void *context, size_t slot)
{
    struct group *group = context;
    return &group->nodes[slot].disk;
}

static void fault_clock_rate(void *context, size_t slot, uint32_t permille)
{
    struct group *group = context;
    struct group_node *node = &group->nodes[slot];
    if (node->clock_permille == permille) {
        return;
    }
    node->clock_then = group_now(node);
    node->clock_set = group->world.now;
    node->clock_permille = permille;
    if (node->runs && node->paused_until <= group->world.now) {
        node->wake_at = HM_NEVER; /* that wake-up would come early or late */
        group_pump(node);
    }
}

static void fault_clock_jump(void *context, size_t slot, int64_t ms)
{
    struct group *group = context;
    struct group_node *node = &group->nodes[slot];
    node->wall_offset = ms;
    if (node->runs) {
        set_wall(node);
    }
}

static const struct sim_fault_hooks fault_hooks = {fault_crash, fault_start,      fault_pause,
                                                   fault_disk,  fault_clock_rate, fault_clock_jump};

void group_init(struct group *group, uint64_t seed, bool loud)
{
    memset(group, 0, sizeof *group);
    sim_world_init(&group->world, seed, loud);
    struct sim_world *world = &group->world;
    group->options = (struct group_options){
        .nodes = sim_between(world, 1, GROUP_NODES_MAX),
        .churn = sim_chance(world, 500),
        .faults = true,
        .datagrams = sim_chance(world, 500),
        .pause_max = sim_chance(world, 500) ? 60 : 1500,
        .segment_bytes = (uint64_t)4096 << sim_between(world, 0, 4),
        .until = sim_between(world, 8000, 20000),
    };
    group->options.keep_entries = sim_chance(world, 700) ? (uint32_t)sim_between(world, 1, 60) : 0;
    group->options.trailing_entries =
        sim_chance(world, 700) ? (uint32_t)sim_between(world, 1, 100) : 0;
    group->client_count = sim_between(world, 1, GROUP_CLIENTS_MAX);
}

void group_start(struct group *group)
{
    struct sim_world *world = &group->world;
    sim_trace(world, "%zu nodes, %zu clients, %s%s", group->options.nodes, group->client_count,
              group->options.datagrams ? "datagrams" : "streams",
              group->options.churn ? ", churn" : "");
    sim_net_init(&group->net, world, group->options.nodes, &net_hooks, group);
    for (size_t i = 0; i < group->options.nodes; i++) {
        struct group_node *node = &group->nodes[i];
        node->group = group;
        node->slot = i;
        node->clock_permille = 1000;
        sim_disk_init(&node->disk, world, disk_done, node);
        group_boot(group, i);
    }
    enum hm_status status = hm_raft_found(group->nodes[0].raft, group_now(&group->nodes[0]));
    HM_ASSERT(status == HM_OK);
    group_pump(&group->nodes[0]);
    for (size_t i = 0; i < group->client_count; i++) {
        group->clients[i] =
            (struct group_client){.group = group, .number = i, .opened_ms = GROUP_WALL_START_MS};
        client_start(&group->clients[i]);
    }
    admin_start(group);
    if (group->options.faults) {
        archive_start(group);
        group->faults = (struct sim_faults){.world = world,
                                            .net = &group->net,
                                            .hooks = &fault_hooks,
                                            .context = group,
                                            .node_count = group->options.nodes,
                                            .until = group->options.until};
        sim_faults_start(&group->faults);
    }
}

void group_run(struct group *group, hm_ms until)
{
    while (group->world.now < until && sim_step(&group->world)) {
    }
}

void group_fini(struct group *group)
{
    for (size_t i = 0; i < group->options.nodes; i++) {
        hm_logs_free(group->nodes[i].logs);
        sim_disk_fini(&group->nodes[i].disk);
    }
    sim_net_fini(&group->net);
    sim_world_fini(&group->world);
    hm_free(group->checker.facts);
    hm_free(group->checker.kept);
    hm_free(group->checker.leaders);
}
