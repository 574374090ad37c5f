#include "core/base/ids.h"

#include "core/base/assert.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool hm_id_is_none(const struct hm_id *id)
{
    static const struct hm_id none;
    return hm_id_equal(id, &none);
}

bool hm_id_equal(const struct hm_id *a, const struct hm_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int hm_id_compare(const struct hm_id *a, const struct hm_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

static int digit_of(char letter)
{
    return letter >= '0' && letter <= '9'   ? letter - '0'
           : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                            : -1;
}

bool hm_id_parse(const char *text, size_t size, struct hm_id *out)
{
    struct hm_id id;
    if (size != 2 * sizeof id.bytes) {
        return false;
    }
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = id;
    return true;
}

const char *hm_id_format(const struct hm_id *id, char text[HM_ID_TEXT_BYTES])
{
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        snprintf(text + 2 * i, 3, "%02x", id->bytes[i]);
    }
    return text;
}

bool hm_name_set(struct hm_name *out, const char *text, size_t size)
{
    if (size > HM_NAME_MAX || (size && memchr(text, 0, size))) {
        return false;
    }
    *out = (struct hm_name){.size = (uint8_t)size};
    if (size) {
        memcpy(out->text, text, size);
    }
    return true;
}

struct hm_name hm_name_of(const char *text)
{
    struct hm_name name = {0};
    bool fits = hm_name_set(&name, text, strlen(text));
    HM_ASSERT(fits);
    return name;
}

bool hm_name_equal(const struct hm_name *a, const struct hm_name *b)
{
    return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

bool hm_name_equal_nocase(const struct hm_name *a, const struct hm_name *b)
{
    return a->size == b->size && strncasecmp(a->text, b->text, a->size) == 0;
}

struct hm_name hm_name_lower(const struct hm_name *name)
{
    struct hm_name lower = *name;
    for (size_t i = 0; i < lower.size; i++) {
        lower.text[i] = (char)tolower((unsigned char)lower.text[i]);
    }
    return lower;
}

bool hm_name_is(const struct hm_name *name, const char *text)
{
    return strlen(text) == name->size && memcmp(name->text, text, name->size) == 0;
}

bool hm_name_is_label(const struct hm_name *name)
{
    for (size_t i = 0; i < name->size; i++) {
        unsigned char letter = (unsigned char)name->text[i];
        bool edge = i == 0 || i + 1u == name->size;
        if (letter >= 0x80 || !(isalnum(letter) || (letter == '-' && !edge))) {
            return false;
        }
    }
    return name->size > 0;
}

bool hm_addr_is_none(const struct hm_addr *addr)
{
    return addr->family == 0;
}

size_t hm_addr_ip_bytes(const struct hm_addr *addr)
{
    return addr->family == 4 ? 4 : addr->family == 6 ? 16 : 0;
}

bool hm_addr_same_ip(const struct hm_addr *a, const struct hm_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, hm_addr_ip_bytes(a)) == 0;
}

bool hm_addr_equal(const struct hm_addr *a, const struct hm_addr *b)
{
    return a->port == b->port && hm_addr_same_ip(a, b);
}

bool hm_addr_is_loopback(const struct hm_addr *addr)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return addr->family == 4 ? addr->ip[0] == 127
                             : addr->family == 6 && memcmp(addr->ip, loopback6, 16) == 0;
}

const char *hm_addr_format_ip(const struct hm_addr *addr, char text[HM_ADDR_TEXT_BYTES])
{
    int family = addr->family == 4 ? AF_INET : AF_INET6;
    if (addr->family == 0) {
        return memcpy(text, "none", sizeof("none"));
    }
    return inet_ntop(family, addr->ip, text, HM_ADDR_TEXT_BYTES);
}

const char *hm_addr_format(const struct hm_addr *addr, char text[HM_ADDR_TEXT_BYTES])
{
    if (addr->family == 0) {
        return hm_addr_format_ip(addr, text);
    }
    char ip[HM_ADDR_TEXT_BYTES];
    hm_addr_format_ip(addr, ip);
    snprintf(text, HM_ADDR_TEXT_BYTES, addr->family == 6 ? "[%.45s]:%u" : "%.45s:%u", ip,
             addr->port);
    return text;
}

static bool parse_port(const char *text, uint16_t *port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits]) {
        return false;
    }
    unsigned long value = strtoul(text, NULL, 10);
    *port = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

/* Splits "IP:PORT" and "[IP]:PORT"; a bare IPv6 address has more than one colon and no port. */
static bool split_port(const char *text, char ip[HM_ADDR_TEXT_BYTES], const char **port)
{
    const char *start = text;
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    *port = NULL;
    if (*text == '[') {
        const char *bracket = strchr(text, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':')) {
            return false;
        }
        start = text + 1;
        end = bracket;
        *port = bracket[1] ? bracket + 2 : NULL;
    } else if (colon && strchr(text, ':') == colon) {
        end = colon;
        *port = colon + 1;
    }
    size_t size = (size_t)(end - start);
    if (size >= HM_ADDR_TEXT_BYTES) {
        return false;
    }
    memcpy(ip, start, size);
    ip[size] = 0;
    return true;
}

bool hm_addr_parse(const char *text, uint16_t port_default, struct hm_addr *out)
{
    char ip[HM_ADDR_TEXT_BYTES];
    const char *port_text;
    struct hm_addr addr = {.port = port_default};
    if (!split_port(text, ip, &port_text) || (port_text && !parse_port(port_text, &addr.port))) {
        return false;
    }
    if (inet_pton(AF_INET, ip, addr.ip) == 1) {
        addr.family = 4;
    } else if (inet_pton(AF_INET6, ip, addr.ip) == 1) {
        addr.family = 6;
    } else {
        return false;
    }
    *out = addr;
    return true;
}
