/* The keys that every node has; modules add theirs (hm_conf_compose). */
#ifndef HM_CONF_ROOT_H
#define HM_CONF_ROOT_H

#include "core/conf/schema.h"

extern const struct hm_conf_schema hm_conf_root_schema;

#endif
