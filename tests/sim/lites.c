#include "tests/sim/lites.h"

#include "core/base/assert.h"
#include "tests/sim/cluster.h"

#include <stdio.h>
#include <string.h>

#define LITE_PORT 9700u
#define QUIET_MS  32000u /* from the end of the faults to the last things that happen to them, */
#define LAST_MS   2000u  /* which take so long */

struct cluster_lite *lite_at(struct cluster *cluster, size_t slot)
{
    return slot < cluster->count ? NULL : &cluster->lites[slot - cluster->count];
}

struct hm_addr lite_addr(const struct cluster_lite *lite)
{
    struct hm_addr addr = {.family = 4, .port = LITE_PORT};
    addr.ip[0] = 10;
    addr.ip[2] = lite->place;
    addr.ip[3] = (uint8_t)(lite->slot + 1);
    return addr;
}

/* ---- the process ---- */

static void make_config(struct cluster_lite *lite)
{
    struct hm_service services[ACCIDENT_SERVICES];
    struct hm_host_config config = {.services = services};
    for (size_t i = 0; i < ACCIDENT_SERVICES; i++) {
        if (lite->services >> i & 1) {
            services[config.services_count++] = (struct hm_service){
                .name = hm_name_of(accident_service(i)), .port = lite->port, .weight = 1};
        }
    }
    hm_buf_clear(&lite->config);
    hm_message_encode(&lite->config,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = config});
}

static void look_up(struct cluster_lite *lite)
{
    struct hm_addr joins[CLUSTER_NODES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < lite->cluster->control_count; i++) {
        joins[count++] = cluster_addr(i);
    }
    lite_session_set_joins(&lite->session, joins, count);
}

static void changed(struct cluster_lite *lite)
{
    lite->changes++;
    lite->changed_at = lite->cluster->world.now;
    lite_look_later(lite);
}

static void end(struct cluster_lite *lite, const char *how)
{
    sim_trace(&lite->cluster->world, "%s: %s", lite->name.text, how);
    lite->runs = false;
    lite->starts++;
    changed(lite);
}

static void note_news(struct cluster_lite *lite, enum lite_news news)
{
    struct sim_world *world = &lite->cluster->world;
    switch (news) {
    case LITE_KEPT:
    case LITE_COMMITTED:
        sim_trace(world, "%s: kept by node %u%s", lite->name.text, lite->session.current.ip[3] - 1u,
                  news == LITE_KEPT ? ", not committed" : "");
        break;
    case LITE_REFUSED:
        sim_trace(world, "%s: refused, %s", lite->name.text, lite->session.reason);
        break;
    case LITE_SILENT:
    case LITE_LOST:
        sim_trace(world, "%s: nobody answers", lite->name.text);
        if (!lite->session.withdrawing) {
            look_up(lite);
        }
        break;
    case LITE_WITHDRAWN:
    case LITE_ABANDONED:
        end(lite, news == LITE_WITHDRAWN ? "withdrawn" : "stops, and nobody heard it");
        break;
    case LITE_NOTHING:
        break;
    }
}

static void send(struct cluster_lite *lite, struct hm_bytes payload)
{
    struct cluster *cluster = lite->cluster;
    size_t to = (size_t)lite->session.current.ip[3] - 1;
    if (to >= cluster->count) {
        sim_fail(&cluster->world, "%s speaks to an address that no node has", lite->name.text);
        return;
    }
    struct hm_buf bytes = {0};
    struct hm_addr from = lite_addr(lite);
    sim_trace(&cluster->world, "%s -> %s: keepalive %llu, version %llu.%llu", lite->name.text,
              cluster->nodes[to].config.name.text, (unsigned long long)lite->session.call,
              (unsigned long long)lite->session.version.boot,
              (unsigned long long)lite->session.version.seq);
    hm_put_u64(&bytes, 0); /* of no cluster */
    hm_put_u64(&bytes, lite->starts);
    hm_put_u8(&bytes, false);      /* in full */
    hm_put_u8(&bytes, from.ip[2]); /* it may have moved when this arrives */
    hm_buf_append(&bytes, payload.data, payload.size);
    sim_net_datagram(&cluster->net, lite->slot, to, hm_buf_view(&bytes));
    hm_buf_fini(&lite->sent);
    lite->sent = bytes;
    lite->spoken_to |= UINT32_C(1) << to;
}

static void wake(void *context, uint64_t starts, struct hm_bytes bytes);

static void plan(struct cluster_lite *lite)
{
    struct sim_world *world = &lite->cluster->world;
    hm_ms at = lite_session_deadline(&lite->session);
    at = at > lite->paused_until ? at : lite->paused_until;
    if (lite->runs && at < lite->wake_at) {
        lite->wake_at = at;
        sim_after(world, at > world->now ? at - world->now : 0, wake, lite, lite->starts);
    }
}

static void wake(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_lite *lite = context;
    struct sim_world *world = &lite->cluster->world;
    if (!lite->runs || starts != lite->starts || lite->wake_at > world->now) {
        return;
    }
    lite->wake_at = HM_NEVER;
    if (lite->paused_until <= world->now) {
        struct hm_buf payload = {0};
        enum lite_news news;
        bool sends = lite_session_tick(&lite->session, world->now, &payload, &news);
        note_news(lite, news);
        if (sends && lite->runs) {
            send(lite, hm_buf_view(&payload));
        }
        hm_buf_fini(&payload);
    }
    plan(lite);
}

