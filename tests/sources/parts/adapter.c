/*
 * A PKCS#11 module in front of another one, for what stands between bulla and a module elsewhere: it hands on every call, and
 * changes two, as environment variables say. It has no threads and no state of its own.
 *
 *   BULLA_ADAPTER_MODULE    the module behind it
 *   BULLA_ADAPTER_RESERVED  parameters that C_Initialize passes on, as p11-kit's x-init-reserved does; NSS cannot do without
 *   BULLA_ADAPTER_NO_LOCKS  if set, C_Initialize answers CKR_CANT_LOCK to CKF_OS_LOCKING_OK, as a module without locks has to
 *   BULLA_ADAPTER_TIME      utcTime of every token, as opencryptoki has it: HH:MM:SS
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { CKR_OK = 0, CKR_GENERAL_ERROR = 5, CKR_CANT_LOCK = 10, CKF_OS_LOCKING_OK = 2, CKF_CLOCK_ON_TOKEN = 0x40 };

/* The orders of functions in CK_FUNCTION_LIST. */
enum { INITIALIZE = 0, GET_FUNCTION_LIST = 3, GET_TOKEN_INFO = 6, FUNCTIONS = 68 };

struct function_list {
    unsigned char version[2];
    void *functions[FUNCTIONS];
};

struct initialize_args {
    void *mutex_functions[4];
    unsigned long flags;
    void *reserved;
};

struct token_info {
    char names[96];
    unsigned long flags;
    unsigned long counts[10];
    unsigned char versions[4];
    char utc_time[16];
};

static struct function_list *behind;
static struct function_list ours;

static unsigned long initialize(struct initialize_args *args) {
    if (getenv("BULLA_ADAPTER_NO_LOCKS") != NULL && args != NULL && (args->flags & CKF_OS_LOCKING_OK) != 0)
        return CKR_CANT_LOCK;
    struct initialize_args changed = {{0}, 0, NULL};
    if (args != NULL)
        changed = *args;
    if (getenv("BULLA_ADAPTER_RESERVED") != NULL)
        changed.reserved = getenv("BULLA_ADAPTER_RESERVED");
    return ((unsigned long (*)(void *))behind->functions[INITIALIZE])(&changed);
}

static unsigned long get_token_info(unsigned long slot, struct token_info *info) {
    unsigned long rv = ((unsigned long (*)(unsigned long, void *))behind->functions[GET_TOKEN_INFO])(slot, info);
    if (rv == CKR_OK && getenv("BULLA_ADAPTER_TIME") != NULL) {
        info->flags |= CKF_CLOCK_ON_TOKEN;
        memset(info->utc_time, 0, sizeof info->utc_time);
        strncpy(info->utc_time, getenv("BULLA_ADAPTER_TIME"), sizeof info->utc_time);
    }
    return rv;
}

unsigned long C_GetFunctionList(struct function_list **list) {
    void *module = dlopen(getenv("BULLA_ADAPTER_MODULE"), RTLD_NOW);
    unsigned long (*get)(struct function_list **) = NULL;
    if (module != NULL)
        get = (unsigned long (*)(struct function_list **))dlsym(module, "C_GetFunctionList");
    if (get == NULL || get(&behind) != CKR_OK)
        return CKR_GENERAL_ERROR;
    ours = *behind;
    ours.functions[INITIALIZE] = initialize;
    ours.functions[GET_FUNCTION_LIST] = C_GetFunctionList;
    ours.functions[GET_TOKEN_INFO] = get_token_info;
    *list = &ours;
    return CKR_OK;
}
