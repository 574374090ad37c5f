/* A role that requires another: its node is ready while a node of that is to be reached. */
#include "core/base/memory.h"
#include "tests/unit/node_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const app_roles[] = {"app", NULL};
static const char *const app_requires[] = {"dns", NULL};
static const struct hm_module app_module = {.abi = HM_MODULE_ABI,
                                            .kind = HM_MODULE_ROLE,
                                            .name = "app",
                                            .performs = app_roles,
                                            .requires = app_requires};

enum { C1, C2, C3, APP, H1, H2, H3, H4, D1 };

/* On one ring: who watches the dns node is not the one who needs it. */
static void start_all(struct cluster *cluster, uint64_t seed)
{
    *cluster = (struct cluster){.seed = seed, .rings = 1};
    start(cluster, "c1", &control_module, true);
    start(cluster, "c2", &control_module, false);
    start(cluster, "c3", &control_module, false);
    start(cluster, "app", &app_module, false);
    start(cluster, "h1", &host_module, false);
    start(cluster, "h2", &host_module, false);
    start(cluster, "h3", &host_module, false);
    start(cluster, "h4", &host_module, false);
    run_for(cluster, 20000);
}

static bool app_is_ready(struct cluster *cluster)
{
    return hm_node_is_ready(cluster->nodes[APP]);
}

static void check_verdict(struct cluster *cluster, enum hm_status status, const char *part)
{
    struct hm_arena arena = {0};
    struct hm_message reply;
    struct hm_buf bytes = {0};
    char text[256] = "";
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_status_query});
    hm_buf_clear(&cluster->reply);
    hm_node_control(cluster->nodes[APP], cluster->now, 1, hm_buf_view(&bytes));
    drain(cluster, APP);
    assert_int_equal(
        hm_message_decode_only(hm_buf_view(&cluster->reply), HM_MSG_status_reply, &arena, &reply),
        HM_OK);
    memcpy(text, reply.status_reply.verdict.data, reply.status_reply.verdict.size);
    assert_int_equal(reply.status_reply.status, status);
    assert_non_null(strstr(text, part));
    hm_arena_fini(&arena);
    hm_buf_fini(&bytes);
}

static void test_no_member_has_it(void **state)
{
    (void)state;
    struct cluster cluster;
    start_all(&cluster, 1);
    assert_false(app_is_ready(&cluster));
    check_verdict(&cluster, HM_NOT_READY, "role dns is required and no member has it");
    start(&cluster, "d1", &dns_module, false);
    run_for(&cluster, 3000);
    assert_true(app_is_ready(&cluster));
    check_verdict(&cluster, HM_OK, "healthy");
    cluster.dead[D1] = true; /* the quorum removes it */
    run_for(&cluster, 10000);
    assert_false(app_is_ready(&cluster));
    check_verdict(&cluster, HM_NOT_READY, "role dns is required and no member has it");
    finish(&cluster);
}

/* Nobody is removed then. Whoever has the role is found gone by the one who needs it. */
static void test_without_quorum_a_dead_one_counts_not(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct cluster cluster;
        start_all(&cluster, seed);
        start(&cluster, "d1", &dns_module, false);
        run_for(&cluster, 3000);
        assert_true(app_is_ready(&cluster));
        cluster.dead[C1] = cluster.dead[C2] = true;
        run_for(&cluster, 20000); /* it is asked again and again, and lives */
        assert_true(app_is_ready(&cluster));
        cluster.dead[D1] = true;
        for (hm_ms until = cluster.now + 15000; app_is_ready(&cluster);) {
            assert_true(cluster.now < until);
            step(&cluster);
        }
        assert_int_equal(members(&cluster, APP), 9);
        check_verdict(&cluster, HM_NOT_READY, "none of the 1 members that have it answers");
        for (hm_ms until = cluster.now + 30000; cluster.now < until;) { /* nor now and then */
            step(&cluster);
            assert_false(app_is_ready(&cluster));
        }
        hm_node_free(cluster.nodes[D1]);
        boot(&cluster, D1);
        run_for(&cluster, 3000);
        assert_true(app_is_ready(&cluster));
        finish(&cluster);
    }
}

/* One of two is enough, and which it is may change. */
static void test_another_takes_its_place(void **state)
{
    (void)state;
    struct cluster cluster;
    start_all(&cluster, 3);
    start(&cluster, "d1", &dns_module, false);
    size_t second = start(&cluster, "d2", &dns_module, false);
    run_for(&cluster, 3000);
    cluster.dead[C1] = cluster.dead[C2] = true;
    cluster.dead[D1] = true;
    for (hm_ms until = cluster.now + 30000; cluster.now < until;) {
        step(&cluster);
        assert_true(app_is_ready(&cluster));
    }
    cluster.dead[second] = true;
    run_for(&cluster, 15000);
    assert_false(app_is_ready(&cluster));
    finish(&cluster);
}

/* It stops and comes back within moments. */
static void test_a_restart_is_no_loss(void **state)
{
    (void)state;
    struct cluster cluster;
    start_all(&cluster, 5);
    start(&cluster, "d1", &dns_module, false);
    run_for(&cluster, 3000);
    hm_node_stop(cluster.nodes[D1], cluster.now);
    drain(&cluster, D1);
    run_for(&cluster, 1000);
    assert_true(cluster.stopped[D1]);
    cluster.dead[D1] = true;
    for (hm_ms until = cluster.now + 1500; cluster.now < until;) {
        step(&cluster);
        assert_true(app_is_ready(&cluster));
    }
    hm_node_free(cluster.nodes[D1]);
    boot(&cluster, D1);
    for (hm_ms until = cluster.now + 8000; cluster.now < until;) {
        step(&cluster);
        assert_true(app_is_ready(&cluster));
    }
    finish(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_member_has_it),
        cmocka_unit_test(test_without_quorum_a_dead_one_counts_not),
        cmocka_unit_test(test_another_takes_its_place),
        cmocka_unit_test(test_a_restart_is_no_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
