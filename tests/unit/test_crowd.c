/* How long joiners wait for one another. */
#include "core/engine/crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LONGEST_MS 400u

static void test_the_first_after_a_quiet_time_waits_for_nobody(void **state)
{
    (void)state;
    struct hm_crowd crowd = {0};
    assert_int_equal(hm_crowd_wait(&crowd, 5000), 0);
    hm_crowd_add(&crowd, 1);
    assert_true(hm_crowd_wait(&crowd, 5010) > 0);
    hm_ms now = 5010;
    for (unsigned i = 0; i < 3; i++) {
        now += 1000;
        (void)hm_crowd_wait(&crowd, now);
    }
    assert_int_equal(hm_crowd_wait(&crowd, now + 1), 0);
}

static void test_the_longest_wait_is_bounded(void **state)
{
    (void)state;
    struct hm_crowd crowd = {0};
    (void)hm_crowd_wait(&crowd, 5000);
    for (unsigned i = 0; i < 100; i++) {
        hm_crowd_add(&crowd, UINT32_MAX / 2); /* nor does it run over */
        assert_true(hm_crowd_wait(&crowd, 5001 + i) <= LONGEST_MS);
    }
    assert_int_equal(hm_crowd_wait(&crowd, 5200), LONGEST_MS);
}

/* `count` come within `spread` milliseconds; returns in how many batches they are let in. */
static unsigned batches(unsigned count, hm_ms spread)
{
    struct hm_crowd crowd = {0};
    unsigned batches = 0;
    uint32_t waiting = 0;
    hm_ms flush_at = HM_NEVER;
    for (hm_ms now = 5000; now <= 5000 + spread + LONGEST_MS; now++) {
        hm_ms since = now - 5000;
        unsigned before = since ? (unsigned)((since - 1) * count / spread) : 0;
        unsigned come = since < spread ? (unsigned)(since * count / spread) : count;
        waiting += come > before ? come - before : 0;
        if (waiting && flush_at == HM_NEVER) {
            flush_at = now + hm_crowd_wait(&crowd, now);
        }
        if (now >= flush_at) {
            hm_crowd_add(&crowd, waiting);
            waiting = 0;
            flush_at = HM_NEVER;
            batches++;
        }
    }
    assert_int_equal(waiting, 0);
    return batches;
}

static void test_a_crowd_comes_in_eight_batches(void **state)
{
    (void)state;
    for (unsigned count = 100; count <= 2000; count += 100) {
        assert_true(batches(count, count < 1000 ? count : 1000) <= 8);
    }
    assert_int_equal(batches(1, 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_after_a_quiet_time_waits_for_nobody),
        cmocka_unit_test(test_the_longest_wait_is_bounded),
        cmocka_unit_test(test_a_crowd_comes_in_eight_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
