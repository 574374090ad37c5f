#include "core/engine/crowd.h"

#define RECENT_MS    1000u
#define EACH_MS      2u /* each batch is three times as large as all before it */
#define WAIT_MOST_MS 400u

hm_ms hm_crowd_wait(struct hm_crowd *crowd, hm_ms now)
{
    if (now >= crowd->since + RECENT_MS) {
        crowd->since = now;
        crowd->count /= 2; /* a crowd does not end from one moment to the next */
    }
    hm_ms wait = (hm_ms)crowd->count * EACH_MS;
    return wait < WAIT_MOST_MS ? wait : WAIT_MOST_MS;
}

void hm_crowd_add(struct hm_crowd *crowd, uint32_t count)
{
    crowd->count = crowd->count + count < 10000 ? crowd->count + count : 10000;
}
