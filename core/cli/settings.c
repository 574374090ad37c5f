#include "core/cli/settings.h"

#include "core/base/memory.h"
#include "core/conf/root.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the files ---- */

struct source {
    char *name;
    struct hm_buf text;
};

struct sources {
    struct source *items;
    size_t count;
    size_t capacity;
};

static enum hm_status cannot_read(const char *name, int why, struct hm_buf *error)
{
    hm_buf_printf(error, "%s: %s", name, strerror(why));
    if (why == EISDIR) {
        hm_buf_append_text(error, "; name a file in it");
    } else if (why == EACCES) {
        hm_buf_printf(error, "; let this user (uid %u) read it", (unsigned)geteuid());
    } else if (why == ENOENT) {
        hm_buf_append_text(error, "; `hivemind schema --manual` tells what to write into one");
    }
    hm_buf_append_text(error, "\n");
    return why == ENOENT ? HM_NOT_FOUND : HM_IO;
}

static enum hm_status read_source(struct sources *sources, const char *name, struct hm_buf *error)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat what;
    if (fd >= 0 && fstat(fd, &what) == 0 && S_ISDIR(what.st_mode)) {
        close(fd);
        errno = EISDIR;
        fd = -1;
    }
    if (fd < 0) {
        return cannot_read(name, errno, error);
    }
    struct hm_buf copy = {0};
    hm_buf_append(&copy, name, strlen(name) + 1);
    sources->items =
        hm_grow(sources->items, sources->count, &sources->capacity, sizeof *sources->items);
    struct source *source = &sources->items[sources->count++];
    *source = (struct source){.name = (char *)copy.data};
    /* One byte too many is enough for the parser to say that it is too large. */
    ssize_t got = 1;
    while (got > 0 && source->text.size <= HM_CONF_BYTES_MAX) {
        size_t before = source->text.size;
        uint8_t *at = hm_buf_extend(&source->text, 65536);
        got = read(fd, at, 65536);
        source->text.size = before + (got > 0 ? (size_t)got : 0);
    }
    int why = errno;
    close(fd);
    return got < 0 ? cannot_read(name, why, error) : HM_OK;
}

static enum hm_status read_sources(struct sources *sources, const char *file, struct hm_buf *error)
{
    const char *slash = strrchr(file, '/');
    struct hm_buf pattern = {0};
    glob_t beside = {0};
    enum hm_status status = read_source(sources, file, error);
    hm_buf_printf(&pattern, "%.*sconf.d/*.yaml", slash ? (int)(slash - file + 1) : 0, file);
    hm_put_u8(&pattern, 0);
    glob((const char *)pattern.data, 0, NULL, &beside); /* sorted */
    for (size_t i = 0; i < beside.gl_pathc && status == HM_OK; i++) {
        status = read_source(sources, beside.gl_pathv[i], error);
    }
    globfree(&beside);
    hm_buf_fini(&pattern);
    return status;
}

static void free_sources(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        hm_free(sources->items[i].name);
        hm_buf_fini(&sources->items[i].text);
    }
    hm_free(sources->items);
}

static struct hm_conf *parse(const struct sources *sources, const struct hm_conf_schema *schema,
                             enum hm_conf_mode mode, struct hm_conf_errors *errors)
{
    struct hm_conf *conf = hm_conf_new(schema, mode);
    for (size_t i = 0; i < sources->count; i++) {
        hm_conf_add(conf, sources->items[i].name, hm_buf_view(&sources->items[i].text), errors);
    }
    if (hm_conf_finish(conf, errors) != HM_OK) {
        return conf; /* the errors tell */
    }
    return conf;
}

/* ---- the modules that it names ---- */

static bool has_module(const struct hm_settings *settings, const struct hm_module *module)
{
    for (size_t i = 0; i < settings->module_count; i++) {
        if (settings->modules[i] == module) {
            return true;
        }
    }
    return false;
}

