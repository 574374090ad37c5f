/* The nginx module's routing table: content, one writer, readers in other processes, dead writers,
 * hostile files; and the balancing over it. */
#include "core/base/random.h"
#include "ngx_hivemind/balance.h"
#include "ngx_hivemind/report.h"
#include "ngx_hivemind/table.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OWNER ((uid_t)-1)
#define GROUP ((gid_t)-1)

struct place {
    char dir[64];
    char path[80];
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->dir, sizeof place->dir, "/tmp/hm-table-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof place->path, "%s/table", place->dir);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    assert_int_equal(rmdir(place->dir), 0); /* nothing else was left there */
    free(place);
    return 0;
}

static enum hm_table_found prepare(const struct place *place, size_t bytes)
{
    enum hm_table_found found;
    assert_int_equal(hm_table_prepare(place->path, bytes, OWNER, GROUP, &found), HM_OK);
    return found;
}

static uint32_t add_service(struct hm_draft *draft, const char *name)
{
    struct hm_name service = hm_name_of(name);
    uint32_t number;
    assert_int_equal(hm_draft_service(draft, &service, &number), HM_OK);
    return number;
}

static void add_endpoint(struct hm_draft *draft, uint32_t service, const char *addr,
                         uint32_t weight, enum hm_table_state state)
{
    struct hm_table_endpoint endpoint = {
        .weight = weight, .state = state, .host = hm_name_of("host-1")};
    assert_true(hm_addr_parse(addr, 0, &endpoint.addr));
    assert_int_equal(hm_draft_endpoint(draft, service, &endpoint), HM_OK);
}

static void add_vhost(struct hm_draft *draft, const char *name, uint32_t service)
{
    assert_int_equal(hm_draft_vhost(draft, hm_bytes_of_text(name), service), HM_OK);
}

/* Every endpoint of "web" and the number of endpoints carry the round, so that a mixture shows. */
static void draft_round(struct hm_draft *draft, uint32_t round)
{
    *draft = (struct hm_draft){0};
    uint32_t web = add_service(draft, "web");
    for (uint32_t i = 0; i < 200 + round % 7; i++) {
        struct hm_table_endpoint endpoint = {
            .addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 80},
            .weight = round % 1000 + 1};
        assert_int_equal(hm_draft_endpoint(draft, web, &endpoint), HM_OK);
    }
}

/* 0 when what is shown is of one round, 1 when it could not be read, 2 when it is a mixture. */
static int check_round(const struct hm_table *table)
{
    struct hm_table_reading reading;
    struct hm_name web = hm_name_of("web");
    for (int attempt = 0; attempt < HM_TABLE_ATTEMPTS * 10; attempt++) {
        struct hm_table_service service = {0};
        if (!hm_table_begin(table, &reading)) {
            continue;
        }
        bool whole = hm_table_view_service(&reading.view, &web, &service);
        uint32_t count = service.counts[HM_TABLE_PASSING];
        uint32_t weight = count ? service.weights[HM_TABLE_PASSING] / count : 0;
        for (uint32_t i = 0; whole && i < count; i++) {
            struct hm_table_endpoint endpoint;
            whole = hm_table_view_endpoint(&reading.view, service.first + i, &endpoint) &&
                    endpoint.weight == weight && endpoint.addr.ip[3] == (uint8_t)i;
        }
        if (hm_table_end(table, &reading)) {
            return whole && count >= 200 ? 0 : 2;
        }
    }
    return 1;
}

static void publish_round(struct hm_table *table, uint32_t round)
{
    struct hm_draft draft;
    draft_round(&draft, round);
    assert_int_equal(hm_table_publish(table, &draft), HM_OK);
    hm_draft_fini(&draft);
}

