/* Somebody who makes a named log in a simulated cluster and appends to it, on any node, each entry
 * until it is answered; and what must come of it. */
#ifndef TESTS_SIM_WRITER_H
#define TESTS_SIM_WRITER_H

#include "core/base/ids.h"
#include "core/wire/message.h"

#define WRITERS         2
#define WRITER_SEQS_MAX 4096

struct cluster;
struct cluster_node;

struct cluster_writer {
    struct cluster *cluster;
    size_t number;
    struct hm_name log;
    bool made; /* the log is there */
    struct hm_id session;
    uint64_t seq;     /* on its way, or acknowledged */
    uint64_t attempt; /* counts questions of all entries */
    bool waits;       /* for the answer to the last question */
    struct cluster_node *asked;
    uint64_t acked;                  /* every seq up to here was acknowledged, */
    uint64_t index[WRITER_SEQS_MAX]; /* as this entry of the log; 0: it went with a lost majority */
    struct hm_buf read;              /* what a node's own copy holds: the page, encoded */
};

void writers_start(struct cluster *cluster);
/* An answer on the connection of a writer. */
void writer_answered(struct cluster *cluster, uint64_t connection, struct hm_bytes bytes);
/* Looks at what the own copy of a node holds, that is to be recovered; then what it does not hold
 * is lost, though it was acknowledged. */
void writers_look(struct cluster *cluster, struct cluster_node *node);
void writers_lose(struct cluster *cluster);
/* After everything was healed: all control nodes have the same entries; what was acknowledged is
 * there, in its place, and nothing twice. */
void writers_check_end(struct cluster *cluster);
void writers_fini(struct cluster *cluster);

#endif
