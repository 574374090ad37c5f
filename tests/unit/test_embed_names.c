/* The registry of names through libhivemind: three programs and one that comes later. */
#include "core/include/hivemind/names.h"
#include "tests/unit/embed_world.h"

#define HOSTS 3

struct heard {
    int count;
    enum hm_status status;
    char owner[HIVEMIND_NAME_BYTES_MAX + 1]; /* empty: nobody */
    uint64_t index;
    char reason[256];
};

static void on_done(void *context, enum hm_status status, const struct hivemind_name *held,
                    const char *reason)
{
    struct heard *heard = context;
    heard->count++;
    heard->status = status;
    heard->index = held ? held->index : 0;
    snprintf(heard->owner, sizeof heard->owner, "%s", held ? held->owner : "");
    snprintf(heard->reason, sizeof heard->reason, "%s", reason);
}

static struct hivemind_names *open_names(struct host *host,
                                         const struct hivemind_names_config *config)
{
    struct hivemind_names *names;
    struct hivemind_peer peers[HOSTS];
    for (int i = 0; i < HOSTS; i++) {
        peers[i] = world_peer(i);
    }
    assert_int_equal(hivemind_names_open(host->server, config, peers, HOSTS, &names), HM_OK);
    return names;
}

static void start(struct world *world, struct hivemind_names *names[HOSTS])
{
    *world = (struct world){.now = 1000};
    hm_random_init(&world->random, 5);
    for (int i = 0; i < HOSTS; i++) {
        struct host *host = world_add(world, i);
        names[i] = open_names(host, &(struct hivemind_names_config){.log = "names"});
        assert_int_equal(hivemind_start(host->server), HM_OK);
    }
}

static struct heard wait(struct world *world, struct heard *heard)
{
    WAIT(world, heard->count == 1);
    struct heard found = *heard;
    *heard = (struct heard){0};
    return found;
}

static struct heard take(struct world *world, struct hivemind_names *names, const char *name,
                         const char *owner)
{
    struct heard heard = {0};
    assert_int_equal(hivemind_names_register(names, name, owner, on_done, &heard), HM_OK);
    return wait(world, &heard);
}

static struct heard release(struct world *world, struct hivemind_names *names, const char *name,
                            const char *owner)
{
    struct heard heard = {0};
    assert_int_equal(hivemind_names_release(names, name, owner, on_done, &heard), HM_OK);
    return wait(world, &heard);
}

static struct heard check(struct world *world, struct hivemind_names *names, const char *name)
{
    struct heard heard = {0};
    assert_int_equal(hivemind_names_check(names, name, on_done, &heard), HM_OK);
    return wait(world, &heard);
}

static void expect(struct heard heard, enum hm_status status, const char *owner, uint64_t index)
{
    assert_int_equal(heard.status, status);
    assert_string_equal(heard.owner, owner);
    assert_int_equal(heard.index, index);
}

static bool join_names(void *context, const struct hivemind_name *name)
{
    char *text = context;
    size_t used = strlen(text);
    snprintf(text + used, 256 - used, "%s=%s ", name->name, name->owner);
    return strcmp(name->name, "pz") != 0;
}

static const char *list(struct hivemind_names *names, const char *prefix)
{
    static char text[256];
    text[0] = '\0';
    assert_int_equal(hivemind_names_list(names, prefix, join_names, text), HM_OK);
    return text;
}

static void test_a_name_has_one_owner(void **unused)
{
    (void)unused;
    struct world world;
    struct hivemind_names *names[HOSTS];
    start(&world, names);
    expect(take(&world, names[0], "printer", "alice"), HM_OK, "alice", 1);
    expect(take(&world, names[1], "printer", "bob"), HM_NAME_TAKEN, "alice", 1);
    expect(take(&world, names[2], "printer", "alice"), HM_OK, "alice", 1); /* since long */
    expect(check(&world, names[2], "printer"), HM_OK, "alice", 1);
    expect(check(&world, names[1], "scanner"), HM_NOT_FOUND, "", 0);
    expect(release(&world, names[1], "printer", "bob"), HM_DENIED, "alice", 1);
    expect(take(&world, names[1], "pz", "bob"), HM_OK, "bob", 5);
    expect(take(&world, names[1], "q", "bob"), HM_OK, "bob", 6);
    expect(check(&world, names[0], "q"), HM_OK, "bob", 6);
    assert_string_equal(list(names[0], "p"), "printer=alice pz=bob ");
    assert_string_equal(list(names[0], "q"), "q=bob ");
    assert_string_equal(list(names[0], NULL), "printer=alice pz=bob "); /* it had enough */
    expect(release(&world, names[2], "printer", "alice"), HM_OK, "", 0);
    expect(release(&world, names[2], "printer", "alice"), HM_NOT_FOUND, "", 0);
    expect(take(&world, names[1], "printer", "bob"), HM_OK, "bob", 9);
    world_end(&world);
}

