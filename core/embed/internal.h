/* What the files of libhivemind share. Lowest first: links (frames to others), reading (what is
 * committed, for the program), calls (what the program asked), leading (what others ask),
 * participant, server. */
#ifndef HM_EMBED_INTERNAL_H
#define HM_EMBED_INTERNAL_H

#include "core/include/hivemind/log.h"
#include "core/io/disk.h"
#include "core/io/transport.h"
#include "core/io/watch.h"
#include "core/log/logs.h"

_Static_assert(sizeof(struct hivemind_id) == sizeof(struct hm_id), "");
_Static_assert(HIVEMIND_ADDRESS_BYTES == HM_ADDR_TEXT_BYTES, "");
_Static_assert(HIVEMIND_MEMBERS_MAX == HM_RAFT_VOTERS_MAX, "");

#define EMBED_LANES_MAX   256u
#define EMBED_ASKS_MAX    16384u
#define EMBED_CHANGES_MAX 64u

enum embed_call_kind {
    EMBED_CHANGE_ADD = 1, /* these three are numbers on the wire */
    EMBED_CHANGE_REMOVE = 2,
    EMBED_CHANGE_TRANSFER = 3,
    EMBED_SUBMIT,
    EMBED_BARRIER,
};

/* Something that the program asked and that is not answered. */
struct embed_call {
    uint64_t number; /* rising within a queue */
    enum embed_call_kind kind;
    hivemind_done *done; /* or NULL */
    void *context;
    hm_ms give_up_at;
    int lane; /* of a submit; -1: none (yet) */
    struct hm_id session;
    uint64_t seq;         /* 0: not before there is a lane */
    struct hm_bytes data; /* owned */
    struct hm_peer peer;  /* of a change */
    bool sent;
    struct hm_id sent_to;
    hm_ms resend_at;
    uint32_t tries;
    bool answered; /* by the leader: */
    enum hm_status status;
    uint64_t index;
    struct hm_bytes reason; /* owned */
};

/* In order of their numbers, without gaps in memory. */
struct embed_queue {
    struct embed_call *items; /* first .. first + count */
    size_t first;
    size_t count;
    size_t capacity;
};

/* A session with at most one request under way, so that the log always remembers what became of the
 * last one. */
struct embed_lane {
    struct hm_id session;
    uint64_t made_ms; /* wall clock; 0: never */
    uint64_t seq;     /* of its last request */
    bool busy;
};

/* A call that is over; `done` is called from the next round of the step. */
struct embed_end {
    hivemind_done *done;
    void *context;
    enum hm_status status;
    uint64_t index;
    struct hm_bytes reason; /* owned */
};

/* A request of another participant that waits in our log. */
struct embed_ask {
    uint64_t token;
    struct hm_peer peer;
    uint64_t call; /* as the peer counts */
};

/* A change of the members that waits for its turn, or for its commit. */
struct embed_change {
    uint64_t token;
    enum embed_call_kind what;
    struct hm_peer peer;
    uint64_t index; /* Raft index of its entry; 0: not begun */
};

struct embed_watch {
    uint64_t number;
    uint64_t next; /* index to be told next */
    hivemind_committed *committed;
    void *context;
};

struct hivemind_participant {
    struct hivemind_server *server;
    struct hm_name name; /* of the log */
    uint32_t log;        /* what stands for the name in messages and the journal */
    struct hivemind_machine machine;
    void *context;
    void (*closed)(void *context); /* the end of a context that is ours; or NULL */
    bool joins;
    struct hm_bytes snapshot; /* to begin with; owned; empty: none */
    struct hm_keep keep;
    struct hm_peer peers[HIVEMIND_MEMBERS_MAX]; /* as the program gave them */
    size_t peer_count;

    struct hm_participant *log_end; /* core/log's; NULL until started */
    struct hm_raft *raft;           /* of it */
    bool broken;
    bool removed;
    bool changed;                 /* the program is to be told */
    struct hm_id applied_session; /* of the entry applied last; none: it had none */
    uint64_t applied_seq;

    struct embed_queue submits;
    struct embed_queue others;
    uint64_t next_call;
    uint64_t queued_bytes;
    hm_ms calls_at;      /* when looking at the calls is next useful */
    struct hm_peer hint; /* who leads, as others told; none: nobody did */
    size_t turn;         /* which peer is asked next */
    struct embed_lane lanes[EMBED_LANES_MAX];
    struct embed_end *ends;
    size_t end_count;
    size_t end_capacity;

    struct embed_ask *asks;
    size_t ask_count;
    size_t ask_capacity;
    uint64_t next_ask;
    struct embed_change changes[EMBED_CHANGES_MAX];
    size_t change_count;
    hm_ms changes_at; /* HM_NEVER: nothing is to be tried */

    struct embed_watch *watches;
    size_t watch_count;
    size_t watch_capacity;
    uint64_t next_watch;
    struct hm_buf taken; /* the snapshot that was given to the program */
};

/* An address of the program's own transport. */
struct embed_line {
    struct hm_addr addr;
    bool connected;
};

struct hivemind_server {
    struct hivemind_server_config config; /* its texts are not kept */
    struct hm_peer self;
    char address[HM_ADDR_TEXT_BYTES];
    char error[512];
    bool started;
    bool stepping;
    bool woken; /* the descriptor is readable */
    uv_loop_t loop;
    int alarm; /* timerfd: time, and wake-ups from outside of a step */
    struct hm_watch *alarm_watch;
    struct hm_key key;
    struct hm_random random;
    struct hm_transport *tcp;
    bool own_transport;
    struct hivemind_transport transport;
    struct embed_line *lines;
    size_t line_count;
    size_t line_capacity;
    struct hm_buf frame;
    uint64_t refused;

