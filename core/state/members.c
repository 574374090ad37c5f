#include "core/state/members.h"

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "core/base/search.h"

#include <string.h>

#define CHUNK     32u
#define ROLES_MAX 64u /* lists that are shared; a member with yet another has its own */

/* A member where it lives, as long as it does. */
struct hm_members_place {
    struct hm_member member;
    uint32_t number;
    uint32_t shared; /* its list of roles, + 1; 0: its own. Of a free place: the next free one */
    uint32_t next;   /* number + 1 of others with its list of roles; 0: none */
    uint32_t previous;
};

struct hm_members_chunk {
    struct hm_members_place places[CHUNK];
};

/* A list of roles that members share. */
struct hm_members_roles {
    struct hm_label *list;
    uint32_t count;
    uint32_t first; /* number + 1 of a member with it; 0: none */
};

/* ---- where members live ---- */

static struct hm_members_place *place_at(const struct hm_members *members, uint32_t number)
{
    return &members->chunks[number / CHUNK]->places[number % CHUNK];
}

const struct hm_member *hm_members_at(const struct hm_members *members, uint32_t number)
{
    return &place_at(members, number)->member;
}

uint32_t hm_members_number(const struct hm_member *member)
{
    return ((const struct hm_members_place *)member)->number;
}

static struct hm_members_place *take_place(struct hm_members *members)
{
    if (members->free == 0) {
        members->chunks = hm_grow(members->chunks, members->chunk_count, &members->chunk_capacity,
                                  sizeof(struct hm_members_chunk *));
        struct hm_members_chunk *chunk = hm_alloc(1, sizeof *chunk);
        members->chunks[members->chunk_count++] = chunk;
        for (uint32_t i = CHUNK; i > 0; i--) {
            uint32_t number = (uint32_t)(members->chunk_count - 1) * CHUNK + i - 1;
            chunk->places[i - 1].number = number;
            chunk->places[i - 1].shared = members->free;
            members->free = number + 1;
        }
    }
    struct hm_members_place *place = place_at(members, members->free - 1);
    members->free = place->shared;
    return place;
}

/* ---- roles ---- */

static bool same_roles(const struct hm_members_roles *roles, const struct hm_member *member)
{
    bool same = roles->count == member->roles_count;
    for (uint32_t i = 0; same && i < roles->count; i++) {
        same = hm_name_equal(&roles->list[i].name, &member->roles[i].name);
    }
    return same;
}

static struct hm_label *copy_roles(const struct hm_member *member)
{
    struct hm_label *list = hm_alloc(member->roles_count, sizeof *list);
    if (member->roles_count) {
        memcpy(list, member->roles, member->roles_count * sizeof *list);
    }
    return list;
}

/* Where the chain of those with a list of roles starts. */
static uint32_t *chain_of(struct hm_members *members, uint32_t shared)
{
    return shared ? &members->roles[shared - 1].first : &members->odd;
}

static void link_place(struct hm_members *members, struct hm_members_place *place)
{
    uint32_t *first = chain_of(members, place->shared);
    place->previous = 0;
    place->next = *first;
    if (*first) {
        place_at(members, *first - 1)->previous = place->number + 1;
    }
    *first = place->number + 1;
}

static void unlink_place(struct hm_members *members, const struct hm_members_place *place)
{
    uint32_t *before = place->previous ? &place_at(members, place->previous - 1)->next
                                       : chain_of(members, place->shared);
    *before = place->next;
    if (place->next) {
        place_at(members, place->next - 1)->previous = place->previous;
    }
}

/* Most members are like others: their list of roles exists once. */
static void set_roles(struct hm_members *members, struct hm_members_place *place,
                      const struct hm_member *member)
{
    size_t at = 0;
    size_t unused = members->roles_count;
    while (at < members->roles_count && !same_roles(&members->roles[at], member)) {
        unused = members->roles[at].first == 0 ? at : unused;
        at++;
    }
    if (at == members->roles_count && unused == ROLES_MAX) {
        place->shared = 0;
        place->member.roles = copy_roles(member);
        return;
    }
    if (at == members->roles_count) {
        at = unused;
        if (at == members->roles_count) {
            members->roles = hm_grow(members->roles, members->roles_count, &members->roles_capacity,
                                     sizeof *members->roles);
            members->roles[members->roles_count++] = (struct hm_members_roles){0};
        }
        hm_free(members->roles[at].list);
        members->roles[at] = (struct hm_members_roles){copy_roles(member), member->roles_count, 0};
    }
    place->shared = (uint32_t)at + 1;
    place->member.roles = members->roles[at].list;
}

