#include "tests/unit/node_cluster.h"

#include "core/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- roles without substance ---- */

static const char *const control_roles[] = {"control", NULL};
static const char *const dns_roles[] = {"dns", NULL};
static const char *const host_roles[] = {"host", NULL};

static enum hm_status publish_web(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    (void)error;
    struct hm_service web = {.name = hm_name_of("web"), .port = 8080, .weight = 100, .health = 0};
    hm_module_publish(ctx, &(struct hm_host_config){.services = &web, .services_count = 1});
    return HM_OK;
}

/* More than an entry of the log may carry. */
static void publish_huge(struct hm_module_ctx *ctx)
{
    static char text[4000];
    static struct hm_domain vhosts[64];
    struct hm_service services[8];
    memset(text, 'v', sizeof text);
    for (size_t i = 0; i < 64; i++) {
        vhosts[i].name = (struct hm_bytes){(const uint8_t *)text, sizeof text};
    }
    for (size_t i = 0; i < 8; i++) {
        services[i] = (struct hm_service){
            .name = hm_name_of("huge"), .port = 1, .vhosts = vhosts, .vhosts_count = 64};
    }
    hm_module_publish(ctx, &(struct hm_host_config){.services = services, .services_count = 8});
}

static void note_event(struct hm_module_ctx *ctx, const struct hm_event *event,
                       const struct hm_message *body)
{
    struct told *told = hm_module_state(ctx);
    char name[16] = "?";
    assert_true(event->index > told->last);
    told->last = event->index;
    if (body->kind == HM_MSG_user_event) {
        snprintf(name, sizeof name, "%.*s", (int)body->user_event.name.size,
                 (const char *)body->user_event.name.data);
    } else if (body->kind == HM_MSG_member_joined) {
        name[0] = '+';
    } else if (body->kind == HM_MSG_member_failed || body->kind == HM_MSG_member_left) {
        name[0] = '-';
    }
    size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%s", name);
}

/* "told": the answer says what this node was told. */
static enum hm_status tell_told(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    struct told *told = hm_module_state(ctx);
    if (request->message->kind != HM_MSG_withdraw) {
        return HM_NOT_FOUND;
    }
    hm_module_answer(ctx, request,
                     &(struct hm_message){.kind = HM_MSG_answer,
                                          .answer = {.reason = hm_bytes_of_text(told->text)}});
    return HM_OK;
}

/* "announce": one service more, and a report of who serves it. */
static enum hm_status announce(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    if (request->message->kind != HM_MSG_announce) {
        return tell_told(ctx, request);
    }
    const struct hm_announce *wanted = &request->message->announce;
    if (wanted->port == PORT_OF_HUGE) {
        publish_huge(ctx);
        return HM_OK;
    }
    struct hm_service service = {.name = wanted->service, .port = wanted->port, .weight = 100};
    struct hm_version version =
        hm_module_publish(ctx, &(struct hm_host_config){.services = &service, .services_count = 1});
    hm_module_report_change(ctx, request, version, &wanted->service,
                            &hm_module_node_config(ctx)->addr, wanted->timeout_ms);
    return HM_OK;
}

const struct hm_module control_module = {.abi = HM_MODULE_ABI,
                                         .kind = HM_MODULE_ROLE,
                                         .name = "control",
                                         .performs = control_roles,
                                         .state_size = sizeof(struct told),
                                         .event = note_event,
                                         .request = tell_told};
const struct hm_module dns_module = {.abi = HM_MODULE_ABI,
                                     .kind = HM_MODULE_ROLE,
                                     .name = "dns",
                                     .performs = dns_roles,
                                     .feeds = HM_FEEDS_STATE,
                                     .state_size = sizeof(struct told),
                                     .event = note_event,
                                     .request = tell_told};
const struct hm_module host_module = {.abi = HM_MODULE_ABI,
                                      .kind = HM_MODULE_ROLE,
                                      .name = "host",
                                      .performs = host_roles,
                                      .bootstraps = dns_roles,
                                      .start = publish_web,
                                      .state_size = sizeof(struct told),
                                      .event = note_event,
                                      .request = announce};

