/* The addresses of this machine. */
#ifndef HM_DNS_ADDRESSES_H
#define HM_DNS_ADDRESSES_H

#include "core/base/ids.h"

/* All that are up, IPv4 first, in order and each once, with this port; loopback and link-local ones
 * left out. Returns how many; `out` is for hm_free. */
size_t hm_dns_machine_addresses(uint16_t port, struct hm_addr **out);

#endif
