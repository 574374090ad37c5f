#include "modules/host/http.h"

enum state {
    STATUS_LINE, /* "HTTP/1.", a digit, a space, three digits */
    REASON,      /* the rest of that line */
    LINE_START,
    LINE,
    LAST_LINE, /* after the CR of an empty line */
};

/* What stands where in a status line; 0: a digit. */
static const char status_line[] = {'H', 'T', 'T', 'P', '/', '1', '.', 0, ' ', 0, 0, 0};
#define STATUS_AT 9

static bool read_status_line(struct hm_http_answer *answer, uint8_t byte)
{
    uint8_t at = answer->at++;
    if (at == sizeof status_line) {
        answer->state = byte == '\n' ? LINE_START : REASON;
        return answer->status >= 100 && (byte == ' ' || byte == '\r' || byte == '\n');
    }
    if (status_line[at] != 0) {
        return byte == (uint8_t)status_line[at];
    }
    if (byte < '0' || byte > '9') {
        return false;
    }
    if (at >= STATUS_AT) {
        answer->status = (uint16_t)(answer->status * 10 + (byte - '0'));
    }
    return true;
}

/* After 101 comes another protocol, so it is the last word. */
static bool is_interim(uint16_t status)
{
    return status < 200 && status != 101;
}

static enum hm_http_progress end_of_header(struct hm_http_answer *answer)
{
    if (!is_interim(answer->status)) {
        return HM_HTTP_DONE;
    }
    *answer = (struct hm_http_answer){.bytes = answer->bytes};
    return HM_HTTP_MORE;
}

static enum hm_http_progress read_byte(struct hm_http_answer *answer, uint8_t byte)
{
    switch ((enum state)answer->state) {
    case STATUS_LINE:
        return read_status_line(answer, byte) ? HM_HTTP_MORE : HM_HTTP_BAD;
    case LINE_START:
        if (byte == '\n') {
            return end_of_header(answer);
        }
        answer->state = byte == '\r' ? LAST_LINE : LINE;
        return HM_HTTP_MORE;
    case LAST_LINE:
        return byte == '\n' ? end_of_header(answer) : HM_HTTP_BAD;
    case REASON:
    case LINE:
        if (byte == '\n') {
            answer->state = LINE_START;
        }
        return HM_HTTP_MORE;
    }
    return HM_HTTP_BAD;
}

enum hm_http_progress hm_http_read(struct hm_http_answer *answer, struct hm_bytes bytes)
{
    enum hm_http_progress progress = HM_HTTP_MORE;
    for (size_t i = 0; i < bytes.size && progress == HM_HTTP_MORE; i++) {
        if (answer->bytes == HM_HTTP_HEADER_BYTES_MAX) {
            return HM_HTTP_BAD;
        }
        answer->bytes++;
        progress = read_byte(answer, bytes.data[i]);
    }
    return progress;
}

void hm_http_ask(const char *host, const char *path, struct hm_buf *out)
{
    hm_buf_printf(out,
                  "GET %s HTTP/1.1\r\n"
                  "Host: %s\r\n"
                  "User-Agent: hivemind-check\r\n"
                  "Accept: */*\r\n"
                  "Connection: close\r\n"
                  "\r\n",
                  path, host);
}
