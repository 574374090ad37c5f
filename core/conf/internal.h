/* What the parser's files share: the tree while it grows. Of use to this folder only. */
#ifndef HM_CONF_INTERNAL_H
#define HM_CONF_INTERNAL_H

#include "core/conf/parse.h"

struct hm_conf {
    const struct hm_conf_schema *schema;
    enum hm_conf_mode mode;
    struct hm_arena arena;     /* nodes and texts */
    struct hm_conf_node *root; /* never NULL */
    uint32_t documents;        /* files read so far */
    bool cut;                  /* a file could not be read to its end: "missing" would be noise */
};

/* A fresh node under `parent` (NULL: none), answering to `key` in the given shape. */
struct hm_conf_node *hm_conf_node_new(struct hm_conf *conf, struct hm_conf_node *parent,
                                      const struct hm_conf_key *key, enum hm_conf_shape shape,
                                      const char *name);

struct hm_conf_node *hm_conf_child(const struct hm_conf_node *map, const char *name);

#endif
