/* The table of members, in order of their ids. */
#ifndef HM_STATE_MEMBERS_H
#define HM_STATE_MEMBERS_H

#include "core/wire/message.h"

/* Bits of a member's feeds. */
#define HM_MEMBER_CARRIES_STATE 1u
#define HM_MEMBER_CONSUMES      2u

/* All zero is a valid empty table. */
struct hm_members {
    struct hm_member **items; /* by rising id; each owns its list of roles */
    size_t count;
    size_t capacity;
};

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
void hm_members_fini(struct hm_members *members);

bool hm_member_has_role(const struct hm_member *member, const char *role);
/* How many have the role. */
size_t hm_members_count_role(const struct hm_members *members, const char *role);

#endif
