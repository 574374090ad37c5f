/* A replicated state in a replica, as in a log, and the requests that many tests make of it. */
#ifndef TESTS_UNIT_STATE_FIXTURE_H
#define TESTS_UNIT_STATE_FIXTURE_H

#include "core/log/replica.h"
#include "core/state/state.h"

#define CLUSTER 77u

struct hm_id id_of(uint8_t number);
struct hm_replica *replica_of(const struct hm_state *state);
struct hm_state *new_state(void);
void free_state(struct hm_state *state);
struct hm_outcome apply(struct hm_state *state, uint8_t session, uint64_t seq,
                        const struct hm_message *request);
struct hm_member member_of(uint8_t number, const char *name);
struct hm_outcome join(struct hm_state *state, uint8_t number, const char *name);
struct hm_state *founded(void);
struct hm_outcome change_host(struct hm_state *state, uint8_t number, uint64_t seq,
                              const char *vhost, const char *service);
const char *owner_of(const struct hm_state *state, const char *vhost);
struct hm_message write_of(struct hm_change *change, struct hm_condition *condition);

#endif
