/* The directives of the hivemind { } block. */
#include "core/base/memory.h"
#include "core/conf/suggest.h"
#include "ngx_hivemind/ngx_hivemind.h"

#include <ngx_event.h>

#define PORT_DEFAULT        9611
#define STATE_DEFAULT       "/var/lib/nginx/hivemind"
#define TABLE_BYTES_DEFAULT (8u << 20)

struct directive {
    const char *name;
    ngx_uint_t arguments_min, arguments_max;
    char *(*set)(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments);
};

static char *set_key_file(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    if (conf->key_file.data) {
        return "is duplicate";
    }
    conf->key_file = arguments[0];
    return ngx_conf_full_name(cf->cycle, &conf->key_file, 1) == NGX_OK ? NGX_CONF_OK
                                                                       : NGX_CONF_ERROR;
}

static char *set_socket(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    if (conf->socket.data) {
        return "is duplicate";
    }
    conf->socket = arguments[0];
    return ngx_conf_full_name(cf->cycle, &conf->socket, 0) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *set_join(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    ngx_uint_t count = cf->args->nelts - 1;
    if (conf->join.nelts + count > HM_NODE_JOIN_MAX) {
        return "names too many peers";
    }
    for (ngx_uint_t i = 0; i < count; i++) {
        char **peer = ngx_array_push(&conf->join);
        if (peer == NULL) {
            return NGX_CONF_ERROR;
        }
        *peer = (char *)arguments[i].data;
    }
    return NGX_CONF_OK;
}

/* Full addresses, or a port alone, which then is that of every address. */
static char *set_listen(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    if (!hm_addr_is_none(&conf->listen)) {
        return "is duplicate";
    }
    ngx_int_t port = ngx_atoi(arguments[0].data, arguments[0].len);
    struct hm_addr addr = {.family = 4};
    if (port > 0 && port < 65536) {
        addr.port = (uint16_t)port;
    } else if (port != NGX_ERROR ||
               !hm_addr_parse((char *)arguments[0].data, PORT_DEFAULT, &addr) || addr.port == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"listen\" takes PORT, IP, IP:PORT or [IP6]:PORT, not \"%V\"",
                           &arguments[0]);
        return NGX_CONF_ERROR;
    }
    conf->listen = addr;
    return NGX_CONF_OK;
}

static char *set_advertise(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    if (!hm_addr_is_none(&conf->advertise)) {
        return "is duplicate";
    }
    if (!hm_addr_parse((char *)arguments[0].data, 0, &conf->advertise)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"advertise\" takes IP, IP:PORT or [IP6]:PORT, not \"%V\"",
                           &arguments[0]);
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}

static char *add_state(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *dir)
{
    ngx_path_t *path = ngx_pcalloc(cf->pool, sizeof *path);
    if (path == NULL) {
        return NGX_CONF_ERROR;
    }
    path->name = *dir;
    if (path->name.len > 1 && path->name.data[path->name.len - 1] == '/') {
        path->name.len--;
    }
    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    path->manager = ngx_hivemind_manage;
    path->data = conf;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;
    conf->state = path;
    return ngx_add_path(cf, &conf->state) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *set_state(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    return conf->state ? "is duplicate" : add_state(cf, conf, &arguments[0]);
}

static char *set_name(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    struct hm_name name;
    if (conf->name.size) {
        return "is duplicate";
    }
    if (!hm_name_set(&name, (char *)arguments[0].data, arguments[0].len) ||
        !hm_name_is_label(&name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"name\" takes letters, digits and inner hyphens, at most %d, not "
                           "\"%V\"",
                           HM_NAME_MAX, &arguments[0]);
        return NGX_CONF_ERROR;
    }
    conf->name = name;
    return NGX_CONF_OK;
}

static char *set_table_size(ngx_conf_t *cf, struct ngx_hivemind_conf *conf, ngx_str_t *arguments)
{
    if (conf->table_bytes) {
        return "is duplicate";
    }
    ssize_t size = ngx_parse_size(&arguments[0]);
    if (size == NGX_ERROR || size < (ssize_t)HM_TABLE_BYTES_MIN ||
        size > (ssize_t)HM_TABLE_BYTES_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"table_size\" takes 64k to 1024m, not \"%V\"",
                           &arguments[0]);
        return NGX_CONF_ERROR;
    }
    conf->table_bytes = (size_t)size;
    return NGX_CONF_OK;
}

static const struct directive directives[] = {
    {"key_file", 1, 1, set_key_file},     {"join", 1, HM_NODE_JOIN_MAX, set_join},
    {"listen", 1, 1, set_listen},         {"advertise", 1, 1, set_advertise},
    {"state", 1, 1, set_state},           {"name", 1, 1, set_name},
    {"table_size", 1, 1, set_table_size}, {"socket", 1, 1, set_socket},
};

