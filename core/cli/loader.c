#include "core/cli/loader.h"

#include "core/base/memory.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".so"

static char *copy_text(const char *text, size_t size)
{
    char *copy = hm_alloc(size + 1, 1);
    memcpy(copy, text, size);
    return copy;
}

static bool is_module_file(const char *name)
{
    size_t size = strlen(name);
    return size > strlen(SUFFIX) && strcmp(name + size - strlen(SUFFIX), SUFFIX) == 0;
}

/* The NAME of .../NAME.so. */
static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *start = slash ? slash + 1 : path;
    return copy_text(start, strlen(start) - strlen(SUFFIX));
}

/* ---- where ---- */

void hm_loader_add_path(struct hm_loader *loader, const char *path)
{
    struct stat what;
    bool file = is_module_file(path) && stat(path, &what) == 0 && S_ISREG(what.st_mode);
    char ***list = file ? &loader->files : &loader->directories;
    size_t *count = file ? &loader->file_count : &loader->directory_count;
    size_t *capacity = file ? &loader->file_capacity : &loader->directory_capacity;
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*list)[i], path) == 0) {
            return;
        }
    }
    *list = hm_grow(*list, *count, capacity, sizeof **list);
    (*list)[(*count)++] = copy_text(path, strlen(path));
}

/* Beside the program: as installed, and in a build directory, where it is core/cli/hivemind. */
static void add_beside_program(struct hm_loader *loader)
{
    static const char *const places[] = {"../lib/hivemind/modules", "../../modules"};
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0) {
        return;
    }
    program[size] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s/%s", program, places[i]);
        hm_loader_add_path(loader, path);
    }
}

void hm_loader_add_defaults(struct hm_loader *loader)
{
    const char *at = getenv("HIVEMIND_MODULES");
    while (at && *at) {
        size_t size = strcspn(at, ":");
        if (size) {
            char *path = copy_text(at, size);
            hm_loader_add_path(loader, path);
            hm_free(path);
        }
        at += size + (at[size] == ':');
    }
    add_beside_program(loader);
    hm_loader_add_path(loader, HM_MODULES_DIR);
}

static bool find(const struct hm_loader *loader, const char *name, struct hm_buf *path)
{
    for (size_t i = 0; i < loader->file_count; i++) {
        char *own = name_of(loader->files[i]);
        bool same = strcmp(own, name) == 0;
        hm_free(own);
        if (same) {
            hm_buf_append_text(path, loader->files[i]);
            hm_put_u8(path, 0);
            return true;
        }
    }
    for (size_t i = 0; i < loader->directory_count; i++) {
        hm_buf_clear(path);
        hm_buf_printf(path, "%s/%s" SUFFIX, loader->directories[i], name);
        hm_put_u8(path, 0);
        if (access((const char *)path->data, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- loading ---- */

static const struct hm_module *open_module(const char *path, const char *name, struct hm_buf *error)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        hm_buf_printf(error, "module %s cannot be loaded: %s", name, dlerror());
        return NULL;
    }
    const struct hm_module *module = dlsym(handle, "hm_module");
    if (!module) {
        hm_buf_printf(
            error,
            "%s is no module of hivemind: it does not export hm_module (hivemind/module.h "
            "tells how)",
            path);
    } else if (module->abi != HM_MODULE_ABI) {
        hm_buf_printf(error, "module %s has ABI %u, this hivemind speaks %u; rebuild %s", name,
                      module->abi, HM_MODULE_ABI, path);
    } else if (strcmp(module->name, name) != 0) {
        hm_buf_printf(error, "%s holds module %s: rename the file to %s" SUFFIX, path, module->name,
                      module->name);
    } else {
        return module;
    }
    dlclose(handle);
    return NULL;
}

const struct hm_module *hm_loader_load(struct hm_loader *loader, const char *name,
                                       struct hm_buf *error)
{
    for (size_t i = 0; i < loader->module_count; i++) {
        if (strcmp(loader->modules[i]->name, name) == 0) {
            return loader->modules[i];
        }
    }
    struct hm_buf path = {0};
    const struct hm_module *module = NULL;
    if (loader->module_count == HM_LOADER_MODULES_MAX) {
        hm_buf_printf(error, "more than %d modules: leave out '%s', or another",
                      HM_LOADER_MODULES_MAX, name);
    } else if (find(loader, name, &path)) {
        module = open_module((const char *)path.data, name, error);
    }
    if (module) {
        loader->modules[loader->module_count++] = module;
    }
    hm_buf_fini(&path);
    return module;
}

/* ---- what there is ---- */

char **hm_loader_names(const struct hm_loader *loader, size_t *count)
{
    char **names = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t i = 0; i < loader->file_count; i++) {
        names = hm_grow(names, *count, &capacity, sizeof *names);
        names[(*count)++] = name_of(loader->files[i]);
    }
    for (size_t i = 0; i < loader->directory_count; i++) {
        DIR *directory = opendir(loader->directories[i]);
        for (struct dirent *entry; directory && (entry = readdir(directory));) {
            if (is_module_file(entry->d_name)) {
                names = hm_grow(names, *count, &capacity, sizeof *names);
                names[(*count)++] = name_of(entry->d_name);
            }
        }
        if (directory) {
            closedir(directory);
        }
    }
    return names;
}

void hm_loader_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hm_free(names[i]);
    }
    hm_free(names);
}

void hm_loader_fini(struct hm_loader *loader)
{
    hm_loader_names_free(loader->directories, loader->directory_count);
    hm_loader_names_free(loader->files, loader->file_count);
    *loader = (struct hm_loader){0};
}
