/* Role names: the map against a plain one, the state machine's decisions, what a snapshot carries,
 * and what it does with bytes that are none. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/base/utf8.h"
#include "core/log/replica.h"
#include "core/names/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 3000u

/* ---- the map ---- */

struct plain {
    bool there[KEYS];
    uint64_t index[KEYS];
    size_t count;
    size_t seen; /* while walking: the next key must not be below */
    size_t visited;
};

static struct hm_bytes key_of(size_t number, char text[32])
{
    snprintf(text, 32, "k%05zu", number);
    return hm_bytes_of_text(text);
}

static bool visit(void *context, const struct names_entry *entry)
{
    struct plain *plain = context;
    char text[32];
    while (plain->seen < KEYS && !plain->there[plain->seen]) {
        plain->seen++;
    }
    assert_true(plain->seen < KEYS);
    assert_true(hm_bytes_equal(names_name(entry), key_of(plain->seen, text)));
    assert_int_equal(entry->index, plain->index[plain->seen]);
    plain->seen++;
    plain->visited++;
    return true;
}

static void compare(const struct names_map *map, struct plain *plain, size_t from)
{
    char text[32];
    assert_int_equal(map->count, plain->count);
    plain->seen = from;
    plain->visited = 0;
    names_map_walk(map, from ? key_of(from, text) : (struct hm_bytes){0}, visit, plain);
    size_t expected = 0;
    for (size_t i = from; i < KEYS; i++) {
        expected += plain->there[i];
    }
    assert_int_equal(plain->visited, expected);
}

static void change(struct names_map *map, struct plain *plain, size_t number, uint64_t index)
{
    char text[32];
    struct hm_bytes key = key_of(number, text);
    struct names_entry entry;
    const struct names_entry *found = names_map_find(map, key, &entry);
    assert_int_equal(found != NULL, plain->there[number]);
    assert_true(!found || found->index == plain->index[number]);
    if (found) {
        assert_true(names_map_erase(map, key));
        assert_false(names_map_erase(map, key));
        plain->count--;
    } else {
        names_map_add(map, key, hm_bytes_of_text("o"), index, 1);
        plain->index[number] = index;
        plain->count++;
    }
    plain->there[number] = !plain->there[number];
}

static void the_map_is_a_map(void **state)
{
    (void)state;
    struct plain *plain = hm_alloc(1, sizeof *plain);
    struct names_map map = {0};
    struct hm_random random;
    hm_random_init(&random, 7);
    /* In order, backwards, then at random around many and around few. */
    for (size_t i = 0; i < KEYS; i++) {
        change(&map, plain, i, i + 1);
    }
    compare(&map, plain, 0);
    for (size_t i = KEYS; i > 0; i -= 2) {
        change(&map, plain, i - 1, 1);
    }
    compare(&map, plain, 17);
    for (size_t round = 0; round < 60; round++) {
        size_t span = round % 2 ? KEYS : 100;
        for (size_t i = 0; i < 1000; i++) {
            change(&map, plain, hm_random_below(&random, span), 5000 + round * 1000 + i);
        }
        compare(&map, plain, hm_random_below(&random, KEYS));
    }
    for (size_t i = 0; i < KEYS; i++) {
        if (plain->there[i]) {
            change(&map, plain, i, 0);
        }
    }
    assert_int_equal(map.count, 0);
    assert_int_equal(map.text_bytes, 0);
    assert_null(map.root);
    names_map_fini(&map);
    hm_free(plain);
}

#define WORDS 4000u

struct word {
    uint8_t text[NAMES_TEXT_BYTES_MAX];
    size_t size;
    bool there;
    uint64_t index;
    uint64_t time_ms;
    char owner[8];
};

struct words {
    struct word items[WORDS]; /* in order */
    size_t count;
    size_t seen;
};

static struct hm_bytes text_of_word(const struct word *word)
{
    return (struct hm_bytes){word->text, word->size};
}

