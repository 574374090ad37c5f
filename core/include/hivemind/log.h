/* libhivemind: a replicated log to build on. One header, C11 or C++.
 *
 * A *server* is this process as others know it: an id, an address, a directory. It hosts
 * *participants*, each in one *log*, known by its name. The participants of a log agree on one
 * sequence of *entries*; each applies them, in that order, to a state machine of the program's own.
 * docs/LOG.md explains the model and what is guaranteed.
 *
 *     hivemind_server_new    who this process is
 *     hivemind_open          a participant and its state machine, for every log
 *     hivemind_start         finds what the directory holds, and takes part
 *     hivemind_fd            readable when hivemind_step has something to do
 *     hivemind_step          does it; the program's functions are called from here and nowhere else
 *     hivemind_server_free
 *
 * Rules for all of it:
 *  - One thread at a time in a server and its participants. The library has a thread of its own for
 *    the disk; it never calls the program.
 *  - The program's functions may call everything but hivemind_step and hivemind_server_free of the
 *    same server (both say HM_BUSY).
 *  - What a function is given is copied before it returns, unless it says otherwise. What it gives
 *    belongs to the library and is valid until the next hivemind_step, unless it says otherwise.
 *  - A function that does not return HM_OK has changed nothing and written nothing to its
 *    out-parameters; hivemind_error has a sentence about it. Before hivemind_start all that needs a
 *    running log says HM_NOT_STARTED.
 *  - Running out of memory ends the process.
 *
 * The statuses are those of <hivemind/status.h>. */
#ifndef HIVEMIND_LOG_H
#define HIVEMIND_LOG_H

#include <hivemind/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a program was compiled for. A library of another number has another soname; whoever loads it
 * by hand compares with hivemind_abi(). */
#define HIVEMIND_ABI 1u

#define HIVEMIND_ADDRESS_BYTES      56         /* a text IP:PORT or [IP6]:PORT with its NUL */
#define HIVEMIND_ENTRY_BYTES_MAX    1048000u   /* of one submission */
#define HIVEMIND_SNAPSHOT_BYTES_MAX (7u << 20) /* of what a machine's `snapshot` writes */
#define HIVEMIND_MEMBERS_MAX        64u        /* of one log */
#define HIVEMIND_LOGS_MAX           64u        /* of one server */
#define HIVEMIND_CALLS_MAX          16384u     /* unanswered, of one participant */

/* ---- who is who ---- */

/* 128 bits. An id stands for one memory: whoever has lost his directory comes back under another.
 */
struct hivemind_id {
    uint8_t bytes[16];
};

struct hivemind_peer {
    struct hivemind_id id;
    const char *address; /* IP:PORT or [IP6]:PORT, where it listens */
};

uint32_t hivemind_abi(void);

/* The id that stands for a name: the first 128 bits of its BLAKE2b hash. */
struct hivemind_id hivemind_id_of(const char *name);
bool hivemind_id_equal(struct hivemind_id a, struct hivemind_id b);

/* ---- a transport of the program's own ---- */

/* In place of TCP. All three are called from hivemind_step. Addresses are texts as in
 * hivemind_peer, and need mean nothing but to these functions. Frames may be lost, repeated and
 * come late, but not changed: nothing is sealed, so whoever can put frames into this transport can
 * write the log. */
struct hivemind_transport {
    /* Before the first frame to an address, and again after hivemind_lost. HM_OK: frames may be
     * given now (they may wait within the transport). Else: try again later. */
    enum hm_status (*connect)(void *context, const char *address);
    /* One frame of at most 17 MiB, valid during the call. HM_OK: taken over. Else: it is dropped,
     * and there is no connection any more. */
    enum hm_status (*send)(void *context, const char *address, const void *frame, size_t size);
    /* The next frame that came for this server, whole as it was sent, valid until the next call.
     * False: there is none. */
    bool (*receive)(void *context, const void **frame, size_t *size);
    void *context;
};

/* ---- servers ---- */

/* All zero but `id` and `address` is a server in memory, with a transport of its own. */
struct hivemind_server_config {
    struct hivemind_id id;
    const char *address; /* where others reach it, and where it listens; port 0: one that is free */
    /* Made when there is none, and locked: one process has it. NULL: nothing is kept; such a server
     * must not come back under the same id. */
    const char *directory;
    /* What frames are sealed with, the same on all servers: a file as `hivemind keygen` writes it,
     * or 32 bytes. One of them is needed for TCP, none with a transport of the program's own. */
    const char *key_file;
    const uint8_t *key;
    const struct hivemind_transport *transport; /* NULL: sealed TCP */
    /* A clock in place of the system's: milliseconds that never go back, for tests that decide the
     * time themselves. It is log time too. Whoever has one calls hivemind_step by it and not by
     * hivemind_fd. */
    uint64_t (*now_ms)(void *context);
    void *clock_context;
    uint64_t seed;         /* of election timers and session ids; 0: drawn from the system */
    uint32_t election_ms;  /* 0: 300; silence of the leader before an election, up to twice */
    uint32_t heartbeat_ms; /* 0: 50 */
};

