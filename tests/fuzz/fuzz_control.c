/* A whole node, alone in its cluster but for one hostile member that holds the key: commands over
 * the control socket, payloads from that member and from strangers, streams that break, and the
 * time that passes. It stays up, bounded, and still says how it is.
 *
 * The input is a script: what happens (u8), then what that takes. In bytes that are sent, MARK and
 * a number stand for the id of that number, which no fuzzer would guess. */
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/include/hivemind/module.h"
#include "core/state/view.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARK          0xf5
#define CONNECTION    7u /* that commands come over */
#define ASKING        8u /* that the node is asked over in the end */
#define ACTS_MAX      20000u
#define STEPS_MAX     64u
#define TICKS_MAX     50u
#define GENERATED_TO  220u /* kinds of messages end before */
#define ACT_BYTES_MAX (8u << 20)
#define STATUS_CALL   77u

enum { NODE, MEMBER, STRANGER, IDS };
enum {
    COMMAND,
    COMMAND_MADE,
    PAYLOAD,
    PAYLOAD_MADE,
    TIME,
    STREAM_UP,
    STREAM_DOWN,
    REFUSED,
    CLOSED
};
#define EVENTS (CLOSED + 1)

struct world {
    struct hm_node *node;
    hm_ms now;
    uint64_t cluster;
    struct hm_id ids[IDS];
    bool stopped;
    bool told; /* a status_reply over ASKING */
};

/* ---- a module of every kind of role ---- */

static const char *const roles[] = {"control", "dns", "host", NULL};
static const char *const dns_role[] = {"dns", NULL};

static enum hm_status start_host(struct hm_module_ctx *ctx, struct hm_buf *error)
{
    struct hm_service web = {.name = hm_name_of("web"), .port = 80, .weight = 1};
    (void)error;
    hm_module_publish(ctx, &(struct hm_host_config){.services = &web, .services_count = 1});
    return HM_OK;
}

static enum hm_status announce(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    if (request->message->kind != HM_MSG_announce) {
        return HM_NOT_FOUND;
    }
    const struct hm_announce *wanted = &request->message->announce;
    struct hm_service service = {.name = wanted->service, .port = wanted->port, .weight = 100};
    struct hm_version version =
        hm_module_publish(ctx, &(struct hm_host_config){.services = &service, .services_count = 1});
    hm_module_report_change(ctx, request, version, &wanted->service,
                            &hm_module_node_config(ctx)->addr, wanted->timeout_ms);
    return HM_OK;
}

static const struct hm_module everything = {.abi = HM_MODULE_ABI,
                                            .kind = HM_MODULE_ROLE,
                                            .name = "everything",
                                            .performs = roles,
                                            .bootstraps = dns_role,
                                            .feeds = HM_FEEDS_STATE,
                                            .start = start_host,
                                            .request = announce};
static const struct hm_module *const modules[] = {&everything};

static struct hm_addr addr_of(unsigned number)
{
    return (struct hm_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(number + 1)}, .port = 9610};
}

/* ---- the world ---- */

static void look_at_reply(struct world *world, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    enum hm_status status = hm_message_decode(&in, &arena, &message);
    HM_ASSERT(status == HM_OK);
    world->told |= message.kind == HM_MSG_status_reply && message.status_reply.call == STATUS_CALL;
    hm_arena_fini(&arena);
}

static void drain(struct world *world)
{
    struct hm_act act;
    size_t acts = 0;
    while (hm_node_output(world->node, &act)) {
        HM_ASSERT(++acts < ACTS_MAX && act.bytes.size < ACT_BYTES_MAX);
        if (act.kind == HM_ACT_CLUSTER) {
            world->cluster = act.number;
        } else if (act.kind == HM_ACT_STOPPED) {
            world->stopped = true;
        } else if (act.kind == HM_ACT_REPLY && act.number == ASKING) {
            look_at_reply(world, act.bytes);
        } else if (act.kind == HM_ACT_DISK) {
            hm_node_disk_done(world->node, world->now, act.number, HM_OK);
        }
    }
}

/* The node is woken when it wants to be, until that time has passed. */
static void pass(struct world *world, hm_ms time)
{
    hm_ms until = world->now + time;
    for (size_t i = 0; i < TICKS_MAX && !world->stopped; i++) {
        hm_ms at = hm_node_deadline(world->node);
        if (at > until) {
            break;
        }
        world->now = at > world->now ? at : world->now;
        hm_node_tick(world->node, world->now);
        drain(world);
    }
    world->now = until;
    if (!world->stopped) {
        hm_node_tick(world->node, world->now);
        drain(world);
    }
}

