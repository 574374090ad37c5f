/* Modules as shared objects: where they are, and loading them. */
#ifndef HM_CLI_LOADER_H
#define HM_CLI_LOADER_H

#include "core/include/hivemind/module.h"

#define HM_LOADER_MODULES_MAX 64

/* All zero is a valid empty loader. What it loaded stays until the process ends: names and schemas
 * point into it. */
struct hm_loader {
    char **directories; /* searched in this order */
    size_t directory_count;
    size_t directory_capacity;
    char **files; /* single modules, named by the configuration; they come first */
    size_t file_count;
    size_t file_capacity;
    const struct hm_module *modules[HM_LOADER_MODULES_MAX];
    size_t module_count;
};

/* A directory, or a module file. */
void hm_loader_add_path(struct hm_loader *loader, const char *path);
/* $HIVEMIND_MODULES, then what belongs to this program. */
void hm_loader_add_defaults(struct hm_loader *loader);
/* The module NAME; loaded once. NULL: there is none (`error` is empty), or it cannot be used: a
 * sentence in `error`. */
const struct hm_module *hm_loader_load(struct hm_loader *loader, const char *name,
                                       struct hm_buf *error);
/* The names of all modules that are found: an array of *count for hm_loader_names_free. */
char **hm_loader_names(const struct hm_loader *loader, size_t *count);
void hm_loader_names_free(char **names, size_t count);
void hm_loader_fini(struct hm_loader *loader);

#endif
