/* What SWIM sends, and what it tells its node. For swim.c alone. */
#ifndef HM_ENGINE_SWIM_SAYS_H
#define HM_ENGINE_SWIM_SAYS_H

#include "core/engine/swim.h"

enum hm_swim_wants { HM_SWIM_WANTS_TURN = 1, HM_SWIM_WANTS_FULL = 2 }; /* bits of `wants` */

/* One that wants no full ack goes in a brief frame itself. */
void hm_swim_send_ping(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                       unsigned wants);
void hm_swim_send_ack(struct hm_swim *swim, hm_ms now, const struct hm_peer *to,
                      const struct hm_ping *ping, hm_ms again_ms);
void hm_swim_send_suspect(struct hm_swim *swim, const struct hm_peer *to,
                          const struct hm_swim_member *member);
void hm_swim_send_alive(struct hm_swim *swim, hm_ms now, const struct hm_peer *to);
void hm_swim_send_result(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                         const struct hm_id *target, bool heard, uint64_t incarnation);
void hm_swim_notify(struct hm_swim *swim, enum hm_swim_notice notice,
                    const struct hm_swim_member *member);

#endif
