/* Where the members are that --join names: addresses, or names that are looked up. */
#ifndef HM_LITE_LOOKUP_H
#define HM_LITE_LOOKUP_H

#include "core/base/ids.h"

#define LITE_HOST_MAX 254

struct lite_place {
    const char *text;         /* as it was given; borrowed */
    char host[LITE_HOST_MAX]; /* to be looked up; "": literal is it */
    uint16_t port;
    struct hm_addr literal;
    const char
        *why; /* the last lookup found nothing; static text; NULL: it did, or was no lookup */
};

/* "IP", "IP:PORT", "[IP6]:PORT", "NAME" or "NAME:PORT". False: it is none of these. */
bool lite_place_read(struct lite_place *place, const char *text, uint16_t port_default);
/* Before the first lookup: the names of this machine's /etc/hosts and of DNS, and no other source,
 * since those are plug-ins that a static program cannot rely upon. */
void lite_lookup_init(void);
/* The addresses of all, names looked up now, each once; at most `most`. May block for some seconds
 * when no DNS server answers. */
size_t lite_look_up(struct lite_place *places, size_t count, struct hm_addr *out, size_t most);

#endif
