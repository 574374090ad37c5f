/* The table of members, in order of their ids. */
#ifndef HM_STATE_MEMBERS_H
#define HM_STATE_MEMBERS_H

#include "core/base/index.h"
#include "core/engine/rings.h"
#include "core/wire/message.h"

struct hm_members_chunk;
struct hm_members_roles;

/* All zero is a valid empty table. */
struct hm_members {
    struct hm_member **items; /* by rising id; each has a list of roles, shared by its like */
    size_t count;
    size_t capacity;
    struct hm_index by_name; /* hm_hash_name_nocase -> number */
    struct hm_index by_addr;
    struct hm_members_chunk **chunks; /* where the members live: number -> place */
    size_t chunk_count;
    size_t chunk_capacity;
    uint32_t free;                  /* number + 1 of the first free place; 0: none */
    struct hm_members_roles *roles; /* the lists of roles that there are */
    size_t roles_count;
    size_t roles_capacity;
    uint32_t odd; /* number + 1 of the first member whose list is its own; 0: none */
    /* The order on the rings, of all, and of those who carry feed state; where kept. */
    struct hm_rings rings;
    struct hm_rings state_rings;
};

/* The rings follow from now on; for an empty table. `all`: those of all members, else only those of
 * members that carry feed state. They hold the table's address: it does not move. */
void hm_members_keep_rings(struct hm_members *members, uint32_t rings, bool all);

const struct hm_member *hm_members_find(const struct hm_members *members, const struct hm_id *id);
/* Names are compared without case. */
const struct hm_member *hm_members_find_name(const struct hm_members *members,
                                             const struct hm_name *name);
const struct hm_member *hm_members_find_addr(const struct hm_members *members,
                                             const struct hm_addr *addr);
/* Adds it, or replaces the one with its id. Copies what it is given. */
void hm_members_put(struct hm_members *members, const struct hm_member *member);
/* False when it was not there. */
bool hm_members_remove(struct hm_members *members, const struct hm_id *id);
/* Everybody goes; the rings are kept as before. */
void hm_members_clear(struct hm_members *members);
void hm_members_fini(struct hm_members *members);

/* What the table takes of memory, its rings included. */
size_t hm_members_bytes(const struct hm_members *members);

/* A member by the number that the rings know it by; and the number of one of a table. */
const struct hm_member *hm_members_at(const struct hm_members *members, uint32_t number);
uint32_t hm_members_number(const struct hm_member *member);

/* Performed by those who publish what they serve. */
#define HM_ROLE_HOST "host"
/* Bits of a member's `feeds`. */
#define HM_MEMBER_CARRIES_STATE 1u
#define HM_MEMBER_CONSUMES      2u

bool hm_member_has_role(const struct hm_member *member, const char *role);
/* Appends its roles for people, with `between` between them. */
void hm_member_put_roles(const struct hm_member *member, char between, struct hm_buf *out);
/* Walks those with a role, in no order: starts from all zero, NULL at the end. The table must not
 * change meanwhile. */
struct hm_members_walk {
    size_t list;
    uint32_t next;
};
const struct hm_member *hm_members_next(const struct hm_members *members, const char *role,
                                        struct hm_members_walk *walk);
/* How many have the role. */
size_t hm_members_count_role(const struct hm_members *members, const char *role);

#endif
