/* Who holds a port: /proc/net gives the inode of its socket, /proc/PID/fd who has that open. */
#include "core/include/hivemind/module.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 512
#define TCP_LISTEN 10

/* An address as /proc/net prints it: 32-bit words in host order. A mapped address becomes the IPv4
 * one that it is. */
static bool parse_ip(const char *hex, struct hm_addr *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t size = strlen(hex) / 2;
    *out = (struct hm_addr){.family = size == 4 ? 4 : 6};
    for (size_t i = 0; i < size; i += 4) {
        unsigned word;
        if (sscanf(hex + 2 * i, "%8x", &word) != 1) {
            return false;
        }
        memcpy(out->ip + i, &word, sizeof word);
    }
    if (size == 16 && memcmp(out->ip, mapped, sizeof mapped) == 0) {
        memmove(out->ip, out->ip + sizeof mapped, 4);
        memset(out->ip + 4, 0, sizeof out->ip - 4);
        out->family = 4;
    }
    return size == 4 || size == 16;
}

/* Two sockets cannot have one port when one of them is bound to every address. */
static bool is_in_the_way(const struct hm_addr *held, const struct hm_addr *addr)
{
    static const uint8_t zero[16];
    bool wildcard =
        memcmp(held->ip, zero, sizeof zero) == 0 || memcmp(addr->ip, zero, sizeof zero) == 0;
    return wildcard || hm_addr_same_ip(held, addr);
}

/* The inode of a socket of this table that stands in the way of `addr`; 0 when there is none. */
static uint64_t inode_in(const char *table, const struct hm_addr *addr, bool tcp)
{
    char line[LINE_BYTES];
    uint64_t found = 0;
    FILE *file = fopen(table, "re");
    if (file == NULL) {
        return 0;
    }
    while (found == 0 && fgets(line, sizeof line, file) != NULL) {
        char hex[33];
        unsigned port;
        unsigned socket_state;
        uint64_t inode;
        struct hm_addr held;
        if (sscanf(line,
                   " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*[0-9A-Fa-f:] %*[0-9A-Fa-f:] "
                   "%*x %*u %*u %" SCNu64,
                   hex, &port, &socket_state, &inode) == 4 &&
            port == addr->port && (!tcp || socket_state == TCP_LISTEN) && parse_ip(hex, &held) &&
            is_in_the_way(&held, addr)) {
            found = inode;
        }
    }
    (void)fclose(file);
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
        (void)fclose(file);
    }
    hm_buf_printf(out, "%s (pid %.20s)", name, pid);
}

bool hm_module_port_holder(const struct hm_addr *addr, bool tcp, struct hm_buf *out)
{
    uint64_t inode = inode_in(tcp ? "/proc/net/tcp" : "/proc/net/udp", addr, tcp);
    if (inode == 0) {
        inode = inode_in(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", addr, tcp);
    }
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%" PRIu64 "]", inode);
    DIR *processes = inode != 0 ? opendir("/proc") : NULL;
    bool found = false;
    if (processes == NULL) {
        return false;
    }
    struct dirent *entry;
    while (!found && (entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && has_open(entry->d_name, wanted)) {
            append_process(entry->d_name, out);
            found = true;
        }
    }
    closedir(processes);
    return found;
}
