#include "core/io/daemon.h"

#include "core/base/memory.h"
#include "core/io/control.h"
#include "core/io/disk.h"
#include "core/io/net.h"
#include "core/io/transport.h"
#include "core/io/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define RESOLVE_EVERY_MS 2000u
#define COUNTERS_MAX     12u

struct hm_daemon {
    uv_loop_t *loop;
    struct hm_daemon_events events;
    struct hm_module_io io;
    struct hm_node *node;
    struct hm_transport *transport;
    struct hm_disk *disk;
    struct hm_disk *beside; /* the same directory by another thread */
    struct hm_control *control;
    struct hm_resolver *resolver;
    struct hm_timer *resolve; /* due until the node is ready */
    struct hm_timer *timer;
    hm_ms armed;       /* what the timer is set for */
    uv_check_t *check; /* the end of a turn of the loop */
    uv_idle_t *due;    /* active: the timer rang, and the node has not been told the time since */
    bool fed;          /* the node was told something in this turn that it has not acted on */
    uint32_t key_id;
    struct hm_disk_times disk_times;
    uint64_t malformed_commands;
    struct hm_node_counter counters[COUNTERS_MAX];
    int lock; /* holds the data directory; -1: none */
    bool ready;
    bool stopped;
};

static hm_ms now_of(const struct hm_daemon *daemon)
{
    return uv_now(daemon->loop);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- acts: from the node to the world ---- */

static void do_act(struct hm_daemon *daemon, const struct hm_act *act)
{
    switch (act->kind) {
    case HM_ACT_SEND:
        if (act->brief) {
            hm_transport_send_brief(daemon->transport, &act->addr, act->bytes);
        } else {
            hm_transport_send(daemon->transport, &act->addr, act->stream, act->bytes);
        }
        break;
    case HM_ACT_HOLD:
        hm_transport_hold(daemon->transport, &act->addr, act->hold);
        break;
    case HM_ACT_DISK:
        hm_disk_submit(act->beside ? daemon->beside : daemon->disk, act->ops, act->op_count,
                       act->number);
        break;
    case HM_ACT_REPLY:
        if (daemon->control) {
            hm_control_reply(daemon->control, act->number, act->bytes);
        }
        break;
    case HM_ACT_LOG:
        daemon->events.log(daemon->events.context, act->level, act->bytes);
        break;
    case HM_ACT_CLUSTER:
        hm_transport_set_cluster(daemon->transport, act->number);
        break;
    case HM_ACT_READY:
        daemon->ready = true;
        hm_give_back(); /* what reading the configuration and joining took */
        hm_timer_set(daemon->resolve, HM_NEVER);
        if (daemon->events.ready) {
            daemon->events.ready(daemon->events.context);
        }
        break;
    case HM_ACT_STOPPED:
        daemon->stopped = true;
        daemon->events.stopped(daemon->events.context, act->status);
        break;
    case HM_ACT_NONE:
        break;
    }
}

/* After what the node was told. */
static void settle(struct hm_daemon *daemon)
{
    struct hm_act act;
    daemon->fed = false;
    while (hm_node_output(daemon->node, &act)) {
        do_act(daemon, &act);
    }
    if (daemon->control) {
        hm_control_flush(daemon->control);
    }
    hm_ms at = daemon->stopped ? HM_NEVER : hm_node_deadline(daemon->node);
    if (at != daemon->armed) {
        hm_ms now = now_of(daemon);
        daemon->armed = at;
        /* Never 0: libuv would run the timer again and again before it looks at anything else. */
        hm_timer_set(daemon->timer, at == HM_NEVER ? HM_NEVER : at > now ? at - now : 1);
    }
}

/* A line of our own. */
__attribute__((format(printf, 3, 4))) static void
say(struct hm_daemon *daemon, enum hm_log_level level, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    daemon->events.log(daemon->events.context, level, hm_bytes_of_text(line));
}

/* ---- events: from the world to the node ---- */

static void tick(struct hm_daemon *daemon)
{
    hm_node_set_wall(daemon->node, now_of(daemon), wall_ms());
    hm_node_tick(daemon->node, now_of(daemon));
    settle(daemon);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that there is one keeps the loop from waiting in its poll */
}

/* The time is told after the poll that follows. A process that was late (the machine is busy) finds
 * first what waited for it in its sockets, and does not take anybody for silent who was not. */
static void on_timer(void *user)
{
    struct hm_daemon *daemon = user;
    daemon->armed = HM_NEVER;
    uv_idle_start(daemon->due, on_idle);
}

/* What comes many times in a turn of the loop (frames, commands, the disk) only feeds the node; it
 * acts once, when all of that is in: what it writes, sends and answers then travels together. This
 * is after the poll, so that nothing waits for a loop that is run once and left, as in nginx. */
static void on_turn(uv_check_t *check)
{
    struct hm_daemon *daemon = check->data;
    bool due = uv_is_active((uv_handle_t *)daemon->due);
    if (due) {
        uv_idle_stop(daemon->due);
        tick(daemon);
    } else if (daemon->fed) {
        settle(daemon);
    } else {
        return;
    }
    hm_transport_flush(daemon->transport);
}

static void on_received(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                        struct hm_bytes payload)
{
    struct hm_daemon *daemon = context;
    hm_node_receive(daemon->node, now_of(daemon), from, stream, cluster, payload);
    daemon->fed = true;
}

static void on_stream_up(void *context, const struct hm_addr *addr)
{
    struct hm_daemon *daemon = context;
    hm_node_stream_up(daemon->node, now_of(daemon), addr);
    settle(daemon);
}

/* Why nobody lets us in: the node itself sees only silence. */
static void tell_unanswered(struct hm_daemon *daemon, const struct hm_addr *addr,
                            enum hm_status why)
{
    char text[HM_ADDR_TEXT_BYTES];
    hm_addr_format(addr, text);
    if (why == HM_UNSEALED) {
        say(daemon, HM_LOG_WARN,
            "msg=\"connected but unanswered: another key? ours is %08x\" addr=%s", daemon->key_id,
            text);
    } else {
        say(daemon, HM_LOG_WARN, "msg=\"not reached\" addr=%s why=\"%s\"", text,
            hm_status_text(why));
    }
}

static void on_stream_down(void *context, const struct hm_addr *addr, enum hm_status why)
{
    struct hm_daemon *daemon = context;
    if (!daemon->ready && why != HM_OK) {
        tell_unanswered(daemon, addr, why);
    }
    hm_node_stream_down(daemon->node, now_of(daemon), addr, why);
    settle(daemon);
}

static void on_refused(void *context, const struct hm_addr *addr)
{
    struct hm_daemon *daemon = context;
    hm_node_refused(daemon->node, now_of(daemon), addr);
    settle(daemon);
}

static void on_disk_done(void *context, uint64_t number, enum hm_status status)
{
    struct hm_daemon *daemon = context;
    hm_node_disk_done(daemon->node, now_of(daemon), number, status);
    daemon->fed = true;
}

static void on_control(void *context, uint64_t connection, const struct hm_control_peer *peer,
                       struct hm_bytes message)
{
    struct hm_daemon *daemon = context;
    (void)peer; /* the file's mode has decided */
    hm_node_control(daemon->node, now_of(daemon), connection, message);
    daemon->fed = true;
}

static void on_control_closed(void *context, uint64_t connection)
{
    struct hm_daemon *daemon = context;
    hm_node_control_closed(daemon->node, now_of(daemon), connection);
    settle(daemon);
}

/* ---- whom to join ---- */

static void on_resolve(void *user)
{
    struct hm_daemon *daemon = user;
    hm_resolver_start(daemon->resolver);
    hm_timer_set(daemon->resolve, RESOLVE_EVERY_MS);
}

/* When no name means anything now, what they meant before stays. */
static void on_resolved(void *context, const struct hm_addr *join, size_t count)
{
    struct hm_daemon *daemon = context;
    if (count > 0) {
        hm_node_set_join(daemon->node, join, count);
        settle(daemon);
    } else {
        say(daemon, HM_LOG_WARN, "msg=\"no name under join: can be resolved\"");
    }
}

/* Told again and again until the node is ready: the log counts what repeats. */
static void on_unresolved(void *context, const char *host, const char *why)
{
    say(context, HM_LOG_WARN, "msg=\"a name under join: does not resolve\" name=%s why=\"%s\"",
        host, why);
}

/* What needs no lookup. A name stands as an address that is none, so that a node with names alone
 * does not think that it has nobody to ask. */
static size_t known_addresses(const char *const *join, size_t count, struct hm_addr *out)
{
    count = count < HM_NODE_JOIN_MAX ? count : HM_NODE_JOIN_MAX;
    for (size_t i = 0; i < count; i++) {
        if (!hm_addr_parse(join[i], HM_DAEMON_PORT, &out[i])) {
            out[i] = (struct hm_addr){0};
        }
    }
    return count;
}

static void open_resolver(struct hm_daemon *daemon, const char *const *join, size_t count)
{
    const struct hm_resolver_events events = {daemon, on_resolved, on_unresolved};
    daemon->resolver = hm_resolver_new(daemon->loop, join, count, HM_DAEMON_PORT, &events);
    hm_timer_set(daemon->resolve, count > 0 && !daemon->ready ? 0 : HM_NEVER);
}

/* ---- descriptors of modules: the node runs before and after each callback ---- */

struct hm_module_watch {
    struct hm_daemon *daemon;
    struct hm_watch *watch;
    void (*ready)(void *user, int events);
    void *user;
};

static void on_module_ready(void *user, int events)
{
    struct hm_module_watch *watch = user;
    struct hm_daemon *daemon = watch->daemon; /* the callback may end the watch */
    tick(daemon);
    watch->ready(watch->user, events);
    tick(daemon);
}

static struct hm_module_watch *module_watch(void *context, int fd, int events,
                                            void (*ready)(void *user, int events), void *user)
{
    struct hm_daemon *daemon = context;
    struct hm_module_watch *watch = hm_alloc(1, sizeof *watch);
    *watch = (struct hm_module_watch){.daemon = daemon, .ready = ready, .user = user};
    watch->watch = hm_watch_open(daemon->loop, fd, events, on_module_ready, watch);
    if (!watch->watch) {
        hm_free(watch);
        return NULL;
    }
    return watch;
}

static void module_rewatch(struct hm_module_watch *watch, int events)
{
    hm_watch_set(watch->watch, events);
}

static void module_unwatch(struct hm_module_watch *watch)
{
    if (watch) {
        hm_watch_close(watch->watch);
        hm_free(watch);
    }
}

/* ---- its life ---- */

static void name_counters(struct hm_daemon *daemon)
{
    const struct hm_transport_counters *net = hm_transport_counters(daemon->transport);
    const struct hm_disk_times *disk = &daemon->disk_times;
    const struct hm_node_counter counters[COUNTERS_MAX] = {
        {HM_NODE_SYNC_P50, &disk->p50_us},      {HM_NODE_SYNC_P99, &disk->p99_us},
        {"net.frames_in", &net->frames_in},     {"net.frames_out", &net->frames_out},
        {"net.bytes_in", &net->bytes_in},       {"net.bytes_out", &net->bytes_out},
        {"net.unsealed", &net->unsealed},       {"net.unknown", &net->unknown},
        {"net.replayed", &net->replayed},       {"net.malformed", &net->malformed},
        {"net.turned_away", &net->turned_away}, {"socket.malformed", &daemon->malformed_commands},
    };
    memcpy(daemon->counters, counters, sizeof counters);
}

static enum hm_status start_node(struct hm_daemon *daemon, const struct hm_daemon_config *config,
                                 struct hm_buf *error)
{
    struct hm_disk_file *files = NULL;
    size_t file_count = 0;
    struct hm_node_config node = *config->node;
    enum hm_status status = HM_OK;
    node.io = &daemon->io;
    node.counters = daemon->counters;
    node.counter_count = COUNTERS_MAX;
    node.durable = config->data != NULL;
    node.join_count = known_addresses(config->join, config->join_count, node.join);
    if (getrandom(&node.seed, sizeof node.seed, 0) != (ssize_t)sizeof node.seed) {
        hm_buf_printf(error, "the system gives no random bytes");
        return HM_IO;
    }
    if (config->data) {
        status = hm_disk_lock(config->data, &daemon->lock, error);
        if (status == HM_OK) {
            status = hm_disk_load(config->data, &files, &file_count, error);
        }
    }
    if (status == HM_OK) {
        daemon->node = hm_node_new(&node, error);
        status = daemon->node ? HM_OK : HM_BAD_CONFIG;
    }
    if (status == HM_OK) {
        status = hm_node_start(daemon->node, now_of(daemon), wall_ms(), files, file_count, error);
        if (status != HM_OK && config->data) {
            hm_buf_printf(error, " (data directory: %s)", config->data);
        }
    }
    hm_disk_files_free(files, file_count);
    return status;
}

static enum hm_status open_control(struct hm_daemon *daemon, const struct hm_daemon_config *config,
                                   struct hm_buf *error)
{
    const struct hm_control_events events = {daemon, on_control, on_control_closed,
                                             &daemon->malformed_commands};
    if (config->control_fd > 0) {
        daemon->control = hm_control_adopt(daemon->loop, config->control_fd, &events);
    } else if (config->control) {
        daemon->control = hm_control_new(daemon->loop, config->control, &events, error);
        return daemon->control ? HM_OK : HM_IO;
    }
    return HM_OK;
}

enum hm_status hm_daemon_open(uv_loop_t *loop, const struct hm_daemon_config *config,
                              struct hm_daemon **out, struct hm_buf *error)
{
    struct hm_daemon *daemon = hm_alloc(1, sizeof *daemon);
    const struct hm_transport_limits limits = {0};
    const struct hm_transport_events events = {daemon, on_received, on_stream_up, on_stream_down,
                                               on_refused};
    *daemon = (struct hm_daemon){
        .loop = loop,
        .events = config->events,
        .io = {daemon, module_watch, module_rewatch, module_unwatch},
        .armed = HM_NEVER,
        .key_id = hm_key_id(config->key),
        .lock = -1,
    };
    uv_update_time(loop);
    daemon->timer = hm_timer_open(loop, on_timer, daemon);
    daemon->transport = hm_transport_new(loop, &config->sockets, config->key, &limits, &events);
    name_counters(daemon);
    daemon->check = hm_alloc(1, sizeof *daemon->check);
    uv_check_init(loop, daemon->check);
    daemon->check->data = daemon;
    uv_check_start(daemon->check, on_turn);
    daemon->due = hm_alloc(1, sizeof *daemon->due);
    uv_idle_init(loop, daemon->due);
    daemon->resolve = hm_timer_open(loop, on_resolve, daemon);
    open_resolver(daemon, config->join, config->join_count);
    enum hm_status status = start_node(daemon, config, error);
    if (status == HM_OK) {
        status = open_control(daemon, config, error);
    }
    if (status != HM_OK) {
        hm_daemon_close(daemon);
        return status;
    }
    daemon->disk = hm_disk_new(loop, config->data, &daemon->disk_times, on_disk_done, daemon);
    daemon->beside = hm_disk_new(loop, config->data, NULL, on_disk_done, daemon);
    settle(daemon);
    *out = daemon;
    return HM_OK;
}

void hm_daemon_stop(struct hm_daemon *daemon)
{
    hm_node_stop(daemon->node, now_of(daemon));
    settle(daemon);
}

void hm_daemon_reload(struct hm_daemon *daemon, const struct hm_conf_node *const *sections,
                      const struct hm_conf_node *root, const char *const *join, size_t join_count)
{
    struct hm_addr addresses[HM_NODE_JOIN_MAX];
    size_t known = known_addresses(join, join_count, addresses);
    hm_resolver_free(daemon->resolver);
    open_resolver(daemon, join, join_count);
    hm_node_set_join(daemon->node, addresses, known);
    hm_node_reload(daemon->node, now_of(daemon), sections, root);
    settle(daemon);
}

void hm_daemon_set_log_level(struct hm_daemon *daemon, enum hm_log_level level)
{
    hm_node_set_log_level(daemon->node, level);
}

struct hm_node *hm_daemon_node(struct hm_daemon *daemon)
{
    return daemon->node;
}

static void free_handle(uv_handle_t *handle)
{
    hm_free(handle);
}

void hm_daemon_close(struct hm_daemon *daemon)
{
    if (!daemon) {
        return;
    }
    uv_close((uv_handle_t *)daemon->check, free_handle);
    uv_close((uv_handle_t *)daemon->due, free_handle);
    hm_timer_close(daemon->resolve);
    hm_resolver_free(daemon->resolver);
    hm_control_free(daemon->control);
    hm_disk_free(daemon->disk);
    hm_disk_free(daemon->beside);
    if (daemon->stopped) {
        hm_transport_flush(daemon->transport); /* last words */
    }
    hm_transport_free(daemon->transport);
    hm_timer_close(daemon->timer);
    hm_node_free(daemon->node); /* its modules end their watches */
    if (daemon->lock >= 0) {
        close(daemon->lock);
    }
    hm_free(daemon);
}
