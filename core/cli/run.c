/* hivemind run: a node as its configuration says, until it is told to stop. */
#include "core/cli/run.h"
#include "core/base/memory.h"
#include "core/cli/cli.h"
#include "core/cli/place.h"
#include "core/cli/settings.h"
#include "core/io/daemon.h"
#include "core/io/disk.h"
#include "core/io/keyfile.h"
#include "core/io/log.h"
#include "core/io/notify.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { SIGNAL_COUNT = 3 };

struct run {
    const struct hm_run_options *options;
    uv_loop_t loop;
    uv_signal_t signals[SIGNAL_COUNT];
    struct hm_log log;
    struct hm_loader loader;
    struct hm_settings settings;
    struct hm_settings *old; /* of earlier reloads: modules may still look into them */
    size_t old_count;
    size_t old_capacity;
    struct hm_daemon *daemon;
    enum hm_status end;
    bool stopping;
    struct hm_buf data; /* path of its directory; empty: in memory */
};

/* ---- what the node says ---- */

static void on_log(void *context, enum hm_log_level level, struct hm_bytes line)
{
    struct run *run = context;
    hm_log_line(&run->log, level, line);
}

static void on_ready(void *context)
{
    struct run *run = context;
    hm_notify("READY=1");
    if (run->options->ready) {
        run->options->ready(run->options->context);
    }
}

static void on_stopped(void *context, enum hm_status status)
{
    struct run *run = context;
    run->end = status;
    uv_stop(&run->loop);
}

/* ---- signals ---- */

static enum hm_log_level level_of(const struct hm_settings *settings)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *text = hm_conf_text(settings->root, "log_level");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum hm_log_level)i;
        }
    }
    return HM_LOG_INFO;
}

static void log_lines(struct run *run, const char *msg, const struct hm_buf *lines)
{
    for (size_t at = 0; at < lines->size;) {
        const uint8_t *end = memchr(lines->data + at, '\n', lines->size - at);
        size_t size = end ? (size_t)(end - lines->data) - at : lines->size - at;
        struct hm_buf value = {0};
        hm_log_value(&value, (struct hm_bytes){lines->data + at, size});
        hm_log_event(&run->log, HM_LOG_ERROR, msg, "text=%.*s", (int)value.size,
                     (const char *)value.data);
        hm_buf_fini(&value);
        at += size + 1;
    }
}

static void log_changes(struct run *run, const struct hm_conf_diff *diff, bool taken)
{
    for (size_t i = 0; i < diff->count; i++) {
        bool live = diff->items[i].live && taken;
        hm_log_event(&run->log, live ? HM_LOG_INFO : HM_LOG_WARN,
                     live ? "configuration changed" : "change needs a restart", "key=%s",
                     diff->items[i].path);
    }
    hm_log_event(&run->log, HM_LOG_INFO, "configuration read", "changes=%zu restarts=%zu",
                 diff->count, taken ? diff->restarts : diff->count);
}

static void reload(struct run *run)
{
    struct hm_settings fresh;
    struct hm_buf error = {0};
    struct hm_conf_diff diff = {0};
    if (hm_settings_read(run->options->file, &run->loader, &fresh, &error) != HM_OK) {
        log_lines(run, "configuration unchanged, the file is wrong", &error);
        hm_buf_fini(&error);
        return;
    }
    hm_conf_diff(run->settings.root, fresh.root, &diff);
    bool taken = hm_settings_keep(&fresh, &run->settings, &diff);
    log_changes(run, &diff, taken);
    hm_conf_diff_fini(&diff);
    if (!taken) {
        hm_settings_fini(&fresh);
        return;
    }
    run->old = hm_grow(run->old, run->old_count, &run->old_capacity, sizeof *run->old);
    run->old[run->old_count++] = run->settings;
    run->settings = fresh;
    run->log.level = level_of(&fresh);
    hm_daemon_set_log_level(run->daemon, run->log.level);
    hm_daemon_reload(run->daemon, run->settings.sections, fresh.root,
                     (const char *const *)fresh.join, fresh.join_count);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    if (number == SIGHUP) {
        reload(run);
    } else if (run->stopping) {
        run->end = HM_OK;
        uv_stop(&run->loop); /* the second time at once */
    } else {
        run->stopping = true;
        hm_notify("STOPPING=1");
        hm_daemon_stop(run->daemon);
    }
}

