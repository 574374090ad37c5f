#include "tests/sim/cluster.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "modules/modules.h"

#include <stdio.h>
#include <string.h>

#define READ_RETRY_MS 500u
#define HEADER_BYTES  17u /* cluster, starts of the sender, whether it is brief */

/* ---- the roles of the nodes, as modules ---- */

struct host_state {
    uint64_t round;
};

/* The node keeps a copy of its configuration; the address in it says whose it is. */
static struct cluster *current;

static struct cluster_node *node_of(struct hm_module_ctx *ctx)
{
    return &current->nodes[hm_module_node_config(ctx)->addr.ip[3] - 1];
}

static void publish(struct hm_module_ctx *ctx)
{
    struct host_state *state = hm_module_state(ctx);
    const struct hm_node_config *config = hm_module_node_config(ctx);
    struct cluster_node *node = node_of(ctx);
    struct hm_service services[ACCIDENT_SERVICES];
    struct hm_address address = {.addr = config->addr};
    struct hm_host_config host = {
        .addresses = &address, .addresses_count = 1, .services = services};
    for (size_t i = 0; i < ACCIDENT_SERVICES; i++) {
        if (node->services >> i & 1) {
            services[host.services_count++] =
                (struct hm_service){.name = hm_name_of(accident_service(i)),
                                    .port = (uint16_t)(8000 + state->round % 100),
                                    .weight = 1};
        }
    }
    state->round++;
    node->published = hm_module_publish(ctx, &host);
    node->cluster->versions++;
}

static void host_again(struct hm_module_ctx *ctx, hm_ms now)
{
    struct cluster_node *node = node_of(ctx);
    if (now < node->cluster->until + 5000) {
        publish(ctx);
        hm_module_wake(ctx, now + (node->cluster->churns ? 50 : 300 + 211 * node->slot));
    }
}

static enum hm_status host_start(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    (void)error;
    publish(ctx);
    hm_module_wake(ctx, hm_module_now(ctx) + 500);
    return HM_OK;
}

static const char *const performs_control[] = {"control", NULL};
static const char *const performs_dns[] = {"dns", NULL};
static const char *const performs_host[] = {"host", NULL};

static const struct hm_module roles[] = {
    {.abi = HM_MODULE_ABI, .kind = HM_MODULE_ROLE, .name = "control", .performs = performs_control},
    {.abi = HM_MODULE_ABI,
     .kind = HM_MODULE_ROLE,
     .name = "dns",
     .performs = performs_dns,
     .bootstraps = performs_dns,
     .feeds = HM_FEEDS_STATE},
    {.abi = HM_MODULE_ABI,
     .kind = HM_MODULE_ROLE,
     .name = "host",
     .performs = performs_host,
     .bootstraps = performs_dns,
     .state_size = sizeof(struct host_state),
     .start = host_start,
     .tick = host_again},
};

/* ---- acts ---- */

struct hm_addr cluster_addr(size_t slot)
{
    struct hm_addr addr = {.family = 4, .port = 9610};
    addr.ip[0] = 10;
    addr.ip[3] = (uint8_t)(slot + 1);
    return addr;
}

/* The messages of a payload, for the trace; the sender's id and address stand before them. */
static void trace_payload(struct cluster_node *node, size_t to, struct hm_bytes payload)
{
    struct hm_arena arena = {0};
    struct hm_buf line = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(payload);
    hm_get_bytes(&in, sizeof node->id.bytes);
    if (hm_get_u8(&in)) {
        hm_get_bytes(&in, 4);
        hm_get_varint(&in);
    }
    while (hm_reader_left(&in) && hm_message_decode(&in, &arena, &message) == HM_OK) {
        hm_buf_append_text(&line, " ");
        hm_message_print(&line, &message);
    }
    const struct cluster_lite *lite = lite_at(node->cluster, to);
    sim_trace(&node->cluster->world, "%s -> %s:%.*s", node->config.name.text,
              lite ? lite->name.text : node->cluster->nodes[to].config.name.text, (int)line.size,
              (char *)line.data);
    hm_buf_fini(&line);
    hm_arena_fini(&arena);
}

