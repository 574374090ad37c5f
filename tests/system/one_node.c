/* A whole cluster in one small process, for tests of what joins it: roles control and host, a
 * memory journal, loopback. one_node KEYFILE PORT; then each line on stdin is the host's whole
 * config, `SERVICE PORT VHOST` three words a service; "-" as VHOST: none. Says "ready" first. */
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"
#include "core/io/keyfile.h"
#include "core/io/transport.h"
#include "core/io/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct program {
    uv_loop_t loop;
    struct hm_node *node;
    struct hm_transport *transport;
    struct hm_timer *timer;
    struct hm_module_ctx *host;
    bool pumping;
} program;

static enum hm_status on_init(struct hm_module_ctx *ctx, const struct hm_conf_node *section,
                              const struct hm_conf_node *root, struct hm_buf *error)
{
    (void)section;
    (void)root;
    (void)error;
    program.host = ctx;
    return HM_OK;
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
                                      .init = on_init};

static void pump(void)
{
    struct hm_act act;
    if (program.pumping) {
        return;
    }
    program.pumping = true;
    for (bool more = true; more;) {
        more = false;
        while (hm_node_output(program.node, &act)) {
            more = true;
            if (act.kind == HM_ACT_SEND) {
                hm_transport_send(program.transport, &act.addr, act.stream, act.bytes);
            } else if (act.kind == HM_ACT_DISK) {
                hm_node_disk_done(program.node, uv_now(&program.loop), act.number, HM_OK);
            } else if (act.kind == HM_ACT_CLUSTER) {
                hm_transport_set_cluster(program.transport, act.number);
            } else if (act.kind == HM_ACT_READY) {
                printf("ready\n");
                fflush(stdout);
            } else if (act.kind == HM_ACT_LOG) {
                fprintf(stderr, "one_node: %.*s\n", (int)act.bytes.size, (char *)act.bytes.data);
            } else if (act.kind == HM_ACT_STOPPED) {
                exit(1);
            }
        }
        hm_transport_flush(program.transport);
    }
    program.pumping = false;
    hm_ms now = uv_now(&program.loop), deadline = hm_node_deadline(program.node);
    hm_timer_set(program.timer, deadline == HM_NEVER ? HM_NEVER
                                : deadline > now     ? deadline - now
                                                     : 0);
}

static void on_received(void *context, const struct hm_addr *from, bool stream, uint64_t cluster,
                        struct hm_bytes payload)
{
    struct hm_addr none = {0};
    (void)context;
    hm_node_receive(program.node, uv_now(&program.loop), stream ? &none : from, stream, cluster,
                    payload);
    pump();
}

static void on_stream_up(void *context, const struct hm_addr *addr)
{
    (void)context;
    hm_node_stream_up(program.node, uv_now(&program.loop), addr);
    pump();
}

static void on_stream_down(void *context, const struct hm_addr *addr, enum hm_status why)
{
    (void)context;
    hm_node_stream_down(program.node, uv_now(&program.loop), addr, why);
    pump();
}

static void on_refused(void *context, const struct hm_addr *addr)
{
    (void)context;
    hm_node_refused(program.node, uv_now(&program.loop), addr);
    pump();
}

static void on_deadline(void *user)
{
    (void)user;
    hm_node_tick(program.node, uv_now(&program.loop));
    pump();
}

static void publish(char *line)
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
    hm_module_publish(program.host, &config);
}

static void on_stdin(void *user, int events)
{
    char line[4096];
    ssize_t size = read(STDIN_FILENO, line, sizeof line - 1);
    (void)user;
    (void)events;
    if (size <= 0) {
        exit(0);
    }
    line[size] = 0;
    publish(line);
    pump();
}

int main(int argc, char **argv)
{
    static const struct hm_module *const modules[] = {&control, &host};
    struct hm_transport_events events = {NULL, on_received, on_stream_up, on_stream_down,
                                         on_refused};
    struct hm_transport_limits limits = {0};
    struct hm_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    struct hm_sockets sockets;
    struct hm_key key;
    struct hm_buf error = {0};
    if (argc != 3 || hm_keyfile_read(argv[1], &key, &error) != HM_OK) {
        fprintf(stderr, "one_node: %.*s\n", (int)error.size, (char *)error.data);
        return 2;
    }
    addr.port = (uint16_t)strtol(argv[2], NULL, 10);
    uv_loop_init(&program.loop);
    program.timer = hm_timer_open(&program.loop, on_deadline, NULL);
    struct hm_module_io io = hm_watch_module_io(&program.loop);
    struct hm_node_config config = {.name = hm_name_of("one"),
                                    .addr = addr,
                                    .roles = {hm_name_of("control"), hm_name_of("host")},
                                    .role_count = 2,
                                    .bootstrap = true,
                                    .serve_joins = true,
                                    .voters_target = 1,
                                    .seed = (uint64_t)getpid(),
                                    .modules = modules,
                                    .module_count = 2,
                                    .io = &io};
    program.node = hm_node_new(&config, &error);
    if (program.node == NULL || hm_sockets_open(&addr, &sockets, &error) != HM_OK ||
        hm_node_start(program.node, uv_now(&program.loop), (uint64_t)time(NULL) * 1000, NULL, 0,
                      &error) != HM_OK) {
        fprintf(stderr, "one_node: %.*s\n", (int)error.size, (char *)error.data);
        return 1;
    }
    program.transport = hm_transport_new(&program.loop, &sockets, &key, &limits, &events);
    if (hm_watch_open(&program.loop, STDIN_FILENO, HM_WATCH_READ, on_stdin, NULL) == NULL) {
        return 1;
    }
    pump();
    return uv_run(&program.loop, UV_RUN_DEFAULT);
}