struct hivemind_server;

/* `*out` is for hivemind_server_free. Otherwise a sentence is in `error` (`error_size` bytes, cut
 * to fit): HM_BAD_ARGUMENT, HM_NOT_FOUND, HM_DENIED, HM_BAD_BYTES (the key file), HM_EXISTS (the
 * port is in use), HM_BUSY (another process has the directory), HM_IO. */
HM_MUST_USE enum hm_status hivemind_server_new(const struct hivemind_server_config *config,
                                               struct hivemind_server **out, char *error,
                                               size_t error_size);
/* Ends it with all its participants, as a crash would but with what is queued for the disk written:
 * nothing is told to anybody, and a callback that is owed does not come any more. HM_BUSY within a
 * callback. NULL is fine. */
enum hm_status hivemind_server_free(struct hivemind_server *server);

/* Where it listens, with its port. Valid as long as the server. */
const char *hivemind_server_address(const struct hivemind_server *server);
/* A sentence about the last function that did not return HM_OK; valid until the next one. */
const char *hivemind_error(const struct hivemind_server *server);

/* Finds what the directory holds and starts all participants that are open. HM_EXISTS: it runs;
 * HM_BAD_ARGUMENT: a participant that is new has no peers; HM_NOT_FOUND: the directory holds a log
 * that is not open; HM_DAMAGED; HM_DENIED: the directory is another id's; HM_IO. */
HM_MUST_USE enum hm_status hivemind_start(struct hivemind_server *server);

/* Readable whenever hivemind_step has something to do: frames, the disk, time. Always the same; not
 * to be read. It can be put into an epoll set or a poll array of the program. */
int hivemind_fd(const struct hivemind_server *server);
/* Milliseconds until time alone gives a step something to do, for those who do not wait on the
 * descriptor: 0 at once, -1 never. */
int hivemind_timeout_ms(const struct hivemind_server *server);
/* Does what can be done without waiting. HM_BUSY: called from a callback; HM_NOT_STARTED. */
enum hm_status hivemind_step(struct hivemind_server *server);
/* The transport of the program: what was sent to this address may be lost, and its next frame wants
 * a new connection. A leader that is gone so is missed at once. */
void hivemind_lost(struct hivemind_server *server, const char *address);

/* ---- state machines ---- */

struct hivemind_entry {
    uint64_t index;   /* 1, 2, 3, .. of this log; 0: see hivemind_watch */
    uint64_t time_ms; /* log time: Unix time by the members' clocks, never going back */
    const void *data; /* opaque */
    size_t size;
};

/* What became of a submission. */
struct hivemind_outcome {
    enum hm_status status;
    uint64_t index;     /* of its entry; 0: there is none */
    const char *reason; /* a sentence, perhaps empty; valid during the call */
};

/* A machine's answer: HM_OK and nothing before `apply`. */
struct hivemind_result {
    enum hm_status status;
    char reason[256];
};

struct hivemind_writer;
/* Appends to the snapshot that is being written. */
void hivemind_write(struct hivemind_writer *writer, const void *data, size_t size);

/* The program's own state. All of it is deterministic: the same entries in the same order give the
 * same results and the same snapshot on every participant. `context` is that of hivemind_open. */
struct hivemind_machine {
    /* An entry is committed. Each comes once, in order. What it answers is the submission's
     * outcome; an entry that is refused stays in the log and has changed what the machine says it
     * has. */
    void (*apply)(void *context, const struct hivemind_entry *entry,
                  struct hivemind_result *result);
    /* Writes the whole state, at most HIVEMIND_SNAPSHOT_BYTES_MAX. NULL: there is no state. */
    void (*snapshot)(void *context, struct hivemind_writer *writer);
    /* The state is now this one, in place of all that was; also at a start. HM_OK, or HM_BAD_BYTES
     * with the state as before: the participant then stops applying. NULL: there is no state. */
    enum hm_status (*install)(void *context, const void *data, size_t size);
    /* hivemind_state or hivemind_members would answer otherwise than before. NULL: not told. */
    void (*changed)(void *context);
};

/* ---- participants ---- */

struct hivemind_participant;

