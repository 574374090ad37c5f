/* Sealed frames: they open once, with the right key, unchanged; nothing else does. */
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/wire/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct hm_key key_of(uint8_t fill)
{
    uint8_t random[HM_KEY_BYTES];
    struct hm_key key;
    memset(random, fill, sizeof random);
    hm_key_generate(random, &key);
    return key;
}

static void test_key_text(void **state)
{
    (void)state;
    struct hm_key key = key_of(0xa5);
    struct hm_key again = {0};
    char text[HM_KEY_TEXT_BYTES];
    hm_key_format(&key, text);
    assert_string_equal(text, "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n");
    assert_int_equal(hm_key_parse(hm_bytes_of_text(text), &again), HM_OK);
    assert_memory_equal(&again, &key, sizeof key);
    struct hm_key untouched = key_of(1);
    text[63] = 'g';
    assert_int_equal(hm_key_parse(hm_bytes_of_text(text), &untouched), HM_BAD_BYTES);
    text[63] = '\n';
    assert_int_equal(hm_key_parse(hm_bytes_of_text(text), &untouched), HM_BAD_BYTES);
    assert_int_equal(hm_key_parse(hm_bytes_of_text(""), &untouched), HM_BAD_BYTES);
    assert_int_equal(untouched.bytes[0], 1);
    struct hm_key other = key_of(0xa6);
    assert_int_not_equal(hm_key_id(&key), hm_key_id(&other));
}

/* One sender, one receiver. */
struct pair {
    struct hm_key key;
    struct hm_sealer sealer;
    struct hm_opener opener;
    struct hm_buf frame;
    struct hm_buf plain;
    uint64_t cluster;
};

static void pair_init(struct pair *pair, size_t senders_max)
{
    *pair = (struct pair){.key = key_of(7)};
    hm_sealer_init(&pair->sealer, &pair->key, 99);
    hm_opener_init(&pair->opener, &pair->key, senders_max);
}

static void pair_fini(struct pair *pair)
{
    hm_sealer_fini(&pair->sealer);
    hm_opener_fini(&pair->opener);
    hm_buf_fini(&pair->frame);
    hm_buf_fini(&pair->plain);
}

static void make(struct pair *pair, struct hm_sealer *sealer, const char *text)
{
    hm_buf_clear(&pair->frame);
    hm_seal(sealer, 42, hm_bytes_of_text(text), &pair->frame);
}

static enum hm_status take(struct pair *pair)
{
    hm_buf_clear(&pair->plain);
    return hm_open(&pair->opener, hm_buf_view(&pair->frame), &pair->cluster, &pair->plain);
}

static void test_datagram_opens_once(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 4);
    make(&pair, &pair.sealer, "ping");
    assert_int_equal(pair.frame.size, 4 + HM_SEAL_FRAME_EXTRA);
    assert_int_equal(take(&pair), HM_OK);
    assert_int_equal(pair.cluster, 42);
    assert_true(hm_bytes_equal(hm_buf_view(&pair.plain), hm_bytes_of_text("ping")));
    assert_int_equal(take(&pair), HM_REPLAYED);
    assert_int_equal(pair.plain.size, 0);
    make(&pair, &pair.sealer, "");
    assert_int_equal(take(&pair), HM_OK);
    assert_int_equal(pair.plain.size, 0);
    pair_fini(&pair);
}

/* Every bit of a frame counts: the header is authenticated too. */
static void test_any_changed_bit_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 4);
    make(&pair, &pair.sealer, "something");
    for (size_t bit = 0; bit < pair.frame.size * 8; bit++) {
        pair.frame.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        enum hm_status status = take(&pair);
        enum hm_status expected = bit < 8 ? HM_BAD_BYTES : HM_UNSEALED;
        assert_int_equal(status,
                         bit == 7 ? HM_NOT_FOUND : expected); /* that makes it a brief one */
        assert_int_equal(pair.plain.size, 0);
        pair.frame.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(pair.opener.count, 0);
    assert_int_equal(take(&pair), HM_OK);
    for (size_t size = 0; size < pair.frame.size; size++) {
        struct hm_bytes part = {pair.frame.data, size};
        assert_int_not_equal(hm_open(&pair.opener, part, &pair.cluster, &pair.plain), HM_OK);
    }
    pair_fini(&pair);
}

