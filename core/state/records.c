#include "core/state/records.h"

#include "core/base/memory.h"
#include "core/base/search.h"

#include <string.h>

struct record_key {
    const struct hm_records *records;
    const struct hm_name *scope;
    struct hm_bytes key;
};

static int order_of(const void *key, size_t at)
{
    const struct record_key *wanted = key;
    const struct hm_record *record = wanted->records->items[at];
    int order = strcmp(record->scope.text, wanted->scope->text);
    return order ? order : hm_bytes_compare(record->key, wanted->key);
}

/* The place of the record, or where it would go. */
static size_t place_of(const struct hm_records *records, const struct hm_name *scope,
                       struct hm_bytes key, bool *found)
{
    return hm_search(records->count, order_of, &(struct record_key){records, scope, key}, found);
}

const struct hm_record *hm_records_find(const struct hm_records *records,
                                        const struct hm_name *scope, struct hm_bytes key)
{
    bool found;
    size_t at = place_of(records, scope, key, &found);
    return found ? records->items[at] : NULL;
}

size_t hm_records_after(const struct hm_records *records, const struct hm_name *scope,
                        struct hm_bytes key)
{
    bool found;
    size_t at = place_of(records, scope, key, &found);
    return found ? at + 1 : at;
}

static struct hm_scope *find_scope(const struct hm_records *records, const struct hm_name *scope)
{
    for (size_t i = 0; i < records->scope_count; i++) {
        if (hm_name_equal(&records->scopes[i].name, scope)) {
            return &records->scopes[i];
        }
    }
    return NULL;
}

/* NULL when there are too many: voters grant no more, so whoever told of it lies, and nothing of a
 * lie needs a version. */
static struct hm_scope *find_or_add_scope(struct hm_records *records, const struct hm_name *name)
{
    struct hm_scope *scope = find_scope(records, name);
    if (!scope && records->scope_count < HM_SCOPES_MAX) {
        records->scopes = hm_grow(records->scopes, records->scope_count, &records->scope_capacity,
                                  sizeof *records->scopes);
        scope = &records->scopes[records->scope_count++];
        *scope = (struct hm_scope){.name = *name};
    }
    return scope;
}

static void count_change(struct hm_records *records, const struct hm_name *name)
{
    struct hm_scope *scope = find_or_add_scope(records, name);
    if (scope) {
        scope->version++;
    }
}

static void set(struct hm_record *record, const struct hm_name *scope, struct hm_bytes key,
                struct hm_bytes value, uint64_t index)
{
    *record = (struct hm_record){
        .scope = *scope, .key = hm_bytes_copy(key), .value = hm_bytes_copy(value), .index = index};
}

static void clear(struct hm_record *record)
{
    hm_bytes_free(record->key);
    hm_bytes_free(record->value);
}

static bool put(struct hm_records *records, const struct hm_name *scope, struct hm_bytes key,
                struct hm_bytes value, uint64_t index)
{
    bool found;
    size_t at = place_of(records, scope, key, &found);
    if (found) {
        struct hm_record old = *records->items[at];
        if (index < old.index) {
            return false;
        }
        set(records->items[at], scope, key, value, index);
        clear(&old);
        return true;
    }
    records->items =
        hm_grow(records->items, records->count, &records->capacity, sizeof(struct hm_record *));
    struct hm_record **items = records->items;
    memmove(items + at + 1, items + at, (records->count - at) * sizeof(struct hm_record *));
    items[at] = hm_alloc(1, sizeof *items[at]);
    set(items[at], scope, key, value, index);
    records->count++;
    return true;
}

bool hm_records_put(struct hm_records *records, const struct hm_name *scope, struct hm_bytes key,
                    struct hm_bytes value, uint64_t index)
{
    count_change(records, scope);
    return put(records, scope, key, value, index);
}

bool hm_records_delete(struct hm_records *records, const struct hm_name *scope, struct hm_bytes key,
                       uint64_t index)
{
    bool found;
    size_t at = place_of(records, scope, key, &found);
    count_change(records, scope);
    if (!found || index < records->items[at]->index) {
        return false;
    }
    struct hm_record **items = records->items;
    clear(items[at]);
    hm_free(items[at]);
    records->count--;
    memmove(items + at, items + at + 1, (records->count - at) * sizeof(struct hm_record *));
    return true;
}

void hm_records_load(struct hm_records *records, const struct hm_record *record)
{
    put(records, &record->scope, record->key, record->value, record->index);
}

void hm_records_load_scope(struct hm_records *records, const struct hm_scope *scope)
{
    struct hm_scope *loaded = find_or_add_scope(records, &scope->name);
    if (loaded) {
        loaded->version = scope->version;
    }
}

uint64_t hm_records_version(const struct hm_records *records, const struct hm_name *scope)
{
    const struct hm_scope *found = find_scope(records, scope);
    return found ? found->version : 0;
}

bool hm_records_has_scope(const struct hm_records *records, const struct hm_name *scope)
{
    return find_scope(records, scope) != NULL;
}

void hm_records_fini(struct hm_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        clear(records->items[i]);
        hm_free(records->items[i]);
    }
    hm_free(records->items);
    hm_free(records->scopes);
    *records = (struct hm_records){0};
}

void hm_records_skip(struct hm_records *records, uint64_t versions)
{
    for (size_t i = 0; i < records->scope_count; i++) {
        records->scopes[i].version += versions;
    }
}
