/* Role `names`: the registry of unique names for applications, on a log of its own. What the node
 * does not do by itself is the state machine. */
#include "core/names/names.h"
#include "modules/modules.h"

#include <string.h>

static void check(const struct hm_conf_node *section, const struct hm_conf_node *root,
                  struct hm_conf_errors *errors)
{
    (void)section;
    const struct hm_conf_node *roles = root ? hm_conf_get(root, "roles") : NULL;
    const struct hm_conf_node *role = roles ? hm_conf_first(root, "roles") : NULL;
    while (role && strcmp(role->text, "control") != 0) {
        role = role->next;
    }
    if (roles && !role) {
        hm_conf_error(errors, &roles->origin,
                      "role names stands on the control plane, which carries its log: add control "
                      "to the roles, or run names on the control nodes alone; any node can ask");
    }
}

static void status(struct hm_module_ctx *ctx)
{
    const struct names *names = hm_module_state(ctx);
    hm_module_fact(ctx, "names.count", "%zu", names->map.count);
    hm_module_fact(ctx, "names.text_bytes", "%zu", names->map.text_bytes);
}

static void fini(struct hm_module_ctx *ctx)
{
    names_fini(hm_module_state(ctx));
}

static const char *const performs[] = {"names", NULL};
static const char *const requires[] = {"control", NULL};

const struct hm_module hm_names_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_ROLE,
    .name = "names",
    .performs = performs,
    .requires = requires,
    .machine = &names_machine,
    .state_size = sizeof(struct names),
    .check = check,
    .status = status,
    .fini = fini,
};