static void tell_none(const struct hm_loader *loader, const struct hm_conf_node *item,
                      const char *what, struct hm_conf_errors *errors)
{
    struct hm_buf text = {0};
    hm_buf_printf(&text, "%s ", what);
    hm_conf_quote(&text, item->text);
    hm_buf_append_text(&text, ": there is no module at all in ");
    for (size_t i = 0; i < loader->directory_count; i++) {
        hm_buf_printf(&text, "%s%s", i ? ", " : "", loader->directories[i]);
    }
    hm_conf_error(errors, &item->origin,
                  "%.*s; `modules: [DIRECTORY]`, or $HIVEMIND_MODULES, tells where they are",
                  (int)text.size, (const char *)text.data);
    hm_buf_fini(&text);
}

/* No module of this name: which of its kind are there? They are loaded to be asked. */
static void tell_unknown(struct hm_loader *loader, const struct hm_conf_node *item,
                         const char *what, enum hm_module_kind kind, char *const *names,
                         size_t name_count, struct hm_conf_errors *errors)
{
    const char **fit = hm_alloc(name_count, sizeof *fit);
    size_t count = 0;
    for (size_t i = 0; i < name_count; i++) {
        struct hm_buf why = {0};
        const struct hm_module *module = hm_loader_load(loader, names[i], &why);
        if (module && module->kind == kind) {
            fit[count++] = names[i];
        }
        hm_buf_fini(&why);
    }
    hm_conf_check_choice(item, what, fit, count, errors);
    hm_free(fit);
}

static void load_named(struct hm_settings *settings, struct hm_loader *loader,
                       const struct hm_conf_node *list, const char *what, enum hm_module_kind kind,
                       struct hm_conf_errors *errors)
{
    size_t name_count;
    char **names = hm_loader_names(loader, &name_count);
    for (const struct hm_conf_node *item = list; item; item = item->next) {
        struct hm_buf why = {0};
        const struct hm_module *module = hm_loader_load(loader, item->text, &why);
        if (module && module->kind != kind) {
            hm_conf_error(errors, &item->origin, "module %s is no %s: write it under '%s'",
                          module->name, what,
                          module->kind == HM_MODULE_ROLE ? "roles" : "middlewares");
        } else if (module && !has_module(settings, module)) {
            settings->modules[settings->module_count++] = module;
        } else if (!module && why.size) {
            hm_conf_error(errors, &item->origin, "%.*s", (int)why.size, (const char *)why.data);
        } else if (!module && name_count == 0) {
            tell_none(loader, item, what, errors);
        } else if (!module) {
            tell_unknown(loader, item, what, kind, names, name_count, errors);
        }
        hm_buf_fini(&why);
    }
    hm_loader_names_free(names, name_count);
}

static void load_modules(struct hm_settings *settings, struct hm_loader *loader,
                         const struct hm_conf_node *peeked, struct hm_conf_errors *errors)
{
    for (const struct hm_conf_node *path = hm_conf_first(peeked, "modules"); path;
         path = path->next) {
        hm_loader_add_path(loader, path->text);
    }
    hm_loader_add_defaults(loader);
    load_named(settings, loader, hm_conf_first(peeked, "middlewares"), "middleware",
               HM_MODULE_MIDDLEWARE, errors);
    load_named(settings, loader, hm_conf_first(peeked, "roles"), "role", HM_MODULE_ROLE, errors);
}

/* ---- one schema, one tree ---- */

/* `settings` NULL: every module counts as loaded. */
static const struct hm_conf_schema *compose(struct hm_arena *arena, const struct hm_loader *loader,
                                            const struct hm_settings *settings)
{
    struct hm_conf_part parts[2 * HM_LOADER_MODULES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < loader->module_count; i++) {
        const struct hm_module *module = loader->modules[i];
        bool loaded = !settings || has_module(settings, module);
        if (module->schema) {
            parts[count++] =
                (struct hm_conf_part){module->name, module->schema, module->name, loaded, false};
        }
        if (module->root) {
            parts[count++] = (struct hm_conf_part){NULL, module->root, module->name, loaded, false};
        }
    }
    return hm_conf_compose(arena, &hm_conf_root_schema, parts, count);
}

static void load_all(struct hm_loader *loader)
{
    size_t name_count;
    char **names = hm_loader_names(loader, &name_count);
    for (size_t i = 0; i < name_count; i++) {
        struct hm_buf why = {0};
        hm_loader_load(loader, names[i], &why);
        hm_buf_fini(&why);
    }
    hm_loader_names_free(names, name_count);
}