/* Whom an act is about. False: nobody has that address. */
static bool find_peer(struct cluster_node *node, const struct hm_act *act, size_t *slot)
{
    *slot = (size_t)act->addr.ip[3] - 1;
    if (act->addr.ip[0] != 10 || *slot >= node->cluster->count + node->cluster->lite_count) {
        sim_fail(&node->cluster->world, "node %zu: an act for an address that nobody has",
                 node->slot);
        return false;
    }
    return true;
}

static void hold(struct cluster_node *node, const struct hm_act *act)
{
    size_t to;
    if (find_peer(node, act, &to)) {
        sim_net_hold(&node->cluster->net, node->slot, to, act->hold);
    }
}

static void send(struct cluster_node *node, const struct hm_act *act)
{
    struct sim_net *net = &node->cluster->net;
    size_t to;
    if (!find_peer(node, act, &to)) {
        return;
    }
    if (node->cluster->world.loud) {
        trace_payload(node, to, act->bytes);
    }
    const struct cluster_lite *lite = lite_at(node->cluster, to);
    if (lite && act->addr.ip[2] != lite->place) {
        return; /* it has moved */
    }
    struct hm_buf bytes = {0};
    hm_put_u64(&bytes, node->header_cluster);
    hm_put_u64(&bytes, node->starts);
    hm_put_u8(&bytes, act->brief);
    hm_buf_append(&bytes, act->bytes.data, act->bytes.size);
    if (act->stream) {
        sim_net_stream(net, node->slot, to, hm_buf_view(&bytes));
    } else {
        sim_net_datagram(net, node->slot, to, hm_buf_view(&bytes));
    }
    hm_buf_fini(&bytes);
}

static void end_process(struct cluster_node *node, bool power)
{
    node->runs = false;
    node->in_turn = false;
    node->starts++;
    hm_node_free(node->node);
    node->node = NULL;
    sim_disk_crash(&node->disk, power);
}

static void pump(struct cluster_node *node);

static void wake(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_node *node = context;
    struct sim_world *world = &node->cluster->world;
    if (!node->runs || starts != node->starts) {
        return;
    }
    if (node->paused_until > world->now) {
        sim_after(world, node->paused_until - world->now, wake, node, starts);
    } else if (node->wake_at <= world->now) {
        node->wake_at = HM_NEVER;
        hm_node_tick(node->node, world->now);
        pump(node);
    }
}

static void pump(struct cluster_node *node)
{
    struct sim_world *world = &node->cluster->world;
    struct hm_act act;
    while (!world->failed && hm_node_output(node->node, &act)) {
        switch (act.kind) {
        case HM_ACT_SEND:
            send(node, &act);
            break;
        case HM_ACT_DISK:
            sim_disk_submit(&node->disk, act.ops, act.op_count, act.number);
            break;
        case HM_ACT_LOG:
            sim_trace(world, "%s: %.*s", node->config.name.text, (int)act.bytes.size,
                      (const char *)act.bytes.data);
            break;
        case HM_ACT_CLUSTER:
            node->header_cluster = act.number;
            break;
        case HM_ACT_READY:
            sim_trace(world, "%s: ready", node->config.name.text);
            break;
        case HM_ACT_STOPPED:
            sim_trace(world, "%s: stopped, %s", node->config.name.text, hm_status_text(act.status));
            node->stopped = true;
            node->stop_status = act.status;
            break;
        case HM_ACT_REPLY:
            if (registrar_has(act.number)) {
                registrar_answered(node->cluster, act.number, act.bytes);
            } else if (act.number <= WRITERS) {
                writer_answered(node->cluster, act.number, act.bytes);
            } else if (act.number == CLUSTER_CONNECTION) {
                hm_buf_clear(&node->cluster->reply);
                hm_buf_append(&node->cluster->reply, act.bytes.data, act.bytes.size);
            }
            break;
        case HM_ACT_HOLD:
            hold(node, &act);
            break;
        case HM_ACT_NONE:
            break;
        }
    }
    cluster_check(node);
    if (node->stopped) {
        end_process(node, false);
        sim_net_died(&node->cluster->net, node->slot, false);
        if (node->stop_status == HM_STALE) {
            operator_put_aside(node);
        }
        return;
    }
    hm_ms deadline = hm_node_deadline(node->node);
    if (deadline < node->wake_at) {
        node->wake_at = deadline;
        sim_after(world, deadline > world->now ? deadline - world->now : 0, wake, node,
                  node->starts);
    }
}

