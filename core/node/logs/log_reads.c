/* Entries of named logs for those who ask: at once, or when there are some. */
#include "core/node/logs/log_reads.h"

#include "core/node/desk/requests.h"
#include "core/node/logs/named.h"

#define PAGE_ENTRIES  4096u
#define PAGE_BYTES    (1u << 20) /* with one entry of any size it fits a message */
#define WAIT_MOST_MS  30000u
#define LOG_WAITS_MAX 1024u

struct hm_log_wait {
    uint64_t token;
    uint32_t log;
    struct hm_log_read read;
    hm_ms until;
};

static void fill(const struct hm_replica *replica, const struct hm_log_read *read,
                 struct hm_arena *arena, struct hm_log_page *page)
{
    uint64_t from = read->from ? read->from : page->oldest;
    uint64_t to = read->to && read->to < page->newest ? read->to : page->newest;
    size_t most = to >= from && to - from < PAGE_ENTRIES ? (size_t)(to - from) + 1 : PAGE_ENTRIES;
    size_t bytes = 0;
    page->next = from;
    page->items = hm_arena_alloc(arena, to >= from ? most : 0, sizeof *page->items);
    for (uint64_t i = from; i <= to && page->items_count < most && bytes < PAGE_BYTES; i++) {
        struct hm_log_item *item = &page->items[page->items_count];
        if (!hm_kept_find(&replica->kept, i, item)) {
            break; /* a snapshot is about to take the place of all this */
        }
        page->items_count++;
        page->next = i + 1;
        bytes += item->data.size;
    }
}

void hm_node_serve_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                       const struct hm_log_read *read)
{
    const struct hm_replica *replica = hm_participant_replica(named->participant);
    struct hm_message message = {.kind = HM_MSG_log_page,
                                 .log_page = {.oldest = hm_replica_oldest(replica),
                                              .newest = replica->index,
                                              .next = read->from}};
    struct hm_log_page *page = &message.log_page;
    struct hm_arena arena = {0};
    if (read->from && read->from < page->oldest) {
        page->status = HM_COMPACTED;
        page->reason = hm_node_text(
            &arena, "log %s keeps its entries from %llu on; %llu is no longer there",
            named->name.text, (unsigned long long)page->oldest, (unsigned long long)read->from);
    } else if (read->from > page->newest && read->wait_ms == 0) {
        page->status = HM_NOT_FOUND;
        page->reason =
            hm_node_text(&arena, "log %s ends at %llu; there is no entry %llu", named->name.text,
                         (unsigned long long)page->newest, (unsigned long long)read->from);
    } else {
        fill(replica, read, &arena, page);
    }
    hm_node_answer(node, token, &message);
    hm_arena_fini(&arena);
}

static bool has_something(const struct hm_named *named, const struct hm_log_read *read)
{
    const struct hm_replica *replica = hm_participant_replica(named->participant);
    return read->from <= replica->index && replica->index > 0;
}

void hm_node_wait_for_log(struct hm_node *node, uint64_t token, const struct hm_named *named,
                          const struct hm_log_read *read)
{
    struct hm_log_waits *log_waits = node->log_waits;
    if (has_something(named, read) || read->wait_ms == 0 || log_waits->count >= LOG_WAITS_MAX) {
        hm_node_serve_log(node, token, named, read);
        return;
    }
    log_waits->items =
        hm_grow(log_waits->items, log_waits->count, &log_waits->capacity, sizeof *log_waits->items);
    log_waits->items[log_waits->count++] = (struct hm_log_wait){
        .token = token,
        .log = named->id,
        .read = *read,
        .until = node->now + (read->wait_ms < WAIT_MOST_MS ? read->wait_ms : WAIT_MOST_MS)};
}

static bool is_over(struct hm_node *node, const struct hm_log_wait *wait)
{
    struct hm_named *named = hm_node_named(node, wait->log);
    if (!hm_node_origin(node, wait->token)) {
        return true;
    }
    if (!named) {
        hm_node_answer_status(node, wait->token, HM_NOT_FOUND, "the log was deleted");
        return true;
    }
    if (node->now < wait->until && !(named->progressed && has_something(named, &wait->read))) {
        return false;
    }
    hm_node_serve_log(node, wait->token, named, &wait->read);
    return true;
}

void hm_node_answer_log_waits(struct hm_node *node)
{
    struct hm_log_waits *log_waits = node->log_waits;
    for (size_t i = log_waits->count; i > 0; i--) {
        struct hm_log_wait wait = log_waits->items[i - 1];
        if (is_over(node, &wait)) {
            log_waits->items[i - 1] = log_waits->items[--log_waits->count];
        }
    }
    for (size_t i = 0; i < node->carried->named_count; i++) {
        node->carried->named[i]->progressed = false;
    }
}

hm_ms hm_node_log_waits_deadline(const struct hm_node *node)
{
    const struct hm_log_waits *log_waits = node->log_waits;
    hm_ms soonest = HM_NEVER;
    for (size_t i = 0; i < log_waits->count; i++) {
        soonest = log_waits->items[i].until < soonest ? log_waits->items[i].until : soonest;
    }
    return soonest;
}