    char *directory; /* NULL: none */
    int lock;
    struct hm_logs *logs;
    struct hm_disk *disk;
    uint64_t batch;
    hm_ms retry_at;   /* of the disk */
    uint32_t foreign; /* a log that the journal has and nobody opened; 0: none */

    struct hivemind_participant *participants[HIVEMIND_LOGS_MAX];
    size_t participant_count;
};

/* ---- server.c, loop.c ---- */
/* Remembers a sentence, returns `status`. */
enum hm_status embed_fail(struct hivemind_server *server, enum hm_status status, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));
hm_ms embed_now(struct hivemind_server *server);
uint64_t embed_wall_ms(struct hivemind_server *server);
/* Makes the descriptor readable: something waits for a step. */
void embed_wake(struct hivemind_server *server);

HM_MUST_USE enum hm_status embed_loop_open(struct hivemind_server *server);
void embed_loop_close(struct hivemind_server *server);
/* One turn of everything that has a descriptor; true: something was there. */
bool embed_loop_turn(struct hivemind_server *server);
/* Sets the alarm for the next deadline. */
void embed_loop_arm(struct hivemind_server *server);
/* When a step is next useful. */
hm_ms embed_deadline(struct hivemind_server *server);
void embed_on_disk_done(void *context, uint64_t number, enum hm_status status);

/* ---- links.c ---- */
void embed_send(struct hivemind_participant *participant, const struct hm_peer *to,
                struct hm_bytes message);
void embed_send_message(struct hivemind_participant *participant, const struct hm_peer *to,
                        const struct hm_message *message);
/* A frame that came, of whatever content. */
void embed_on_frame(struct hivemind_server *server, struct hm_bytes frame);
/* The connection to this address is gone. */
void embed_on_lost(struct hivemind_server *server, const struct hm_addr *addr);
bool embed_receive(struct hivemind_server *server);
/* Where `id` is, by the configuration or as the program said; false: not known. */
bool embed_find_peer(const struct hivemind_participant *participant, const struct hm_id *id,
                     struct hm_peer *out);

/* ---- reading.c ---- */
bool embed_watches_push(struct hivemind_participant *participant);

/* ---- calls.c ---- */
void embed_calls_fini(struct hivemind_participant *participant);
/* Sends what is due; true: the log has something new to do. */
bool embed_calls_pump(struct hivemind_participant *participant);
/* The entry of this session and seq was applied here. */
void embed_calls_applied(struct hivemind_participant *participant, const struct hm_id *session,
                         uint64_t seq, const struct hm_outcome *outcome);
/* Who leads has changed, or what was sent may be lost (`to`: only what went there). */
void embed_calls_resend(struct hivemind_participant *participant, const struct hm_id *to);
/* A snapshot took the place of entries: what was to be seen in them is asked again. */
void embed_calls_again(struct hivemind_participant *participant);
/* A token of ours has its answer; NOT_LEADER: ask again. */
void embed_calls_local(struct hivemind_participant *participant, uint64_t number,
                       enum hm_status status, uint64_t index, struct hm_bytes reason);
void embed_calls_submitted(struct hivemind_participant *participant, const struct hm_peer *from,
                           const struct hm_submitted *answer);
void embed_calls_untaken(struct hivemind_participant *participant, const struct hm_peer *from,
                         const struct hm_part_untaken *answer);
void embed_calls_removed(struct hivemind_participant *participant);
/* Calls `done` of all that is over; true: there was one. */
bool embed_calls_deliver(struct hivemind_participant *participant);

/* ---- leading.c ---- */
/* Tokens of our own calls are odd. */
#define EMBED_TOKEN(number) ((number) << 1 | 1)
void embed_on_submit(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_submit *submit);
void embed_on_read(struct hivemind_participant *participant, const struct hm_peer *from,
                   const struct hm_part_read *read);
void embed_on_change(struct hivemind_participant *participant, const struct hm_peer *from,
                     const struct hm_part_change *change);
/* Queues a change; its token is answered. HM_NOT_LEADER, HM_BUSY: not taken. */
HM_MUST_USE enum hm_status embed_change(struct hivemind_participant *participant,
                                        enum embed_call_kind what, const struct hm_peer *peer,
                                        uint64_t token);
bool embed_changes_pump(struct hivemind_participant *participant);
void embed_answer(struct hivemind_participant *participant, uint64_t token, enum hm_status status,
                  uint64_t index, struct hm_bytes reason);

/* ---- participant.c ---- */
extern const struct hm_machine embed_machine;
bool embed_is_in(const struct hivemind_participant *participant);
uint64_t embed_index(const struct hivemind_participant *participant);
enum hm_status embed_begin(struct hivemind_participant *participant);
/* What it began with is not needed any more. */
void embed_begun(struct hivemind_participant *participant);
void embed_participant_config(struct hivemind_participant *participant,
                              struct hm_participant_config *out);
/* Does all that the log wants and the calls need, until there is nothing more; true: there was. */
bool embed_pump(struct hivemind_server *server);
void embed_participant_free(struct hivemind_participant *participant);

#endif