static int by_text(const void *a, const void *b)
{
    return hm_bytes_compare(text_of_word(a), text_of_word(b));
}

/* Much alike: of two letters, some as long as they may be, many the beginning of others. */
static void make_words(struct words *words, struct hm_random *random)
{
    for (size_t i = 0; i < WORDS; i++) {
        struct word *word = &words->items[i];
        uint64_t most = i % 10 == 0 ? NAMES_TEXT_BYTES_MAX : 14;
        word->size = (size_t)hm_random_below(random, most) + 1;
        for (size_t at = 0; at < word->size; at++) {
            bool tells = at >= word->size - word->size % 14 && hm_random_below(random, 2);
            word->text[at] = tells ? 'z' : 'a';
        }
    }
    qsort(words->items, WORDS, sizeof *words->items, by_text);
    for (size_t i = 0; i < WORDS; i++) {
        if (i == 0 || by_text(&words->items[words->count - 1], &words->items[i]) != 0) {
            words->items[words->count++] = words->items[i];
        }
    }
}

static void assert_word(const struct word *word, const struct names_entry *entry)
{
    assert_true(hm_bytes_equal(names_name(entry), text_of_word(word)));
    assert_true(hm_bytes_equal(names_owner(entry), hm_bytes_of_text(word->owner)));
    assert_int_equal(entry->index, word->index);
    assert_int_equal(entry->time_ms, word->time_ms);
}

static bool visit_word(void *context, const struct names_entry *entry)
{
    struct words *words = context;
    while (!words->items[words->seen].there) {
        assert_true(++words->seen < words->count);
    }
    assert_word(&words->items[words->seen++], entry);
    return true;
}

static void toggle(struct names_map *map, struct word *word, struct hm_random *random)
{
    struct names_entry entry;
    const struct names_entry *found = names_map_find(map, text_of_word(word), &entry);
    assert_int_equal(found != NULL, word->there);
    if (found) {
        assert_word(word, found);
        assert_true(names_map_erase(map, text_of_word(word)));
    } else {
        word->index = hm_random_u64(random) >> hm_random_below(random, 64);
        word->time_ms = hm_random_below(random, NAMES_TIME_MAX);
        snprintf(word->owner, sizeof word->owner, "o%d", (int)hm_random_below(random, 500));
        names_map_add(map, text_of_word(word), hm_bytes_of_text(word->owner), word->index,
                      word->time_ms);
    }
    word->there = !word->there;
}

static void names_that_are_much_alike_are_told_apart(void **state)
{
    (void)state;
    struct words *words = hm_alloc(1, sizeof *words);
    struct names_map map = {0};
    struct hm_random random;
    struct names_entry entry;
    hm_random_init(&random, 23);
    make_words(words, &random);
    assert_true(words->count > 1000);
    for (size_t round = 0; round < 20; round++) {
        size_t span = round % 3 ? words->count : 200;
        for (size_t i = 0; i < 1500; i++) {
            toggle(&map, &words->items[hm_random_below(&random, span)], &random);
        }
        for (size_t i = 0; i < words->count; i++) {
            const struct word *word = &words->items[i];
            const struct names_entry *found = names_map_find(&map, text_of_word(word), &entry);
            assert_int_equal(found != NULL, word->there);
        }
        words->seen = 0;
        names_map_walk(&map, (struct hm_bytes){0}, visit_word, words);
        for (; words->seen < words->count; words->seen++) {
            assert_false(words->items[words->seen].there);
        }
    }
    names_map_fini(&map);
    hm_free(words);
}

