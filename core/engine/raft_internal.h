/* What the files of the Raft engine share. Lowest first: log, voters, persist, apply, replicate,
 * clock, snapshot, read, vote, raft. */
#ifndef HM_ENGINE_RAFT_INTERNAL_H
#define HM_ENGINE_RAFT_INTERNAL_H

#include "core/engine/raft.h"

/* Above this a term or index is a lie: nobody counts that far, and sums cannot overflow. */
#define RAFT_NUMBER_MAX (UINT64_MAX >> 2)

/* Entries base_index + 1 .. base_index + count; base is what precedes them (0, 0 in a new log). */
struct raft_log {
    struct hm_entry *entries; /* bodies are owned */
    size_t count;
    size_t capacity;
    uint64_t base_index;
    uint64_t base_term;
    uint64_t bytes; /* of the bodies */
};

/* A snapshot, shared by the engine and the transfers of it that run. The engine's own has its bytes
 * until they are on disk and, if they came from elsewhere, installed. */
struct raft_snapshot {
    uint32_t refs;
    uint64_t last_index;
    uint64_t last_term;
    struct hm_bytes blob; /* encoded log_snapshot, owned; empty: only known to be there */
};

/* A PERSIST that is not durable yet. */
struct raft_write {
    uint64_t number;
    uint64_t last_index; /* once durable, the log is durable up to here; 0: says nothing of it */
    bool appends;
};

/* A wall clock, as it stands to our monotonic one. */
struct raft_clock {
    bool known;
    uint64_t offset; /* wall - now, modulo 2^64 */
};

enum raft_peer_state {
    RAFT_PROBE,     /* looking for the place where the logs agree: heartbeats only */
    RAFT_REPLICATE, /* entries flow, pipelined */
    RAFT_SNAPSHOT,  /* what it needs is compacted away */
};

/* What the leader knows of another node of the log. match < next. */
struct raft_peer {
    struct hm_peer peer;
    bool voting;
    hm_ms leaving_until; /* not 0: removed, and told so until then */
    enum raft_peer_state state;
    uint64_t match; /* durable there and equal to ours */
    uint64_t next;  /* next entry to send */
    uint64_t commit_sent;
    uint64_t round_acked;
    uint64_t probe_round; /* answers to earlier rounds say nothing about the probe */
    hm_ms heard;
    struct raft_clock clock;
    bool heartbeat_due;
    uint64_t *flights; /* ring: last index of each append on its way; inflight_max slots */
    uint32_t flights_first;
    uint32_t flights_count;
    struct raft_snapshot *snapshot; /* being sent; NULL unless RAFT_SNAPSHOT */
    uint64_t offset;
    hm_ms chunk_at; /* when the chunk on its way left; HM_NEVER: none is */
};

struct raft_read {
    uint64_t context;
    uint64_t round; /* 0: waits for the next round */
};

struct hm_raft {
    struct hm_raft_config config;
    struct hm_random random;
    hm_ms now;
    struct raft_clock clock;
    struct hm_outbox outbox;
    struct hm_arena arena;

    uint64_t generation; /* of the log; see hm_raft_recover */
    enum hm_raft_role role;
    uint64_t term;
    struct hm_id vote;     /* in this term; none: nobody */
    struct hm_peer leader; /* of this term; none: unknown */
    bool hears_leader;     /* leader_heard counts */
    hm_ms leader_heard;
    hm_ms election_at; /* HM_NEVER where no election may start */
    hm_ms patience;    /* waited longer for a sign of life than election_ms, until patient_until */
    hm_ms patient_until;
    bool failed; /* the disk */

    struct raft_log log;
    struct hm_voter base_voters[HM_RAFT_VOTERS_MAX]; /* the configuration at its base */
    uint32_t base_voters_count;
    uint64_t commit; /* applied <= commit <= last index */
    uint64_t applied;
    struct raft_snapshot *snapshot; /* NULL: none yet */
    uint64_t snapshot_number;       /* of its write */
    bool installing;                /* it came from the leader and is not applied yet */
    size_t wanted_entries; /* applied since SNAPSHOT_WANTED was last said, or a snapshot made */
    size_t wanted_bytes;
    uint64_t queued_bytes; /* proposed and not applied; <= queue_bytes_max */

    uint64_t number;          /* of the last PERSIST */
    uint64_t durable_number;  /* <= number */
    uint64_t hard_number;     /* of the write of (term, vote) */
    bool hard_dirty;          /* (term, vote) changed since */
    uint64_t commit_saved;    /* in the last hard state written; <= durable_index */
    uint64_t commit_number;   /* of that write */
    uint64_t commit_restored; /* by the journal, and not acted on yet; 0: nothing */
    struct raft_write *writes;
    size_t writes_count;
    size_t writes_capacity;
    uint64_t unsaved;       /* first entry not handed to PERSIST */
    uint64_t durable_index; /* our log is on disk up to here; < unsaved */

