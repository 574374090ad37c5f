/* The records of the replicated state: (scope, key) -> bytes, in order, with a version a scope. */
#ifndef HM_STATE_RECORDS_H
#define HM_STATE_RECORDS_H

#include "core/wire/message.h"

#define HM_SCOPES_MAX 256

/* All zero is a valid empty table. */
struct hm_records {
    struct hm_record **items; /* by rising (scope, key); each owns its key and value */
    size_t count;
    size_t capacity;
    struct hm_scope *scopes; /* by first change */
    size_t scope_count;      /* <= HM_SCOPES_MAX */
    size_t scope_capacity;
};

/* A name as a key or a value. */
static inline struct hm_bytes hm_name_bytes(const struct hm_name *name)
{
    return (struct hm_bytes){(const uint8_t *)name->text, name->size};
}

const struct hm_record *hm_records_find(const struct hm_records *records,
                                        const struct hm_name *scope, struct hm_bytes key);
/* The place of the first record after (scope, key); records->count when there is none. */
size_t hm_records_after(const struct hm_records *records, const struct hm_name *scope,
                        struct hm_bytes key);

/* Changes one record, as the event at `index` says; copies what it is given. The change counts in
 * its scope's version; where the record is newer already (it came in a page), that is all (false).
 */
bool hm_records_put(struct hm_records *records, const struct hm_name *scope, struct hm_bytes key,
                    struct hm_bytes value, uint64_t index);
/* The same for a deletion; false when there was nothing to delete. */
bool hm_records_delete(struct hm_records *records, const struct hm_name *scope, struct hm_bytes key,
                       uint64_t index);

/* Takes over a record as told by somebody who holds it, without counting it as a change. */
void hm_records_load(struct hm_records *records, const struct hm_record *record);
void hm_records_load_scope(struct hm_records *records, const struct hm_scope *scope);

/* Raises the version of every scope by this: versions that were told and are not known any more are
 * not told again. */
void hm_records_skip(struct hm_records *records, uint64_t versions);

/* Version of a scope; 0 when it never changed. */
uint64_t hm_records_version(const struct hm_records *records, const struct hm_name *scope);
bool hm_records_has_scope(const struct hm_records *records, const struct hm_name *scope);
void hm_records_fini(struct hm_records *records);

#endif
