#include "core/node/catalog/catalog.h"

#include "core/base/assert.h"
#include "core/base/memory.h"
#include "core/base/plant.h"
#include "core/node/catalog/changes.h"
#include "core/node/catalog/entries.h"
#include "core/node/catalog/held.h"
#include "core/node/catalog/offers.h"

#include <string.h>

struct hm_catalog {
    const struct hm_view *view;
    hm_change_function *changed;
    void *context;
    bool quiet; /* during a reload: one note says it all */
    struct hm_catalog_entries entries;
    hm_ms next_expiry; /* no suspicion expires before */
};

static void ignore_note(void *context, const struct hm_change_note *note)
{
    (void)context;
    (void)note;
}

/* ---- changes ---- */

static void tell(struct hm_catalog *catalog, const struct hm_change_note *note)
{
    if (!catalog->quiet) {
        catalog->changed(catalog->context, note);
    }
}

static void tell_sides(struct hm_catalog *catalog, const struct hm_catalog_side *before,
                       const struct hm_catalog_side *after, bool all)
{
    if (!catalog->quiet) {
        hm_catalog_tell(before, after, all, catalog->changed, catalog->context);
    }
}

static struct hm_catalog_side side_of(const struct hm_catalog_entry *entry)
{
    return (struct hm_catalog_side){entry->host.name, entry->host.addr, entry->host.config};
}

/* May a config of this version be served? Above what is, or that again where nothing is. */
static bool is_news(const struct hm_catalog_entry *entry, const struct hm_version *version)
{
    int order = hm_version_compare(version, &entry->host.version);
    return order > 0 || (order == 0 && !entry->host.config && !entry->ended);
}

/* Serves this config of the entry from now on (NULL: none) and tells of what differs. */
static void serve(struct hm_catalog *catalog, struct hm_catalog_entry *entry,
                  const struct hm_held *held)
{
    struct hm_held old = entry->held;
    struct hm_catalog_side before = side_of(entry);
    if (before.config) {
        before.config = &old.config;
    }
    hm_catalog_entry_unfile(&catalog->entries, entry);
    entry->held = held ? *held : (struct hm_held){0};
    entry->host.config = held ? &entry->held.config : NULL;
    hm_catalog_entry_file(&catalog->entries, entry);
    struct hm_catalog_side after = side_of(entry);
    if (before.config || after.config) {
        tell_sides(catalog, &before, &after, false);
    }
    hm_held_fini(&old);
}

/* Takes over a config that was read. A lite host without an address has ended. */
static void serve_read(struct hm_catalog *catalog, struct hm_catalog_entry *entry,
                       struct hm_held *held)
{
    entry->ended = !hm_id_is_none(&entry->host.keeper) && held->config.addresses_count == 0;
    if (entry->ended) {
        hm_held_fini(held);
    }
    serve(catalog, entry, entry->ended ? NULL : held);
}

static bool has_role(const struct hm_label *roles, size_t count, const struct hm_name *role)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_name_equal(&roles[i].name, role)) {
            return true;
        }
    }
    return false;
}

/* One note for each role of `roles` that is not among `others`. */
static void tell_roles(struct hm_catalog *catalog, const struct hm_label *roles, size_t count,
                       const struct hm_label *others, size_t other_count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_role(others, other_count, &roles[i].name)) {
            tell(catalog,
                 &(struct hm_change_note){.kind = HM_CHANGE_MEMBERS, .name = roles[i].name});
        }
    }
}

