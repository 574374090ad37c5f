#include "tests/sim/writer.h"

#include "tests/sim/cluster.h"

#include <stdio.h>
#include <string.h>

#define READ_CALL UINT64_MAX /* of the read at the end */

static void ask(struct cluster_writer *writer);

static void ask_again(void *context, uint64_t attempt, struct hm_bytes bytes)
{
    (void)bytes;
    struct cluster_writer *writer = context;
    if (attempt == writer->attempt) {
        ask(writer);
    }
}

static void ask_soon(struct cluster_writer *writer, hm_ms most)
{
    struct sim_world *world = &writer->cluster->world;
    sim_after(world, sim_between(world, 1, most), ask_again, writer, writer->attempt);
}

static struct hm_bytes value_of(const struct cluster_writer *writer, uint64_t seq, char text[32])
{
    snprintf(text, 32, "%zu-%llu", writer->number, (unsigned long long)seq);
    return hm_bytes_of_text(text);
}

/* To any node; one that does not run, or is paused, is a question without an answer. */
static void ask(struct cluster_writer *writer)
{
    struct cluster *cluster = writer->cluster;
    struct sim_world *world = &cluster->world;
    struct cluster_node *node = &cluster->nodes[sim_between(world, 0, cluster->count - 1)];
    char text[32];
    struct hm_message question = {.kind = HM_MSG_log_create, .log_create = {.name = writer->log}};
    writer->attempt++;
    writer->waits = true;
    writer->asked = node;
    if (writer->made) {
        question = (struct hm_message){.kind = HM_MSG_log_write,
                                       .log_write = {.name = writer->log,
                                                     .session = writer->session,
                                                     .seq = writer->seq,
                                                     .data = value_of(writer, writer->seq, text)}};
        question.log_write.call = writer->attempt;
    } else {
        question.log_create.call = writer->attempt;
    }
    ask_soon(writer, 8000);
    if (node->runs && node->paused_until <= world->now) {
        cluster_ask(node, writer->number + 1, &question);
    }
}

/* Those who do not know yet that they are left behind promise what nobody keeps. */
static bool is_kept(const struct cluster_writer *writer)
{
    return hm_node_generation(writer->asked->node) == writer->cluster->generation;
}

static void acknowledged(struct cluster_writer *writer, uint64_t index)
{
    uint64_t before = writer->acked ? writer->index[writer->acked] : 0;
    if (index <= before && is_kept(writer)) {
        sim_fail(&writer->cluster->world,
                 "writer %zu: entry %llu is at %llu, the one before at %llu", writer->number,
                 (unsigned long long)writer->seq, (unsigned long long)index,
                 (unsigned long long)before);
        return;
    }
    writer->index[++writer->acked] = is_kept(writer) ? index : 0;
    if (writer->seq + 1 < WRITER_SEQS_MAX) {
        writer->seq++;
        ask_soon(writer, 300);
    }
}

static void take_answer(struct cluster_writer *writer, const struct hm_answer *answer)
{
    if (!writer->waits || answer->call != writer->attempt) {
        return;
    }
    writer->waits = false;
    writer->attempt++;
    sim_trace(&writer->cluster->world, "writer %zu: %s of %llu: %s, index %llu", writer->number,
              writer->made ? "append" : "create", (unsigned long long)writer->seq,
              hm_status_name((enum hm_status)answer->status), (unsigned long long)answer->index);
    if (!writer->made) {
        writer->made = (answer->status == HM_OK || answer->status == HM_EXISTS) && is_kept(writer);
        ask_soon(writer, 300);
    } else if (answer->status == HM_OK) {
        acknowledged(writer, answer->index);
    } else if (answer->status == HM_SESSION_EXPIRED || answer->status == HM_BAD_ARGUMENT ||
               answer->status == HM_TOO_LARGE) {
        sim_fail(&writer->cluster->world, "writer %zu: %s", writer->number,
                 hm_status_text((enum hm_status)answer->status));
    } else {
        ask_soon(writer, 300);
    }
}

void writer_answered(struct cluster *cluster, uint64_t connection, struct hm_bytes bytes)
{
    struct hm_arena arena = {0};
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    struct cluster_writer *writer = &cluster->writers[connection - 1];
    if (hm_message_decode(&in, &arena, &message) != HM_OK) {
        sim_fail(&cluster->world, "an answer does not decode");
    } else if (message.kind == HM_MSG_answer) {
        take_answer(writer, &message.answer);
    } else if (message.kind == HM_MSG_log_page) {
        hm_buf_append(&writer->read, bytes.data, bytes.size);
    }
    hm_arena_fini(&arena);
}

void writers_start(struct cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    for (size_t i = 0; i < WRITERS; i++) {
        struct cluster_writer *writer = &cluster->writers[i];
        writer->cluster = cluster;
        writer->number = i;
        writer->log = hm_name_of(i ? "b" : "a");
        writer->seq = 1;
        /* A UUID of version 7, of the moment that its clock shows. */
        for (size_t at = 0; at < 6; at++) {
            writer->session.bytes[at] =
                (uint8_t)((CLUSTER_WALL_START_MS + world->now) >> (40 - 8 * at));
        }
        writer->session.bytes[15] = (uint8_t)i;
        ask_soon(writer, 5000);
    }
}