static void shows_what_was_published(void **state)
{
    struct place *place = *state;
    struct hm_table writer, reader;
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_CREATED);
    assert_int_equal(hm_table_open_writer(&writer, place->path), HM_OK);
    assert_int_equal(hm_table_open_reader(&reader, place->path), HM_OK);

    struct hm_draft draft = {0};
    uint32_t web = add_service(&draft, "web"), api = add_service(&draft, "api");
    assert_int_equal(add_service(&draft, "web"), web);
    add_endpoint(&draft, web, "10.0.0.1:80", 1, HM_TABLE_DRAINING);
    add_endpoint(&draft, web, "10.0.0.2:80", 70000, HM_TABLE_SUSPECT);
    add_endpoint(&draft, web, "[2001:db8::1]:8080", 0, HM_TABLE_PASSING);
    add_endpoint(&draft, api, "10.0.0.3:80", 5, HM_TABLE_SUSPECT);
    add_endpoint(&draft, api, "10.0.0.3:80", 6, HM_TABLE_PASSING); /* the later one counts */
    add_vhost(&draft, "Shop.Example", web);
    add_vhost(&draft, "api.example", api);
    assert_int_equal(hm_draft_vhost(&draft, hm_bytes_of_text("SHOP.example"), api), HM_EXISTS);
    assert_int_equal(hm_draft_vhost(&draft, hm_bytes_of_text(""), api), HM_BAD_ARGUMENT);
    assert_int_equal(hm_table_publish(&writer, &draft), HM_OK);
    hm_draft_fini(&draft);

    struct hm_table_reading reading;
    struct hm_table_service service;
    struct hm_table_endpoint endpoint;
    char text[HM_ADDR_TEXT_BYTES];
    assert_true(hm_table_begin(&reader, &reading));
    assert_true(hm_table_view_vhost(&reading.view, hm_bytes_of_text("shop.EXAMPLE"), &service));
    assert_true(hm_name_is(&service.name, "web"));
    assert_int_equal(service.counts[HM_TABLE_PASSING], 1);
    assert_int_equal(service.counts[HM_TABLE_SUSPECT], 1);
    assert_int_equal(service.counts[HM_TABLE_DRAINING], 1);
    assert_true(hm_table_view_endpoint(&reading.view, service.first, &endpoint));
    assert_string_equal(hm_addr_format(&endpoint.addr, text), "[2001:db8::1]:8080");
    assert_int_equal(endpoint.weight, 1);
    assert_true(hm_table_view_endpoint(&reading.view, service.first + 1, &endpoint));
    assert_int_equal(endpoint.weight, HM_TABLE_WEIGHT_MAX);
    struct hm_name name = hm_name_of("api");
    assert_true(hm_table_view_service(&reading.view, &name, &service));
    assert_int_equal(service.weights[HM_TABLE_PASSING], 6);
    assert_int_equal(service.counts[HM_TABLE_SUSPECT], 0);
    name = hm_name_of("API"); /* services are compared with case, virtual hosts without */
    assert_false(hm_table_view_service(&reading.view, &name, &service));
    assert_false(hm_table_view_vhost(&reading.view, hm_bytes_of_text("other.example"), &service));
    assert_true(hm_table_end(&reader, &reading));
    hm_table_close(&reader);
    hm_table_close(&writer);
}

static void a_reader_notices_that_it_was_overtaken(void **state)
{
    struct place *place = *state;
    struct hm_table writer, reader;
    struct hm_table_reading reading;
    prepare(place, 1 << 20);
    assert_int_equal(hm_table_open_writer(&writer, place->path), HM_OK);
    assert_int_equal(hm_table_open_reader(&reader, place->path), HM_OK);
    assert_true(hm_table_begin(&reader, &reading));
    publish_round(&writer, 1); /* goes to the other half */
    assert_true(hm_table_end(&reader, &reading));
    publish_round(&writer, 2); /* overwrites the one that is being read */
    assert_false(hm_table_end(&reader, &reading));
    hm_table_close(&reader);
    hm_table_close(&writer);
}

static void too_large_a_draft_changes_nothing(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    prepare(place, HM_TABLE_BYTES_MIN);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    publish_round(&table, 3);
    struct hm_draft draft = {0};
    uint32_t web = add_service(&draft, "web");
    for (uint32_t i = 0; hm_table_snapshot_bytes(&draft) <= hm_table_capacity(&table); i++) {
        struct hm_table_endpoint endpoint = {
            .addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 80}};
        assert_int_equal(hm_draft_endpoint(&draft, web, &endpoint), HM_OK);
    }
    assert_int_equal(hm_table_publish(&table, &draft), HM_TOO_LARGE);
    hm_draft_fini(&draft);
    assert_int_equal(hm_table_generation(&table), 1);
    assert_int_equal(check_round(&table), 0);
    hm_table_close(&table);
}

