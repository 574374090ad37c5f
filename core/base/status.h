/* Every outcome that a function of Hivemind can report: one row adds an error everywhere. Also
 * installed, as <hivemind/status.h>. */
#ifndef HM_BASE_STATUS_H
#define HM_BASE_STATUS_H

#define HM_MUST_USE __attribute__((warn_unused_result))

/* name, number (on the wire, never reused), exit code of the CLI, text.
 * Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unreachable, 5 degraded. */
#define HM_STATUS_TABLE(X)                                 \
    X(OK, 0, 0, "ok")                                      \
    X(BAD_BYTES, 1, 1, "malformed bytes")                  \
    X(BAD_ARGUMENT, 2, 2, "bad argument")                  \
    X(BAD_CONFIG, 3, 2, "bad configuration")               \
    X(NOT_FOUND, 4, 3, "not found")                        \
    X(EXISTS, 5, 1, "exists already")                      \
    X(TOO_LARGE, 6, 1, "too large")                        \
    X(FULL, 7, 1, "queue is full")                         \
    X(NO_SPACE, 8, 1, "no space left on disk")             \
    X(IO, 9, 1, "input/output error")                      \
    X(DAMAGED, 10, 1, "stored data is damaged")            \
    X(DENIED, 11, 1, "not allowed")                        \
    X(TIMEOUT, 12, 1, "timed out")                         \
    X(UNREACHABLE, 13, 4, "unreachable")                   \
    X(NOT_LEADER, 14, 5, "not the leader")                 \
    X(NO_QUORUM, 15, 5, "no quorum")                       \
    X(NOT_STARTED, 16, 1, "not started")                   \
    X(NOT_READY, 17, 1, "not ready")                       \
    X(BUSY, 18, 1, "busy")                                 \
    X(CONFLICT, 19, 1, "conflicts with a newer change")    \
    X(SESSION_EXPIRED, 20, 1, "session expired")           \
    X(NAME_TAKEN, 21, 1, "name is taken")                  \
    X(WRONG_CLUSTER, 22, 1, "wrong cluster")               \
    X(WRONG_FEATURE, 23, 1, "feature level not supported") \
    X(STALE_EPOCH, 24, 1, "stale epoch")                   \
    X(REMOVED, 25, 1, "removed from the cluster")          \
    X(UNSEALED, 26, 1, "frame does not open with our key") \
    X(REPLAYED, 27, 1, "frame was seen before")            \
    X(COMPACTED, 28, 1, "no longer held, compacted away")  \
    X(NOT_COMMITTED, 29, 5, "pushed, not committed")       \
    X(STALE, 30, 1, "older than what is known")

enum hm_status {
#define HM_STATUS_ENUM(name, number, exit_code, text) HM_##name = (number),
    HM_STATUS_TABLE(HM_STATUS_ENUM)
#undef HM_STATUS_ENUM
};

#ifdef __cplusplus
extern "C" {
#endif

/* The text of a status for people; "unknown status" for a number that this release lacks. */
const char *hm_status_text(enum hm_status status);

/* Its name as written in logs and JSON ("NO_QUORUM"). */
const char *hm_status_name(enum hm_status status);

/* The exit code of a command that ends with it. */
int hm_status_exit_code(enum hm_status status);

#ifdef __cplusplus
}
#endif

#endif
