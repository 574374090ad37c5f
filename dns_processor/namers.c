#include "dns_processor/namers.h"

#include "dns_processor/record.h"
#include "dns_processor/zones.h"

#include <string.h>

#define ROLE        "dns"
#define CHANGES_MAX 128u

/* ---- keys ---- */

struct hm_bytes hm_dns_zone_key(struct hm_arena *arena, const char *zone, struct hm_bytes tail)
{
    size_t size = strlen(zone);
    uint8_t *key = hm_arena_alloc(arena, size + 1 + tail.size, 1);
    memcpy(key, zone, size);
    key[size] = ' ';
    for (size_t i = 0; i < tail.size; i++) {
        key[size + 1 + i] = tail.data[i];
    }
    return (struct hm_bytes){key, size + 1 + tail.size};
}

bool hm_dns_zone_tail(struct hm_bytes key, const char *zone, struct hm_bytes *tail)
{
    size_t size = strlen(zone);
    if (key.size <= size || memcmp(key.data, zone, size) != 0 || key.data[size] != ' ') {
        return false;
    }
    *tail = (struct hm_bytes){key.data + size + 1, key.size - size - 1};
    return true;
}

/* What stands behind the zone, whichever that is; nothing where there is no zone. */
static struct hm_bytes node_of(struct hm_bytes key)
{
    const uint8_t *space = key.size ? memchr(key.data, ' ', key.size) : NULL;
    const uint8_t *end = key.data + key.size;
    return space ? (struct hm_bytes){space + 1, (size_t)(end - space) - 1} : (struct hm_bytes){0};
}

/* ---- who ---- */

/* What the consumers' records say of a node. */
static struct hm_dns_namer look_up(const struct hm_records *records, struct hm_bytes key,
                                   struct hm_bytes node)
{
    struct hm_dns_namer namer = {.key = key, .node = node};
    struct hm_name scope = hm_name_of(HM_SCOPE_CONSUMERS);
    struct hm_arena arena = {0};
    struct hm_message message;
    const struct hm_record *record = hm_records_find(records, &scope, node);
    namer.consumer = record ? record->index : 0;
    if (record &&
        hm_message_decode_only(record->value, HM_MSG_consumer, &arena, &message) == HM_OK) {
        namer.failed = message.consumer.failed;
        for (uint32_t i = 0; i < message.consumer.roles_count; i++) {
            namer.counts = namer.counts || hm_name_is(&message.consumer.roles[i].name, ROLE);
        }
    }
    hm_arena_fini(&arena);
    return namer;
}

size_t hm_dns_namers(const struct hm_records *records, const char *zone, struct hm_dns_namer *out)
{
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_NAMED);
    struct hm_arena arena = {0};
    struct hm_bytes before = hm_dns_zone_key(&arena, zone, (struct hm_bytes){0});
    struct hm_bytes node;
    size_t count = 0;
    for (size_t i = hm_records_after(records, &scope, before);
         i < records->count && count < HM_DNS_NAMERS_MAX &&
         hm_name_equal(&records->items[i]->scope, &scope) &&
         hm_dns_zone_tail(records->items[i]->key, zone, &node);
         i++) {
        out[count++] = look_up(records, records->items[i]->key, node);
    }
    hm_arena_fini(&arena);
    return count;
}

/* ---- what is to be written ---- */

bool hm_dns_namers_add(const struct hm_records *records, const char *zone,
                       const struct hm_name *self, struct hm_arena *arena, struct hm_change *out)
{
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_NAMED);
    struct hm_name node = hm_name_lower(self);
    struct hm_bytes key = hm_dns_zone_key(arena, zone, hm_name_bytes(&node));
    *out = (struct hm_change){.scope = scope, .key = key, .present = true};
    return !hm_records_find(records, &scope, key);
}

/* A zone that is forgotten meanwhile is named by nobody: it has to be founded. */
static void add_own(const struct hm_records *records, const struct hm_name *self,
                    const struct hm_dns_zones *zones, struct hm_arena *arena,
                    struct hm_request_write *out)
{
    for (size_t i = 0; i < zones->count && out->changes_count < CHANGES_MAX; i++) {
        const struct hm_dns_named *zone = &zones->items[i];
        if (zone->index && hm_dns_namers_add(records, zone->name, self, arena,
                                             &out->changes[out->changes_count])) {
            out->changes_count++;
            out->conditions[out->conditions_count++] =
                (struct hm_condition){.scope = hm_name_of(HM_DNS_SCOPE_ZONES),
                                      .key = hm_bytes_of_text(zone->name),
                                      .index = zone->index};
        }
    }
}

static bool is_named(const struct hm_dns_zones *zones, struct hm_bytes key)
{
    struct hm_bytes node;
    for (size_t i = 0; i < zones->count; i++) {
        if (hm_dns_zone_tail(key, zones->items[i].name, &node)) {
            return true;
        }
    }
    return false;
}

static void take_out(const struct hm_records *records, const struct hm_name *self,
                     const struct hm_dns_zones *zones, struct hm_request_write *out)
{
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_NAMED);
    struct hm_name node = hm_name_lower(self);
    struct hm_bytes own = hm_name_bytes(&node);
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && out->changes_count < CHANGES_MAX &&
         hm_name_equal(&records->items[i]->scope, &scope);
         i++) {
        struct hm_bytes key = records->items[i]->key;
        struct hm_dns_namer namer = look_up(records, key, node_of(key));
        bool is_own = hm_bytes_equal(namer.node, own);
        if (is_own ? is_named(zones, key) : namer.counts) {
            continue;
        }
        out->changes[out->changes_count++] = (struct hm_change){.scope = scope, .key = key};
        if (!is_own) {
            out->conditions[out->conditions_count++] =
                (struct hm_condition){.scope = hm_name_of(HM_SCOPE_CONSUMERS),
                                      .key = namer.node,
                                      .index = namer.consumer};
        }
    }
}

bool hm_dns_namers_write(const struct hm_records *records, const struct hm_name *self,
                         const struct hm_dns_zones *zones, struct hm_arena *arena,
                         struct hm_request_write *out)
{
    *out = (struct hm_request_write){
        .conditions = hm_arena_alloc(arena, CHANGES_MAX, sizeof *out->conditions),
        .changes = hm_arena_alloc(arena, CHANGES_MAX, sizeof *out->changes),
    };
    add_own(records, self, zones, arena, out);
    take_out(records, self, zones, out);
    return out->changes_count > 0;
}
