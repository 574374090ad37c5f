/* Load on a node of Hivemind, over its control socket. The call of a request is the number of its
 * client, which is how an answer finds it. */
#include "tests/bench/load.h"

#include "core/base/memory.h"
#include "core/wire/message.h"

#include <stdio.h>
#include <string.h>

#define LOG_NAME        "bench" /* made by the harness */
#define NAMES           "role.names"
#define OWNER_BYTES_MAX 255u

struct verb {
    const char *name;
    void (*fill)(const struct load *load, uint32_t client, struct hm_message *request);
    /* Looks at what follows the reason in an answer that says HM_OK; NULL: it is as wished. */
    const char *(*check)(const struct load *load, uint32_t client, enum hm_message_kind kind,
                         struct hm_reader *rest);
};

struct load_log {
    const struct verb *verb;
    uint64_t *written;  /* by client: the entry that it wrote last; 0: none yet */
    struct hm_buf body; /* of the request that is made */
};

struct link_state {
    struct hm_buf in; /* the start of an answer */
};

/* ---- requests ---- */

static const char *check_kind(enum hm_message_kind kind, enum hm_message_kind wanted)
{
    return kind == wanted ? NULL : "the answer is of another kind";
}

static void fill_status(const struct load *load, uint32_t client, struct hm_message *request)
{
    (void)load;
    request->kind = HM_MSG_status_query;
    request->status_query.call = client;
}

static const char *check_status(const struct load *load, uint32_t client, enum hm_message_kind kind,
                                struct hm_reader *rest)
{
    (void)load, (void)client, (void)rest;
    return check_kind(kind, HM_MSG_status_reply);
}

/* Without a session of its own: the node that is asked has one, so that its own retries are the
 * same entry. */
static void fill_append(const struct load *load, uint32_t client, struct hm_message *request)
{
    request->kind = HM_MSG_log_write;
    request->log_write = (struct hm_log_write){
        .call = client, .name = hm_name_of(LOG_NAME), .data = {load->value, load->value_bytes}};
}

static const char *check_append(const struct load *load, uint32_t client, enum hm_message_kind kind,
                                struct hm_reader *rest)
{
    struct load_log *log = load->context;
    log->written[client] = hm_get_varint(rest);
    return check_kind(kind, HM_MSG_answer);
}

/* Linearizable: that is the default. Each client reads the entry that it wrote first. */
static void fill_read(const struct load *load, uint32_t client, struct hm_message *request)
{
    const struct load_log *log = load->context;
    if (log->written[client] == 0) {
        fill_append(load, client, request);
        return;
    }
    request->kind = HM_MSG_log_read;
    request->log_read = (struct hm_log_read){.call = client,
                                             .name = hm_name_of(LOG_NAME),
                                             .from = log->written[client],
                                             .to = log->written[client]};
}

static const char *check_read(const struct load *load, uint32_t client, enum hm_message_kind kind,
                              struct hm_reader *rest)
{
    const struct load_log *log = load->context;
    if (log->written[client] == 0) {
        return check_append(load, client, kind, rest);
    }
    (void)hm_get_varint(rest); /* oldest */
    (void)hm_get_varint(rest); /* newest */
    uint64_t next = hm_get_varint(rest);
    uint64_t count = hm_get_varint(rest);
    if (next != log->written[client] + 1 || count != 1) {
        return "the entry is not there";
    }
    return check_kind(kind, HM_MSG_log_page);
}

/* Each a name that nobody has, for an owner as long as the values of others are: the client. */
static void fill_register(const struct load *load, uint32_t client, struct hm_message *request)
{
    struct load_log *log = load->context;
    char name[200];
    char owner[OWNER_BYTES_MAX];
    size_t owner_bytes = load->value_bytes < sizeof owner ? load->value_bytes : sizeof owner;
    (void)snprintf(name, sizeof name, "%.64s-%u-%llu", load->run, client,
                   (unsigned long long)load->turns[client]);
    memset(owner, 'o', sizeof owner);
    for (size_t i = 0; i < owner_bytes && i < 8; i++) {
        owner[i] = (char)('a' + (client >> (4 * i) & 15));
    }
    hm_buf_clear(&log->body);
    hm_message_encode(&log->body,
                      &(struct hm_message){.kind = HM_MSG_names_register,
                                           .names_register = {hm_bytes_of_text(name),
                                                              {(uint8_t *)owner, owner_bytes}}});
    request->kind = HM_MSG_log_write;
    request->log_write = (struct hm_log_write){
        .call = client, .name = hm_name_of(NAMES), .data = hm_buf_view(&log->body)};
}

static const char *check_register(const struct load *load, uint32_t client,
                                  enum hm_message_kind kind, struct hm_reader *rest)
{
    (void)load, (void)client, (void)rest;
    return check_kind(kind, HM_MSG_answer);
}

static const struct verb verbs[] = {
    {"status", fill_status, check_status},
    {"append", fill_append, check_append},
    {"read", fill_read, check_read},
    {"register", fill_register, check_register},
};

static void request(struct load_link *link, uint32_t client)
{
    const struct load_log *log = link->load->context;
    struct hm_message message = {0};
    struct hm_buf *out = &link->out;
    size_t start = out->size;
    log->verb->fill(link->load, client, &message);
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
    char reason[512];
    const struct load_log *log = load->context;
    struct hm_reader in = hm_reader_of(frame);
    uint64_t kind = hm_get_varint(&in);
    struct hm_reader body = hm_reader_of(hm_get_bytes(&in, hm_get_varint(&in)));
    uint64_t client = hm_get_varint(&body);
    uint64_t status = hm_get_varint(&body);
    struct hm_bytes text = hm_get_bytes(&body, hm_get_varint(&body));
    if (in.bad || body.bad || client >= load->clients || load->asked_ns[client] == 0) {
        return false;
    }
    if (status == HM_OK) {
        load_done(load, (uint32_t)client,
                  log->verb->check(load, (uint32_t)client, (enum hm_message_kind)kind, &body));
        return true;
    }
    (void)snprintf(reason, sizeof reason, "%s: %.*s", hm_status_name((enum hm_status)status),
                   (int)text.size, (const char *)text.data);
    load_done(load, (uint32_t)client, reason);
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
    static struct load_log log;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(load->verb, verbs[i].name) == 0) {
            log.verb = &verbs[i];
        }
    }
    log.written = hm_alloc(load->clients, sizeof *log.written);
    load->context = &log;
    return log.verb != NULL;
}

int main(int argc, char **argv)
{
    static const struct load_protocol protocol = {
        .usage = "  status  how the node is: what a command costs that waits for nobody\n"
                 "  append  a value to the log\n"
                 "  read    an entry of the log, linearizable\n"
                 "  register  a name that nobody has\n",
        .choose = choose,
        .open = open_state,
        .request = request,
        .received = received,
        .close = close_state,
    };
    return load_main(&protocol, argc, argv);
}
