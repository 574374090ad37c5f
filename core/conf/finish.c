/* After the last file: what is required and missing, what excludes each other, defaults. */
#include "core/base/assert.h"
#include "core/conf/internal.h"
#include "core/conf/value.h"

#include <string.h>

static void finish_map(struct hm_conf *conf, struct hm_conf_node *map, bool check,
                       struct hm_conf_errors *errors);

static void set_default(struct hm_conf *conf, struct hm_conf_node *node, const char *text)
{
    struct hm_buf why = {0};
    bool fits = hm_conf_value_read(node, text, &conf->arena, &why);
    HM_ASSERT(fits); /* a row whose default breaks its own rules */
    hm_buf_fini(&why);
}

/* "a, b" into items. */
static void set_default_list(struct hm_conf *conf, struct hm_conf_node *list, const char *text)
{
    while (*text) {
        const char *comma = strstr(text, ", ");
        size_t size = comma ? (size_t)(comma - text) : strlen(text);
        char *item = hm_arena_alloc(&conf->arena, size + 1, 1);
        memcpy(item, text, size);
        set_default(conf, hm_conf_node_new(conf, list, list->key, HM_CONF_ONE, NULL), item);
        text += size + (comma ? 2 : 0);
    }
}

static void add_default(struct hm_conf *conf, struct hm_conf_node *map,
                        const struct hm_conf_key *key, struct hm_conf_errors *errors)
{
    bool value = key->shape == HM_CONF_ONE && key->type != HM_CONF_MAP;
    if (value && !key->fallback) {
        return;
    }
    struct hm_conf_node *node = hm_conf_node_new(conf, map, key, key->shape, key->name);
    if (value) {
        set_default(conf, node, key->fallback);
    } else if (key->shape == HM_CONF_ONE) {
        finish_map(conf, node, false, errors);
    } else if (key->shape == HM_CONF_LIST && key->fallback) {
        set_default_list(conf, node, key->fallback);
    }
}

/* Wrong values served to know what was written. Of a map the lists, tables and maps stay, empty,
 * because readers count on them. */
static void remove_broken(struct hm_conf_node *parent)
{
    struct hm_conf_node *child = parent->first;
    parent->first = parent->last = NULL;
    parent->count = 0;
    while (child) {
        struct hm_conf_node *next = child->next;
        bool container = child->shape != HM_CONF_ONE || child->schema;
        if (!child->broken || (parent->schema && container)) {
            *(parent->last ? &parent->last->next : &parent->first) = child;
            parent->last = child;
            parent->count++;
            child->next = NULL;
        }
        child = next;
    }
}

static void finish_value(struct hm_conf *conf, struct hm_conf_node *node, bool check,
                         struct hm_conf_errors *errors)
{
    if (node->shape == HM_CONF_ONE && node->key->type == HM_CONF_MAP) {
        finish_map(conf, node, check && !node->broken, errors);
        return;
    }
    for (struct hm_conf_node *item = node->first; item; item = item->next) {
        finish_value(conf, item, check, errors);
    }
    remove_broken(node);
}

static void tell_missing(const struct hm_conf_node *map, const struct hm_conf_key *key,
                         const char *names, struct hm_conf_errors *errors)
{
    const char *where = map->key ? map->key->name : "the configuration";
    hm_conf_error(errors, &map->origin, "%s is missing in %s: %s", names, where, key->help);
}

/* The keys of one group: at most one, and one if required. Told at its first row. */
static void check_group(const struct hm_conf_node *map, size_t first_row,
                        struct hm_conf_errors *errors)
{
    const struct hm_conf_key *first = &map->schema->keys[first_row];
    for (size_t i = 0; i < first_row; i++) {
        if (map->schema->keys[i].one_of &&
            strcmp(map->schema->keys[i].one_of, first->one_of) == 0) {
            return;
        }
    }
    struct hm_buf names = {0};
    const struct hm_conf_node *set = NULL;
    for (size_t i = first_row; i < map->schema->count; i++) {
        const struct hm_conf_key *key = &map->schema->keys[i];
        if (!key->one_of || strcmp(key->one_of, first->one_of) != 0) {
            continue;
        }
        hm_buf_printf(&names, "%s%s", names.size ? " or " : "", key->name);
        const struct hm_conf_node *node = hm_conf_child(map, key->name);
        if (node && set) {
            bool later = hm_conf_origin_compare(&node->origin, &set->origin) > 0;
            hm_conf_error(errors, later ? &node->origin : &set->origin,
                          "'%s' and '%s' exclude each other: write one of them", set->name,
                          node->name);
        }
        set = node ? node : set;
    }
    if (!set && first->required) {
        hm_put_u8(&names, 0);
        tell_missing(map, first, (const char *)names.data, errors);
    }
    hm_buf_fini(&names);
}

/* Nothing written, or a list written empty. */
static bool lacks(const struct hm_conf_node *map, const struct hm_conf_key *key)
{
    const struct hm_conf_node *node = hm_conf_child(map, key->name);
    return !node || (!node->broken && node->shape != HM_CONF_ONE && node->count == 0);
}

static void check_row(const struct hm_conf_node *map, size_t row, struct hm_conf_errors *errors)
{
    const struct hm_conf_key *key = &map->schema->keys[row];
    if (key->one_of) {
        check_group(map, row, errors);
    } else if (key->required && lacks(map, key)) {
        tell_missing(map, key, key->name, errors);
    }
}

static void finish_map(struct hm_conf *conf, struct hm_conf_node *map, bool check,
                       struct hm_conf_errors *errors)
{
    for (size_t i = 0; check && i < map->schema->count; i++) {
        if (!map->schema->keys[i].needs) {
            check_row(map, i, errors);
        }
    }
    for (size_t i = 0; i < map->schema->count; i++) {
        const struct hm_conf_key *key = &map->schema->keys[i];
        struct hm_conf_node *node = hm_conf_child(map, key->name);
        if (node) {
            finish_value(conf, node, check, errors);
        } else if (!key->needs) {
            add_default(conf, map, key, errors);
        }
    }
    remove_broken(map);
}

enum hm_status hm_conf_finish(struct hm_conf *conf, struct hm_conf_errors *errors)
{
    finish_map(conf, conf->root, conf->mode == HM_CONF_WHOLE && !conf->cut, errors);
    return errors->count == 0 ? HM_OK : HM_BAD_CONFIG;
}
