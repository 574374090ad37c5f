/* The lowest floor: bytes, names, addresses, hashes, the index. */
#include "core/base/arena.h"
#include "core/base/bytes.h"
#include "core/base/hash.h"
#include "core/base/ids.h"
#include "core/base/index.h"
#include "core/base/memory.h"
#include "core/base/random.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_varint_round_trip(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t value = UINT64_MAX >> shift;
        struct hm_buf buf = {0};
        hm_put_varint(&buf, value);
        struct hm_reader reader = hm_reader_of(hm_buf_view(&buf));
        assert_true(hm_get_varint(&reader) == value);
        assert_false(reader.bad);
        assert_int_equal(hm_reader_left(&reader), 0);
        hm_buf_fini(&buf);
    }
}

static bool varint_is_bad(const uint8_t *bytes, size_t size)
{
    struct hm_reader reader = hm_reader_of((struct hm_bytes){bytes, size});
    hm_get_varint(&reader);
    return reader.bad;
}

static void test_varint_refuses_long_forms(void **state)
{
    (void)state;
    const uint8_t padded[] = {0x80, 0x00};
    const uint8_t beyond_64_bits[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t cut[] = {0x80};
    assert_true(varint_is_bad(padded, sizeof padded));
    assert_true(varint_is_bad(beyond_64_bits, sizeof beyond_64_bits));
    assert_true(varint_is_bad(cut, sizeof cut));
}

static void test_addr_text(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *printed;
    } good[] = {{"10.0.0.1", "10.0.0.1:9610"},
                {"10.0.0.1:53", "10.0.0.1:53"},
                {"2001:db8::1", "[2001:db8::1]:9610"},
                {"[::1]:80", "[::1]:80"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hm_addr addr;
        char text[HM_ADDR_TEXT_BYTES];
        assert_true(hm_addr_parse(good[i].text, 9610, &addr));
        assert_string_equal(hm_addr_format(&addr, text), good[i].printed);
    }
    const char *bad[] = {"",     "10.0.0", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536",
                         "[::1", "[::1]x", "host:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hm_addr addr;
        assert_false(hm_addr_parse(bad[i], 9610, &addr));
    }
}

static void test_labels(void **state)
{
    (void)state;
    const char *good[] = {"a", "web-1", "9", "xn--a"};
    const char *bad[] = {"", "-a", "a-", "a.b", "a_b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hm_name name = hm_name_of(good[i]);
        assert_true(hm_name_is_label(&name));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hm_name name = hm_name_of(bad[i]);
        assert_false(hm_name_is_label(&name));
    }
}

static void test_known_hashes(void **state)
{
    (void)state;
    /* The check value of CRC-32C, as in RFC 3720's appendix for "123456789". */
    assert_int_equal(hm_crc32c(0, hm_bytes_of_text("123456789")), 0xe3069283);
    /* In two pieces it is the same. */
    uint32_t half = hm_crc32c(0, hm_bytes_of_text("12345"));
    assert_int_equal(hm_crc32c(half, hm_bytes_of_text("6789")), 0xe3069283);
    struct hm_name upper = hm_name_of("WEB");
    struct hm_name lower = hm_name_of("web");
    assert_true(hm_hash_name_nocase(&upper) == hm_hash_name_nocase(&lower));
}

/* Calls, tokens and pages are numbered: their hashes count up. A run of them would be walked by
 * every removal and by every look for what is not there. */
static void test_index_of_numbers_that_count_up(void **state)
{
    (void)state;
    enum { NUMBERS = 3000, FROM = 7000, WINDOW = 1000 };
    struct hm_index index = {0};
    size_t probes = 0;
    for (uint64_t number = FROM; number < FROM + NUMBERS; number++) {
        hm_index_add(&index, number, (uint32_t)(number % WINDOW));
        if (number >= FROM + WINDOW) {
            hm_index_remove(&index, number - WINDOW, (uint32_t)(number % WINDOW));
        }
    }
    for (uint64_t absent = 0; absent < FROM; absent++) {
        size_t cursor = 0;
        assert_int_equal(hm_index_next(&index, absent, &cursor), HM_INDEX_END);
        probes += cursor;
    }
    assert_true(probes < (size_t)FROM * 8); /* by chance it would be 2.5 at half full */
    hm_index_fini(&index);
}

static void test_index_against_a_model(void **state)
{
    (void)state;
    enum { SLOTS = 300 };
    struct hm_index index = {0};
    bool there[SLOTS] = {false};
    struct hm_random random;
    hm_random_init(&random, 7);
    for (int step = 0; step < 20000; step++) {
        uint32_t slot = (uint32_t)hm_random_below(&random, SLOTS);
        uint64_t hash = slot % 40; /* few hashes, so that chains are long */
        if (there[slot]) {
            hm_index_remove(&index, hash, slot);
        } else {
            hm_index_add(&index, hash, slot);
        }
        there[slot] = !there[slot];
        uint64_t probe = hm_random_below(&random, 40);
        size_t cursor = 0;
        size_t found = 0;
        for (uint32_t s; (s = hm_index_next(&index, probe, &cursor)) != HM_INDEX_END; found++) {
            assert_true(there[s] && s % 40 == probe);
        }
        size_t expected = 0;
        for (size_t s = (size_t)probe; s < SLOTS; s += 40) {
            expected += there[s];
        }
        assert_int_equal(found, expected);
    }
    hm_index_fini(&index);
}

static void test_arena_gives_zeroed_memory_again(void **state)
{
    (void)state;
    struct hm_arena arena = {0};
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 9000; size = size * 3 + 1) {
            uint8_t *memory = hm_arena_alloc(&arena, size, 1);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(memory[i], 0);
            }
            memset(memory, 0xff, size);
        }
        hm_arena_clear(&arena);
    }
    hm_arena_fini(&arena);
}