/* A list that nobody uses stays for the next of its kind. */
static void drop_roles(struct hm_members *members, const struct hm_members_place *place)
{
    unlink_place(members, place);
    if (!place->shared) {
        hm_free(place->member.roles);
    }
}

/* ---- found ---- */

/* The place of `id`, or where it would go. */
struct member_key {
    const struct hm_members *members;
    const struct hm_id *id;
};

static int order_of(const void *key, size_t at)
{
    const struct member_key *wanted = key;
    return hm_id_compare(&wanted->members->items[at]->id, wanted->id);
}

static size_t place_of(const struct hm_members *members, const struct hm_id *id, bool *found)
{
    return hm_search(members->count, order_of, &(struct member_key){members, id}, found);
}

const struct hm_member *hm_members_find(const struct hm_members *members, const struct hm_id *id)
{
    bool found;
    size_t at = place_of(members, id, &found);
    return found ? members->items[at] : NULL;
}

static uint64_t hash_addr(const struct hm_addr *addr)
{
    return hm_hash(addr->port, (struct hm_bytes){addr->ip, sizeof addr->ip});
}

const struct hm_member *hm_members_find_name(const struct hm_members *members,
                                             const struct hm_name *name)
{
    size_t cursor = 0;
    uint64_t hash = hm_hash_name_nocase(name);
    for (uint32_t at; (at = hm_index_next(&members->by_name, hash, &cursor)) != HM_INDEX_END;) {
        const struct hm_member *member = hm_members_at(members, at);
        if (hm_name_equal_nocase(&member->name, name)) {
            return member;
        }
    }
    return NULL;
}

const struct hm_member *hm_members_find_addr(const struct hm_members *members,
                                             const struct hm_addr *addr)
{
    size_t cursor = 0;
    for (uint32_t at;
         (at = hm_index_next(&members->by_addr, hash_addr(addr), &cursor)) != HM_INDEX_END;) {
        const struct hm_member *member = hm_members_at(members, at);
        if (hm_addr_equal(&member->addr, addr)) {
            return member;
        }
    }
    return NULL;
}

/* ---- changed ---- */

static const struct hm_id *id_of(const void *context, uint32_t number)
{
    return &hm_members_at(context, number)->id;
}

void hm_members_keep_rings(struct hm_members *members, uint32_t rings, bool all)
{
    struct hm_rings_config config = {.rings = rings, .id_of = id_of, .context = members};
    if (all) {
        hm_rings_init(&members->rings, &config);
    }
    hm_rings_init(&members->state_rings, &config);
}

/* What a member is found by besides its id. */
static void file(struct hm_members *members, const struct hm_member *member)
{
    uint32_t number = hm_members_number(member);
    hm_index_add(&members->by_name, hm_hash_name_nocase(&member->name), number);
    hm_index_add(&members->by_addr, hash_addr(&member->addr), number);
    if (member->feeds & HM_MEMBER_CARRIES_STATE) {
        hm_rings_add(&members->state_rings, number);
    }
}

static void unfile(struct hm_members *members, const struct hm_member *member)
{
    uint32_t number = hm_members_number(member);
    hm_index_remove(&members->by_name, hm_hash_name_nocase(&member->name), number);
    hm_index_remove(&members->by_addr, hash_addr(&member->addr), number);
    if (member->feeds & HM_MEMBER_CARRIES_STATE) {
        hm_rings_remove(&members->state_rings, number);
    }
}

static void fill(struct hm_members *members, struct hm_members_place *place,
                 const struct hm_member *member)
{
    place->member = *member;
    set_roles(members, place, member);
    link_place(members, place);
    file(members, &place->member);
}

