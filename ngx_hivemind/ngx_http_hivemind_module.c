/* HTTP: upstreams whose servers are the cluster's, the variable $hivemind_vhost, the status page.
 */
#include "ngx_hivemind/balance.h"
#include "ngx_hivemind/ngx_hivemind.h"
#include "ngx_hivemind/report.h"

#include <ngx_http.h>

struct http_conf {
    struct hm_balance *balance; /* of this worker */
};

/* upstream { hivemind service=VALUE; } or vhost=VALUE */
struct upstream_conf {
    ngx_http_complex_value_t value;
    bool by_vhost;
};

/* One request's way through the endpoints: chosen anew from the table at every try. */
struct peer {
    struct hm_balance *balance;
    const struct hm_table *table;
    struct hm_balance_target target;
    struct hm_addr current; /* none: nothing in flight */
    ngx_array_t tried;      /* of struct hm_addr */
    ngx_pool_t *pool;
    ngx_log_t *log;
};

ngx_module_t ngx_http_hivemind_module;

static void *create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(struct http_conf));
}

static void *create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(struct upstream_conf));
}

/* The endpoint as nginx wants it. Of the request's pool: nginx keeps what `name` points to. */
static ngx_int_t show_endpoint(ngx_peer_connection_t *pc, struct peer *peer,
                               const struct hm_addr *addr)
{
    struct sockaddr_storage *storage = ngx_pcalloc(peer->pool, sizeof *storage);
    ngx_str_t *name = ngx_palloc(peer->pool, sizeof *name);
    char *text = ngx_pnalloc(peer->pool, HM_ADDR_TEXT_BYTES);
    if (storage == NULL || name == NULL || text == NULL) {
        return NGX_ERROR;
    }
    if (addr->family == 4) {
        struct sockaddr_in *sin = (struct sockaddr_in *)storage;
        sin->sin_family = AF_INET;
        sin->sin_port = htons(addr->port);
        ngx_memcpy(&sin->sin_addr, addr->ip, sizeof sin->sin_addr);
        pc->socklen = sizeof *sin;
    } else {
        struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)storage;
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(addr->port);
        ngx_memcpy(&sin6->sin6_addr, addr->ip, sizeof sin6->sin6_addr);
        pc->socklen = sizeof *sin6;
    }
    name->data = (u_char *)hm_addr_format(addr, text);
    name->len = ngx_strlen(text);
    pc->sockaddr = (struct sockaddr *)storage;
    pc->name = name;
    return NGX_OK;
}

static ngx_int_t get_peer(ngx_peer_connection_t *pc, void *data)
{
    struct peer *peer = data;
    struct hm_table_endpoint endpoint;
    enum hm_status status =
        hm_balance_choose(peer->balance, peer->table, &peer->target, peer->tried.elts,
                          peer->tried.nelts, ngx_current_msec, &endpoint);
    if (status != HM_OK) {
        pc->name = NULL;
        return NGX_BUSY;
    }
    struct hm_addr *tried = ngx_array_push(&peer->tried);
    if (tried == NULL || show_endpoint(pc, peer, &endpoint.addr) != NGX_OK) {
        return NGX_ERROR;
    }
    *tried = endpoint.addr;
    peer->current = endpoint.addr;
    hm_balance_started(peer->balance, &peer->current);
    pc->cached = 0;
    pc->connection = NULL;
    return NGX_OK;
}

static void free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
    struct peer *peer = data;
    if (hm_addr_is_none(&peer->current)) {
        return;
    }
    /* A kept connection that the other side had closed says nothing of the endpoint: nginx grants
     * one try more, and it may be the same again. */
    bool stale = pc->cached && (state & NGX_PEER_FAILED);
    hm_balance_ended(peer->balance, &peer->current, (state & NGX_PEER_FAILED) && !stale,
                     ngx_current_msec);
    if (stale) {
        peer->tried.nelts--;
    }
    peer->current = (struct hm_addr){0};
    if (pc->tries) {
        pc->tries--;
    }
}

#if (NGX_HTTP_SSL)

/* Endpoints come and go: TLS sessions are not kept for them. */
static ngx_int_t set_session(ngx_peer_connection_t *pc, void *data)
{
    return NGX_OK;
}

static void save_session(ngx_peer_connection_t *pc, void *data)
{
}

#endif

