/* A configuration as a node runs with it: the files, the modules they ask for, one tree. */
#ifndef HM_CLI_SETTINGS_H
#define HM_CLI_SETTINGS_H

#include "core/base/arena.h"
#include "core/cli/loader.h"
#include "core/conf/parse.h"
#include "core/conf/print.h"

struct hm_settings {
    struct hm_arena arena; /* of the schema */
    struct hm_conf *conf;
    const struct hm_conf_node *root;
    /* The middlewares in their order, then the modules of the roles. */
    const struct hm_module *modules[HM_LOADER_MODULES_MAX];
    const struct hm_conf_node *sections[HM_LOADER_MODULES_MAX]; /* NULL: it has none */
    size_t module_count;
    struct hm_name roles[HM_NODE_ROLES_MAX];
    size_t role_count;
    char **join; /* "NAME:PORT" */
    size_t join_count;
};

/* Reads `file` and conf.d/ *.yaml beside it, loads what it names with `loader`. On failure `error`
 * has a line for each finding (file:line:column: text) and nothing is left: HM_BAD_CONFIG, or
 * HM_NOT_FOUND, HM_IO when a file cannot be read. */
HM_MUST_USE enum hm_status hm_settings_read(const char *file, struct hm_loader *loader,
                                            struct hm_settings *out, struct hm_buf *error);
/* Makes `fresh` what can run without a restart: what `diff`, between the roots of `old` and
 * `fresh`, does not call live is as in `old` again, which must live as long. False, with nothing
 * changed, when it names other modules. */
bool hm_settings_keep(struct hm_settings *fresh, const struct hm_settings *old,
                      const struct hm_conf_diff *diff);
/* The schema with everything that is found, for documents. It lives as long as `arena`. */
const struct hm_conf_schema *hm_settings_schema(struct hm_arena *arena, struct hm_loader *loader);
/* All zero is fine. */
void hm_settings_fini(struct hm_settings *settings);

#endif
