/* Accidents in a simulated cluster: many hosts fail at once, or one after the other, and what the
 * removal brake keeps of them is compared with what it is to keep. */
#ifndef TESTS_SIM_ACCIDENTS_H
#define TESTS_SIM_ACCIDENTS_H

#include "core/base/ids.h"

#include <stdbool.h>
#include <stddef.h>

#define ACCIDENT_SERVICES  3
#define ACCIDENT_HOSTS_MAX 24

struct cluster;
struct cluster_node;
struct hm_view;

/* What it has to do with one place of the network. */
struct accident_host {
    bool falls;
    bool held;         /* as is to be expected */
    bool comes_back;   /* while those that are held are */
    bool away;         /* killed, and not back yet */
    bool member;       /* since it came back */
    uint64_t until_ms; /* log time until which the brake holds, as first seen; 0: it does not */
};

/* By place in the network. */
struct accident {
    size_t rounds; /* 0: there are none */
    size_t over;   /* rounds */
    struct accident_host hosts[ACCIDENT_HOSTS_MAX];
};

const char *accident_service(size_t number);

void accidents_start(struct cluster *cluster);
/* Of a control node, in any cluster: what is braked is there and no member, and there is nothing
 * of those that are neither. */
void accidents_check_view(struct cluster_node *node, const struct hm_view *view);
void accidents_check_end(struct cluster *cluster);

#endif
