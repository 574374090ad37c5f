/* Hands any bytes to the opener and to a stream, as they are and as a frame of ours, in full or
 * brief, with these bytes put over its start: nothing but our own frame opens, and it only once. */
#include "core/base/assert.h"
#include "core/wire/seal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct hm_key key = {{1, 2, 3, 4}};

static void try_datagram(struct hm_bytes input, bool brief)
{
    static const char payload[] = "it says who speaks";
    struct hm_sealer sealer;
    struct hm_opener opener;
    struct hm_buf frame = {0};
    struct hm_buf plain = {0};
    uint64_t cluster;
    hm_sealer_init(&sealer, &key, 5);
    hm_opener_init(&opener, &key, 2);
    hm_seal(&sealer, 1, hm_bytes_of_text(payload), &frame);
    if (brief) {
        HM_ASSERT(hm_open(&opener, hm_buf_view(&frame), &cluster, &plain) == HM_OK);
        hm_buf_clear(&frame);
        hm_seal_brief(&sealer, 1, hm_bytes_of_text(payload), &frame);
    }
    /* A fuzzer that watches comparisons does find our frame. */
    HM_ASSERT(hm_open(&opener, input, &cluster, &plain) != HM_OK ||
              hm_bytes_equal(input, hm_buf_view(&frame)));
    size_t over = input.size < frame.size ? input.size : frame.size;
    bool changed = memcmp(frame.data, input.data, over) != 0;
    memcpy(frame.data, input.data, over);
    enum hm_status status = hm_open(&opener, hm_buf_view(&frame), &cluster, &plain);
    HM_ASSERT(changed ? status != HM_OK : status == HM_OK || status == HM_REPLAYED);
    HM_ASSERT(hm_open(&opener, hm_buf_view(&frame), &cluster, &plain) != HM_OK);
    hm_sealer_fini(&sealer);
    hm_opener_fini(&opener);
    hm_buf_fini(&frame);
    hm_buf_fini(&plain);
}

static void try_stream(struct hm_bytes input)
{
    static const uint8_t preamble[HM_PREAMBLE_BYTES];
    struct hm_stream_seal stream;
    struct hm_buf plain = {0};
    size_t frame_bytes = 0;
    hm_stream_seal_init(&stream, &key, preamble, preamble, HM_STREAM_FROM_CONNECTOR);
    if (hm_stream_frame_bytes(input, &frame_bytes) == HM_OK && frame_bytes > 0 &&
        frame_bytes <= input.size) {
        struct hm_bytes frame = {input.data, frame_bytes};
        HM_ASSERT(hm_stream_open(&stream, frame, &plain) != HM_OK && plain.size == 0);
    }
    hm_stream_seal_fini(&stream);
    hm_buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = {data, size};
    struct hm_key parsed;
    uint64_t cluster;
    char text[HM_KEY_TEXT_BYTES];
    if (size > 0) {
        try_datagram(input, false);
        try_datagram(input, true);
        try_stream(input);
    }
    if (size >= HM_PREAMBLE_BYTES) {
        (void)hm_preamble_read(&key, data, &cluster);
    }
    if (hm_key_parse(input, &parsed) == HM_OK) {
        struct hm_key again;
        hm_key_format(&parsed, text);
        HM_ASSERT(hm_key_parse(hm_bytes_of_text(text), &again) == HM_OK);
        HM_ASSERT(memcmp(&again, &parsed, sizeof again) == 0);
    }
    return 0;
}
