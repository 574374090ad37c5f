/* The message table: what is generated survives the codec, what is hostile is refused. */
#include "core/base/memory.h"
#include "core/wire/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void encode_again(struct hm_bytes bytes, struct hm_buf *again, struct hm_arena *arena)
{
    struct hm_reader in = hm_reader_of(bytes);
    struct hm_message message;
    assert_int_equal(hm_message_decode(&in, arena, &message), HM_OK);
    assert_int_equal(hm_reader_left(&in), 0);
    hm_message_encode(again, &message);
}

static void test_every_kind_round_trips(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 1);
    struct hm_arena arena = {0};
    size_t kinds = 0;
    for (enum hm_message_kind kind = HM_MSG_NONE; (kind = hm_message_kind_after(kind)); kinds++) {
        for (int round = 0; round < 200; round++) {
            struct hm_message message;
            struct hm_buf first = {0};
            struct hm_buf again = {0};
            hm_message_generate(&random, kind, &arena, &message);
            hm_message_encode(&first, &message);
            encode_again(hm_buf_view(&first), &again, &arena);
            assert_true(hm_bytes_equal(hm_buf_view(&first), hm_buf_view(&again)));
            hm_buf_fini(&first);
            hm_buf_fini(&again);
            hm_arena_clear(&arena);
        }
    }
    assert_true(kinds > 50);
    hm_arena_fini(&arena);
}

/* Whatever still decodes after a mutation has one encoding only: its own bytes. */
static void test_mutations_are_refused_or_canonical(void **state)
{
    (void)state;
    struct hm_random random;
    hm_random_init(&random, 2);
    struct hm_arena arena = {0};
    size_t refused = 0;
    for (enum hm_message_kind kind = HM_MSG_NONE; (kind = hm_message_kind_after(kind));) {
        for (int round = 0; round < 100; round++) {
            struct hm_message message;
            struct hm_buf bytes = {0};
            struct hm_buf again = {0};
            hm_message_generate(&random, kind, &arena, &message);
            hm_message_encode(&bytes, &message);
            bytes.data[hm_random_below(&random, bytes.size)] ^=
                (uint8_t)(1u << hm_random_below(&random, 8));
            bytes.size -= hm_random_chance(&random, 200) ? 1 : 0;
            struct hm_reader in = hm_reader_of(hm_buf_view(&bytes));
            if (hm_message_decode(&in, &arena, &message) != HM_OK) {
                refused++;
            } else {
                hm_message_encode(&again, &message);
                assert_memory_equal(again.data, bytes.data, again.size);
            }
            hm_buf_fini(&bytes);
            hm_buf_fini(&again);
            hm_arena_clear(&arena);
        }
    }
    assert_true(refused > 100);
    hm_arena_fini(&arena);
}

static void test_a_list_longer_than_its_bytes_takes_no_memory(void **state)
{
    (void)state;
    /* reconcile_versions that claims 65,536 items in a body of four bytes. */
    const uint8_t lie[] = {28, 4, 0x80, 0x80, 0x04, 0x00};
    struct hm_reader in = hm_reader_of((struct hm_bytes){lie, sizeof lie});
    struct hm_arena arena = {0};
    struct hm_message message;
    assert_int_equal(hm_message_decode(&in, &arena, &message), HM_BAD_BYTES);
    /* What it was given fits the smallest chunk: nothing near 65,536 items. */
    assert_true(arena.used <= 64);
    hm_arena_fini(&arena);
}

static void test_print_reads_like_the_table(void **state)
{
    (void)state;
    struct hm_message ping = {.kind = HM_MSG_ping,
                              .ping = {.nonce = 7, .incarnation = 1, .members = {1, 3}}};
    struct hm_buf text = {0};
    hm_message_print(&text, &ping);
    hm_put_u8(&text, 0);
    assert_string_equal((char *)text.data, "ping nonce=7 wants=0 incarnation=1 members={ epoch=1 "
                                           "position=3 } state={ epoch=0 position=0 }");
    hm_buf_fini(&text);
}

static void test_decode_only_wants_one_message_of_the_kind(void **state)
{
    (void)state;
    struct hm_message leave = {.kind = HM_MSG_leave, .leave = {.call = 1}};
    struct hm_buf bytes = {0};
    struct hm_arena arena = {0};
    struct hm_message out;
    hm_message_encode(&bytes, &leave);
    struct hm_bytes view = hm_buf_view(&bytes);
    assert_int_equal(hm_message_decode_only(view, HM_MSG_leave, &arena, &out), HM_OK);
    assert_int_equal(hm_message_decode_only(view, HM_MSG_ping, &arena, &out), HM_BAD_BYTES);
    hm_message_encode(&bytes, &leave);
    view = hm_buf_view(&bytes);
    assert_int_equal(hm_message_decode_only(view, HM_MSG_leave, &arena, &out), HM_BAD_BYTES);
    hm_buf_fini(&bytes);
    hm_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_round_trips),
        cmocka_unit_test(test_mutations_are_refused_or_canonical),
        cmocka_unit_test(test_a_list_longer_than_its_bytes_takes_no_memory),
        cmocka_unit_test(test_print_reads_like_the_table),
        cmocka_unit_test(test_decode_only_wants_one_message_of_the_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