/* However many names it has; it goes with the last of them, whichever that is. */
static void an_owner_is_kept_once(void **state)
{
    (void)state;
    struct names_map map = {0};
    struct hm_random random;
    char key[32];
    char owner[32];
    hm_random_init(&random, 11);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(owner, sizeof owner, "owner-%zu", i % 50);
        names_map_add(&map, key_of(i, key), hm_bytes_of_text(owner), i + 1, UINT64_MAX);
    }
    assert_int_equal(map.owners.count, 50);
    assert_int_equal(map.text_bytes, KEYS * 6 + 10 * 7 + 40 * 8);
    size_t left = KEYS;
    for (size_t at = hm_random_below(&random, KEYS); left > 0; at = (at + 7) % KEYS) {
        struct names_entry found;
        const struct names_entry *entry = names_map_find(&map, key_of(at, key), &found);
        snprintf(owner, sizeof owner, "owner-%zu", at % 50);
        assert_true(hm_bytes_equal(names_owner(entry), hm_bytes_of_text(owner)));
        assert_int_equal(entry->time_ms, NAMES_TIME_MAX);
        assert_true(names_map_erase(&map, key_of(at, key)));
        left--;
        bool last = names_owners_find(&map.owners, hm_bytes_of_text(owner)) == NULL;
        assert_int_equal(map.owners.count <= left, true);
        assert_true(!last || left < KEYS - KEYS / 50);
    }
    assert_int_equal(map.owners.count, 0);
    assert_int_equal(map.text_bytes, 0);
    names_map_fini(&map);
}

static void plain_text_is_told_from_other(void **state)
{
    (void)state;
    static const char *const good[] = {"", "a", "Größe", "\u0e01", "\U0001f41d", "\U0010ffff", " "};
    static const char *const bad[] = {
        "\x1f",     "a\n",          "\x7f",         "\xc2\x85",         "\x80",
        "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88",
        "\xc3",     "\xe2\x82",     "a\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(hm_utf8_is_plain(hm_bytes_of_text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(hm_utf8_is_plain(hm_bytes_of_text(bad[i])));
    }
}

/* ---- the machine, in a replica ---- */

struct registry {
    struct names names;
    struct hm_machine machine;
    struct hm_replica replica;
    struct hm_outcome outcome;
};

static void open_registry(struct registry *registry)
{
    memset(registry, 0, sizeof *registry);
    registry->machine = names_machine;
    hm_replica_init(&registry->replica, &registry->machine, &registry->names);
}

static void close_registry(struct registry *registry)
{
    names_map_fini(&registry->names.map);
    hm_arena_fini(&registry->names.arena);
    hm_buf_fini(&registry->names.answer);
    hm_replica_fini(&registry->replica);
}

static struct hm_bytes text(const char *text)
{
    return hm_bytes_of_text(text);
}

static enum hm_status submit_bytes(struct registry *registry, uint64_t seq, struct hm_bytes request)
{
    struct hm_log_request entry = {
        .session = {{seq != 0}}, .seq = seq, .time_ms = 1000 + seq, .request = request};
    hm_replica_apply(&registry->replica, &entry, 0, &registry->outcome);
    return registry->outcome.status;
}

static enum hm_status submit(struct registry *registry, uint64_t seq,
                             const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    enum hm_status status = submit_bytes(registry, seq, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
    return status;
}

static enum hm_status take(struct registry *registry, uint64_t seq, struct hm_bytes name,
                           const char *owner)
{
    return submit(
        registry, seq,
        &(struct hm_message){.kind = HM_MSG_names_register, .names_register = {name, text(owner)}});
}

static enum hm_status release(struct registry *registry, uint64_t seq, const char *name,
                              const char *owner)
{
    return submit(registry, seq,
                  &(struct hm_message){.kind = HM_MSG_names_release,
                                       .names_release = {text(name), text(owner)}});
}

static enum hm_status query(struct registry *registry, const struct hm_message *question)
{
    struct hm_buf bytes = {0};
    registry->outcome = (struct hm_outcome){.status = HM_OK};
    hm_message_encode(&bytes, question);
    names_machine.query(&registry->names, hm_buf_view(&bytes), &registry->outcome);
    hm_buf_fini(&bytes);
    return registry->outcome.status;
}

static enum hm_status check(struct registry *registry, const char *name)
{
    return query(registry,
                 &(struct hm_message){.kind = HM_MSG_names_check, .names_check = {text(name)}});
}

static void expect_owner(const struct registry *registry, const char *owner, uint64_t index)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(
        hm_message_decode_only(registry->outcome.data, HM_MSG_names_holder, &arena, &message),
        HM_OK);
    assert_true(hm_bytes_equal(message.names_holder.item.owner, text(owner)));
    assert_int_equal(message.names_holder.item.index, index);
    hm_arena_fini(&arena);
}