static void watch_signals(struct run *run)
{
    static const int numbers[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&run->loop, &run->signals[i]);
        run->signals[i].data = run;
        uv_signal_start(&run->signals[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&run->signals[i]);
    }
}

/* ---- its life ---- */

static void set_node(const struct hm_settings *settings, const struct hm_place_of_node *place,
                     struct hm_node_config *node)
{
    *node = (struct hm_node_config){
        .name = place->name,
        .addr = place->addr,
        .role_count = settings->role_count,
        .serve_joins = hm_conf_flag(settings->root, "serve_joins"),
        .modules = settings->modules,
        .sections = settings->sections,
        .root = settings->root,
        .module_count = settings->module_count,
    };
    memcpy(node->roles, settings->roles, sizeof node->roles);
    for (size_t i = 0; i < settings->module_count; i++) {
        const struct hm_conf_node *section = settings->sections[i];
        if (section && strcmp(settings->modules[i]->name, "control") == 0) {
            node->bootstrap = hm_conf_flag(section, "bootstrap");
            node->voters_target = (uint32_t)hm_conf_integer(section, "voters");
            node->restart_grace_ms = hm_conf_duration(section, "restart_grace");
            node->removal_brake_ms = hm_conf_duration(section, "removal_brake");
        }
    }
}

/* What is wrong with the key file is told with the line that names it. */
static enum hm_status read_key(const struct hm_conf_node *root, struct hm_key *out,
                               struct hm_buf *error)
{
    const struct hm_conf_origin *at = &hm_conf_get(root, "key")->origin;
    hm_buf_printf(error, "%s:%u:%u: ", at->file, at->line, at->column);
    enum hm_status status = hm_keyfile_read(hm_conf_text(root, "key"), out, error);
    if (status == HM_OK) {
        hm_buf_clear(error);
    }
    return status;
}

static enum hm_status open_daemon(struct run *run, struct hm_buf *error)
{
    struct hm_place_of_node place = {0};
    struct hm_node_config node;
    struct hm_key key;
    struct hm_daemon_config config = {
        .node = &node,
        .key = &key,
        .join = (const char *const *)run->settings.join,
        .join_count = run->settings.join_count,
        .events = {run, on_log, on_ready, on_stopped},
    };
    enum hm_status status = hm_place_find(&run->settings, &place, error);
    if (status == HM_OK) {
        status = read_key(run->settings.root, &key, error);
    }
    if (status == HM_OK) {
        status = hm_sockets_open(&place.addr, &config.sockets, error);
        if (status != HM_OK) {
            hm_buf_printf(error, "; another port is chosen by a line `advertise: IP:PORT` in %s",
                          run->options->file);
        }
    }
    if (status == HM_OK) {
        char addr[HM_ADDR_TEXT_BYTES];
        place.addr = config.sockets.addr;
        config.data = run->options->memory ? NULL : (const char *)place.data.data;
        config.control = (const char *)place.control.data;
        hm_buf_printf(&run->data, "%s", config.data ? config.data : "");
        hm_put_u8(&run->data, 0);
        set_node(&run->settings, &place, &node);
        node.key_id = hm_key_id(&key);
        hm_log_event(&run->log, HM_LOG_INFO, "starting", "name=%s addr=%s data=%s socket=%s",
                     place.name.text, hm_addr_format(&place.addr, addr),
                     config.data ? config.data : "none", config.control);
        status = hm_daemon_open(&run->loop, &config, &run->daemon, error);
        if (status == HM_OK) {
            hm_daemon_set_log_level(run->daemon, run->log.level);
        }
    }
    hm_key_wipe(&key);
    hm_place_fini(&place);
    return status;
}