/* ---- a cluster in virtual time ---- */

struct hm_addr addr_of(size_t number)
{
    return (struct hm_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(number + 1)}, .port = 9610};
}

static void log_line(struct cluster *cluster, size_t number, const struct hm_act *act)
{
    cluster->warnings += act->level == HM_LOG_WARN;
    for (size_t i = 0; i < act->bytes.size; i++) {
        assert_true(act->bytes.data[i] >= ' '); /* one line, whatever others say in it */
    }
    if (getenv("HM_TEST_LOG")) {
        printf("%8llu %s %.*s\n", (unsigned long long)cluster->now,
               cluster->configs[number].name.text, (int)act->bytes.size,
               (const char *)act->bytes.data);
    }
}

void drain(struct cluster *cluster, size_t number)
{
    struct hm_act act;
    while (hm_node_output(cluster->nodes[number], &act)) {
        if (act.kind == HM_ACT_SEND) {
            cluster->datagrams[act.addr.ip[3] - 1] += !act.stream;
            cluster->sent++;
            cluster->packets = hm_grow(cluster->packets, cluster->packet_count,
                                       &cluster->packet_capacity, sizeof *cluster->packets);
            cluster->packets[cluster->packet_count++] =
                (struct packet){.at = cluster->now + DELAY_MS,
                                .from = number,
                                .to = act.addr,
                                .stream = act.stream,
                                .cluster = cluster->cluster_ids[number],
                                .bytes = hm_bytes_copy(act.bytes)};
        } else if (act.kind == HM_ACT_HOLD) {
            cluster->held[number][act.addr.ip[3] - 1] = act.hold;
        } else if (act.kind == HM_ACT_CLUSTER) {
            cluster->cluster_ids[number] = act.number;
        } else if (act.kind == HM_ACT_REPLY) {
            hm_buf_clear(&cluster->reply);
            hm_buf_append(&cluster->reply, act.bytes.data, act.bytes.size);
        } else if (act.kind == HM_ACT_DISK) {
            assert_int_equal(act.ops[0].kind, HM_DISK_REPLACE);
            assert_string_equal(act.ops[0].file, "identity");
            hm_buf_clear(&cluster->identities[number]);
            hm_buf_append(&cluster->identities[number], act.ops[0].bytes.data,
                          act.ops[0].bytes.size);
            hm_node_disk_done(cluster->nodes[number], cluster->now, act.number, HM_OK);
        } else if (act.kind == HM_ACT_STOPPED) {
            cluster->stopped[number] = true;
        } else if (act.kind == HM_ACT_LOG) {
            log_line(cluster, number, &act);
        }
    }
}

void boot(struct cluster *cluster, size_t number)
{
    struct hm_buf error = {0};
    struct hm_disk_file identity = {"identity", hm_buf_view(&cluster->identities[number])};
    struct hm_node_config *config = &cluster->configs[number];
    config->seed++;
    cluster->dead[number] = false;
    cluster->nodes[number] = hm_node_new(config, &error);
    assert_non_null(cluster->nodes[number]);
    assert_int_equal(hm_node_start(cluster->nodes[number], cluster->now, cluster->now + 1000000,
                                   &identity, identity.content.size ? 1 : 0, &error),
                     HM_OK);
    drain(cluster, number);
    hm_buf_fini(&error);
}

size_t start(struct cluster *cluster, const char *name, const struct hm_module *module,
             bool bootstrap)
{
    size_t number = cluster->count++;
    struct hm_node_config *config = &cluster->configs[number];
    cluster->modules[number][0] = module;
    *config = (struct hm_node_config){.name = hm_name_of(name),
                                      .addr = addr_of(number),
                                      .roles = {hm_name_of(module->name)},
                                      .role_count = 1,
                                      .join = {addr_of(0)},
                                      .join_count = 1,
                                      .bootstrap = bootstrap,
                                      .serve_joins = true,
                                      .rings = cluster->rings,
                                      /* A journal is the simulator's matter. */
                                      .durable = module != &control_module,
                                      .seed = cluster->seed + 1000 * (number + 1),
                                      .modules = cluster->modules[number],
                                      .module_count = 1};
    boot(cluster, number);
    return number;
}

