/* raft_cost ENTRIES INFLIGHT: three Raft engines with their journals in one process, a disk and a
 * network that cost nothing; ends when so many entries of 200 bytes are applied everywhere. What is
 * left is what the engines cost: to be run under an instruction counter. */
#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/engine/journal.h"
#include "core/engine/raft.h"

#include <stdio.h>
#include <stdlib.h>

#define NODES       3
#define VALUE_BYTES 200

static struct node {
    struct hm_peer me;
    struct hm_raft *raft;
    struct hm_journal *journal;
    struct hm_buf inbox; /* sender, size, message; again and again */
    uint64_t applied;    /* requests */
    uint64_t index;
} nodes[NODES];

static hm_ms now;

static void send(struct node *from, const struct hm_effect *effect)
{
    for (size_t i = 0; i < NODES; i++) {
        if (hm_id_equal(&nodes[i].me.id, &effect->peer.id)) {
            hm_put_u8(&nodes[i].inbox, (uint8_t)(from - nodes));
            hm_put_u32(&nodes[i].inbox, (uint32_t)effect->message.size);
            hm_buf_append(&nodes[i].inbox, effect->message.data, effect->message.size);
        }
    }
}

static void pump(struct node *node)
{
    struct hm_effect effect;
    while (hm_raft_output(node->raft, &effect)) {
        if (effect.kind == HM_EFFECT_SEND) {
            send(node, &effect);
        } else if (effect.kind == HM_EFFECT_PERSIST) {
            hm_journal_write_encoded(node->journal, effect.message, effect.number);
        } else if (effect.kind == HM_EFFECT_APPLY) {
            node->applied += effect.message.size > VALUE_BYTES;
            node->index = effect.number;
        } else if (effect.kind == HM_EFFECT_NOTIFY && effect.notice == HM_RAFT_SNAPSHOT_WANTED) {
            (void)!hm_raft_compact(node->raft, node->index, hm_bytes_of_text("state"));
        }
    }
}

static void deliver(struct node *node)
{
    struct hm_arena arena = {0};
    struct hm_buf inbox = node->inbox;
    node->inbox = (struct hm_buf){0};
    struct hm_reader in = hm_reader_of(hm_buf_view(&inbox));
    while (hm_reader_left(&in)) {
        struct hm_message message;
        const struct node *from = &nodes[hm_get_u8(&in)];
        uint32_t size = hm_get_u32(&in);
        struct hm_reader body = hm_reader_of(hm_get_bytes(&in, size));
        enum hm_status status = hm_message_decode(&body, &arena, &message);
        HM_ASSERT(status == HM_OK);
        status = hm_raft_input(node->raft, now, &from->me, &message);
        HM_ASSERT(status == HM_OK);
        pump(node);
        hm_arena_clear(&arena);
    }
    hm_arena_fini(&arena);
    hm_buf_fini(&inbox);
}

static void write_all(struct node *node)
{
    struct hm_journal_batch batch;
    while (hm_journal_output(node->journal, &batch)) {
        hm_raft_durable(node->raft, now, hm_journal_done(node->journal, HM_OK));
        pump(node);
    }
}

/* One round: what was sent arrives, what was written is durable. */
static void step(void)
{
    now++;
    for (size_t i = 0; i < NODES; i++) {
        if (now >= hm_raft_deadline(nodes[i].raft)) {
            hm_raft_tick(nodes[i].raft, now);
            pump(&nodes[i]);
        }
        deliver(&nodes[i]);
        write_all(&nodes[i]);
    }
}

static void propose(struct hm_raft *raft)
{
    static const uint8_t value[VALUE_BYTES] = {1};
    struct hm_buf body = {0};
    uint64_t index;
    uint64_t term;
    hm_message_encode(&body,
                      &(struct hm_message){.kind = HM_MSG_log_request,
                                           .log_request = {.request = {value, sizeof value}}});
    enum hm_status status = hm_raft_propose(raft, now, hm_buf_view(&body), &index, &term);
    HM_ASSERT(status == HM_OK);
    hm_buf_fini(&body);
}

static void begin(void)
{
    for (size_t i = 0; i < NODES; i++) {
        nodes[i].me.id.bytes[0] = (uint8_t)(i + 1);
        nodes[i].raft = hm_raft_new(&(struct hm_raft_config){.self = nodes[i].me, .seed = i}, now);
        nodes[i].journal = hm_journal_new(&(struct hm_journal_config){.owner = nodes[i].me.id});
        struct hm_buf nothing = {0};
        enum hm_status status =
            hm_journal_recover(nodes[i].journal, NULL, 0, NULL, NULL, &nothing, &nothing);
        HM_ASSERT(status == HM_OK);
    }
    enum hm_status status = hm_raft_found(nodes[0].raft, now);
    HM_ASSERT(status == HM_OK);
    pump(&nodes[0]);
    size_t voting = 1;
    while (voting < NODES) {
        step();
        (void)!hm_raft_add_learner(nodes[0].raft, now, &nodes[voting].me);
        voting += hm_raft_promote(nodes[0].raft, now, &nodes[voting].me) == HM_OK;
        pump(&nodes[0]);
    }
}

int main(int argc, char **argv)
{
    uint64_t entries = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t inflight = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (entries == 0 || inflight == 0) {
        fprintf(stderr, "usage: raft_cost ENTRIES INFLIGHT\n");
        return 2;
    }
    begin();
    uint64_t proposed = 0;
    while (nodes[0].applied < entries || nodes[1].applied < entries || nodes[2].applied < entries) {
        bool any = false;
        for (; proposed < entries && proposed - nodes[0].applied < inflight; proposed++) {
            propose(nodes[0].raft);
            any = true;
        }
        if (any) {
            pump(&nodes[0]);
        }
        step();
    }
    for (size_t i = 0; i < NODES; i++) {
        hm_raft_free(nodes[i].raft);
        hm_journal_free(nodes[i].journal);
        hm_buf_fini(&nodes[i].inbox);
    }
    printf("%llu entries, %llu in flight\n", (unsigned long long)entries,
           (unsigned long long)inflight);
    return 0;
}
