/* Load on an etcd member: gRPC over HTTP/2 as its protocol buffers say (etcd's rpc.proto and
 * kv.proto, version 3.4), written by hand so that the generator costs little beside what it
 * measures. */
#include "tests/bench/load.h"

#include "core/base/memory.h"

#include <nghttp2/nghttp2.h>

#include <stdio.h>
#include <string.h>

#define WINDOW_BYTES (16 << 20)
#define ANSWER_MAX   512u /* of an answer's start: enough to see what became of it */
#define GRPC_HEAD    5u   /* a flag, and the length with the highest byte first */
#define KEY_MAX      128u

/* Fields of the messages. */
enum {
    PUT_KEY = 1,
    PUT_VALUE = 2,
    RANGE_KEY = 1,
    RANGE_ANSWER_COUNT = 4,
    TXN_COMPARE = 1,
    TXN_SUCCESS = 2,
    TXN_FAILURE = 3,
    TXN_ANSWER_SUCCEEDED = 2,
    COMPARE_TARGET = 2,
    COMPARE_KEY = 3,
    COMPARE_CREATE_REVISION = 5,
    OP_RANGE = 1,
    OP_PUT = 2,
};
#define TARGET_CREATE 1u
#define VARINT        0u
#define SIZED         2u

struct stream {
    struct load_link *link;
    uint32_t client;
    struct hm_buf question;
    size_t question_at;
    struct hm_buf answer;
    bool grpc_ok;
    char message[128]; /* why not */
};

struct verb {
    const char *name;
    const char *path;
    void (*encode)(const struct load *load, uint32_t client, struct hm_buf *out);
    uint32_t field; /* of the answer: must be there and be 1; 0: none */
};

struct etcd {
    const struct verb *verb;
    struct stream *streams; /* one a client */
    nghttp2_nv head[6];
};

/* ---- protocol buffers ---- */

static void put_field(struct hm_buf *out, uint32_t field, uint32_t type)
{
    hm_put_varint(out, (uint64_t)field << 3 | type);
}

static void put_number(struct hm_buf *out, uint32_t field, uint64_t value)
{
    put_field(out, field, VARINT);
    hm_put_varint(out, value);
}

static void put_sized(struct hm_buf *out, uint32_t field, const void *data, size_t size)
{
    put_field(out, field, SIZED);
    hm_put_varint(out, size);
    hm_buf_append(out, data, size);
}

static void put_inner(struct hm_buf *out, uint32_t field, struct hm_buf *inner)
{
    put_sized(out, field, inner->data, inner->size);
    hm_buf_fini(inner);
}

/* The value of a top-level number of the message; 0 when it is not there, as in proto3. */
static uint64_t find_number(struct hm_bytes message, uint32_t wanted)
{
    struct hm_reader in = hm_reader_of(message);
    while (hm_reader_left(&in) > 0 && !in.bad) {
        uint64_t tag = hm_get_varint(&in);
        if ((tag & 7) == VARINT) {
            uint64_t value = hm_get_varint(&in);
            if (tag >> 3 == wanted) {
                return value;
            }
        } else if ((tag & 7) == SIZED) {
            (void)hm_get_bytes(&in, hm_get_varint(&in));
        } else {
            return 0;
        }
    }
    return 0;
}

/* ---- requests ---- */

static size_t own_key(const struct load *load, uint32_t client, char *key)
{
    return (size_t)snprintf(key, KEY_MAX, "%.64s-%u", load->run, client);
}

static void encode_put(const struct load *load, uint32_t client, struct hm_buf *out)
{
    char key[KEY_MAX];
    put_sized(out, PUT_KEY, key, own_key(load, client, key));
    put_sized(out, PUT_VALUE, load->value, load->value_bytes);
}

/* Puts the key if nobody has it, else tells who: one atomic step. */
static void encode_create(const struct load *load, uint32_t client, struct hm_buf *out)
{
    char key[KEY_MAX];
    struct hm_buf compare = {0};
    struct hm_buf op = {0};
    struct hm_buf inner = {0};
    size_t size = (size_t)snprintf(key, sizeof key, "%.64s-%u-%llu", load->run, client,
                                   (unsigned long long)load->turns[client]);
    put_number(&compare, COMPARE_TARGET, TARGET_CREATE);
    put_sized(&compare, COMPARE_KEY, key, size);
    put_number(&compare, COMPARE_CREATE_REVISION, 0);
    put_inner(out, TXN_COMPARE, &compare);
    put_sized(&inner, PUT_KEY, key, size);
    put_sized(&inner, PUT_VALUE, load->value, load->value_bytes);
    put_inner(&op, OP_PUT, &inner);
    put_inner(out, TXN_SUCCESS, &op);
    put_sized(&inner, RANGE_KEY, key, size);
    put_inner(&op, OP_RANGE, &inner);
    put_inner(out, TXN_FAILURE, &op);
}

/* Linearizable: that is the default. The key of a run of `put` with one client. */
static void encode_get(const struct load *load, uint32_t client, struct hm_buf *out)
{
    char key[KEY_MAX];
    (void)client;
    put_sized(out, RANGE_KEY, key, own_key(load, 0, key));
}