static void receive(struct world *world, unsigned from, bool stream, uint64_t cluster,
                    struct hm_bytes messages)
{
    struct hm_addr addr = addr_of(from);
    struct hm_buf payload = {0};
    hm_buf_append(&payload, world->ids[from].bytes, sizeof world->ids[from].bytes);
    hm_put_u8(&payload, 4);
    hm_buf_append(&payload, addr.ip, 4);
    hm_put_varint(&payload, addr.port);
    hm_buf_append(&payload, messages.data, messages.size);
    hm_node_receive(world->node, world->now, &addr, stream, cluster, hm_buf_view(&payload));
    hm_buf_fini(&payload);
    drain(world);
}

static void send(struct world *world, unsigned from, const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    receive(world, from, true, world->cluster, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

static void begin(struct world *world)
{
    struct hm_buf error = {0};
    struct hm_node_config config = {
        .name = hm_name_of("one"),
        .addr = addr_of(NODE),
        .roles = {hm_name_of("control"), hm_name_of("dns"), hm_name_of("host")},
        .role_count = 3,
        .bootstrap = true,
        .serve_joins = true,
        .seed = 1,
        .modules = modules,
        .module_count = 1};
    world->now = 1000;
    world->node = hm_node_new(&config, &error);
    HM_ASSERT(world->node != NULL);
    enum hm_status status = hm_node_start(world->node, world->now, 1000000, NULL, 0, &error);
    HM_ASSERT(status == HM_OK);
    drain(world);
    pass(world, 3000);
    HM_ASSERT(hm_node_is_ready(world->node));
    hm_buf_fini(&error);
    world->ids[NODE] = hm_node_id(world->node);
    world->ids[MEMBER] = (struct hm_id){{2}};
    world->ids[STRANGER] = (struct hm_id){{3}};
    struct hm_label performs[] = {{hm_name_of("control")}, {hm_name_of("dns")}};
    struct hm_member member = {.id = world->ids[MEMBER],
                               .name = hm_name_of("two"),
                               .addr = addr_of(MEMBER),
                               .roles = performs,
                               .roles_count = 2,
                               .feeds = 3,
                               .boot = 1,
                               .feature = 1};
    send(world, MEMBER,
         &(struct hm_message){.kind = HM_MSG_join, .join = {.call = 1, .member = member}});
    pass(world, 100);
    HM_ASSERT(hm_members_find(&hm_node_view(world->node)->members, &world->ids[MEMBER]) != NULL);
}

/* ---- the script ---- */

/* The next `size` bytes, marks replaced. */
static void take(struct world *world, struct hm_reader *in, struct hm_buf *out)
{
    size_t size = hm_get_u8(in);
    size += (size_t)hm_get_u8(in) << 8;
    size = size < hm_reader_left(in) ? size : hm_reader_left(in);
    struct hm_bytes bytes = hm_get_bytes(in, size);
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == MARK && i + 1 < bytes.size && bytes.data[i + 1] < IDS) {
            hm_buf_append(out, world->ids[bytes.data[++i]].bytes, sizeof world->ids[0].bytes);
        } else {
            hm_put_u8(out, bytes.data[i]);
        }
    }
}

static struct hm_id id_of(const struct world *world, struct hm_reader *in)
{
    return world->ids[hm_get_u8(in) % IDS];
}

/* A generated message as bytes within another. */
static struct hm_bytes nested(struct hm_reader *in, enum hm_message_kind kind,
                              struct hm_arena *arena)
{
    struct hm_random random;
    struct hm_message message;
    struct hm_buf bytes = {0};
    hm_random_init(&random, hm_get_u8(in));
    hm_message_generate(&random, kind, arena, &message);
    hm_message_encode(&bytes, &message);
    uint8_t *copy = hm_arena_alloc(arena, bytes.size, 1);
    memcpy(copy, bytes.data, bytes.size);
    struct hm_bytes result = {copy, bytes.size};
    hm_buf_fini(&bytes);
    return result;
}

static void aim_append(struct hm_reader *in, struct hm_append *append, struct hm_arena *arena)
{
    append->log = 0;
    append->term = hm_get_u8(in);
    append->prev_index = hm_get_u8(in);
    append->prev_term = hm_get_u8(in);
    append->commit = hm_get_u8(in);
    append->entries_count = append->entries_count < 3 ? append->entries_count : 3;
    for (uint32_t i = 0; i < append->entries_count; i++) {
        append->entries[i].term = hm_get_u8(in);
        append->entries[i].body = nested(
            in, append->entries[i].kind == 1 ? HM_MSG_log_voters : HM_MSG_log_request, arena);
    }
}

static void aim_event(struct hm_reader *in, struct hm_event *event, struct hm_arena *arena)
{
    event->index = hm_get_u8(in);
    event->epoch = 1;
    event->members_position = hm_get_u8(in);
    event->state_position = hm_get_u8(in);
    event->body =
        nested(in, (enum hm_message_kind)(HM_MSG_member_joined + hm_get_u8(in) % 8), arena);
}