static char *read_line(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
    ngx_str_t *words = cf->args->elts;
    const char *name = (const char *)words[0].data, *nearest = NULL;
    ngx_uint_t arguments = cf->args->nelts - 1;
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++) {
        const struct directive *row = &directives[i];
        nearest = hm_conf_nearer(name, nearest, row->name);
        if (ngx_strcmp(name, row->name) != 0) {
            continue;
        }
        if (arguments < row->arguments_min || arguments > row->arguments_max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%s\" directive", name);
            return NGX_CONF_ERROR;
        }
        char *result = row->set(cf, data, words + 1);
        if (result != NGX_CONF_OK && result != NGX_CONF_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%s\" directive %s", name, result);
            result = NGX_CONF_ERROR;
        }
        return result;
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       nearest
                           ? "unknown directive \"%s\" in \"hivemind\", did you mean \"%s\"?"
                           : "unknown directive \"%s\" in \"hivemind\", it takes key_file, join, "
                             "listen, advertise, state, name, table_size and socket",
                       name, nearest);
    return NGX_CONF_ERROR;
}

ngx_listening_t *ngx_hivemind_listening(ngx_conf_t *cf, struct sockaddr *name, socklen_t size,
                                        int type)
{
    ngx_listening_t *ls = ngx_create_listening(cf, name, size);
    if (ls) {
        ls->type = type;
        ls->addr_ntop = 1;
        ls->handler = ngx_hivemind_refuse;
        ls->pool_size = 256;
        ls->logp = &cf->cycle->new_log;
        ls->log = cf->cycle->new_log;
        ls->log.data = &ls->addr_text;
        ls->log.handler = ngx_accept_log_error;
        ls->backlog = NGX_LISTEN_BACKLOG;
        ls->rcvbuf = -1;
        ls->sndbuf = -1;
#if (NGX_HAVE_INET6)
        ls->ipv6only = 1;
#endif
    }
    return ls;
}

/* UDP and TCP on the same address, made by nginx so that they outlive reloads and upgrades. */
static ngx_int_t add_listening(ngx_conf_t *cf, const struct hm_addr *addr, int type)
{
    struct sockaddr_in6 sin6;
    struct sockaddr_in sin;
    ngx_memzero(&sin, sizeof sin);
    ngx_memzero(&sin6, sizeof sin6);
    sin.sin_family = AF_INET;
    sin.sin_port = htons(addr->port);
    ngx_memcpy(&sin.sin_addr, addr->ip, sizeof sin.sin_addr);
    sin6.sin6_family = AF_INET6;
    sin6.sin6_port = htons(addr->port);
    ngx_memcpy(&sin6.sin6_addr, addr->ip, sizeof sin6.sin6_addr);
    ngx_listening_t *ls =
        addr->family == 4 ? ngx_hivemind_listening(cf, (struct sockaddr *)&sin, sizeof sin, type)
                          : ngx_hivemind_listening(cf, (struct sockaddr *)&sin6, sizeof sin6, type);
    return ls ? NGX_OK : NGX_ERROR;
}

static char *set_defaults(ngx_conf_t *cf, struct ngx_hivemind_conf *conf)
{
    if (conf->name.size == 0) {
        struct hm_buf name = {0};
        ngx_str_t *host = &cf->cycle->hostname;
        u_char *dot = ngx_strlchr(host->data, host->data + host->len, '.');
        hm_buf_append(&name, host->data, dot ? (size_t)(dot - host->data) : host->len);
        hm_buf_append_text(&name, "-nginx");
        bool set =
            hm_name_set(&conf->name, (char *)name.data, name.size) && hm_name_is_label(&conf->name);
        hm_buf_fini(&name);
        if (!set) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the host name \"%V\" makes no node name: give one by \"name\"",
                               host);
            return NGX_CONF_ERROR;
        }
    }
    if (hm_addr_is_none(&conf->listen)) {
        conf->listen = (struct hm_addr){.family = 4, .port = PORT_DEFAULT};
    }
    if (conf->table_bytes == 0) {
        conf->table_bytes = TABLE_BYTES_DEFAULT;
    }
    ngx_str_t dir = ngx_string(STATE_DEFAULT);
    return conf->state ? NGX_CONF_OK : add_state(cf, conf, &dir);
}

static ngx_int_t set_table_path(ngx_conf_t *cf, struct ngx_hivemind_conf *conf)
{
    ngx_str_t *dir = &conf->state->name;
    conf->table_path.len = dir->len + sizeof "/table" - 1;
    conf->table_path.data = ngx_pnalloc(cf->pool, conf->table_path.len + 1);
    if (conf->table_path.data == NULL) {
        return NGX_ERROR;
    }
    ngx_sprintf(conf->table_path.data, "%V/table%Z", dir);
    return NGX_OK;
}

char *ngx_hivemind_block(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
    struct ngx_hivemind_conf *conf = data;
    if (conf->configured) {
        return "is duplicate";
    }
    conf->configured = 1;
    ngx_conf_t saved = *cf;
    cf->handler = read_line;
    cf->handler_conf = (void *)conf;
    char *result = ngx_conf_parse(cf, NULL);
    *cf = saved;
    if (result != NGX_CONF_OK) {
        return result;
    }
    if (conf->key_file.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"hivemind\" needs a \"key_file\", such as "
                           "\"key_file /etc/hivemind/cluster.key;\"");
        return NGX_CONF_ERROR;
    }
    result = set_defaults(cf, conf);
    if (result != NGX_CONF_OK) {
        return result;
    }
    if (set_table_path(cf, conf) != NGX_OK || ngx_hivemind_read_key(cf, conf) != NGX_OK ||
        add_listening(cf, &conf->listen, SOCK_STREAM) != NGX_OK ||
        add_listening(cf, &conf->listen, SOCK_DGRAM) != NGX_OK ||
        ngx_hivemind_add_control(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}
