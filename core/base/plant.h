/* Planted bugs: seams at which the simulator breaks an engine on purpose, to show that it would
 * notice. In every other build hm_plant() is constant false and leaves no code behind. */
#ifndef HM_BASE_PLANT_H
#define HM_BASE_PLANT_H

#include <stdbool.h>

#ifdef HM_PLANTED
#include <string.h>

/* Defined by the simulator; NULL: nothing is planted. */
extern const char *hm_planted_bug;

static inline bool hm_plant(const char *name)
{
    return hm_planted_bug != NULL && strcmp(hm_planted_bug, name) == 0;
}
#else
#define hm_plant(name) false
#endif

#endif