static void one_process_writes(void **state)
{
    struct place *place = *state;
    struct hm_table first, second;
    prepare(place, HM_TABLE_BYTES_MIN);
    assert_int_equal(hm_table_open_writer(&first, place->path), HM_OK);
    assert_int_equal(hm_table_open_writer(&second, place->path), HM_BUSY);
    hm_table_close(&first);
    assert_int_equal(hm_table_open_writer(&second, place->path), HM_OK);
    hm_table_close(&second);
}

static void prepare_keeps_resizes_and_refuses(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    prepare(place, 1 << 20);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    publish_round(&table, 4);
    hm_table_close(&table);
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_KEPT);
    assert_int_equal(prepare(place, 1 << 21), HM_TABLE_RESIZED);
    assert_int_equal(prepare(place, HM_TABLE_BYTES_MIN), HM_TABLE_RESIZED);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    assert_int_equal(check_round(&table), 0);
    struct hm_draft draft = {0};
    uint32_t web = add_service(&draft, "web");
    for (uint32_t i = 0; i < 800; i++) {
        struct hm_table_endpoint endpoint = {
            .addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 80}};
        assert_int_equal(hm_draft_endpoint(&draft, web, &endpoint), HM_OK);
    }
    hm_table_close(&table);
    prepare(place, 1 << 20);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    for (uint32_t i = 800; i < 2000; i++) {
        struct hm_table_endpoint endpoint = {
            .addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .port = 80}};
        assert_int_equal(hm_draft_endpoint(&draft, web, &endpoint), HM_OK);
    }
    assert_int_equal(hm_table_publish(&table, &draft), HM_OK);
    hm_draft_fini(&draft);
    hm_table_close(&table);
    enum hm_table_found found;
    assert_int_equal(hm_table_prepare(place->path, HM_TABLE_BYTES_MIN, OWNER, GROUP, &found),
                     HM_TOO_LARGE);
    assert_int_equal(hm_table_prepare(place->path, 1, OWNER, GROUP, &found), HM_BAD_ARGUMENT);
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_KEPT);
}

/* Flips one byte of the file. */
static void damage(const struct place *place, off_t offset)
{
    int fd = open(place->path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static void a_damaged_half_gives_way_to_the_one_before(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    prepare(place, 1 << 20);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    publish_round(&table, 5);
    publish_round(&table, 6); /* half 0, behind the header */
    hm_table_close(&table);
    damage(place, 4096 + 1000);
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_RESTORED);
    assert_int_equal(hm_table_open_reader(&table, place->path), HM_OK);
    assert_int_equal(check_round(&table), 0);
    hm_table_close(&table);
    damage(place, 4096 + 1000); /* a restored file has nothing in the other half */
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_RENEWED);
    damage(place, 0);
    assert_int_equal(hm_table_open_reader(&table, place->path), HM_DAMAGED);
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_RENEWED);
    assert_int_equal(truncate(place->path, 10), 0);
    assert_int_equal(prepare(place, 1 << 20), HM_TABLE_RENEWED);
    unlink(place->path);
    assert_int_equal(hm_table_open_reader(&table, place->path), HM_NOT_FOUND);
    assert_int_equal(symlink("/etc/passwd", place->path), 0);
    enum hm_table_found found;
    assert_int_equal(hm_table_prepare(place->path, 1 << 20, OWNER, GROUP, &found), HM_DENIED);
}

/* Publishes until it is killed; tells through the pipe that it has begun. */
static pid_t start_writer(const struct place *place, int *begun)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct hm_table table;
        if (hm_table_open_writer(&table, place->path) != HM_OK) {
            _exit(1);
        }
        for (uint32_t round = 1;; round++) {
            publish_round(&table, round);
            if (round == 2 && write(ends[1], "", 1) != 1) {
                _exit(1);
            }
        }
    }
    close(ends[1]);
    *begun = ends[0];
    return pid;
}

static void wait_for(int begun)
{
    char byte;
    assert_int_equal(read(begun, &byte, 1), 1);
    close(begun);
}

