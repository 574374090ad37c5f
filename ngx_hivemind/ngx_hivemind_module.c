/* nginx as a member of the cluster: the main block, its sockets, key and table through the life of
 * master and workers. */
#include "core/base/memory.h"
#include "ngx_hivemind/ngx_hivemind.h"

#include <ngx_event.h>

static void close_copies(struct ngx_hivemind_conf *conf)
{
    if (conf->udp >= 0) {
        close(conf->udp);
    }
    if (conf->tcp >= 0) {
        close(conf->tcp);
    }
    if (conf->control >= 0) {
        close(conf->control);
    }
    conf->udp = conf->tcp = conf->control = -1;
}

/* The cycle ends: in the master after a reload, in every process at its end. */
static void clean_up(void *data)
{
    struct ngx_hivemind_conf *conf = data;
    ngx_hivemind_drop_control(conf);
    close_copies(conf);
    hm_key_wipe(&conf->key);
    hm_table_close(&conf->table);
}

static void *create_conf(ngx_cycle_t *cycle)
{
    struct ngx_hivemind_conf *conf = ngx_pcalloc(cycle->pool, sizeof *conf);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cycle->pool, 0);
    if (conf == NULL || cleanup == NULL ||
        ngx_array_init(&conf->join, cycle->pool, 4, sizeof(char *)) != NGX_OK) {
        return NULL;
    }
    conf->udp = conf->tcp = conf->control = conf->made = -1;
    conf->table.fd = -1;
    conf->cycle = cycle;
    cleanup->handler = clean_up;
    cleanup->data = conf;
    return conf;
}

static char *init_conf(ngx_cycle_t *cycle, void *data)
{
    struct ngx_hivemind_conf *conf = data;
    if (conf->used_file && !conf->configured) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "this needs a \"hivemind { }\" block at the top level in %s:%ui",
                      conf->used_file, conf->used_line);
        return NGX_CONF_ERROR;
    }
    return NGX_CONF_OK;
}

struct ngx_hivemind_conf *ngx_hivemind_conf_of(ngx_cycle_t *cycle)
{
    return (struct ngx_hivemind_conf *)ngx_get_conf(cycle->conf_ctx, ngx_hivemind_module);
}

void ngx_hivemind_need_block(ngx_conf_t *cf)
{
    struct ngx_hivemind_conf *conf = ngx_hivemind_conf_of(cf->cycle);
    if (conf->used_file == NULL) {
        conf->used_file = cf->conf_file->file.name.data;
        conf->used_line = cf->conf_file->line;
    }
}

static const char *why_key_is_bad(ngx_fd_t fd, struct hm_key *key)
{
    struct stat stat;
    uint8_t text[256];
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        return "is no regular file: name one that `hivemind keygen` made";
    }
    if (stat.st_mode & S_IRWXO) {
        return "can be reached by others: chmod 0600 or 0640";
    }
    ssize_t size = read(fd, text, sizeof text);
    struct hm_bytes bytes = {text, size > 0 ? (size_t)size : 0};
    enum hm_status status = size < 0 ? HM_IO : hm_key_parse(bytes, key);
    hm_wipe(text, sizeof text);
    return status == HM_OK ? NULL
                           : "holds no key: 64 hex digits are expected, as `hivemind "
                             "keygen` writes them";
}

ngx_int_t ngx_hivemind_read_key(ngx_conf_t *cf, struct ngx_hivemind_conf *conf)
{
    ngx_fd_t fd = open((char *)conf->key_file.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        ngx_err_t why = ngx_errno;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, why,
                           why == ENOENT ? "cannot open the key file \"%V\", `hivemind keygen -o` "
                                           "makes one for a new cluster"
                                         : "cannot open the key file \"%V\"",
                           &conf->key_file);
        return NGX_ERROR;
    }
    const char *why = why_key_is_bad(fd, &conf->key);
    close(fd);
    if (why) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "the key file \"%V\" %s", &conf->key_file, why);
        return NGX_ERROR;
    }
    return NGX_OK;
}

