/* Owner names in lower-case wire form, and the text that people write. Off the hot path. */
#ifndef HM_DNS_NAME_H
#define HM_DNS_NAME_H

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/status.h"

#define HM_DNS_NAME_MAX   255
#define HM_DNS_LABEL_MAX  63
#define HM_DNS_LABELS_MAX 127

/* Uncompressed labels up to and with the root label, lower case (RFC 1035, section 3.1). */
struct hm_dns_name {
    uint8_t size; /* 1 .. 255 */
    uint8_t wire[HM_DNS_NAME_MAX];
};

/* Reads text, dotted at the end or not, with RFC 1035 escapes. HM_BAD_ARGUMENT, `out` untouched,
 * when it is no domain name. */
HM_MUST_USE enum hm_status hm_dns_name_parse(const char *text, struct hm_dns_name *out);

/* `text` relative to `origin`, absolute when it ends in a dot; "@" is the origin. */
HM_MUST_USE enum hm_status hm_dns_name_parse_in(const char *text, const struct hm_dns_name *origin,
                                                struct hm_dns_name *out);

/* Text without the last dot ("." for the root), escaped; returns `text`. */
#define HM_DNS_NAME_TEXT_BYTES 1024
const char *hm_dns_name_format(const struct hm_dns_name *name, char text[HM_DNS_NAME_TEXT_BYTES]);

/* `label` put before `base`, lower-cased. HM_TOO_LARGE, `out` untouched, beyond 255 bytes. */
HM_MUST_USE enum hm_status
hm_dns_name_prepend(struct hm_bytes label, const struct hm_dns_name *base, struct hm_dns_name *out);

bool hm_dns_name_equal(const struct hm_dns_name *a, const struct hm_dns_name *b);

/* How many labels of `name` stand before `origin`; -1 when it is not within. */
int hm_dns_name_labels_before(const struct hm_dns_name *name, const struct hm_dns_name *origin);

/* Where the name under `ip` is looked up: in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5).
 * Only the first `prefix_bits` count, a multiple of 8 (IPv4) or 4 (IPv6). */
struct hm_dns_name hm_dns_name_reverse(const struct hm_addr *addr, unsigned prefix_bits);

static inline struct hm_bytes hm_dns_name_bytes(const struct hm_dns_name *name)
{
    return (struct hm_bytes){name->wire, name->size};
}

#endif
