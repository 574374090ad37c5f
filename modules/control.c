/* Role `control`: the node takes part in the event log. What it does is the node's own affair; here
 * is what can be configured of it. */
#include "modules/modules.h"

static const struct hm_conf_key keys[] = {
    {.name = "bootstrap",
     .type = HM_CONF_FLAG,
     .fallback = "no",
     .help = "found a cluster when the data directory is empty and nobody of `join` answers for "
             "10 s (at once when there is nobody to ask); on one node only"},
    {.name = "voters",
     .type = HM_CONF_INTEGER,
     .fallback = "3",
     .min = 1,
     .max = 15,
     .help = "how many control nodes vote, an odd number; the others learn, and replace a voter "
             "that is removed"},
    {.name = "restart_grace",
     .type = HM_CONF_DURATION,
     .fallback = "30s",
     .min = 1000,
     .max = 3600000,
     .help = "how long a node that stops in order to restart stays a member"},
    {.name = "removal_brake",
     .type = HM_CONF_DURATION,
     .fallback = "30s",
     .min = 1000,
     .max = 3600000,
     .help =
         "how long the instances of failed hosts are still answered, as suspect, where three or "
         "more hosts fail within 10 s and take more than half of a service with them; the "
         "leader's counts"},
};

static const struct hm_conf_schema schema = {
    .keys = keys,
    .count = sizeof keys / sizeof *keys,
    .help = "The control plane, which has the last word.",
};

static void check(const struct hm_conf_node *section, const struct hm_conf_node *root,
                  struct hm_conf_errors *errors)
{
    (void)root;
    const struct hm_conf_node *voters = section ? hm_conf_get(section, "voters") : NULL;
    if (voters && voters->integer % 2 == 0) {
        hm_conf_error(errors, &voters->origin,
                      "voters is %d: write an odd number, an even one survives no more failures "
                      "than the odd one below it",
                      (int)voters->integer);
    }
}

static const char *const performs[] = {"control", NULL};

const struct hm_module hm_control_module = {
    .abi = HM_MODULE_ABI,
    .kind = HM_MODULE_ROLE,
    .name = "control",
    .performs = performs,
    .schema = &schema,
    .check = check,
};