struct hivemind_log_config {
    const char *name; /* of the log: 1 to 63 bytes */
    struct hivemind_machine machine;
    void *context;
    /* True: the log exists, and this participant is to be added to it (hivemind_add); its peers are
     * whom it may ask. False: its peers, with itself, found the log, all voting; each of them is
     * opened with the same ones. Of no meaning where the directory knows the log. */
    bool joins;
    /* Of one that joins: a snapshot of hivemind_snapshot to begin with, so that its leader sends
     * only what came later. NULL: it gets one from its leader, if it needs one. */
    const void *snapshot;
    size_t snapshot_size;
    uint32_t keep_entries; /* so many stay readable; 0: 65,536, the most is 131,072 */
    uint32_t keep_bytes;   /* and so many bytes of them; 0: 1 MiB, the most is 4 MiB */
};

/* A participant of a log that this server does not take part in yet; lives as long as the server,
 * or until hivemind_close.
 * After hivemind_start it is started at once, and must then be given its peers in `peers`.
 * HM_EXISTS: it takes part; HM_CONFLICT: the name is too like one that is open (their 32-bit hashes
 * are equal), or of one that was closed and that the journal still has to tell from it (then it can
 * be opened after a later start); HM_FULL; HM_BAD_ARGUMENT; HM_BAD_BYTES: no snapshot of this log.
 */
HM_MUST_USE enum hm_status hivemind_open(struct hivemind_server *server,
                                         const struct hivemind_log_config *config,
                                         const struct hivemind_peer *peers, size_t peer_count,
                                         struct hivemind_participant **out);
/* Ends this participant for good and gives back what the directory holds of it, while the server
 * and its other participants go on: for a log that the program has done with. A callback that is
 * owed does not come any more, and `participant` is not valid afterwards (nor the hivemind_names
 * around it). What it has promised is forgotten with it, so a member is removed first
 * (hivemind_remove, hivemind_state says HIVEMIND_REMOVED), unless it is the only one: then the log
 * ends with it. Before hivemind_start it takes back hivemind_open. HM_BUSY: within a callback;
 * HM_DENIED: it is a member, or cannot know yet that it is none. */
HM_MUST_USE enum hm_status hivemind_close(struct hivemind_participant *participant);
/* More peers, before hivemind_start. HM_EXISTS: it runs; HM_FULL; HM_BAD_ARGUMENT. */
HM_MUST_USE enum hm_status hivemind_add_peers(struct hivemind_participant *participant,
                                              const struct hivemind_peer *peers, size_t count);

enum hivemind_role {
    HIVEMIND_UNJOINED, /* in no configuration that it knows */
    HIVEMIND_LEARNER,  /* gets all entries, does not vote yet */
    HIVEMIND_FOLLOWER,
    HIVEMIND_CANDIDATE,
    HIVEMIND_LEADER,
    HIVEMIND_REMOVED, /* it knows that it was removed */
};

struct hivemind_state {
    enum hivemind_role role;
    bool ready;        /* a leader is alive and, if it is this one, hears from a quorum */
    bool broken;       /* an entry or snapshot was not understood: nothing is applied any more */
    bool disk_failing; /* it neither votes nor leads until the disk works again */
    struct hivemind_id leader; /* zero: not known */
    uint64_t term;
    uint64_t index;   /* of the last entry applied here */
    uint64_t oldest;  /* of the oldest entry that can be read; index + 1: none */
    uint64_t pending; /* stored here and not known to be committed */
    uint64_t waiting; /* calls of this participant that are not answered */
    uint64_t refused; /* frames for this server that were malformed or not meant for it */
};

/* HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_state(const struct hivemind_participant *participant,
                                          struct hivemind_state *out);

struct hivemind_member {
    struct hivemind_id id;
    char address[HIVEMIND_ADDRESS_BYTES];
    bool votes; /* false: a learner */
};

/* The configuration in force here: at most `most` into `out`, all of them counted in `*count`.
 * HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_members(const struct hivemind_participant *participant,
                                            struct hivemind_member *out, size_t most,
                                            size_t *count);

/* ---- writing ---- */

/* Called once, from hivemind_step, for every call that was taken (HM_OK). */
typedef void hivemind_done(void *context, const struct hivemind_outcome *outcome);

/* Submits an entry; any participant may, it reaches the leader. `done` (or NULL) is called when it
 * is committed and applied here, with what the machine answered, whatever leaders come and go
 * meanwhile: the entry is applied once. (A participant that is not added yet is told by the leader,
 * perhaps before it is applied here.) Submissions of one participant are applied in their order
 * as long as the leader stays and no frame is lost; whoever needs their order waits for one before
 * the next, or puts both into one entry. Other outcomes, not of the machine: HM_REMOVED (this
 * participant is out before it knew: nobody can tell), HM_TIMEOUT (no leader for 20 minutes: the
 * same), HM_SESSION_EXPIRED (this machine's clock is off by more than 10 minutes: not applied).
 * Not taken: HM_TOO_LARGE, HM_FULL (HIVEMIND_CALLS_MAX, or 64 MiB wait), HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_submit(struct hivemind_participant *participant,
                                           const void *data, size_t size, hivemind_done *done,
                                           void *context);

/* A session that outlives this process: the program keeps the id and counts, and after a restart
 * submits again what it does not know the end of. */
