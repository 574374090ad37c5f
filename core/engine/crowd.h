/* How long one who wants to be let in waits for others: the first after a quiet time not at all, in
 * a crowd up to 0.4 s, so that thousands come in with few commits. */
#ifndef HM_ENGINE_CROWD_H
#define HM_ENGINE_CROWD_H

#include "core/base/ids.h"

/* All zero is a valid start. */
struct hm_crowd {
    hm_ms since; /* `count` counts those let in since */
    uint32_t count;
};

/* From now, in milliseconds. */
hm_ms hm_crowd_wait(struct hm_crowd *crowd, hm_ms now);
/* So many were let in together. */
void hm_crowd_add(struct hm_crowd *crowd, uint32_t count);

#endif
