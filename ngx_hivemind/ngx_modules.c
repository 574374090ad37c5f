/* What nginx looks for in a shared object: the modules in it, and their order (any). */
#include "ngx_hivemind/ngx_hivemind.h"

extern ngx_module_t ngx_http_hivemind_module;

ngx_module_t *ngx_modules[] = {&ngx_hivemind_module, &ngx_http_hivemind_module, NULL};

char *ngx_module_names[] = {"ngx_hivemind_module", "ngx_http_hivemind_module", NULL};

char *ngx_module_order[] = {NULL};
