/* The feeder that is a cluster node, of role nginx: its catalog is shown as the routing table. */
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"
#include "core/io/daemon.h"
#include "core/io/net.h"
#include "core/io/watch.h"
#include "ngx_hivemind/feeder.h"
#include "ngx_hivemind/follow.h"

#include <string.h>

#define ROLE "nginx"

struct hm_feeder {
    struct hm_feeder_sink sink;
    struct hm_daemon *daemon;
    struct hm_timer *show; /* due when the catalog has changed: many changes, one table */
    const struct hm_module *modules[1];
    struct hm_buf directory;
    struct hm_buf line;
    bool ready; /* the catalog is whole from here on */
    bool stopped;
};

/* For the role's hooks: modules get no pointer from the program that embeds the node, and nginx has
 * one node a process. */
static struct hm_feeder *only;

static void on_change(struct hm_module_ctx *ctx, const struct hm_change_note *note)
{
    (void)ctx;
    (void)note;
    hm_timer_set(only->show, 0);
}

static const char *const performs[] = {ROLE, NULL};
static const char *const bootstraps[] = {ROLE, NULL};

static const struct hm_module role = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_ROLE,
    .name = ROLE,
    .performs = performs,
    .bootstraps = bootstraps,
    .feeds = HM_FEEDS_STATE,
    .change = on_change,
};

/* Before the catalog is whole, what the last process left is better than what is known. */
static void on_show(void *user)
{
    struct hm_feeder *feeder = user;
    struct hm_draft draft = {0};
    const struct hm_node *node = feeder->ready ? hm_daemon_node(feeder->daemon) : NULL;
    const struct hm_catalog *catalog = node ? hm_node_catalog(node) : NULL;
    if (catalog) {
        hm_table_follow(&draft, catalog, hm_node_view(node));
        /* The sink tells of a table that is too small; the next change tries again. */
        (void)!feeder->sink.change(feeder->sink.context, &draft);
        hm_draft_fini(&draft);
    }
}

static void on_ready(void *context)
{
    struct hm_feeder *feeder = context;
    feeder->ready = true;
    hm_timer_set(feeder->show, 0);
}

/* One line into nginx's log, with nothing in it that could fake another one. */
static void on_log(void *context, enum hm_log_level level, struct hm_bytes text)
{
    struct hm_feeder *feeder = context;
    hm_buf_clear(&feeder->line);
    hm_buf_append(&feeder->line, text.data, text.size);
    for (size_t i = 0; i < feeder->line.size; i++) {
        if (feeder->line.data[i] < 0x20) {
            feeder->line.data[i] = '?';
        }
    }
    hm_put_u8(&feeder->line, 0);
    feeder->sink.log(feeder->sink.context, level, (const char *)feeder->line.data);
}

static void on_stopped(void *context, enum hm_status status)
{
    struct hm_feeder *feeder = context;
    feeder->stopped = true;
    if (status != HM_OK) {
        struct hm_buf line = {0};
        hm_buf_printf(&line, "the node has ended, its last table stays: %s",
                      hm_status_text(status));
        on_log(feeder, HM_LOG_ERROR, hm_buf_view(&line));
        hm_buf_fini(&line);
    }
}

static bool is_wildcard(const struct hm_addr *addr)
{
    static const uint8_t zero[16];
    return memcmp(addr->ip, zero, sizeof zero) == 0;
}

/* What others shall connect to: as configured; where we listen; where the route to a peer begins.
 */
static struct hm_addr advertised(const struct hm_feeder_config *config,
                                 const struct hm_addr *listen)
{
    struct hm_addr addr = config->advertise, peer;
    if (hm_addr_is_none(&addr) && !is_wildcard(listen)) {
        addr = *listen;
    }
    for (size_t i = 0; i < config->join_count && hm_addr_is_none(&addr); i++) {
        if (hm_addr_parse(config->join[i], HM_DAEMON_PORT, &peer) && hm_net_source(&peer, &addr)) {
            addr.port = 0;
        }
    }
    if (hm_addr_is_none(&addr)) {
        addr = hm_net_default_source();
        addr.port = 0;
    }
    if (addr.port == 0) {
        addr.port = listen->port;
    }
    return addr;
}

struct hm_feeder *hm_feeder_start(uv_loop_t *loop, const struct hm_feeder_config *config,
                                  const struct hm_feeder_sink *sink, struct hm_buf *error)
{
    struct hm_feeder *feeder = hm_alloc(1, sizeof *feeder);
    struct hm_sockets sockets;
    feeder->sink = *sink;
    feeder->modules[0] = &role;
    feeder->show = hm_timer_open(loop, on_show, feeder);
    only = feeder;
    hm_buf_printf(&feeder->directory, "%s/node", config->state_dir);
    hm_put_u8(&feeder->directory, 0);
    /* The process does nothing else: what a failure leaves behind ends with it. */
    if (hm_sockets_adopt(config->udp, config->tcp, &sockets, error) != HM_OK) {
        return NULL;
    }
    struct hm_node_config node = {
        .name = config->name,
        .addr = advertised(config, &sockets.addr),
        .roles = {hm_name_of(ROLE)},
        .role_count = 1,
        .serve_joins = true,
        .modules = feeder->modules,
        .module_count = 1,
    };
    struct hm_daemon_config daemon = {
        .node = &node,
        .key = config->key,
        .sockets = sockets,
        .data = (const char *)feeder->directory.data,
        .control_fd = config->control,
        .join = config->join,
        .join_count = config->join_count,
        .events = {feeder, on_log, on_ready, on_stopped},
    };
    return hm_daemon_open(loop, &daemon, &feeder->daemon, error) == HM_OK ? feeder : NULL;
}

void hm_feeder_stop(struct hm_feeder *feeder)
{
    if (!feeder->stopped) {
        hm_daemon_stop(feeder->daemon);
    }
    hm_daemon_close(feeder->daemon); /* sends the last words */
}