static void readers_never_see_a_mixture(void **state)
{
    struct place *place = *state;
    struct hm_table reader;
    int begun;
    prepare(place, HM_TABLE_BYTES_MIN);
    pid_t writer = start_writer(place, &begun);
    wait_for(begun);
    assert_int_equal(hm_table_open_reader(&reader, place->path), HM_OK);
    int result = 0;
    for (int i = 0; i < 20000 && result == 0; i++) {
        result = check_round(&reader);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    assert_int_equal(result, 0);
    hm_table_close(&reader);
}

static void a_writer_killed_in_the_middle_wedges_nobody(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    struct hm_random random;
    hm_random_init(&random, 1);
    prepare(place, HM_TABLE_BYTES_MIN);
    for (int i = 0; i < 100; i++) {
        int begun;
        pid_t writer = start_writer(place, &begun);
        wait_for(begun);
        assert_int_equal(hm_table_open_reader(&table, place->path), HM_OK);
        for (uint64_t reads = hm_random_below(&random, 40); reads; reads--) {
            assert_int_equal(check_round(&table), 0);
        }
        kill(writer, SIGKILL);
        waitpid(writer, NULL, 0);
        assert_int_equal(check_round(&table), 0);
        hm_table_close(&table);
        assert_int_equal(prepare(place, HM_TABLE_BYTES_MIN), HM_TABLE_KEPT);
    }
}

/* Asks everything that a worker asks. */
static void use(const struct hm_table *table, struct hm_balance *balance)
{
    struct hm_balance_target target = {.service = hm_name_of("web")};
    struct hm_table_endpoint endpoint;
    struct hm_name name;
    uint32_t count;
    struct hm_buf out = {0};
    (void)!hm_balance_count(table, &target, &name, &count);
    (void)!hm_balance_choose(balance, table, &target, NULL, 0, 0, &endpoint);
    target.vhost = hm_bytes_of_text("shop.example");
    (void)!hm_balance_choose(balance, table, &target, NULL, 0, 0, &endpoint);
    (void)!hm_table_json(table, &out);
    hm_buf_fini(&out);
}

static void hostile_bytes_are_survived(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    struct hm_random random;
    struct hm_balance *balance = calloc(1, sizeof *balance);
    hm_balance_init(balance, 1);
    hm_random_init(&random, 2);
    prepare(place, HM_TABLE_BYTES_MIN);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    struct hm_draft draft;
    draft_round(&draft, 1);
    add_vhost(&draft, "shop.example", 0);
    add_service(&draft, "empty");
    assert_int_equal(hm_table_publish(&table, &draft), HM_OK);
    size_t used = hm_table_snapshot_bytes(&draft);
    hm_draft_fini(&draft);
    /* Generation 1 lies in the second half, behind header and first half. */
    uint32_t *words = (uint32_t *)(void *)(table.map + 4096 + table.half_bytes);
    uint32_t values[] = {0, 1, UINT32_MAX, UINT32_MAX - 1, 0x80000000u, (uint32_t)used};
    uint8_t *saved = malloc(used);
    memcpy(saved, words, used);
    for (size_t i = 0; i < used / 4; i += i < 100 ? 1 : 31) {
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            words[i] = values[j];
            use(&table, balance);
        }
        memcpy(words, saved, used);
    }
    for (int i = 0; i < 500; i++) {
        for (int j = 0; j < 5; j++) {
            size_t bound = hm_random_chance(&random, 500) ? 40 : used / 4;
            words[hm_random_below(&random, bound)] = (uint32_t)hm_random_below(&random, 300);
        }
        use(&table, balance);
        memcpy(words, saved, used);
    }
    free(saved);
    hm_table_close(&table);
    free(balance);
}

