/* A configuration that was read: values under their rows, each knowing where it was written. */
#ifndef HM_CONF_TREE_H
#define HM_CONF_TREE_H

#include "core/base/ids.h"
#include "core/conf/errors.h"
#include "core/conf/schema.h"

/* A value, a map, a list or a table. It lives as long as its struct hm_conf. */
struct hm_conf_node {
    const struct hm_conf_key *key;       /* the row it answers to; NULL for the root */
    const struct hm_conf_schema *schema; /* of a map; else NULL */
    const char *name;                    /* inside a map or table; NULL for items of a list */
    enum hm_conf_shape shape;            /* ONE: a value or a map */
    struct hm_conf_origin origin;        /* line 0: a default */
    uint32_t document;                   /* the last file that wrote to it, counted from 1 */
    bool broken;                         /* written, but wrong: told, and gone after hm_conf_finish,
                                          * save lists, tables and maps of a map: empty then */

    const char *text;    /* of a value: as written; of HOST and DOMAIN the name alone */
    int64_t integer;     /* FLAG (0, 1), INTEGER, SIZE (bytes), DURATION (ms), PREFIX (bits) */
    struct hm_addr addr; /* IP, ADDRESS, HOST, PREFIX; family 0: a name; port 0: none written */

    struct hm_conf_node *first, *last; /* of a map, list or table, in order */
    struct hm_conf_node *next;
    size_t count;
};

/* What stands under `name` in a map: written or default. NULL when neither; lists, tables and maps
 * are always there, perhaps empty. The map's schema must have the name. */
const struct hm_conf_node *hm_conf_get(const struct hm_conf_node *map, const char *name);

/* True when it was written, not a default. */
bool hm_conf_is_set(const struct hm_conf_node *map, const char *name);

/* Each asserts the type of the row. Without value and default: false, 0, NULL, none. */
bool hm_conf_flag(const struct hm_conf_node *map, const char *name);
int64_t hm_conf_integer(const struct hm_conf_node *map, const char *name);  /* also sizes: bytes */
hm_ms hm_conf_duration(const struct hm_conf_node *map, const char *name);   /* milliseconds */
const char *hm_conf_text(const struct hm_conf_node *map, const char *name); /* any single value */
/* IP, ADDRESS, HOST; a port that was not written is `port_default`. */
struct hm_addr hm_conf_address(const struct hm_conf_node *map, const char *name,
                               uint16_t port_default);
/* The first item of a list, or entry of a table, to walk by ->next; NULL when empty. */
const struct hm_conf_node *hm_conf_first(const struct hm_conf_node *map, const char *name);

/* For a value inside a list of choices that only the caller knows (roles, say): adds "unknown WHAT
 * 'x': did you mean 'y'?" at its place and returns false unless it is one of `choices`. */
bool hm_conf_check_choice(const struct hm_conf_node *node, const char *what,
                          const char *const *choices, size_t count, struct hm_conf_errors *errors);

#endif
