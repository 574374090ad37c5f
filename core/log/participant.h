/* A participant of one replicated log: Raft, the replica under it, and the requests that wait for
 * their commit. No I/O; it knows nothing of clusters, and a program can have one without a node.
 *
 * The owner feeds messages and the time, and pops effects, doing each before it asks for the next:
 * between APPLIED and the next call the machine is exactly at that entry. */
#ifndef HM_LOG_PARTICIPANT_H
#define HM_LOG_PARTICIPANT_H

#include "core/engine/raft.h"
#include "core/log/replica.h"

struct hm_participant;

struct hm_participant_config {
    struct hm_raft_config raft; /* log id, this node, seed; zeros as there */
    const struct hm_machine *machine;
    void *context;       /* of the machine */
    struct hm_keep keep; /* entries that stay readable; a snapshot says otherwise */
};

enum hm_log_effect_kind {
    HM_LOG_SEND,    /* `message` to `peer` */
    HM_LOG_PERSIST, /* make `message` durable, then tell `number` (see core/engine/raft.h) */
    HM_LOG_APPLIED, /* the entry `message` at Raft index `number` is done; `outcome`: of a request,
                       else NULL */
    HM_LOG_INSTALLED, /* a snapshot took the place of everything; `number` as above */
    HM_LOG_ANSWER,    /* `token` has its `outcome` */
    HM_LOG_NOTICE,    /* a notice of Raft: `notice`, `peer`, `number` */
    HM_LOG_BROKEN, /* the entry at Raft index `number` is not one of this release: the participant
                      applies nothing more rather than diverge */
};

/* What it points to lives until the next call on the participant. */
struct hm_log_effect {
    enum hm_log_effect_kind kind;
    uint32_t log;
    struct hm_peer peer;
    int notice;
    uint64_t number;
    uint64_t token;
    struct hm_bytes message;
    const struct hm_outcome *outcome;
};

struct hm_participant *hm_participant_new(const struct hm_participant_config *config, hm_ms now);
void hm_participant_free(struct hm_participant *participant);

/* Raft alone: roles, voters and their changes, terms. Feeding it messages, proposals, reads or
 * snapshots past the participant is not allowed. */
struct hm_raft *hm_participant_raft(const struct hm_participant *participant);
const struct hm_replica *hm_participant_replica(const struct hm_participant *participant);
/* The Raft index of what the machine has applied last. */
uint64_t hm_participant_applied(const struct hm_participant *participant);

/* As hm_raft_input. */
HM_MUST_USE enum hm_status hm_participant_input(struct hm_participant *participant, hm_ms now,
                                                const struct hm_peer *from,
                                                const struct hm_message *message);

/* A request to put into the log. */
struct hm_submission {
    struct hm_id session;
    uint64_t seq; /* 0: not deduplicated */
    struct hm_bytes request;
    uint64_t token; /* ANSWER says it; 0: nobody waits */
};

/* On the leader. Ends with an ANSWER: what the machine said, or HM_NOT_LEADER when leadership ended
 * first: its fate is not known, ask the new leader with the same seq. A request that is already on
 * its way is not put into the log again, both are answered. HM_NOT_LEADER, HM_BUSY, HM_FULL,
 * HM_TOO_LARGE: it was not taken. */
HM_MUST_USE enum hm_status hm_participant_propose(struct hm_participant *participant, hm_ms now,
                                                  const struct hm_submission *submission);

/* Ends with an ANSWER: HM_OK, and from then on, until the next call, what the machine shows is not
 * older than this call; HM_NOT_LEADER: ask the new leader. HM_NOT_LEADER, HM_FULL: not taken. */
HM_MUST_USE enum hm_status hm_participant_read(struct hm_participant *participant, hm_ms now,
                                               uint64_t token);

/* What stays readable from now on: the same on all participants. */
void hm_participant_keep(struct hm_participant *participant, struct hm_keep keep);

/* As hm_raft_recover; the submission goes behind all that the log has (its session and seq do not
 * count, nobody is answered; NULL: none). */
HM_MUST_USE enum hm_status hm_participant_recover(struct hm_participant *participant, hm_ms now,
                                                  uint64_t generation,
                                                  const struct hm_submission *submission);

/* Takes a snapshot now, with all that is kept. As hm_raft_compact. */
HM_MUST_USE enum hm_status hm_participant_compact(struct hm_participant *participant);

/* Appends a snapshot of now as an encoded log_snapshot, with all that is kept, and changes nothing.
 * HM_BAD_ARGUMENT: nothing is applied yet; HM_STALE: the leader's snapshot is about to replace what
 * is here; HM_TOO_LARGE; HM_DAMAGED. */
HM_MUST_USE enum hm_status hm_participant_snapshot(struct hm_participant *participant,
                                                   struct hm_buf *out);

/* Takes a snapshot of all but what is kept, and shortens Raft's log as far as this one or an
 * earlier one allows: entries that are kept stay in it. It does so by itself when the log has grown
 * long. */
void hm_participant_shorten(struct hm_participant *participant);

bool hm_participant_output(struct hm_participant *participant, struct hm_log_effect *out);

#endif
