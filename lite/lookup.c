#include "lite/lookup.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <nss.h>
#endif

/* RFC 1123, section 2.1. A last label of digits alone is a mistyped address. */
static bool is_domain(const char *text, size_t size)
{
    struct hm_name label;
    bool digits = true;
    size -= size > 1 && text[size - 1] == '.';
    for (size_t start = 0, at = 0; at <= size; at++) {
        if (at < size && text[at] != '.') {
            digits = digits && isdigit((unsigned char)text[at]);
            continue;
        }
        if (!hm_name_set(&label, text + start, at - start) || !hm_name_is_label(&label)) {
            return false;
        }
        start = at + 1;
        if (at < size) {
            digits = true;
        }
    }
    return !digits;
}

bool lite_place_read(struct lite_place *place, const char *text, uint16_t port_default)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : strlen(text);
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : port_default;
    *place = (struct lite_place){.text = text};
    if (hm_addr_parse(text, port_default, &place->literal)) {
        return place->literal.port != 0;
    }
    if ((colon && (!isdigit((unsigned char)colon[1]) || *end)) || port < 1 || port > UINT16_MAX ||
        size >= LITE_HOST_MAX || !is_domain(text, size)) {
        return false;
    }
    memcpy(place->host, text, size);
    place->port = (uint16_t)port;
    return true;
}

void lite_lookup_init(void)
{
#ifdef __GLIBC__
    (void)__nss_configure_lookup("hosts", "files dns");
#endif
    (void)setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
}

static size_t add(struct hm_addr *out, size_t count, size_t most, const struct hm_addr *addr)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_addr_equal(&out[i], addr)) {
            return count;
        }
    }
    if (count < most) {
        out[count++] = *addr;
    }
    return count;
}

static bool read_found(const struct addrinfo *found, uint16_t port, struct hm_addr *out)
{
    *out = (struct hm_addr){.port = port};
    if (found->ai_family == AF_INET) {
        out->family = 4;
        memcpy(out->ip, &((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr, 4);
    } else if (found->ai_family == AF_INET6) {
        out->family = 6;
        memcpy(out->ip, &((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr, 16);
    }
    return out->family != 0;
}

size_t lite_look_up(struct lite_place *places, size_t count, struct hm_addr *out, size_t most)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    size_t found_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct lite_place *place = &places[i];
        struct addrinfo *found = NULL;
        struct hm_addr addr;
        if (place->host[0] == '\0') {
            found_count = add(out, found_count, most, &place->literal);
            continue;
        }
        int failed = getaddrinfo(place->host, NULL, &hints, &found);
        place->why = failed ? gai_strerror(failed) : NULL;
        for (const struct addrinfo *at = failed ? NULL : found; at; at = at->ai_next) {
            if (read_found(at, place->port, &addr)) {
                found_count = add(out, found_count, most, &addr);
            }
        }
        if (!failed) {
            freeaddrinfo(found);
        }
    }
    return found_count;
}
