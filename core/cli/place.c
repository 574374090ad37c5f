#include "core/cli/place.h"

#include "core/io/control.h"
#include "core/io/daemon.h"
#include "core/io/net.h"
#include "core/io/socket.h"

#include <ctype.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

static enum hm_status find_name(const struct hm_settings *settings, struct hm_name *out,
                                struct hm_buf *error)
{
    const char *name = hm_conf_text(settings->root, "name");
    char host[256] = "";
    if (!name) {
        gethostname(host, sizeof host - 1);
        host[strcspn(host, ".")] = '\0';
        name = host;
    }
    if (!hm_name_set(out, name, strlen(name)) || !hm_name_is_label(out)) {
        hm_buf_printf(error,
                      "the machine's host name '%s' cannot be a node's name; write a line "
                      "`name: NAME`",
                      name);
        return HM_BAD_CONFIG;
    }
    return HM_OK;
}

/* The first address of one entry of `join`. */
static bool look_up(const char *text, struct hm_addr *out)
{
    char host[256];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage storage = {0};
    size_t size = strcspn(text, ":");
    if (hm_addr_parse(text, HM_DAEMON_PORT, out)) {
        return true;
    }
    if (size >= sizeof host) {
        return false;
    }
    memcpy(host, text, size);
    host[size] = '\0';
    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        return false;
    }
    memcpy(&storage, found->ai_addr, found->ai_addrlen);
    *out = hm_socket_addr(&storage);
    freeaddrinfo(found);
    return !hm_addr_is_none(out);
}

static enum hm_status find_addr(const struct hm_settings *settings, struct hm_addr *out,
                                struct hm_buf *error)
{
    struct hm_addr peer = {0};
    struct hm_addr own = hm_conf_address(settings->root, "advertise", HM_DAEMON_PORT);
    bool chosen = hm_addr_is_none(&own);
    for (size_t i = 0; i < settings->join_count; i++) {
        if (look_up(settings->join[i], &peer)) {
            if (!hm_addr_is_none(&own) || hm_net_source(&peer, &own)) {
                break;
            }
        }
    }
    if (hm_addr_is_none(&own)) {
        own = hm_net_default_source();
    }
    own.port = own.port ? own.port : HM_DAEMON_PORT;
    if (hm_addr_is_loopback(&own) && !hm_addr_is_none(&peer) && !hm_addr_is_loopback(&peer)) {
        char text[HM_ADDR_TEXT_BYTES];
        const struct hm_conf_node *line = hm_conf_get(settings->root, "advertise");
        if (line && !chosen) {
            hm_buf_printf(error, "%s:%u:%u: ", line->origin.file, line->origin.line,
                          line->origin.column);
        }
        hm_buf_printf(error,
                      "this node would be reached at %s, and the cluster is not on loopback; write "
                      "a line `advertise: IP`",
                      hm_addr_format(&own, text));
        return HM_BAD_CONFIG;
    }
    *out = own;
    return HM_OK;
}

enum hm_status hm_place_find(const struct hm_settings *settings, struct hm_place_of_node *out,
                             struct hm_buf *error)
{
    struct hm_place_of_node place = {0};
    const char *data = hm_conf_text(settings->root, "data");
    const char *control = hm_conf_text(settings->root, "socket");
    enum hm_status status = find_name(settings, &place.name, error);
    if (status == HM_OK) {
        status = find_addr(settings, &place.addr, error);
    }
    if (status != HM_OK) {
        return status;
    }
    if (data) {
        hm_buf_append_text(&place.data, data);
    } else {
        hm_buf_printf(&place.data, "/var/lib/hivemind/%s", place.name.text);
    }
    if (control) {
        hm_buf_append_text(&place.control, control);
    } else {
        hm_control_path(place.name.text, &place.control);
    }
    hm_put_u8(&place.data, 0);
    hm_put_u8(&place.control, 0);
    *out = place;
    return HM_OK;
}

void hm_place_fini(struct hm_place_of_node *place)
{
    hm_buf_fini(&place->data);
    hm_buf_fini(&place->control);
}
