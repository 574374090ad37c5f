#include "dns_processor/zones.h"

#include "core/base/assert.h"
#include "dns_processor/namers.h"

#include <string.h>

#define CHANGES_MAX 256u

/* ---- what the file says ---- */

static void clear_file(struct hm_dns_named *zone)
{
    hm_arena_fini(&zone->file_arena);
    hm_buf_fini(&zone->file_bytes);
}

static void clear(struct hm_dns_named *zone)
{
    clear_file(zone);
    hm_buf_fini(&zone->committed_bytes);
    hm_arena_fini(&zone->arena);
    hm_free(zone->name);
}

static struct hm_dns_named *find(const struct hm_dns_zones *zones, const char *name)
{
    for (size_t i = 0; i < zones->count; i++) {
        if (zones->items[i].name && strcmp(zones->items[i].name, name) == 0) {
            return &zones->items[i];
        }
    }
    return NULL;
}

/* The file's settings as bytes, and what is read of those: it owes nothing to the file. */
static void take_file(struct hm_dns_named *zone, const struct hm_dns_record *file)
{
    clear_file(zone);
    hm_dns_record_write(file, &zone->file_bytes);
    enum hm_status status = hm_dns_record_read(zone->name, hm_buf_view(&zone->file_bytes),
                                               &zone->file_arena, &zone->file);
    HM_ASSERT(status == HM_OK);
}

void hm_dns_zones_set(struct hm_dns_zones *zones, const struct hm_dns_settings *settings,
                      bool reload)
{
    struct hm_dns_zones fresh = {
        .items = hm_alloc(settings->zone_count, sizeof *fresh.items),
        .count = settings->zone_count,
    };
    for (size_t i = 0; i < fresh.count; i++) {
        struct hm_dns_named *zone = &fresh.items[i];
        const char *name = settings->zones[i].name;
        struct hm_dns_named *before = find(zones, name);
        if (before) {
            *zone = *before;
            *before = (struct hm_dns_named){0};
        } else {
            size_t size = strlen(name) + 1;
            zone->name = memcpy(hm_alloc(size, 1), name, size);
        }
        take_file(zone, &settings->zones[i]);
        zone->commits = reload;
        zone->told = false;
        zone->write_at = 0;
    }
    hm_dns_zones_fini(zones);
    *zones = fresh;
}

void hm_dns_zones_fini(struct hm_dns_zones *zones)
{
    for (size_t i = 0; i < zones->count; i++) {
        clear(&zones->items[i]);
    }
    hm_free(zones->items);
    *zones = (struct hm_dns_zones){0};
}

/* ---- what is committed ---- */

static const struct hm_record *find_record(const struct hm_records *records, const char *name)
{
    struct hm_name scope = hm_name_of(HM_DNS_SCOPE_ZONES);
    return hm_records_find(records, &scope, hm_bytes_of_text(name));
}

static void read_committed(struct hm_dns_named *zone, struct hm_bytes value)
{
    hm_arena_fini(&zone->arena);
    hm_buf_clear(&zone->committed_bytes);
    hm_buf_append(&zone->committed_bytes, value.data, value.size);
    enum hm_status status = hm_dns_record_read(zone->name, hm_buf_view(&zone->committed_bytes),
                                               &zone->arena, &zone->committed);
    zone->agreement = status == HM_OK ? HM_DNS_ZONE_DIFFERS : HM_DNS_ZONE_UNSOUND;
}

static bool look_at(struct hm_dns_named *zone, const struct hm_records *records)
{
    const struct hm_record *record = find_record(records, zone->name);
    bool changed = (record != NULL) != (zone->index != 0);
    if (!record) {
        zone->agreement = HM_DNS_ZONE_UNKNOWN;
        zone->index = 0;
        return changed;
    }
    changed = changed || !hm_bytes_equal(record->value, hm_buf_view(&zone->committed_bytes));
    if (changed) {
        read_committed(zone, record->value);
        zone->told = false;
    }
    zone->index = record->index;
    if (zone->agreement != HM_DNS_ZONE_UNSOUND) {
        bool same = hm_bytes_equal(record->value, hm_buf_view(&zone->file_bytes));
        zone->agreement = same ? HM_DNS_ZONE_AGREED : HM_DNS_ZONE_DIFFERS;
        zone->commits = zone->commits && !same;
    }
    return changed;
}

bool hm_dns_zones_look(struct hm_dns_zones *zones, const struct hm_records *records)
{
    bool changed = false;
    for (size_t i = 0; i < zones->count; i++) {
        changed |= look_at(&zones->items[i], records);
    }
    return changed;
}

/* ---- what is served ---- */

static bool is_known(const struct hm_dns_named *zone)
{
    return zone->agreement == HM_DNS_ZONE_AGREED || zone->agreement == HM_DNS_ZONE_DIFFERS;
}

/* The settings that this node's zones were committed with may come from several files, which nobody
 * has compared: of two zones in one place the later one is served without its reverse zones. Those
 * that are only in the file yield at once. */
static void part(struct hm_dns_zones *zones, struct hm_dns_zone_config *configs)
{
    struct hm_dns_twice twice;
    if (hm_dns_build_twice(configs, zones->count, &twice, 1) == 0) {
        return;
    }
    for (size_t i = 0; i < zones->count; i++) {
        configs[i].reverse_count = configs[i].pending ? 0 : configs[i].reverse_count;
    }
    while (hm_dns_build_twice(configs, zones->count, &twice, 1)) {
        HM_ASSERT(twice.reverse); /* no file names a zone twice */
        configs[twice.owner].reverse_count = 0;
        zones->items[twice.owner].crowded = true;
    }
}

