/* What the two nginx modules of the shared object know of each other. */
#ifndef NGX_HIVEMIND_H
#define NGX_HIVEMIND_H

#include <ngx_config.h>
#include <ngx_core.h>

#include "core/base/ids.h"
#include "core/node/node.h"
#include "core/wire/seal.h"
#include "ngx_hivemind/table.h"

/* The hivemind { } block of one cycle. */
struct ngx_hivemind_conf {
    ngx_flag_t configured;
    ngx_str_t key_file;
    ngx_str_t socket; /* the control socket's path; empty: the default one, until it is known */
    ngx_array_t join; /* of char *, NUL-terminated */
    struct hm_addr listen;
    struct hm_addr advertise;
    ngx_path_t *state;
    ngx_str_t table_path;
    struct hm_name name;
    size_t table_bytes;

    struct hm_key key; /* in the master and the node's process; wiped in workers */
    /* The master's copies of the listening sockets, for the node; or -1. */
    int udp, tcp, control;
    int made; /* the control socket while it is of a cycle that may still fail; or -1 */
    struct hm_table table;

    /* The first directive elsewhere that needs the block. */
    u_char *used_file;
    ngx_uint_t used_line;
    ngx_cycle_t *cycle;
};

extern ngx_module_t ngx_hivemind_module;

/* The block's configuration, to be filled by directives or, once complete, read. */
struct ngx_hivemind_conf *ngx_hivemind_conf_of(ngx_cycle_t *cycle);

/* A directive outside the block needs it: the configuration is refused without one. */
void ngx_hivemind_need_block(ngx_conf_t *cf);

/* Reads the block that `cf` stands in. */
char *ngx_hivemind_block(ngx_conf_t *cf, ngx_command_t *command, void *conf);

/* The handler of our listening sockets, by which they are known among nginx's. Only the node's own
 * process uses them, never nginx: it closes whatever it is given. */
void ngx_hivemind_refuse(ngx_connection_t *connection);

/* Puts the node's control socket among nginx's listening sockets; it is made here unless the cycle
 * before has it, or nothing is to be touched. */
ngx_int_t ngx_hivemind_add_control(ngx_conf_t *cf, struct ngx_hivemind_conf *conf);
/* Not to be removed: the cycle has begun. And the opposite. */
void ngx_hivemind_keep_control(struct ngx_hivemind_conf *conf);
void ngx_hivemind_drop_control(struct ngx_hivemind_conf *conf);

/* A listening socket that is the node's alone. */
ngx_listening_t *ngx_hivemind_listening(ngx_conf_t *cf, struct sockaddr *name, socklen_t size,
                                        int type);

/* Reads and checks the key file into conf->key; logs and gives NGX_ERROR. */
ngx_int_t ngx_hivemind_read_key(ngx_conf_t *cf, struct ngx_hivemind_conf *conf);

/* The dedicated process: ngx_path_t.manager, with the struct ngx_hivemind_conf as its data. Gives
 * the milliseconds until it wants to be called again. */
ngx_msec_t ngx_hivemind_manage(void *data);

#endif
