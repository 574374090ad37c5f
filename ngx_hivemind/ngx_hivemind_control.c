/* The node's control socket. The master makes it, which may write where the node's user may not; as
 * one of nginx's listening sockets it outlives the node's process, reloads and upgrades, and nginx
 * removes its file at the end. */
#include "core/io/control.h"
#include "ngx_hivemind/ngx_hivemind.h"

#include <sys/un.h>

static ngx_int_t set_default_path(ngx_conf_t *cf, struct ngx_hivemind_conf *conf)
{
    struct hm_buf path = {0};
    hm_control_path(conf->name.text, &path);
    conf->socket.len = path.size;
    conf->socket.data = ngx_pnalloc(cf->pool, path.size + 1);
    if (conf->socket.data) {
        ngx_memcpy(conf->socket.data, path.data, path.size);
        conf->socket.data[path.size] = 0;
    }
    hm_buf_fini(&path);
    return conf->socket.data ? NGX_OK : NGX_ERROR;
}

/* Then nginx gives the new cycle the same descriptor. */
static bool has_it(ngx_cycle_t *cycle, struct sockaddr_un *name)
{
    ngx_listening_t *ls = cycle ? cycle->listening.elts : NULL;
    for (ngx_uint_t i = 0; ls && i < cycle->listening.nelts; i++) {
        if (!ls[i].ignore && ls[i].sockaddr->sa_family == AF_UNIX &&
            ngx_cmp_sockaddr((struct sockaddr *)name, sizeof *name, ls[i].sockaddr, ls[i].socklen,
                             0) == NGX_OK) {
            return true;
        }
    }
    return false;
}

/* Commands can ask other nodes, and traffic needs none: nginx starts without it. */
static int make(ngx_conf_t *cf, const char *path)
{
    struct hm_buf why = {0};
    int fd = hm_control_listen(path, &why);
    if (fd < 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "%*s; meanwhile commands cannot ask this node",
                           why.size, why.data);
    } else {
        fcntl(fd, F_SETFD, 0); /* the next binary gets it, as all of nginx's */
    }
    hm_buf_fini(&why);
    return fd;
}

ngx_int_t ngx_hivemind_add_control(ngx_conf_t *cf, struct ngx_hivemind_conf *conf)
{
    struct sockaddr_un name;
    if (conf->socket.data == NULL && set_default_path(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (conf->socket.len >= sizeof name.sun_path) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the path of the control socket is longer than %uz bytes: \"%V\", "
                           "\"socket\" names a shorter one",
                           sizeof name.sun_path - 1, &conf->socket);
        return NGX_ERROR;
    }
    if (ngx_test_config || ngx_process == NGX_PROCESS_SIGNALLER) {
        return NGX_OK;
    }
    ngx_memzero(&name, sizeof name);
    name.sun_family = AF_UNIX;
    ngx_memcpy(name.sun_path, conf->socket.data, conf->socket.len);
    if (!has_it(cf->cycle->old_cycle, &name)) {
        conf->made = make(cf, name.sun_path);
        if (conf->made < 0) {
            return NGX_OK;
        }
    }
    ngx_listening_t *ls =
        ngx_hivemind_listening(cf, (struct sockaddr *)&name, sizeof name, SOCK_STREAM);
    if (ls == NULL) {
        return NGX_ERROR;
    }
    ls->fd = conf->made; /* nginx opens only what is not open, and would let everybody in */
    return NGX_OK;
}

void ngx_hivemind_keep_control(struct ngx_hivemind_conf *conf)
{
    conf->made = -1;
}

void ngx_hivemind_drop_control(struct ngx_hivemind_conf *conf)
{
    if (conf->made >= 0) {
        /* At a first start that fails late nginx has closed it already, and ends. */
        close(conf->made);
        unlink((char *)conf->socket.data);
        conf->made = -1;
    }
}