/* Says in one line why a request has nowhere to go. */
static void log_nowhere(ngx_http_request_t *r, const struct upstream_conf *upstream,
                        enum hm_status status, const struct hm_name *service, ngx_str_t *value)
{
    const char *kind = upstream->by_vhost ? "virtual host" : "service";
    if (status == HM_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "hivemind: service \"%s\" has no endpoint (%s \"%V\")", service->text, kind,
                      value);
    } else if (status == HM_NOT_FOUND) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "hivemind: no %s \"%V\" in the cluster",
                      kind, value);
    } else {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "hivemind: the routing table cannot be read (%s \"%V\")", kind, value);
    }
}

static ngx_int_t init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
    struct http_conf *http = ngx_http_get_module_main_conf(r, ngx_http_hivemind_module);
    struct upstream_conf *upstream = ngx_http_conf_upstream_srv_conf(us, ngx_http_hivemind_module);
    struct peer *peer = ngx_pcalloc(r->pool, sizeof *peer);
    ngx_str_t value;
    if (peer == NULL || ngx_http_complex_value(r, &upstream->value, &value) != NGX_OK ||
        ngx_array_init(&peer->tried, r->pool, 2, sizeof(struct hm_addr)) != NGX_OK) {
        return NGX_ERROR;
    }
    peer->balance = http->balance;
    peer->table = &ngx_hivemind_conf_of((ngx_cycle_t *)ngx_cycle)->table;
    peer->pool = r->pool;
    peer->log = r->connection->log;

    struct hm_name service = {0};
    uint32_t count = 0;
    enum hm_status status = HM_OK;
    if (upstream->by_vhost) {
        peer->target.vhost = (struct hm_bytes){value.data, value.len};
        status = value.len ? HM_OK : HM_NOT_FOUND;
    } else if (!hm_name_set(&peer->target.service, (char *)value.data, value.len)) {
        status = HM_NOT_FOUND;
    }
    if (status == HM_OK) {
        status = hm_balance_count(peer->table, &peer->target, &service, &count);
    }
    if (status != HM_OK || count == 0) {
        log_nowhere(r, upstream, status, &service, &value);
    }

    /* The count may change until the last try; the choice itself ends when all were tried. */
    r->upstream->peer.data = peer;
    r->upstream->peer.get = get_peer;
    r->upstream->peer.free = free_peer;
    r->upstream->peer.tries = count ? count : 1;
#if (NGX_HTTP_SSL)
    r->upstream->peer.set_session = set_session;
    r->upstream->peer.save_session = save_session;
#endif
    return NGX_OK;
}

/* Round robin keeps the one server that is down: what `zone` copies and others may look into. */
static ngx_int_t init_upstream(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    if (us->servers->nelts != 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "upstream \"%V\" takes its servers from the cluster: \"server\" cannot stand "
                      "beside \"hivemind\" in %s:%ui",
                      &us->host, us->file_name, us->line);
        return NGX_ERROR;
    }
    if (ngx_http_upstream_init_round_robin(cf, us) != NGX_OK) {
        return NGX_ERROR;
    }
    us->peer.init = init_peer;
    return NGX_OK;
}

static ngx_int_t add_down_server(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *us)
{
    ngx_http_upstream_server_t *server = ngx_array_push(us->servers);
    ngx_addr_t *addr = ngx_pcalloc(cf->pool, sizeof *addr);
    struct sockaddr_in *sin = ngx_pcalloc(cf->pool, sizeof *sin);
    if (server == NULL || addr == NULL || sin == NULL) {
        return NGX_ERROR;
    }
    sin->sin_family = AF_INET;
    sin->sin_port = htons(1);
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr->sockaddr = (struct sockaddr *)sin;
    addr->socklen = sizeof *sin;
    ngx_str_set(&addr->name, "hivemind");
    ngx_memzero(server, sizeof *server);
    server->name = addr->name;
    server->addrs = addr;
    server->naddrs = 1;
    server->weight = 1;
    server->down = 1;
    return NGX_OK;
}

