#include "dns_processor/zone.h"

#include "core/base/assert.h"
#include "core/base/hash.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

#define RR_HEAD_SIZE    12 /* pointer to the question, type, class, ttl, rdata length */
#define OWNER_QUESTION  0xc00c
#define BUCKETS_INITIAL 64
#define HASH_SEED       0x646e73 /* any; it need not be secret: queries only look up */

struct hm_dns_zone {
    struct hm_dns_name name;
    struct hm_dns_soa *soa;
};

struct hm_dns_map {
    struct cds_lfht *table;
    struct hm_dns_zone **zones;
    size_t zone_count;
    size_t zone_capacity;
    size_t name_count;
    unsigned labels_max; /* of any name ever held: longer ones need no look */
};

/* liburcu keeps its registration in thread-local memory, so what counts its users is there too. */
static _Thread_local unsigned thread_users;

void hm_dns_thread_enter(void)
{
    if (thread_users++ == 0) {
        urcu_qsbr_register_thread();
        urcu_qsbr_thread_offline();
    }
}

void hm_dns_thread_leave(void)
{
    HM_ASSERT(thread_users > 0);
    if (--thread_users == 0) {
        urcu_qsbr_unregister_thread();
    }
}

/* --- Readers ---------------------------------------------------------------------------------- */

static int node_matches(struct cds_lfht_node *link, const void *key)
{
    const struct hm_dns_node *node = caa_container_of(link, struct hm_dns_node, link);
    const struct hm_bytes *name = key;
    return node->name_size == name->size && memcmp(node->name, name->data, name->size) == 0;
}

static struct hm_dns_node *lookup(const struct hm_dns_map *map, struct hm_bytes name)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(map->table, hm_hash(HASH_SEED, name), node_matches, &name, &iter);
    struct cds_lfht_node *link = cds_lfht_iter_get_node(&iter);
    return link ? caa_container_of(link, struct hm_dns_node, link) : NULL;
}

const struct hm_dns_node *hm_dns_map_find(const struct hm_dns_map *map,
                                          const struct hm_dns_query *query)
{
    return lookup(map, hm_dns_name_bytes(&query->name));
}

const struct hm_dns_zone *hm_dns_map_zone_above(const struct hm_dns_map *map,
                                                const struct hm_dns_query *query)
{
    unsigned known = __atomic_load_n(&map->labels_max, __ATOMIC_RELAXED);
    unsigned first = query->label_count > known ? query->label_count - known : 1;
    for (unsigned i = first; i <= query->label_count; i++) {
        size_t at = i < query->label_count ? query->label_at[i] : query->name.size - 1U;
        const struct hm_dns_node *node =
            lookup(map, (struct hm_bytes){query->name.wire + at, query->name.size - at});
        if (node) {
            return node->zone;
        }
    }
    return NULL;
}

const struct hm_dns_name *hm_dns_zone_name(const struct hm_dns_zone *zone)
{
    return &zone->name;
}

const struct hm_dns_soa *hm_dns_zone_soa(const struct hm_dns_zone *zone)
{
    return __atomic_load_n(&zone->soa, __ATOMIC_ACQUIRE);
}

/* --- Sets ------------------------------------------------------------------------------------- */

static void append_u32(struct hm_buf *buf, size_t value)
{
    uint32_t number = (uint32_t)value;
    hm_buf_append(buf, &number, sizeof number);
}

static void append_rr_tail(struct hm_buf *buf, uint16_t type, uint32_t ttl, struct hm_bytes rdata)
{
    uint8_t *at = hm_buf_extend(buf, 10 + rdata.size);
    hm_dns_put16(at, type);
    hm_dns_put16(at + 2, HM_DNS_CLASS_IN);
    hm_dns_put32(at + 4, ttl);
    hm_dns_put16(at + 8, (uint16_t)rdata.size);
    memcpy(at + 10, rdata.data, rdata.size);
}

enum hm_status hm_dns_set_add(struct hm_dns_set *set, struct hm_bytes rdata, bool preferred,
                              struct hm_bytes extra)
{
    if (rdata.size > UINT16_MAX || set->wire.size + rdata.size + RR_HEAD_SIZE > UINT32_MAX) {
        return HM_TOO_LARGE;
    }
    HM_ASSERT(!preferred || set->preferred == set->count);
    uint8_t *owner = hm_buf_extend(&set->wire, 2);
    hm_dns_put16(owner, OWNER_QUESTION);
    append_rr_tail(&set->wire, set->type, set->ttl, rdata);
    append_u32(&set->record_ends, set->wire.size);
    hm_buf_append(&set->extra, extra.data, extra.size);
    append_u32(&set->extra_ends, set->extra.size);
    set->count++;
    set->preferred += preferred;
    return HM_OK;
}

