/* The log: one line an event whatever is in it, and repeats told as such. */
#include "core/io/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Where lines go, and the time. */
struct world {
    struct hm_log log;
    struct hm_buf text;
    uint64_t now;
    bool full;
};

static bool on_write(void *context, struct hm_bytes line)
{
    struct world *world = context;
    if (!world->full) {
        hm_buf_append(&world->text, line.data, line.size);
    }
    return !world->full;
}

static uint64_t on_wall(void *context)
{
    return ((struct world *)context)->now;
}

static void world_init(struct world *world, enum hm_log_level level)
{
    memset(world, 0, sizeof *world);
    world->now = UINT64_C(1700000000123);
    hm_log_init(&world->log, level);
    hm_log_redirect(&world->log, on_write, on_wall, world);
}

static void expect(struct world *world, const char *text)
{
    hm_put_u8(&world->text, 0);
    assert_string_equal((char *)world->text.data, text);
    hm_buf_clear(&world->text);
}

static void world_fini(struct world *world)
{
    hm_log_fini(&world->log);
    hm_buf_fini(&world->text);
}

static void test_lines(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, HM_LOG_INFO);
    hm_log_event(&world.log, HM_LOG_INFO, "started", "%s", "");
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=info msg=started\n");
    hm_log_event(&world.log, HM_LOG_ERROR, "it said \"no\"", "peer=%s n=%d", "10.0.0.1:9610", 4);
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=error msg=\"it said \\\"no\\\"\" "
                   "peer=10.0.0.1:9610 n=4\n");
    hm_log_event(&world.log, HM_LOG_DEBUG, "unheard", "%s", "");
    expect(&world, "");
    hm_log_line(&world.log, HM_LOG_WARN, hm_bytes_of_text("msg=\"a\nts=fake\x7f\""));
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=warn msg=\"a\\x0ats=fake\\x7f\"\n");
    world_fini(&world);
}

static void test_repeats(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, HM_LOG_INFO);
    for (int i = 0; i < 42; i++) {
        hm_log_event(&world.log, HM_LOG_INFO, "again", "%s", "");
    }
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=info msg=again\n");
    world.now += HM_LOG_REPEAT_MS;
    hm_log_event(&world.log, HM_LOG_INFO, "again", "%s", "");
    expect(&world, "ts=2023-11-14T22:13:30.123Z level=info msg=again repeated=42\n");
    hm_log_event(&world.log, HM_LOG_INFO, "again", "%s", "");
    hm_log_event(&world.log, HM_LOG_INFO, "other", "%s", "");
    expect(&world, "ts=2023-11-14T22:13:30.123Z level=info msg=again repeated=1\n"
                   "ts=2023-11-14T22:13:30.123Z level=info msg=other\n");
    hm_log_event(&world.log, HM_LOG_INFO, "other", "%s", "");
    hm_log_flush(&world.log);
    hm_log_flush(&world.log);
    expect(&world, "ts=2023-11-14T22:13:30.123Z level=info msg=other repeated=1\n");
    world_fini(&world);
}

static void test_what_is_not_read_is_counted(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, HM_LOG_INFO);
    world.full = true;
    hm_log_event(&world.log, HM_LOG_INFO, "one", "%s", "");
    hm_log_event(&world.log, HM_LOG_INFO, "two", "%s", "");
    expect(&world, "");
    world.full = false;
    hm_log_event(&world.log, HM_LOG_INFO, "three", "%s", "");
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=warn msg=\"log lines lost\" lines=2 "
                   "reason=\"they were not read as fast\"\n"
                   "ts=2023-11-14T22:13:20.123Z level=info msg=three\n");
    hm_log_event(&world.log, HM_LOG_INFO, "four", "%s", "");
    expect(&world, "ts=2023-11-14T22:13:20.123Z level=info msg=four\n");
    world_fini(&world);
}

/* Standard error is a pipe that nobody reads: what is logged returns all the same. */
static void test_a_full_pipe_does_not_stop_us(void **state)
{
    (void)state;
    struct hm_log log;
    int ends[2];
    int before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    hm_log_init(&log, HM_LOG_INFO);
    alarm(20);
    for (int i = 0; i < 5000; i++) {
        hm_log_event(&log, HM_LOG_INFO, "line", "n=%d", i);
    }
    alarm(0);
    dup2(before, STDERR_FILENO);
    assert_true(log.lost > 1000 && log.lost < 5000);
    hm_log_fini(&log);
    close(before);
    close(ends[0]);
    close(ends[1]);
}

static void test_values(void **state)
{
    (void)state;
    const char *const rows[][2] = {
        {"plain", "plain"}, {"", "\"\""},           {"a b", "\"a b\""},
        {"a=b", "\"a=b\""}, {"a\\b", "\"a\\\\b\""}, {"tab\t", "\"tab\\x09\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hm_buf out = {0};
        hm_log_value(&out, hm_bytes_of_text(rows[i][0]));
        assert_true(hm_bytes_equal(hm_buf_view(&out), hm_bytes_of_text(rows[i][1])));
        hm_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_what_is_not_read_is_counted),
        cmocka_unit_test(test_a_full_pipe_does_not_stop_us),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
