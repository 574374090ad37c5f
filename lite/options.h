/* The command line of hivemind-lite. */
#ifndef HM_LITE_OPTIONS_H
#define HM_LITE_OPTIONS_H

#include "lite/lookup.h"
#include "lite/session.h"

#define LITE_JOIN_MAX      8
#define LITE_SERVICES_MAX  16
#define LITE_VHOSTS_MAX    32
#define LITE_ADDRESSES_MAX 4

struct lite_options {
    const char *key;    /* path */
    const char *device; /* what tells this device from others; NULL: found out */
    bool once;
    struct hm_name name;
    uint32_t interval_ms;
    struct lite_place joins[LITE_JOIN_MAX];
    size_t join_count;
    struct hm_service services[LITE_SERVICES_MAX];
    struct hm_domain vhosts[LITE_SERVICES_MAX][LITE_VHOSTS_MAX];
    struct hm_address addresses[LITE_ADDRESSES_MAX];
    struct hm_host_config config;
};

/* True: go on. False: the program ends with `code` (0 after --help, 2 after a complaint). Points
 * into argv, which it changes. */
bool lite_options_read(struct lite_options *options, int argc, char **argv, int *code);

/* "hivemind-lite: ..." on stderr, one line. */
void lite_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
