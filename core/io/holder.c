/* Who holds a port: /proc/net gives the inode of its socket, /proc/PID/fd who has that open. */
#include "core/io/socket.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 512
#define TCP_LISTEN 10

/* The inode of a socket on this port in one of the tables; 0 when there is none. An exact address
 * is not asked for: a wildcard in the way is in the way too. */
static uint64_t inode_in(const char *table, uint16_t port, bool tcp)
{
    char line[LINE_BYTES];
    uint64_t found = 0;
    FILE *file = fopen(table, "re");
    if (file == NULL) {
        return 0;
    }
    while (found == 0 && fgets(line, sizeof line, file) != NULL) {
        unsigned local;
        unsigned socket_state;
        uint64_t inode;
        if (sscanf(line,
                   " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*[0-9A-Fa-f:] %*[0-9A-Fa-f:] "
                   "%*x %*u %*u %" SCNu64,
                   &local, &socket_state, &inode) == 3 &&
            local == port && (!tcp || socket_state == TCP_LISTEN)) {
            found = inode;
        }
    }
    fclose(file);
    return found;
}

static bool has_open(const char *pid, const char *wanted)
{
    char path[LINE_BYTES];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *fds = opendir(path);
    if (fds == NULL) {
        return false;
    }
    struct dirent *entry;
    while (!found && (entry = readdir(fds)) != NULL) {
        char target[64] = {0};
        ssize_t size = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
        found = size > 0 && strcmp(target, wanted) == 0;
    }
    closedir(fds);
    return found;
}

static void append_process(const char *pid, struct hm_buf *out)
{
    char path[64];
    char name[64] = "a process";
    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof name, file) != NULL) {
            name[strcspn(name, "\n")] = 0;
        }
        fclose(file);
    }
    hm_buf_printf(out, "%s (pid %.20s)", name, pid);
}

void hm_socket_holder(const struct hm_addr *addr, bool tcp, struct hm_buf *out)
{
    uint64_t inode = inode_in(tcp ? "/proc/net/tcp" : "/proc/net/udp", addr->port, tcp);
    if (inode == 0) {
        inode = inode_in(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", addr->port, tcp);
    }
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    DIR *processes = inode != 0 ? opendir("/proc") : NULL;
    bool found = false;
    if (processes != NULL) {
        struct dirent *entry;
        while (!found && (entry = readdir(processes)) != NULL) {
            if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
                has_open(entry->d_name, wanted)) {
                append_process(entry->d_name, out);
                found = true;
            }
        }
        closedir(processes);
    }
    if (!found) {
        hm_buf_append_text(out, "another process");
    }
}