static void aim_state(const struct world *world, struct hm_reader *in, struct hm_host_state *state,
                      struct hm_arena *arena)
{
    state->host = id_of(world, in);
    state->version = (struct hm_version){hm_get_u8(in), hm_get_u8(in)};
    state->config = nested(in, HM_MSG_host_config, arena);
}

/* Ids, terms and places that mean something here. */
static void aim(const struct world *world, struct hm_reader *in, struct hm_message *message,
                struct hm_arena *arena)
{
    switch (message->kind) {
    case HM_MSG_append:
        aim_append(in, &message->append, arena);
        break;
    case HM_MSG_append_reply:
        message->append_reply.log = 0;
        message->append_reply.term = hm_get_u8(in);
        message->append_reply.match = hm_get_u8(in);
        break;
    case HM_MSG_vote_request:
        message->vote_request.log = 0;
        message->vote_request.term = hm_get_u8(in);
        break;
    case HM_MSG_snapshot_chunk:
        message->snapshot_chunk.log = 0;
        message->snapshot_chunk.term = hm_get_u8(in);
        message->snapshot_chunk.last_index = hm_get_u8(in);
        message->snapshot_chunk.offset = 0;
        message->snapshot_chunk.data = nested(in, HM_MSG_log_snapshot, arena);
        message->snapshot_chunk.total = message->snapshot_chunk.data.size;
        break;
    case HM_MSG_submit:
        message->submit.log = 0;
        message->submit.session = id_of(world, in);
        message->submit.seq = hm_get_u8(in);
        message->submit.request =
            nested(in, (enum hm_message_kind)(HM_MSG_request_join + hm_get_u8(in) % 6), arena);
        break;
    case HM_MSG_report:
        message->report.target = id_of(world, in);
        break;
    case HM_MSG_feed_event:
        message->feed_event.feed = hm_get_u8(in) % 2;
        aim_event(in, &message->feed_event.event, arena);
        break;
    case HM_MSG_push:
        aim_state(world, in, &message->push.state, arena);
        break;
    case HM_MSG_suspect:
        message->suspect.target = id_of(world, in);
        break;
    default:
        break;
    }
}

/* A well-formed message, mostly of random content. */
static void make(const struct world *world, struct hm_reader *in, struct hm_buf *out)
{
    struct hm_random random;
    struct hm_arena arena = {0};
    struct hm_message message;
    enum hm_message_kind kind = hm_message_kind_after(hm_get_u8(in) % GENERATED_TO);
    hm_random_init(&random, hm_get_u8(in));
    if (kind != HM_MSG_NONE) {
        hm_message_generate(&random, kind, &arena, &message);
        aim(world, in, &message, &arena);
        hm_message_encode(out, &message);
    }
    hm_arena_fini(&arena);
}

static void happen(struct world *world, struct hm_reader *in)
{
    static const enum hm_status ends[] = {HM_OK, HM_UNREACHABLE, HM_IO, HM_UNSEALED};
    struct hm_buf bytes = {0};
    struct hm_addr addr = addr_of(MEMBER);
    unsigned event = hm_get_u8(in) % EVENTS;
    unsigned how = 0;
    switch (event) {
    case COMMAND:
    case COMMAND_MADE:
        event == COMMAND ? take(world, in, &bytes) : make(world, in, &bytes);
        hm_node_control(world->node, world->now, CONNECTION, hm_buf_view(&bytes));
        break;
    case PAYLOAD:
    case PAYLOAD_MADE:
        how = hm_get_u8(in);
        event == PAYLOAD ? take(world, in, &bytes) : make(world, in, &bytes);
        receive(world, how & 1 ? MEMBER : STRANGER, how & 2, how & 4 ? world->cluster : how >> 3,
                hm_buf_view(&bytes));
        break;
    case TIME:
        how = hm_get_u8(in);
        pass(world, how * how);
        break;
    case STREAM_UP:
        hm_node_stream_up(world->node, world->now, &addr);
        break;
    case STREAM_DOWN:
        hm_node_stream_down(world->node, world->now, &addr, ends[hm_get_u8(in) % 4]);
        break;
    case REFUSED:
        hm_node_refused(world->node, world->now, &addr);
        break;
    default:
        hm_node_control_closed(world->node, world->now, CONNECTION);
        break;
    }
    hm_buf_fini(&bytes);
    drain(world);
}

static void ask(struct world *world)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, &(struct hm_message){.kind = HM_MSG_status_query,
                                                   .status_query = {.call = STATUS_CALL}});
    hm_node_control(world->node, world->now, ASKING, hm_buf_view(&bytes));
    drain(world);
    HM_ASSERT(world->told);
    hm_buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {0};
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    begin(&world);
    for (size_t i = 0; i < STEPS_MAX && hm_reader_left(&in) && !world.stopped; i++) {
        happen(&world, &in);
    }
    if (!world.stopped) {
        pass(&world, 1000);
    }
    if (!world.stopped) {
        ask(&world);
    }
    hm_node_free(world.node);
    return 0;
}