void hm_dns_set_fini(struct hm_dns_set *set)
{
    hm_buf_fini(&set->wire);
    hm_buf_fini(&set->record_ends);
    hm_buf_fini(&set->extra);
    hm_buf_fini(&set->extra_ends);
}

void hm_dns_extra_append(struct hm_buf *extra, uint16_t type, uint32_t ttl, struct hm_bytes rdata)
{
    append_rr_tail(extra, type, ttl, rdata);
}

/* The one size of all records, or 0. */
static size_t common_record_size(const struct hm_dns_set *set)
{
    size_t size = set->wire.size / set->count;
    const uint32_t *ends = (const uint32_t *)(const void *)set->record_ends.data;
    for (uint32_t i = 0; i < set->count; i++) {
        if (ends[i] != size * (i + 1U)) {
            return 0;
        }
    }
    return size <= UINT16_MAX ? size : 0;
}

/* --- Nodes ------------------------------------------------------------------------------------ */

static size_t set_table_bytes(const struct hm_dns_set *set)
{
    size_t places = set->count + (size_t)1;
    return (common_record_size(set) ? 0 : places * sizeof(uint32_t)) +
           (set->extra.size ? places * sizeof(uint32_t) : 0);
}

static const uint32_t *copy_places(uint8_t **at, const struct hm_buf *ends)
{
    uint32_t *places = (uint32_t *)(void *)*at;
    places[0] = 0;
    memcpy(places + 1, ends->data, ends->size);
    *at += sizeof(uint32_t) + ends->size;
    return places;
}

static const uint8_t *copy_bytes(uint8_t **at, const void *data, size_t size)
{
    const uint8_t *copy = *at;
    if (size > 0) {
        memcpy(*at, data, size);
    }
    *at += size;
    return copy;
}

/* One allocation: the node, its sets, their tables (aligned), its name, which every lookup reads,
 * then the records. */
static struct hm_dns_node *node_new(struct hm_dns_zone *zone, struct hm_bytes name,
                                    const struct hm_dns_set *sets, size_t count)
{
    size_t size = sizeof(struct hm_dns_node) + count * sizeof(struct hm_dns_rrset) + name.size;
    for (size_t i = 0; i < count; i++) {
        HM_ASSERT(sets[i].count > 0);
        size += set_table_bytes(&sets[i]) + sets[i].wire.size + sets[i].extra.size;
    }
    struct hm_dns_node *node = hm_alloc(1, size);
    node->zone = zone;
    node->name_size = (uint8_t)name.size;
    node->set_count = (uint16_t)count;
    uint8_t *at = (uint8_t *)(void *)&node->sets[count];
    for (size_t i = 0; i < count; i++) {
        struct hm_dns_rrset *to = &node->sets[i];
        to->record_size = (uint16_t)common_record_size(&sets[i]);
        to->record_at = to->record_size ? NULL : copy_places(&at, &sets[i].record_ends);
        to->extra_at = sets[i].extra.size ? copy_places(&at, &sets[i].extra_ends) : NULL;
    }
    node->name = copy_bytes(&at, name.data, name.size);
    for (size_t i = 0; i < count; i++) {
        const struct hm_dns_set *from = &sets[i];
        struct hm_dns_rrset *to = &node->sets[i];
        to->type = from->type;
        to->target_offset = (uint16_t)(RR_HEAD_SIZE + from->target_offset);
        to->max = from->max;
        to->count = from->count;
        to->preferred = from->preferred;
        to->wire = copy_bytes(&at, from->wire.data, from->wire.size);
        to->extra = copy_bytes(&at, from->extra.data, from->extra.size);
    }
    HM_ASSERT((size_t)(at - (uint8_t *)(void *)node) == size);
    return node;
}

static void node_free(struct rcu_head *head)
{
    hm_free(caa_container_of(head, struct hm_dns_node, rcu));
}

