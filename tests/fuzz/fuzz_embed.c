/* A server of libhivemind among peers that say anything over the program's own transport: raw
 * frames, frames with a right head, messages of the table with random content, and time that passes
 * in between. It stays up, and still answers what it is asked.
 *
 * The input is a script: what happens (u8), then what that takes. The first byte says whether the
 * server founded its log alone, founded it with others, or waits to be added. */
#include "core/base/assert.h"
#include "core/embed/internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GENERATED_TO 244u /* kinds of messages end before */
#define STEPS_MAX    64

enum { RAW, HEADED, MADE, TIME, SUBMIT, LOST, EVENTS };

struct world {
    hm_ms now;
    struct hm_bytes frame; /* on its way to the server */
    bool there;
};

static enum hm_status net_connect(void *context, const char *address)
{
    (void)context;
    (void)address;
    return HM_OK;
}

static enum hm_status net_send(void *context, const char *address, const void *frame, size_t size)
{
    (void)context;
    (void)address;
    HM_ASSERT(frame != NULL && size > 0);
    return HM_OK;
}

static bool net_receive(void *context, const void **frame, size_t *size)
{
    struct world *world = context;
    bool there = world->there;
    *frame = world->frame.data;
    *size = world->frame.size;
    world->there = false;
    return there;
}

static uint64_t net_now(void *context)
{
    return ((struct world *)context)->now;
}

static void apply(void *context, const struct hivemind_entry *entry, struct hivemind_result *result)
{
    uint64_t *applied = context;
    (void)result;
    HM_ASSERT(entry->index > 0);
    *applied = entry->index;
}

static void put_head(struct hm_buf *out, uint8_t from)
{
    struct hivemind_id self = hivemind_id_of("a");
    struct hivemind_id peer = hivemind_id_of(from % 2 ? "b" : "c");
    struct hm_part_frame head = {.addr = {.family = 4, .ip = {10, 0, 0, 2}, .port = 1},
                                 .log = hm_name_of("log")};
    memcpy(&head.to, &self, sizeof self);
    memcpy(&head.from, &peer, sizeof peer);
    hm_message_encode(out, &(struct hm_message){.kind = HM_MSG_part_frame, .part_frame = head});
}

static void put_made(struct hm_buf *out, uint8_t kind, uint32_t seed)
{
    struct hm_arena arena = {0};
    struct hm_random random;
    struct hm_message message;
    enum hm_message_kind at = HM_MSG_NONE;
    hm_random_init(&random, seed);
    while ((unsigned)(at = hm_message_kind_after(at)) < kind % GENERATED_TO && at != HM_MSG_NONE) {
    }
    if (at != HM_MSG_NONE) {
        hm_message_generate(&random, at, &arena, &message);
        hm_message_encode(out, &message);
    }
    hm_arena_fini(&arena);
}

static void event(struct hivemind_server *server, struct hivemind_participant *log,
                  struct world *world, struct hm_reader *in)
{
    struct hm_buf frame = {0};
    uint8_t what = (uint8_t)(hm_get_u8(in) % EVENTS);
    uint8_t number = hm_get_u8(in);
    size_t left = hm_reader_left(in);
    if (what == HEADED || what == MADE) {
        put_head(&frame, number);
    }
    if (what == MADE) {
        put_made(&frame, hm_get_u8(in), number);
    } else if (what == RAW || what == HEADED || what == SUBMIT) {
        struct hm_bytes bytes = hm_get_bytes(in, number < left ? number : left);
        hm_buf_append(&frame, bytes.data, bytes.size);
    }
    world->now += what == TIME ? number * 4u : 1;
    if (what == SUBMIT) {
        (void)!hivemind_submit(log, frame.data, frame.size, NULL, NULL);
    } else if (what == LOST) {
        hivemind_lost(server, "10.0.0.2:1");
    } else if (what != TIME) {
        world->frame = hm_buf_view(&frame);
        world->there = true;
    }
    HM_ASSERT(hivemind_step(server) == HM_OK);
    hm_buf_fini(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.now = 1000000};
    uint64_t applied = 0;
    char error[256];
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    uint8_t kind = hm_get_u8(&in);
    struct hivemind_transport transport = {net_connect, net_send, net_receive, &world};
    struct hivemind_server_config config = {.id = hivemind_id_of("a"),
                                            .address = "10.0.0.1:1",
                                            .transport = &transport,
                                            .now_ms = net_now,
                                            .clock_context = &world,
                                            .seed = 1};
    struct hivemind_peer peers[] = {{hivemind_id_of("a"), "10.0.0.1:1"},
                                    {hivemind_id_of("b"), "10.0.0.2:1"},
                                    {hivemind_id_of("c"), "10.0.0.2:1"}};
    struct hivemind_log_config log = {
        .name = "log", .machine = {.apply = apply}, .context = &applied, .joins = kind % 3 == 2};
    struct hivemind_server *server;
    struct hivemind_participant *participant;
    struct hivemind_state state;
    enum hm_status status = hivemind_server_new(&config, &server, error, sizeof error);
    HM_ASSERT(status == HM_OK);
    status = hivemind_open(server, &log, peers, kind % 3 ? 3 : 1, &participant);
    HM_ASSERT(status == HM_OK && hivemind_start(server) == HM_OK);
    for (int i = 0; i < STEPS_MAX && hm_reader_left(&in) > 0; i++) {
        event(server, participant, &world, &in);
    }
    status = hivemind_state(participant, &state);
    HM_ASSERT(status == HM_OK);
    (void)hivemind_server_free(server);
    return 0;
}
