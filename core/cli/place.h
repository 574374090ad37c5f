/* Where a node is: its name, address and directories, as configured or found out. */
#ifndef HM_CLI_PLACE_H
#define HM_CLI_PLACE_H

#include "core/cli/settings.h"

struct hm_place_of_node {
    struct hm_name name;
    struct hm_addr addr; /* advertised, and bound */
    struct hm_buf data;  /* NUL-terminated paths */
    struct hm_buf control;
};

/* HM_BAD_CONFIG with a sentence in `error`: no name can be had, or the address does not fit those
 * of `join`. Names in `join` are looked up, which may block. */
HM_MUST_USE enum hm_status hm_place_find(const struct hm_settings *settings,
                                         struct hm_place_of_node *out, struct hm_buf *error);
void hm_place_fini(struct hm_place_of_node *place);

#endif
