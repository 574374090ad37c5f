/* A control node that recovers the control plane, over a disk that takes its time. */
#include "tests/unit/journal_disk.h"
#include "tests/unit/node_cluster.h"

#include "core/node/logs/named.h"
#include "core/node/node.h"

struct survivor {
    hm_ms now;
    struct hm_node *node;
    const struct hm_module *modules[1];
    struct hm_node_config config;
    struct disk disk;
    bool disk_waits;                /* takes nothing, and says nothing */
    bool disk_fails;                /* takes nothing, and says so */
    const struct hm_name *last_log; /* it waits once this log is open; NULL: never */
    struct hm_buf reply;            /* the last one */
};

static void do_ops(struct survivor *survivor, const struct hm_act *act)
{
    survivor->disk_waits =
        survivor->last_log && hm_node_find_named(survivor->node, survivor->last_log);
    if (survivor->disk_waits) {
        return;
    }
    for (size_t i = 0; i < act->op_count && !survivor->disk_fails; i++) {
        assert_int_equal(disk_do(&survivor->disk, &act->ops[i]), HM_OK);
    }
    hm_node_disk_done(survivor->node, survivor->now, act->number,
                      survivor->disk_fails ? HM_IO : HM_OK);
}

static void drain_acts(struct survivor *survivor)
{
    struct hm_act act;
    while (hm_node_output(survivor->node, &act)) {
        if (act.kind == HM_ACT_REPLY) {
            hm_buf_clear(&survivor->reply);
            hm_buf_append(&survivor->reply, act.bytes.data, act.bytes.size);
        } else if (act.kind == HM_ACT_DISK && !survivor->disk_waits) {
            do_ops(survivor, &act);
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

static void ask(struct survivor *survivor, const struct hm_message *question)
{
    struct hm_buf bytes = {0};
    hm_buf_clear(&survivor->reply);
    hm_message_encode(&bytes, question);
    hm_node_control(survivor->node, survivor->now, 1, hm_buf_view(&bytes));
    drain_acts(survivor);
    hm_buf_fini(&bytes);
}

static void ask_to_recover(struct survivor *survivor)
{
    ask(survivor, &(struct hm_message){.kind = HM_MSG_recover, .recover = {.now = true}});
}

/* The answer to a recovery has this status, and in its reason these words. The epoch that it
 * begins. */
static uint64_t told(const struct survivor *survivor, enum hm_status status, const char *words)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(hm_message_decode_only(hm_buf_view(&survivor->reply), HM_MSG_recover_reply,
                                            &arena, &message),
                     HM_OK);
    const struct hm_recover_reply *reply = &message.recover_reply;
    assert_int_equal(reply->status, status);
    assert_non_null(memmem(reply->reason.data, reply->reason.size, words, strlen(words)));
    uint64_t epoch = reply->next_epoch;
    hm_arena_fini(&arena);
    return epoch;
}

static uint64_t told_epoch(const struct survivor *survivor)
{
    return told(survivor, HM_OK, "");
}

/* A control plane of one. */
static void begin(struct survivor *survivor)
{
    *survivor = (struct survivor){.now = 1000, .disk = {.room = UINT64_MAX}};
    survivor->modules[0] = &control_module;
    survivor->config = (struct hm_node_config){.name = hm_name_of("c1"),
                                               .addr = addr_of(0),
                                               .roles = {hm_name_of("control")},
                                               .role_count = 1,
                                               .bootstrap = true,
                                               .serve_joins = true,
                                               .durable = true,
                                               .seed = 7,
                                               .modules = survivor->modules,
                                               .module_count = 1};
    boot_survivor(survivor);
    tick_for(survivor, 3000);
    assert_true(hm_node_is_leader(survivor->node));
}

static void kill_survivor(struct survivor *survivor)
{
    hm_node_free(survivor->node);
    survivor->node = NULL;
    survivor->disk_waits = survivor->disk_fails = false;
}

static void end(struct survivor *survivor)
{
    kill_survivor(survivor);
    disk_fini(&survivor->disk);
    hm_buf_fini(&survivor->reply);
}

/* Killed before the answer, it may be as before; killed after it, it is not. */
static void test_a_recovery_is_told_when_it_is_durable(void **unused)
{
    (void)unused;
    struct survivor survivor;
    begin(&survivor);
    kill_survivor(&survivor);

    /* Started again, it leads nothing yet. */
    boot_survivor(&survivor);
    assert_false(hm_node_is_leader(survivor.node));
    survivor.disk_waits = true;
    ask_to_recover(&survivor);
    tick_for(&survivor, 1000);
    assert_int_equal(survivor.reply.size, 0);
    kill_survivor(&survivor);
    boot_survivor(&survivor);
    assert_int_equal(hm_node_generation(survivor.node), 0);

    /* Asked this early it has not seen its own log to the end, and knows its epoch all the same. */
    ask_to_recover(&survivor);
    assert_int_equal(told_epoch(&survivor), 1 + HM_EPOCH_RECOVERY);
    kill_survivor(&survivor);
    boot_survivor(&survivor);
    assert_int_equal(hm_node_generation(survivor.node) >> 32, 1 + HM_EPOCH_RECOVERY);
    tick_for(&survivor, 3000);
    assert_int_equal(hm_node_view(survivor.node)->epoch, 1 + HM_EPOCH_RECOVERY);
    end(&survivor);
}

/* What the answer says of a disk that does not take it is so. */
static void test_a_recovery_that_the_disk_does_not_take(void **unused)
{
    struct survivor survivor;
    (void)unused;
    for (int works_again = 0; works_again <= 1; works_again++) {
        begin(&survivor);
        kill_survivor(&survivor);
        boot_survivor(&survivor);
        survivor.disk_fails = true;
        ask_to_recover(&survivor);
        told(&survivor, HM_IO, "the disk does not take it");
        if (works_again) {
            survivor.disk_fails = false;
            tick_for(&survivor, 3000);
        }
        kill_survivor(&survivor);
        boot_survivor(&survivor);
        assert_int_equal(hm_node_generation(survivor.node) >> 32,
                         works_again ? 1 + HM_EPOCH_RECOVERY : 0);
        tick_for(&survivor, 3000);
        assert_true(hm_node_is_leader(survivor.node));
        assert_int_equal(hm_node_view(survivor.node)->epoch,
                         works_again ? 1 + HM_EPOCH_RECOVERY : 1);
        end(&survivor);
    }
}

/* A log whose record is found only with the event log is recovered after it, in a write of its own:
 * that one is waited for, too. */
static void test_named_logs_are_waited_for(void **unused)
{
    struct survivor survivor;
    struct hm_name audit = hm_name_of("audit");
    (void)unused;
    begin(&survivor);
    survivor.last_log = &audit; /* its record is on the disk, nothing of itself */
    ask(&survivor, &(struct hm_message){.kind = HM_MSG_log_create, .log_create = {.name = audit}});
    tick_for(&survivor, 100);
    assert_true(survivor.disk_waits);
    kill_survivor(&survivor);

    boot_survivor(&survivor);
    ask_to_recover(&survivor);
    tick_for(&survivor, 1000);
    assert_true(survivor.disk_waits);
    assert_non_null(hm_node_find_named(survivor.node, &audit));
    assert_int_equal(hm_node_view(survivor.node)->epoch, 1 + HM_EPOCH_RECOVERY);
    assert_int_equal(survivor.reply.size, 0);
    kill_survivor(&survivor);

    /* The event log has it now; the other log follows by itself. */
    survivor.last_log = NULL;
    boot_survivor(&survivor);
    tick_for(&survivor, 3000);
    const struct hm_named *named = hm_node_find_named(survivor.node, &audit);
    assert_int_equal(hm_raft_generation(named->upkeep.raft), hm_node_generation(survivor.node));
    assert_int_equal(hm_raft_role(named->upkeep.raft), HM_RAFT_LEADER);
    end(&survivor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_recovery_is_told_when_it_is_durable),
        cmocka_unit_test(test_a_recovery_that_the_disk_does_not_take),
        cmocka_unit_test(test_named_logs_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
