/* Somebody who registers, releases and looks up unique names in a simulated cluster, on any node,
 * each request until it is answered; and what must hold of every answer. */
#ifndef TESTS_SIM_REGISTRAR_H
#define TESTS_SIM_REGISTRAR_H

#include "core/base/ids.h"
#include "core/wire/message.h"

#define REGISTRARS      3
#define REGISTRAR_NAMES 4

struct cluster;

/* Since when a registrar holds a name for certain: from the answer that said so until it asks for
 * the name's release. */
struct registrar_hold {
    bool certain;
    uint64_t since; /* counts steps of the registry's history */
};

struct registrar {
    struct cluster *cluster;
    size_t number;
    struct hm_id session;
    uint64_t seq;      /* of the request on its way */
    uint64_t attempt;  /* counts questions of all requests */
    uint64_t asked_at; /* step at which the request was made */
    int verb;          /* of it */
    size_t name;       /* that it is about */
    bool busy;
    bool stopped;
    uint64_t answered;
    struct registrar_hold holds[REGISTRAR_NAMES];
};

void registrars_start(struct cluster *cluster);
/* An answer on the connection of a registrar. */
void registrar_answered(struct cluster *cluster, uint64_t connection, struct hm_bytes bytes);
bool registrar_has(uint64_t connection);
/* After everything was healed: every name that somebody holds for certain is there. */
void registrars_check_end(struct cluster *cluster);

#endif
