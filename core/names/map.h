/* Names and their owners, in order of the names' bytes: a B+ tree of runs, so that whatever is
 * asked takes time in the logarithm of how many there are, and a name takes few bytes. */
#ifndef HM_NAMES_MAP_H
#define HM_NAMES_MAP_H

#include "core/names/owners.h"
#include "core/names/run.h"

#define NAMES_TIME_MAX ((UINT64_C(1) << 48) - 1)

/* A name, as it is told of: a look into the map. */
struct names_entry {
    struct hm_bytes name;
    struct names_owner *owner;
    uint64_t index;   /* of the log's entry that registered it */
    uint64_t time_ms; /* a later one is kept as NAMES_TIME_MAX */
    size_t shared;    /* where all are gone through: with the one before it, or less */
};

/* All zero is a valid empty map. */
struct names_map {
    struct names_node *root;
    size_t count;
    struct names_owners owners;
    size_t text_bytes; /* of all names and owners, each once */
};

struct hm_bytes names_name(const struct names_entry *entry);
struct hm_bytes names_owner(const struct names_entry *entry);

/* Fills `out` and returns it; NULL: nobody's. The name in it is the one that was asked for; its
 * owner is valid until the next change. */
const struct names_entry *names_map_find(const struct names_map *map, struct hm_bytes name,
                                         struct names_entry *out);
/* A name that is not in the map; name and owner have 1..NAMES_TEXT_BYTES_MAX bytes (asserted). */
void names_map_add(struct names_map *map, struct hm_bytes name, struct hm_bytes owner,
                   uint64_t index, uint64_t time_ms);
/* False: it is not there. */
bool names_map_erase(struct names_map *map, struct hm_bytes name);
/* Calls `visit` with the names from `from` on (empty: from the first), until it says false. The map
 * does not change meanwhile; the name's bytes live for the call. */
void names_map_walk(const struct names_map *map, struct hm_bytes from,
                    bool (*visit)(void *context, const struct names_entry *entry), void *context);
/* Leaves a valid empty map. */
void names_map_fini(struct names_map *map);

#endif
