/* The group of people who may use the nodes of this machine. */
#ifndef HM_IO_GROUP_H
#define HM_IO_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#define HM_GROUP "hivemind"

/* Its number; false when this machine's /etc/group has none, then `out` is untouched. The name
 * service is not asked: for one number it would keep its libraries, larger than we are, in the
 * memory of every node. */
bool hm_group_find(gid_t *out);

#endif
