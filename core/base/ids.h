/* What things are called: node ids, names, addresses, versions, milliseconds. */
#ifndef HM_BASE_IDS_H
#define HM_BASE_IDS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Monotonic milliseconds since a moment that the adapter chose. Engines are told the time. */
typedef uint64_t hm_ms;
#define HM_NEVER UINT64_MAX

/* 128 random bits; all zero means "none". */
struct hm_id {
    uint8_t bytes[16];
};

#define HM_NAME_MAX 63

/* A short name of at most 63 bytes, NUL-terminated; the bytes behind `size` are zero. */
struct hm_name {
    uint8_t size;
    char text[HM_NAME_MAX + 1];
};

/* An IP address and port, host byte order. family is 4, 6, or 0 for "none"; of `ip` the first 4 or
 * all 16 bytes count, the others are zero. */
struct hm_addr {
    uint8_t family;
    uint8_t ip[16];
    uint16_t port;
};

#define HM_ID_TEXT_BYTES   33
#define HM_ADDR_TEXT_BYTES 56

bool hm_id_is_none(const struct hm_id *id);
bool hm_id_equal(const struct hm_id *a, const struct hm_id *b);
int hm_id_compare(const struct hm_id *a, const struct hm_id *b);
/* 32 hex digits; returns `text`. */
const char *hm_id_format(const struct hm_id *id, char text[HM_ID_TEXT_BYTES]);
/* The same back; false, `out` untouched, when it is none. */
HM_MUST_USE bool hm_id_parse(const char *text, size_t size, struct hm_id *out);

/* False, `out` untouched, when the text is longer than HM_NAME_MAX or has a NUL in it. */
HM_MUST_USE bool hm_name_set(struct hm_name *out, const char *text, size_t size);
/* For text known to fit (literals, tables): asserts. */
struct hm_name hm_name_of(const char *text);
bool hm_name_equal(const struct hm_name *a, const struct hm_name *b);
/* Compares without case, as DNS does (RFC 4343). */
bool hm_name_equal_nocase(const struct hm_name *a, const struct hm_name *b);
struct hm_name hm_name_lower(const struct hm_name *name);
bool hm_name_is(const struct hm_name *name, const char *text);
/* A DNS label of letters, digits and inner hyphens (RFC 1123, section 2.1). */
bool hm_name_is_label(const struct hm_name *name);

bool hm_addr_is_none(const struct hm_addr *addr);
bool hm_addr_equal(const struct hm_addr *a, const struct hm_addr *b);
bool hm_addr_same_ip(const struct hm_addr *a, const struct hm_addr *b);
bool hm_addr_is_loopback(const struct hm_addr *addr);
size_t hm_addr_ip_bytes(const struct hm_addr *addr);
/* "10.0.0.1:9610" or "[2001:db8::1]:9610"; returns `text`. */
const char *hm_addr_format(const struct hm_addr *addr, char text[HM_ADDR_TEXT_BYTES]);
/* The same without the port and brackets. */
const char *hm_addr_format_ip(const struct hm_addr *addr, char text[HM_ADDR_TEXT_BYTES]);
/* Reads "IP", "IP:PORT", "[IP6]:PORT"; without a port it is `port_default`. */
HM_MUST_USE bool hm_addr_parse(const char *text, uint16_t port_default, struct hm_addr *out);

#endif