static void test_status_rows(void **state)
{
    (void)state;
    assert_string_equal(hm_status_name(HM_NO_QUORUM), "NO_QUORUM");
    assert_int_equal(hm_status_exit_code(HM_NO_QUORUM), 5);
    assert_string_equal(hm_status_text((enum hm_status)9999), "unknown status");
}

static void test_room_for_nothing_is_a_place(void **state)
{
    (void)state;
    struct hm_buf buf = {0};
    assert_non_null(hm_buf_extend(&buf, 0));
    assert_int_equal(buf.size, 0);
    hm_buf_fini(&buf);
}

static void test_an_array_gives_back_what_it_does_not_use(void **state)
{
    (void)state;
    size_t capacity = 0;
    uint64_t *array = NULL;
    for (size_t i = 0; i < 100000; i++) {
        array = hm_grow(array, i, &capacity, sizeof *array);
        array[i] = i;
    }
    assert_int_equal(capacity, 131072);
    array = hm_shrink(array, 32768, &capacity, sizeof *array);
    assert_int_equal(capacity, 131072);
    array = hm_shrink(array, 32767, &capacity, sizeof *array);
    assert_int_equal(capacity, 65536);
    array = hm_shrink(array, 0, &capacity, sizeof *array);
    assert_int_equal(capacity, 8192); /* 64 KiB */
    assert_true(malloc_usable_size(array) < 65536 * sizeof *array);
    for (size_t i = 0; i < capacity; i++) {
        assert_int_equal(array[i], i);
    }
    hm_free(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint_round_trip),
        cmocka_unit_test(test_room_for_nothing_is_a_place),
        cmocka_unit_test(test_varint_refuses_long_forms),
        cmocka_unit_test(test_addr_text),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_known_hashes),
        cmocka_unit_test(test_index_of_numbers_that_count_up),
        cmocka_unit_test(test_index_against_a_model),
        cmocka_unit_test(test_arena_gives_zeroed_memory_again),
        cmocka_unit_test(test_an_array_gives_back_what_it_does_not_use),
        cmocka_unit_test(test_status_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
