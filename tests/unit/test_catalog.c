/* The catalog: which config of a host counts, who offers what, and what is told of changes. */
#include "core/base/memory.h"
#include "core/node/catalog/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A view that is changed by hand, its catalog, and the notes since the last look. */
struct fixture {
    struct hm_view view;
    struct hm_catalog *catalog;
    struct hm_buf notes;
    struct hm_buf printed;
    uint64_t position;
};

static void note(void *context, const struct hm_change_note *note)
{
    static const char *const kinds[] = {"service", "host", "vhost", "record", "members", "all"};
    struct fixture *fixture = context;
    hm_buf_printf(&fixture->notes, "%s%s", fixture->notes.size ? " " : "", kinds[note->kind]);
    if (note->name.size) {
        hm_buf_printf(&fixture->notes, ":%s", note->name.text);
    }
    if (note->key.size) {
        hm_buf_printf(&fixture->notes, ":%.*s", (int)note->key.size, (const char *)note->key.data);
    }
}

/* Tells whether the notes since the last look are these, and starts anew. */
static void expect_notes(struct fixture *fixture, const char *expected)
{
    hm_put_u8(&fixture->notes, 0);
    assert_string_equal(fixture->notes.data, expected);
    hm_buf_clear(&fixture->notes);
}

static int set_up(void **state)
{
    struct fixture *fixture = hm_alloc(1, sizeof *fixture);
    fixture->catalog = hm_catalog_new(&fixture->view, note, fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    hm_catalog_free(fixture->catalog);
    hm_view_fini(&fixture->view);
    hm_buf_fini(&fixture->notes);
    hm_buf_fini(&fixture->printed);
    hm_free(fixture);
    return 0;
}

static struct hm_id id_of(uint8_t number)
{
    return (struct hm_id){{number}};
}

static struct hm_addr addr_of(const char *text)
{
    struct hm_addr addr = {0};
    assert_true(hm_addr_parse(text, 0, &addr));
    return addr;
}

static void evolve(struct fixture *fixture, const struct hm_message *body)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, body);
    fixture->position++;
    struct hm_event event = {.index = fixture->position,
                             .members_position = fixture->position,
                             .state_position = fixture->position,
                             .body = hm_buf_view(&bytes)};
    assert_int_equal(hm_view_evolve(&fixture->view, &event), HM_OK);
    hm_buf_fini(&bytes);
}

static void join_at(struct fixture *fixture, uint8_t number, const char *name, const char *role,
                    const char *addr)
{
    struct hm_label roles[] = {{hm_name_of(role)}};
    struct hm_message body = {.kind = HM_MSG_member_joined};
    body.member_joined.member = (struct hm_member){.id = id_of(number),
                                                   .name = hm_name_of(name),
                                                   .addr = addr_of(addr),
                                                   .roles = roles,
                                                   .roles_count = 1};
    evolve(fixture, &body);
    hm_catalog_refresh(fixture->catalog, &body.member_joined.member.id);
}

static void join(struct fixture *fixture, uint8_t number, const char *name)
{
    char addr[32];
    snprintf(addr, sizeof addr, "10.0.0.%u:9610", number);
    join_at(fixture, number, name, "host", addr);
    hm_buf_clear(&fixture->notes);
}

static void leave(struct fixture *fixture, uint8_t number)
{
    struct hm_id id = id_of(number);
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_member_failed, .member_failed = {.id = id}});
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_host_removed, .host_removed = {.host = id}});
    hm_catalog_refresh(fixture->catalog, &id);
}

/* A config of services "name:port"; the tests change `services` before they use it. */
struct config {
    struct hm_service services[4];
    struct hm_address addresses[4];
    struct hm_host_config config;
};