/* What comes in a pause is lost: answers of so long ago are of no use. */
void lite_receive(struct cluster_lite *lite, size_t from, struct hm_bytes payload)
{
    struct hm_addr sender = cluster_addr(from);
    hm_ms now = lite->cluster->world.now;
    if (lite->paused_until <= now && hm_addr_equal(&sender, &lite->session.current)) {
        note_news(lite, lite_session_receive(&lite->session, now, payload));
        plan(lite);
    }
}

void lite_refused(struct cluster_lite *lite, size_t by)
{
    struct hm_addr sender = cluster_addr(by);
    if (lite->runs && hm_addr_equal(&sender, &lite->session.current)) {
        lite_session_unreachable(&lite->session, lite->cluster->world.now);
        plan(lite);
    }
}

/* ---- its lives ---- */

void lite_kill(struct cluster_lite *lite)
{
    if (lite->runs) {
        end(lite, "killed");
    }
}

void lite_boot(struct cluster_lite *lite)
{
    struct sim_world *world = &lite->cluster->world;
    if (lite->runs || lite->gone) {
        return;
    }
    uint64_t wall = CLUSTER_WALL_START_MS + world->now;
    if (lite->clock_is_wrong && sim_chance(world, 500)) {
        wall -= sim_between(world, 1, CLUSTER_WALL_START_MS);
    }
    if (sim_chance(world, 500)) {
        lite->port++;
    }
    make_config(lite);
    lite->runs = true;
    lite->wake_at = HM_NEVER;
    lite->paused_until = 0;
    lite->starts++;
    lite->spoken_to = 0;
    lite->session = (struct lite_session){.id = lite->id,
                                          .name = lite->name,
                                          .version = {wall, 2},
                                          .config = hm_buf_view(&lite->config),
                                          .interval_ms = lite->interval_ms};
    sim_trace(world, "%s: starts, serves at port %u", lite->name.text, lite->port);
    changed(lite);
    look_up(lite);
    lite_session_start(&lite->session, world->now);
    plan(lite);
}

static void boot_late(void *context, uint64_t starts, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_lite *lite = context;
    if (starts == lite->starts || starts == 0) {
        lite_boot(lite);
    }
}

/* Its address changes, and it does not know. */
static void move(struct cluster_lite *lite)
{
    lite->place++;
    sim_trace(&lite->cluster->world, "%s: moves to place %u", lite->name.text, lite->place);
    changed(lite);
}

/* Of its own will; it says so as long as somebody may hear it. */
static void stop(struct cluster_lite *lite)
{
    if (lite->runs && !lite->session.withdrawing) {
        sim_trace(&lite->cluster->world, "%s: is to stop", lite->name.text);
        if (lite_session_withdraw(&lite->session, lite->cluster->world.now)) {
            changed(lite);
            plan(lite);
        } else {
            end(lite, "stops, and was never kept");
        }
    }
}

/* One thing happens to it; what ends comes back within `most`, 0: never. */
static void happen(struct cluster_lite *lite, hm_ms most)
{
    struct sim_world *world = &lite->cluster->world;
    switch (sim_between(world, 0, 3)) {
    case 0:
        lite_kill(lite);
        break;
    case 1:
        stop(lite);
        break;
    case 2:
        move(lite);
        return;
    default:
        return;
    }
    if (most == 0) {
        lite->gone = true;
    } else {
        /* One that says good-bye comes back when that is done, or by another time. */
        sim_after(world, sim_between(world, 10, most), boot_late, lite, 0);
    }
}

static void live(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct cluster_lite *lite = context;
    struct sim_world *world = &lite->cluster->world;
    if (world->now < lite->cluster->until) {
        happen(lite, sim_chance(world, 30) ? 0 : 8000);
        sim_after(world, sim_between(world, 200, 8000), live, lite, 0);
    }
}

/* When all has been well for long. */
static void last(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)number;
    (void)bytes;
    struct cluster_lite *lite = context;
    happen(lite, sim_chance(&lite->cluster->world, 500) ? 0 : LAST_MS);
}

void lites_start(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    for (size_t i = 0; i < cluster->lite_count; i++) {
        struct cluster_lite *lite = &cluster->lites[i];
        char name[16];
        snprintf(name, sizeof name, "lite%zu", i);
        *lite = (struct cluster_lite){.cluster = cluster,
                                      .slot = cluster->count + i,
                                      .name = hm_name_of(name),
                                      .services = 1,
                                      .port = 7000,
                                      .clock_is_wrong = sim_chance(world, 200),
                                      .interval_ms = (uint32_t)sim_between(world, 350, 1500)};
        for (size_t at = 0; at < sizeof lite->id.bytes; at++) {
            lite->id.bytes[at] = (uint8_t)sim_between(world, 1, 255);
        }
        sim_after(world, sim_between(world, 0, 5000), boot_late, lite, 0);
        if (cluster->accident.rounds) {
            lite->interval_ms = (uint32_t)sim_between(world, 350, 700);
            continue;
        }
        sim_after(world, sim_between(world, 3000, 10000), live, lite, 0);
        sim_after(world, cluster->until + QUIET_MS + sim_between(world, 0, LAST_MS), last, lite, 0);
    }
    lites_start_quiet(cluster);
}

void lites_fini(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->lite_count; i++) {
        hm_buf_fini(&cluster->lites[i].config);
        hm_buf_fini(&cluster->lites[i].sent);
    }
}