/* ---- what a copy holds ---- */

/* Each once, in the order of their seqs and none left out, and what was acknowledged at its index.
 * When a majority was lost with some of them, one of which a survivor still had the request may
 * come behind a later one. */
static void check_page(struct cluster_writer *writer, const struct cluster_node *node,
                       const struct hm_log_page *page)
{
    struct sim_world *world = &writer->cluster->world;
    char text[32];
    bool seen[WRITER_SEQS_MAX] = {false};
    uint64_t last = 0;
    size_t held = 0;
    for (uint32_t i = 0; i < page->items_count; i++) {
        const struct hm_log_item *item = &page->items[i];
        bool follows = item->seq == last + 1 ||
                       (writer->cluster->recoveries && item->seq && item->seq < WRITER_SEQS_MAX);
        if (item->index != i + 1 || !follows || item->seq > writer->seq || seen[item->seq] ||
            !hm_bytes_equal(item->data, value_of(writer, item->seq, text))) {
            sim_fail(world, "%s: log %s has number %llu of the writer as entry %llu",
                     node->config.name.text, writer->log.text, (unsigned long long)item->seq,
                     (unsigned long long)item->index);
            return;
        }
        seen[item->seq] = true;
        last = item->seq;
        held += last <= writer->acked && writer->index[last];
        if (last <= writer->acked && writer->index[last] && writer->index[last] != item->index) {
            sim_fail(world, "%s: what was acknowledged as entry %llu of log %s is entry %llu",
                     node->config.name.text, (unsigned long long)writer->index[last],
                     writer->log.text, (unsigned long long)item->index);
            return;
        }
    }
    size_t promised = 0;
    for (uint64_t seq = 1; seq <= writer->acked; seq++) {
        promised += writer->index[seq] != 0;
    }
    if (held < promised || page->newest != page->items_count) {
        sim_fail(world, "%s: log %s holds %zu of %zu entries that were acknowledged",
                 node->config.name.text, writer->log.text, held, promised);
    }
}

static void read_copy(struct cluster_writer *writer, struct cluster_node *node)
{
    hm_buf_clear(&writer->read);
    cluster_ask(
        node, writer->number + 1,
        &(struct hm_message){.kind = HM_MSG_log_read,
                             .log_read = {.call = READ_CALL, .name = writer->log, .local = true}});
}

static void check_copy(struct cluster_writer *writer, struct cluster_node *node)
{
    struct hm_arena arena = {0};
    struct hm_message page;
    read_copy(writer, node);
    if (hm_message_decode_only(hm_buf_view(&writer->read), HM_MSG_log_page, &arena, &page) !=
        HM_OK) {
        sim_fail(&writer->cluster->world, "%s: does not carry log %s", node->config.name.text,
                 writer->log.text);
    } else {
        check_page(writer, node, &page.log_page);
    }
    hm_arena_fini(&arena);
}

/* ---- a lost majority ---- */

void writers_look(struct cluster *cluster, struct cluster_node *node)
{
    for (size_t i = 0; i < WRITERS; i++) {
        read_copy(&cluster->writers[i], node);
    }
}

static bool has_seq(const struct hm_log_page *page, uint64_t seq)
{
    for (uint32_t i = 0; i < page->items_count; i++) {
        if (page->items[i].seq == seq) {
            return true;
        }
    }
    return false;
}

void writers_lose(struct cluster *cluster)
{
    for (size_t i = 0; i < WRITERS; i++) {
        struct cluster_writer *writer = &cluster->writers[i];
        struct hm_arena arena = {0};
        struct hm_message page = {0};
        (void)!hm_message_decode_only(hm_buf_view(&writer->read), HM_MSG_log_page, &arena, &page);
        for (uint64_t seq = 1; seq <= writer->acked; seq++) {
            writer->index[seq] = has_seq(&page.log_page, seq) ? writer->index[seq] : 0;
        }
        writer->made = false; /* the log itself may be lost */
        hm_arena_fini(&arena);
    }
}

/* ---- at the end ---- */

void writers_check_end(struct cluster *cluster)
{
    for (size_t i = 0; i < WRITERS; i++) {
        cluster->writers[i].attempt++; /* nothing more is asked */
    }
    /* The last entry may have been acknowledged just now, before all copies heard that it is. */
    cluster_run(cluster, cluster->world.now + 1000);
    for (size_t i = 0; i < WRITERS; i++) {
        struct cluster_writer *writer = &cluster->writers[i];
        if (writer->acked == 0) {
            sim_fail(&cluster->world, "writer %zu: nothing was acknowledged", i);
        }
        for (size_t at = 0; at < cluster->control_count && !cluster->world.failed; at++) {
            check_copy(writer, &cluster->nodes[at]);
        }
    }
}

void writers_fini(struct cluster *cluster)
{
    for (size_t i = 0; i < WRITERS; i++) {
        hm_buf_fini(&cluster->writers[i].read);
    }
}