static struct hm_host_config *config_of(struct config *config, const char *first,
                                        const char *second)
{
    const char *names[] = {first, second};
    *config = (struct config){0};
    config->config.services = config->services;
    config->config.addresses = config->addresses;
    for (uint32_t i = 0; i < 2 && names[i]; i++) {
        config->services[i] = (struct hm_service){
            .name = hm_name_of(names[i]), .port = (uint16_t)(8080 + i), .weight = 100};
        config->config.services_count = i + 1;
    }
    return &config->config;
}

static enum hm_status push(struct fixture *fixture, uint8_t number, uint64_t boot, uint64_t seq,
                           const struct hm_host_config *config)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = *config});
    struct hm_host_state state = {
        .host = id_of(number), .version = {boot, seq}, .config = hm_buf_view(&bytes)};
    enum hm_status status = hm_catalog_push(fixture->catalog, &state);
    hm_buf_fini(&bytes);
    return status;
}

static void commit(struct fixture *fixture, uint8_t number, uint64_t boot, uint64_t seq,
                   const struct hm_host_config *config)
{
    struct hm_buf bytes = {0};
    struct hm_id id = id_of(number);
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = *config});
    struct hm_message body = {.kind = HM_MSG_host_changed};
    body.host_changed.state =
        (struct hm_host_state){.host = id, .version = {boot, seq}, .config = hm_buf_view(&bytes)};
    evolve(fixture, &body);
    hm_catalog_refresh(fixture->catalog, &id);
    hm_buf_fini(&bytes);
}

static void print_instance(void *context, const struct hm_catalog_instance *instance)
{
    struct fixture *fixture = context;
    char addr[HM_ADDR_TEXT_BYTES];
    hm_buf_printf(&fixture->printed, "%s%s %s%s%s%s%s", fixture->printed.size ? "; " : "",
                  instance->host->name.text, hm_addr_format(&instance->addr, addr),
                  instance->served ? " served" : "", instance->healthy ? " healthy" : "",
                  *instance->reason ? " " : "", instance->reason);
}

static void expect_instances(struct fixture *fixture, const char *service, const char *expected)
{
    struct hm_name name = hm_name_of(service);
    hm_buf_clear(&fixture->printed);
    hm_catalog_instances(fixture->catalog, &name, print_instance, fixture);
    hm_put_u8(&fixture->printed, 0);
    assert_string_equal(fixture->printed.data, expected);
}

static uint64_t seq_served(struct fixture *fixture, uint8_t number)
{
    struct hm_id id = id_of(number);
    const struct hm_catalog_host *host = hm_catalog_host(fixture->catalog, &id);
    return host ? host->version.seq : 0;
}

static void higher_version_wins(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    join(fixture, 1, "a");
    commit(fixture, 1, 1, 1, config_of(&config, "web", NULL));
    expect_notes(fixture, "service:web host:a");
    assert_int_equal(push(fixture, 1, 1, 3, config_of(&config, "api", NULL)), HM_OK);
    expect_notes(fixture, "service:api service:web host:a");
    expect_instances(fixture, "web", "");
    expect_instances(fixture, "api", "a 10.0.0.1:8080 served healthy");

    /* What is older, pushed or committed, changes nothing. */
    assert_int_equal(push(fixture, 1, 1, 2, config_of(&config, "old", NULL)), HM_OK);
    commit(fixture, 1, 1, 2, config_of(&config, "old", NULL));
    expect_notes(fixture, "");
    assert_int_equal(seq_served(fixture, 1), 3);
    struct hm_id id = id_of(1);
    assert_int_equal(hm_catalog_host(fixture->catalog, &id)->committed.seq, 2);

    /* The boot counts before the seq. */
    commit(fixture, 1, 2, 1, config_of(&config, "new", NULL));
    expect_instances(fixture, "new", "a 10.0.0.1:8080 served healthy");
    assert_int_equal(push(fixture, 1, 1, 9, config_of(&config, "old", NULL)), HM_OK);
    assert_int_equal(seq_served(fixture, 1), 1);
}

