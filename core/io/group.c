#include "core/io/group.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>

#define FILE_OF_GROUPS "/etc/group"

bool hm_group_find(gid_t *out)
{
    FILE *file = fopen(FILE_OF_GROUPS, "re");
    bool found = false;
    if (!file) {
        return false;
    }
    for (struct group *group; !found && (group = fgetgrent(file)) != NULL;) {
        found = strcmp(group->gr_name, HM_GROUP) == 0;
        if (found) {
            *out = group->gr_gid;
        }
    }
    (void)fclose(file);
    return found;
}