    struct hm_voter voters[HM_RAFT_VOTERS_MAX]; /* the latest configuration in the log */
    uint32_t voters_count;
    uint64_t voters_index;  /* of its entry; 0: from the snapshot, or none */
    bool was_in;            /* a configuration had us */
    bool campaigns;         /* we vote in it, or did before it and it may not be committed */
    uint64_t removed_index; /* of the entry that removed us, committed and not told yet; 0: none */

    /* candidates */
    uint64_t granted;                             /* bit i: voters[i] said yes */
    struct raft_clock clocks[HM_RAFT_VOTERS_MAX]; /* that came with it */
    bool asked;                                   /* requests are out: our own vote is durable */
    bool by_transfer;

    /* voters: a promised vote that waits for the disk */
    bool vote_due;
    struct hm_peer vote_to;

    /* followers: what the leader is owed */
    uint64_t ack_match; /* our log equals this leader's up to here */
    uint64_t ack_sent;
    uint64_t ack_round;
    bool answer_due; /* an answer waits until the term is durable */
    bool refuse;     /* the answer is no: refused_* did not match */
    uint64_t refused_index;
    uint64_t refused_term;
    struct hm_buf incoming; /* a snapshot on its way to us */
    uint64_t incoming_index;
    uint64_t incoming_term;
    uint64_t incoming_total;

    /* leaders */
    struct raft_snapshot *served; /* for those who lack one; NULL: nobody was found to */
    bool asked_to_serve;          /* since the last heartbeat */
    struct raft_peer *peers;
    size_t peers_count;
    size_t peers_capacity;
    uint64_t first_of_term; /* index of our no-op */
    uint64_t round;         /* of what was sent last; see raft_replicate */
    hm_ms heartbeat_at;
    hm_ms quorum_heard; /* at the heartbeat before */
    struct raft_read *reads;
    size_t reads_count;
    size_t reads_capacity;
    struct hm_id transfer_to; /* none: no handover */
    hm_ms transfer_until;
    bool transfer_told;
};

/* ---- log ---- */
uint64_t raft_log_last(const struct raft_log *log);
/* False when the term is not known: above the end or before the base. */
bool raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *term);
/* The term of an entry known to be held. */
uint64_t raft_log_term_at(const struct raft_log *log, uint64_t index);
const struct hm_entry *raft_log_at(const struct raft_log *log, uint64_t index);
void raft_log_append(struct raft_log *log, const struct hm_entry *entry);
/* Drops `from` and all after it. */
void raft_log_cut(struct raft_log *log, uint64_t from);
/* Drops up to `index`, whose term becomes that of the base; it may lie above the end. */
void raft_log_drop(struct raft_log *log, uint64_t index, uint64_t term);
/* The highest index <= `index` whose term is at most `term`; the base when there is none. */
uint64_t raft_log_hint(const struct raft_log *log, uint64_t index, uint64_t term);
/* How many entries from `from` on make one batch. */
uint32_t raft_log_batch(const struct raft_log *log, uint64_t from, uint32_t entries_max,
                        uint32_t bytes_max);
void raft_log_fini(struct raft_log *log);

/* ---- voters: pure functions over configurations, then the one in force ---- */
bool raft_voters_valid(const struct hm_voter *voters, uint32_t count);
/* Index of `id`; `count` when it is not there. */
uint32_t raft_voters_find(const struct hm_voter *voters, uint32_t count, const struct hm_id *id);
/* The highest value that a majority of the voting reach; values[i] belongs to voters[i]. 0 when
 * nobody votes. */
uint64_t raft_voters_quorum(const struct hm_voter *voters, uint32_t count, const uint64_t *values);
bool raft_voters_won(const struct hm_voter *voters, uint32_t count, uint64_t granted);
/* The changes that hm_raft_add_learner, hm_raft_promote and hm_raft_remove make: each changes one
 * node, so a majority before and one after always share a node (dissertation, 4.1). `voters` has
 * room for HM_RAFT_VOTERS_MAX; a change that is refused changes nothing. */
typedef enum hm_status raft_voters_change(struct hm_voter *voters, uint32_t *count,
                                          const struct hm_peer *peer);
raft_voters_change raft_voters_add;
raft_voters_change raft_voters_promote;
raft_voters_change raft_voters_remove;
bool raft_voters_decode(struct hm_arena *arena, struct hm_bytes body, struct hm_log_voters *out);
bool raft_is_voter(const struct hm_raft *raft);
bool raft_is_sole_voter(const struct hm_raft *raft);
/* Takes the configuration in force from the log as it is now. */
void raft_voters_reload(struct hm_raft *raft);
/* The configuration in force at `index`. */
void raft_voters_at(struct hm_raft *raft, uint64_t index, struct hm_voter *out, uint32_t *count,
                    uint64_t *entry_index);

/* ---- persist ---- */
bool raft_hard_is_durable(const struct hm_raft *raft);
/* Hands (term, vote) to PERSIST if they changed. */
void raft_save_hard(struct hm_raft *raft);
/* Hands the commit index to PERSIST. Nobody waits for it but the news of a removal. */
void raft_save_commit(struct hm_raft *raft);
/* Hands unsaved entries to PERSIST unless an append is being written: those that come meanwhile
 * form the next batch. */