static ngx_int_t open_table(ngx_cycle_t *cycle, struct ngx_hivemind_conf *conf)
{
    static const char *const found_texts[] = {
        [HM_TABLE_CREATED] = "is new and empty",
        [HM_TABLE_RESIZED] = "has another size, its content was kept",
        [HM_TABLE_RESTORED] = "was damaged, the state before the last is back",
        [HM_TABLE_RENEWED] = "was damaged, it starts empty",
    };
    ngx_core_conf_t *core = (ngx_core_conf_t *)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    const char *path = (const char *)conf->table_path.data;
    bool root = geteuid() == 0;
    enum hm_table_found found = HM_TABLE_KEPT;
    enum hm_status status = hm_table_prepare(path, conf->table_bytes, root ? core->user : (uid_t)-1,
                                             root ? core->group : (gid_t)-1, &found);
    if (status == HM_OK) {
        status = hm_table_open_reader(&conf->table, path);
    }
    if (status != HM_OK) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno, "the routing table \"%s\": %s%s", path,
                      hm_status_text(status),
                      status == HM_TOO_LARGE ? " for this \"table_size\": raise it"
                                             : "; \"state\" names another directory");
        return NGX_ERROR;
    }
    if (found != HM_TABLE_KEPT) {
        ngx_uint_t level = found >= HM_TABLE_RESTORED ? NGX_LOG_WARN : NGX_LOG_NOTICE;
        ngx_log_error(level, cycle->log, 0, "the routing table \"%s\" %s", path,
                      found_texts[found]);
    }
    return NGX_OK;
}

/* nginx closes its listening sockets in the helper process: the node gets copies. */
static ngx_int_t copy_sockets(ngx_cycle_t *cycle, struct ngx_hivemind_conf *conf)
{
    ngx_listening_t *ls = cycle->listening.elts;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        if (ls[i].handler == ngx_hivemind_refuse) {
            int *copy = ls[i].type == SOCK_DGRAM               ? &conf->udp
                        : ls[i].sockaddr->sa_family == AF_UNIX ? &conf->control
                                                               : &conf->tcp;
            *copy = fcntl(ls[i].fd, F_DUPFD_CLOEXEC, 0);
        }
    }
    if (conf->udp < 0 || conf->tcp < 0) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "cannot copy a listening socket: raise "
                      "\"worker_rlimit_nofile\"");
        return NGX_ERROR;
    }
    return NGX_OK;
}

/* In the master. A test of the configuration leaves the running nginx's table alone. */
static ngx_int_t init_module(ngx_cycle_t *cycle)
{
    struct ngx_hivemind_conf *conf = ngx_hivemind_conf_of(cycle);
    ngx_core_conf_t *core = (ngx_core_conf_t *)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    if (!conf->configured || ngx_test_config) {
        return NGX_OK;
    }
    if (!core->master) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "\"master_process off\": no node runs, the routing table stays as it is");
    }
    if (open_table(cycle, conf) != NGX_OK || copy_sockets(cycle, conf) != NGX_OK) {
        ngx_hivemind_drop_control(conf);
        return NGX_ERROR; /* nginx ends, and cleans nothing up */
    }
    if (conf->control >= 0) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0, "hivemind: node %s, control socket \"%V\"",
                      conf->name.text, &conf->socket);
    }
    ngx_hivemind_keep_control(conf);
    return NGX_OK;
}

/* nginx armed our sockets like all others: a worker must take nothing that is the node's. */
static ngx_int_t disarm(ngx_cycle_t *cycle)
{
    ngx_listening_t *ls = cycle->listening.elts;
    for (ngx_uint_t i = 0; i < cycle->listening.nelts; i++) {
        ngx_connection_t *connection = ls[i].connection;
        if (ls[i].handler != ngx_hivemind_refuse || connection == NULL) {
            continue;
        }
        if (connection->read->active &&
            ngx_del_event(connection->read, NGX_READ_EVENT, 0) != NGX_OK) {
            return NGX_ERROR;
        }
        ngx_free_connection(connection);
        connection->fd = (ngx_socket_t)-1;
        ls[i].connection = NULL;
    }
    return NGX_OK;
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
    struct ngx_hivemind_conf *conf = ngx_hivemind_conf_of(cycle);
    if (!conf->configured || ngx_process == NGX_PROCESS_HELPER) {
        return NGX_OK;
    }
    hm_key_wipe(&conf->key);
    close_copies(conf);
    return disarm(cycle);
}

void ngx_hivemind_refuse(ngx_connection_t *connection)
{
    ngx_close_connection(connection);
}

static ngx_command_t commands[] = {
    {ngx_string("hivemind"), NGX_MAIN_CONF | NGX_DIRECT_CONF | NGX_CONF_BLOCK | NGX_CONF_NOARGS,
     ngx_hivemind_block, 0, 0, NULL},
    ngx_null_command,
};

static ngx_core_module_t context = {ngx_string("hivemind"), create_conf, init_conf};

ngx_module_t ngx_hivemind_module = {
    NGX_MODULE_V1, &context, commands, NGX_CORE_MODULE,       NULL, init_module, init_process, NULL,
    NULL,          NULL,     NULL,     NGX_MODULE_V1_PADDING,
};