static void a_name_has_one_owner(void **state)
{
    (void)state;
    struct registry registry;
    open_registry(&registry);
    assert_int_equal(take(&registry, 0, text("db"), "alice"), HM_OK);
    assert_int_equal(registry.outcome.index, 1);
    assert_int_equal(take(&registry, 0, text("db"), "bob"), HM_NAME_TAKEN);
    expect_owner(&registry, "alice", 1);
    assert_int_equal(take(&registry, 0, text("db"), "alice"), HM_OK);
    assert_int_equal(registry.outcome.index, 1);                    /* since when it is hers */
    assert_int_equal(take(&registry, 0, text("DB"), "bob"), HM_OK); /* bytes are compared */
    assert_int_equal(release(&registry, 0, "db", "bob"), HM_DENIED);
    expect_owner(&registry, "alice", 1);
    assert_int_equal(check(&registry, "db"), HM_OK);
    expect_owner(&registry, "alice", 1);
    assert_int_equal(release(&registry, 0, "db", "alice"), HM_OK);
    assert_int_equal(release(&registry, 0, "db", "alice"), HM_NOT_FOUND);
    assert_int_equal(check(&registry, "db"), HM_NOT_FOUND);
    assert_int_equal(take(&registry, 0, text("db"), "bob"), HM_OK);
    assert_int_equal(registry.outcome.index, 8);
    assert_int_equal(check(&registry, "db"), HM_OK);
    expect_owner(&registry, "bob", 8);
    close_registry(&registry);
}

static void a_retry_hears_what_became_of_it(void **state)
{
    (void)state;
    struct registry registry;
    open_registry(&registry);
    assert_int_equal(take(&registry, 1, text("a"), "x"), HM_OK);
    assert_int_equal(take(&registry, 2, text("b"), "x"), HM_OK);
    assert_int_equal(take(&registry, 0, text("c"), "y"), HM_OK);
    assert_int_equal(take(&registry, 3, text("c"), "x"), HM_NAME_TAKEN);
    assert_int_equal(release(&registry, 4, "b", "x"), HM_OK);
    assert_int_equal(release(&registry, 5, "c", "x"), HM_DENIED);
    assert_int_equal(release(&registry, 6, "d", "x"), HM_NOT_FOUND);
    uint64_t entries = registry.replica.index;
    /* Each again, the last and those before; meanwhile b is somebody else's. */
    assert_int_equal(release(&registry, 6, "d", "x"), HM_NOT_FOUND);
    assert_int_equal(take(&registry, 0, text("b"), "y"), HM_OK);
    assert_int_equal(take(&registry, 1, text("a"), "x"), HM_OK);
    assert_int_equal(registry.outcome.index, 1);
    assert_int_equal(take(&registry, 2, text("b"), "x"), HM_OK); /* it was */
    assert_int_equal(take(&registry, 3, text("c"), "x"), HM_NAME_TAKEN);
    expect_owner(&registry, "y", 3);
    assert_int_equal(release(&registry, 4, "b", "x"), HM_OK);
    assert_int_equal(release(&registry, 5, "c", "x"), HM_DENIED);
    assert_int_equal(check(&registry, "b"), HM_OK);
    expect_owner(&registry, "y", entries + 1);
    assert_int_equal(registry.replica.index, entries + 1);
    close_registry(&registry);
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    struct registry registry;
    char longest[256];
    memset(longest, 'n', sizeof longest);
    open_registry(&registry);
    assert_int_equal(take(&registry, 0, text(""), "o"), HM_BAD_ARGUMENT);
    assert_int_equal(take(&registry, 0, text("a"), ""), HM_BAD_ARGUMENT);
    assert_int_equal(take(&registry, 0, text("a\tb"), "o"), HM_BAD_ARGUMENT);
    assert_int_equal(take(&registry, 0, text("a"), "\xff"), HM_BAD_ARGUMENT);
    struct hm_bytes name = {(const uint8_t *)longest, 256};
    assert_int_equal(take(&registry, 0, name, "o"), HM_BAD_ARGUMENT);
    name.size = 255;
    assert_int_equal(take(&registry, 0, name, "o"), HM_OK);
    assert_int_equal(submit_bytes(&registry, 0, text("not a message")), HM_BAD_ARGUMENT);
    assert_int_equal(submit_bytes(&registry, 9, text("")), HM_BAD_ARGUMENT);
    assert_int_equal(submit_bytes(&registry, 9, text("")), HM_BAD_ARGUMENT);
    assert_int_equal(
        submit(&registry, 0,
               &(struct hm_message){.kind = HM_MSG_names_check, .names_check = {text("a")}}),
        HM_BAD_ARGUMENT);
    /* A retry of what is a message, but none for names. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(submit(&registry, 10, &(struct hm_message){.kind = HM_MSG_timeout_now}),
                         HM_BAD_ARGUMENT);
    }
    assert_int_equal(query(&registry, &(struct hm_message){.kind = HM_MSG_status_query}),
                     HM_BAD_ARGUMENT);
    assert_int_equal(registry.names.map.count, 1);
    /* As if it were full: what is there stays, and can be released. */
    registry.names.map.text_bytes += NAMES_BYTES_MAX;
    assert_int_equal(take(&registry, 0, text("a"), "o"), HM_FULL);
    assert_int_equal(take(&registry, 0, name, "o"), HM_OK);
    registry.names.map.text_bytes -= NAMES_BYTES_MAX;
    close_registry(&registry);
}

