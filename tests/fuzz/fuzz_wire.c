/* Decodes any bytes as messages: what is accepted prints, and encodes to the same bytes. */
#include "core/base/assert.h"
#include "core/wire/message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_arena arena = {0};
    struct hm_buf again = {0};
    struct hm_buf line = {0};
    struct hm_reader in = hm_reader_of((struct hm_bytes){data, size});
    while (hm_reader_left(&in) > 0) {
        struct hm_message message;
        const uint8_t *start = in.at;
        if (hm_message_decode(&in, &arena, &message) != HM_OK) {
            break;
        }
        hm_buf_clear(&again);
        hm_message_encode(&again, &message);
        HM_ASSERT(again.size == (size_t)(in.at - start));
        HM_ASSERT(memcmp(again.data, start, again.size) == 0);
        hm_message_print(&line, &message);
    }
    hm_buf_fini(&line);
    hm_buf_fini(&again);
    hm_arena_fini(&arena);
    return 0;
}
