/* The insides of a draft and the words of a snapshot, for draft.c, snapshot.c and view.c alone. */
#ifndef HM_NGX_DRAFT_H
#define HM_NGX_DRAFT_H

#include "ngx_hivemind/snapshot.h"

struct hm_draft_service {
    struct hm_name name;
    struct hm_table_endpoint *endpoints;
    size_t endpoint_count, endpoint_capacity;
    struct hm_index index; /* by address */
};

struct hm_draft_vhost {
    uint8_t size;
    uint8_t name[HM_TABLE_VHOST_MAX]; /* lower case */
    uint32_t service;
};

/* A snapshot is 32-bit words of the machine's own order (the file never travels), then text. Words
 * alone decide where to look, and they are read one by one, each once. */
enum { WORD = 4 };

enum header_word {
    HEADER_CHECKSUM, /* CRC-32C over all behind it */
    HEADER_USED,     /* bytes, this header included */
    HEADER_SERVICES,
    HEADER_ENDPOINTS,
    HEADER_VHOSTS,
    HEADER_TEXT,          /* bytes */
    HEADER_SERVICE_SLOTS, /* 0 or a power of two */
    HEADER_VHOST_SLOTS,
    HEADER_WORDS
};

enum service_word {
    SERVICE_NAME, /* offset into the text */
    SERVICE_NAME_SIZE,
    SERVICE_FIRST,
    SERVICE_COUNTS,
    SERVICE_WEIGHTS = SERVICE_COUNTS + HM_TABLE_STATES,
    SERVICE_WORDS = SERVICE_WEIGHTS + HM_TABLE_STATES
};

enum endpoint_word {
    ENDPOINT_IP,       /* four words, network order */
    ENDPOINT_PORT = 4, /* port, family << 16, state << 24 */
    ENDPOINT_WEIGHT,
    ENDPOINT_BEFORE,
    ENDPOINT_HOST,
    ENDPOINT_HOST_SIZE,
    ENDPOINT_WORDS
};

enum vhost_word { VHOST_NAME, VHOST_NAME_SIZE, VHOST_SERVICE, VHOST_WORDS };

uint64_t hm_table_hash(struct hm_bytes name);
void hm_table_lower(uint8_t *out, struct hm_bytes name);

#endif
