/* The feeder that is a cluster node: it does for the node, on the loop inside nginx, what the node
 * wants done, and shows its catalog as the routing table. */
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"
#include "core/io/control.h"
#include "core/io/disk.h"
#include "core/io/net.h"
#include "core/io/transport.h"
#include "core/io/watch.h"
#include "ngx_hivemind/feeder.h"
#include "ngx_hivemind/follow.h"

#include <string.h>
#include <time.h>

#define ROLE              "nginx"
#define JOIN_PORT_DEFAULT 9610
/* Between two rounds of questions to the resolver, until the node is a member. */
#define RESOLVE_MS 10000

struct hm_feeder {
    struct hm_feeder_sink sink;
    uv_loop_t *loop;
    struct hm_node *node;
    struct hm_transport *transport;
    struct hm_disk *disk;
    struct hm_control *control;   /* NULL: its socket could not be made */
    struct hm_timer *timer;       /* the node's deadline */
    struct hm_timer *resolve;     /* when to ask for the addresses of `join` again */
    struct hm_resolver *resolver; /* NULL: nobody to join */
    struct hm_module_io io;
    const struct hm_module *modules[1];
    struct hm_buf directory;
    int lock; /* on the directory; -1: none */
    struct hm_buf line;
    bool pumping;
    bool ready; /* the catalog is whole from here on */
    bool stopped;
};

/* Set by the role: modules get no pointer from the program that embeds the node, and nginx has one
 * node a process. */
static bool catalog_changed;