/* ---- pages ---- */

static uint32_t list(struct registry *registry, const char *prefix, const char *after,
                     uint32_t most, char first[16], char last[16], bool *end)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(
        query(registry, &(struct hm_message){.kind = HM_MSG_names_list,
                                             .names_list = {text(prefix), text(after), most}}),
        HM_OK);
    assert_int_equal(
        hm_message_decode_only(registry->outcome.data, HM_MSG_names_page, &arena, &message), HM_OK);
    const struct hm_names_page *page = &message.names_page;
    if (page->items_count) {
        const struct hm_names_item *items = page->items;
        snprintf(first, 16, "%.*s", (int)items[0].name.size, (const char *)items[0].name.data);
        struct hm_bytes name = items[page->items_count - 1].name;
        snprintf(last, 16, "%.*s", (int)name.size, (const char *)name.data);
    }
    *end = page->last;
    hm_arena_fini(&arena);
    return page->items_count;
}

static void names_are_listed_in_pages(void **state)
{
    (void)state;
    struct registry registry;
    char first[16];
    char last[16];
    char name[32];
    bool end;
    open_registry(&registry);
    assert_int_equal(list(&registry, "", "", 0, first, last, &end), 0);
    assert_true(end);
    for (size_t i = 0; i < 2500; i++) {
        assert_int_equal(take(&registry, 0, key_of(i * 7 % 2500, name), "o"), HM_OK);
    }
    assert_int_equal(take(&registry, 0, text("j"), "o"), HM_OK);
    assert_int_equal(take(&registry, 0, text("l"), "o"), HM_OK);
    assert_int_equal(list(&registry, "k", "", 0, first, last, &end), 1024);
    assert_string_equal(first, "k00000");
    assert_string_equal(last, "k01023");
    assert_false(end);
    assert_int_equal(list(&registry, "k", last, 0, first, last, &end), 1024);
    assert_int_equal(list(&registry, "k", last, 0, first, last, &end), 452);
    assert_string_equal(last, "k02499");
    assert_true(end);
    assert_int_equal(list(&registry, "k0001", "", 0, first, last, &end), 10);
    assert_string_equal(first, "k00010");
    assert_int_equal(list(&registry, "", "k02498", 2, first, last, &end), 2);
    assert_string_equal(first, "k02499");
    assert_string_equal(last, "l");
    assert_true(end);
    assert_int_equal(list(&registry, "m", "", 0, first, last, &end), 0);
    assert_true(end);
    close_registry(&registry);
}

