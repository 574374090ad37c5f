/* What a health check reads of HTTP answers, in one piece and byte by byte. */
#include "modules/host/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static enum hm_http_progress read_whole(struct hm_bytes bytes, uint16_t *status)
{
    struct hm_http_answer answer = {0};
    enum hm_http_progress progress = hm_http_read(&answer, bytes);
    *status = answer.status;
    return progress;
}

static enum hm_http_progress read_bytes(struct hm_bytes bytes, uint16_t *status)
{
    struct hm_http_answer answer = {0};
    enum hm_http_progress progress = HM_HTTP_MORE;
    for (size_t i = 0; i < bytes.size && progress == HM_HTTP_MORE; i++) {
        progress = hm_http_read(&answer, (struct hm_bytes){bytes.data + i, 1});
    }
    *status = answer.status;
    return progress;
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum hm_http_progress progress;
        uint16_t status; /* of DONE */
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", HM_HTTP_DONE, 200},
        {"HTTP/1.0 404 Not Found\n\n", HM_HTTP_DONE, 404},
        {"HTTP/1.1 204\r\n\r\n", HM_HTTP_DONE, 204},
        {"HTTP/1.1 204 \r\n\r\n", HM_HTTP_DONE, 204},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102\r\nA: b\r\n\r\nHTTP/1.1 503 No\r\n\r\n",
         HM_HTTP_DONE, 503},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", HM_HTTP_DONE, 101},
        {"HTTP/1.1 999 ?\r\n\r\n", HM_HTTP_DONE, 999},
        {"", HM_HTTP_MORE, 0},
        {"HTTP/1.1 200", HM_HTTP_MORE, 0},
        {"HTTP/1.1 200 OK\r\nA: b\r\n\r", HM_HTTP_MORE, 0},
        {"HTTP/1.1 200 OK\r\nA: b\r\n \r\n", HM_HTTP_MORE, 0},
        {"HTTP/1.1 100 Continue\r\n\r\n", HM_HTTP_MORE, 0},
        {"HTTP/2 200\r\n\r\n", HM_HTTP_BAD, 0},
        {"http/1.1 200 OK\r\n\r\n", HM_HTTP_BAD, 0},
        {"HTTP/1.1  200 OK\r\n\r\n", HM_HTTP_BAD, 0},
        {"HTTP/1.1 099 OK\r\n\r\n", HM_HTTP_BAD, 0},
        {"HTTP/1.1 2000 OK\r\n\r\n", HM_HTTP_BAD, 0},
        {"HTTP/1.1 20x OK\r\n\r\n", HM_HTTP_BAD, 0},
        {"HTTP/1.1 200 OK\r\n\rA: b\r\n\r\n", HM_HTTP_BAD, 0},
        {"<html>no header</html>", HM_HTTP_BAD, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint16_t whole;
        uint16_t pieces;
        enum hm_http_progress progress = read_whole(hm_bytes_of_text(rows[i].text), &whole);
        if (progress != rows[i].progress || (rows[i].status && whole != rows[i].status)) {
            fail_msg("row %zu: %d, status %u", i, (int)progress, whole);
        }
        assert_int_equal(read_bytes(hm_bytes_of_text(rows[i].text), &pieces), progress);
        assert_int_equal(pieces, whole);
    }
}

/* However long it goes on, and also when it is made of interim answers. */
static void a_header_has_an_end(void **state)
{
    (void)state;
    static const char *const pieces[] = {"X-Header: and on\r\n", "HTTP/1.1 100 Continue\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct hm_http_answer answer = {0};
        enum hm_http_progress progress = HM_HTTP_MORE;
        struct hm_bytes start = hm_bytes_of_text("HTTP/1.1 200 OK\r\n");
        size_t fed = 0;
        if (i == 0) {
            progress = hm_http_read(&answer, start);
        }
        while (progress == HM_HTTP_MORE && fed < HM_HTTP_HEADER_BYTES_MAX * 2) {
            progress = hm_http_read(&answer, hm_bytes_of_text(pieces[i]));
            fed += strlen(pieces[i]);
        }
        assert_int_equal(progress, HM_HTTP_BAD);
        assert_int_equal(answer.bytes, HM_HTTP_HEADER_BYTES_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(a_header_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
