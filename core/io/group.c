#include "core/io/group.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FILE_OF_GROUPS "/etc/group"

/* "NAME:PASSWORD:GID:MEMBERS" (group(5)). */
static bool read_group(const char *line, gid_t *out)
{
    const size_t size = sizeof HM_GROUP - 1;
    const char *number = strncmp(line, HM_GROUP ":", size + 1) == 0 ? line + size + 1 : NULL;
    number = number ? strchr(number, ':') : NULL;
    char *end = NULL;
    uintmax_t gid = number ? strtoumax(number + 1, &end, 10) : 0;
    if (!number || end == number + 1 || (*end != ':' && *end != '\n') || gid >= (gid_t)-1) {
        return false;
    }
    *out = (gid_t)gid;
    return true;
}

/* By itself: fgetgrent(3) asks for the place in the file before every line, which makes of a short
 * file hundreds of calls. A line may be longer than `piece`: what counts is in its first one. */
bool hm_group_find(gid_t *out)
{
    FILE *file = fopen(FILE_OF_GROUPS, "re");
    char piece[256];
    bool begins = true;
    bool found = false;
    if (!file) {
        return false;
    }
    while (!found && fgets(piece, sizeof piece, file)) {
        found = begins && read_group(piece, out);
        begins = strchr(piece, '\n') != NULL;
    }
    (void)fclose(file);
    return found;
}