static void end_turn(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_node *node = context;
    if (node->runs && starts == node->starts) {
        node->in_turn = false;
        pump(node);
    }
}

/* After an event: with every other seed what comes within one millisecond is one turn of the loop,
 * as in a daemon under load; else each event is a turn of its own. */
static void settle(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    if (!cluster->has_turns) {
        pump(node);
    } else if (!node->in_turn) {
        node->in_turn = true;
        sim_after(&cluster->world, 0, end_turn, node, node->starts);
    }
}

void cluster_ask(struct cluster_node *node, uint64_t connection, const struct hm_message *question)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, question);
    hm_node_control(node->node, node->cluster->world.now, connection, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
    pump(node); /* some look at the answer at once */
}

/* ---- what comes in, put off while the node is paused ---- */

static void disk_done(void *context, uint64_t number, enum hm_status status);

/* A batch that ended in a pause: its status, then its number. */
static void disk_done_late(void *context, uint64_t starts, struct hm_bytes bytes)
{
    struct cluster_node *node = context;
    struct hm_reader in = hm_reader_of(bytes);
    enum hm_status status = (enum hm_status)hm_get_u8(&in);
    if (starts == node->starts) {
        disk_done(node, hm_get_u64(&in), status);
    }
}

static void disk_done(void *context, uint64_t number, enum hm_status status)
{
    struct cluster_node *node = context;
    struct sim_world *world = &node->cluster->world;
    if (!node->runs) {
        return;
    }
    if (node->paused_until > world->now) {
        struct hm_buf kept = {0};
        hm_put_u8(&kept, (uint8_t)status);
        hm_put_u64(&kept, number);
        sim_after_with(world, node->paused_until - world->now, disk_done_late, node, node->starts,
                       hm_buf_view(&kept));
        return;
    }
    hm_node_disk_done(node->node, world->now, number, status);
    settle(node);
}

/* Sealing is elsewhere; this much of it shows: a brief datagram opens only for who has heard the
 * sender in full, since both started and since the sender's cluster changed. */
static bool does_open(struct cluster_node *node, size_t from, bool stream, uint64_t cluster,
                      uint64_t starts, bool brief)
{
    struct cluster_heard *heard = &node->heard[from];
    if (!stream && !brief) {
        *heard = (struct cluster_heard){.starts = starts, .header_cluster = cluster};
    }
    return !brief || (heard->starts == starts && heard->header_cluster == cluster);
}

/* A message in a pause: from, stream, then the payload. */
static void receive_late(void *context, uint64_t starts, struct hm_bytes bytes);

static void receive(struct cluster *cluster, size_t to, size_t from, bool stream,
                    struct hm_bytes bytes)
{
    struct cluster_node *node = &cluster->nodes[to];
    struct sim_world *world = &cluster->world;
    if (node->paused_until > world->now) {
        struct hm_buf kept = {0};
        hm_put_u8(&kept, (uint8_t)from);
        hm_put_u8(&kept, stream);
        hm_buf_append(&kept, bytes.data, bytes.size);
        sim_after_with(world, node->paused_until - world->now, receive_late, node, node->starts,
                       hm_buf_view(&kept));
        return;
    }
    struct hm_reader in = hm_reader_of(bytes);
    uint64_t header = hm_get_u64(&in);
    uint64_t starts = hm_get_u64(&in);
    bool brief = hm_get_u8(&in);
    struct hm_addr addr = cluster_addr(from);
    addr.ip[2] = lite_at(cluster, from) ? hm_get_u8(&in) : 0;
    struct hm_bytes payload = {in.at, hm_reader_left(&in)};
    if (!does_open(node, from, stream, header, starts, brief)) {
        return;
    }
    hm_node_receive(node->node, world->now, stream ? NULL : &addr, stream, header, payload);
    settle(node);
}

static void receive_late(void *context, uint64_t starts, struct hm_bytes bytes)
{
    struct cluster_node *node = context;
    if (node->runs && starts == node->starts) {
        struct hm_bytes rest = {bytes.data + 2, bytes.size - 2};
        receive(node->cluster, node->slot, bytes.data[0], bytes.data[1], rest);
    }
}