static void soa_free(struct rcu_head *head)
{
    hm_free(caa_container_of(head, struct hm_dns_soa, rcu));
}

static struct hm_bytes node_name(const struct hm_dns_node *node)
{
    return (struct hm_bytes){node->name, node->name_size};
}

/* Puts `node` where `old` was, or anew when that is NULL. */
static void publish(struct hm_dns_map *map, struct hm_dns_node *node, struct hm_dns_node *old)
{
    struct hm_bytes name = node_name(node);
    unsigned long hash = hm_hash(HASH_SEED, name);
    node->children = old ? old->children : 0;
    struct cds_lfht_node *replaced =
        cds_lfht_add_replace(map->table, hash, node_matches, &name, &node->link);
    HM_ASSERT(replaced == (old ? &old->link : NULL));
    if (old) {
        urcu_qsbr_call_rcu(&old->rcu, node_free);
    } else {
        map->name_count++;
    }
}

static void retire(struct hm_dns_map *map, struct hm_dns_node *node)
{
    int failed = cds_lfht_del(map->table, &node->link);
    HM_ASSERT(!failed);
    map->name_count--;
    urcu_qsbr_call_rcu(&node->rcu, node_free);
}

static struct hm_bytes parent_of(struct hm_bytes name)
{
    size_t label = (size_t)name.data[0] + 1;
    return (struct hm_bytes){name.data + label, name.size - label};
}

static void count_labels(struct hm_dns_map *map, struct hm_bytes name)
{
    unsigned labels = 0;
    for (struct hm_bytes at = name; at.size > 1; at = parent_of(at)) {
        labels++;
    }
    if (labels > map->labels_max) {
        __atomic_store_n(&map->labels_max, labels, __ATOMIC_RELAXED);
    }
}

/* Makes sure that all names between `name` and its apex exist, and counts one child more in the
 * lowest. Parents come before the child: a reader that finds a name finds those above it. */
static void link_above(struct hm_dns_map *map, struct hm_dns_zone *zone, struct hm_bytes name)
{
    if (name.size == zone->name.size) {
        return;
    }
    struct hm_bytes above = parent_of(name);
    struct hm_dns_node *node = lookup(map, above);
    if (!node) {
        link_above(map, zone, above);
        node = node_new(zone, above, NULL, 0);
        publish(map, node, NULL);
    }
    node->children++;
}

static void unlink_above(struct hm_dns_map *map, struct hm_dns_zone *zone, struct hm_bytes name)
{
    uint8_t buffer[HM_DNS_NAME_MAX]; /* the names of nodes die with them */
    memcpy(buffer, name.data, name.size);
    for (struct hm_bytes at = {buffer, name.size}; at.size > zone->name.size;) {
        at = parent_of(at);
        struct hm_dns_node *node = lookup(map, at);
        HM_ASSERT(node && node->children > 0);
        node->children--;
        if (node->children > 0 || node->named) {
            return;
        }
        retire(map, node);
    }
}

enum hm_status hm_dns_map_put(struct hm_dns_map *map, struct hm_dns_zone *zone,
                              const struct hm_dns_name *name, const struct hm_dns_set *sets,
                              size_t count)
{
    if (hm_dns_map_zone_of(map, name) != zone) {
        return HM_BAD_ARGUMENT;
    }
    struct hm_dns_node *old = lookup(map, hm_dns_name_bytes(name));
    if (!old) {
        count_labels(map, hm_dns_name_bytes(name));
        link_above(map, zone, hm_dns_name_bytes(name));
    }
    struct hm_dns_node *node = node_new(zone, hm_dns_name_bytes(name), sets, count);
    node->named = true;
    publish(map, node, old);
    return HM_OK;
}

void hm_dns_map_remove(struct hm_dns_map *map, struct hm_dns_zone *zone,
                       const struct hm_dns_name *name)
{
    struct hm_dns_node *old = lookup(map, hm_dns_name_bytes(name));
    if (!old || old->zone != zone || !old->named) {
        return;
    }
    if (old->children > 0 || hm_dns_name_equal(name, &zone->name)) {
        struct hm_dns_node *empty = node_new(zone, hm_dns_name_bytes(name), NULL, 0);
        empty->named = hm_dns_name_equal(name, &zone->name);
        publish(map, empty, old);
        return;
    }
    retire(map, old);
    unlink_above(map, zone, hm_dns_name_bytes(name));
}