static void deliver(struct cluster *cluster, const struct packet *packet)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (!hm_addr_equal(&cluster->configs[i].addr, &packet->to)) {
            continue;
        }
        struct hm_addr from = cluster->configs[packet->from].addr;
        if (!cluster->dead[i]) {
            hm_node_receive(cluster->nodes[i], cluster->now, &from, packet->stream, packet->cluster,
                            packet->bytes);
            drain(cluster, i);
        } else if (!cluster->dead[packet->from]) {
            if (packet->stream) {
                hm_node_stream_down(cluster->nodes[packet->from], cluster->now, &packet->to,
                                    HM_UNREACHABLE);
            } else {
                hm_node_refused(cluster->nodes[packet->from], cluster->now, &packet->to);
            }
            drain(cluster, packet->from);
        }
    }
}

void step(struct cluster *cluster)
{
    hm_ms next = cluster->packet_count ? cluster->packets[0].at : HM_NEVER;
    for (size_t i = 0; i < cluster->count; i++) {
        hm_ms at = cluster->dead[i] ? HM_NEVER : hm_node_deadline(cluster->nodes[i]);
        next = at < next ? at : next;
    }
    assert_true(next != HM_NEVER);
    cluster->now = next > cluster->now ? next : cluster->now;
    while (cluster->packet_count && cluster->packets[0].at <= cluster->now) {
        struct packet packet = cluster->packets[0];
        cluster->packet_count--;
        memmove(cluster->packets, cluster->packets + 1,
                cluster->packet_count * sizeof *cluster->packets);
        deliver(cluster, &packet);
        hm_bytes_free(packet.bytes);
    }
    for (size_t i = 0; i < cluster->count; i++) {
        if (!cluster->dead[i] && hm_node_deadline(cluster->nodes[i]) <= cluster->now) {
            hm_node_tick(cluster->nodes[i], cluster->now);
            drain(cluster, i);
        }
    }
}

void run_for(struct cluster *cluster, hm_ms duration)
{
    hm_ms until = cluster->now + duration;
    while (cluster->now < until) {
        step(cluster);
    }
}

void finish(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        hm_node_free(cluster->nodes[i]);
        hm_buf_fini(&cluster->identities[i]);
    }
    for (size_t i = 0; i < cluster->packet_count; i++) {
        hm_bytes_free(cluster->packets[i].bytes);
    }
    hm_free(cluster->packets);
    hm_buf_fini(&cluster->reply);
}

size_t members(const struct cluster *cluster, size_t number)
{
    return hm_node_view(cluster->nodes[number])->total;
}

static void count_instance(void *context, const struct hm_catalog_instance *instance)
{
    (void)instance;
    ++*(size_t *)context;
}

size_t instances(const struct cluster *cluster, size_t number, const char *service)
{
    size_t count = 0;
    struct hm_name name = hm_name_of(service);
    hm_catalog_instances(hm_node_catalog(cluster->nodes[number]), &name, count_instance, &count);
    return count;
}

void start_seven(struct cluster *cluster)
{
    start(cluster, "c1", &control_module, true);
    start(cluster, "c2", &control_module, false);
    start(cluster, "c3", &control_module, false);
    start(cluster, "d1", &dns_module, false);
    start(cluster, "d2", &dns_module, false);
    start(cluster, "h1", &host_module, false);
    start(cluster, "h2", &host_module, false);
    run_for(cluster, 20000);
}

size_t leader_of(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (!cluster->dead[i] && hm_node_is_leader(cluster->nodes[i])) {
            return i;
        }
    }
    fail_msg("nobody leads");
    return 0;
}
