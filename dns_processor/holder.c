#include "dns_processor/socket.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTENING 10
#define LINE_BYTES    512

/* An address as /proc/net prints it: 32-bit words in host order. False: not of this length. */
static bool parse_words(const char *hex, uint8_t ip[16], size_t ip_bytes)
{
    if (strlen(hex) != 2 * ip_bytes) {
        return false;
    }
    memset(ip, 0, 16);
    for (size_t i = 0; i < ip_bytes; i += 4) {
        unsigned word;
        if (sscanf(hex + 2 * i, "%8x", &word) != 1) {
            return false;
        }
        memcpy(ip + i, &word, sizeof word);
    }
    return true;
}

/* The inode of a socket in this table that stands in the way of `addr`; 0 when there is none. */
static unsigned long find_inode(const char *table, size_t ip_bytes, const struct hm_addr *addr,
                                bool tcp)
{
    static const uint8_t zero[16];
    FILE *file = fopen(table, "re");
    if (!file) {
        return 0;
    }
    unsigned long found = 0;
    char line[LINE_BYTES];
    while (!found && fgets(line, sizeof line, file)) {
        char hex[33];
        unsigned port;
        unsigned state;
        unsigned long inode;
        uint8_t ip[16];
        if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f:] %x %*s %*s %*s %*u %*u %lu", hex,
                   &port, &state, &inode) != 4 ||
            port != addr->port || !parse_words(hex, ip, ip_bytes)) {
            continue;
        }
        bool same = ip_bytes == hm_addr_ip_bytes(addr) && memcmp(ip, addr->ip, sizeof ip) == 0;
        bool wildcard = memcmp(ip, zero, sizeof ip) == 0 || memcmp(addr->ip, zero, sizeof ip) == 0;
        if ((same || wildcard) && (!tcp || state == TCP_LISTENING)) {
            found = inode;
        }
    }
    (void)fclose(file);
    return found;
}

static bool has_inode(const char *pid, unsigned long inode)
{
    char wanted[64];
    char path[LINE_BYTES];
    (void)snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    (void)snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (!folder) {
        return false;
    }
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder)) != NULL;) {
        char target[64];
        (void)snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
        ssize_t size = readlink(path, target, sizeof target - 1);
        if (size > 0) {
            target[size] = '\0';
            found = strcmp(target, wanted) == 0;
        }
    }
    (void)closedir(folder);
    return found;
}

static void append_process(const char *pid, struct hm_buf *out)
{
    char path[LINE_BYTES];
    char name[64] = "a process";
    (void)snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file)) {
            name[strcspn(name, "\n")] = '\0';
        }
        (void)fclose(file);
    }
    hm_buf_printf(out, "%s (pid %s)", name, pid);
}

bool hm_dns_port_holder(const struct hm_addr *addr, bool tcp, struct hm_buf *out)
{
    unsigned long inode = find_inode(tcp ? "/proc/net/tcp" : "/proc/net/udp", 4, addr, tcp);
    if (!inode) {
        inode = find_inode(tcp ? "/proc/net/tcp6" : "/proc/net/udp6", 16, addr, tcp);
    }
    DIR *folder = inode ? opendir("/proc") : NULL;
    if (!folder) {
        return false;
    }
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(folder)) != NULL;) {
        char *end;
        found =
            strtoul(entry->d_name, &end, 10) > 0 && *end == '\0' && has_inode(entry->d_name, inode);
        if (found) {
            append_process(entry->d_name, out);
        }
    }
    (void)closedir(folder);
    return found;
}
