/* What registering a name costs on the leader: one node in memory, asked over its control socket
 * with so many requests on their way, without I/O; and the memory that a name takes.
 * names_cost NAMES IN_FLIGHT */
#include "core/base/assert.h"
#include "modules/modules.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

struct bench {
    struct hm_node *node;
    hm_ms now;
    uint64_t answered;
    enum hm_status last;
};

static void pop_acts(struct bench *bench)
{
    struct hm_act act;
    while (hm_node_output(bench->node, &act)) {
        struct hm_arena arena = {0};
        struct hm_message message;
        if (act.kind == HM_ACT_REPLY) {
            enum hm_status status =
                hm_message_decode_only(act.bytes, HM_MSG_answer, &arena, &message);
            HM_ASSERT(status == HM_OK);
            bench->last = (enum hm_status)message.answer.status;
            bench->answered++;
        } else if (act.kind == HM_ACT_DISK) {
            hm_node_disk_done(bench->node, bench->now, act.number, HM_OK);
        }
        hm_arena_fini(&arena);
    }
}

static void ask(struct bench *bench, uint64_t number)
{
    char name[32];
    struct hm_buf body = {0};
    struct hm_buf bytes = {0};
    snprintf(name, sizeof name, "name-%014llu", (unsigned long long)number * 7919 % 10000000);
    hm_message_encode(&body, &(struct hm_message){.kind = HM_MSG_names_register,
                                                  .names_register = {hm_bytes_of_text(name),
                                                                     hm_bytes_of_text("owner-1")}});
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_log_write,
                                                   .log_write = {.call = number,
                                                                 .name = hm_name_of("role.names"),
                                                                 .data = hm_buf_view(&body)}});
    hm_node_control(bench->node, bench->now, number % 64, hm_buf_view(&bytes));
    hm_buf_fini(&body);
    hm_buf_fini(&bytes);
}

static void wait_until_ready(struct bench *bench)
{
    uint64_t number = 0;
    do {
        bench->now += 100;
        hm_node_tick(bench->node, bench->now);
        pop_acts(bench);
        if (hm_node_is_ready(bench->node)) {
            ask(bench, ++number);
            pop_acts(bench);
        }
        HM_ASSERT(bench->now < 60000);
    } while (bench->answered == 0 || bench->last != HM_OK);
}

int main(int argc, char **argv)
{
    static const struct hm_module *const modules[] = {&hm_log_module, &hm_auth_module,
                                                      &hm_control_module, &hm_names_module};
    struct hm_buf error = {0};
    struct bench bench = {.now = 1000};
    struct hm_node_config config = {.name = hm_name_of("one"),
                                    .addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = 9610},
                                    .roles = {hm_name_of("control"), hm_name_of("names")},
                                    .role_count = 2,
                                    .bootstrap = true,
                                    .seed = 1,
                                    .modules = modules,
                                    .module_count = 4};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    uint64_t in_flight = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;
    bench.node = hm_node_new(&config, &error);
    HM_ASSERT(bench.node != NULL && in_flight > 0);
    HM_ASSERT(hm_node_start(bench.node, bench.now, 1700000000000, NULL, 0, &error) == HM_OK);
    wait_until_ready(&bench);
    bench.answered = 0;
    size_t before = mallinfo2().uordblks;
    for (uint64_t i = 0; i < count; i++) {
        ask(&bench, 1000 + i);
        if (i % in_flight == in_flight - 1) {
            pop_acts(&bench);
            bench.now++;
        }
    }
    pop_acts(&bench);
    HM_ASSERT(bench.answered == count);
    size_t after = mallinfo2().uordblks;
    printf("%llu names, %.1f bytes of the heap each\n", (unsigned long long)count,
           (double)(after - before) / (double)count);
    hm_node_free(bench.node);
    hm_buf_fini(&error);
    return 0;
}
