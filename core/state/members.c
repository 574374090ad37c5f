#include "core/state/members.h"

#include "core/base/memory.h"

#include <string.h>

/* The place of `id`, or where it would go. */
static size_t place_of(const struct hm_members *members, const struct hm_id *id, bool *found)
{
    size_t low = 0;
    size_t high = members->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = hm_id_compare(&members->items[middle]->id, id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct hm_member *hm_members_find(const struct hm_members *members, const struct hm_id *id)
{
    bool found;
    size_t at = place_of(members, id, &found);
    return found ? members->items[at] : NULL;
}

const struct hm_member *hm_members_find_name(const struct hm_members *members,
                                             const struct hm_name *name)
{
    for (size_t i = 0; i < members->count; i++) {
        if (hm_name_equal_nocase(&members->items[i]->name, name)) {
            return members->items[i];
        }
    }
    return NULL;
}

const struct hm_member *hm_members_find_addr(const struct hm_members *members,
                                             const struct hm_addr *addr)
{
    for (size_t i = 0; i < members->count; i++) {
        if (hm_addr_equal(&members->items[i]->addr, addr)) {
            return members->items[i];
        }
    }
    return NULL;
}

static void fill(struct hm_member *out, const struct hm_member *member)
{
    *out = *member;
    out->roles = hm_alloc(member->roles_count, sizeof *out->roles);
    if (member->roles_count) {
        memcpy(out->roles, member->roles, member->roles_count * sizeof *out->roles);
    }
}

void hm_members_put(struct hm_members *members, const struct hm_member *member)
{
    bool found;
    size_t at = place_of(members, &member->id, &found);
    if (found) {
        struct hm_label *old_roles = members->items[at]->roles;
        fill(members->items[at], member);
        hm_free(old_roles);
        return;
    }
    members->items =
        hm_grow(members->items, members->count, &members->capacity, sizeof(struct hm_member *));
    struct hm_member **items = members->items;
    memmove(items + at + 1, items + at, (members->count - at) * sizeof(struct hm_member *));
    items[at] = hm_alloc(1, sizeof *items[at]);
    fill(items[at], member);
    members->count++;
}

static void discard(struct hm_member *member)
{
    hm_free(member->roles);
    hm_free(member);
}

bool hm_members_remove(struct hm_members *members, const struct hm_id *id)
{
    bool found;
    size_t at = place_of(members, id, &found);
    if (found) {
        struct hm_member **items = members->items;
        discard(items[at]);
        members->count--;
        memmove(items + at, items + at + 1, (members->count - at) * sizeof(struct hm_member *));
    }
    return found;
}

void hm_members_fini(struct hm_members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        discard(members->items[i]);
    }
    hm_free(members->items);
    *members = (struct hm_members){0};
}

bool hm_member_has_role(const struct hm_member *member, const char *role)
{
    for (uint32_t i = 0; i < member->roles_count; i++) {
        if (hm_name_is(&member->roles[i].name, role)) {
            return true;
        }
    }
    return false;
}

size_t hm_members_count_role(const struct hm_members *members, const char *role)
{
    size_t count = 0;
    for (size_t i = 0; i < members->count; i++) {
        count += hm_member_has_role(members->items[i], role);
    }
    return count;
}