/* ---- snapshots ---- */

static void a_snapshot_carries_everything(void **state)
{
    (void)state;
    struct registry one;
    struct registry two;
    struct hm_buf bytes = {0};
    struct hm_buf again = {0};
    char name[32];
    open_registry(&one);
    open_registry(&two);
    for (size_t i = 0; i < 500; i++) {
        assert_int_equal(take(&one, i + 1, key_of(i * 3 % 500, name), i % 2 ? "x" : "y"), HM_OK);
    }
    hm_replica_snapshot(&one.replica, true, &bytes);
    assert_int_equal(take(&two, 0, text("old"), "z"), HM_OK);
    assert_int_equal(hm_replica_install(&two.replica, hm_buf_view(&bytes)), HM_OK);
    hm_replica_snapshot(&two.replica, true, &again);
    assert_true(hm_bytes_equal(hm_buf_view(&bytes), hm_buf_view(&again)));
    assert_int_equal(check(&two, "old"), HM_NOT_FOUND);
    assert_int_equal(take(&two, 500, key_of(499 * 3 % 500, name), "x"), HM_OK); /* a retry */
    assert_int_equal(two.replica.index, 500);
    hm_buf_fini(&bytes);
    hm_buf_fini(&again);
    close_registry(&one);
    close_registry(&two);
}

static void bad_snapshots_change_nothing(void **state)
{
    (void)state;
    struct registry registry;
    struct hm_random random;
    struct hm_buf bytes = {0};
    char name[32];
    hm_random_init(&random, 3);
    open_registry(&registry);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(take(&registry, 0, key_of(i, name), i % 3 ? "owner" : "another"), HM_OK);
    }
    names_machine.snapshot(&registry.names, &bytes);
    struct hm_bytes whole = hm_buf_view(&bytes);
    for (size_t size = 0; size < whole.size; size++) {
        struct hm_bytes part = {whole.data, size};
        assert_int_equal(names_machine.install(&registry.names, part), HM_BAD_BYTES);
    }
    static const uint8_t twice[] = {2, 2, 0, 1, 'a', 0, 1, 'x', 1, 5, 0, 1, 'b', 0, 1, 'x', 2, 6};
    assert_int_equal(names_machine.install(&registry.names, (struct hm_bytes){twice, sizeof twice}),
                     HM_BAD_BYTES); /* an owner that has a number already */
    assert_int_equal(registry.names.map.count, 40);
    for (size_t i = 0; i < 3000; i++) {
        size_t at = hm_random_below(&random, whole.size);
        uint8_t kept = bytes.data[at];
        bytes.data[at] = (uint8_t)hm_random_below(&random, 256);
        struct hm_buf copy = {0};
        if (names_machine.install(&registry.names, whole) == HM_OK) {
            names_machine.snapshot(&registry.names, &copy);
            assert_true(hm_bytes_equal(hm_buf_view(&copy), whole));
        }
        hm_buf_fini(&copy);
        bytes.data[at] = kept;
    }
    hm_buf_fini(&bytes);
    close_registry(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_is_a_map),
        cmocka_unit_test(names_that_are_much_alike_are_told_apart),
        cmocka_unit_test(an_owner_is_kept_once),
        cmocka_unit_test(plain_text_is_told_from_other),
        cmocka_unit_test(a_name_has_one_owner),
        cmocka_unit_test(a_retry_hears_what_became_of_it),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(names_are_listed_in_pages),
        cmocka_unit_test(a_snapshot_carries_everything),
        cmocka_unit_test(bad_snapshots_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
