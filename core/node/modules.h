/* Modules inside a node. */
#ifndef HM_NODE_MODULES_H
#define HM_NODE_MODULES_H

#include "core/node/desk/inside.h"

#include <stdarg.h>

/* Of the status that is being answered. All zero is a valid empty one. */
struct hm_facts {
    struct hm_pair *items;
    size_t count;
    size_t capacity;
};

HM_MUST_USE enum hm_status hm_node_open_modules(struct hm_node *node, struct hm_buf *error);
HM_MUST_USE enum hm_status hm_node_start_modules(struct hm_node *node, struct hm_buf *error);
void hm_node_close_modules(struct hm_node *node);
void hm_node_tick_modules(struct hm_node *node);
hm_ms hm_node_modules_deadline(const struct hm_node *node);
/* Given to the catalog: tells every module of a change. */
void hm_node_catalog_changed(void *context, const struct hm_change_note *note);
/* Gives every module an event of feed members. */
void hm_node_run_event(struct hm_node *node, const struct hm_event *event,
                       const struct hm_message *body);
/* Passes a request through the middlewares; HM_OK: go on to the handler. */
enum hm_status hm_node_run_chain(struct hm_node *node, const struct hm_request *request);
/* Offers it to the modules: HM_NOT_FOUND when none takes it. */
enum hm_status hm_node_offer_request(struct hm_node *node, const struct hm_request *request);
/* Hook of HM_CALL_WRITE: a write of a module was answered. */
void hm_node_module_written(struct hm_node *node, const struct hm_call *call,
                            const struct hm_submitted *answer);
void hm_node_module_write_expired(struct hm_node *node, const struct hm_call *call);
void hm_node_status_facts(struct hm_node *node);
/* One fact more for the status that is being answered. */
void hm_node_add_fact(struct hm_node *node, const char *key, const char *format, va_list arguments);

#endif
