#include "dns_processor/name.h"

#include "core/base/assert.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <string.h>

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

enum hm_status hm_dns_name_parse(const char *text, struct hm_dns_name *out)
{
    ldns_rdf *rdf = NULL;
    if (ldns_str2rdf_dname(&rdf, text) != LDNS_STATUS_OK) {
        return HM_BAD_ARGUMENT;
    }
    size_t size = ldns_rdf_size(rdf);
    bool fits = size > 0 && size <= HM_DNS_NAME_MAX;
    if (fits) {
        /* Length bytes are at most 63, below 'A': lowering them changes nothing. */
        const uint8_t *wire = ldns_rdf_data(rdf);
        for (size_t i = 0; i < size; i++) {
            out->wire[i] = lower(wire[i]);
        }
        out->size = (uint8_t)size;
    }
    ldns_rdf_deep_free(rdf);
    return fits ? HM_OK : HM_BAD_ARGUMENT;
}

enum hm_status hm_dns_name_parse_in(const char *text, const struct hm_dns_name *origin,
                                    struct hm_dns_name *out)
{
    size_t length = strlen(text);
    if (strcmp(text, "@") == 0) {
        *out = *origin;
        return HM_OK;
    }
    struct hm_dns_name name;
    if (length == 0 || hm_dns_name_parse(text, &name) != HM_OK) {
        return HM_BAD_ARGUMENT;
    }
    if (text[length - 1] != '.') {
        size_t relative = (size_t)name.size - 1;
        if (relative + origin->size > HM_DNS_NAME_MAX) {
            return HM_BAD_ARGUMENT;
        }
        memcpy(name.wire + relative, origin->wire, origin->size);
        name.size = (uint8_t)(relative + origin->size);
    }
    *out = name;
    return HM_OK;
}

const char *hm_dns_name_format(const struct hm_dns_name *name, char text[HM_DNS_NAME_TEXT_BYTES])
{
    ldns_rdf *rdf = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name->size, name->wire);
    char *printed = rdf ? ldns_rdf2str(rdf) : NULL;
    HM_ASSERT(printed != NULL);
    size_t length = strlen(printed);
    HM_ASSERT(length < HM_DNS_NAME_TEXT_BYTES);
    memcpy(text, printed, length + 1);
    if (length > 1 && text[length - 1] == '.') {
        text[length - 1] = '\0';
    }
    LDNS_FREE(printed);
    ldns_rdf_deep_free(rdf);
    return text;
}

enum hm_status hm_dns_name_prepend(struct hm_bytes label, const struct hm_dns_name *base,
                                   struct hm_dns_name *out)
{
    HM_ASSERT(label.size > 0);
    if (label.size > HM_DNS_LABEL_MAX || label.size + 1 + base->size > HM_DNS_NAME_MAX) {
        return HM_TOO_LARGE;
    }
    struct hm_dns_name name;
    name.wire[0] = (uint8_t)label.size;
    for (size_t i = 0; i < label.size; i++) {
        name.wire[1 + i] = lower(label.data[i]);
    }
    memcpy(name.wire + 1 + label.size, base->wire, base->size);
    name.size = (uint8_t)(label.size + 1 + base->size);
    *out = name;
    return HM_OK;
}

bool hm_dns_name_equal(const struct hm_dns_name *a, const struct hm_dns_name *b)
{
    return a->size == b->size && memcmp(a->wire, b->wire, a->size) == 0;
}

int hm_dns_name_labels_before(const struct hm_dns_name *name, const struct hm_dns_name *origin)
{
    int labels = 0;
    for (size_t at = 0; name->size - at >= origin->size; labels++) {
        if (name->size - at == origin->size) {
            return memcmp(name->wire + at, origin->wire, origin->size) == 0 ? labels : -1;
        }
        at += (size_t)name->wire[at] + 1;
    }
    return -1;
}

struct hm_dns_name hm_dns_name_reverse(const struct hm_addr *addr, unsigned prefix_bits)
{
    unsigned label_bits = addr->family == 4 ? 8 : 4;
    HM_ASSERT(prefix_bits <= 8 * hm_addr_ip_bytes(addr) && prefix_bits % label_bits == 0);
    struct hm_dns_name name;
    size_t size = 0;
    for (unsigned bits = prefix_bits; bits > 0; bits -= label_bits) {
        char label[4];
        if (addr->family == 4) {
            (void)snprintf(label, sizeof label, "%u", addr->ip[bits / 8 - 1]);
        } else {
            unsigned nibble = bits / 4 - 1;
            uint8_t byte = addr->ip[nibble / 2];
            (void)snprintf(label, sizeof label, "%x",
                           nibble % 2 ? (unsigned)byte & 15U : (unsigned)byte >> 4);
        }
        size_t length = strlen(label);
        name.wire[size] = (uint8_t)length;
        memcpy(name.wire + size + 1, label, length);
        size += 1 + length;
    }
    static const char arpa4[] = "\7in-addr\4arpa";
    static const char arpa6[] = "\3ip6\4arpa";
    const char *arpa = addr->family == 4 ? arpa4 : arpa6;
    size_t arpa_size = (addr->family == 4 ? sizeof arpa4 : sizeof arpa6); /* the NUL is the root */
    memcpy(name.wire + size, arpa, arpa_size);
    name.size = (uint8_t)(size + arpa_size);
    return name;
}
