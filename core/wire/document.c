/* docs/PROTOCOL.md, printed from the message table. */
#include "core/wire/message.h"

static const char preamble[] =
    "# Messages\n\n"
    "Printed from `core/wire/messages.def`; do not edit.\n\n"
    "A message is `kind` (varint), the length of its body in bytes (varint), and the body: its\n"
    "fields one after another. `u8` and `flag` take one byte; `u16`, `u32`, `u64` are varints of\n"
    "seven bits a byte, lowest first, in their shortest form; `id` is 16 bytes; `name` is a "
    "length\n"
    "byte and at most 63 bytes; `addr` is a family (0 none, 4, 6), 4 or 16 bytes, and the port as\n"
    "a varint, and ends after the family when that is 0; `text` (at most 4,096 bytes, no NUL) and\n"
    "`bytes` are a varint length and the bytes; a list is a varint count and the items; a struct "
    "is\n"
    "its fields. Bytes left over, a number too large, a varint longer than needed: the message is\n"
    "malformed, counted and dropped.\n";

void hm_message_document(struct hm_buf *out)
{
    hm_buf_append_text(out, preamble);
    /* clang-format off */
#define HM_STRUCT(struct_name, doc)                                                                \
    hm_buf_append_text(out, "\n## `" #struct_name "`\n\n" doc ".\n\n");                            \
    hm_buf_append_text(out, "| field | type | meaning |\n|---|---|---|\n");
#define HM_MESSAGE(number, struct_name, class, doc)                                                \
    hm_buf_append_text(out, "\n## " #number " `" #struct_name "` (" #class ")\n\n" doc ".\n\n");   \
    hm_buf_append_text(out, "| field | type | meaning |\n|---|---|---|\n");
#define HM_FIELD(type, field, doc)                                                                 \
    hm_buf_append_text(out, "| " #field " | " #type " | " doc " |\n");
#define HM_NEST(type, field, doc)                                                                  \
    hm_buf_append_text(out, "| " #field " | " #type " | " doc " |\n");
#define HM_LIST(type, field, most, doc)                                                            \
    hm_buf_append_text(out, "| " #field " | list of " #type ", at most " #most " | " doc " |\n");
#define HM_END(struct_name)
#include "core/wire/messages.def"
#include "core/wire/undef.h"
    /* clang-format on */
}
