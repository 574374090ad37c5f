/* Frames between servers: a part_frame that says who, to whom and about which log, then one
 * message. Every byte of them is judged here before anything believes it. */
#include "core/embed/internal.h"

#include "core/base/memory.h"

#include <string.h>

/* Addresses of the program's transport; frames may name any. */
#define LINES_MAX 1024u

/* ---- to others ---- */

bool embed_find_peer(const struct hivemind_participant *participant, const struct hm_id *id,
                     struct hm_peer *out)
{
    size_t count = 0;
    const struct hm_voter *voters =
        participant->raft ? hm_raft_voters(participant->raft, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (hm_id_equal(&voters[i].id, id)) {
            *out = (struct hm_peer){voters[i].id, voters[i].addr};
            return true;
        }
    }
    for (size_t i = 0; i < participant->peer_count; i++) {
        if (hm_id_equal(&participant->peers[i].id, id)) {
            *out = participant->peers[i];
            return true;
        }
    }
    return false;
}

static struct embed_line *line_to(struct hivemind_server *server, const struct hm_addr *addr)
{
    for (size_t i = 0; i < server->line_count; i++) {
        if (hm_addr_equal(&server->lines[i].addr, addr)) {
            return &server->lines[i];
        }
    }
    if (server->line_count == LINES_MAX) {
        server->line_count = 0; /* all are connected anew */
    }
    server->lines =
        hm_grow(server->lines, server->line_count, &server->line_capacity, sizeof *server->lines);
    server->lines[server->line_count] = (struct embed_line){.addr = *addr};
    return &server->lines[server->line_count++];
}

/* Over the program's transport. What is not taken is lost, as a frame may be. */
static void hand_over(struct hivemind_server *server, const struct hm_addr *to,
                      struct hm_bytes frame)
{
    const struct hivemind_transport *transport = &server->transport;
    struct embed_line *line = line_to(server, to);
    char text[HM_ADDR_TEXT_BYTES];
    hm_addr_format(to, text);
    if (!line->connected) {
        line->connected = transport->connect(transport->context, text) == HM_OK;
    }
    if (line->connected) {
        enum hm_status status = transport->send(transport->context, text, frame.data, frame.size);
        line_to(server, to)->connected = status == HM_OK;
    }
}

void embed_send(struct hivemind_participant *participant, const struct hm_peer *to,
                struct hm_bytes message)
{
    struct hivemind_server *server = participant->server;
    struct hm_peer known = *to;
    if (hm_addr_is_none(&known.addr) && !embed_find_peer(participant, &to->id, &known)) {
        return;
    }
    hm_buf_clear(&server->frame);
    hm_message_encode(&server->frame,
                      &(struct hm_message){.kind = HM_MSG_part_frame,
                                           .part_frame = {.to = to->id,
                                                          .from = server->self.id,
                                                          .addr = server->self.addr,
                                                          .log = participant->name}});
    hm_buf_append(&server->frame, message.data, message.size);
    if (server->own_transport) {
        hand_over(server, &known.addr, hm_buf_view(&server->frame));
    } else {
        hm_transport_send(server->tcp, &known.addr, true, hm_buf_view(&server->frame));
    }
}

void embed_send_message(struct hivemind_participant *participant, const struct hm_peer *to,
                        const struct hm_message *message)
{
    struct hm_buf bytes = {0};
    hm_message_encode(&bytes, message);
    embed_send(participant, to, hm_buf_view(&bytes));
    hm_buf_fini(&bytes);
}

/* ---- from others ---- */

static struct hivemind_participant *participant_of(struct hivemind_server *server,
                                                   const struct hm_part_frame *frame)
{
    for (size_t i = 0; i < server->participant_count; i++) {
        struct hivemind_participant *participant = server->participants[i];
        if (hm_name_equal(&participant->name, &frame->log)) {
            return participant;
        }
    }
    return NULL;
}

/* False: no message that one participant may send another. */
static bool dispatch(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_message *message)
{
    struct hivemind_server *server = participant->server;
    switch ((int)message->kind) {
#define RAFT(name)                                      \
    case HM_MSG_##name:                                 \
        return message->name.log == participant->log && \
               hm_logs_input(server->logs, embed_now(server), from, message) == HM_OK;
        RAFT(vote_request)
        RAFT(vote_reply)
        RAFT(append)
        RAFT(append_reply)
        RAFT(snapshot_chunk)
        RAFT(snapshot_reply)
        RAFT(timeout_now)
#undef RAFT
    case HM_MSG_submit:
        embed_on_submit(participant, from, &message->submit);
        return true;
    case HM_MSG_part_read:
        embed_on_read(participant, from, &message->part_read);
        return true;
    case HM_MSG_part_change:
        embed_on_change(participant, from, &message->part_change);
        return true;
    case HM_MSG_submitted:
        embed_calls_submitted(participant, from, &message->submitted);
        return true;
    case HM_MSG_part_untaken:
        embed_calls_untaken(participant, from, &message->part_untaken);
        return true;
    default:
        return false;
    }
}

static bool take(struct hivemind_server *server, struct hm_arena *arena, struct hm_bytes bytes)
{
    struct hm_message head;
    struct hm_message message;
    struct hm_reader in = hm_reader_of(bytes);
    if (hm_message_decode(&in, arena, &head) != HM_OK || head.kind != HM_MSG_part_frame ||
        hm_message_decode(&in, arena, &message) != HM_OK || hm_reader_left(&in) != 0) {
        return false;
    }
    const struct hm_part_frame *frame = &head.part_frame;
    struct hm_peer from = {.id = frame->from, .addr = frame->addr};
    struct hivemind_participant *participant = participant_of(server, frame);
    if (!hm_id_equal(&frame->to, &server->self.id) || hm_id_is_none(&from.id) ||
        hm_id_equal(&from.id, &server->self.id) || hm_addr_is_none(&from.addr) || !participant ||
        !participant->raft) {
        return false;
    }
    return dispatch(participant, &from, &message);
}

void embed_on_frame(struct hivemind_server *server, struct hm_bytes frame)
{
    struct hm_arena arena = {0};
    if (!take(server, &arena, frame)) {
        server->refused++;
    }
    hm_arena_fini(&arena);
    (void)embed_pump(server);
}

bool embed_receive(struct hivemind_server *server)
{
    const struct hivemind_transport *transport = &server->transport;
    const void *frame;
    size_t size;
    bool any = false;
    while (server->own_transport && transport->receive(transport->context, &frame, &size)) {
        embed_on_frame(server, (struct hm_bytes){frame, size});
        any = true;
    }
    return any;
}

static void lost_in(struct hivemind_participant *participant, const struct hm_addr *addr)
{
    size_t count = 0;
    const struct hm_voter *voters =
        participant->raft ? hm_raft_voters(participant->raft, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (hm_addr_equal(&voters[i].addr, addr)) {
            struct hm_id id = voters[i].id;
            embed_calls_resend(participant, &id);
            hm_raft_peer_reset(participant->raft, embed_now(participant->server), &id);
            return;
        }
    }
}

void embed_on_lost(struct hivemind_server *server, const struct hm_addr *addr)
{
    for (size_t i = 0; i < server->line_count; i++) {
        if (hm_addr_equal(&server->lines[i].addr, addr)) {
            server->lines[i].connected = false;
        }
    }
    for (size_t i = 0; i < server->participant_count; i++) {
        lost_in(server->participants[i], addr);
    }
}
