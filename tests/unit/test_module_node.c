/* The real modules in real nodes: a host beside a control node that consumes, over a network that
 * takes no time. */
#include "core/base/memory.h"
#include "modules/modules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILES_MAX 8
#define ROUNDS    20000

/* A module that writes one record twice, each time as if nobody had before. */
static struct {
    uint64_t numbers[2];
    struct hm_submitted answers[2];
    char reason[64];
    size_t asked;
    size_t answered;
} writer;

static void write_record(struct hm_module_ctx *ctx)
{
    struct hm_condition absent = {.scope = hm_name_of("notes"), .key = hm_bytes_of_text("k")};
    struct hm_change change = {
        .scope = absent.scope, .key = absent.key, .present = true, .value = hm_bytes_of_text("v")};
    writer.numbers[writer.asked++] = hm_module_write(
        ctx,
        &(struct hm_request_write){
            .conditions = &absent, .conditions_count = 1, .changes = &change, .changes_count = 1},
        HM_NEVER);
}

static enum hm_status start_writer(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    (void)error;
    memset(&writer, 0, sizeof writer);
    write_record(ctx); /* there is no cluster yet: it waits */
    return HM_OK;
}

static void on_written(struct hm_module_ctx *ctx, uint64_t write, const struct hm_submitted *answer)
{
    assert_int_equal(write, writer.numbers[writer.answered]);
    snprintf(writer.reason, sizeof writer.reason, "%.*s", (int)answer->reason.size,
             (const char *)answer->reason.data);
    writer.answers[writer.answered++] = *answer;
    if (writer.asked < 2) {
        write_record(ctx);
    }
}

static const char *const dns_roles[] = {"dns", NULL};
static const struct hm_module consumer_module = {.abi = HM_MODULE_ABI,
                                                 .kind = HM_MODULE_ROLE,
                                                 .name = "dns",
                                                 .performs = dns_roles,
                                                 .feeds = HM_FEEDS_STATE,
                                                 .start = start_writer,
                                                 .written = on_written};

static const struct hm_module *const center_modules[] = {&hm_log_module, &hm_auth_module,
                                                         &hm_control_module, &consumer_module};
static const struct hm_module *const host_modules[] = {&hm_log_module, &hm_auth_module,
                                                       &hm_host_module};

struct file {
    char name[HM_DISK_FILE_BYTES_MAX];
    struct hm_buf content;
};

/* Node 0 is the control plane and the consumer, node 1 the host. */
struct pair {
    hm_ms now;
    struct hm_node *nodes[2];
    struct hm_node_config configs[2];
    uint64_t clusters[2];
    struct file files[FILES_MAX]; /* of the host */
    size_t file_count;
    struct hm_buf reply;
    bool stopped; /* the host has */
};

static struct file *file_of(struct pair *pair, const char *name)
{
    for (size_t i = 0; i < pair->file_count; i++) {
        if (strcmp(pair->files[i].name, name) == 0) {
            return &pair->files[i];
        }
    }
    assert_true(pair->file_count < FILES_MAX);
    struct file *file = &pair->files[pair->file_count++];
    snprintf(file->name, sizeof file->name, "%s", name);
    return file;
}

static void do_disk(struct pair *pair, size_t number, const struct hm_act *act)
{
    for (size_t i = 0; i < act->op_count; i++) {
        assert_int_equal(act->ops[i].kind, HM_DISK_REPLACE);
        struct file *file = file_of(pair, act->ops[i].file);
        hm_buf_clear(&file->content);
        hm_buf_append(&file->content, act->ops[i].bytes.data, act->ops[i].bytes.size);
    }
    hm_node_disk_done(pair->nodes[number], pair->now, act->number, HM_OK);
}

static void send(struct pair *pair, size_t from, const struct hm_act *act)
{
    size_t to = 1 - from;
    if (pair->nodes[to] && hm_addr_equal(&act->addr, &pair->configs[to].addr)) {
        struct hm_bytes copy = hm_bytes_copy(act->bytes);
        hm_node_receive(pair->nodes[to], pair->now, &pair->configs[from].addr, act->stream,
                        pair->clusters[from], copy);
        hm_bytes_free(copy);
    } else if (act->stream) {
        struct hm_addr addr = act->addr;
        hm_node_stream_down(pair->nodes[from], pair->now, &addr, HM_UNREACHABLE);
    }
}