static void on_change(struct hm_module_ctx *ctx, const struct hm_change_note *note)
{
    (void)ctx;
    (void)note;
    catalog_changed = true;
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

static hm_ms now_of(const struct hm_feeder *feeder)
{
    return uv_now(feeder->loop);
}

/* One line into nginx's log, with nothing in it that could fake another one. */
static void log_bytes(struct hm_feeder *feeder, enum hm_log_level level, struct hm_bytes text)
{
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

/* ---- what the node wants done ---- */

static void do_act(struct hm_feeder *feeder, const struct hm_act *act)
{
    switch (act->kind) {
    case HM_ACT_NONE:
        break;
    case HM_ACT_SEND:
        hm_transport_send(feeder->transport, &act->addr, act->stream, act->bytes);
        break;
    case HM_ACT_DISK:
        hm_disk_submit(feeder->disk, act->ops, act->op_count, act->number);
        break;
    case HM_ACT_REPLY:
        if (feeder->control) {
            hm_control_reply(feeder->control, act->number, act->bytes);
        }
        break;
    case HM_ACT_LOG:
        log_bytes(feeder, act->level, act->bytes);
        break;
    case HM_ACT_CLUSTER:
        hm_transport_set_cluster(feeder->transport, act->number);
        break;
    case HM_ACT_READY:
        feeder->ready = true;
        catalog_changed = true;
        break;
    case HM_ACT_STOPPED:
        feeder->stopped = true;
        if (act->status != HM_OK) {
            log_bytes(feeder, HM_LOG_ERROR,
                      hm_bytes_of_text("the node stopped, its last table stays"));
            log_bytes(feeder, HM_LOG_ERROR, hm_bytes_of_text(hm_status_text(act->status)));
        }
        break;
    }
}

/* Before the catalog is whole, what the last process left is better than what is known. */
static void show(struct hm_feeder *feeder)
{
    const struct hm_catalog *catalog = hm_node_catalog(feeder->node);
    struct hm_draft draft = {0};
    if (!feeder->ready || !catalog_changed || catalog == NULL) {
        return;
    }
    catalog_changed = false;
    hm_table_follow(&draft, catalog, hm_node_view(feeder->node));
    /* The sink tells of a table that is too small; the next change tries again. */
    (void)!feeder->sink.change(feeder->sink.context, &draft);
    hm_draft_fini(&draft);
}

/* After every event: does what is to be done until there is nothing more, then shows the result and
 * sets the alarm. What is called from here may bring events, whose acts the outer round finds. */
static void pump(struct hm_feeder *feeder)
{
    struct hm_act act;
    if (feeder->pumping || feeder->stopped) {
        return;
    }
    feeder->pumping = true;
    bool more = true;
    while (more && !feeder->stopped) {
        more = false;
        while (!feeder->stopped && hm_node_output(feeder->node, &act)) {
            do_act(feeder, &act);
            more = true;
        }
        hm_transport_flush(feeder->transport);
    }
    show(feeder);
    feeder->pumping = false;
    hm_ms now = now_of(feeder), deadline = hm_node_deadline(feeder->node);
    hm_timer_set(feeder->timer, feeder->stopped || deadline == HM_NEVER ? HM_NEVER
                                : deadline > now                        ? deadline - now
                                                                        : 0);
}

/* ---- what happens to the node ---- */

static void on_received(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                        struct hm_bytes payload)
{
    struct hm_feeder *feeder = context;
    struct hm_addr none = {0};
    hm_node_receive(feeder->node, now_of(feeder), stream ? &none : from, stream, cluster, payload);
    pump(feeder);
}

static void on_stream_up(void *context, const struct hm_addr *addr)
{
    struct hm_feeder *feeder = context;
    hm_node_stream_up(feeder->node, now_of(feeder), addr);
    pump(feeder);
}

static void on_stream_down(void *context, const struct hm_addr *addr, enum hm_status why)
{
    struct hm_feeder *feeder = context;
    hm_node_stream_down(feeder->node, now_of(feeder), addr, why);
    pump(feeder);
}

static void on_refused(void *context, const struct hm_addr *addr)
{
    struct hm_feeder *feeder = context;
    hm_node_refused(feeder->node, now_of(feeder), addr);
    pump(feeder);
}

static void on_disk_done(void *context, uint64_t number, enum hm_status status)
{
    struct hm_feeder *feeder = context;
    hm_node_disk_done(feeder->node, now_of(feeder), number, status);
    pump(feeder);
}

static void on_control(void *context, uint64_t connection, const struct hm_control_peer *peer,
                       struct hm_bytes message)
{
    struct hm_feeder *feeder = context;
    (void)peer;
    hm_node_control(feeder->node, now_of(feeder), connection, message);
    pump(feeder);
}

static void on_control_closed(void *context, uint64_t connection)
{
    struct hm_feeder *feeder = context;
    hm_node_control_closed(feeder->node, now_of(feeder), connection);
    pump(feeder);
}

static uint64_t wall_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void on_deadline(void *user)
{
    struct hm_feeder *feeder = user;
    hm_node_set_wall(feeder->node, now_of(feeder), wall_ms());
    hm_node_tick(feeder->node, now_of(feeder));
    pump(feeder);
}

static void on_resolved(void *context, const struct hm_addr *addrs, size_t count)
{
    struct hm_feeder *feeder = context;
    if (count && !feeder->stopped) {
        hm_node_set_join(feeder->node, addrs, count);
        pump(feeder);
    }
    if (!feeder->ready) {
        hm_timer_set(feeder->resolve, RESOLVE_MS);
    }
}

static void on_resolve(void *user)
{
    struct hm_feeder *feeder = user;
    hm_resolver_start(feeder->resolver);
}

/* ---- start and stop ---- */

static bool is_wildcard(const struct hm_addr *addr)
{
    static const uint8_t zero[16];
    return memcmp(addr->ip, zero, sizeof zero) == 0;
}

/* What others shall connect to: as configured; where we listen; where the route to a peer begins.
 */
static struct hm_addr advertised(const struct hm_feeder_config *config,
                                 const struct hm_addr *listen, const struct hm_addr *join,
                                 size_t join_count)
{
    struct hm_addr addr = config->advertise;
    if (hm_addr_is_none(&addr)) {
        addr = *listen;
        if (is_wildcard(listen) && (join_count == 0 || !hm_net_source(&join[0], &addr))) {
            addr = hm_net_default_source();
        }
        addr.port = 0;
    }
    if (addr.port == 0) {
        addr.port = listen->port;
    }
    return addr;
}

static bool open_directory(struct hm_feeder *feeder, const char *state_dir,
                           struct hm_disk_file **files, size_t *count, struct hm_buf *error)
{
    hm_buf_printf(&feeder->directory, "%s/node", state_dir);
    hm_put_u8(&feeder->directory, 0);
    const char *directory = (const char *)feeder->directory.data;
    return hm_disk_lock(directory, &feeder->lock, error) == HM_OK &&
           hm_disk_load(directory, files, count, error) == HM_OK;
}

static void make_node_config(struct hm_feeder *feeder, const struct hm_feeder_config *config,
                             const struct hm_addr *listen, struct hm_node_config *out)
{
    *out = (struct hm_node_config){
        .name = config->name,
        .roles = {hm_name_of(ROLE)},
        .role_count = 1,
        .serve_joins = true,
        .durable = true,
        .modules = feeder->modules,
        .module_count = 1,
        .io = &feeder->io,
    };
    for (size_t i = 0; i < config->join_count; i++) {
        if (hm_addr_parse(config->join[i], JOIN_PORT_DEFAULT, &out->join[out->join_count])) {
            out->join_count++;
        }
    }
    out->addr = advertised(config, listen, out->join, out->join_count);
    uv_random(NULL, NULL, &out->seed, sizeof out->seed, 0, NULL);
}

static void open_control(struct hm_feeder *feeder, const char *name)
{
    struct hm_control_events events = {feeder, on_control, on_control_closed};
    struct hm_buf path = {0}, why = {0};
    hm_control_path(name, &path);
    hm_put_u8(&path, 0);
    feeder->control = hm_control_new(feeder->loop, (const char *)path.data, &events, &why);
    if (feeder->control == NULL) {
        log_bytes(feeder, HM_LOG_WARN, hm_buf_view(&why)); /* commands can ask other nodes */
    }
    hm_buf_fini(&path);
    hm_buf_fini(&why);
}

static bool start_node(struct hm_feeder *feeder, const struct hm_feeder_config *config,
                       const struct hm_addr *listen, struct hm_buf *error)
{
    struct hm_node_config node_config;
    struct hm_disk_file *files = NULL;
    size_t file_count = 0;
    if (!open_directory(feeder, config->state_dir, &files, &file_count, error)) {
        return false;
    }
    make_node_config(feeder, config, listen, &node_config);
    feeder->node = hm_node_new(&node_config, error);
    bool started = feeder->node && hm_node_start(feeder->node, now_of(feeder), wall_ms(), files,
                                                 file_count, error) == HM_OK;
    hm_disk_files_free(files, file_count);
    return started;
}

struct hm_feeder *hm_feeder_start(uv_loop_t *loop, const struct hm_feeder_config *config,
                                  const struct hm_feeder_sink *sink, struct hm_buf *error)
{
    struct hm_feeder *feeder = hm_alloc(1, sizeof *feeder);
    struct hm_transport_events events = {feeder, on_received, on_stream_up, on_stream_down,
                                         on_refused};
    struct hm_transport_limits limits = {0};
    struct hm_sockets sockets;
    feeder->sink = *sink;
    feeder->loop = loop;
    feeder->lock = -1;
    feeder->modules[0] = &role;
    feeder->io = hm_watch_module_io(loop);
    /* The process does nothing else: what a failure leaves open ends with it. */
    if (hm_sockets_adopt(config->udp, config->tcp, &sockets, error) != HM_OK ||
        !start_node(feeder, config, &sockets.addr, error)) {
        return NULL;
    }
    feeder->disk = hm_disk_new(loop, (const char *)feeder->directory.data, on_disk_done, feeder);
    feeder->transport = hm_transport_new(loop, &sockets, config->key, &limits, &events);
    feeder->timer = hm_timer_open(loop, on_deadline, feeder);
    feeder->resolve = hm_timer_open(loop, on_resolve, feeder);
    open_control(feeder, config->name.text);
    if (config->join_count) {
        feeder->resolver = hm_resolver_new(loop, config->join, config->join_count,
                                           JOIN_PORT_DEFAULT, on_resolved, feeder);
        hm_resolver_start(feeder->resolver);
    }
    pump(feeder);
    return feeder;
}

void hm_feeder_stop(struct hm_feeder *feeder)
{
    if (!feeder->stopped) {
        hm_node_stop(feeder->node, now_of(feeder));
        pump(feeder);
    }
    hm_disk_free(feeder->disk);
    hm_control_free(feeder->control);
}
