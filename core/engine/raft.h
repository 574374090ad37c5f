/* A replicated log: Raft (Ongaro 2014) without I/O. Log entries are opaque requests under a state
 * machine that the caller runs; voters and learners are part of the log.
 *
 * The caller feeds messages and the time and does the effects in the order they come out:
 *   SEND     `message` to `peer` (address from the voters configuration).
 *   PERSIST  make `message` (log_hard_state, log_append or log_snapshot) durable, in order, and
 * tell hm_raft_durable(number). Every vote, acknowledgement and commit that depends on it waits
 *            inside the engine, so the caller has no order to get wrong. After a log_snapshot the
 * next log_append may start behind the end of the stored log: the snapshot covers the gap. APPLY
 * raft index `number` is committed. `message` is a log_request (exactly the bytes that were
 * proposed), a log_voters, nothing at all (a no-op), or a log_snapshot, which the state machine
 * must install in place of all it has. NOTIFY   see enum hm_raft_notice.
 *
 * Calls only gather; hm_raft_output() turns what gathered into writes and sends. So proposals made
 * between two rounds of output, or during a write, share one write and one message. Call it until
 * it gives false after every call that takes `now`. */
#ifndef HM_ENGINE_RAFT_H
#define HM_ENGINE_RAFT_H

#include "core/engine/effect.h"

struct hm_raft;

/* An entry larger than this is refused. */
#define HM_RAFT_ENTRY_BYTES_MAX (1u << 20)
/* Voters and learners of a log. */
#define HM_RAFT_VOTERS_MAX  64u
#define HM_RAFT_CHUNK_BYTES (64u << 10)

/* Zeros stand for the defaults in brackets. */
struct hm_raft_config {
    uint32_t log;               /* id of the log; 0 is the event log */
    struct hm_peer self;        /* this node */
    hm_ms election_ms;          /* [300] silence before an election, up to twice this */
    hm_ms heartbeat_ms;         /* [50] */
    uint64_t seed;              /* of the election timers */
    uint32_t batch_entries_max; /* [1024] in one message or write, at most 4096 */
    uint32_t batch_bytes_max;   /* [1 MiB] the same in bytes, at most 4 MiB */
    uint32_t inflight_max;      /* [64] unanswered appends to one peer, at most 1024 */
    uint64_t queue_bytes_max;   /* [16 MiB] of entries proposed and not committed */
    uint32_t trailing_entries;  /* [2048] applied ones that stay in memory for those who lag */
};

enum hm_raft_role {
    HM_RAFT_FOLLOWER,
    HM_RAFT_PRECANDIDATE,
    HM_RAFT_CANDIDATE,
    HM_RAFT_LEADER,
};

enum hm_raft_entry_kind { HM_RAFT_NOOP = 0, HM_RAFT_VOTERS = 1, HM_RAFT_REQUEST = 2 };

enum hm_raft_notice {
    HM_RAFT_ROLE_CHANGED, /* our role or our leader: peer = leader (none: unknown), number = term */
    HM_RAFT_READ_READY,   /* number = context: a read is linearizable as soon as all APPLY effects
                             before this one are done */
    HM_RAFT_READ_LOST,    /* number = context: leadership ended first; ask the new leader */
    HM_RAFT_DROPPED,      /* number = index of an overwritten request; whoever proposed it there
                             may propose again (a snapshot that replaced the log also says so of
                             requests whose fate it hides: deduplicate) */
    HM_RAFT_REMOVED,      /* our removal is committed: this node is out */
    HM_RAFT_VOTERS_CHANGED,   /* a committed configuration, number = index; see hm_raft_voters */
    HM_RAFT_OTHER_GENERATION, /* peer = who speaks of another generation of this log, number =
                                 which one; what it said was ignored */
    HM_RAFT_SNAPSHOT_WANTED,  /* number = applied index: the log is long, call hm_raft_compact */
    HM_RAFT_SNAPSHOT_LACKING, /* a follower lacks what is compacted away: call hm_raft_serve */
};

/* Never NULL; hm_raft_free ends it. `now` only starts the timers. */
struct hm_raft *hm_raft_new(const struct hm_raft_config *config, hm_ms now);
void hm_raft_free(struct hm_raft *raft);

/* Before the first input: what the journal recovered, as log_hard_state, log_snapshot, log_append
 * in that order. HM_DAMAGED: the pieces do not fit together and the engine must not be used. */
HM_MUST_USE enum hm_status hm_raft_restore(struct hm_raft *raft, const struct hm_message *message);

/* Founds the log with this node as its only voter. HM_EXISTS unless everything is empty. */
HM_MUST_USE enum hm_status hm_raft_found(struct hm_raft *raft, hm_ms now);