/* Of those who ask at once one is told yes, and all are told the same. */
static void test_at_once_one_gets_it(void **unused)
{
    (void)unused;
    struct world world;
    struct hivemind_names *names[HOSTS];
    static const char *const owners[HOSTS] = {"a", "b", "c"};
    start(&world, names);
    world.lost_permille = 200;
    for (int round = 0; round < 20; round++) {
        struct heard heard[HOSTS] = {0};
        char name[16];
        int winners = 0;
        snprintf(name, sizeof name, "n%d", round);
        for (int i = 0; i < HOSTS; i++) {
            assert_int_equal(hivemind_names_register(names[i], name, owners[i], on_done, &heard[i]),
                             HM_OK);
        }
        WAIT(&world, heard[0].count + heard[1].count + heard[2].count == HOSTS);
        for (int i = 0; i < HOSTS; i++) {
            bool won = heard[i].status == HM_OK;
            winners += won;
            assert_true(won || heard[i].status == HM_NAME_TAKEN);
            assert_string_equal(heard[i].owner, heard[0].owner);
            assert_int_equal(strcmp(heard[i].owner, owners[i]) == 0, won);
        }
        assert_int_equal(winners, 1);
    }
    world_end(&world);
}

static void test_what_is_no_name_is_refused(void **unused)
{
    (void)unused;
    struct world world;
    struct hivemind_names *names[HOSTS];
    char longest[HIVEMIND_NAME_BYTES_MAX + 2] = {0};
    memset(longest, 'x', sizeof longest - 1);
    start(&world, names);
    const char *bad[] = {"", "a\tb", "\xff", longest, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hivemind_names *here = names[0];
        assert_int_equal(hivemind_names_register(here, bad[i], "o", NULL, NULL), HM_BAD_ARGUMENT);
        assert_int_equal(hivemind_names_register(here, "n", bad[i], NULL, NULL), HM_BAD_ARGUMENT);
        assert_int_equal(hivemind_names_release(here, bad[i], "o", NULL, NULL), HM_BAD_ARGUMENT);
        assert_int_equal(hivemind_names_check(here, bad[i], on_done, NULL), HM_BAD_ARGUMENT);
        assert_non_null(strstr(hivemind_error(world.hosts[0]->server), "the "));
    }
    longest[HIVEMIND_NAME_BYTES_MAX] = '\0';
    expect(take(&world, names[0], longest, longest), HM_OK, longest, 1);
    expect(take(&world, names[1], longest, "o"), HM_NAME_TAKEN, longest, 1);
    /* What else is put on that log is refused. */
    struct hivemind_participant *log = hivemind_names_participant(names[0]);
    struct host *host = world.hosts[0];
    assert_int_equal(hivemind_submit(log, "x", 1, world_done, host), HM_OK);
    WAIT(&world, host->outcome_count == 1);
    assert_int_equal(host->outcomes[0].status, HM_BAD_ARGUMENT);
    world_end(&world);
}

static void test_who_comes_later_has_the_names(void **unused)
{
    (void)unused;
    struct world world;
    struct hivemind_names *names[HOSTS];
    const void *snapshot;
    size_t size;
    start(&world, names);
    expect(take(&world, names[0], "a", "x"), HM_OK, "x", 1);
    struct hivemind_participant *log = hivemind_names_participant(names[0]);
    assert_int_equal(hivemind_snapshot(log, &snapshot, &size), HM_OK);
    struct host *late = world_add(&world, HOSTS);
    struct hivemind_names *joined = open_names(
        late, &(struct hivemind_names_config){
                  .log = "names", .joins = true, .snapshot = snapshot, .snapshot_size = size});
    assert_int_equal(hivemind_names_list(joined, "", join_names, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_names_register(joined, "b", "y", NULL, NULL), HM_NOT_STARTED);
    assert_int_equal(hivemind_start(late->server), HM_OK);
    WAIT(&world, strcmp(list(joined, ""), "a=x ") == 0);
    struct hivemind_peer self = world_peer(HOSTS);
    assert_int_equal(hivemind_add(log, &self, NULL, NULL), HM_OK);
    expect(take(&world, joined, "b", "y"), HM_OK, "y", 2);
    expect(check(&world, joined, "b"), HM_OK, "y", 2);
    /* Calls that are owed an answer end with the server. */
    struct heard never = {0};
    assert_int_equal(hivemind_names_register(joined, "c", "y", on_done, &never), HM_OK);
    assert_int_equal(hivemind_names_check(joined, "c", on_done, &never), HM_OK);
    world_end(&world);
    assert_int_equal(never.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_has_one_owner),
        cmocka_unit_test(test_at_once_one_gets_it),
        cmocka_unit_test(test_what_is_no_name_is_refused),
        cmocka_unit_test(test_who_comes_later_has_the_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
