/* What a health check reads of an HTTP/1 answer: its status. Nothing is kept of the bytes, which
 * are a stranger's. Our own, and not a library, for its size alone: libcurl with what it loads made
 * a node of 3 MiB one of 12. */
#ifndef HM_MODULES_HOST_HTTP_H
#define HM_MODULES_HOST_HTTP_H

#include "core/base/bytes.h"

/* Header lines and interim answers together. */
#define HM_HTTP_HEADER_BYTES_MAX (16u << 10)

enum hm_http_progress {
    HM_HTTP_MORE, /* bytes are missing */
    HM_HTTP_DONE, /* the header is whole: `status` is that of the answer */
    HM_HTTP_BAD,  /* no HTTP/1 answer, or too long a header */
};

/* Zeroed at the start. */
struct hm_http_answer {
    uint16_t status; /* 100 to 999 once its line has been read */
    uint8_t state;
    uint8_t at;     /* bytes of the status line that were read */
    uint32_t bytes; /* <= HM_HTTP_HEADER_BYTES_MAX */
};

/* Reads on, in whatever pieces the bytes come (RFC 9112, sections 2.2, 4 and 5). Interim answers
 * (1xx) are passed over. After DONE or BAD it is not called again. */
enum hm_http_progress hm_http_read(struct hm_http_answer *answer, struct hm_bytes bytes);

/* Appends the request for a path, which has neither spaces nor control characters. */
void hm_http_ask(const char *host, const char *path, struct hm_buf *out);

#endif