static const struct verb verbs[] = {
    {"put", "/etcdserverpb.KV/Put", encode_put, 0},
    {"create", "/etcdserverpb.KV/Txn", encode_create, TXN_ANSWER_SUCCEEDED},
    {"get", "/etcdserverpb.KV/Range", encode_get, RANGE_ANSWER_COUNT},
};

/* ---- HTTP/2 ---- */

static ssize_t read_question(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                             uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct stream *stream = source->ptr;
    size_t left = stream->question.size - stream->question_at;
    size_t size = left < room ? left : room;
    (void)session, (void)id, (void)user;
    memcpy(into, stream->question.data + stream->question_at, size);
    stream->question_at += size;
    if (size == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)size;
}

static void request(struct load_link *link, uint32_t client)
{
    struct etcd *etcd = link->load->context;
    struct stream *stream = &etcd->streams[client];
    struct hm_buf message = {0};
    stream->link = link;
    stream->client = client;
    stream->question_at = 0;
    stream->grpc_ok = false;
    stream->message[0] = 0;
    hm_buf_clear(&stream->question);
    hm_buf_clear(&stream->answer);
    etcd->verb->encode(link->load, client, &message);
    const uint8_t head[GRPC_HEAD] = {0, (uint8_t)(message.size >> 24),
                                     (uint8_t)(message.size >> 16), (uint8_t)(message.size >> 8),
                                     (uint8_t)message.size};
    hm_buf_append(&stream->question, head, sizeof head);
    hm_buf_append(&stream->question, message.data, message.size);
    hm_buf_fini(&message);
    const nghttp2_data_provider body = {.source.ptr = stream, .read_callback = read_question};
    if (nghttp2_submit_request(link->session, NULL, etcd->head,
                               sizeof etcd->head / sizeof *etcd->head, &body, stream) < 0) {
        load_done(link->load, client, "HTTP/2 takes no more requests");
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user;
    if (stream != NULL && name_size == 11 && memcmp(name, "grpc-status", 11) == 0) {
        stream->grpc_ok = value_size == 1 && value[0] == '0';
    } else if (stream != NULL && name_size == 12 && memcmp(name, "grpc-message", 12) == 0) {
        (void)snprintf(stream->message, sizeof stream->message, "%.*s", (int)value_size,
                       (const char *)value);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t size, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)user;
    if (stream != NULL && stream->answer.size + size <= ANSWER_MAX) {
        hm_buf_append(&stream->answer, data, size);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)code, (void)user;
    if (stream == NULL) {
        return 0;
    }
    const struct etcd *etcd = stream->link->load->context;
    struct hm_bytes answer = hm_buf_view(&stream->answer);
    const char *why = NULL;
    if (!stream->grpc_ok || answer.size < GRPC_HEAD) {
        why = stream->message[0] != 0 ? stream->message : "the stream was closed without an answer";
    } else if (etcd->verb->field != 0) {
        answer = (struct hm_bytes){answer.data + GRPC_HEAD, answer.size - GRPC_HEAD};
        why = find_number(answer, etcd->verb->field) == 1 ? NULL : "the answer is another one";
    }
    load_done(stream->link->load, stream->client, why);
    return 0;
}

static void open_session(struct load_link *link)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    (void)nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    (void)nghttp2_session_client_new(&session, callbacks, link);
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    (void)nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
    link->session = session;
}

static bool received(struct load_link *link, struct hm_bytes bytes)
{
    return nghttp2_session_mem_recv(link->session, bytes.data, bytes.size) == (ssize_t)bytes.size;
}

static void flush(struct load_link *link)
{
    const uint8_t *bytes;
    for (ssize_t size; (size = nghttp2_session_mem_send(link->session, &bytes)) > 0;) {
        hm_buf_append(&link->out, bytes, (size_t)size);
    }
}

static void close_session(struct load_link *link)
{
    nghttp2_session_del(link->session);
    link->session = NULL;
}

/* ---- all of it ---- */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static bool choose(struct load *load)
{
    static struct etcd etcd;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(load->verb, verbs[i].name) == 0) {
            etcd.verb = &verbs[i];
        }
    }
    if (etcd.verb == NULL) {
        return false;
    }
    const nghttp2_nv head[] = {
        header(":method", "POST"),        header(":scheme", "http"),
        header(":path", etcd.verb->path), header(":authority", "etcd"),
        header("te", "trailers"),         header("content-type", "application/grpc"),
    };
    memcpy(etcd.head, head, sizeof head);
    etcd.streams = hm_alloc(load->clients, sizeof *etcd.streams);
    load->context = &etcd;
    return true;
}

int main(int argc, char **argv)
{
    static const struct load_protocol protocol = {
        .usage = "  put     a value, each client under its own key\n"
                 "  create  a new key with a value, if nobody has it: a transaction\n"
                 "  get     the first client's key, linearizable\n",
        .choose = choose,
        .open = open_session,
        .request = request,
        .received = received,
        .flush = flush,
        .close = close_session,
    };
    return load_main(&protocol, argc, argv);
}