static void drain_acts(struct pair *pair)
{
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < 2; i++) {
            struct hm_act act;
            if (!pair->nodes[i] || !hm_node_output(pair->nodes[i], &act)) {
                continue;
            }
            more = true;
            if (act.kind == HM_ACT_SEND) {
                send(pair, i, &act);
            } else if (act.kind == HM_ACT_DISK) {
                do_disk(pair, i, &act);
            } else if (act.kind == HM_ACT_CLUSTER) {
                pair->clusters[i] = act.number;
            } else if (act.kind == HM_ACT_STOPPED) {
                pair->stopped = true;
            } else if (act.kind == HM_ACT_REPLY) {
                hm_buf_clear(&pair->reply);
                hm_buf_append(&pair->reply, act.bytes.data, act.bytes.size);
            }
        }
    }
}

/* Goes on until `done` says so. */
static void run_until(struct pair *pair, bool (*done)(struct pair *pair))
{
    for (int round = 0; round < ROUNDS; round++) {
        drain_acts(pair);
        if (done(pair)) {
            return;
        }
        hm_ms next = HM_NEVER;
        for (size_t i = 0; i < 2; i++) {
            hm_ms at = pair->nodes[i] ? hm_node_deadline(pair->nodes[i]) : HM_NEVER;
            next = at < next ? at : next;
        }
        assert_true(next != HM_NEVER);
        pair->now = next > pair->now ? next : pair->now;
        for (size_t i = 0; i < 2; i++) {
            if (pair->nodes[i] && hm_node_deadline(pair->nodes[i]) <= pair->now) {
                hm_node_tick(pair->nodes[i], pair->now);
            }
        }
    }
    fail_msg("it does not come about");
}

static void boot(struct pair *pair, size_t number)
{
    struct hm_buf error = {0};
    struct hm_disk_file files[FILES_MAX];
    size_t count = number == 1 ? pair->file_count : 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(files[i].name, pair->files[i].name, sizeof files[i].name);
        files[i].content = hm_buf_view(&pair->files[i].content);
    }
    pair->configs[number].seed++;
    pair->nodes[number] = hm_node_new(&pair->configs[number], &error);
    assert_non_null(pair->nodes[number]);
    assert_int_equal(
        hm_node_start(pair->nodes[number], pair->now, 1000000 + pair->now, files, count, &error),
        HM_OK);
    hm_buf_fini(&error);
}

static bool host_is_ready(struct pair *pair)
{
    return hm_node_is_ready(pair->nodes[1]);
}

static bool is_answered(struct pair *pair)
{
    return pair->reply.size > 0;
}

static bool has_stopped(struct pair *pair)
{
    return pair->stopped;
}

static void start_pair(struct pair *pair)
{
    *pair = (struct pair){.now = 1000};
    for (uint8_t i = 0; i < 2; i++) {
        pair->configs[i] = (struct hm_node_config){
            .name = hm_name_of(i ? "web-1" : "center"),
            .addr = {.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 9610},
            .roles = {hm_name_of(i ? "host" : "control"), hm_name_of("dns")},
            .role_count = i ? 1 : 2,
            .join = {{.family = 4, .ip = {10, 0, 0, 1}, .port = 9610}},
            .join_count = i,
            .bootstrap = i == 0,
            .serve_joins = true,
            .durable = i == 1,
            .seed = 7000u * (i + 1u),
            .modules = i ? host_modules : center_modules,
            .module_count = i ? 3 : 4,
        };
    }
    boot(pair, 0);
    boot(pair, 1);
    run_until(pair, host_is_ready);
}

static void finish(struct pair *pair)
{
    for (size_t i = 0; i < 2; i++) {
        hm_node_free(pair->nodes[i]);
    }
    for (size_t i = 0; i < pair->file_count; i++) {
        hm_buf_fini(&pair->files[i].content);
    }
    hm_buf_fini(&pair->reply);
}

