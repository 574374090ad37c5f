/* From the catalog to nginx's routing table: who becomes an endpoint, and of which state. */
#include "core/base/memory.h"
#include "ngx_hivemind/follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A view that is changed by hand, and its catalog. */
struct fixture {
    struct hm_view view;
    struct hm_catalog *catalog;
    struct hm_draft draft;
    void *shown; /* the draft as a snapshot */
    struct hm_table_view table;
};

static void ignore(void *context, const struct hm_change_note *note)
{
    (void)context;
    (void)note;
}

static int set_up(void **state)
{
    struct fixture *fixture = hm_alloc(1, sizeof *fixture);
    fixture->catalog = hm_catalog_new(&fixture->view, ignore, NULL);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    hm_catalog_free(fixture->catalog);
    hm_view_fini(&fixture->view);
    hm_draft_fini(&fixture->draft);
    hm_free(fixture->shown);
    hm_free(fixture);
    return 0;
}

static void evolve(struct fixture *fixture, const struct hm_message *body)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, body);
    uint64_t position = ++fixture->view.index;
    struct hm_event event = {.index = position,
                             .members_position = position,
                             .state_position = position,
                             .body = hm_buf_view(&bytes)};
    assert_int_equal(hm_view_evolve(&fixture->view, &event), HM_OK);
    hm_buf_fini(&bytes);
}

/* Joins a host at 10.0.0.NUMBER that offers one service as it is given. */
static void add_host(struct fixture *fixture, uint8_t number, const char *name,
                     const struct hm_service *service)
{
    struct hm_label roles[] = {{hm_name_of("host")}};
    struct hm_id id = {{number}};
    struct hm_message body = {.kind = HM_MSG_member_joined};
    body.member_joined.member = (struct hm_member){
        .id = id,
        .name = hm_name_of(name),
        .addr = {.family = 4, .ip = {10, 0, 0, number}, .port = 9610},
        .roles = roles,
        .roles_count = 1,
    };
    evolve(fixture, &body);
    struct hm_service services[] = {*service};
    struct hm_buf bytes = {0};
    struct hm_message config = {.kind = HM_MSG_host_config};
    config.host_config.services = services;
    config.host_config.services_count = 1;
    hm_message_encode(&bytes, &config);
    body = (struct hm_message){.kind = HM_MSG_host_changed};
    body.host_changed.state =
        (struct hm_host_state){.host = id, .version = {1, 1}, .config = hm_buf_view(&bytes)};
    evolve(fixture, &body);
    hm_buf_fini(&bytes);
    hm_catalog_refresh(fixture->catalog, &id);
}

static void add_vhost(struct fixture *fixture, const char *name, const char *service)
{
    struct hm_message body = {.kind = HM_MSG_record_changed};
    body.record_changed.change = (struct hm_change){.scope = hm_name_of(HM_SCOPE_VHOSTS),
                                                    .key = hm_bytes_of_text(name),
                                                    .present = true,
                                                    .value = hm_bytes_of_text(service)};
    evolve(fixture, &body);
}

static struct hm_table_service follow(struct fixture *fixture, const char *vhost)
{
    struct hm_table_service service = {0};
    hm_draft_fini(&fixture->draft);
    hm_table_follow(&fixture->draft, fixture->catalog, &fixture->view);
    size_t size = hm_table_snapshot_bytes(&fixture->draft);
    hm_free(fixture->shown);
    fixture->shown = hm_alloc(1, size);
    assert_int_equal(hm_table_snapshot_encode(&fixture->draft, fixture->shown, size), HM_OK);
    assert_true(hm_table_view_open(&fixture->table, fixture->shown, size));
    assert_true(hm_table_view_vhost(&fixture->table, hm_bytes_of_text(vhost), &service));
    return service;
}

static void states_follow_checks_and_drains(void **state)
{
    struct fixture *fixture = *state;
    struct hm_service web = {.name = hm_name_of("web"), .port = 8080, .weight = 10};
    add_host(fixture, 1, "unchecked", &web);
    web.checked = true;
    web.health = 1;
    add_host(fixture, 2, "passing", &web);
    web.health = 2;
    add_host(fixture, 3, "failing", &web);
    web.health = 0;
    add_host(fixture, 4, "unknown", &web);
    web.health = 1;
    web.draining = true;
    add_host(fixture, 5, "draining", &web);
    add_vhost(fixture, "shop.example", "web");
    struct hm_table_service service = follow(fixture, "shop.example");
    assert_true(hm_name_is(&service.name, "web"));
    assert_int_equal(service.counts[HM_TABLE_PASSING], 2);
    assert_int_equal(service.weights[HM_TABLE_PASSING], 20);
    assert_int_equal(service.counts[HM_TABLE_SUSPECT], 1);
    assert_int_equal(service.counts[HM_TABLE_DRAINING], 2);
    struct hm_table_endpoint endpoint;
    char text[HM_ADDR_TEXT_BYTES];
    assert_true(hm_table_view_endpoint(&fixture->table, service.first + 2, &endpoint));
    assert_true(hm_name_is(&endpoint.host, "failing"));
    assert_string_equal(hm_addr_format(&endpoint.addr, text), "10.0.0.3:8080");
}

static void a_suspected_host_comes_last(void **state)
{
    struct fixture *fixture = *state;
    struct hm_service web = {.name = hm_name_of("web"), .port = 8080, .weight = 10};
    struct hm_id id = {{1}};
    add_host(fixture, 1, "a", &web);
    add_host(fixture, 2, "b", &web);
    add_vhost(fixture, "shop.example", "web");
    hm_catalog_suspect(fixture->catalog, &id, 1000);
    assert_int_equal(follow(fixture, "shop.example").counts[HM_TABLE_SUSPECT], 1);
    hm_catalog_suspect(fixture->catalog, &id, 0);
    assert_int_equal(follow(fixture, "shop.example").counts[HM_TABLE_PASSING], 2);
}

static void a_virtual_host_outlives_its_instances(void **state)
{
    struct fixture *fixture = *state;
    add_vhost(fixture, "a.example", "gone");
    add_vhost(fixture, "b.example", "gone");
    struct hm_table_service service = follow(fixture, "B.example");
    assert_true(hm_name_is(&service.name, "gone"));
    assert_int_equal(service.counts[HM_TABLE_PASSING], 0);
    assert_int_equal(fixture->table.vhost_count, 2);
    assert_int_equal(fixture->table.service_count, 1);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(states_follow_checks_and_drains),
        ROW(a_suspected_host_comes_last),
        ROW(a_virtual_host_outlives_its_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