static char *set_upstream(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
    struct upstream_conf *upstream = data;
    ngx_http_upstream_srv_conf_t *us =
        ngx_http_conf_get_module_srv_conf(cf, ngx_http_upstream_module);
    ngx_str_t argument = ((ngx_str_t *)cf->args->elts)[1];
    size_t prefix = 0;
    if (upstream->value.value.data) {
        return "is duplicate";
    }
    if (us->peer.init_upstream) {
        return "must stand before \"keepalive\" and without another balancing method";
    }
    if (ngx_strncmp(argument.data, "service=", 8) == 0) {
        prefix = 8;
    } else if (ngx_strncmp(argument.data, "vhost=", 6) == 0) {
        prefix = 6;
    }
    if (prefix == 0 || argument.len == prefix) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"hivemind\" in an upstream takes service=NAME or vhost=$host, not "
                           "\"%V\"",
                           &argument);
        return NGX_CONF_ERROR;
    }
    upstream->by_vhost = prefix == 6;
    argument.data += prefix;
    argument.len -= prefix;
    ngx_http_compile_complex_value_t compile = {
        .cf = cf, .value = &argument, .complex_value = &upstream->value};
    if (ngx_http_compile_complex_value(&compile) != NGX_OK || add_down_server(cf, us) != NGX_OK) {
        return NGX_CONF_ERROR;
    }
    ngx_hivemind_need_block(cf);
    us->peer.init_upstream = init_upstream;
    us->flags = NGX_HTTP_UPSTREAM_CREATE;
    return NGX_CONF_OK;
}

static ngx_int_t status_handler(ngx_http_request_t *r)
{
    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }
    ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }
    struct hm_buf json = {0};
    ngx_buf_t *b = NULL;
    if (hm_table_json(&ngx_hivemind_conf_of((ngx_cycle_t *)ngx_cycle)->table, &json) == HM_OK) {
        b = ngx_create_temp_buf(r->pool, json.size);
    }
    if (b) {
        b->last = ngx_cpymem(b->last, json.data, json.size);
    }
    hm_buf_fini(&json);
    if (b == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }
    b->last_buf = r == r->main;
    b->last_in_chain = 1;
    ngx_chain_t out = {.buf = b};
    return ngx_http_output_filter(r, &out);
}

static char *set_status(ngx_conf_t *cf, ngx_command_t *command, void *data)
{
    ngx_http_core_loc_conf_t *location =
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    location->handler = status_handler;
    ngx_hivemind_need_block(cf);
    return NGX_CONF_OK;
}

/* $hivemind_vhost: the request's host when the cluster serves it, else empty. */
static ngx_int_t get_vhost(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
    const struct hm_table *table = &ngx_hivemind_conf_of((ngx_cycle_t *)ngx_cycle)->table;
    struct hm_balance_target target = {
        .vhost = {r->headers_in.server.data, r->headers_in.server.len}};
    struct hm_name service;
    uint32_t count;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = r->headers_in.server.data;
    v->len = 0;
    if (table->map && target.vhost.size &&
        hm_balance_count(table, &target, &service, &count) == HM_OK) {
        v->len = r->headers_in.server.len & 0xfffffff;
    }
    return NGX_OK;
}

static ngx_int_t add_variables(ngx_conf_t *cf)
{
    ngx_str_t name = ngx_string("hivemind_vhost");
    ngx_http_variable_t *variable = ngx_http_add_variable(cf, &name, 0);
    if (variable == NULL) {
        return NGX_ERROR;
    }
    variable->get_handler = get_vhost;
    return NGX_OK;
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
    struct http_conf *http = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_hivemind_module);
    if (http == NULL || !ngx_hivemind_conf_of(cycle)->configured ||
        ngx_process == NGX_PROCESS_HELPER) {
        return NGX_OK;
    }
    http->balance = ngx_palloc(cycle->pool, sizeof *http->balance);
    if (http->balance == NULL) {
        return NGX_ERROR;
    }
    hm_balance_init(http->balance, (uint64_t)ngx_random() << 32 ^ (uint64_t)ngx_pid);
    return NGX_OK;
}

static ngx_command_t commands[] = {
    {ngx_string("hivemind"), NGX_HTTP_UPS_CONF | NGX_CONF_TAKE1, set_upstream,
     NGX_HTTP_SRV_CONF_OFFSET, 0, NULL},
    {ngx_string("hivemind_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_status,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
    ngx_null_command,
};

static ngx_http_module_t context = {
    .preconfiguration = add_variables,
    .create_main_conf = create_main_conf,
    .create_srv_conf = create_srv_conf,
};

ngx_module_t ngx_http_hivemind_module = {
    NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE,       NULL, NULL, init_process, NULL,
    NULL,          NULL,     NULL,     NGX_MODULE_V1_PADDING,
};
