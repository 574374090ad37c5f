/* The state machine under the event log, on voters and learners: it decides requests and emits
 * events. Deterministic: the same requests give the same events and the same bytes everywhere. */
#ifndef HM_STATE_STATE_H
#define HM_STATE_STATE_H

#include "core/log/machine.h"
#include "core/state/view.h"

/* Recent events kept for those who pull and for `hivemind events`. */
#define HM_STATE_EVENTS_MAX 4096u
/* What one host may claim. With it no request emits more events than are held. */
#define HM_STATE_CLAIMS_MAX 1024u
/* Failed consumers that stay recorded; one more, and the one that failed first is taken out. */
#define HM_STATE_CONSUMERS_FAILED_MAX 16u
/* The feature level of this release. What is decided depends on the committed level alone, so that
 * neighbouring releases decide alike. */
#define HM_FEATURE_LEVEL 1u
/* What a user event may carry: with its envelope it fits a datagram. */
#define HM_USER_EVENT_NAME_BYTES_MAX 255u
#define HM_USER_EVENT_DATA_BYTES_MAX 512u

struct hm_state;

/* The state as the machine of a log; its context is the struct hm_state. The index of an outcome is
 * that of the last event (0: the request emitted none); the events are the newest of
 * hm_state_event.
 */
extern const struct hm_machine hm_state_machine;

struct hm_state *hm_state_new(void);
/* The order of the members on so many rings is kept from now on; for a new state. */
void hm_state_keep_rings(struct hm_state *state, uint32_t rings);
void hm_state_free(struct hm_state *state);
const struct hm_view *hm_state_view(const struct hm_state *state);
/* The committed feature level: the lowest that a member has, as soon as that is higher than before;
 * it never falls. Who supports less cannot join. 0: no cluster yet. */
uint32_t hm_state_feature(const struct hm_state *state);

/* The indexes of the events held: *oldest <= *newest, or oldest = newest + 1 when there is none. */
void hm_state_events_held(const struct hm_state *state, uint64_t *oldest, uint64_t *newest);
/* The event with this index, NULL when not held; valid until the next apply or install. */
const struct hm_event *hm_state_event(const struct hm_state *state, uint64_t index);

#endif