const struct hm_conf_schema *hm_settings_schema(struct hm_arena *arena, struct hm_loader *loader)
{
    load_all(loader);
    return compose(arena, loader, NULL);
}

/* A key that nobody knows may be one of a module that was not asked for: with all modules at hand
 * the errors can say so. */
static void explain(struct hm_settings *settings, struct hm_loader *loader,
                    const struct sources *sources, struct hm_conf_errors *errors)
{
    load_all(loader);
    hm_conf_free(
        parse(sources, compose(&settings->arena, loader, settings), HM_CONF_WHOLE, errors));
}

static void take_tree(struct hm_settings *settings, struct hm_conf *conf)
{
    settings->conf = conf;
    settings->root = hm_conf_root(conf);
    for (size_t i = 0; i < settings->module_count; i++) {
        const struct hm_module *module = settings->modules[i];
        settings->sections[i] = module->schema ? hm_conf_get(settings->root, module->name) : NULL;
    }
    for (const struct hm_conf_node *role = hm_conf_first(settings->root, "roles");
         role && settings->role_count < HM_NODE_ROLES_MAX; role = role->next) {
        settings->roles[settings->role_count++] = hm_name_of(role->text);
    }
    const struct hm_conf_node *list = hm_conf_get(settings->root, "join");
    settings->join = hm_alloc(list->count, sizeof *settings->join);
    for (const struct hm_conf_node *item = list->first; item; item = item->next) {
        struct hm_buf text = {0};
        char addr[HM_ADDR_TEXT_BYTES];
        bool has_port = item->addr.port != 0;
        if (item->addr.family) {
            hm_buf_append_text(&text, has_port ? hm_addr_format(&item->addr, addr)
                                               : hm_addr_format_ip(&item->addr, addr));
        } else if (has_port) {
            hm_buf_printf(&text, "%s:%u", item->text, item->addr.port);
        } else {
            hm_buf_append_text(&text, item->text);
        }
        hm_put_u8(&text, 0);
        settings->join[settings->join_count++] = (char *)text.data;
    }
}

/* Nothing asks a section that is not written for the keys that it requires, as it may be there for
 * a module that is not loaded. */
static void require_section(const struct hm_module *module, const struct hm_conf_node *root,
                            struct hm_conf_errors *errors)
{
    const struct hm_conf_schema *schema = module->schema;
    const char *what = module->kind == HM_MODULE_ROLE ? "roles" : "middlewares";
    for (size_t i = 0; i < schema->count; i++) {
        const struct hm_conf_key *key = &schema->keys[i];
        if (key->required) {
            hm_conf_error(errors, &hm_conf_get(root, what)->origin,
                          "%.*s %s needs %s: write %s: {%s: ..}, %s", (int)strlen(what) - 1, what,
                          module->name, key->name, module->name, key->name, key->help);
            return;
        }
    }
}

/* What the tables cannot say the modules do. */
static void ask_modules(const struct hm_settings *settings, struct hm_conf_errors *errors)
{
    for (size_t i = 0; i < settings->module_count; i++) {
        const struct hm_module *module = settings->modules[i];
        size_t before = errors->count;
        if (module->check) {
            module->check(settings->sections[i], settings->root, errors);
        }
        if (module->schema && errors->count == before &&
            !hm_conf_is_set(settings->root, module->name)) {
            require_section(module, settings->root, errors);
        }
    }
}

