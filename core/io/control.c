/* The node's side of the control socket. */
#include "core/io/control.h"

#include "core/base/assert.h"
#include "core/base/index.h"
#include "core/base/memory.h"
#include "core/io/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_BYTES      (16u << 10)
#define KEEP_BYTES      (16u << 10) /* of a connection that has nothing under way */
#define LARGE_BYTES     (64u << 10) /* of a connection whose bytes count against what all may have */
#define ACCEPT_PAUSE_MS 100

struct connection {
    struct hm_control *control;
    uint64_t number;
    struct hm_control_peer peer;
    int fd;
    struct hm_watch *watch;
    struct hm_buf in;
    struct hm_buf out;
    size_t out_at; /* bytes before are written */
    bool dirty;    /* it has something for the flush */
    bool waits;    /* the system takes no more for now */
    bool doomed;   /* shut down; its end is handled in the loop */
};

struct hm_control {
    uv_loop_t *loop;
    struct hm_control_events events;
    char
        path[sizeof((struct sockaddr_un *)0)->sun_path]; /* to remove at the end; empty: not ours */
    int fd;
    struct hm_watch *watch;
    struct hm_timer *again; /* when there were no descriptors left */
    struct connection *connections[HM_CONTROL_CONNECTIONS_MAX];
    size_t count;
    size_t dirty; /* of them */
    struct hm_index by_number;
    uint64_t last_number;
};

static struct connection *find(const struct hm_control *control, uint64_t number, uint32_t *place)
{
    size_t cursor = 0;
    while ((*place = hm_index_next(&control->by_number, number, &cursor)) != HM_INDEX_END) {
        if (control->connections[*place]->number == number) {
            return control->connections[*place];
        }
    }
    return NULL;
}

static void drop(struct connection *connection)
{
    struct hm_control *control = connection->control;
    uint32_t place;
    HM_ASSERT(find(control, connection->number, &place) == connection);
    uint32_t last = (uint32_t)--control->count;
    hm_index_remove(&control->by_number, connection->number, place);
    if (place != last) {
        struct connection *moved = control->connections[last];
        hm_index_remove(&control->by_number, moved->number, last);
        hm_index_add(&control->by_number, moved->number, place);
        control->connections[place] = moved;
    }
    control->dirty -= connection->dirty;
    if (control->count == HM_CONTROL_CONNECTIONS_MAX - 1 && control->watch != NULL) {
        hm_watch_set(control->watch, HM_WATCH_READ);
    }
    hm_watch_close(connection->watch);
    close(connection->fd);
    hm_buf_fini(&connection->in);
    hm_buf_fini(&connection->out);
    hm_free(connection);
}

/* Ends it without calling anybody now: the loop then sees its end. */
static void doom(struct connection *connection)
{
    connection->doomed = true;
    hm_buf_fini(&connection->out);
    connection->out_at = 0;
    shutdown(connection->fd, SHUT_RDWR);
    hm_watch_set(connection->watch, HM_WATCH_READ);
}

/* Whether the connections together hold too much, asked by one of which that much comes. */
static bool is_too_much(const struct hm_control *control, size_t own)
{
    size_t held = 0;
    for (size_t i = 0; i < control->count && own > LARGE_BYTES; i++) {
        held += control->connections[i]->in.size + control->connections[i]->out.size;
    }
    return held > HM_CONTROL_BYTES_MAX;
}

static void set_waits(struct connection *connection, bool waits)
{
    if (connection->waits != waits) {
        connection->waits = waits;
        hm_watch_set(connection->watch, HM_WATCH_READ | (waits ? HM_WATCH_WRITE : 0));
    }
}

static void write_out(struct connection *connection)
{
    struct hm_buf *out = &connection->out;
    while (connection->out_at < out->size) {
        ssize_t done = send(connection->fd, out->data + connection->out_at,
                            out->size - connection->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 && errno == EAGAIN) {
            set_waits(connection, true);
            return;
        }
        if (done < 0) {
            doom(connection);
            return;
        }
        connection->out_at += (size_t)done;
    }
    set_waits(connection, false);
    connection->out_at = 0;
    if (out->capacity > KEEP_BYTES) {
        hm_buf_fini(out);
    } else {
        hm_buf_clear(out);
    }
}

void hm_control_flush(struct hm_control *control)
{
    for (size_t i = 0; i < control->count && control->dirty > 0; i++) {
        struct connection *connection = control->connections[i];
        if (connection->dirty) {
            connection->dirty = false;
            control->dirty--;
            if (!connection->waits && !connection->doomed) {
                write_out(connection);
            }
        }
    }
}

