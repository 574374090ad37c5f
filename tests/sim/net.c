#include "tests/sim/net.h"

#include "core/base/memory.h"

#include <string.h>

#define CONNECT_TIMEOUT_MS 2000u
#define STREAM_TIMEOUT_MS  5000u
#define RESEND_MS          100u
#define IDLE_MS            4000u /* a daemon's is longer, so are its days */
#define HOLD_AFTER_MS      1000u
#define HOLD_AGAIN_MIN_MS  50u
#define HOLD_AGAIN_MAX_MS  1000u

struct sim_message {
    struct sim_message *next;
    hm_ms at;
    struct hm_bytes bytes;
};

void sim_net_init(struct sim_net *net, struct sim_world *world, size_t count,
                  const struct sim_net_hooks *hooks, void *context)
{
    *net = (struct sim_net){.world = world,
                            .count = count,
                            .hooks = hooks,
                            .context = context,
                            .delay_min = 0,
                            .delay_max = 5};
}

static void drop_queue(struct sim_stream *stream)
{
    while (stream->first) {
        struct sim_message *message = stream->first;
        stream->first = message->next;
        hm_bytes_free(message->bytes);
        hm_free(message);
    }
    stream->last = NULL;
}

void sim_net_fini(struct sim_net *net)
{
    for (size_t from = 0; from < net->count; from++) {
        for (size_t to = 0; to < net->count; to++) {
            drop_queue(&net->streams[from][to]);
        }
    }
}

static hm_ms draw_delay(struct sim_net *net)
{
    return sim_between(net->world, net->delay_min, net->delay_max);
}

static uint64_t pair_of(size_t from, size_t to)
{
    return (uint64_t)from << 8 | to;
}

/* ---- datagrams ---- */

static void arrive(void *context, uint64_t pair, struct hm_bytes bytes)
{
    struct sim_net *net = context;
    size_t from = pair >> 8 & 0xff;
    size_t to = pair & 0xff;
    if (net->cut[from][to]) {
        return;
    }
    if (net->hooks->runs(net->context, to)) {
        net->hooks->datagram(net->context, to, from, bytes);
    } else if (!net->cut[to][from]) {
        net->hooks->refused(net->context, from, to);
    }
}

void sim_net_datagram(struct sim_net *net, size_t from, size_t to, struct hm_bytes bytes)
{
    net->sent++;
    if (net->cut[from][to] || sim_chance(net->world, net->loss_permille)) {
        net->lost++;
        return;
    }
    int copies = sim_chance(net->world, net->twice_permille) ? 2 : 1;
    net->doubled += copies == 2;
    for (int i = 0; i < copies; i++) {
        /* Now and then one takes long, and is overtaken. */
        hm_ms delay = draw_delay(net) * (sim_chance(net->world, 20) ? 20 : 1);
        sim_after_with(net->world, delay, arrive, net, pair_of(from, to), hm_bytes_copy(bytes));
    }
}

/* ---- streams ---- */

/* Events of streams: pair, and the generation above it. */
static uint64_t number_of(const struct sim_net *net, size_t from, size_t to)
{
    return net->streams[from][to].generation << 16 | pair_of(from, to);
}

static void connect_held(void *context, uint64_t number, struct hm_bytes bytes);

static void close_stream(struct sim_net *net, size_t from, size_t to, enum hm_status why)
{
    struct sim_stream *stream = &net->streams[from][to];
    stream->state = SIM_CLOSED;
    stream->generation++;
    drop_queue(stream);
    if (stream->held) {
        sim_after(net->world, sim_between(net->world, HOLD_AGAIN_MIN_MS, HOLD_AGAIN_MAX_MS),
                  connect_held, net, number_of(net, from, to));
    }
    if (net->hooks->runs(net->context, from)) {
        net->hooks->down(net->context, from, to, why);
    }
}

static struct sim_stream *current(struct sim_net *net, uint64_t number, size_t *from, size_t *to)
{
    *from = number >> 8 & 0xff;
    *to = number & 0xff;
    struct sim_stream *stream = &net->streams[*from][*to];
    return stream->generation == number >> 16 ? stream : NULL;
}

static void deliver(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_net *net = context;
    size_t from;
    size_t to;
    struct sim_stream *stream = current(net, number, &from, &to);
    if (!stream || !stream->first) {
        return;
    }
    if (net->cut[from][to] || net->cut[to][from]) {
        if (stream->stuck_since == HM_NEVER) {
            stream->stuck_since = net->world->now;
        }
        if (net->world->now - stream->stuck_since >= STREAM_TIMEOUT_MS) {
            close_stream(net, from, to, HM_IO);
        } else {
            sim_after(net->world, RESEND_MS, deliver, net, number);
        }
        return;
    }
    stream->stuck_since = HM_NEVER;
    while (stream->first && stream->first->at <= net->world->now) {
        struct sim_message *message = stream->first;
        stream->first = message->next;
        if (!stream->first) {
            stream->last = NULL;
        }
        if (net->hooks->runs(net->context, to)) {
            net->hooks->stream(net->context, to, from, message->bytes);
        }
        hm_bytes_free(message->bytes);
        hm_free(message);
        if (stream->generation != number >> 16) {
            return;
        }
    }
    if (stream->first) {
        sim_after(net->world, stream->first->at - net->world->now, deliver, net, number);
    }
}

