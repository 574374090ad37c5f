#include "core/conf/tree.h"

#include "core/base/assert.h"
#include "core/conf/suggest.h"

#include <string.h>

static const struct hm_conf_key *row_of(const struct hm_conf_node *map, const char *name)
{
    HM_ASSERT(map && map->schema);
    for (size_t i = 0; i < map->schema->count; i++) {
        if (strcmp(map->schema->keys[i].name, name) == 0) {
            return &map->schema->keys[i];
        }
    }
    return NULL;
}

const struct hm_conf_node *hm_conf_get(const struct hm_conf_node *map, const char *name)
{
    HM_ASSERT(row_of(map, name));
    const struct hm_conf_node *node = map->first;
    while (node && strcmp(node->name, name) != 0) {
        node = node->next;
    }
    return node;
}

bool hm_conf_is_set(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = hm_conf_get(map, name);
    return node && node->origin.line > 0;
}

static const struct hm_conf_node *value_of(const struct hm_conf_node *map, const char *name,
                                           unsigned types)
{
    const struct hm_conf_key *row = row_of(map, name);
    HM_ASSERT(row && row->shape == HM_CONF_ONE && (types & (1u << row->type)));
    return hm_conf_get(map, name);
}

bool hm_conf_flag(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = value_of(map, name, 1u << HM_CONF_FLAG);
    return node && node->integer;
}

int64_t hm_conf_integer(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node =
        value_of(map, name, 1u << HM_CONF_INTEGER | 1u << HM_CONF_SIZE);
    return node ? node->integer : 0;
}

hm_ms hm_conf_duration(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = value_of(map, name, 1u << HM_CONF_DURATION);
    return node ? (hm_ms)node->integer : 0;
}

const char *hm_conf_text(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = value_of(map, name, ~(1u << HM_CONF_MAP));
    return node ? node->text : NULL;
}

struct hm_addr hm_conf_address(const struct hm_conf_node *map, const char *name,
                               uint16_t port_default)
{
    const struct hm_conf_node *node =
        value_of(map, name, 1u << HM_CONF_IP | 1u << HM_CONF_ADDRESS | 1u << HM_CONF_HOST);
    struct hm_addr addr = {0};
    if (node) {
        addr = node->addr;
        addr.port = addr.port ? addr.port : port_default;
    }
    return addr;
}

const struct hm_conf_node *hm_conf_first(const struct hm_conf_node *map, const char *name)
{
    const struct hm_conf_node *node = hm_conf_get(map, name);
    return node ? node->first : NULL;
}

bool hm_conf_check_choice(const struct hm_conf_node *node, const char *what,
                          const char *const *choices, size_t count, struct hm_conf_errors *errors)
{
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(node->text, choices[i]) == 0) {
            return true;
        }
        best = hm_conf_nearer(node->text, best, choices[i]);
    }
    struct hm_buf text = {0};
    hm_buf_printf(&text, "unknown %s ", what);
    hm_conf_quote(&text, node->text);
    if (best) {
        hm_buf_printf(&text, ": did you mean '%s'?", best);
    } else {
        hm_buf_append_text(&text, count ? ": known are " : ": none is known");
        for (size_t i = 0; i < count; i++) {
            hm_buf_printf(&text, "%s%s", i ? ", " : "", choices[i]);
        }
    }
    hm_conf_error(errors, &node->origin, "%.*s", (int)text.size, (const char *)text.data);
    hm_buf_fini(&text);
    return false;
}