void raft_save_log(struct hm_raft *raft);
void raft_save_snapshot(struct hm_raft *raft);
void raft_cut(struct hm_raft *raft, uint64_t from);
uint64_t raft_append(struct hm_raft *raft, uint8_t kind, struct hm_bytes body);

/* ---- apply ---- */
void raft_apply(struct hm_raft *raft);
void raft_commit_to(struct hm_raft *raft, uint64_t index);
/* Acts on what was known to be committed before the restart. */
void raft_commit_restored(struct hm_raft *raft);
/* Tells that we are removed as soon as a restart would know it, too. */
void raft_tell_removed(struct hm_raft *raft);

/* ---- replicate ---- */
struct raft_peer *raft_peer_find(const struct hm_raft *raft, const struct hm_id *id);
/* Makes the peers those of the configuration in force. */
void raft_peers_sync(struct hm_raft *raft);
void raft_peers_clear(struct hm_raft *raft);
void raft_peer_reprobe(const struct hm_raft *raft, struct raft_peer *peer, uint64_t next);
const struct raft_peer *raft_peer_best(const struct hm_raft *raft);
void raft_count_commit(struct hm_raft *raft);
/* Sends what each peer lacks, as far as its window allows, and the heartbeats that are due. */
void raft_replicate(struct hm_raft *raft);
/* Time by which a quorum answered last; this node itself did so just `now`. */
hm_ms raft_quorum_heard(const struct hm_raft *raft, hm_ms now);
/* `after` ms a sign of life followed the one before it. */
void raft_note_gap(struct hm_raft *raft, hm_ms after);
/* How long a silence is one: election_ms, and patience. */
hm_ms raft_silence_ms(const struct hm_raft *raft);
enum hm_status raft_on_append(struct hm_raft *raft, const struct hm_peer *from,
                              const struct hm_append *append);
enum hm_status raft_on_append_reply(struct hm_raft *raft, const struct hm_peer *from,
                                    const struct hm_append_reply *reply);
/* Answers the leader, now or when the term is durable. */
void raft_answer(struct hm_raft *raft);
void raft_answer_durable(struct hm_raft *raft);

/* ---- clock ---- */
/* What it shows now; 0: not known. */
uint64_t raft_clock_read(const struct hm_raft *raft, const struct raft_clock *clock);
/* It showed `wall_ms` just now; 0: that is not known. */
void raft_clock_note(const struct hm_raft *raft, struct raft_clock *clock, uint64_t wall_ms);

/* ---- snapshot ---- */
/* The log begins behind the snapshot. */
void raft_log_begin(struct hm_raft *raft, const struct hm_log_snapshot *snapshot);
struct raft_snapshot *raft_snapshot_make(const struct hm_log_snapshot *message);
void raft_snapshot_drop(struct raft_snapshot *snapshot);
/* Frees the bytes of our own snapshot if nobody waits for them. */
void raft_snapshot_forget(struct hm_raft *raft);
/* Is there a snapshot to send to it? Else one is asked for. */
bool raft_peer_has_snapshot(struct hm_raft *raft, struct raft_peer *peer);
/* Nobody is being sent it: frees what is served. */
void raft_served_forget(struct hm_raft *raft);
/* The next chunk, in the round at hand; none may be on its way. */
void raft_peer_send_snapshot(struct hm_raft *raft, struct raft_peer *peer);
enum hm_status raft_on_snapshot_chunk(struct hm_raft *raft, const struct hm_peer *from,
                                      const struct hm_snapshot_chunk *chunk);
enum hm_status raft_on_snapshot_reply(struct hm_raft *raft, const struct hm_peer *from,
                                      const struct hm_snapshot_reply *reply);
/* After a snapshot of the leader became durable. */
void raft_snapshot_installed(struct hm_raft *raft);

/* ---- read ---- */
void raft_reads_confirm(struct hm_raft *raft);
void raft_reads_lose(struct hm_raft *raft);

/* ---- vote ---- */
/* A follower of `term` (>= ours) whose leader is not known. */
void raft_step_down(struct hm_raft *raft, uint64_t term);
/* A follower of `leader`, which has just been heard. */
void raft_follow(struct hm_raft *raft, uint64_t term, const struct hm_peer *leader);
void raft_campaign(struct hm_raft *raft, bool prevote);
void raft_campaign_durable(struct hm_raft *raft);
void raft_vote_durable(struct hm_raft *raft);
void raft_restart_timer(struct hm_raft *raft);
bool raft_lease_holds(const struct hm_raft *raft);
void raft_hand_over(struct hm_raft *raft, const struct raft_peer *to);
enum hm_status raft_on_vote_request(struct hm_raft *raft, const struct hm_peer *from,
                                    const struct hm_vote_request *request);
enum hm_status raft_on_vote_reply(struct hm_raft *raft, const struct hm_peer *from,
                                  const struct hm_vote_reply *reply);
enum hm_status raft_on_timeout_now(struct hm_raft *raft, const struct hm_peer *from,
                                   const struct hm_timeout_now *message);

#endif
