/* What every payload starts with: who speaks, and on a stream, whose source port says nothing,
 * where it is reached. */
#include "core/node/desk/envelope.h"

#include "core/node/desk/inside.h"
#include "core/wire/seal.h"

#include <string.h>

/* On a datagram it is what brief frames leave out. */
_Static_assert(sizeof(struct hm_id) + 1 == HM_SEAL_WHO_BYTES, "");

void hm_node_put_envelope(const struct hm_node *node, bool stream, struct hm_buf *out)
{
    hm_buf_append(out, node->id.bytes, sizeof node->id.bytes);
    hm_put_u8(out, stream ? node->config.addr.family : 0);
    if (stream) {
        hm_buf_append(out, node->config.addr.ip, hm_addr_ip_bytes(&node->config.addr));
        hm_put_varint(out, node->config.addr.port);
    }
}

bool hm_node_get_envelope(struct hm_reader *in, struct hm_peer *from)
{
    struct hm_bytes id = hm_get_bytes(in, sizeof from->id.bytes);
    struct hm_addr addr = {.family = hm_get_u8(in)};
    if (in->bad || (addr.family != 0 && addr.family != 4 && addr.family != 6)) {
        return false;
    }
    memcpy(from->id.bytes, id.data, id.size);
    if (addr.family) {
        struct hm_bytes ip = hm_get_bytes(in, hm_addr_ip_bytes(&addr));
        uint64_t port = hm_get_varint(in);
        if (in->bad || port == 0 || port > UINT16_MAX) {
            return false;
        }
        memcpy(addr.ip, ip.data, ip.size);
        addr.port = (uint16_t)port;
        from->addr = addr;
    }
    return true;
}
