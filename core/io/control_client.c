/* The command's side of the control socket. */
#include "core/io/control.h"
#include "core/io/group.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SEND_TIMEOUT_S 5

enum hm_status hm_control_connect(const char *path, struct hm_control_client *out,
                                  struct hm_buf *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = SEND_TIMEOUT_S};
    if (strlen(path) >= sizeof name.sun_path) {
        hm_buf_printf(error,
                      "no node answers on %s: the path is too long for a socket, at most %zu bytes",
                      path, sizeof name.sun_path - 1);
        return HM_UNREACHABLE;
    }
    memcpy(name.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) != 0) {
        int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        if (why == EACCES || why == EPERM) {
            hm_buf_printf(error,
                          "%s: not allowed; it is for its user and the group " HM_GROUP
                          ": become one of them (usermod -a -G " HM_GROUP " USER), or use sudo",
                          path);
            return HM_DENIED;
        }
        hm_buf_printf(error, "no node answers on %s: %s", path, strerror(why));
        return HM_UNREACHABLE;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    out->fd = fd;
    return HM_OK;
}

enum hm_status hm_control_send(struct hm_control_client *client, const struct hm_message *message)
{
    struct hm_buf body = {0};
    struct hm_buf frame = {0};
    enum hm_status status = HM_OK;
    hm_message_encode(&body, message);
    hm_put_u32(&frame, (uint32_t)body.size);
    hm_buf_append(&frame, body.data, body.size);
    for (size_t at = 0; at < frame.size && status == HM_OK;) {
        ssize_t done = send(client->fd, frame.data + at, frame.size - at, MSG_NOSIGNAL);
        if (done >= 0) {
            at += (size_t)done;
        } else if (errno != EINTR) {
            status = errno == EAGAIN ? HM_TIMEOUT : HM_IO;
        }
    }
    hm_buf_fini(&body);
    hm_buf_fini(&frame);
    return status;
}

static hm_ms now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (hm_ms)now.tv_sec * 1000 + (hm_ms)now.tv_nsec / 1000000;
}

/* Reads exactly `size` bytes before the deadline. */
static enum hm_status read_all(int fd, uint8_t *into, size_t size, hm_ms deadline)
{
    while (size > 0) {
        hm_ms now = now_ms();
        hm_ms left = deadline == HM_NEVER ? HM_NEVER : deadline > now ? deadline - now : 0;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = poll(&wait, 1, left == HM_NEVER ? -1 : left < 60000 ? (int)left : 60000);
        if (ready == 0 && left <= 60000) {
            return HM_TIMEOUT;
        }
        if (ready <= 0) {
            if (ready < 0 && errno != EINTR) {
                return HM_IO;
            }
            continue;
        }
        ssize_t got = recv(fd, into, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return HM_IO;
        }
        into += got;
        size -= (size_t)got;
    }
    return HM_OK;
}

enum hm_status hm_control_receive(struct hm_control_client *client, hm_ms timeout,
                                  struct hm_arena *arena, struct hm_message *out)
{
    uint8_t start[4];
    hm_ms deadline = timeout == HM_NEVER ? HM_NEVER : now_ms() + timeout;
    enum hm_status status = read_all(client->fd, start, sizeof start, deadline);
    if (status != HM_OK) {
        return status;
    }
    struct hm_reader head = hm_reader_of((struct hm_bytes){start, sizeof start});
    uint32_t size = hm_get_u32(&head);
    if (size == 0 || size > HM_WIRE_MESSAGE_BYTES_MAX + 16) {
        return HM_BAD_BYTES;
    }
    uint8_t *body = hm_arena_alloc(arena, size, 1);
    status = read_all(client->fd, body, size, deadline);
    if (status != HM_OK) {
        return status;
    }
    struct hm_reader in = hm_reader_of((struct hm_bytes){body, size});
    status = hm_message_decode(&in, arena, out);
    return status == HM_OK && hm_reader_left(&in) > 0 ? HM_BAD_BYTES : status;
}

void hm_control_close(struct hm_control_client *client)
{
    close(client->fd);
    client->fd = -1;
}
