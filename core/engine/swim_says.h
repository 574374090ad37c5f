/* What SWIM sends, and what it tells its node. For swim.c alone. */
#ifndef HM_ENGINE_SWIM_SAYS_H
#define HM_ENGINE_SWIM_SAYS_H

#include "core/engine/swim.h"

void hm_swim_send_ping(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                       bool regular);
void hm_swim_send_ack(struct hm_swim *swim, hm_ms now, const struct hm_peer *to, uint32_t nonce,
                      hm_ms again_ms);
void hm_swim_send_suspect(struct hm_swim *swim, const struct hm_peer *to,
                          const struct hm_swim_member *member);
void hm_swim_send_alive(struct hm_swim *swim, hm_ms now, const struct hm_peer *to);
void hm_swim_send_result(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                         const struct hm_id *target, bool heard, uint64_t incarnation);
void hm_swim_notify(struct hm_swim *swim, enum hm_swim_notice notice,
                    const struct hm_swim_member *member);

#endif
