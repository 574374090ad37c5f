/* The control socket: a UNIX socket on which commands ask a node. Frames are a length u32 and one
 * encoded message; who may connect is said by the file's mode. */
#ifndef HM_IO_CONTROL_H
#define HM_IO_CONTROL_H

#include "core/base/status.h"
#include "core/wire/message.h"

#include <sys/types.h>
#include <uv.h>

#define HM_CONTROL_REQUEST_BYTES_MAX (2u << 20)
#define HM_CONTROL_QUEUE_BYTES_MAX   (HM_WIRE_MESSAGE_BYTES_MAX * 2)
#define HM_CONTROL_CONNECTIONS_MAX   512
/* Of all connections together, in requests that have begun and answers that were not read. */
#define HM_CONTROL_BYTES_MAX (128u << 20)

/* ---- where sockets are ---- */

#define HM_CONTROL_DIRECTORY "/run/hivemind"

/* Appends the default path of a node's socket: /run/hivemind/NAME.sock where this process may write
 * there, else $XDG_RUNTIME_DIR/hivemind/NAME.sock. */
void hm_control_path(const char *name, struct hm_buf *out);

struct hm_control_paths {
    char **paths; /* sorted */
    size_t count;
};

/* The sockets in both places, answered on or not. Free with hm_control_paths_fini. */
struct hm_control_paths hm_control_list(void);
void hm_control_paths_fini(struct hm_control_paths *paths);

/* ---- the node's side ---- */

/* Who is at the other end, as the kernel says (SO_PEERCRED). */
struct hm_control_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

struct hm_control_events {
    void *context;
    /* One frame's content, not looked into; valid during the call. */
    void (*message)(void *context, uint64_t connection, const struct hm_control_peer *peer,
                    struct hm_bytes message);
    void (*closed)(void *context, uint64_t connection);
    uint64_t *malformed; /* counts connections that broke the framing; may be NULL */
};

struct hm_control;

/* Listens at `path`, mode 0660, of the group hivemind (group.h) if there is one; makes the
 * directory (0755) when its parent is there. A socket file on which nobody answers is replaced.
 * Gives the descriptor; -1 with a sentence in `error`: the path is too long, another node answers
 * there, or the file cannot be made. */
HM_MUST_USE int hm_control_listen(const char *path, struct hm_buf *error);
/* Serves what hm_control_listen gave; the file is whose it was. */
struct hm_control *hm_control_adopt(uv_loop_t *loop, int fd,
                                    const struct hm_control_events *events);
/* Both in one, and the file is its own. NULL with a sentence in `error`. */
struct hm_control *hm_control_new(uv_loop_t *loop, const char *path,
                                  const struct hm_control_events *events, struct hm_buf *error);
/* Queues one encoded message (copied) for the next hm_control_flush. A connection that is gone is
 * passed over; one that reads too slowly is closed, and `closed` is called from the loop. */
void hm_control_reply(struct hm_control *control, uint64_t connection, struct hm_bytes message);
/* Writes what is queued, as far as the system takes it; the rest follows by itself. To be called
 * before the loop sleeps: answers of one turn to one connection are one write. */
void hm_control_flush(struct hm_control *control);
/* Writes what the system takes at once, closes everything, removes a file of its own, tells nobody.
 * The loop must run once more. NULL is fine. */
void hm_control_free(struct hm_control *control);

/* ---- the command's side: blocking ---- */

struct hm_control_client {
    int fd;
};

/* HM_UNREACHABLE (nobody listens there) or HM_DENIED, with a sentence in `error`. */
HM_MUST_USE enum hm_status hm_control_connect(const char *path, struct hm_control_client *out,
                                              struct hm_buf *error);
/* HM_IO: the node went away; HM_TIMEOUT: it takes nothing for 5 s. */
HM_MUST_USE enum hm_status hm_control_send(struct hm_control_client *client,
                                           const struct hm_message *message);
/* Waits for the next message; it lives in `arena`. HM_TIMEOUT, HM_IO (the node went away) or
 * HM_BAD_BYTES. `timeout` HM_NEVER: waits for ever. */
HM_MUST_USE enum hm_status hm_control_receive(struct hm_control_client *client, hm_ms timeout,
                                              struct hm_arena *arena, struct hm_message *out);
void hm_control_close(struct hm_control_client *client);

#endif