/* The member as the view has it now: its name, address and roles. */
static void take_member(struct hm_catalog *catalog, struct hm_catalog_entry *entry,
                        const struct hm_member *member)
{
    struct hm_label *old_roles = entry->roles;
    size_t old_count = entry->role_count;
    struct hm_catalog_side before = side_of(entry);
    if (entry->joined != member->joined) {
        entry->joined = member->joined;
        entry->pushed = (struct hm_version){0};
    }
    bool moved = !hm_name_equal(&entry->host.name, &member->name) ||
                 !hm_addr_equal(&entry->host.addr, &member->addr);
    if (moved) {
        hm_catalog_entry_unfile(&catalog->entries, entry);
        entry->host.name = member->name;
        entry->host.addr = member->addr;
        hm_catalog_entry_file(&catalog->entries, entry);
    }
    entry->role_count = member->roles_count;
    entry->roles = hm_alloc(entry->role_count + 1, sizeof *entry->roles);
    if (entry->role_count) {
        memcpy(entry->roles, member->roles, entry->role_count * sizeof *entry->roles);
    }
    struct hm_catalog_side after = side_of(entry);
    if (moved && after.config) {
        tell_sides(catalog, &before, &after, true);
    }
    tell_roles(catalog, old_roles, old_count, entry->roles, moved ? 0 : entry->role_count);
    tell_roles(catalog, entry->roles, entry->role_count, old_roles, old_count);
    hm_free(old_roles);
}

static void drop(struct hm_catalog *catalog, struct hm_catalog_entry *entry)
{
    serve(catalog, entry, NULL);
    struct hm_label *roles = entry->roles;
    size_t role_count = entry->role_count;
    entry->roles = NULL;
    hm_catalog_entry_remove(&catalog->entries, entry);
    tell_roles(catalog, roles, role_count, NULL, 0);
    hm_free(roles);
}

/* The committed config of the entry, when it is news. */
static void take_committed(struct hm_catalog *catalog, struct hm_catalog_entry *entry)
{
    struct hm_arena arena = {0};
    struct hm_host_state state = {0};
    struct hm_held held;
    bool there = hm_view_host(catalog->view, &entry->host.id, &arena, &state);
    entry->host.committed = state.version;
    if (!there) {
        if (entry->host.config && hm_version_compare(&entry->pushed, &entry->host.version) < 0) {
            entry->ended = false;
            serve(catalog, entry, NULL);
        }
    } else if ((is_news(entry, &state.version) || hm_plant("commit_beats_push")) &&
               hm_held_read(state.config, &held) == HM_OK) {
        entry->host.version = state.version;
        serve_read(catalog, entry, &held);
    }
    hm_arena_fini(&arena);
}

static void set_braked(struct hm_catalog *catalog, struct hm_catalog_entry *entry, bool braked)
{
    bool differs = entry->host.braked != braked;
    entry->host.braked = braked;
    if (differs && entry->host.config && !catalog->quiet) {
        hm_catalog_tell_services(entry->host.config, catalog->changed, catalog->context);
    }
}

/* Member and record go by different feeds: a committed config goes with its record. */
static bool is_recorded(const struct hm_catalog *catalog, const struct hm_id *host)
{
    char key[HM_ID_TEXT_BYTES];
    struct hm_name scope = hm_name_of(HM_SCOPE_HOSTS);
    return hm_records_find(&catalog->view->records, &scope,
                           hm_bytes_of_text(hm_id_format(host, key))) != NULL;
}

void hm_catalog_refresh(struct hm_catalog *catalog, const struct hm_id *host)
{
    const struct hm_member *member = hm_members_find(&catalog->view->members, host);
    struct hm_catalog_entry *entry = hm_catalog_entry_find(&catalog->entries, host);
    struct hm_member was = {.id = *host};
    struct hm_braked braked;
    bool recorded = !member && is_recorded(catalog, host);
    if (recorded && hm_view_braked(catalog->view, host, &braked)) {
        was.name = braked.name;
        was.addr = braked.addr;
        member = &was;
    }
    if (member) {
        entry = entry ? entry : hm_catalog_entry_add(&catalog->entries, host);
        entry->seen = true;
        set_braked(catalog, entry, member == &was);
        take_member(catalog, entry, member);
        take_committed(catalog, entry);
    } else if (entry && recorded) {
        set_braked(catalog, entry, false);
    } else if (entry) {
        drop(catalog, entry);
    }
}

