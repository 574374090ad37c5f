/* The leader counts the observers' reports: H distinct live observers make a member gone, and
 * nothing else does (Rapid, ATC'18, section 4.2). A doubt opens an inquiry: all who watch the
 * suspect are asked to see for themselves, and answer. Who does not say a word is in doubt itself;
 * on its rings the next live predecessor stands in for it, and where too few live the control nodes
 * look. So doubt runs through a cluster that has lost most of its nodes in a few waves.
 *
 * SEND: suspect. What is found is asked for with hm_verdict_gone. */
#ifndef HM_ENGINE_VERDICT_H
#define HM_ENGINE_VERDICT_H

#include "core/base/index.h"
#include "core/engine/effect.h"

#define HM_VERDICT_VOICES_MAX 32u

/* What the leader knows of the members. */
struct hm_verdict_config {
    struct hm_id self;
    void *context;
    /* Who watches `target`, each once; on each ring the next predecessor that `is_live` takes. */
    size_t (*observers)(void *context, const struct hm_id *target,
                        bool (*is_live)(void *live_context, const struct hm_id *id),
                        void *live_context, struct hm_peer *out, size_t most);
    size_t (*controls)(void *context, struct hm_peer *out, size_t most);
    /* False: it is no member. */
    bool (*member)(void *context, const struct hm_id *id, struct hm_peer *out);
};

/* What one who was asked said last. */
struct hm_verdict_voice {
    struct hm_peer peer;
    uint8_t says; /* file-local: asked, looking, alive, gone, silent */
    hm_ms at;     /* of its last word, or of the question */
};

struct hm_verdict_inquiry {
    struct hm_peer target;
    uint64_t incarnation; /* of it, as last told */
    struct hm_verdict_voice *voices;
    uint8_t voice_count;
    uint8_t rounds;  /* of waiting for answers */
    uint8_t relayed; /* suspicions passed on */
    bool controls;   /* the control nodes have been asked */
    bool doubted;    /* somebody said that it had no answer */
    bool disputed;   /* somebody found it alive */
    bool decided;
    hm_ms opened_at;
    hm_ms next_at;    /* it is looked at again */
    hm_ms round_at;   /* a round of waiting ends */
    hm_ms told_until; /* its removal is under way until then */
};

struct hm_verdict {
    struct hm_verdict_config config;
    struct hm_outbox outbox;
    struct hm_verdict_inquiry *inquiries;
    size_t count;
    size_t capacity;
    struct hm_index by_id; /* of the targets */
    hm_ms tick_at;
    hm_ms decided_at; /* of the oldest that was not told; HM_NEVER: none */
    hm_ms settled_at; /* the same, of those that were disputed */
    hm_ms told_at;    /* when some were told */
};

void hm_verdict_init(struct hm_verdict *verdict, const struct hm_verdict_config *config);
void hm_verdict_fini(struct hm_verdict *verdict);
/* All inquiries end: this node leads no more. */
void hm_verdict_clear(struct hm_verdict *verdict);

/* A member doubts, suspects, finds gone or finds alive another: suspect, report. Others than those
 * who watch it, or were asked, do not count. */
void hm_verdict_input(struct hm_verdict *verdict, hm_ms now, const struct hm_peer *from,
                      const struct hm_message *message);
/* This node joined, left or failed: what was said of it is void. */
void hm_verdict_forget(struct hm_verdict *verdict, const struct hm_id *target);

void hm_verdict_tick(struct hm_verdict *verdict, hm_ms now);
hm_ms hm_verdict_deadline(const struct hm_verdict *verdict);
bool hm_verdict_output(struct hm_verdict *verdict, struct hm_effect *out);

/* Up to `most` members that are to be removed now, together; each is told again after a second,
 * unless it is forgotten. Returns how many. */
size_t hm_verdict_gone(struct hm_verdict *verdict, hm_ms now, struct hm_node_ref *out, size_t most);

#endif
