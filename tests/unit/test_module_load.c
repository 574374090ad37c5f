/* The modules as shared objects, as the daemon loads them: MODULES is their folder. */
#include "tests/unit/module_fixture.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void *load(const char *name, const struct hm_module **module)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", MODULES, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fail_msg("%s", dlerror());
    }
    *module = dlsym(library, "hm_module");
    assert_non_null(*module);
    return library;
}

static void each_exports_its_struct(void **state)
{
    (void)state;
    static const char *const names[] = {"auth", "control", "host", "log"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct hm_module *module;
        void *library = load(names[i], &module);
        assert_int_equal(module->abi, HM_MODULE_ABI);
        assert_string_equal(module->name, names[i]);
        assert_int_equal(module->kind, module->performs ? HM_MODULE_ROLE : HM_MODULE_MIDDLEWARE);
        dlclose(library);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_exports_its_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
