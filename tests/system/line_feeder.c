/* A feeder for tests of the nginx module: whoever connects to the node's TCP socket writes a table
 * as lines and reads an answer once it is shown.
 *
 *     endpoint SERVICE ADDRESS WEIGHT passing|suspect|draining HOST
 *     vhost NAME SERVICE
 *     commit                     answered by the status ("ok")
 *
 * A datagram to the UDP socket comes back as it is. */
#include "core/base/memory.h"
#include "ngx_hivemind/feeder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct hm_feeder {
    struct hm_feeder_sink sink;
    uv_tcp_t listener;
    uv_udp_t udp;
    uint8_t datagram[1500];
};

struct client {
    uv_tcp_t tcp;
    struct hm_feeder *feeder;
    struct hm_buf input;
    struct hm_draft draft;
    uv_write_t write;
};

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    hm_buf_fini(&client->input);
    hm_draft_fini(&client->draft);
    hm_free(client);
}

static enum hm_status add(struct hm_draft *draft, char *line)
{
    char verb[16] = "", name[256] = "", second[64] = "", state[16] = "", host[64] = "";
    unsigned weight = 0;
    uint32_t service;
    struct hm_name service_name;
    struct hm_table_endpoint endpoint = {0};
    sscanf(line, "%15s %255s %63s %u %15s %63s", verb, name, second, &weight, state, host);
    if (strcmp(verb, "vhost") == 0) {
        service_name = hm_name_of(second);
        enum hm_status status = hm_draft_service(draft, &service_name, &service);
        return status ? status : hm_draft_vhost(draft, hm_bytes_of_text(name), service);
    }
    if (!hm_name_set(&service_name, name, strlen(name)) ||
        !hm_addr_parse(second, 0, &endpoint.addr)) {
        return HM_BAD_ARGUMENT;
    }
    endpoint.weight = weight;
    endpoint.host = hm_name_of(host);
    while (strcmp(hm_table_state_name(endpoint.state), state) != 0) {
        if (++endpoint.state == HM_TABLE_STATES) {
            return HM_BAD_ARGUMENT;
        }
    }
    enum hm_status status = hm_draft_service(draft, &service_name, &service);
    return status ? status : hm_draft_endpoint(draft, service, &endpoint);
}

static void answer(struct client *client, enum hm_status status)
{
    const char *text = hm_status_text(status);
    uv_buf_t bufs[2] = {uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text)),
                        uv_buf_init((char *)(uintptr_t) "\n", 1)};
    uv_write(&client->write, (uv_stream_t *)&client->tcp, bufs, 2, NULL);
}

static void take_lines(struct client *client)
{
    char *end;
    while ((end = memchr(client->input.data, '\n', client->input.size))) {
        char *line = (char *)client->input.data;
        size_t size = (size_t)(end - line) + 1;
        enum hm_status status = HM_OK;
        *end = 0;
        if (strcmp(line, "commit") == 0) {
            status = client->feeder->sink.change(client->feeder->sink.context, &client->draft);
            hm_draft_fini(&client->draft);
            answer(client, status);
        } else if ((status = add(&client->draft, line)) != HM_OK) {
            client->feeder->sink.log(client->feeder->sink.context, HM_LOG_ERROR, line);
        }
        memmove(line, line + size, client->input.size - size);
        client->input.size -= size;
    }
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    *out = uv_buf_init(hm_alloc(1, size), (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    if (size > 0) {
        hm_buf_append(&client->input, buf->base, (size_t)size);
        take_lines(client);
    }
    hm_free(buf->base);
    if (size < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct client *client = hm_alloc(1, sizeof *client);
    client->feeder = stream->data;
    client->tcp.data = client;
    uv_tcp_init(stream->loop, &client->tcp);
    client->tcp.data = client;
    if (status != 0 || uv_accept(stream, (uv_stream_t *)&client->tcp) != 0) {
        uv_close((uv_handle_t *)&client->tcp, on_closed);
        return;
    }
    uv_read_start((uv_stream_t *)&client->tcp, on_room, on_read);
}

static void on_datagram_room(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    struct hm_feeder *feeder = handle->data;
    *out = uv_buf_init((char *)feeder->datagram, sizeof feeder->datagram);
}

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    if (size > 0 && from) {
        uv_buf_t out = uv_buf_init(buf->base, (unsigned)size);
        uv_udp_try_send(udp, &out, 1, from);
    }
}

struct hm_feeder *hm_feeder_start(uv_loop_t *loop, const struct hm_feeder_config *config,
                                  const struct hm_feeder_sink *sink, struct hm_buf *error)
{
    struct hm_feeder *feeder = hm_alloc(1, sizeof *feeder);
    feeder->sink = *sink;
    uv_tcp_init(loop, &feeder->listener);
    uv_udp_init(loop, &feeder->udp);
    feeder->listener.data = feeder->udp.data = feeder;
    if (uv_tcp_open(&feeder->listener, config->tcp) != 0 ||
        uv_listen((uv_stream_t *)&feeder->listener, 128, on_connection) != 0 ||
        uv_udp_open(&feeder->udp, config->udp) != 0 ||
        uv_udp_recv_start(&feeder->udp, on_datagram_room, on_datagram) != 0) {
        hm_buf_append_text(error, "the sockets of nginx do not open in libuv");
        return NULL;
    }
    return feeder;
}

void hm_feeder_stop(struct hm_feeder *feeder)
{
    feeder->sink.log(feeder->sink.context, HM_LOG_INFO, "the feeder says goodbye");
}
