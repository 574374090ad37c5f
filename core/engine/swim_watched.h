/* Whom a node watches. For swim.c alone. */
#ifndef HM_ENGINE_SWIM_WATCHED_H
#define HM_ENGINE_SWIM_WATCHED_H

#include "core/engine/swim.h"

#define HM_SWIM_GUEST_MS 10000u /* a node that is not of the slice is watched so long */

/* Valid until somebody is added or goes; NULL: it is not watched. */
struct hm_swim_member *hm_swim_find(const struct hm_swim *swim, const struct hm_id *id);
/* NULL: there are too many, or its address is not known. */
struct hm_swim_member *hm_swim_add_guest(struct hm_swim *swim, hm_ms now,
                                         const struct hm_suspect *about);
/* Those whose time is over. */
void hm_swim_forget_guests(struct hm_swim *swim, hm_ms now);

#endif
