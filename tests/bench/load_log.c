/* Load on a node of Hivemind, over its control socket. The call of a request is the number of its
 * client, which is how an answer finds it. */
#include "tests/bench/load.h"

#include "core/base/memory.h"
#include "core/wire/message.h"

#include <stdio.h>
#include <string.h>

struct verb {
    const char *name;
    void (*fill)(const struct load *load, uint32_t client, struct hm_message *request);
    enum hm_message_kind answer; /* when it went well; else HM_MSG_answer says why not */
};

struct link_state {
    struct hm_buf in; /* the start of an answer */
};

/* ---- requests ---- */

static void fill_status(const struct load *load, uint32_t client, struct hm_message *request)
{
    (void)load;
    request->kind = HM_MSG_status_query;
    request->status_query.call = client;
}

static const struct verb verbs[] = {
    {"status", fill_status, HM_MSG_status_reply},
};

static void request(struct load_link *link, uint32_t client)
{
    const struct verb *verb = link->load->context;
    struct hm_message message = {0};
    struct hm_buf *out = &link->out;
    size_t start = out->size;
    verb->fill(link->load, client, &message);
    hm_put_u32(out, 0);
    hm_message_encode(out, &message);
    size_t size = out->size - start - sizeof(uint32_t);
    for (size_t i = 0; i < sizeof(uint32_t); i++) {
        out->data[start + i] = (uint8_t)(size >> (8 * i));
    }
}

/* ---- answers ---- */

/* The call, and the status that follows it, start every answer. NULL: it went well. */
static bool take_answer(struct load *load, struct hm_bytes frame)
{
    static char reason[512];
    const struct verb *verb = load->context;
    struct hm_reader in = hm_reader_of(frame);
    uint64_t kind = hm_get_varint(&in);
    struct hm_reader body = hm_reader_of(hm_get_bytes(&in, hm_get_varint(&in)));
    uint64_t client = hm_get_varint(&body);
    uint64_t status = hm_get_varint(&body);
    struct hm_bytes text = hm_get_bytes(&body, hm_get_varint(&body));
    if (in.bad || body.bad || client >= load->clients || load->asked_ns[client] == 0) {
        return false;
    }
    bool good = kind == (uint64_t)verb->answer && status == HM_OK;
    (void)snprintf(reason, sizeof reason, "%s: %.*s", hm_status_name((enum hm_status)status),
                   (int)text.size, (const char *)text.data);
    load_done(load, (uint32_t)client, good ? NULL : reason);
    return true;
}

static bool received(struct load_link *link, struct hm_bytes bytes)
{
    struct link_state *state = link->session;
    hm_buf_append(&state->in, bytes.data, bytes.size);
    struct hm_reader in = hm_reader_of(hm_buf_view(&state->in));
    size_t done = 0;
    while (hm_reader_left(&in) >= sizeof(uint32_t)) {
        uint32_t size = hm_get_u32(&in);
        if (size > HM_WIRE_MESSAGE_BYTES_MAX) {
            return false;
        }
        if (size > hm_reader_left(&in)) {
            break;
        }
        if (!take_answer(link->load, hm_get_bytes(&in, size))) {
            return false;
        }
        done += sizeof size + size;
    }
    memmove(state->in.data, state->in.data + done, state->in.size - done);
    state->in.size -= done;
    return true;
}

static void open_state(struct load_link *link)
{
    link->session = hm_alloc(1, sizeof(struct link_state));
}

static void close_state(struct load_link *link)
{
    struct link_state *state = link->session;
    hm_buf_fini(&state->in);
    hm_free(state);
    link->session = NULL;
}

/* ---- all of it ---- */

static bool choose(struct load *load)
{
    static struct verb chosen;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(load->verb, verbs[i].name) == 0) {
            chosen = verbs[i];
            load->context = &chosen;
        }
    }
    return load->context != NULL;
}

int main(int argc, char **argv)
{
    static const struct load_protocol protocol = {
        .usage = "  status  how the node is: what a command costs that waits for nobody\n",
        .choose = choose,
        .open = open_state,
        .request = request,
        .received = received,
        .close = close_state,
    };
    return load_main(&protocol, argc, argv);
}