/* --- Zones and the map ------------------------------------------------------------------------ */

struct hm_dns_zone *hm_dns_map_zone_of(const struct hm_dns_map *map, const struct hm_dns_name *name)
{
    struct hm_dns_zone *best = NULL;
    for (size_t i = 0; i < map->zone_count; i++) {
        struct hm_dns_zone *zone = map->zones[i];
        if ((!best || zone->name.size > best->name.size) &&
            hm_dns_name_labels_before(name, &zone->name) >= 0) {
            best = zone;
        }
    }
    return best;
}

enum hm_status hm_dns_map_add_zone(struct hm_dns_map *map, const struct hm_dns_name *apex,
                                   struct hm_dns_zone **out)
{
    for (size_t i = 0; i < map->zone_count; i++) {
        if (hm_dns_name_equal(&map->zones[i]->name, apex)) {
            return HM_EXISTS;
        }
    }
    struct hm_dns_zone *parent = hm_dns_map_zone_of(map, apex);
    if (parent) { /* names between the two exist because of this zone */
        link_above(map, parent, hm_dns_name_bytes(apex));
    }
    struct hm_dns_zone *zone = hm_alloc(1, sizeof *zone);
    zone->name = *apex;
    map->zones =
        hm_grow(map->zones, map->zone_count, &map->zone_capacity, sizeof(struct hm_dns_zone *));
    map->zones[map->zone_count++] = zone;
    enum hm_status status = hm_dns_map_put(map, zone, apex, NULL, 0);
    HM_ASSERT(status == HM_OK);
    *out = zone;
    return HM_OK;
}

static size_t put_name(uint8_t *at, const struct hm_dns_name *name)
{
    memcpy(at, name->wire, name->size);
    return name->size;
}

static uint16_t encode_soa(uint8_t *at, const struct hm_dns_soa_fields *fields, uint32_t ttl)
{
    size_t size = 10;
    size += put_name(at + size, &fields->mname);
    size += put_name(at + size, &fields->rname);
    const uint32_t numbers[] = {fields->serial, fields->refresh, fields->retry, fields->expire,
                                fields->negative_ttl};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        hm_dns_put32(at + size, numbers[i]);
        size += 4;
    }
    hm_dns_put16(at, HM_DNS_SOA);
    hm_dns_put16(at + 2, HM_DNS_CLASS_IN);
    hm_dns_put32(at + 4, ttl);
    hm_dns_put16(at + 8, (uint16_t)(size - 10));
    return (uint16_t)size;
}

void hm_dns_zone_set_soa(struct hm_dns_zone *zone, const struct hm_dns_soa_fields *fields)
{
    struct hm_dns_soa *soa = hm_alloc(1, sizeof *soa);
    uint32_t negative_ttl = fields->negative_ttl < fields->ttl ? fields->negative_ttl : fields->ttl;
    soa->size = encode_soa(soa->answer, fields, fields->ttl);
    (void)encode_soa(soa->negative, fields, negative_ttl);
    struct hm_dns_soa *old = __atomic_exchange_n(&zone->soa, soa, __ATOMIC_ACQ_REL);
    if (old) {
        urcu_qsbr_call_rcu(&old->rcu, soa_free);
    }
}

struct hm_dns_map *hm_dns_map_new(void)
{
    struct cds_lfht *table =
        cds_lfht_new_flavor(BUCKETS_INITIAL, BUCKETS_INITIAL, 0,
                            CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, &urcu_qsbr_flavor, NULL);
    if (!table) {
        return NULL;
    }
    struct hm_dns_map *map = hm_alloc(1, sizeof *map);
    map->table = table;
    return map;
}

void hm_dns_map_free(struct hm_dns_map *map)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *found;
    cds_lfht_for_each(map->table, &iter, found)
    {
        retire(map, caa_container_of(found, struct hm_dns_node, link));
    }
    urcu_qsbr_barrier();
    int failed = cds_lfht_destroy(map->table, NULL);
    HM_ASSERT(!failed);
    for (size_t i = 0; i < map->zone_count; i++) {
        hm_free(map->zones[i]->soa);
        hm_free(map->zones[i]);
    }
    hm_free(map->zones);
    hm_free(map);
}

size_t hm_dns_map_name_count(const struct hm_dns_map *map)
{
    return map->name_count;
}