/* Founds it with these voters, of which this node is one: every one of them does the same, with the
 * same list, and takes part as if an entry of term 1 had brought it. `generation` is that of the
 * cluster (see hm_raft_recover), 0 where there are none. HM_EXISTS as above; HM_BAD_ARGUMENT. */
HM_MUST_USE enum hm_status hm_raft_found_with(struct hm_raft *raft, hm_ms now, uint64_t generation,
                                              const struct hm_voter *voters, size_t count);

/* A majority of the voters is lost for good: makes this node the only voter, in a new generation of
 * the log (a number times 2^32, and 32 bits of chance; the number is above every one before). Keeps
 * all entries, also those that were not known to be committed, and appends `body` behind them, an
 * encoded log_request (empty: nothing). Messages of the old generation never count again, here or
 * anywhere that took part in the new one. Crash-safe: before it is durable a restart finds the log
 * as it was, or one that can be recovered again. HM_STALE: the number is not above ours;
 * HM_NOT_READY: there is no log, or a snapshot is being installed; HM_TOO_LARGE; HM_IO. */
HM_MUST_USE enum hm_status hm_raft_recover(struct hm_raft *raft, hm_ms now, uint64_t generation,
                                           struct hm_bytes body);
/* 0: never recovered. */
uint64_t hm_raft_generation(const struct hm_raft *raft);

/* A message of another node. HM_BAD_BYTES: it lies or is malformed, and changed nothing that
 * matters; HM_IO: ignored because of the disk. What is only late or strange is HM_OK and ignored.
 */
HM_MUST_USE enum hm_status hm_raft_input(struct hm_raft *raft, hm_ms now,
                                         const struct hm_peer *from,
                                         const struct hm_message *message);
void hm_raft_tick(struct hm_raft *raft, hm_ms now);
/* When a tick is next useful; HM_NEVER: only after another call. */
hm_ms hm_raft_deadline(const struct hm_raft *raft);
/* The next effect; `out` is valid until the next call on the engine. */
bool hm_raft_output(struct hm_raft *raft, struct hm_effect *out);

/* Appends a request (an encoded log_request, copied). HM_NOT_LEADER; HM_BUSY while leadership is
 * handed over; HM_FULL when queue_bytes_max are on their way; HM_TOO_LARGE. Appended is not
 * committed: (index, term) is committed when APPLY of `index` comes with leadership of `term`
 * unbroken, lost when DROPPED names it. */
HM_MUST_USE enum hm_status hm_raft_propose(struct hm_raft *raft, hm_ms now, struct hm_bytes body,
                                           uint64_t *index, uint64_t *term);

/* Every PERSIST up to `number` is on disk. */
void hm_raft_durable(struct hm_raft *raft, hm_ms now, uint64_t number);
/* A write failed; nothing after the last durable number may be taken as stored and the caller
 * forgets it. Steps down at once; acknowledges, votes and leads nothing until recovered. */
void hm_raft_persist_failed(struct hm_raft *raft, hm_ms now);
/* The disk works again: what was not durable comes out as PERSIST once more, under new numbers. */
void hm_raft_persist_recovered(struct hm_raft *raft, hm_ms now);

/* This node's wall clock, in Unix milliseconds; 0: it has none. To be told again when it is set:
 * voters tell the leader with their votes and answers. */
void hm_raft_set_wall(struct hm_raft *raft, hm_ms now, uint64_t wall_ms);
/* On the leader: Unix milliseconds to put into an entry. Its own clock's, unless that is more than
 * 10 s off the latest time that a majority of the voters' clocks have reached; then that time. 0
 * when the clocks of a majority are not known: time stands still. It may go back; who applies the
 * entries must not let it. */
uint64_t hm_raft_time(struct hm_raft *raft, hm_ms now);

/* Asks for a linearizable read (dissertation, 6.4); concurrent ones share rounds. Ends with
 * READ_READY or READ_LOST. HM_NOT_LEADER, HM_FULL. */
HM_MUST_USE enum hm_status hm_raft_read(struct hm_raft *raft, hm_ms now, uint64_t context);

/* Changes of the configuration, one at a time, effective when appended (dissertation, 4.1). All:
 * HM_NOT_LEADER; HM_NOT_READY before the no-op of the term is committed; HM_BUSY while another is
 * on its way. add_learner also gives a known node a new address; HM_EXISTS: there already, same
 * address; HM_FULL. promote: HM_NOT_FOUND, HM_EXISTS (votes already), HM_NOT_READY (not caught up).
 * remove: HM_NOT_FOUND, HM_BAD_ARGUMENT for the last voter. */
HM_MUST_USE enum hm_status hm_raft_add_learner(struct hm_raft *raft, hm_ms now,
                                               const struct hm_peer *peer);
HM_MUST_USE enum hm_status hm_raft_promote(struct hm_raft *raft, hm_ms now,
                                           const struct hm_peer *peer);
