/* The node's own process: nginx's cache manager process, which stock nginx spawns and respawns for
 * a path with a manager. libuv's loop runs inside nginx's: its backend descriptor is one more
 * event, its next timer one more timer. */
#include "ngx_hivemind/feeder.h"
#include "ngx_hivemind/ngx_hivemind.h"

#include <ngx_event.h>

/* How often a process asks whether the one before it has let go of the table. */
#define TAKEOVER_MS 10
/* With nothing to do, nginx may call as rarely as it likes. */
#define IDLE_MS (60 * 60 * 1000)

/* One a process; nginx calls with the configuration alone, and at exit with nothing. */
static struct node {
    struct ngx_hivemind_conf *conf;
    struct hm_table table;
    uv_loop_t loop;
    struct hm_feeder *feeder;
    ngx_connection_t *connection;
    ngx_event_t timer;
    bool broken;
} node;

static enum hm_status change(void *context, const struct hm_draft *draft)
{
    enum hm_status status = hm_table_publish(&node.table, draft);
    if (status != HM_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "hivemind: the routing table needs %uz bytes and has %uz, the old one stays: "
                      "raise \"table_size\"",
                      hm_table_snapshot_bytes(draft), hm_table_capacity(&node.table));
    }
    return status;
}

static void log_line(void *context, enum hm_log_level level, const char *line)
{
    static const ngx_uint_t levels[] = {
        [HM_LOG_ERROR] = NGX_LOG_ERR,
        [HM_LOG_WARN] = NGX_LOG_WARN,
        [HM_LOG_INFO] = NGX_LOG_NOTICE,
        [HM_LOG_DEBUG] = NGX_LOG_INFO,
    };
    ngx_log_error(levels[level], ngx_cycle->log, 0, "hivemind: %s", line);
}

static void run_loop(void)
{
    uv_run(&node.loop, UV_RUN_NOWAIT);
    int timeout = uv_backend_timeout(&node.loop);
    if (node.timer.timer_set) {
        ngx_del_timer(&node.timer); /* else nginx keeps one that is nearly the same */
    }
    if (timeout >= 0) {
        ngx_add_timer(&node.timer, (ngx_msec_t)timeout);
    }
}

static void on_event(ngx_event_t *event)
{
    run_loop();
}

/* The loop's descriptor into nginx's events; level-triggered, as libuv reads what it wants. */
static ngx_int_t embed(void)
{
    ngx_connection_t *connection = ngx_get_connection(uv_backend_fd(&node.loop), ngx_cycle->log);
    if (connection == NULL) {
        return NGX_ERROR;
    }
    connection->read->handler = on_event;
    connection->read->log = ngx_cycle->log;
    connection->idle = 1;
    node.timer.handler = on_event;
    node.timer.data = connection;
    node.timer.log = ngx_cycle->log;
    node.timer.cancelable = 1;
    node.connection = connection;
    return ngx_add_event(connection->read, NGX_READ_EVENT, NGX_LEVEL_EVENT);
}

/* nginx ends this process with exit() and calls no hook of ours. */
static void say_goodbye(void)
{
    if (node.feeder) {
        hm_feeder_stop(node.feeder);
    }
}

static void start(struct ngx_hivemind_conf *conf)
{
    static const struct hm_feeder_sink sink = {.change = change, .log = log_line};
    struct hm_feeder_config config = {
        .name = conf->name,
        .state_dir = (const char *)conf->state->name.data,
        .key = &conf->key,
        .join = conf->join.elts,
        .join_count = conf->join.nelts,
        .advertise = conf->advertise,
        .udp = conf->udp,
        .tcp = conf->tcp,
        .control = conf->control,
    };
    struct hm_buf error = {0};
    conf->udp = conf->tcp = conf->control = -1;
    ngx_setproctitle("hivemind node");
    if (uv_loop_init(&node.loop) != 0 || embed() != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0, "hivemind: no event loop for the node");
        node.broken = true;
        return;
    }
    node.feeder = hm_feeder_start(&node.loop, &config, &sink, &error);
    if (node.feeder == NULL) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, 0, "hivemind: no node runs: %*s", error.size,
                      error.data);
        node.broken = true;
    } else {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "hivemind: node %s runs", conf->name.text);
        atexit(say_goodbye);
        run_loop();
    }
    hm_buf_fini(&error);
}

ngx_msec_t ngx_hivemind_manage(void *data)
{
    struct ngx_hivemind_conf *conf = data;
    if (node.conf || node.broken) {
        return IDLE_MS;
    }
    /* After a reload or an upgrade the process before us is still at work, until it lets go. */
    enum hm_status status = hm_table_open_writer(&node.table, (const char *)conf->table_path.data);
    if (status == HM_BUSY) {
        return TAKEOVER_MS;
    }
    if (status != HM_OK) {
        ngx_log_error(NGX_LOG_EMERG, ngx_cycle->log, ngx_errno,
                      "hivemind: cannot write the routing table \"%V\": %s", &conf->table_path,
                      hm_status_text(status));
        node.broken = true;
        return IDLE_MS;
    }
    node.conf = conf;
    start(conf);
    return IDLE_MS;
}
