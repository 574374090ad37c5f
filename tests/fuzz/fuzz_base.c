/* Reads any bytes as integers, addresses and names: what is accepted is written back alike. */
#include "core/base/assert.h"
#include "core/base/bytes.h"
#include "core/base/ids.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_varint(struct hm_bytes input)
{
    struct hm_reader in = hm_reader_of(input);
    uint64_t value = hm_get_varint(&in);
    if (!in.bad) {
        struct hm_buf out = {0};
        hm_put_varint(&out, value);
        HM_ASSERT(out.size == (size_t)(in.at - input.data));
        HM_ASSERT(memcmp(out.data, input.data, out.size) == 0);
        hm_buf_fini(&out);
    }
}

static void try_addr(const char *text)
{
    struct hm_addr addr;
    struct hm_addr again;
    char printed[HM_ADDR_TEXT_BYTES];
    if (hm_addr_parse(text, 9610, &addr)) {
        HM_ASSERT(hm_addr_parse(hm_addr_format(&addr, printed), 0, &again));
        HM_ASSERT(hm_addr_equal(&addr, &again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = {data, size};
    struct hm_buf text = {0};
    hm_buf_append(&text, data, size);
    hm_put_u8(&text, 0);
    try_varint(input);
    try_addr((const char *)text.data);
    struct hm_name name;
    if (hm_name_set(&name, (const char *)data, size)) {
        HM_ASSERT(name.size == size && strlen(name.text) == size);
        (void)hm_name_is_label(&name);
    }
    hm_buf_fini(&text);
    return 0;
}
