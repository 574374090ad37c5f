/* Tells the service manager how we are (sd_notify(3)), without its library. */
#ifndef HM_IO_NOTIFY_H
#define HM_IO_NOTIFY_H

#include <stdbool.h>

/* Sends "READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=..", "STATUS=text" to $NOTIFY_SOCKET.
 * False when there is none, or nobody takes it; nothing depends on it. */
bool hm_notify(const char *state);

#endif