enum hm_status hm_settings_read(const char *file, struct hm_loader *loader, struct hm_settings *out,
                                struct hm_buf *error)
{
    struct sources sources = {0};
    struct hm_settings settings = {0};
    struct hm_conf_errors peek_errors = {0};
    struct hm_conf_errors errors = {0};
    struct hm_conf_errors told = {0};
    enum hm_status status = read_sources(&sources, file, error);
    if (status == HM_OK) {
        /* Whatever is wrong is found again when the whole is read. */
        struct hm_conf *peeked = parse(&sources, &hm_conf_root_schema, HM_CONF_PEEK, &peek_errors);
        load_modules(&settings, loader, hm_conf_root(peeked), &errors);
        hm_conf_free(peeked);
        size_t module_errors = errors.count;
        struct hm_conf *conf =
            parse(&sources, compose(&settings.arena, loader, &settings), HM_CONF_WHOLE, &errors);
        bool reads = errors.count == 0;
        if (reads) {
            take_tree(&settings, conf);
            ask_modules(&settings, &errors);
        } else {
            hm_conf_free(conf);
        }
        if (errors.count == 0) {
            *out = settings;
        } else {
            status = HM_BAD_CONFIG;
            if (!reads && errors.count > module_errors) {
                explain(&settings, loader, &sources, &told);
                errors.count = module_errors;
            }
            for (size_t i = 0; i < told.count; i++) {
                hm_conf_error(&errors, &told.items[i].at, "%s", told.items[i].text);
            }
            hm_conf_errors_print(&errors, error);
            hm_settings_fini(&settings);
        }
    }
    hm_conf_errors_fini(&told);
    hm_conf_errors_fini(&errors);
    hm_conf_errors_fini(&peek_errors);
    free_sources(&sources);
    return status;
}

/* ---- a reload ---- */

static struct hm_conf_node *child_named(const struct hm_conf_node *map, const char *name)
{
    struct hm_conf_node *child = map->first;
    while (child && strcmp(child->name, name) != 0) {
        child = child->next;
    }
    return child;
}

/* What stands at `link` becomes as before: another value, or none. */
static void undo_at(struct hm_conf_node *map, struct hm_conf_node **link,
                    const struct hm_conf_node *before)
{
    struct hm_conf_node *node = *link;
    struct hm_conf_node *next = node->next;
    if (before) {
        *node = *before;
        node->next = next;
        return;
    }
    *link = next;
    map->count--;
    map->last = NULL;
    for (struct hm_conf_node *child = map->first; child; child = child->next) {
        map->last = child;
    }
}

static void undo_removal(struct hm_arena *arena, struct hm_conf_node *map,
                         const struct hm_conf_node *before)
{
    struct hm_conf_node *node = hm_arena_alloc(arena, 1, sizeof *node);
    *node = *before;
    node->next = NULL;
    *(map->last ? &map->last->next : &map->first) = node;
    map->last = node;
    map->count++;
}

/* Finds the change below two maps of the same name. */
static bool undo(struct hm_arena *arena, struct hm_conf_node *fresh, const struct hm_conf_node *old,
                 const struct hm_conf_change *change)
{
    for (struct hm_conf_node **link = &fresh->first; *link; link = &(*link)->next) {
        if (*link == change->after) {
            undo_at(fresh, link, change->before);
            return true;
        }
    }
    for (struct hm_conf_node *child = old->first; child && !change->after; child = child->next) {
        if (child == change->before) {
            undo_removal(arena, fresh, child);
            return true;
        }
    }
    for (struct hm_conf_node *child = fresh->first; child; child = child->next) {
        const struct hm_conf_node *twin = child->schema ? child_named(old, child->name) : NULL;
        if (twin && undo(arena, child, twin, change)) {
            return true;
        }
    }
    return false;
}

bool hm_settings_keep(struct hm_settings *fresh, const struct hm_settings *old,
                      const struct hm_conf_diff *diff)
{
    bool same = fresh->module_count == old->module_count;
    for (size_t i = 0; same && i < fresh->module_count; i++) {
        same = fresh->modules[i] == old->modules[i];
    }
    /* The tree is ours: it is const for those who read it. */
    struct hm_conf_node *root = (struct hm_conf_node *)fresh->root;
    for (size_t i = 0; same && i < diff->count; i++) {
        if (!diff->items[i].live) {
            undo(&fresh->arena, root, old->root, &diff->items[i]);
        }
    }
    return same;
}

void hm_settings_fini(struct hm_settings *settings)
{
    for (size_t i = 0; i < settings->join_count; i++) {
        hm_free(settings->join[i]);
    }
    hm_free(settings->join);
    hm_conf_free(settings->conf);
    hm_arena_fini(&settings->arena);
    *settings = (struct hm_settings){0};
}