static void only_members_are_served(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_name name = hm_name_of("A");
    assert_int_equal(push(fixture, 1, 1, 1, config_of(&config, "web", NULL)), HM_NOT_FOUND);
    commit(fixture, 1, 1, 1, config_of(&config, "web", NULL));
    assert_int_equal(seq_served(fixture, 1), 0);
    join(fixture, 1, "a");
    assert_int_equal(seq_served(fixture, 1), 1);
    assert_non_null(hm_catalog_host_named(fixture->catalog, &name));
    assert_int_equal(push(fixture, 1, 1, 2, config_of(&config, "web", NULL)), HM_OK);
    hm_buf_clear(&fixture->notes);
    leave(fixture, 1);
    expect_notes(fixture, "service:web host:a members:host");
    assert_null(hm_catalog_host_named(fixture->catalog, &name));
    expect_instances(fixture, "web", "");
    /* Back in with nothing: what was pushed before is forgotten. */
    join(fixture, 1, "a");
    assert_int_equal(seq_served(fixture, 1), 0);
}

/* Without a record, while the host is a member: its versions do not begin anew. */
static void nothing_goes_back(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_id id = id_of(1);
    join(fixture, 1, "a");
    assert_int_equal(push(fixture, 1, 1, 2, config_of(&config, "old", NULL)), HM_OK);
    commit(fixture, 1, 1, 5, config_of(&config, "web", NULL));
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_host_removed, .host_removed = {.host = id}});
    hm_catalog_refresh(fixture->catalog, &id);
    assert_int_equal(seq_served(fixture, 1), 0);
    assert_int_equal(push(fixture, 1, 1, 3, config_of(&config, "old", NULL)), HM_OK);
    commit(fixture, 1, 1, 4, config_of(&config, "old", NULL));
    assert_int_equal(seq_served(fixture, 1), 0);
    assert_int_equal(push(fixture, 1, 1, 6, config_of(&config, "new", NULL)), HM_OK);
    assert_int_equal(seq_served(fixture, 1), 6);
}

/* In again, without what it serves: what it pushed in its life before goes with its record. */
static void a_push_counts_for_one_life(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_id id = id_of(1);
    join(fixture, 1, "a");
    commit(fixture, 1, 1, 1, config_of(&config, "web", NULL));
    assert_int_equal(push(fixture, 1, 1, 2, config_of(&config, "web", NULL)), HM_OK);
    struct hm_member again = *hm_members_find(&fixture->view.members, &id);
    again.joined = fixture->position + 1;
    struct hm_label role = again.roles[0];
    again.roles = &role;
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_member_joined, .member_joined = {.member = again}});
    hm_catalog_refresh(fixture->catalog, &id);
    assert_int_equal(seq_served(fixture, 1), 2); /* the feed of records is behind */
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_host_removed, .host_removed = {.host = id}});
    hm_catalog_refresh(fixture->catalog, &id);
    assert_int_equal(seq_served(fixture, 1), 0);
}

static void bad_config_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    join(fixture, 1, "a");
    assert_int_equal(push(fixture, 1, 1, 1, config_of(&config, "web", NULL)), HM_OK);
    hm_buf_clear(&fixture->notes);
    struct hm_host_state bad = {
        .host = id_of(1), .version = {1, 2}, .config = hm_bytes_of_text("no config")};
    assert_int_equal(hm_catalog_push(fixture->catalog, &bad), HM_BAD_BYTES);
    expect_notes(fixture, "");
    assert_int_equal(seq_served(fixture, 1), 1);
}

