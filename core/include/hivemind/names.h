/* libhivemind: a registry of unique names, on a log of the program's own. What role `names` is to
 * `hivemind names`, this is to a program: asked and added in one atomic step, kept by a quorum.
 *
 * A name belongs to one owner until he releases it. Both are texts: 1 to 255 bytes of UTF-8 without
 * control characters, compared byte by byte. docs/NAMES.md says what is promised.
 *
 * The rules of <hivemind/log.h> hold here too. */
#ifndef HIVEMIND_NAMES_H
#define HIVEMIND_NAMES_H

#include <hivemind/log.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HIVEMIND_NAME_BYTES_MAX  255u
#define HIVEMIND_NAMES_BYTES_MAX (4u << 20) /* of all names and owners, and 16 bytes for each */

struct hivemind_names;

struct hivemind_names_config {
    const char *log; /* its name; nothing else is on it */
    /* As in struct hivemind_log_config. */
    bool joins;
    const void *snapshot;
    size_t snapshot_size;
};

/* A participant whose state machine is the registry; lives as long as the server. Peers and errors
 * as hivemind_open. */
HM_MUST_USE enum hm_status hivemind_names_open(struct hivemind_server *server,
                                               const struct hivemind_names_config *config,
                                               const struct hivemind_peer *peers, size_t peer_count,
                                               struct hivemind_names **out);
/* For its members, its state, its snapshot. What is submitted to it by other means than those below
 * is refused by the machine. */
struct hivemind_participant *hivemind_names_participant(struct hivemind_names *names);

struct hivemind_name {
    const char *name;
    const char *owner;
    uint64_t index;   /* of the entry that registered it; 0: not known any more */
    uint64_t time_ms; /* log time of that */
};

/* Called once, from hivemind_step, for every call that was taken. `held` is who has the name, NULL
 * where nobody is known to; it and `reason`, a sentence or empty, are valid during the call. */
typedef void hivemind_names_done(void *context, enum hm_status status,
                                 const struct hivemind_name *held, const char *reason);

/* Outcomes: HM_OK, it is this owner's now, perhaps since long; HM_NAME_TAKEN, `held` says whose it
 * was then; HM_FULL (HIVEMIND_NAMES_BYTES_MAX), and those of hivemind_submit. Not taken:
 * HM_BAD_ARGUMENT, no texts as above; and as hivemind_submit. */
HM_MUST_USE enum hm_status hivemind_names_register(struct hivemind_names *names, const char *name,
                                                   const char *owner, hivemind_names_done *done,
                                                   void *context);
/* The same, but: HM_OK, it is nobody's now; HM_NOT_FOUND, it was nobody's; HM_DENIED, `held` says
 * whose it is. */
HM_MUST_USE enum hm_status hivemind_names_release(struct hivemind_names *names, const char *name,
                                                  const char *owner, hivemind_names_done *done,
                                                  void *context);
/* Linearizable: sees all whose outcome was told anywhere before this call. Outcomes: HM_OK and
 * `held`; HM_NOT_FOUND; HM_REMOVED, HM_TIMEOUT. Not taken: HM_BAD_ARGUMENT; and as
 * hivemind_barrier. */
HM_MUST_USE enum hm_status hivemind_names_check(struct hivemind_names *names, const char *name,
                                                hivemind_names_done *done, void *context);

/* Calls `visit` with every name that begins with `prefix`, in order of their bytes, until it says
 * false: as applied here, which after a barrier of the participant is a linearizable read. `visit`
 * must not call anything of this registry. HM_NOT_STARTED. */
HM_MUST_USE enum hm_status
hivemind_names_list(struct hivemind_names *names, const char *prefix,
                    bool (*visit)(void *context, const struct hivemind_name *name), void *context);

#ifdef __cplusplus
}
#endif

#endif