/* Hands on all whole messages; false when the connection breaks the rules. */
static bool take_messages(struct connection *connection)
{
    struct hm_control *control = connection->control;
    struct hm_reader in = hm_reader_of(hm_buf_view(&connection->in));
    size_t done = 0;
    while (hm_reader_left(&in) >= sizeof(uint32_t) && !connection->doomed) {
        uint32_t size = hm_get_u32(&in);
        if (size == 0 || size > HM_CONTROL_REQUEST_BYTES_MAX) {
            if (control->events.malformed) {
                ++*control->events.malformed;
            }
            return false;
        }
        if (size > hm_reader_left(&in)) {
            break;
        }
        control->events.message(control->events.context, connection->number, &connection->peer,
                                hm_get_bytes(&in, size));
        done += sizeof size + size;
    }
    memmove(connection->in.data, connection->in.data + done, connection->in.size - done);
    connection->in.size -= done;
    if (connection->in.size == 0) {
        hm_buf_fini(&connection->in);
    }
    return true;
}

static void on_ready(void *user, int events)
{
    struct connection *connection = user;
    struct hm_control *control = connection->control;
    if ((events & HM_WATCH_WRITE) && !connection->doomed) {
        write_out(connection);
    }
    if (!(events & HM_WATCH_READ)) {
        return;
    }
    size_t before = connection->in.size;
    uint8_t *into = hm_buf_extend(&connection->in, READ_BYTES);
    ssize_t got = recv(connection->fd, into, READ_BYTES, MSG_DONTWAIT);
    int why = errno;
    connection->in.size = before + (got > 0 ? (size_t)got : 0);
    bool alive = got > 0 || (got < 0 && (why == EAGAIN || why == EINTR));
    if (got > 0 && !connection->doomed) {
        alive = take_messages(connection) && !is_too_much(control, connection->in.size);
    }
    if (!alive) {
        uint64_t number = connection->number;
        drop(connection);
        control->events.closed(control->events.context, number);
    }
}

static void on_accept(void *user, int events)
{
    struct hm_control *control = user;
    struct ucred credentials = {0};
    socklen_t size = sizeof credentials;
    (void)events;
    int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            hm_watch_set(control->watch, 0);
            hm_timer_set(control->again, ACCEPT_PAUSE_MS);
        }
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        close(fd);
        return;
    }
    struct connection *connection = hm_alloc(1, sizeof *connection);
    connection->control = control;
    connection->number = ++control->last_number;
    connection->peer = (struct hm_control_peer){credentials.pid, credentials.uid, credentials.gid};
    connection->fd = fd;
    connection->watch = hm_watch_open(control->loop, fd, HM_WATCH_READ, on_ready, connection);
    hm_index_add(&control->by_number, connection->number, (uint32_t)control->count);
    control->connections[control->count++] = connection;
    if (control->count == HM_CONTROL_CONNECTIONS_MAX) {
        hm_watch_set(control->watch, 0); /* others wait in the backlog */
    }
}

static void on_again(void *user)
{
    struct hm_control *control = user;
    if (control->count < HM_CONTROL_CONNECTIONS_MAX) {
        hm_watch_set(control->watch, HM_WATCH_READ);
    }
}

void hm_control_reply(struct hm_control *control, uint64_t number, struct hm_bytes message)
{
    uint32_t place;
    struct connection *connection = find(control, number, &place);
    if (connection == NULL || connection->doomed) {
        return;
    }
    size_t waiting = connection->out.size - connection->out_at + message.size;
    if (waiting > HM_CONTROL_QUEUE_BYTES_MAX || is_too_much(control, waiting)) {
        doom(connection);
        return;
    }
    hm_put_u32(&connection->out, (uint32_t)message.size);
    hm_buf_append(&connection->out, message.data, message.size);
    control->dirty += !connection->dirty;
    connection->dirty = true;
}

struct hm_control *hm_control_adopt(uv_loop_t *loop, int fd, const struct hm_control_events *events)
{
    struct hm_control *control = hm_alloc(1, sizeof *control);
    control->loop = loop;
    control->events = *events;
    control->fd = fd;
    control->watch = hm_watch_open(loop, fd, HM_WATCH_READ, on_accept, control);
    control->again = hm_timer_open(loop, on_again, control);
    return control;
}

struct hm_control *hm_control_new(uv_loop_t *loop, const char *path,
                                  const struct hm_control_events *events, struct hm_buf *error)
{
    int fd = hm_control_listen(path, error);
    if (fd < 0) {
        return NULL;
    }
    struct hm_control *control = hm_control_adopt(loop, fd, events);
    memcpy(control->path, path, strlen(path));
    return control;
}

void hm_control_free(struct hm_control *control)
{
    if (control == NULL) {
        return;
    }
    hm_control_flush(control);
    hm_timer_close(control->again);
    hm_watch_close(control->watch);
    control->watch = NULL;
    while (control->count > 0) {
        drop(control->connections[control->count - 1]);
    }
    hm_index_fini(&control->by_number);
    close(control->fd);
    if (control->path[0]) {
        unlink(control->path);
    }
    hm_free(control);
}