/* Asks the host over its control socket; the answer, printed, is in `reply` then. */
static const char *ask(struct pair *pair, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    struct hm_arena arena = {0};
    struct hm_message answer;
    hm_buf_clear(&pair->reply);
    hm_message_encode(&bytes, message);
    hm_node_control(pair->nodes[1], pair->now, 5, hm_buf_view(&bytes));
    run_until(pair, is_answered);
    struct hm_reader in = hm_reader_of(hm_buf_view(&pair->reply));
    assert_int_equal(hm_message_decode(&in, &arena, &answer), HM_OK);
    hm_buf_clear(&bytes);
    hm_message_print(&bytes, &answer);
    hm_buf_fini(&pair->reply);
    pair->reply = bytes;
    hm_put_u8(&pair->reply, 0);
    hm_arena_fini(&arena);
    return (const char *)pair->reply.data;
}

static const char *announce(struct pair *pair, const char *name, uint16_t port)
{
    struct hm_message message = {.kind = HM_MSG_announce};
    message.announce = (struct hm_announce){
        .call = 9, .service = hm_name_of(name), .port = port, .timeout_ms = 5000};
    return ask(pair, &message);
}

static void count_served(void *context, const struct hm_catalog_instance *instance)
{
    assert_int_equal(instance->addr.ip[3], 2);
    *(size_t *)context += instance->served && instance->healthy;
}

static size_t served(const struct pair *pair, const char *service)
{
    size_t count = 0;
    struct hm_name name = hm_name_of(service);
    hm_catalog_instances(hm_node_catalog(pair->nodes[0]), &name, count_served, &count);
    return count;
}

static bool web_is_served(struct pair *pair)
{
    return served(pair, "web") == 1;
}

static bool web_is_gone(struct pair *pair)
{
    return served(pair, "web") == 0;
}

static void an_announcement_is_served_before_its_answer(void **state)
{
    (void)state;
    struct pair pair;
    start_pair(&pair);
    const char *answer = announce(&pair, "web", 8080);
    assert_non_null(strstr(answer, "change_report call=9 status=0"));
    assert_non_null(strstr(answer, "role=\"dns\" served=1 total=1"));
    assert_int_equal(served(&pair, "web"), 1);
    answer = announce(&pair, "no_service", 1);
    assert_non_null(strstr(answer, "answer call=9 status=2"));
    assert_non_null(strstr(answer, "RFC 6335"));
    struct hm_message message = {.kind = HM_MSG_withdraw};
    message.withdraw =
        (struct hm_withdraw){.call = 9, .service = hm_name_of("web"), .timeout_ms = 5000};
    assert_non_null(strstr(ask(&pair, &message), "status=0"));
    assert_int_equal(served(&pair, "web"), 0);
    finish(&pair);
}

static void announcements_and_drains_over_a_restart(void **state)
{
    (void)state;
    struct pair pair;
    start_pair(&pair);
    announce(&pair, "web", 8080);
    struct hm_message message = {.kind = HM_MSG_drain};
    message.drain = (struct hm_drain){.call = 9, .draining = true, .timeout_ms = 5000};
    assert_non_null(strstr(ask(&pair, &message), "status=0"));
    run_until(&pair, web_is_gone);
    hm_node_stop(pair.nodes[1], pair.now);
    run_until(&pair, has_stopped);
    hm_node_free(pair.nodes[1]);
    pair.nodes[1] = NULL;
    pair.now += 1000;
    boot(&pair, 1);
    run_until(&pair, web_is_served);
    finish(&pair);
}

static bool both_are_answered(struct pair *pair)
{
    (void)pair;
    return writer.answered == 2;
}

static void a_module_writes_records(void **state)
{
    (void)state;
    struct pair pair;
    start_pair(&pair);
    run_until(&pair, both_are_answered);
    struct hm_name scope = hm_name_of("notes");
    const struct hm_record *record =
        hm_records_find(&hm_node_view(pair.nodes[0])->records, &scope, hm_bytes_of_text("k"));
    assert_non_null(record);
    assert_int_equal(writer.answers[0].status, HM_OK);
    assert_int_equal(writer.answers[0].index, record->index);
    assert_int_equal(writer.answers[1].status, HM_CONFLICT);
    assert_non_null(strstr(writer.reason, "notes k was changed at"));
    finish(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_announcement_is_served_before_its_answer),
        cmocka_unit_test(announcements_and_drains_over_a_restart),
        cmocka_unit_test(a_module_writes_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