static void only_what_differs_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_domain shop = {hm_bytes_of_text("shop.example")};
    struct hm_domain news = {hm_bytes_of_text("news.example")};
    join(fixture, 1, "a");
    config_of(&config, "web", "api");
    config.services[0].vhosts = &shop;
    config.services[0].vhosts_count = 1;
    assert_int_equal(push(fixture, 1, 1, 1, &config.config), HM_OK);
    expect_notes(fixture, "service:api service:web vhost:shop.example host:a");
    config.services[1].health = 1;
    assert_int_equal(push(fixture, 1, 1, 2, &config.config), HM_OK);
    expect_notes(fixture, "service:api host:a");
    config.services[0].vhosts = &news;
    assert_int_equal(push(fixture, 1, 1, 3, &config.config), HM_OK);
    expect_notes(fixture, "service:web vhost:news.example vhost:shop.example host:a");
    config.services[0].draining = true;
    assert_int_equal(push(fixture, 1, 1, 4, &config.config), HM_OK);
    expect_notes(fixture, "service:web vhost:news.example host:a");
    config.addresses[0].addr = addr_of("192.0.2.1");
    config.config.addresses_count = 1;
    assert_int_equal(push(fixture, 1, 1, 5, &config.config), HM_OK);
    expect_notes(fixture, "service:api service:web vhost:news.example host:a");
}

static void roles_and_moves_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    join_at(fixture, 1, "a", "dns", "10.0.0.1:9610");
    expect_notes(fixture, "members:dns");
    assert_int_equal(push(fixture, 1, 1, 1, config_of(&config, "web", NULL)), HM_OK);
    hm_buf_clear(&fixture->notes);
    join_at(fixture, 1, "a", "dns", "10.0.0.1:9610");
    expect_notes(fixture, "");
    join_at(fixture, 1, "a", "nginx", "10.0.0.1:9610");
    expect_notes(fixture, "members:dns members:nginx");
    join_at(fixture, 1, "a", "nginx", "10.0.0.9:9610");
    expect_notes(fixture, "service:web host:a members:nginx");
    expect_instances(fixture, "web", "a 10.0.0.9:8080 served healthy");
}

static void instances_are_in_order_of_hosts(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    join(fixture, 3, "a");
    join(fixture, 1, "c");
    join(fixture, 2, "b");
    config_of(&config, "web", NULL);
    config.addresses[0].addr = addr_of("192.0.2.1");
    config.addresses[1].addr = addr_of("2001:db8::1");
    config.config.addresses_count = 2;
    assert_int_equal(push(fixture, 1, 1, 1, &config.config), HM_OK);
    assert_int_equal(push(fixture, 2, 1, 1, config_of(&config, "web", "web")), HM_OK);
    assert_int_equal(push(fixture, 3, 1, 1, config_of(&config, "web", NULL)), HM_OK);
    expect_instances(fixture, "WEB",
                     "a 10.0.0.3:8080 served healthy; b 10.0.0.2:8080 served healthy; "
                     "b 10.0.0.2:8081 served healthy; c 192.0.2.1:8080 served healthy; "
                     "c [2001:db8::1]:8080 served healthy");
    assert_int_equal(push(fixture, 2, 1, 2, config_of(&config, "api", NULL)), HM_OK);
    leave(fixture, 3);
    expect_instances(fixture, "web",
                     "c 192.0.2.1:8080 served healthy; c [2001:db8::1]:8080 served healthy");
}

static void health_says_what_is_served(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_service *service = config.services;
    join(fixture, 1, "a");
    config_of(&config, "web", NULL);
    service->checked = true;
    assert_int_equal(push(fixture, 1, 1, 1, &config.config), HM_OK);
    expect_instances(fixture, "web", "a 10.0.0.1:8080 waiting for its first pass");
    service->health = 1;
    assert_int_equal(push(fixture, 1, 1, 2, &config.config), HM_OK);
    expect_instances(fixture, "web", "a 10.0.0.1:8080 served healthy");
    service->health = 2;
    assert_int_equal(push(fixture, 1, 1, 3, &config.config), HM_OK);
    expect_instances(fixture, "web", "a 10.0.0.1:8080 served failing its check");
    service->health = 1;
    service->draining = true;
    assert_int_equal(push(fixture, 1, 1, 4, &config.config), HM_OK);
    expect_instances(fixture, "web", "a 10.0.0.1:8080 healthy draining");
}

