#include "dns_processor/requests.h"

#include "dns_processor/namers.h"

#include <string.h>

#define ZONES_SHOWN_MAX 1024u
#define CHANGES_MAX     256u
#define WAIT_DEFAULT_MS 5000u
#define WAIT_MOST_MS    50000u /* below what the node remembers an asker for */

static enum hm_status answer(struct hm_module_ctx *ctx, const struct hm_request *request,
                             enum hm_status status, uint64_t index, struct hm_bytes reason)
{
    hm_module_answer(ctx, request,
                     &(struct hm_message){
                         .kind = HM_MSG_answer,
                         .answer = {.status = (uint16_t)status, .reason = reason, .index = index}});
    return HM_OK;
}

static enum hm_status answer_buf(struct hm_module_ctx *ctx, const struct hm_request *request,
                                 enum hm_status status, struct hm_buf *reason)
{
    (void)answer(ctx, request, status, 0, hm_buf_view(reason));
    hm_buf_fini(reason);
    return HM_OK;
}

/* A text that a record of anybody's may hold, for a wire field. */
static struct hm_bytes shown(struct hm_bytes text)
{
    size_t size = text.size < HM_WIRE_TEXT_BYTES_MAX ? text.size : HM_WIRE_TEXT_BYTES_MAX;
    return (struct hm_bytes){text.data, size};
}

static const char *text_of(struct hm_arena *arena, struct hm_bytes text)
{
    char *copy = hm_arena_alloc(arena, text.size + 1, 1);
    if (text.size) {
        memcpy(copy, text.data, text.size);
    }
    return copy;
}

/* ---- which there are ---- */

static void list_namers(const struct hm_records *records, const char *zone, struct hm_arena *arena,
                        struct hm_zone_view *out)
{
    struct hm_dns_namer namers[HM_DNS_NAMERS_MAX];
    size_t count = hm_dns_namers(records, zone, namers);
    out->namers = hm_arena_alloc(arena, count, sizeof *out->namers);
    for (size_t i = 0; i < count; i++) {
        struct hm_zone_namer *namer = &out->namers[out->namers_count];
        bool fits =
            hm_name_set(&namer->node, (const char *)namers[i].node.data, namers[i].node.size);
        if (namers[i].counts && fits) {
            namer->failed = namers[i].failed;
            out->namers_count++;
        }
    }
}

static enum hm_status tell_zones(struct hm_module_ctx *ctx, const struct hm_request *request)
{
    const struct hm_records *records = &hm_module_view(ctx)->records;
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_ZONES);
    struct hm_arena arena = {0};
    struct hm_message message = {.kind = HM_MSG_zones_reply};
    struct hm_zones_reply *reply = &message.zones_reply;
    reply->zones = hm_arena_alloc(&arena, ZONES_SHOWN_MAX, sizeof *reply->zones);
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && reply->zones_count < ZONES_SHOWN_MAX &&
         hm_name_equal(&records->items[i]->scope, &scope);
         i++) {
        struct hm_zone_view *zone = &reply->zones[reply->zones_count++];
        zone->zone = shown(records->items[i]->key);
        zone->index = records->items[i]->index;
        list_namers(records, text_of(&arena, zone->zone), &arena, zone);
    }
    hm_module_answer(ctx, request, &message);
    hm_arena_fini(&arena);
    return HM_OK;
}

/* ---- to forget one ---- */

/* Appends "a, b". */
static void add_name(struct hm_buf *out, struct hm_bytes name)
{
    hm_buf_printf(out, "%s%.*s", out->size ? ", " : "", (int)name.size, (const char *)name.data);
}

static bool is_in_file(const struct hm_dns_zones *zones, struct hm_bytes name)
{
    for (size_t i = 0; i < zones->count; i++) {
        if (hm_bytes_equal(hm_bytes_of_text(zones->items[i].name), name)) {
            return true;
        }
    }
    return false;
}