static bool net_runs(void *context, size_t slot)
{
    struct cluster *cluster = context;
    const struct cluster_lite *lite = lite_at(cluster, slot);
    return lite ? lite->runs : cluster->nodes[slot].runs;
}

static void net_datagram(void *context, size_t to, size_t from, struct hm_bytes bytes)
{
    struct cluster_lite *lite = lite_at(context, to);
    if (lite) {
        lite_receive(lite, from,
                     (struct hm_bytes){bytes.data + HEADER_BYTES, bytes.size - HEADER_BYTES});
    } else {
        receive(context, to, from, false, bytes);
    }
}

static void net_stream(void *context, size_t to, size_t from, struct hm_bytes bytes)
{
    receive(context, to, from, true, bytes);
}

/* A stream that came or went in a pause: its peer, and why it went. */
static void stream_late(void *context, uint64_t starts, struct hm_bytes bytes);

static void tell_stream(struct cluster_node *node, size_t peer, bool up, enum hm_status why)
{
    struct sim_world *world = &node->cluster->world;
    struct hm_addr addr = cluster_addr(peer);
    if (node->paused_until > world->now) {
        struct hm_buf kept = {0};
        hm_put_u8(&kept, (uint8_t)peer);
        hm_put_u8(&kept, up);
        hm_put_u8(&kept, (uint8_t)why);
        sim_after_with(world, node->paused_until - world->now, stream_late, node, node->starts,
                       hm_buf_view(&kept));
        return;
    }
    if (up) {
        hm_node_stream_up(node->node, world->now, &addr);
    } else {
        hm_node_stream_down(node->node, world->now, &addr, why);
    }
    pump(node);
}

static void stream_late(void *context, uint64_t starts, struct hm_bytes bytes)
{
    struct cluster_node *node = context;
    if (node->runs && starts == node->starts) {
        tell_stream(node, bytes.data[0], bytes.data[1], (enum hm_status)bytes.data[2]);
    }
}

static void net_up(void *context, size_t slot, size_t peer)
{
    struct cluster *cluster = context;
    tell_stream(&cluster->nodes[slot], peer, true, HM_OK);
}

static void net_down(void *context, size_t slot, size_t peer, enum hm_status why)
{
    struct cluster *cluster = context;
    tell_stream(&cluster->nodes[slot], peer, false, why);
}

static void net_refused(void *context, size_t from, size_t to)
{
    struct cluster *cluster = context;
    struct hm_addr addr = cluster_addr(to);
    if (lite_at(cluster, to)) {
        return; /* to its keeper one that is gone is silent, whatever its machine says */
    }
    if (lite_at(cluster, from)) {
        if (cluster->nodes[to].machine) {
            lite_refused(lite_at(cluster, from), to);
        }
    } else if (cluster->nodes[to].machine && cluster->nodes[from].runs) {
        hm_node_refused(cluster->nodes[from].node, cluster->world.now, &addr);
        pump(&cluster->nodes[from]);
    }
}

static const struct sim_net_hooks net_hooks = {net_runs, net_datagram, net_stream,
                                               net_up,   net_down,     net_refused};

/* ---- lives ---- */

void cluster_crash(struct cluster *cluster, size_t slot, bool power)
{
    struct cluster_node *node = &cluster->nodes[slot];
    if (node->runs) {
        sim_trace(&cluster->world, "%s: %s", node->config.name.text,
                  power ? "power cut" : "killed");
        node->machine = !power;
        end_process(node, power);
    }
}

static void boot_again(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    cluster_boot(context, slot);
}

/* Whoever starts a node gives it the next release, now or another time; now, if the cluster has
 * gone there already. */
static void perhaps_upgrade(struct cluster *cluster, struct cluster_node *node)
{
    uint32_t level = 0;
    for (size_t i = 0; i < cluster->control_count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];
        uint32_t told = other->runs ? hm_node_feature(other->node) : 0;
        level = told > level ? told : level;
    }
    if (node->config.feature == HM_FEATURE_LEVEL &&
        (level > HM_FEATURE_LEVEL || cluster->world.now > cluster->until ||
         sim_chance(&cluster->world, 300))) {
        node->config.feature = HM_FEATURE_LEVEL + 1;
        sim_trace(&cluster->world, "%s: now with level %u", node->config.name.text,
                  node->config.feature);
    }
}