/* Member and record go by different feeds; between the two the host is still served. */
static void the_brake_keeps_instances(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_id one = id_of(1);
    char key[HM_ID_TEXT_BYTES];
    struct hm_buf value = {0};
    join(fixture, 1, "a");
    commit(fixture, 1, 1, 1, config_of(&config, "web", NULL));
    hm_buf_clear(&fixture->notes);
    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_member_failed, .member_failed = {.id = one}});
    hm_catalog_refresh(fixture->catalog, &one);
    expect_instances(fixture, "web", "a 10.0.0.1:8080 served healthy");

    hm_message_encode(&value, &(struct hm_message){.kind = HM_MSG_braked,
                                                   .braked = {.name = hm_name_of("a"),
                                                              .addr = addr_of("10.0.0.1:9610")}});
    struct hm_message mark = {.kind = HM_MSG_record_changed};
    mark.record_changed.change =
        (struct hm_change){.scope = hm_name_of(HM_SCOPE_BRAKED),
                           .key = hm_bytes_of_text(hm_id_format(&one, key)),
                           .present = true,
                           .value = hm_buf_view(&value)};
    hm_buf_clear(&fixture->notes);
    evolve(fixture, &mark);
    hm_catalog_refresh(fixture->catalog, &one);
    expect_notes(fixture, "service:web members:host");
    expect_instances(fixture, "web",
                     "a 10.0.0.1:8080 served healthy failed, kept by the removal brake");
    hm_catalog_reload(fixture->catalog);
    expect_instances(fixture, "web",
                     "a 10.0.0.1:8080 served healthy failed, kept by the removal brake");

    evolve(fixture,
           &(struct hm_message){.kind = HM_MSG_host_removed, .host_removed = {.host = one}});
    hm_catalog_refresh(fixture->catalog, &one);
    expect_instances(fixture, "web", "");
    hm_buf_fini(&value);
}

static void suspicion_ends_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_id one = id_of(1);
    struct hm_id two = id_of(2);
    join(fixture, 1, "a");
    join(fixture, 2, "b");
    assert_int_equal(push(fixture, 1, 1, 1, config_of(&config, "web", NULL)), HM_OK);
    assert_int_equal(push(fixture, 2, 1, 1, config_of(&config, "web", NULL)), HM_OK);
    hm_buf_clear(&fixture->notes);
    assert_int_equal(hm_catalog_deadline(fixture->catalog), HM_NEVER);
    hm_catalog_suspect(fixture->catalog, &one, 500);
    hm_catalog_suspect(fixture->catalog, &two, 400);
    expect_notes(fixture, "service:web service:web");
    expect_instances(fixture, "web",
                     "a 10.0.0.1:8080 served healthy suspect; "
                     "b 10.0.0.2:8080 served healthy suspect");
    hm_catalog_suspect(fixture->catalog, &two, 450);
    expect_notes(fixture, "");
    assert_true(hm_catalog_deadline(fixture->catalog) <= 450);
    hm_catalog_tick(fixture->catalog, 449);
    expect_notes(fixture, "");
    hm_catalog_tick(fixture->catalog, 450);
    expect_notes(fixture, "service:web");
    assert_int_equal(hm_catalog_deadline(fixture->catalog), 500);
    hm_catalog_suspect(fixture->catalog, &one, 0);
    expect_notes(fixture, "service:web");
    hm_catalog_tick(fixture->catalog, 600);
    expect_notes(fixture, "");
    assert_int_equal(hm_catalog_deadline(fixture->catalog), HM_NEVER);
}

