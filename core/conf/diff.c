#include "core/base/memory.h"
#include "core/conf/print.h"

#include <string.h>

static bool same(const struct hm_conf_node *a, const struct hm_conf_node *b);

static const struct hm_conf_node *find(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = map ? map->first : NULL;
    while (node && strcmp(node->name, name) != 0) {
        node = node->next;
    }
    return node;
}

static bool same_names(const struct hm_conf_node *a, const struct hm_conf_node *b)
{
    for (const struct hm_conf_node *node = a->first; node; node = node->next) {
        if (!same(node, find(b, node->name))) {
            return false;
        }
    }
    return true;
}

static bool same_value(const struct hm_conf_node *a, const struct hm_conf_node *b)
{
    switch (a->key->type) {
    case HM_CONF_FLAG:
    case HM_CONF_INTEGER:
    case HM_CONF_SIZE:
    case HM_CONF_DURATION:
        return a->integer == b->integer;
    case HM_CONF_IP:
    case HM_CONF_ADDRESS:
    case HM_CONF_HOST:
    case HM_CONF_PREFIX:
        return a->integer == b->integer && hm_addr_equal(&a->addr, &b->addr) &&
               (a->addr.family != 0 || strcmp(a->text, b->text) == 0);
    default:
        return strcmp(a->text, b->text) == 0;
    }
}

/* In effect; NULL is "absent". */
static bool same(const struct hm_conf_node *a, const struct hm_conf_node *b)
{
    if (!a || !b) {
        return a == b;
    }
    if (a->shape != b->shape || (a->schema == NULL) != (b->schema == NULL)) {
        return false;
    }
    bool list = a->shape == HM_CONF_LIST;
    if (!list && (a->schema || a->shape != HM_CONF_ONE)) {
        return same_names(a, b) && same_names(b, a);
    }
    if (!list) {
        return same_value(a, b);
    }
    const struct hm_conf_node *left = a->first, *right = b->first;
    while (left && right && same(left, right)) {
        left = left->next;
        right = right->next;
    }
    return !left && !right;
}

static void add_change(struct hm_conf_diff *diff, const char *prefix,
                       const struct hm_conf_node *before, const struct hm_conf_node *after)
{
    const struct hm_conf_node *either = after ? after : before;
    struct hm_buf path = {0};
    hm_buf_printf(&path, "%s%s", prefix, either->name);
    hm_put_u8(&path, 0);
    diff->items = hm_grow(diff->items, diff->count, &diff->capacity, sizeof *diff->items);
    diff->items[diff->count++] = (struct hm_conf_change){
        .path = (char *)path.data,
        .live = either->key->live,
        .before = before,
        .after = after,
    };
    diff->restarts += !either->key->live;
}

static void compare_maps(const struct hm_conf_node *before, const struct hm_conf_node *after,
                         const char *prefix, struct hm_conf_diff *diff);

static void compare(const struct hm_conf_node *before, const struct hm_conf_node *after,
                    const char *prefix, struct hm_conf_diff *diff)
{
    bool both_maps = before && after && before->schema && after->schema &&
                     before->shape == HM_CONF_ONE && after->shape == HM_CONF_ONE;
    if (both_maps) {
        struct hm_buf path = {0};
        hm_buf_printf(&path, "%s%s.", prefix, after->name);
        hm_put_u8(&path, 0);
        compare_maps(before, after, (const char *)path.data, diff);
        hm_buf_fini(&path);
    } else if (!same(before, after)) {
        add_change(diff, prefix, before, after);
    }
}

static void compare_maps(const struct hm_conf_node *before, const struct hm_conf_node *after,
                         const char *prefix, struct hm_conf_diff *diff)
{
    for (const struct hm_conf_node *node = before->first; node; node = node->next) {
        compare(node, find(after, node->name), prefix, diff);
    }
    for (const struct hm_conf_node *node = after->first; node; node = node->next) {
        if (!find(before, node->name)) {
            compare(NULL, node, prefix, diff);
        }
    }
}

void hm_conf_diff(const struct hm_conf_node *before, const struct hm_conf_node *after,
                  struct hm_conf_diff *out)
{
    struct hm_conf_diff diff = {0};
    compare_maps(before, after, "", &diff);
    *out = diff;
}

void hm_conf_diff_fini(struct hm_conf_diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        hm_free(diff->items[i].path);
    }
    hm_free(diff->items);
    *diff = (struct hm_conf_diff){0};
}
