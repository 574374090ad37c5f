#include "core/io/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool hm_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t size = path != NULL ? strlen(path) : 0;
    if (size < 2 || size >= sizeof name.sun_path || (path[0] != '/' && path[0] != '@')) {
        return false;
    }
    memcpy(name.sun_path, path, size);
    if (path[0] == '@') {
        name.sun_path[0] = 0; /* the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    bool sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&name, length) ==
                (ssize_t)strlen(state);
    close(fd);
    return sent;
}
