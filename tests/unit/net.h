/* A small network for tests of engines: seeded loss, delay, duplication; time is virtual. Nodes are
 * numbers; net_peer gives the identity of one and net_node finds it again. */
#ifndef HM_TESTS_UNIT_NET_H
#define HM_TESTS_UNIT_NET_H

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/engine/effect.h"

#include <string.h>

struct net_packet {
    hm_ms at;
    size_t from;
    size_t to;
    struct hm_bytes bytes; /* owned */
};

struct net {
    struct hm_random random;
    hm_ms now;
    uint32_t loss_permille;
    uint32_t duplicate_permille;
    hm_ms delay_max_ms;
    struct net_packet *packets;
    size_t count;
    size_t capacity;
    struct hm_arena arena; /* of the message last taken */
    uint64_t sent_bytes;
};

static inline struct hm_peer net_peer(size_t node)
{
    struct hm_peer peer = {.addr = {4, {127, 0, 0, 1}, (uint16_t)(node + 1)}};
    struct hm_random random; /* ids spread as real ones do, so that rings are random */
    hm_random_init(&random, node + 1);
    peer.id = hm_random_id(&random);
    peer.id.bytes[14] = (uint8_t)(node >> 8);
    peer.id.bytes[15] = (uint8_t)node;
    return peer;
}

static inline size_t net_node(const struct hm_id *id)
{
    return (size_t)id->bytes[14] << 8 | id->bytes[15];
}

static inline void net_send(struct net *net, size_t from, size_t to, struct hm_bytes bytes)
{
    unsigned copies = 1u + hm_random_chance(&net->random, net->duplicate_permille);
    net->sent_bytes += bytes.size;
    while (copies-- > 0) {
        if (hm_random_chance(&net->random, net->loss_permille)) {
            continue;
        }
        net->packets = hm_grow(net->packets, net->count, &net->capacity, sizeof *net->packets);
        net->packets[net->count++] = (struct net_packet){
            .at = net->now + 1 + hm_random_below(&net->random, net->delay_max_ms + 1),
            .from = from,
            .to = to,
            .bytes = hm_bytes_copy(bytes),
        };
    }
}

/* Takes a packet that is due, in any order; its message lives until the next call. */
static inline bool net_take(struct net *net, size_t *from, size_t *to, struct hm_message *message)
{
    for (size_t i = 0; i < net->count; i++) {
        struct net_packet packet = net->packets[i];
        if (packet.at > net->now) {
            continue;
        }
        net->packets[i] = net->packets[--net->count];
        hm_arena_clear(&net->arena);
        uint8_t *keep = hm_arena_alloc(&net->arena, packet.bytes.size, 1);
        memcpy(keep, packet.bytes.data, packet.bytes.size);
        struct hm_reader reader = hm_reader_of((struct hm_bytes){keep, packet.bytes.size});
        hm_bytes_free(packet.bytes);
        *from = packet.from;
        *to = packet.to;
        if (hm_message_decode(&reader, &net->arena, message) != HM_OK || hm_reader_left(&reader)) {
            hm_assert_failed("an engine sent what decodes", __FILE__, __LINE__);
        }
        return true;
    }
    return false;
}

static inline void net_fini(struct net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        hm_bytes_free(net->packets[i].bytes);
    }
    hm_free(net->packets);
    hm_arena_fini(&net->arena);
    *net = (struct net){0};
}

#endif