static void balances_by_weight_and_tries_each_once(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    struct hm_balance *balance = calloc(1, sizeof *balance);
    struct hm_balance_target target = {.service = hm_name_of("web")};
    struct hm_table_endpoint chosen;
    hm_balance_init(balance, 7);
    prepare(place, HM_TABLE_BYTES_MIN);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    struct hm_draft draft = {0};
    uint32_t web = add_service(&draft, "web");
    add_endpoint(&draft, web, "10.0.0.1:80", 1, HM_TABLE_PASSING);
    add_endpoint(&draft, web, "10.0.0.2:80", 3, HM_TABLE_PASSING);
    add_endpoint(&draft, web, "10.0.0.3:80", 9, HM_TABLE_SUSPECT);
    add_endpoint(&draft, web, "10.0.0.4:80", 9, HM_TABLE_DRAINING);
    add_service(&draft, "idle");
    assert_int_equal(hm_table_publish(&table, &draft), HM_OK);
    hm_draft_fini(&draft);

    /* In flight for ever: the shares come out as the weights. */
    int hits[5] = {0};
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(hm_balance_choose(balance, &table, &target, NULL, 0, 0, &chosen), HM_OK);
        hm_balance_started(balance, &chosen.addr);
        hits[chosen.addr.ip[3]]++;
    }
    assert_in_range(hits[1], 900, 1100);
    assert_in_range(hits[2], 2900, 3100);
    assert_int_equal(hits[3] + hits[4], 0);

    /* What failed comes after what did not, suspects after both, then nobody. */
    struct hm_addr tried[4];
    hm_balance_started(balance, &chosen.addr);
    hm_balance_ended(balance, &chosen.addr, true, 1000);
    struct hm_addr failed = chosen.addr;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hm_balance_choose(balance, &table, &target, tried, i, 1100, &chosen),
                         HM_OK);
        assert_int_equal(chosen.state, i < 2 ? HM_TABLE_PASSING : HM_TABLE_SUSPECT);
        assert_int_equal(hm_addr_equal(&chosen.addr, &failed), i == 1);
        tried[i] = chosen.addr;
    }
    assert_int_equal(hm_balance_choose(balance, &table, &target, tried, 3, 1100, &chosen),
                     HM_UNREACHABLE);
    int again = 0;
    for (int i = 0; i < 100; i++) {
        hm_ms later = 1000 + HM_BALANCE_SHUN_MS;
        assert_int_equal(hm_balance_choose(balance, &table, &target, NULL, 0, later, &chosen),
                         HM_OK);
        again += hm_addr_equal(&chosen.addr, &failed);
    }
    assert_true(again > 0);

    struct hm_name service;
    uint32_t count;
    assert_int_equal(hm_balance_count(&table, &target, &service, &count), HM_OK);
    assert_int_equal(count, 3);
    target.service = hm_name_of("idle");
    assert_int_equal(hm_balance_choose(balance, &table, &target, NULL, 0, 0, &chosen),
                     HM_UNREACHABLE);
    target.service = hm_name_of("none");
    assert_int_equal(hm_balance_choose(balance, &table, &target, NULL, 0, 0, &chosen),
                     HM_NOT_FOUND);
    hm_table_close(&table);
    free(balance);
}

static void reports_as_json(void **state)
{
    struct place *place = *state;
    struct hm_table table;
    struct hm_buf out = {0};
    prepare(place, HM_TABLE_BYTES_MIN);
    assert_int_equal(hm_table_open_writer(&table, place->path), HM_OK);
    struct hm_draft draft = {0};
    uint32_t web = add_service(&draft, "w\"b\n");
    add_endpoint(&draft, web, "10.0.0.1:80", 2, HM_TABLE_SUSPECT);
    add_vhost(&draft, "shop.example", web);
    assert_int_equal(hm_table_publish(&table, &draft), HM_OK);
    hm_draft_fini(&draft);
    assert_int_equal(hm_table_json(&table, &out), HM_OK);
    hm_buf_append(&out, "", 1);
    assert_non_null(strstr((char *)out.data, "{\"generation\":1,"));
    assert_non_null(strstr((char *)out.data,
                           "\"services\":[{\"name\":\"w\\\"b\\u000a\",\"passing\":0,"
                           "\"suspect\":1,\"draining\":0,\"endpoints\":[{\"address\":"
                           "\"10.0.0.1:80\",\"host\":\"host-1\",\"weight\":2,"
                           "\"state\":\"suspect\"}]}]"));
    assert_non_null(strstr((char *)out.data, "\"vhosts\":[{\"name\":\"shop.example\","));
    hm_buf_fini(&out);
    hm_table_close(&table);
}

int main(void)
{
#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(shows_what_was_published),
        ROW(a_reader_notices_that_it_was_overtaken),
        ROW(too_large_a_draft_changes_nothing),
        ROW(one_process_writes),
        ROW(prepare_keeps_resizes_and_refuses),
        ROW(a_damaged_half_gives_way_to_the_one_before),
        ROW(readers_never_see_a_mixture),
        ROW(a_writer_killed_in_the_middle_wedges_nobody),
        ROW(hostile_bytes_are_survived),
        ROW(balances_by_weight_and_tries_each_once),
        ROW(reports_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