static void test_another_key_does_not_open(void **state)
{
    (void)state;
    struct pair pair;
    struct hm_key other = key_of(8);
    struct hm_sealer stranger;
    pair_init(&pair, 4);
    hm_sealer_init(&stranger, &other, 5);
    make(&pair, &stranger, "hello");
    assert_int_equal(take(&pair), HM_UNSEALED);
    /* Even when it claims our key's id. */
    stranger.key_id = pair.sealer.key_id;
    make(&pair, &stranger, "hello");
    assert_int_equal(take(&pair), HM_UNSEALED);
    assert_int_equal(pair.opener.count, 0);
    hm_sealer_fini(&stranger);
    pair_fini(&pair);
}

static void test_window_takes_each_counter_once_in_any_order(void **state)
{
    (void)state;
    struct pair pair;
    struct hm_random random;
    bool taken[5000] = {false};
    uint64_t highest = 0;
    pair_init(&pair, 4);
    hm_random_init(&random, 3);
    for (int round = 0; round < 20000; round++) {
        uint64_t counter = highest + 1 + hm_random_below(&random, 3);
        if (hm_random_chance(&random, 700)) {
            counter -= hm_random_below(&random, counter < 1400 ? counter : 1400);
        }
        if (counter >= sizeof taken) {
            break;
        }
        pair.sealer.counter = counter - 1;
        make(&pair, &pair.sealer, "x");
        bool fresh =
            !taken[counter] && (counter > highest || highest - counter < HM_SEAL_WINDOW_FRAMES);
        assert_int_equal(take(&pair), fresh ? HM_OK : HM_REPLAYED);
        taken[counter] |= fresh;
        highest = fresh && counter > highest ? counter : highest;
    }
    assert_true(highest > 2048);
    pair.sealer.counter = highest + 100000;
    make(&pair, &pair.sealer, "far ahead");
    assert_int_equal(take(&pair), HM_OK);
    pair.sealer.counter = highest + 99999;
    make(&pair, &pair.sealer, "just behind");
    assert_int_equal(take(&pair), HM_OK);
    pair_fini(&pair);
}