static void upgrade_rest(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    struct cluster_node *node = &cluster->nodes[slot];
    if (!node->gone && node->config.feature == HM_FEATURE_LEVEL) {
        cluster_crash(cluster, (size_t)slot, false);
        sim_net_died(&cluster->net, (size_t)slot, false);
        cluster_boot(cluster, (size_t)slot);
    }
}

void cluster_boot(struct cluster *cluster, size_t slot)
{
    struct cluster_node *node = &cluster->nodes[slot];
    struct sim_world *world = &cluster->world;
    if (node->runs || node->gone || node->lost) {
        return;
    }
    if (node->disk.unreadable) {
        sim_trace(world, "%s: cannot read its disk", node->config.name.text);
        sim_after(world, READ_RETRY_MS, boot_again, cluster, slot);
        return;
    }
    if (cluster->upgrades) {
        perhaps_upgrade(cluster, node);
    }
    struct hm_buf error = {0};
    node->runs = node->machine = true;
    node->stopped = false;
    node->starts++;
    node->paused_until = 0;
    node->wake_at = HM_NEVER;
    node->header_cluster = 0;
    memset(node->heard, 0, sizeof node->heard);
    node->served_count = 0;
    node->seen_index = 0;
    node->config.seed = sim_between(world, 0, UINT32_MAX);
    node->node = hm_node_new(&node->config, &error);
    HM_ASSERT(node->node != NULL);
    struct hm_disk_file files[SIM_FILES_MAX];
    size_t count = sim_disk_read(&node->disk, files);
    sim_trace(world, "%s: starts with %zu files", node->config.name.text, count);
    if (hm_node_start(node->node, world->now, CLUSTER_WALL_START_MS + world->now, files, count,
                      &error) != HM_OK) {
        sim_fail(world, "%s: %.*s", node->config.name.text, (int)error.size,
                 error.size ? (char *)error.data : "");
    }
    hm_buf_fini(&error);
    node->id = hm_node_id(node->node);
    pump(node);
}

static void pause_node(void *context, size_t slot, hm_ms until)
{
    struct cluster *cluster = context;
    struct cluster_lite *lite = lite_at(cluster, slot);
    *(lite ? &lite->paused_until : &cluster->nodes[slot].paused_until) = until;
}

static struct sim_disk *disk_of(void *context, size_t slot)
{
    struct cluster *cluster = context;
    return lite_at(cluster, slot) ? NULL : &cluster->nodes[slot].disk;
}

static void fault_crash(void *context, size_t slot, bool power)
{
    struct cluster_lite *lite = lite_at(context, slot);
    if (lite) {
        lite_kill(lite);
    } else {
        cluster_crash(context, slot, power);
    }
}

static void fault_start(void *context, size_t slot)
{
    struct cluster_lite *lite = lite_at(context, slot);
    if (lite) {
        lite_boot(lite);
    } else {
        cluster_boot(context, slot);
    }
}

static const struct sim_fault_hooks fault_hooks = {fault_crash, fault_start, pause_node, disk_of};

static void boot_late(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    cluster_boot(context, slot);
}

static void kill_for_good(void *context, uint64_t slot, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster *cluster = context;
    cluster->nodes[slot].gone = true;
    cluster_crash(cluster, slot, sim_chance(&cluster->world, 500));
    sim_net_died(&cluster->net, slot, !cluster->nodes[slot].machine);
}

