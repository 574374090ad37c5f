/* A session of hivemind-lite that hears anything: it goes on saying keepalives that decode, to
 * addresses that can be sent to, and never sooner than it should.
 *
 * The input is a script: a time step (u8, times 16 ms), a length (u8), then so many bytes of a
 * payload; the length 255 makes a generated answer out of the next byte as seed. */
#include "core/base/assert.h"
#include "lite/session.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MADE      255
#define SENDS_MAX 64 /* at one moment: answers may make it ask again, but not without end */

static void check_keepalive(const struct lite_session *session, const struct hm_buf *payload)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_bytes body = {payload->data + 17, payload->size - 17};
    HM_ASSERT(payload->size <= HM_WIRE_DATAGRAM_BYTES_MAX && session->current.port != 0);
    HM_ASSERT(hm_message_decode_only(body, HM_MSG_keepalive, &arena, &message) == HM_OK);
    HM_ASSERT(message.keepalive.version.seq % 2 == 0);
    hm_arena_fini(&arena);
}

static void tick(struct lite_session *session, hm_ms now)
{
    for (int sends = 0;; sends++) {
        struct hm_buf payload = {0};
        enum lite_news news;
        bool sent = lite_session_tick(session, now, &payload, &news);
        HM_ASSERT(sends < SENDS_MAX);
        if (sent) {
            check_keepalive(session, &payload);
        }
        hm_buf_fini(&payload);
        if (!sent) {
            return;
        }
    }
}

static void hear(struct lite_session *session, hm_ms now, struct hm_reader *in)
{
    uint8_t length = hm_get_u8(in);
    struct hm_buf payload = {0};
    if (length == MADE) {
        struct hm_random random;
        struct hm_arena arena = {0};
        struct hm_message message;
        hm_random_init(&random, hm_get_u8(in));
        hm_message_generate(&random, HM_MSG_keepalive_reply, &arena, &message);
        message.keepalive_reply.call = session->call;
        message.keepalive_reply.status = hm_get_u8(in) % 32;
        hm_buf_append(&payload, (const uint8_t[17]){0}, 17);
        hm_message_encode(&payload, &message);
        hm_arena_fini(&arena);
    } else {
        struct hm_bytes bytes =
            hm_get_bytes(in, length < hm_reader_left(in) ? length : hm_reader_left(in));
        hm_buf_append(&payload, bytes.data, bytes.size);
    }
    (void)lite_session_receive(session, now, hm_buf_view(&payload));
    hm_buf_fini(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hm_ms now = 1000;
    struct lite_session session = {
        .id = {{1}}, .name = hm_name_of("lite"), .version = {1, 2}, .interval_ms = 1000};
    const struct hm_addr joins[] = {{4, {127, 0, 0, 1}, 9610}, {4, {127, 0, 0, 2}, 9610}};
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    lite_session_set_joins(&session, joins, 1);
    lite_session_start(&session, now);
    while (hm_reader_left(&in) > 1) {
        uint8_t step = hm_get_u8(&in);
        now += (hm_ms)(step & 0x7f) * 16;
        tick(&session, now);
        if (step & 0x80) {
            lite_session_unreachable(&session, now);
        } else {
            hear(&session, now, &in);
        }
        if (step == 0x7e) { /* the names stand for others now, or for nobody */
            lite_session_set_joins(&session, joins, (size_t)now / 16 % 3);
        }
        if (session.give_up_at == HM_NEVER && step == 0x7f) {
            (void)lite_session_withdraw(&session, now);
        }
        HM_ASSERT(session.keeper_count <= LITE_KEEPERS_MAX);
    }
    return 0;
}