void hm_members_put(struct hm_members *members, const struct hm_member *member)
{
    bool found;
    size_t at = place_of(members, &member->id, &found);
    if (found) {
        struct hm_members_place *place = (struct hm_members_place *)members->items[at];
        struct hm_member copy = *member;
        copy.roles = copy_roles(member); /* it may be our own */
        unfile(members, &place->member);
        drop_roles(members, place);
        fill(members, place, &copy);
        hm_free(copy.roles);
        return;
    }
    members->items =
        hm_grow(members->items, members->count, &members->capacity, sizeof(struct hm_member *));
    struct hm_member **items = members->items;
    memmove(items + at + 1, items + at, (members->count - at) * sizeof(struct hm_member *));
    struct hm_members_place *place = take_place(members);
    items[at] = &place->member;
    fill(members, place, member);
    hm_rings_add(&members->rings, place->number);
    members->count++;
}

bool hm_members_remove(struct hm_members *members, const struct hm_id *id)
{
    bool found;
    size_t at = place_of(members, id, &found);
    if (found) {
        struct hm_member **items = members->items;
        struct hm_members_place *place = (struct hm_members_place *)items[at];
        hm_rings_remove(&members->rings, place->number);
        unfile(members, &place->member);
        drop_roles(members, place);
        place->shared = members->free;
        members->free = place->number + 1;
        members->count--;
        memmove(items + at, items + at + 1, (members->count - at) * sizeof(struct hm_member *));
    }
    return found;
}

void hm_members_clear(struct hm_members *members)
{
    struct hm_rings_config all = members->rings.config;
    struct hm_rings_config state = members->state_rings.config;
    hm_members_fini(members);
    if (state.rings) {
        hm_members_keep_rings(members, state.rings, all.rings != 0);
    }
}

void hm_members_fini(struct hm_members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        drop_roles(members, (struct hm_members_place *)members->items[i]);
    }
    for (size_t i = 0; i < members->roles_count; i++) {
        hm_free(members->roles[i].list);
    }
    for (size_t i = 0; i < members->chunk_count; i++) {
        hm_free(members->chunks[i]);
    }
    hm_free(members->items);
    hm_free(members->chunks);
    hm_free(members->roles);
    hm_index_fini(&members->by_name);
    hm_index_fini(&members->by_addr);
    hm_rings_fini(&members->rings);
    hm_rings_fini(&members->state_rings);
    *members = (struct hm_members){0};
}

size_t hm_members_bytes(const struct hm_members *members)
{
    size_t bytes = members->capacity * sizeof(struct hm_member *) +
                   members->chunk_capacity * sizeof(struct hm_members_chunk *) +
                   members->chunk_count * sizeof(struct hm_members_chunk) +
                   hm_index_bytes(&members->by_name) + hm_index_bytes(&members->by_addr) +
                   members->roles_capacity * sizeof *members->roles;
    for (size_t i = 0; i < members->roles_count; i++) {
        bytes += members->roles[i].count * sizeof *members->roles[i].list;
    }
    return bytes + hm_rings_bytes(&members->rings) + hm_rings_bytes(&members->state_rings);
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

void hm_member_put_roles(const struct hm_member *member, char between, struct hm_buf *out)
{
    for (uint32_t i = 0; i < member->roles_count; i++) {
        if (i > 0) {
            hm_put_u8(out, (uint8_t)between);
        }
        hm_buf_append_text(out, member->roles[i].name.text);
    }
}

const struct hm_member *hm_members_next(const struct hm_members *members, const char *role,
                                        struct hm_members_walk *walk)
{
    for (;;) {
        if (walk->next) {
            const struct hm_members_place *place = place_at(members, walk->next - 1);
            walk->next = place->next;
            if (hm_member_has_role(&place->member, role)) {
                return &place->member;
            }
            if (place->shared) {
                walk->next = 0; /* so have all with this list not */
            }
        } else if (walk->list > members->roles_count) {
            return NULL;
        } else {
            size_t list = walk->list++;
            walk->next = list ? members->roles[list - 1].first : members->odd;
        }
    }
}

size_t hm_members_count_role(const struct hm_members *members, const char *role)
{
    struct hm_members_walk walk = {0};
    size_t count = 0;
    while (hm_members_next(members, role, &walk)) {
        count++;
    }
    return count;
}