void hm_catalog_refresh_lite(struct hm_catalog *catalog, const struct hm_name *name)
{
    struct hm_lite lite;
    if (!hm_view_lite(catalog->view, name, &lite) ||
        hm_members_find(&catalog->view->members, &lite.id)) {
        return;
    }
    struct hm_catalog_entry *entry = hm_catalog_entry_find(&catalog->entries, &lite.id);
    struct hm_member like = {.id = lite.id, .name = lite.name, .addr = lite.addr};
    entry = entry ? entry : hm_catalog_entry_add(&catalog->entries, &lite.id);
    struct hm_braked braked;
    entry->seen = true;
    entry->host.keeper = lite.keeper;
    set_braked(catalog, entry, hm_view_braked(catalog->view, &lite.id, &braked));
    take_member(catalog, entry, &like);
    take_committed(catalog, entry);
}

enum hm_status hm_catalog_push(struct hm_catalog *catalog, const struct hm_host_state *state)
{
    struct hm_catalog_entry *entry = hm_catalog_entry_find(&catalog->entries, &state->host);
    struct hm_held held;
    if (!entry) {
        return HM_NOT_FOUND;
    }
    if (!is_news(entry, &state->version) && !hm_plant("takes_older_version")) {
        return HM_OK;
    }
    enum hm_status status = hm_held_read(state->config, &held);
    if (status == HM_OK) {
        entry->pushed = state->version;
        entry->host.version = state->version;
        serve_read(catalog, entry, &held);
    }
    return status;
}

static void change_suspicion(struct hm_catalog *catalog, struct hm_catalog_entry *entry,
                             hm_ms until)
{
    bool differs = (entry->host.suspect_until == 0) != (until == 0);
    entry->host.suspect_until = until;
    if (differs && entry->host.config && !catalog->quiet) {
        hm_catalog_tell_services(entry->host.config, catalog->changed, catalog->context);
    }
}

void hm_catalog_suspect(struct hm_catalog *catalog, const struct hm_id *host, hm_ms until)
{
    struct hm_catalog_entry *entry = hm_catalog_entry_find(&catalog->entries, host);
    if (entry) {
        change_suspicion(catalog, entry, until);
        if (until && until < catalog->next_expiry) {
            catalog->next_expiry = until;
        }
    }
}

void hm_catalog_tick(struct hm_catalog *catalog, hm_ms now)
{
    if (now < catalog->next_expiry) {
        return;
    }
    catalog->next_expiry = HM_NEVER;
    struct hm_catalog_entry *entry;
    for (size_t cursor = 0; (entry = hm_catalog_entry_next(&catalog->entries, &cursor));) {
        if (!entry->host.suspect_until) {
            continue;
        }
        if (entry->host.suspect_until <= now) {
            change_suspicion(catalog, entry, 0);
        } else if (entry->host.suspect_until < catalog->next_expiry) {
            catalog->next_expiry = entry->host.suspect_until;
        }
    }
}

hm_ms hm_catalog_deadline(const struct hm_catalog *catalog)
{
    return catalog->next_expiry;
}

void hm_catalog_record(struct hm_catalog *catalog, const struct hm_name *scope, struct hm_bytes key)
{
    enum hm_change_kind kind =
        hm_name_is(scope, HM_SCOPE_VHOSTS) ? HM_CHANGE_VHOST : HM_CHANGE_RECORD;
    tell(catalog, &(struct hm_change_note){.kind = kind, .scope = *scope, .key = key});
}

static void load(struct hm_catalog *catalog)
{
    catalog->quiet = true;
    struct hm_catalog_entry *entry;
    for (size_t cursor = 0; (entry = hm_catalog_entry_next(&catalog->entries, &cursor));) {
        entry->seen = false;
    }
    for (size_t i = 0; i < catalog->view->members.count; i++) {
        hm_catalog_refresh(catalog, &catalog->view->members.items[i]->id);
    }
    struct hm_id host = {{0}};
    for (struct hm_braked braked; hm_view_next_braked(catalog->view, &host, &braked);) {
        hm_catalog_refresh(catalog, &host);
    }
    struct hm_name name = {0};
    for (struct hm_lite lite; hm_view_next_lite(catalog->view, &name, &lite);) {
        hm_catalog_refresh_lite(catalog, &name);
    }
    for (size_t cursor = 0; (entry = hm_catalog_entry_next(&catalog->entries, &cursor));) {
        if (!entry->seen && !is_recorded(catalog, &entry->host.id)) {
            drop(catalog, entry);
        }
    }
    catalog->quiet = false;
}