/* Who stands in the way, and who could not be asked: names with commas. */
static void sort_namers(const struct hm_dns_namer *namers, size_t count, struct hm_buf *live,
                        struct hm_buf *failed)
{
    for (size_t i = 0; i < count; i++) {
        if (namers[i].counts) {
            add_name(namers[i].failed ? failed : live, namers[i].node);
        }
    }
}

static enum hm_status refuse_named(struct hm_module_ctx *ctx, const struct hm_request *request,
                                   struct hm_bytes zone, struct hm_buf *live)
{
    struct hm_buf why = {0};
    hm_buf_printf(&why,
                  "zone %.*s is still named by %.*s: take it out of dns.zones there and reload "
                  "(systemctl reload, or SIGHUP) first; a node that will not come back is taken "
                  "out by `hivemind leave`, or when it is found gone",
                  (int)zone.size, (const char *)zone.data, (int)live->size,
                  (const char *)live->data);
    return answer_buf(ctx, request, HM_DENIED, &why);
}

static enum hm_status tell_plan(struct hm_module_ctx *ctx, const struct hm_request *request,
                                const struct hm_record *zone, struct hm_buf *failed)
{
    struct hm_buf plan = {0};
    hm_buf_printf(&plan,
                  "Zone %.*s, committed at %llu, is named by no dns node: its settings are "
                  "forgotten, and no virtual hosts are granted in it any more.",
                  (int)zone->key.size, (const char *)zone->key.data,
                  (unsigned long long)zone->index);
    if (failed->size) {
        hm_buf_printf(&plan,
                      "\n  %.*s named it and failed: who comes back with it in its file founds it "
                      "again",
                      (int)failed->size, (const char *)failed->data);
    }
    return answer_buf(ctx, request, HM_OK, &plan);
}

static void add_deletion(struct hm_request_write *write, const char *scope, struct hm_bytes key)
{
    if (write->changes_count < CHANGES_MAX) {
        write->changes[write->changes_count++] =
            (struct hm_change){.scope = hm_name_of(scope), .key = key};
    }
}

static void add_condition(struct hm_request_write *write, const char *scope, struct hm_bytes key,
                          uint64_t index)
{
    if (write->conditions_count < CHANGES_MAX) {
        write->conditions[write->conditions_count++] =
            (struct hm_condition){.scope = hm_name_of(scope), .key = key, .index = index};
    }
}

/* The zone with all that it brought along, provided that nobody who named it has come back. One
 * that names it only now, and is not seen yet, founds it again. */
static void make_write(const struct hm_records *records, const struct hm_record *zone,
                       const char *name, const struct hm_dns_namer *namers, size_t count,
                       struct hm_arena *arena, struct hm_request_write *out)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS_ALLOW);
    struct hm_bytes tail;
    *out = (struct hm_request_write){
        .conditions = hm_arena_alloc(arena, CHANGES_MAX, sizeof *out->conditions),
        .changes = hm_arena_alloc(arena, CHANGES_MAX, sizeof *out->changes),
    };
    add_condition(out, HM_DNS_SCOPE_ZONES, zone->key, zone->index);
    add_deletion(out, HM_DNS_SCOPE_ZONES, zone->key);
    for (size_t i = 0; i < count; i++) {
        add_condition(out, HM_SCOPE_CONSUMERS, namers[i].node, namers[i].consumer);
        add_deletion(out, HM_DNS_SCOPE_NAMED, namers[i].key);
    }
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        if (hm_dns_zone_tail(records->items[i]->key, name, &tail)) {
            add_deletion(out, HM_SCOPE_VHOSTS_ALLOW, records->items[i]->key);
        }
    }
}

