/* The private nginx beside `hivemind dev`: there when nginx and our module for it are. */
#ifndef HM_CLI_DEV_NGINX_H
#define HM_CLI_DEV_NGINX_H

#include "core/base/ids.h"

#include <limits.h>
#include <sys/types.h>

struct hm_dev_nginx {
    const char *directory;      /* everything of it is in here */
    const struct hm_name *name; /* of the node beside it: its own is NAME-nginx */
    uint16_t join_port;         /* of that node */
    uint16_t port;              /* its node's own */
    uint16_t http_port;
    char program[PATH_MAX]; /* empty: there is none */
    char module[PATH_MAX];
    pid_t pid; /* 0: not running */
};

/* Looks for the program and the module. */
bool hm_dev_nginx_find(struct hm_dev_nginx *nginx);
/* False when there is none; what is wrong with one nginx says itself, on stderr. */
bool hm_dev_nginx_start(struct hm_dev_nginx *nginx);
/* Waits for its end. */
void hm_dev_nginx_stop(struct hm_dev_nginx *nginx);

#endif
