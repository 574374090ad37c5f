#include "core/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void hm_assert_failed(const char *claim, const char *file, int line)
{
    fprintf(stderr, "hivemind: assertion failed: %s (%s:%d); this is a bug, please report it\n",
            claim, file, line);
    abort();
}