static void records_are_told_by_scope(void **state)
{
    struct fixture *fixture = *state;
    struct hm_name vhosts = hm_name_of(HM_SCOPE_VHOSTS);
    struct hm_name zones = hm_name_of("zones");
    struct hm_name service = {0};
    struct hm_bytes key = hm_bytes_of_text("shop.example");
    assert_false(hm_catalog_vhost(fixture->catalog, key, &service));
    struct hm_message body = {.kind = HM_MSG_record_changed};
    body.record_changed.change = (struct hm_change){
        .scope = vhosts, .key = key, .present = true, .value = hm_bytes_of_text("web")};
    evolve(fixture, &body);
    hm_catalog_record(fixture->catalog, &vhosts, key);
    expect_notes(fixture, "vhost:shop.example");
    assert_true(hm_catalog_vhost(fixture->catalog, key, &service));
    assert_string_equal(service.text, "web");
    hm_catalog_record(fixture->catalog, &zones, key);
    expect_notes(fixture, "record:shop.example");
}

static void reload_takes_the_whole_view(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    join(fixture, 1, "a");
    join(fixture, 2, "b");
    commit(fixture, 1, 1, 1, config_of(&config, "web", NULL));
    commit(fixture, 2, 1, 1, config_of(&config, "web", NULL));
    assert_int_equal(push(fixture, 2, 1, 5, config_of(&config, "api", NULL)), HM_OK);
    hm_buf_clear(&fixture->notes);
    struct hm_view empty = {0};
    hm_view_fini(&fixture->view);
    fixture->view = empty;
    join_at(fixture, 2, "b", "host", "10.0.0.2:9610");
    commit(fixture, 2, 1, 2, config_of(&config, "web", NULL));
    hm_buf_clear(&fixture->notes);
    hm_catalog_reload(fixture->catalog);
    expect_notes(fixture, "all");
    assert_int_equal(seq_served(fixture, 1), 0);
    assert_int_equal(seq_served(fixture, 2), 5);
    expect_instances(fixture, "web", "");
    expect_instances(fixture, "api", "b 10.0.0.2:8080 served healthy");
    /* Members and records go by different feeds: what has a record is there. */
    struct hm_id two = id_of(2);
    hm_members_remove(&fixture->view.members, &two);
    hm_catalog_reload(fixture->catalog);
    assert_int_equal(seq_served(fixture, 2), 5);
}

/* What is served lives on its own: nothing points into what it was read from. */
static void a_config_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;
    struct hm_random random;
    struct hm_arena arena = {0};
    struct hm_message config;
    struct hm_buf expected = {0};
    struct hm_buf kept = {0};
    struct hm_id id = id_of(1);
    hm_random_init(&random, 7);
    join(fixture, 1, "a");
    for (uint64_t seq = 1; seq <= 50; seq++) {
        hm_message_generate(&random, HM_MSG_host_config, &arena, &config);
        assert_int_equal(push(fixture, 1, 1, seq, &config.host_config), HM_OK);
        hm_buf_clear(&expected);
        hm_buf_clear(&kept);
        hm_message_encode(&expected, &config);
        config.host_config = *hm_catalog_host(fixture->catalog, &id)->config;
        hm_message_encode(&kept, &config);
        assert_true(hm_bytes_equal(hm_buf_view(&expected), hm_buf_view(&kept)));
    }
    hm_buf_fini(&expected);
    hm_buf_fini(&kept);
    hm_arena_fini(&arena);
}

/* Many come and go; what is listed is what is there. */
static void lists_name_everything_once(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    char name[16];
    char service[16];
    for (uint8_t i = 1; i <= 100; i++) {
        snprintf(name, sizeof name, "h%u", i);
        snprintf(service, sizeof service, "s%u", i % 10);
        join(fixture, i, name);
        assert_int_equal(push(fixture, i, 1, 1, config_of(&config, service, NULL)), HM_OK);
    }
    for (uint8_t i = 1; i <= 100; i++) {
        if (i % 10 < 5) {
            leave(fixture, i);
        }
    }
    size_t hosts = 0;
    size_t services = 0;
    size_t cursor = 0;
    while (hm_catalog_next_host(fixture->catalog, &cursor)) {
        hosts++;
    }
    cursor = 0;
    for (const struct hm_name *at; (at = hm_catalog_next_service(fixture->catalog, &cursor));) {
        assert_true(at->text[1] >= '5');
        services++;
    }
    assert_int_equal(hosts, 50);
    assert_int_equal(services, 5);
}

