/* What feed.c and feed_wishes.c share. */
#ifndef HM_ENGINE_FEED_INTERNAL_H
#define HM_ENGINE_FEED_INTERNAL_H

#include "core/engine/feed.h"

#define PULL_TIMEOUT_MS 300u
#define SETTLE_MS       30u /* neighbours are new: those that we are new to learn of us */

/* NULL: it is no neighbour and not the last stranger. */
struct hm_feed_link *feed_link_of(const struct hm_feed *feed, const struct hm_id *id);
struct hm_peer feed_peer_of(const struct hm_feed *feed, const struct hm_feed_link *link);

/* Sees to it that a neighbour pushes to us, and that some tell how far they are. */
void feed_settle(struct hm_feed *feed, hm_ms now);
/* Whom we asked to push may have answered. */
void feed_answered(struct hm_feed *feed, hm_ms now, struct hm_feed_link *link, bool pushes);

/* A place was told over this link; then the next event was pushed. */
void feed_note_lead(struct hm_feed *feed, hm_ms now, const struct hm_feed_link *link);
void feed_compare_lead(struct hm_feed *feed, hm_ms now);

/* Says how far we are to those who wished to know. */
void feed_tell_place(struct hm_feed *feed);
/* A duplicate was pushed over this link. */
void feed_repeated(struct hm_feed *feed, struct hm_feed_link *link);

#endif