struct hm_dns_zone_config *hm_dns_zones_configs(struct hm_dns_zones *zones, struct hm_arena *arena)
{
    struct hm_dns_zone_config *configs = hm_arena_alloc(arena, zones->count, sizeof *configs);
    for (size_t i = 0; i < zones->count; i++) {
        struct hm_dns_named *zone = &zones->items[i];
        bool known = is_known(zone);
        configs[i] = hm_dns_record_config(known ? &zone->committed : &zone->file, arena);
        configs[i].pending = !known;
        zone->crowded = false;
    }
    part(zones, configs);
    return configs;
}

/* ---- what is to be written ---- */

static bool allows(const struct hm_zone_settings *settings, struct hm_bytes suffix)
{
    for (uint32_t i = 0; i < settings->vhosts_allow_count; i++) {
        if (hm_bytes_equal(settings->vhosts_allow[i].name, suffix)) {
            return true;
        }
    }
    return false;
}

static void add_change(struct hm_request_write *write, const char *scope, struct hm_bytes key,
                       bool present, struct hm_bytes value)
{
    if (write->changes_count < CHANGES_MAX) {
        write->changes[write->changes_count++] = (struct hm_change){
            .scope = hm_name_of(scope), .key = key, .present = present, .value = value};
    }
}

/* The records of scope vhosts_allow that a zone brings along are "ZONE SUFFIX", so that each zone
 * has its own, which change with its record alone. */
static void change_allowed(const struct hm_dns_named *zone, const struct hm_records *records,
                           struct hm_arena *arena, struct hm_request_write *write)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS_ALLOW);
    const struct hm_zone_settings *settings = &zone->file.settings;
    for (uint32_t i = 0; i < settings->vhosts_allow_count; i++) {
        struct hm_bytes suffix = settings->vhosts_allow[i].name;
        struct hm_bytes key = hm_dns_zone_key(arena, zone->name, suffix);
        const struct hm_record *record = hm_records_find(records, &scope, key);
        if (!record || !hm_bytes_equal(record->value, suffix)) {
            add_change(write, HM_SCOPE_VHOSTS_ALLOW, key, true, suffix);
        }
    }
    for (size_t i = hm_records_after(records, &scope, (struct hm_bytes){0});
         i < records->count && hm_name_equal(&records->items[i]->scope, &scope); i++) {
        struct hm_bytes key = records->items[i]->key;
        struct hm_bytes suffix;
        if (hm_dns_zone_tail(key, zone->name, &suffix) && !allows(settings, suffix)) {
            add_change(write, HM_SCOPE_VHOSTS_ALLOW, key, false, (struct hm_bytes){0});
        }
    }
}

struct hm_dns_named *hm_dns_zones_write(struct hm_dns_zones *zones, hm_ms now,
                                        const struct hm_records *records,
                                        const struct hm_name *self, struct hm_arena *arena,
                                        struct hm_request_write *out, hm_ms *next)
{
    *next = HM_NEVER;
    for (size_t i = 0; i < zones->count; i++) {
        struct hm_dns_named *zone = &zones->items[i];
        if (zone->agreement != HM_DNS_ZONE_UNKNOWN && !zone->commits) {
            continue;
        }
        if (now < zone->write_at) {
            *next = zone->write_at < *next ? zone->write_at : *next;
            continue;
        }
        *out = (struct hm_request_write){
            .conditions = hm_arena_alloc(arena, 1, sizeof *out->conditions),
            .conditions_count = 1,
            .changes = hm_arena_alloc(arena, CHANGES_MAX, sizeof *out->changes),
        };
        out->conditions[0] = (struct hm_condition){.scope = hm_name_of(HM_DNS_SCOPE_ZONES),
                                                   .key = hm_bytes_of_text(zone->name),
                                                   .index = zone->index};
        add_change(out, HM_DNS_SCOPE_ZONES, hm_bytes_of_text(zone->name), true,
                   hm_buf_view(&zone->file_bytes));
        out->changes_count +=
            hm_dns_namers_add(records, zone->name, self, arena, &out->changes[out->changes_count]);
        change_allowed(zone, records, arena, out);
        zone->write_at = now + HM_DNS_WRITE_AGAIN_MS;
        return zone;
    }
    return NULL;
}

/* ---- for people ---- */

void hm_dns_zones_describe(const struct hm_dns_named *zone, struct hm_buf *out)
{
    unsigned long long index = zone->index;
    switch (zone->agreement) {
    case HM_DNS_ZONE_UNKNOWN:
        hm_buf_append_text(out, "not committed yet: not served");
        break;
    case HM_DNS_ZONE_AGREED:
        hm_buf_printf(out, "as in the file, committed at %llu", index);
        break;
    case HM_DNS_ZONE_DIFFERS:
        hm_buf_printf(out, "as committed at %llu, not as in the file (", index);
        hm_dns_record_differences(&zone->file, &zone->committed, out);
        hm_buf_append_text(out, "): a reload here commits the file");
        break;
    case HM_DNS_ZONE_UNSOUND:
        hm_buf_printf(out,
                      "what is committed at %llu cannot be read: not served; a reload here "
                      "commits the file",
                      index);
        break;
    }
    if (zone->crowded) {
        hm_buf_append_text(out, "; without its reverse zones, which another zone has");
    }
}
