/* What SWIM sends, and what it tells its node. */
#include "core/engine/swim_says.h"

static void send_in(struct hm_swim *swim, const struct hm_peer *to, bool full,
                    const struct hm_message *message)
{
    if (full) {
        hm_outbox_send(&swim->outbox, to, message);
    } else {
        hm_outbox_send_brief(&swim->outbox, to, message);
    }
}

void hm_swim_send_ping(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                       unsigned wants)
{
    struct hm_message message = {.kind = HM_MSG_ping};
    message.ping.nonce = nonce;
    message.ping.wants = (uint8_t)wants;
    message.ping.incarnation = swim->incarnation;
    message.ping.members = swim->members_place;
    message.ping.state = swim->state_place;
    send_in(swim, to, wants & HM_SWIM_WANTS_FULL, &message);
}

void hm_swim_send_ack(struct hm_swim *swim, hm_ms now, const struct hm_peer *to,
                      const struct hm_ping *ping, hm_ms again_ms)
{
    struct hm_message message = {.kind = HM_MSG_ack};
    message.ack.nonce = ping->nonce;
    message.ack.again_ms = (uint32_t)again_ms;
    message.ack.stalled = now < swim->stalled_until;
    message.ack.incarnation = swim->incarnation;
    message.ack.members = swim->members_place;
    message.ack.state = swim->state_place;
    send_in(swim, to, ping->wants & HM_SWIM_WANTS_FULL, &message);
}

void hm_swim_send_suspect(struct hm_swim *swim, const struct hm_peer *to,
                          const struct hm_swim_member *member)
{
    struct hm_message message = {.kind = HM_MSG_suspect};
    message.suspect.target = member->peer.id;
    message.suspect.target_addr = member->peer.addr;
    message.suspect.incarnation = member->incarnation;
    message.suspect.suspected = true;
    message.suspect.by = swim->config.self.id;
    hm_outbox_send(&swim->outbox, to, &message);
}

void hm_swim_send_alive(struct hm_swim *swim, hm_ms now, const struct hm_peer *to)
{
    struct hm_message message = {.kind = HM_MSG_alive};
    message.alive.target = swim->config.self.id;
    message.alive.incarnation = swim->incarnation;
    message.alive.stalled = now < swim->stalled_until;
    hm_outbox_send(&swim->outbox, to, &message);
}

void hm_swim_send_result(struct hm_swim *swim, const struct hm_peer *to, uint32_t nonce,
                         const struct hm_id *target, bool heard, uint64_t incarnation)
{
    struct hm_message message = {.kind = HM_MSG_probe_result};
    message.probe_result.nonce = nonce;
    message.probe_result.target = *target;
    message.probe_result.heard = heard;
    message.probe_result.incarnation = incarnation;
    hm_outbox_send(&swim->outbox, to, &message);
}

void hm_swim_notify(struct hm_swim *swim, enum hm_swim_notice notice,
                    const struct hm_swim_member *member)
{
    hm_outbox_notify(&swim->outbox, (int)notice, &member->peer, member->incarnation);
}
