/* A control node that recovers the control plane, over a disk that takes its time. */
#include "tests/unit/journal_disk.h"
#include "tests/unit/node_cluster.h"

#include "core/node/node.h"

struct survivor {
    hm_ms now;
    struct hm_node *node;
    const struct hm_module *modules[1];
    struct hm_node_config config;
    struct disk disk;
    bool disk_waits;
    struct hm_buf reply; /* the last one */
};

static void drain_acts(struct survivor *survivor)
{
    struct hm_act act;
    while (hm_node_output(survivor->node, &act)) {
        if (act.kind == HM_ACT_REPLY) {
            hm_buf_clear(&survivor->reply);
            hm_buf_append(&survivor->reply, act.bytes.data, act.bytes.size);
        } else if (act.kind == HM_ACT_DISK && !survivor->disk_waits) {
            for (size_t i = 0; i < act.op_count; i++) {
                assert_int_equal(disk_do(&survivor->disk, &act.ops[i]), HM_OK);
            }
            hm_node_disk_done(survivor->node, survivor->now, act.number, HM_OK);
        }
    }
}

static void boot_survivor(struct survivor *survivor)
{
    struct hm_buf error = {0};
    survivor->node = hm_node_new(&survivor->config, &error);
    assert_non_null(survivor->node);
    assert_int_equal(hm_node_start(survivor->node, survivor->now, survivor->now + 1000000,
                                   survivor->disk.files, survivor->disk.count, &error),
                     HM_OK);
    drain_acts(survivor);
    hm_buf_fini(&error);
}

static void tick_for(struct survivor *survivor, hm_ms duration)
{
    for (hm_ms end = survivor->now + duration; survivor->now < end; survivor->now += 10) {
        hm_node_tick(survivor->node, survivor->now);
        drain_acts(survivor);
    }
}

static void ask_to_recover(struct survivor *survivor)
{
    struct hm_buf bytes = {0};
    hm_buf_clear(&survivor->reply);
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_recover, .recover = {.now = true}});
    hm_node_control(survivor->node, survivor->now, 1, hm_buf_view(&bytes));
    drain_acts(survivor);
    hm_buf_fini(&bytes);
}

/* The epoch that a recovery which went well said it begins. */
static uint64_t told_epoch(const struct survivor *survivor)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(hm_message_decode_only(hm_buf_view(&survivor->reply), HM_MSG_recover_reply,
                                            &arena, &message),
                     HM_OK);
    assert_int_equal(message.recover_reply.status, HM_OK);
    uint64_t epoch = message.recover_reply.next_epoch;
    hm_arena_fini(&arena);
    return epoch;
}

/* Killed before the answer, it may be as before; killed after it, it is not. */
static void test_a_recovery_is_told_when_it_is_durable(void **unused)
{
    (void)unused;
    struct survivor survivor = {.now = 1000, .disk = {.room = UINT64_MAX}};
    survivor.modules[0] = &control_module;
    survivor.config = (struct hm_node_config){.name = hm_name_of("c1"),
                                              .addr = addr_of(0),
                                              .roles = {hm_name_of("control")},
                                              .role_count = 1,
                                              .bootstrap = true,
                                              .serve_joins = true,
                                              .durable = true,
                                              .seed = 7,
                                              .modules = survivor.modules,
                                              .module_count = 1};
    boot_survivor(&survivor);
    tick_for(&survivor, 3000);
    assert_true(hm_node_is_leader(survivor.node));
    hm_node_free(survivor.node);

    /* Started again, it leads nothing yet. */
    boot_survivor(&survivor);
    assert_false(hm_node_is_leader(survivor.node));
    survivor.disk_waits = true;
    ask_to_recover(&survivor);
    tick_for(&survivor, 1000);
    assert_int_equal(survivor.reply.size, 0);
    hm_node_free(survivor.node);
    survivor.disk_waits = false;
    boot_survivor(&survivor);
    assert_int_equal(hm_node_generation(survivor.node), 0);

    /* Asked this early it has not seen its own log to the end, and knows its epoch all the same. */
    ask_to_recover(&survivor);
    assert_int_equal(told_epoch(&survivor), 1 + HM_EPOCH_RECOVERY);
    hm_node_free(survivor.node);
    boot_survivor(&survivor);
    assert_int_equal(hm_node_generation(survivor.node) >> 32, 1 + HM_EPOCH_RECOVERY);
    tick_for(&survivor, 3000);
    assert_int_equal(hm_node_view(survivor.node)->epoch, 1 + HM_EPOCH_RECOVERY);
    hm_node_free(survivor.node);
    disk_fini(&survivor.disk);
    hm_buf_fini(&survivor.reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_recovery_is_told_when_it_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
