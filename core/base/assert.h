/* Assertions against our own bugs. They stay on in release and never judge input. */
#ifndef HM_BASE_ASSERT_H
#define HM_BASE_ASSERT_H

/* Prints the broken claim with its place, then aborts. */
_Noreturn void hm_assert_failed(const char *claim, const char *file, int line);

#define HM_ASSERT(claim)                                  \
    do {                                                  \
        if (__builtin_expect(!(claim), 0)) {              \
            hm_assert_failed(#claim, __FILE__, __LINE__); \
        }                                                 \
    } while (0)

#endif
