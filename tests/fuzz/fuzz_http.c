/* Reads any bytes as an HTTP answer, in one piece and in pieces: the same comes out. The first byte
 * says how large the pieces are. */
#include "core/base/assert.h"
#include "modules/host/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum hm_http_progress read_pieces(struct hm_bytes bytes, size_t piece,
                                         struct hm_http_answer *answer)
{
    enum hm_http_progress progress = HM_HTTP_MORE;
    for (size_t at = 0; at < bytes.size && progress == HM_HTTP_MORE; at += piece) {
        size_t left = bytes.size - at;
        progress =
            hm_http_read(answer, (struct hm_bytes){bytes.data + at, left < piece ? left : piece});
        HM_ASSERT(answer->bytes <= HM_HTTP_HEADER_BYTES_MAX);
    }
    return progress;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct hm_bytes bytes = {data + 1, size - 1};
    struct hm_http_answer whole = {0};
    struct hm_http_answer pieces = {0};
    enum hm_http_progress progress = read_pieces(bytes, size, &whole);
    HM_ASSERT(read_pieces(bytes, (size_t)data[0] + 1, &pieces) == progress);
    HM_ASSERT(whole.bytes == pieces.bytes && whole.status == pieces.status);
    if (progress == HM_HTTP_DONE) {
        HM_ASSERT(whole.status >= 100 && whole.status <= 999);
        HM_ASSERT(whole.status >= 200 || whole.status == 101);
        HM_ASSERT(data[whole.bytes] == '\n');
    }
    return 0;
}
