/* Somebody who looks after a simulated cluster in which a majority of the control plane is lost:
 * recovers a survivor, brings the others back with their disks, and has them rejoin. */
#ifndef TESTS_SIM_OPERATOR_H
#define TESTS_SIM_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster;
struct cluster_node;

void operator_start(struct cluster *cluster);
/* From now on that generation counts: what was decided behind this event, and this position of feed
 * members, is decided anew. */
void operator_begin_generation(struct cluster *cluster, uint64_t generation, uint64_t index,
                               uint64_t position);
/* A node has stopped as it was told by `control rejoin`: its control data is put aside. */
void operator_put_aside(struct cluster_node *node);
/* After every step of a node: one that is fenced commits nothing. */
void operator_check(struct cluster_node *node);
/* At the end one history counts. */
void operator_check_end(struct cluster *cluster);

#endif
