#include "core/names/map.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stddef.h>
#include <string.h>

#define FANOUT 64u

/* keys[i] is the first entry at or below child i; in a leaf it is the entry itself. Every node has
 * at least one, and two neighbours under one parent have more than FANOUT between them. */
struct names_node {
    uint8_t level; /* 0: a leaf */
    uint8_t count; /* 1..FANOUT */
    struct names_entry *keys[FANOUT];
    struct names_node *children[]; /* FANOUT of them where the level is above 0 */
};

struct hm_bytes names_name(const struct names_entry *entry)
{
    return (struct hm_bytes){entry->text, entry->name_size};
}

struct hm_bytes names_owner(const struct names_entry *entry)
{
    return names_owner_text(entry->owner);
}

/* ---- nodes ---- */

static struct names_node *make_node(uint8_t level)
{
    size_t children = level ? FANOUT * sizeof(struct names_node *) : 0;
    struct names_node *node = hm_alloc(1, sizeof *node + children);
    node->level = level;
    return node;
}

/* How many of the keys are not above `name`. */
static size_t count_up_to(const struct names_node *node, struct hm_bytes name)
{
    size_t low = 0;
    size_t high = node->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hm_bytes_compare(names_name(node->keys[middle]), name) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Moves what is at `from` and behind to `to`, within a node or to another of its level. */
static void move(struct names_node *to, size_t to_at, const struct names_node *from, size_t from_at,
                 size_t count)
{
    memmove(to->keys + to_at, from->keys + from_at, count * sizeof *to->keys);
    if (to->level) {
        memmove(to->children + to_at, from->children + from_at, count * sizeof *to->children);
    }
}

static void put(struct names_node *node, size_t at, struct names_entry *key,
                struct names_node *child)
{
    move(node, at + 1, node, at, node->count - at);
    node->keys[at] = key;
    if (node->level) {
        node->children[at] = child;
    }
    node->count++;
}

static void take(struct names_node *node, size_t at)
{
    move(node, at, node, at + 1, node->count - at - 1u);
    node->count--;
}

/* Puts it into a node with or without room. The node that it was split into, or NULL. */
static struct names_node *put_or_split(struct names_node *node, size_t at, struct names_entry *key,
                                       struct names_node *child)
{
    if (node->count < FANOUT) {
        put(node, at, key, child);
        return NULL;
    }
    /* What comes in order fills its nodes. */
    size_t kept = at == FANOUT ? FANOUT : FANOUT / 2;
    struct names_node *right = make_node(node->level);
    move(right, 0, node, kept, FANOUT - kept);
    right->count = (uint8_t)(FANOUT - kept);
    node->count = (uint8_t)kept;
    if (at >= kept) {
        put(right, at - kept, key, child);
    } else {
        put(node, at, key, child);
    }
    return right;
}

/* ---- found and added ---- */

const struct names_entry *names_map_find(const struct names_map *map, struct hm_bytes name)
{
    const struct names_node *node = map->root;
    while (node) {
        size_t up_to = count_up_to(node, name);
        if (up_to == 0) {
            return NULL;
        }
        if (node->level == 0) {
            const struct names_entry *entry = node->keys[up_to - 1];
            return hm_bytes_equal(names_name(entry), name) ? entry : NULL;
        }
        node = node->children[up_to - 1];
    }
    return NULL;
}

static struct names_node *add(struct names_node *node, struct names_entry *entry)
{
    size_t up_to = count_up_to(node, names_name(entry));
    if (node->level == 0) {
        return put_or_split(node, up_to, entry, NULL);
    }
    size_t at = up_to ? up_to - 1 : 0;
    struct names_node *split = add(node->children[at], entry);
    node->keys[at] = node->children[at]->keys[0];
    return split ? put_or_split(node, at + 1, split->keys[0], split) : NULL;
}

const struct names_entry *names_map_add(struct names_map *map, struct hm_bytes name,
                                        struct hm_bytes owner, uint64_t index, uint64_t time_ms)
{
    HM_ASSERT(name.size >= 1 && name.size <= NAMES_TEXT_BYTES_MAX);
    HM_ASSERT(owner.size >= 1 && owner.size <= NAMES_TEXT_BYTES_MAX);
    size_t before_text = offsetof(struct names_entry, text);
    struct names_entry *entry = hm_alloc(1, before_text + name.size);
    entry->owner = names_owners_take(&map->owners, owner);
    entry->index = index;
    entry->time_ms = (time_ms < NAMES_TIME_MAX ? time_ms : NAMES_TIME_MAX) & NAMES_TIME_MAX;
    entry->name_size = (uint8_t)name.size;
    memcpy(entry->text, name.data, name.size);
    map->root = map->root ? map->root : make_node(0);
    struct names_node *split = add(map->root, entry);
    if (split) {
        struct names_node *root = make_node((uint8_t)(map->root->level + 1));
        put(root, 0, map->root->keys[0], map->root);
        put(root, 1, split->keys[0], split);
        map->root = root;
    }
    map->count++;
    map->text_bytes += name.size + (entry->owner->names == 1 ? owner.size : 0);
    return entry;
}

/* ---- erased ---- */

/* Two neighbours that fit into one node become one. */
static void merge(struct names_node *node, size_t left)
{
    struct names_node *into = node->children[left];
    struct names_node *from = node->children[left + 1];
    if ((size_t)into->count + from->count <= FANOUT) {
        move(into, into->count, from, 0, from->count);
        into->count = (uint8_t)(into->count + from->count);
        take(node, left + 1);
        hm_free(from);
    }
}

/* The entry, which is out of the tree; NULL: it is not there. A child that has nothing left goes.
 */
static struct names_entry *erase(struct names_node *node, struct hm_bytes name)
{
    size_t up_to = count_up_to(node, name);
    if (up_to == 0) {
        return NULL;
    }
    size_t at = up_to - 1;
    struct names_entry *entry = node->keys[at];
    if (node->level == 0) {
        if (!hm_bytes_equal(names_name(entry), name)) {
            return NULL;
        }
        take(node, at);
        return entry;
    }
    struct names_node *child = node->children[at];
    entry = erase(child, name);
    if (entry && child->count == 0) {
        take(node, at);
        hm_free(child);
        if (at > 0 && at < node->count) {
            merge(node, at - 1);
        }
        return entry;
    }
    node->keys[at] = child->keys[0];
    if (entry && at + 1 < node->count) {
        merge(node, at);
    }
    if (entry && at > 0) {
        merge(node, at - 1);
    }
    return entry;
}

bool names_map_erase(struct names_map *map, struct hm_bytes name)
{
    struct names_entry *entry = map->root ? erase(map->root, name) : NULL;
    if (!entry) {
        return false;
    }
    while (map->root && (map->root->count == 0 || (map->root->level && map->root->count == 1))) {
        struct names_node *root = map->root;
        map->root = root->count ? root->children[0] : NULL;
        hm_free(root);
    }
    map->count--;
    map->text_bytes -= entry->name_size + (entry->owner->names == 1 ? entry->owner->size : 0u);
    names_owners_drop(&map->owners, entry->owner);
    hm_free(entry);
    return true;
}

/* ---- walked ---- */

/* False: `visit` has had enough. */
static bool walk(const struct names_node *node, struct hm_bytes from,
                 bool (*visit)(void *context, const struct names_entry *entry), void *context)
{
    size_t up_to = from.size ? count_up_to(node, from) : 0;
    size_t start = up_to ? up_to - 1 : 0;
    for (size_t i = start; i < node->count; i++) {
        bool first = i == start;
        if (node->level) {
            struct hm_bytes rest = first ? from : (struct hm_bytes){0};
            if (!walk(node->children[i], rest, visit, context)) {
                return false;
            }
        } else if (!(first && hm_bytes_compare(names_name(node->keys[i]), from) < 0) &&
                   !visit(context, node->keys[i])) {
            return false;
        }
    }
    return true;
}

void names_map_walk(const struct names_map *map, struct hm_bytes from,
                    bool (*visit)(void *context, const struct names_entry *entry), void *context)
{
    if (map->root) {
        walk(map->root, from, visit, context);
    }
}

static void free_node(struct names_node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        if (node->level) {
            free_node(node->children[i]);
        } else {
            hm_free(node->keys[i]);
        }
    }
    hm_free(node);
}

void names_map_fini(struct names_map *map)
{
    if (map->root) {
        free_node(map->root);
    }
    names_owners_fini(&map->owners);
    *map = (struct names_map){0};
}