static void configure(struct cluster *cluster, size_t slot)
{
    struct cluster_node *node = &cluster->nodes[slot];
    size_t role = slot < cluster->control_count                        ? 0
                  : slot < cluster->control_count + cluster->dns_count ? 1
                                                                       : 2;
    char name[40];
    snprintf(name, sizeof name, "%s%zu", roles[role].name, slot);
    node->cluster = cluster;
    node->slot = slot;
    node->role = roles[role].name;
    node->services = 1;
    node->modules[0] = &roles[role];
    node->config = (struct hm_node_config){.name = hm_name_of(name),
                                           .addr = cluster_addr(slot),
                                           .role_count = 1,
                                           .bootstrap = slot == 0,
                                           .serve_joins = true,
                                           .durable = true,
                                           .rings = cluster->rings,
                                           .push_fanout = cluster->fanout,
                                           .found_wait_ms = 1000,
                                           .restart_grace_ms = 3000,
                                           .removal_brake_ms = cluster->brake_ms,
                                           .modules = node->modules,
                                           .module_count = 1};
    node->config.feature = HM_FEATURE_LEVEL;
    node->config.roles[0] = hm_name_of(node->role);
    if (slot < cluster->names_count) {
        node->modules[node->config.module_count++] = &hm_names_module;
        node->config.roles[node->config.role_count++] = hm_name_of("names");
    }
    for (size_t i = 0; i < cluster->control_count; i++) {
        if (i != slot) {
            node->config.join[node->config.join_count++] = cluster_addr(i);
        }
    }
    sim_disk_init(&node->disk, &cluster->world, disk_done, node);
}

void cluster_init(struct cluster *cluster, uint64_t seed, bool loud)
{
    memset(cluster, 0, sizeof *cluster);
    current = cluster;
    sim_world_init(&cluster->world, seed, loud);
    struct sim_world *world = &cluster->world;
    cluster->control_count = sim_chance(world, 200) ? 1 : 3;
    cluster->dns_count = sim_between(world, 1, 3);
    cluster->host_count = sim_between(world, 1, 6);
    cluster->count = cluster->control_count + cluster->dns_count + cluster->host_count;
    /* A slice of 4 and one consumer per push: a full-mesh shortcut fails. */
    bool narrow = sim_chance(world, 500);
    cluster->rings = narrow ? 4 : 0;
    cluster->fanout = narrow ? 1 : 0;
    cluster->has_turns = seed % 2;
    cluster->upgrades = seed % 3 == 0;
    cluster->until = sim_between(world, 10000, 30000);
    cluster->settle_ms = 40000;
}

void cluster_start(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    sim_trace(world, "%zu control, %zu dns, %zu hosts, %u rings, %u consumers a push",
              cluster->control_count, cluster->dns_count, cluster->host_count, cluster->rings,
              cluster->fanout);
    sim_net_init(&cluster->net, world, cluster->count + cluster->lite_count, &net_hooks, cluster);
    for (size_t i = 0; i < cluster->count; i++) {
        configure(cluster, i);
        sim_after(world, i == 0 ? 0 : sim_between(world, 0, 3000), boot_late, cluster, i);
    }
    lites_start(cluster);
    if (cluster->accident.rounds) {
        accidents_start(cluster);
    }
    if (cluster->calm) {
        return;
    }
    writers_start(cluster);
    if (cluster->recovers) {
        operator_start(cluster);
    }
    if (cluster->names_count) {
        registrars_start(cluster);
    }
    if (cluster->host_count > 1) {
        sim_after(world, sim_between(world, 5000, cluster->until), kill_for_good, cluster,
                  cluster->count - 1);
    }
    for (size_t i = 0; cluster->upgrades && i < cluster->count; i++) {
        /* One after the other, when all is well again. */
        sim_after(world, cluster->until + 8000 + 1000 * i, upgrade_rest, cluster, i);
    }
    cluster->faults = (struct sim_faults){.world = world,
                                          .net = &cluster->net,
                                          .hooks = &fault_hooks,
                                          .context = cluster,
                                          .node_count = cluster->count + cluster->lite_count,
                                          .gap_max = cluster->churns ? 400 : 0,
                                          .until = cluster->until};
    sim_faults_start(&cluster->faults);
}

void cluster_run(struct cluster *cluster, hm_ms until)
{
    while (cluster->world.now < until && sim_step(&cluster->world)) {
    }
}

void cluster_fini(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        hm_node_free(cluster->nodes[i].node);
        sim_disk_fini(&cluster->nodes[i].disk);
    }
    sim_net_fini(&cluster->net);
    sim_world_fini(&cluster->world);
    writers_fini(cluster);
    lites_fini(cluster);
    hm_free(cluster->facts);
    hm_free(cluster->lists);
    hm_free(cluster->leaders);
    hm_buf_fini(&cluster->reply);
}