/* The table of senders stays small; only what opened takes a place, the idlest gives its own. */
static void test_senders_are_bounded(void **state)
{
    (void)state;
    struct pair pair;
    struct hm_sealer senders[5];
    struct hm_buf frames[5] = {{0}};
    pair_init(&pair, 4);
    for (size_t i = 0; i < 5; i++) {
        hm_sealer_init(&senders[i], &pair.key, i);
        hm_seal(&senders[i], 0, hm_bytes_of_text("a"), &frames[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(hm_open(&pair.opener, hm_buf_view(&frames[i]), &pair.cluster, &pair.plain),
                         HM_OK);
    }
    make(&pair, &senders[0], "b"); /* now sender 1 is the idlest */
    assert_int_equal(take(&pair), HM_OK);
    frames[4].data[frames[4].size - 1] ^= 1;
    assert_int_equal(hm_open(&pair.opener, hm_buf_view(&frames[4]), &pair.cluster, &pair.plain),
                     HM_UNSEALED);
    assert_int_equal(hm_open(&pair.opener, hm_buf_view(&frames[1]), &pair.cluster, &pair.plain),
                     HM_REPLAYED);
    frames[4].data[frames[4].size - 1] ^= 1;
    assert_int_equal(hm_open(&pair.opener, hm_buf_view(&frames[4]), &pair.cluster, &pair.plain),
                     HM_OK);
    assert_int_equal(pair.opener.count, 4);
    for (size_t i = 0; i < 5; i++) {
        enum hm_status status =
            hm_open(&pair.opener, hm_buf_view(&frames[i]), &pair.cluster, &pair.plain);
        if (i != 1) {
            assert_int_equal(status, HM_REPLAYED);
        } else {
            assert_int_equal(status, HM_OK); /* forgotten, so it opens again, and takes a place: */
            i = 2;                           /* that of sender 2, which would open again as well */
        }
    }
    for (size_t i = 0; i < 5; i++) {
        hm_sealer_fini(&senders[i]);
        hm_buf_fini(&frames[i]);
    }
    pair_fini(&pair);
}

/* Seventeen bytes of who speaks, and a word. */
static void seal_brief(struct pair *pair, uint64_t cluster, const char *text)
{
    hm_buf_clear(&pair->frame);
    hm_seal_brief(&pair->sealer, cluster, hm_bytes_of_text(text), &pair->frame);
}

static const char by_anna[] = "anna.............1";
static const char by_bert[] = "bert.............1";

static void test_brief_after_full(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 4);
    seal_brief(&pair, 42, by_anna);
    assert_int_equal(pair.frame.size, HM_SEAL_BRIEF_BYTES + 1 + HM_SEAL_TAG_BYTES);
    assert_int_equal(take(&pair), HM_NOT_FOUND); /* not heard yet */
    make(&pair, &pair.sealer, "short");
    assert_int_equal(take(&pair), HM_OK);
    seal_brief(&pair, 42, by_anna);
    assert_int_equal(take(&pair), HM_NOT_FOUND); /* heard, but not who it is */
    make(&pair, &pair.sealer, by_anna);
    assert_int_equal(take(&pair), HM_OK);
    pair.cluster = 0;
    seal_brief(&pair, 42, by_anna);
    for (size_t bit = 0; bit < pair.frame.size * 8; bit++) {
        pair.frame.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(take(&pair), bit < 8 ? HM_BAD_BYTES : HM_NOT_FOUND);
        assert_int_equal(pair.plain.size, 0);
        pair.frame.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_int_equal(take(&pair), HM_OK);
    assert_int_equal(pair.cluster, 42);
    assert_true(hm_bytes_equal(hm_buf_view(&pair.plain), hm_bytes_of_text(by_anna)));
    assert_int_equal(take(&pair), HM_REPLAYED);
    assert_int_equal(pair.plain.size, 0);
    for (size_t size = 0; size < pair.frame.size; size++) {
        struct hm_bytes part = {pair.frame.data, size};
        assert_int_not_equal(hm_open(&pair.opener, part, &pair.cluster, &pair.plain), HM_OK);
    }
    pair_fini(&pair);
}

/* What is left out counts: nobody is taken for another, nor for a member of another cluster. */
static void test_brief_is_of_who_was_heard(void **state)
{
    (void)state;
    struct pair pair;
    struct hm_buf before = {0};
    pair_init(&pair, 4);
    make(&pair, &pair.sealer, by_anna);
    assert_int_equal(take(&pair), HM_OK);
    seal_brief(&pair, 42, by_bert);
    assert_int_equal(take(&pair), HM_NOT_FOUND);
    seal_brief(&pair, 43, by_anna);
    assert_int_equal(take(&pair), HM_NOT_FOUND);
    hm_seal(&pair.sealer, 42, hm_bytes_of_text(by_anna), &before);
    hm_buf_clear(&pair.frame);
    hm_seal(&pair.sealer, 43, hm_bytes_of_text(by_bert), &pair.frame);
    assert_int_equal(take(&pair), HM_OK);
    /* One in full that was sent before and comes late does not set it back. */
    assert_int_equal(hm_open(&pair.opener, hm_buf_view(&before), &pair.cluster, &pair.plain),
                     HM_OK);
    seal_brief(&pair, 42, by_anna);
    assert_int_equal(take(&pair), HM_NOT_FOUND);
    seal_brief(&pair, 43, by_bert);
    assert_int_equal(take(&pair), HM_OK);
    assert_int_equal(pair.cluster, 43);
    hm_buf_fini(&before);
    pair_fini(&pair);
}

/* Only the end of the counter is sent: what is far ahead or behind is told in full. */
static void test_brief_counters_go_on(void **state)
{
    (void)state;
    static const uint64_t counters[] = {UINT32_MAX - 1u, (UINT64_C(1) << 32) + 5, UINT32_MAX,
                                        (UINT64_C(1) << 32) + 5 + INT32_MAX};
    struct pair pair;
    pair_init(&pair, 4);
    pair.sealer.counter = counters[0] - 1;
    make(&pair, &pair.sealer, by_anna);
    assert_int_equal(take(&pair), HM_OK);
    for (size_t i = 1; i < sizeof counters / sizeof *counters; i++) {
        pair.sealer.counter = counters[i] - 1;
        seal_brief(&pair, 42, by_anna);
        assert_int_equal(take(&pair), HM_OK);
        assert_int_equal(take(&pair), HM_REPLAYED);
    }
    pair.sealer.counter += UINT32_MAX;
    seal_brief(&pair, 42, by_anna);
    assert_int_equal(take(&pair), HM_NOT_FOUND);
    pair_fini(&pair);
}

/* Salts that end alike are told apart by what opens. */
static void test_brief_namesakes(void **state)
{
    (void)state;
    struct pair pair;
    struct hm_sealer other;
    pair_init(&pair, 4);
    hm_sealer_init(&other, &pair.key, 99 + (UINT64_C(1) << 32));
    make(&pair, &pair.sealer, by_anna);
    assert_int_equal(take(&pair), HM_OK);
    make(&pair, &other, by_bert);
    assert_int_equal(take(&pair), HM_OK);
    seal_brief(&pair, 42, by_anna);
    assert_int_equal(take(&pair), HM_OK);
    assert_true(hm_bytes_equal(hm_buf_view(&pair.plain), hm_bytes_of_text(by_anna)));
    hm_buf_clear(&pair.frame);
    hm_seal_brief(&other, 42, hm_bytes_of_text(by_bert), &pair.frame);
    assert_int_equal(take(&pair), HM_OK);
    assert_true(hm_bytes_equal(hm_buf_view(&pair.plain), hm_bytes_of_text(by_bert)));
    hm_sealer_fini(&other);
    pair_fini(&pair);
}

static void preambles(const struct hm_key *key, uint8_t fill, uint8_t connector[HM_PREAMBLE_BYTES],
                      uint8_t acceptor[HM_PREAMBLE_BYTES])
{
    uint8_t random[HM_PREAMBLE_RANDOM_BYTES];
    memset(random, 1, sizeof random);
    hm_preamble_make(key, 6, random, connector);
    memset(random, fill, sizeof random);
    hm_preamble_make(key, 6, random, acceptor);
}

static void test_preamble(void **state)
{
    (void)state;
    struct hm_key key = key_of(1);
    struct hm_key other = key_of(2);
    uint8_t connector[HM_PREAMBLE_BYTES];
    uint8_t acceptor[HM_PREAMBLE_BYTES];
    uint64_t cluster = 0;
    preambles(&key, 2, connector, acceptor);
    assert_int_equal(hm_preamble_read(&key, connector, &cluster), HM_OK);
    assert_int_equal(cluster, 6);
    assert_int_equal(hm_preamble_read(&other, connector, &cluster), HM_UNSEALED);
    connector[0] = 9;
    assert_int_equal(hm_preamble_read(&key, connector, &cluster), HM_BAD_BYTES);
}

static void test_stream_frames_are_in_order_and_of_this_stream(void **state)
{
    (void)state;
    struct hm_key key = key_of(1);
    uint8_t connector[HM_PREAMBLE_BYTES];
    uint8_t acceptor[HM_PREAMBLE_BYTES];
    struct hm_stream_seal out;
    struct hm_stream_seal in;
    struct hm_buf frames = {0};
    struct hm_buf plain = {0};
    size_t size;
    preambles(&key, 2, connector, acceptor);
    hm_stream_seal_init(&out, &key, connector, acceptor, HM_STREAM_FROM_CONNECTOR);
    hm_stream_seal_init(&in, &key, connector, acceptor, HM_STREAM_FROM_CONNECTOR);
    hm_stream_seal(&out, hm_bytes_of_text("one"), &frames);
    hm_stream_seal(&out, hm_bytes_of_text("two"), &frames);
    assert_int_equal(hm_stream_frame_bytes((struct hm_bytes){frames.data, 3}, &size), HM_OK);
    assert_int_equal(size, 0);
    assert_int_equal(hm_stream_frame_bytes(hm_buf_view(&frames), &size), HM_OK);
    assert_int_equal(size, 3 + HM_STREAM_FRAME_EXTRA);
    struct hm_bytes first = {frames.data, size};
    struct hm_bytes second = {frames.data + size, frames.size - size};
    assert_int_equal(hm_stream_open(&in, second, &plain), HM_UNSEALED);
    assert_int_equal(hm_stream_open(&in, first, &plain), HM_OK);
    assert_int_equal(hm_stream_open(&in, first, &plain), HM_UNSEALED);
    assert_int_equal(hm_stream_open(&in, second, &plain), HM_OK);
    assert_true(hm_bytes_equal(hm_buf_view(&plain), hm_bytes_of_text("onetwo")));
    /* A recording of it, against an acceptor that drew other random bytes, or sent back. */
    preambles(&key, 3, connector, acceptor);
    hm_stream_seal_init(&in, &key, connector, acceptor, HM_STREAM_FROM_CONNECTOR);
    assert_int_equal(hm_stream_open(&in, first, &plain), HM_UNSEALED);
    preambles(&key, 2, connector, acceptor);
    hm_stream_seal_init(&in, &key, connector, acceptor, HM_STREAM_FROM_ACCEPTOR);
    assert_int_equal(hm_stream_open(&in, first, &plain), HM_UNSEALED);
    hm_stream_seal_fini(&in);
    hm_stream_seal_fini(&out);
    hm_buf_fini(&frames);
    hm_buf_fini(&plain);
}

static void test_stream_lengths(void **state)
{
    (void)state;
    struct hm_buf start = {0};
    size_t size = 7;
    hm_put_u32(&start, HM_SEAL_TAG_BYTES - 1);
    assert_int_equal(hm_stream_frame_bytes(hm_buf_view(&start), &size), HM_BAD_BYTES);
    hm_buf_clear(&start);
    hm_put_u32(&start, HM_STREAM_PAYLOAD_BYTES_MAX + HM_SEAL_TAG_BYTES + 1);
    assert_int_equal(hm_stream_frame_bytes(hm_buf_view(&start), &size), HM_BAD_BYTES);
    assert_int_equal(size, 7);
    hm_buf_clear(&start);
    hm_put_u32(&start, HM_STREAM_PAYLOAD_BYTES_MAX + HM_SEAL_TAG_BYTES);
    assert_int_equal(hm_stream_frame_bytes(hm_buf_view(&start), &size), HM_OK);
    hm_buf_fini(&start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_text),
        cmocka_unit_test(test_datagram_opens_once),
        cmocka_unit_test(test_any_changed_bit_is_refused),
        cmocka_unit_test(test_another_key_does_not_open),
        cmocka_unit_test(test_window_takes_each_counter_once_in_any_order),
        cmocka_unit_test(test_senders_are_bounded),
        cmocka_unit_test(test_brief_after_full),
        cmocka_unit_test(test_brief_is_of_who_was_heard),
        cmocka_unit_test(test_brief_counters_go_on),
        cmocka_unit_test(test_brief_namesakes),
        cmocka_unit_test(test_preamble),
        cmocka_unit_test(test_stream_frames_are_in_order_and_of_this_stream),
        cmocka_unit_test(test_stream_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
