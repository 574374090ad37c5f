#include "core/names/map.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

#include <stddef.h>
#include <string.h>

#define FANOUT 64u

/* keys[i] is the first run at or below child i; in a leaf it is the run itself. Every node has at
 * least one, and two neighbours under one parent have more than FANOUT between them. */
struct names_node {
    uint8_t level; /* 0: a leaf */
    uint8_t count; /* 1..FANOUT */
    struct names_run *keys[FANOUT];
    struct names_node *children[]; /* FANOUT of them where the level is above 0 */
};

struct hm_bytes names_name(const struct names_entry *entry)
{
    return entry->name;
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

/* How many of the keys begin not above `name`. */
static size_t count_up_to(const struct names_node *node, struct hm_bytes name)
{
    size_t low = 0;
    size_t high = node->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hm_bytes_compare(names_run_first(node->keys[middle]), name) <= 0) {
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

static void put(struct names_node *node, size_t at, struct names_run *key, struct names_node *child)
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
static struct names_node *put_or_split(struct names_node *node, size_t at, struct names_run *key,
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

/* The run in which the name is or would be; NULL: the map is empty. */
static struct names_run *run_of(const struct names_map *map, struct hm_bytes name)
{
    const struct names_node *node = map->root;
    while (node) {
        size_t up_to = count_up_to(node, name);
        size_t at = up_to ? up_to - 1 : 0;
        if (node->level == 0) {
            return node->keys[at];
        }
        node = node->children[at];
    }
    return NULL;
}

static void tell(const struct names_map *map, struct hm_bytes name, const struct names_fact *fact,
                 struct names_entry *out)
{
    *out = (struct names_entry){.name = name,
                                .owner = map->owners.items[fact->owner],
                                .index = fact->index,
                                .time_ms = fact->time_ms};
}

const struct names_entry *names_map_find(const struct names_map *map, struct hm_bytes name,
                                         struct names_entry *out)
{
    struct names_fact fact;
    const struct names_run *run = run_of(map, name);
    if (!run || !names_run_find(run, name, &fact)) {
        return NULL;
    }
    tell(map, name, &fact, out);
    return out;
}

static struct names_node *add(struct names_node *node, struct names_run *run)
{
    size_t up_to = count_up_to(node, names_run_first(run));
    if (node->level == 0) {
        return put_or_split(node, up_to, run, NULL);
    }
    size_t at = up_to ? up_to - 1 : 0;
    struct names_node *split = add(node->children[at], run);
    node->keys[at] = node->children[at]->keys[0];
    return split ? put_or_split(node, at + 1, split->keys[0], split) : NULL;
}

static void add_run(struct names_map *map, struct names_run *run)
{
    map->root = map->root ? map->root : make_node(0);
    struct names_node *split = add(map->root, run);
    if (split) {
        struct names_node *root = make_node((uint8_t)(map->root->level + 1));
        put(root, 0, map->root->keys[0], map->root);
        put(root, 1, split->keys[0], split);
        map->root = root;
    }
}

void names_map_add(struct names_map *map, struct hm_bytes name, struct hm_bytes owner,
                   uint64_t index, uint64_t time_ms)
{
    HM_ASSERT(name.size >= 1 && name.size <= NAMES_TEXT_BYTES_MAX);
    HM_ASSERT(owner.size >= 1 && owner.size <= NAMES_TEXT_BYTES_MAX);
    const struct names_owner *owned = names_owners_take(&map->owners, owner);
    struct names_fact fact = {.owner = owned->slot,
                              .index = index,
                              .time_ms = time_ms < NAMES_TIME_MAX ? time_ms : NAMES_TIME_MAX};
    struct names_run *run = run_of(map, name);
    if (run) {
        bool at_end = names_run_add(run, name, &fact);
        if (names_run_is_full(run)) {
            add_run(map, names_run_split(run, at_end)); /* what comes in order fills its runs */
        }
    } else {
        run = names_run_new();
        names_run_add(run, name, &fact);
        add_run(map, run);
    }
    map->count++;
    map->text_bytes += name.size + (owned->names == 1 ? owner.size : 0);
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

/* The run that begins with this name, which is out of the tree then. A child that has nothing left
 * goes. */
static struct names_run *erase(struct names_node *node, struct hm_bytes name)
{
    size_t up_to = count_up_to(node, name);
    HM_ASSERT(up_to > 0);
    size_t at = up_to - 1;
    struct names_run *run = node->keys[at];
    if (node->level == 0) {
        take(node, at);
        return run;
    }
    struct names_node *child = node->children[at];
    run = erase(child, name);
    if (child->count == 0) {
        take(node, at);
        hm_free(child);
        if (at > 0 && at < node->count) {
            merge(node, at - 1);
        }
        return run;
    }
    node->keys[at] = child->keys[0];
    if (at + 1 < node->count) {
        merge(node, at);
    }
    if (at > 0) {
        merge(node, at - 1);
    }
    return run;
}

static void erase_run(struct names_map *map, struct hm_bytes first)
{
    names_run_free(erase(map->root, first));
    while (map->root && (map->root->count == 0 || (map->root->level && map->root->count == 1))) {
        struct names_node *root = map->root;
        map->root = root->count ? root->children[0] : NULL;
        hm_free(root);
    }
}

bool names_map_erase(struct names_map *map, struct hm_bytes name)
{
    struct names_fact fact;
    struct names_run *run = run_of(map, name);
    if (!run || !names_run_find(run, name, &fact)) {
        return false;
    }
    if (run->count == 1) {
        erase_run(map, name);
    } else {
        names_run_erase(run, name);
    }
    struct names_owner *owner = map->owners.items[fact.owner];
    map->count--;
    map->text_bytes -= name.size + (owner->names == 1 ? owner->size : 0u);
    names_owners_drop(&map->owners, owner);
    return true;
}

/* ---- walked ---- */

struct walk {
    const struct names_map *map;
    bool (*visit)(void *context, const struct names_entry *entry);
    void *context;
};

/* False: `visit` has had enough. */
static bool walk_run(const struct walk *walk, const struct names_run *run, struct hm_bytes from)
{
    struct names_cursor cursor = names_run_begin(run);
    while (names_run_next(&cursor)) {
        struct hm_bytes name = {cursor.text, cursor.size};
        struct names_entry entry;
        if (from.size && hm_bytes_compare(name, from) < 0) {
            continue;
        }
        tell(walk->map, name, &cursor.fact, &entry);
        entry.shared = cursor.shared;
        if (!walk->visit(walk->context, &entry)) {
            return false;
        }
    }
    return true;
}

static bool walk_node(const struct walk *walk, const struct names_node *node, struct hm_bytes from)
{
    size_t up_to = from.size ? count_up_to(node, from) : 0;
    size_t start = up_to ? up_to - 1 : 0;
    for (size_t i = start; i < node->count; i++) {
        struct hm_bytes rest = i == start ? from : (struct hm_bytes){0};
        if (node->level ? !walk_node(walk, node->children[i], rest)
                        : !walk_run(walk, node->keys[i], rest)) {
            return false;
        }
    }
    return true;
}

void names_map_walk(const struct names_map *map, struct hm_bytes from,
                    bool (*visit)(void *context, const struct names_entry *entry), void *context)
{
    if (map->root) {
        walk_node(&(struct walk){map, visit, context}, map->root, from);
    }
}

static void free_node(struct names_node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        if (node->level) {
            free_node(node->children[i]);
        } else {
            names_run_free(node->keys[i]);
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
