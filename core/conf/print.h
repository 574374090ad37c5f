/* What the tables say, for machines and for people; what a reload would change. */
#ifndef HM_CONF_PRINT_H
#define HM_CONF_PRINT_H

#include "core/base/bytes.h"
#include "core/conf/tree.h"

/* Appends a JSON Schema (draft 2020-12) of a whole configuration, without the keys of modules
 * that are not loaded. `title` names it. */
void hm_conf_print_json_schema(const struct hm_conf_schema *schema, const char *title,
                               struct hm_buf *out);

/* Appends a section of the manual in Markdown: a heading `title`, a table of the keys, and the
 * same for each map below it. */
void hm_conf_print_manual(const struct hm_conf_schema *schema, const char *title,
                          struct hm_buf *out);

struct hm_conf_change {
    char *path; /* "dns.ttl.service"; a list or table of maps changes as a whole */
    bool live;  /* can take effect without a restart */
    const struct hm_conf_node *before, *after; /* NULL: absent there */
};

struct hm_conf_diff {
    struct hm_conf_change *items;
    size_t count;
    size_t capacity;
    size_t restarts; /* how many are not live */
};

/* What differs in effect between two finished trees (roots) of schemas with the same rows for the
 * same names; writing a default out is no change, and lists compare in order. Whether a change is
 * live is what the row of its own key says. The trees must outlive the diff. */
void hm_conf_diff(const struct hm_conf_node *before, const struct hm_conf_node *after,
                  struct hm_conf_diff *out);

void hm_conf_diff_fini(struct hm_conf_diff *diff);

#endif