static void keep(struct fixture *fixture, uint8_t number, const char *name, uint64_t seq,
                 const struct hm_host_config *config)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes,
                      &(struct hm_message){.kind = HM_MSG_host_config, .host_config = *config});
    struct hm_message body = {.kind = HM_MSG_lite_kept};
    body.lite_kept.lite = (struct hm_lite){.id = id_of(number),
                                           .name = hm_name_of(name),
                                           .addr = addr_of("10.0.1.1:4000"),
                                           .keeper = id_of(1)};
    body.lite_kept.state = (struct hm_host_state){
        .host = id_of(number), .version = {1, seq}, .config = hm_buf_view(&bytes)};
    evolve(fixture, &body);
    hm_catalog_refresh_lite(fixture->catalog, &body.lite_kept.lite.name);
    hm_buf_fini(&bytes);
}

static void lite_hosts_end_by_their_version(void **state)
{
    struct fixture *fixture = *state;
    struct config config;
    struct hm_id id = id_of(50);
    struct hm_host_config ended = {0};
    struct hm_host_config *living = config_of(&config, "video", NULL);
    config.addresses[0].addr = addr_of("10.0.1.1");
    living->addresses_count = 1;
    join(fixture, 1, "dns");
    assert_int_equal(push(fixture, 50, 1, 2, living), HM_NOT_FOUND); /* not before the commit */
    keep(fixture, 50, "Cam", 2, living);
    expect_notes(fixture, "service:video host:Cam");
    expect_instances(fixture, "video", "Cam 10.0.1.1:8080 served healthy");
    assert_true(hm_id_equal(&hm_catalog_host(fixture->catalog, &id)->keeper, &(struct hm_id){{1}}));
    /* Its end is pushed, and stays whatever repeats what was before. */
    assert_int_equal(push(fixture, 50, 1, 3, &ended), HM_OK);
    expect_instances(fixture, "video", "");
    assert_null(hm_catalog_host(fixture->catalog, &id));
    assert_int_equal(push(fixture, 50, 1, 2, living), HM_OK);
    keep(fixture, 50, "Cam", 2, living);
    hm_catalog_reload(fixture->catalog);
    expect_instances(fixture, "video", "");
    /* A keepalive above it brings it back, and the commit of the end does not hurt that. */
    assert_int_equal(push(fixture, 50, 1, 4, living), HM_OK);
    expect_instances(fixture, "video", "Cam 10.0.1.1:8080 served healthy");
    keep(fixture, 50, "Cam", 3, &ended);
    expect_instances(fixture, "video", "Cam 10.0.1.1:8080 served healthy");
    struct hm_message gone = {.kind = HM_MSG_lite_gone,
                              .lite_gone = {.id = id, .name = hm_name_of("cam")}};
    evolve(fixture, &gone);
    hm_catalog_refresh(fixture->catalog, &id);
    expect_instances(fixture, "video", "");
    assert_int_equal(push(fixture, 50, 1, 6, living), HM_NOT_FOUND);
    hm_catalog_reload(fixture->catalog);
    expect_instances(fixture, "video", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(higher_version_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_members_are_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_goes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_push_counts_for_one_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_config_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_differs_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(roles_and_moves_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_are_in_order_of_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_says_what_is_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_brake_keeps_instances, set_up, tear_down),
        cmocka_unit_test_setup_teardown(suspicion_ends_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_are_told_by_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reload_takes_the_whole_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_config_is_kept_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_name_everything_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lite_hosts_end_by_their_version, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
