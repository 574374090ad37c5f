/* What a configuration may say: one row a key. Parser, defaults, JSON Schema, manual and the diff
 * of a reload are made from these tables; modules export theirs. Data only: no function here. */
#ifndef HM_CONF_SCHEMA_H
#define HM_CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hm_conf_type {
    HM_CONF_TEXT = 0, /* any text; min and max count bytes */
    HM_CONF_CHOICE,   /* one word of `choices` */
    HM_CONF_FLAG,     /* true, false, yes, no, on, off */
    HM_CONF_INTEGER,  /* decimal */
    HM_CONF_SIZE,     /* bytes: 512, 64K, 10M, 1G (powers of 1,024) */
    HM_CONF_DURATION, /* 500ms, 2s, 5m, 1h, 7d; kept, and limited by min and max, in milliseconds */
    HM_CONF_LABEL,    /* a DNS label: letters, digits, inner hyphens, at most 63 bytes */
    HM_CONF_SERVICE,  /* a label of at most 15 characters with a letter in it (RFC 6335, 5.1) */
    HM_CONF_DOMAIN,   /* a domain name; a final dot is dropped */
    HM_CONF_IP,       /* an IPv4 or IPv6 address */
    HM_CONF_ADDRESS,  /* IP, IP:PORT, [IP6]:PORT */
    HM_CONF_HOST,     /* as ADDRESS, or NAME, NAME:PORT */
    HM_CONF_PREFIX,   /* IP/BITS, the bits behind the prefix zero */
    HM_CONF_PATH,     /* an absolute path */
    HM_CONF_MAP,      /* the keys of `child` */
};

enum hm_conf_shape {
    HM_CONF_ONE = 0,
    HM_CONF_LIST,  /* [a, b]; a lone value is a list of one, save for maps */
    HM_CONF_TABLE, /* {free name: value}; the names are of type `names` */
    HM_CONF_LISTS, /* {free name: [a, b]} */
};

struct hm_conf_schema;

struct hm_conf_key {
    const char *name;
    enum hm_conf_type type;
    enum hm_conf_shape shape;
    const char *help;                   /* a sentence without its final dot */
    const struct hm_conf_schema *child; /* of type MAP, else NULL */
    const char *const *choices;         /* of type CHOICE, NULL-terminated */
    enum hm_conf_type names;            /* of a table: TEXT, LABEL or DOMAIN */
    int64_t min, max;                   /* both 0: no limit */
    const char *fallback;               /* the default, as one would write it; lists "a, b" */
    const char *absent;                 /* what holds when unset and no fallback, for people */
    const char *unit;                   /* of an integer, for people */
    const char *one_of;                 /* keys of a map with the same word exclude each other */
    const char *needs;                  /* set by hm_conf_compose: the module that is not loaded */
    bool required;                      /* a list: not empty; with one_of: one of the group */
    bool live;                          /* a reload may change it; else it needs a restart */
};

/* Names are unique; help says what the map is for. */
struct hm_conf_schema {
    const struct hm_conf_key *keys;
    size_t count;
    const char *help;
};

#endif
