#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

/* A text made of many macros: bindgen reads it as the value of a variable only. */
const char *BULLA_SIGNATURE = NGX_MODULE_SIGNATURE;
