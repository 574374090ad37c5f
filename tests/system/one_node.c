/* A whole cluster in one small process, for tests of what joins it: roles control and host, a
 * memory journal, loopback. one_node KEYFILE PORT; then each line on stdin is the host's whole
 * config, `SERVICE PORT VHOST` three words a service; "-" as VHOST: none. Says "ready" first. */
#include "core/include/hivemind/module.h"
#include "core/io/daemon.h"
#include "core/io/keyfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void publish(struct hm_module_ctx *ctx, char *line);

static void on_stdin(void *user, int events)
{
    char line[4096];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
    (void)events;
    if (size <= 0) {
        exit(0);
    }
    line[size] = 0;
    publish(user, line);
}

static enum hm_status on_start(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    const struct hm_module_io *io = hm_module_io(ctx);
    (void)error;
    return io->watch(io->context, STDIN_FILENO, HM_WATCH_READ, on_stdin, ctx) ? HM_OK : HM_IO;
}

static const char *const control_roles[] = {"control", NULL};
static const char *const host_roles[] = {"host", NULL};
static const char *const consumers[] = {"nginx", NULL};

static const struct hm_module control = {.abi = HM_MODULE_ABI,
                                         .kind = HM_MODULE_ROLE,
                                         .name = "control",
                                         .performs = control_roles,
                                         .feeds = HM_FEEDS_STATE};
static const struct hm_module host = {.abi = HM_MODULE_ABI,
                                      .kind = HM_MODULE_ROLE,
                                      .name = "host",
                                      .performs = host_roles,
                                      .bootstraps = consumers,
                                      .start = on_start};

static void on_log(void *context, enum hm_log_level level, struct hm_bytes line)
{
    (void)context;
    (void)level;
    fprintf(stderr, "one_node: %.*s\n", (int)line.size, (const char *)line.data);
}

static void on_ready(void *context)
{
    (void)context;
    printf("ready\n");
    fflush(stdout);
}

static void on_stopped(void *context, enum hm_status status)
{
    (void)context;
    exit(hm_status_exit_code(status));
}

static void publish(struct hm_module_ctx *ctx, char *line)
{
    struct hm_service services[16] = {0};
    struct hm_domain vhosts[16];
    struct hm_host_config config = {.services = services};
    char *word = strtok_r(line, " \n", &line);
    while (word && config.services_count < 16) {
        uint32_t i = config.services_count++;
        services[i].name = hm_name_of(word);
        services[i].port = (uint16_t)strtol(strtok_r(NULL, " \n", &line), NULL, 10);
        services[i].weight = 1;
        char *vhost = strtok_r(NULL, " \n", &line);
        if (strcmp(vhost, "-") != 0) {
            vhosts[i].name = hm_bytes_of_text(vhost);
            services[i].vhosts = &vhosts[i];
            services[i].vhosts_count = 1;
        }
        word = strtok_r(NULL, " \n", &line);
    }
    hm_module_publish(ctx, &config);
}

int main(int argc, char **argv)
{
    static const struct hm_module *const modules[] = {&control, &host};
    struct hm_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    struct hm_key key;
    struct hm_buf error = {0};
    struct hm_daemon *daemon;
    uv_loop_t loop;
    if (argc != 3) {
        return 2;
    }
    addr.port = (uint16_t)strtol(argv[2], NULL, 10);
    struct hm_node_config node = {.name = hm_name_of("one"),
                                  .addr = addr,
                                  .roles = {hm_name_of("control"), hm_name_of("host")},
                                  .role_count = 2,
                                  .bootstrap = true,
                                  .serve_joins = true,
                                  .voters_target = 1,
                                  .modules = modules,
                                  .module_count = 2};
    struct hm_daemon_config config = {
        .node = &node, .key = &key, .events = {NULL, on_log, on_ready, on_stopped}};
    uv_loop_init(&loop);
    if (hm_keyfile_read(argv[1], &key, &error) != HM_OK ||
        hm_sockets_open(&addr, &config.sockets, &error) != HM_OK ||
        hm_daemon_open(&loop, &config, &daemon, &error) != HM_OK) {
        fprintf(stderr, "one_node: %.*s\n", (int)error.size, (const char *)error.data);
        return 1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}
