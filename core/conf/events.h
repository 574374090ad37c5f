/* One YAML file as libyaml's events, within limits, with the parts of YAML that a configuration
 * does not use refused. Of use to this folder only. */
#ifndef HM_CONF_EVENTS_H
#define HM_CONF_EVENTS_H

#include "core/base/bytes.h"
#include "core/conf/errors.h"

#include <yaml.h>

struct hm_conf_events {
    struct hm_conf_errors *errors;
    struct hm_conf_origin start; /* line 1, column 1 of the file */
    struct hm_bytes text;
    yaml_parser_t yaml;
    yaml_event_t event; /* the current one; of type YAML_NO_EVENT when over */
    unsigned depth;     /* maps and lists that are open, the current one included */
    size_t values;
    bool over; /* broken or beyond a limit, told; nothing more is read */
};

/* `text` and the file name of `start` must outlive it. There is no event before an advance. */
void hm_conf_events_init(struct hm_conf_events *events, struct hm_conf_origin start,
                         struct hm_bytes text, struct hm_conf_errors *errors);
void hm_conf_events_fini(struct hm_conf_events *events);

/* To the next event; what is wrong with it is told. */
void hm_conf_events_advance(struct hm_conf_events *events);

bool hm_conf_events_at(const struct hm_conf_events *events, yaml_event_type_t type);

/* At a plain scalar of nothing, ~ or null. */
bool hm_conf_events_at_nothing(const struct hm_conf_events *events);

struct hm_conf_origin hm_conf_events_place(const struct hm_conf_events *events);

/* "a map", "a list", "a single value". */
const char *hm_conf_events_word(const struct hm_conf_events *events);

/* The current scalar as a C string, until the next event; NULL, told, when it cannot be one. */
const char *hm_conf_events_text(struct hm_conf_events *events);

/* From the first event of a value to its last. */
void hm_conf_events_skip(struct hm_conf_events *events);

#endif