HM_MUST_USE enum hm_status hm_raft_remove(struct hm_raft *raft, hm_ms now,
                                          const struct hm_peer *peer);

/* Hands leadership over (dissertation, 3.10), to the most advanced voter when `to` is NULL; given
 * up after an election time. HM_NOT_LEADER, HM_NOT_FOUND, HM_BUSY. */
HM_MUST_USE enum hm_status hm_raft_transfer(struct hm_raft *raft, hm_ms now,
                                            const struct hm_id *to);

/* The connection to `peer` was reset: if it leads, a pre-vote starts within a heartbeat time. */
void hm_raft_peer_reset(struct hm_raft *raft, hm_ms now, const struct hm_id *peer);

/* Replaces the log up to `index` by the state machine's snapshot at exactly that index (copied);
 * what is behind it stays. HM_BAD_ARGUMENT: not applied yet; HM_STALE: a newer snapshot is there;
 * HM_NOT_READY: the log is not durable that far; HM_TOO_LARGE; HM_IO. */
HM_MUST_USE enum hm_status hm_raft_compact(struct hm_raft *raft, uint64_t index,
                                           struct hm_bytes state);

/* The same with a snapshot that hm_raft_snapshot has made, of any index (asserted). Takes the
 * buffer over if it says HM_OK. */
HM_MUST_USE enum hm_status hm_raft_compact_with(struct hm_raft *raft, struct hm_buf *snapshot);

/* Up to where, at most `index`, entries are in memory for nothing, if nobody here asks for them any
 * more: they are applied and durable, and neither the latest few nor, on the leader, what followers
 * that answer lack. The index before the oldest in memory: none are. */
uint64_t hm_raft_unneeded(const struct hm_raft *raft, uint64_t index);
/* Those up to an index of hm_raft_unneeded leave the memory. They stay on disk until a snapshot
 * covers them; who lags behind them is sent one. */
void hm_raft_forget(struct hm_raft *raft, uint64_t index);

/* What hm_raft_compact says of this index, whatever the state. */
HM_MUST_USE enum hm_status hm_raft_may_compact(const struct hm_raft *raft, uint64_t index);
/* Whether the log still goes back to this index, so that the state there can be described.
 * HM_STALE: the leader's snapshot has taken its place, and is not applied yet. HM_BAD_ARGUMENT:
 * nothing is applied there. */
HM_MUST_USE enum hm_status hm_raft_may_snapshot(const struct hm_raft *raft, uint64_t index);

/* The body of an entry as APPLY had it; valid until the next call that takes `now`. False: it is
 * not (any more) in the log. */
bool hm_raft_body(const struct hm_raft *raft, uint64_t index, struct hm_bytes *out);

/* On the leader, which holds no snapshot in memory: the state machine's at exactly that index
 * (copied), to send to those who lack one, and nothing else; it goes when they have it.
 * HM_NOT_LEADER; HM_BAD_ARGUMENT, HM_STALE, HM_TOO_LARGE as hm_raft_compact. */
HM_MUST_USE enum hm_status hm_raft_serve(struct hm_raft *raft, uint64_t index,
                                         struct hm_bytes state);

/* Appends the same snapshot as an encoded log_snapshot. HM_BAD_ARGUMENT, HM_STALE, HM_TOO_LARGE as
 * hm_raft_compact. */
HM_MUST_USE enum hm_status hm_raft_snapshot(struct hm_raft *raft, uint64_t index,
                                            struct hm_bytes state, struct hm_buf *out);

enum hm_raft_role hm_raft_role(const struct hm_raft *raft);
/* None when unknown. */
struct hm_id hm_raft_leader(const struct hm_raft *raft);
uint64_t hm_raft_term(const struct hm_raft *raft);
uint64_t hm_raft_commit(const struct hm_raft *raft);
uint64_t hm_raft_last_index(const struct hm_raft *raft);
uint64_t hm_raft_snapshot_index(const struct hm_raft *raft);
/* On the leader: the node answers and lacks at most one batch. */
bool hm_raft_is_caught_up(const struct hm_raft *raft, const struct hm_id *learner);
/* On the leader: how far the log of another node is durable and equal to ours, and whether it
 * answered within the election time. False: we do not lead, or the node is not of the log. */
bool hm_raft_progress(const struct hm_raft *raft, hm_ms now, const struct hm_id *id,
                      uint64_t *match, bool *heard);
/* Leader: a quorum answered within the election time. Others: a leader is alive. */
bool hm_raft_has_quorum(const struct hm_raft *raft, hm_ms now);
/* The configuration in force (the latest in the log), valid until the next call. */
const struct hm_voter *hm_raft_voters(const struct hm_raft *raft, size_t *count);

#endif