void hm_catalog_reload(struct hm_catalog *catalog)
{
    load(catalog);
    tell(catalog, &(struct hm_change_note){.kind = HM_CHANGE_ALL});
}

struct hm_catalog *hm_catalog_new(const struct hm_view *view, hm_change_function *changed,
                                  void *context)
{
    struct hm_catalog *catalog = hm_alloc(1, sizeof *catalog);
    catalog->view = view;
    catalog->changed = changed ? changed : ignore_note;
    catalog->context = context;
    catalog->next_expiry = HM_NEVER;
    load(catalog);
    return catalog;
}

void hm_catalog_free(struct hm_catalog *catalog)
{
    if (!catalog) {
        return;
    }
    hm_catalog_entries_fini(&catalog->entries);
    hm_free(catalog);
}

/* ---- lookups ---- */

const struct hm_catalog_host *hm_catalog_host(const struct hm_catalog *catalog,
                                              const struct hm_id *host)
{
    const struct hm_catalog_entry *entry = hm_catalog_entry_find(&catalog->entries, host);
    return entry && entry->host.config ? &entry->host : NULL;
}

const struct hm_catalog_host *hm_catalog_host_named(const struct hm_catalog *catalog,
                                                    const struct hm_name *name)
{
    const struct hm_catalog_entry *entry = hm_catalog_entry_named(&catalog->entries, name);
    return entry ? &entry->host : NULL;
}

const struct hm_catalog_host *hm_catalog_next_host(const struct hm_catalog *catalog, size_t *cursor)
{
    const struct hm_catalog_entry *entry;
    while ((entry = hm_catalog_entry_next(&catalog->entries, cursor))) {
        if (entry->host.config) {
            return &entry->host;
        }
    }
    return NULL;
}

const struct hm_name *hm_catalog_next_service(const struct hm_catalog *catalog, size_t *cursor)
{
    const struct hm_offers *offers = &catalog->entries.offers;
    while (*cursor < offers->count) {
        const struct hm_offer *offer = &offers->items[(*cursor)++];
        if (offer->name.size) {
            return &offer->name;
        }
    }
    return NULL;
}

static struct hm_catalog_instance instance_of(const struct hm_catalog_host *host,
                                              const struct hm_service *service)
{
    struct hm_catalog_instance instance = {
        .host = host,
        .service = service,
        .served = !service->draining && (!service->checked || service->health != 0),
        .healthy = !service->checked || service->health == 1,
        .suspect = host->suspect_until != 0 || host->braked,
    };
    instance.reason = service->draining                          ? "draining"
                      : service->checked && service->health == 0 ? "waiting for its first pass"
                      : !instance.healthy                        ? "failing its check"
                      : host->braked     ? "failed, kept by the removal brake"
                      : instance.suspect ? "suspect"
                                         : "";
    return instance;
}

void hm_catalog_instances(const struct hm_catalog *catalog, const struct hm_name *service,
                          void (*each)(void *context, const struct hm_catalog_instance *instance),
                          void *context)
{
    const struct hm_offer *offer = hm_offers_find(&catalog->entries.offers, service);
    for (size_t i = 0; offer && i < offer->count; i++) {
        const struct hm_catalog_host *host = offer->hosts[i];
        const struct hm_host_config *config = host->config;
        for (uint32_t s = 0; s < config->services_count; s++) {
            if (!hm_name_equal_nocase(&config->services[s].name, service)) {
                continue;
            }
            struct hm_catalog_instance instance = instance_of(host, &config->services[s]);
            for (uint32_t a = 0; a < config->addresses_count || a == 0; a++) {
                instance.addr = config->addresses_count ? config->addresses[a].addr : host->addr;
                instance.addr.port = instance.service->port;
                each(context, &instance);
            }
        }
    }
}

bool hm_catalog_vhost(const struct hm_catalog *catalog, struct hm_bytes vhost,
                      struct hm_name *service)
{
    struct hm_name scope = hm_name_of(HM_SCOPE_VHOSTS);
    const struct hm_record *record = hm_records_find(&catalog->view->records, &scope, vhost);
    return record && hm_name_set(service, (const char *)record->value.data, record->value.size);
}