static enum hm_status do_forget(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                                const struct hm_request *request,
                                const struct hm_request_write *write)
{
    uint32_t wait_ms = request->message->zone_forget.timeout_ms;
    wait_ms = wait_ms == 0 ? WAIT_DEFAULT_MS : wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS;
    if (requests->count == HM_DNS_FORGETS_MAX) {
        return answer(ctx, request, HM_BUSY, 0,
                      hm_bytes_of_text("other zones are being forgotten: try again"));
    }
    requests->forgets[requests->count++] = (struct hm_dns_forget){
        hm_module_write(ctx, write, hm_module_now(ctx) + wait_ms), request->token};
    return HM_OK;
}

static enum hm_status forget(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                             const struct hm_dns_zones *zones, const struct hm_request *request)
{
    const struct hm_zone_forget *asked = &request->message->zone_forget;
    const struct hm_records *records = &hm_module_view(ctx)->records;
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_ZONES);
    const struct hm_record *zone = hm_records_find(records, &scope, asked->zone);
    struct hm_dns_namer namers[HM_DNS_NAMERS_MAX];
    struct hm_arena arena = {0};
    struct hm_buf live = {0};
    struct hm_buf failed = {0};
    struct hm_request_write write;
    enum hm_status status;
    const char *name = text_of(&arena, asked->zone);
    size_t count = hm_dns_namers(records, name, namers);
    sort_namers(namers, count, &live, &failed);
    if (live.size == 0 && is_in_file(zones, asked->zone)) { /* it is not recorded yet */
        hm_buf_append_text(&live, hm_module_node_config(ctx)->name.text);
    }
    if (!zone) {
        hm_buf_clear(&live);
        hm_buf_printf(&live, "no zone %s is committed; `hivemind dns zones` lists those that are",
                      name);
        status = answer(ctx, request, HM_NOT_FOUND, 0, hm_buf_view(&live));
    } else if (live.size) {
        status = refuse_named(ctx, request, asked->zone, &live);
    } else if (!asked->now) {
        status = tell_plan(ctx, request, zone, &failed);
    } else {
        make_write(records, zone, name, namers, count, &arena, &write);
        status = do_forget(requests, ctx, request, &write);
    }
    hm_buf_fini(&live);
    hm_buf_fini(&failed);
    hm_arena_fini(&arena);
    return status;
}

/* ---- hooks ---- */

enum hm_status hm_dns_requests_take(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                                    const struct hm_dns_zones *zones, bool complete,
                                    const struct hm_request *request)
{
    enum hm_message_kind kind = request->message->kind;
    if (kind != HM_MSG_zones_query && kind != HM_MSG_zone_forget) {
        return HM_NOT_FOUND;
    }
    if (!complete) {
        return answer(ctx, request, HM_NOT_READY, 0,
                      hm_bytes_of_text("this node has not fetched the cluster's zones yet: try "
                                       "again; `hivemind status` tells how it is"));
    }
    return kind == HM_MSG_zones_query ? tell_zones(ctx, request)
                                      : forget(requests, ctx, zones, request);
}

bool hm_dns_requests_written(struct hm_dns_requests *requests, struct hm_module_ctx *ctx,
                             uint64_t write, const struct hm_submitted *submitted)
{
    for (size_t i = 0; i < requests->count; i++) {
        if (requests->forgets[i].write != write) {
            continue;
        }
        struct hm_request request = {.token = requests->forgets[i].token};
        requests->forgets[i] = requests->forgets[--requests->count];
        struct hm_bytes reason = submitted->reason;
        if (submitted->status == HM_CONFLICT) {
            reason = hm_bytes_of_text("the zone, or who names it, has just changed: look again "
                                      "with `hivemind dns zones`");
        } else if (submitted->status == HM_NO_QUORUM) {
            reason = hm_bytes_of_text("not known to be committed: the control plane did not "
                                      "answer in time, or has no quorum; `hivemind dns zones` "
                                      "tells if the zone is still there");
        }
        (void)answer(ctx, &request, (enum hm_status)submitted->status, submitted->index, reason);
        return true;
    }
    return false;
}
