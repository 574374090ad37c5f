/* The modules of this folder by name, for programs that link them instead of loading them. */
#ifndef HM_MODULES_MODULES_H
#define HM_MODULES_MODULES_H

#include "core/include/hivemind/module.h"

extern const struct hm_module hm_auth_module;
extern const struct hm_module hm_control_module;
extern const struct hm_module hm_host_module;
extern const struct hm_module hm_log_module;
extern const struct hm_module hm_names_module;

#endif
