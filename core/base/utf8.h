/* Text that people and other programs may be shown. */
#ifndef HM_BASE_UTF8_H
#define HM_BASE_UTF8_H

#include "core/base/bytes.h"

/* Is it UTF-8 (RFC 3629: the shortest forms, no surrogates, up to U+10FFFF) without control
 * characters (C0, DEL, C1)? Empty text is. */
bool hm_utf8_is_plain(struct hm_bytes text);

#endif