/* What libuv closes, it closes in the loop; a lookup that hangs is not waited for. */
static void close_loop(struct run *run)
{
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_close((uv_handle_t *)&run->signals[i], NULL);
    }
    for (int i = 0; i < 100 && uv_run(&run->loop, UV_RUN_NOWAIT) != 0; i++) {
    }
    uv_loop_close(&run->loop);
}

static int run_node(struct run *run)
{
    struct hm_buf error = {0};
    int code;
    uv_loop_init(&run->loop);
    watch_signals(run);
    enum hm_status status = open_daemon(run, &error);
    if (status == HM_OK) {
        uv_run(&run->loop, UV_RUN_DEFAULT);
        hm_daemon_close(run->daemon);
        hm_log_event(&run->log, run->end == HM_OK ? HM_LOG_INFO : HM_LOG_ERROR, "stopped",
                     "status=%s", hm_status_name(run->end));
        code = hm_status_exit_code(run->end);
    } else {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
        code = status == HM_BAD_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    }
    close_loop(run);
    hm_buf_fini(&error);
    return code;
}

/* A fenced node that is told to rejoin: its control data goes, and it begins anew. */
static int put_aside(struct run *run)
{
    struct hm_buf where = {0};
    struct hm_buf error = {0};
    int code = EXIT_FAILED;
    if (run->data.size > 1 &&
        hm_disk_put_aside((const char *)run->data.data, &where, &error) != HM_OK) {
        hm_complain("%.*s", (int)error.size, (const char *)error.data);
    } else {
        hm_log_event(&run->log, HM_LOG_WARN, "control data put aside", "directory=%.*s",
                     (int)where.size, (const char *)where.data);
        code = EXIT_OK;
    }
    hm_buf_fini(&where);
    hm_buf_fini(&error);
    return code;
}

static int run_once(const struct hm_run_options *options, bool *again)
{
    struct run run = {.options = options};
    struct hm_buf error = {0};
    int code;
    enum hm_status status = hm_settings_read(options->file, &run.loader, &run.settings, &error);
    if (status == HM_OK) {
        hm_log_init(&run.log, level_of(&run.settings));
        code = run_node(&run);
        if (run.end == HM_STALE) {
            code = put_aside(&run);
            *again = code == EXIT_OK;
        }
        hm_log_flush(&run.log);
        hm_log_fini(&run.log);
    } else {
        fwrite(error.data, 1, error.size, stderr);
        code = EXIT_USAGE;
    }
    for (size_t i = 0; i < run.old_count; i++) {
        hm_settings_fini(&run.old[i]);
    }
    hm_free(run.old);
    hm_settings_fini(&run.settings);
    hm_loader_fini(&run.loader);
    hm_buf_fini(&run.data);
    hm_buf_fini(&error);
    return code;
}

/* By default the C library takes what was large once for small the next time, and keeps it: after a
 * snapshot of many names several times their size. */
#define LARGE_BYTES (256 << 10)

int hm_run(const struct hm_run_options *options)
{
    bool again;
    int code;
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    do {
        again = false;
        code = run_once(options, &again);
    } while (again);
    return code;
}

/* ---- the command ---- */

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "The configuration; conf.d/*.yaml beside it belongs to it", 0},
    {0},
};

static void check(struct hm_given *given, struct argp_state *state)
{
    if (!hm_given_option(given, 'c')) {
        argp_error(state, "-c FILE is missing: which configuration?");
    }
}

static int run_command(struct hm_given *given)
{
    const struct hm_run_options run = {.file = hm_given_option(given, 'c')};
    return hm_run(&run);
}

const struct hm_command hm_command_run = {
    .name = "run",
    .words = "-c FILE",
    .help = "run a node as its configuration says",
    .doc =
        "Run a node as its configuration says.\vSIGTERM and SIGINT stop it, meaning to come back "
        "(`hivemind leave` leaves the cluster); SIGHUP reads the configuration anew.",
    .alone = true,
    .options = options,
    .check = check,
    .run = run_command,
};
