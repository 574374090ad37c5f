/* What the modules of this node say of roles. */
#include "core/node/desk/roles.h"

#include <string.h>

/* Was this role named by a module before `module`, or before `role` by the same one? */
static bool was_named(const struct hm_node *node, size_t module, const char *const *role)
{
    for (size_t i = 0; i <= module; i++) {
        const char *const *other = node->modules[i].module->bootstraps;
        for (; other && *other && other != role; other++) {
            if (strcmp(*other, *role) == 0) {
                return true;
            }
        }
    }
    return false;
}

const char *hm_node_next_bootstrap_role(const struct hm_node *node, size_t *cursor)
{
    size_t at = 0;
    for (size_t i = 0; i < node->config.module_count; i++) {
        const char *const *role = node->modules[i].module->bootstraps;
        for (; role && *role; role++) {
            if (!was_named(node, i, role) && at++ == *cursor) {
                ++*cursor;
                return *role;
            }
        }
    }
    return NULL;
}

const char *hm_node_next_wanted_role(const struct hm_node *node, size_t *cursor)
{
    size_t at = (*cursor)++;
    if (at == 0) {
        return "control";
    }
    if (node->consumes && --at == 0) {
        return HM_ROLE_HOST;
    }
    for (size_t i = 0; i < node->config.module_count; i++) {
        const struct hm_module *module = node->modules[i].module;
        const char *const *lists[] = {module->requires, module->bootstraps};
        for (size_t j = 0; j < 2; j++) {
            for (const char *const *role = lists[j]; role && *role; role++) {
                if (--at == 0) {
                    return *role;
                }
            }
        }
    }
    return NULL;
}