struct hivemind_id hivemind_session(struct hivemind_participant *participant);
/* The same in a session of the program's: `seq` counts from 1, and the same seq again is the same
 * entry. At most 64 may be unanswered; HM_SESSION_EXPIRED: it lies behind those, or the session was
 * idle for an hour; it is not applied (again). HM_COMPACTED: it was applied, what the machine said
 * is not known any more. HM_BAD_ARGUMENT: seq 0 or a zero session. */
HM_MUST_USE enum hm_status hivemind_submit_once(struct hivemind_participant *participant,
                                                struct hivemind_id session, uint64_t seq,
                                                const void *data, size_t size, hivemind_done *done,
                                                void *context);

/* ---- reading ---- */

/* Pull: committed entries from `from` on, as applied here: at most `most` into `out`; `*count` is 0
 * when there is none yet. HM_COMPACTED: `from` is older than the oldest that is kept, which
 * hivemind_error and hivemind_state name; HM_BAD_ARGUMENT: 0; HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_read(const struct hivemind_participant *participant,
                                         uint64_t from, struct hivemind_entry *out, size_t most,
                                         size_t *count);

/* Push: `committed` is called from hivemind_step for every entry from `from` on, each once and in
 * order, after the machine has it. When a snapshot took the place of entries that were not told
 * yet, one call with index 0 stands for them, and the next entry is the oldest that is kept.
 * `*watch` is for hivemind_unwatch. Errors as hivemind_read. */
typedef void hivemind_committed(void *context, const struct hivemind_entry *entry);
HM_MUST_USE enum hm_status hivemind_watch(struct hivemind_participant *participant, uint64_t from,
                                          hivemind_committed *committed, void *context,
                                          uint64_t *watch);
/* No more calls. An unknown number is fine. */
void hivemind_unwatch(struct hivemind_participant *participant, uint64_t watch);

/* A linearizable read: when `done` says HM_OK, this participant's machine has all that was
 * committed anywhere before this call; `index` is that of its last entry. Costs a round trip to a
 * quorum, no disk. HM_REMOVED, HM_TIMEOUT as above. Not taken: HM_FULL, HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_barrier(struct hivemind_participant *participant,
                                            hivemind_done *done, void *context);

/* ---- members ---- */

/* Any participant may ask for these; also one that joins, for itself. One change at a time is made,
 * others wait for it. Asking again for what is so already is HM_OK. `done` may be NULL; outcomes:
 * HM_OK once it is committed, HM_FULL (HIVEMIND_MEMBERS_MAX), HM_REMOVED, HM_TIMEOUT. Not taken:
 * HM_BAD_ARGUMENT, HM_FULL, HM_NOT_STARTED. */

/* Adds a learner, or gives a member another address. The leader lets it vote by itself as soon as
 * it has caught up; one that never comes delays nothing. */
HM_MUST_USE enum hm_status hivemind_add(struct hivemind_participant *participant,
                                        const struct hivemind_peer *peer, hivemind_done *done,
                                        void *context);
/* Removes a member, itself too; a leader commits that, and hands over. HM_BAD_ARGUMENT (an
 * outcome): the last one that votes. */
HM_MUST_USE enum hm_status hivemind_remove(struct hivemind_participant *participant,
                                           struct hivemind_id id, hivemind_done *done,
                                           void *context);
/* Hands leadership to this voter. HM_OK when it is seen to lead; HM_NOT_FOUND: it does not vote;
 * HM_TIMEOUT: not within 10 s. */
HM_MUST_USE enum hm_status hivemind_transfer(struct hivemind_participant *participant,
                                             struct hivemind_id id, hivemind_done *done,
                                             void *context);

/* ---- snapshots ---- */

/* A snapshot of now, machine and kept entries, from which a participant that joins can be opened:
 * opaque bytes, the same on every machine. It also takes the place of the log's entries on the
 * disk, which happens by itself when they are many. HM_NOT_READY: nothing is applied yet, or the
 * disk has yet to have it; HM_TOO_LARGE; HM_DAMAGED: broken; HM_IO; HM_NOT_STARTED. */
HM_MUST_USE enum hm_status hivemind_snapshot(struct hivemind_participant *participant,
                                             const void **data, size_t *size);

#ifdef __cplusplus
}
#endif

#endif
