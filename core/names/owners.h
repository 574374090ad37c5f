/* The owners of names, each text once: they are fewer than the names. */
#ifndef HM_NAMES_OWNERS_H
#define HM_NAMES_OWNERS_H

#include "core/base/bytes.h"
#include "core/base/index.h"

struct names_owner {
    uint32_t names;  /* that are its own; > 0 */
    uint32_t slot;   /* its own as long as it is there */
    uint32_t number; /* for who goes through all names; no meaning otherwise */
    uint8_t size;
    uint8_t text[];
};

/* All zero is a valid empty set. */
struct names_owners {
    struct names_owner **items; /* by slot; NULL: nobody has it */
    size_t count;               /* of owners */
    size_t slots;               /* that were ever used */
    size_t capacity;
    uint32_t *vacant; /* slots; as many as slots - count */
    size_t vacant_capacity;
    struct hm_index by_text;
};

struct hm_bytes names_owner_text(const struct names_owner *owner);
/* NULL: it owns nothing. */
struct names_owner *names_owners_find(const struct names_owners *owners, struct hm_bytes text);
/* Has one name more. The text has 1 to 255 bytes. */
struct names_owner *names_owners_take(struct names_owners *owners, struct hm_bytes text);
/* Has one name less; with none it is gone. */
void names_owners_drop(struct names_owners *owners, struct names_owner *owner);
/* Leaves a valid empty set. */
void names_owners_fini(struct names_owners *owners);

#endif
