/* YAML into a tree under a schema: all errors, each with its place; several files as one. */
#ifndef HM_CONF_PARSE_H
#define HM_CONF_PARSE_H

#include "core/base/arena.h"
#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/conf/tree.h"

#define HM_CONF_BYTES_MAX         (1024u * 1024u) /* a file */
#define HM_CONF_DEPTH_MAX         32u
#define HM_CONF_VALUES_MAX        65536u /* scalars, maps and lists in a file */
#define HM_CONF_TABLE_ENTRIES_MAX 1024u
#define HM_CONF_SCALAR_BYTES_MAX  4096u

/* What a module adds: a section of the root, or, without a section name, keys of the root. */
struct hm_conf_part {
    const char *section;
    const struct hm_conf_schema *schema;
    const char *module; /* its name, for people */
    bool loaded;        /* false: its keys are known, but refused with the module's name */
    bool live;          /* a section: whether its appearance or end needs no restart */
};

/* The root schema with what modules add. Lives as long as `arena` and the parts' schemas. A name
 * that two parts claim is given to the first. */
const struct hm_conf_schema *hm_conf_compose(struct hm_arena *arena,
                                             const struct hm_conf_schema *root,
                                             const struct hm_conf_part *parts, size_t count);

struct hm_conf;

enum hm_conf_mode {
    HM_CONF_WHOLE,
    /* To learn which modules to load before their schemas are known: unknown keys of the root are
     * skipped, nothing is required. */
    HM_CONF_PEEK,
};

/* The schema must outlive it. */
struct hm_conf *hm_conf_new(const struct hm_conf_schema *schema, enum hm_conf_mode mode);

/* Reads one file more; `file` is its name in messages. Lists append, maps merge, and what is one
 * value may be written once: a second place is an error that names the first. Wrong values are
 * left out of the tree and added to `errors`. */
void hm_conf_add(struct hm_conf *conf, const char *file, struct hm_bytes text,
                 struct hm_conf_errors *errors);

/* Once, after the last file: checks what is required, fills in defaults. HM_BAD_CONFIG when
 * `errors` holds anything. The tree can be read in both cases. */
HM_MUST_USE enum hm_status hm_conf_finish(struct hm_conf *conf, struct hm_conf_errors *errors);

/* One file, whole. `out` is untouched on failure; hm_conf_free ends what it gives. */
HM_MUST_USE enum hm_status hm_conf_parse(const struct hm_conf_schema *schema, const char *file,
                                         struct hm_bytes text, struct hm_conf_errors *errors,
                                         struct hm_conf **out);

const struct hm_conf_node *hm_conf_root(const struct hm_conf *conf);

void hm_conf_free(struct hm_conf *conf);

#endif