static void close_idle(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_net *net = context;
    size_t from;
    size_t to;
    struct sim_stream *stream = current(net, number, &from, &to);
    if (!stream) {
        return;
    }
    hm_ms now = net->world->now;
    hm_ms idle = now - stream->used;
    if (stream->held || stream->first || idle < IDLE_MS) {
        sim_after(net->world, idle < IDLE_MS ? IDLE_MS - idle : IDLE_MS, close_idle, net, number);
    } else {
        close_stream(net, from, to, HM_OK);
    }
}

static void connected(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_net *net = context;
    size_t from;
    size_t to;
    struct sim_stream *stream = current(net, number, &from, &to);
    if (!stream) {
        return;
    }
    if (net->cut[from][to] || net->cut[to][from]) {
        if (net->world->now - stream->stuck_since >= CONNECT_TIMEOUT_MS) {
            close_stream(net, from, to, HM_UNREACHABLE);
        } else {
            sim_after(net->world, RESEND_MS, connected, net, number);
        }
        return;
    }
    if (!net->hooks->runs(net->context, from) || !net->hooks->runs(net->context, to)) {
        close_stream(net, from, to, HM_UNREACHABLE); /* refused, or nobody asks any more */
        return;
    }
    stream->state = SIM_OPEN;
    stream->stuck_since = HM_NEVER;
    stream->used = net->world->now;
    sim_after(net->world, IDLE_MS, close_idle, net, number);
    net->hooks->up(net->context, from, to);
    if (stream->generation == number >> 16) {
        sim_after(net->world, draw_delay(net), deliver, net, number);
    }
}

static void connect_stream(struct sim_net *net, size_t from, size_t to)
{
    struct sim_stream *stream = &net->streams[from][to];
    stream->state = SIM_CONNECTING;
    stream->stuck_since = net->world->now;
    sim_after(net->world, 2 * draw_delay(net), connected, net, number_of(net, from, to));
}

static void connect_held(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_net *net = context;
    size_t from;
    size_t to;
    struct sim_stream *stream = current(net, number, &from, &to);
    if (stream && stream->held && stream->state == SIM_CLOSED) {
        connect_stream(net, from, to);
    }
}

void sim_net_hold(struct sim_net *net, size_t from, size_t to, bool hold)
{
    struct sim_stream *stream = &net->streams[from][to];
    if (hold && !stream->held) {
        sim_after(net->world, HOLD_AFTER_MS, connect_held, net, number_of(net, from, to));
    }
    stream->held = hold;
}

void sim_net_stream(struct sim_net *net, size_t from, size_t to, struct hm_bytes bytes)
{
    struct sim_stream *stream = &net->streams[from][to];
    net->sent++;
    struct sim_message *message = hm_alloc(1, sizeof *message);
    hm_ms at = net->world->now + draw_delay(net);
    message->at = at > stream->busy_until ? at : stream->busy_until;
    message->bytes = hm_bytes_copy(bytes);
    stream->busy_until = message->at;
    bool idle = stream->first == NULL;
    if (idle) {
        stream->first = message;
    } else {
        stream->last->next = message;
    }
    stream->last = message;
    stream->used = net->world->now;
    if (stream->state == SIM_CLOSED) {
        connect_stream(net, from, to);
    } else if (stream->state == SIM_OPEN && idle) {
        sim_after(net->world, message->at - net->world->now, deliver, net,
                  number_of(net, from, to));
    }
}

static void reset(void *context, uint64_t number, struct hm_bytes bytes)
{
    (void)bytes;
    struct sim_net *net = context;
    size_t from;
    size_t to;
    if (current(net, number, &from, &to)) {
        close_stream(net, from, to, HM_IO);
    }
}

void sim_net_died(struct sim_net *net, size_t node, bool machine)
{
    for (size_t peer = 0; peer < net->count; peer++) {
        struct sim_stream *out = &net->streams[node][peer];
        out->state = SIM_CLOSED;
        out->held = false;
        out->generation++;
        out->busy_until = 0;
        drop_queue(out);
        struct sim_stream *in = &net->streams[peer][node];
        if (peer != node && in->state == SIM_OPEN) {
            /* A machine that is gone answers nothing; one that is back resets. */
            hm_ms delay = machine ? sim_between(net->world, 1000, 3000) : draw_delay(net);
            drop_queue(in);
            sim_after(net->world, delay, reset, net, number_of(net, peer, node));
        }
    }
}

void sim_net_heal(struct sim_net *net)
{
    memset(net->cut, 0, sizeof net->cut);
    net->loss_permille = net->twice_permille = 0;
    net->delay_min = 0;
    net->delay_max = 5;
}
