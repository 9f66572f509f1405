/*
 * Puts a key of the type CKK_SHA256_HMAC into a token, which pkcs11-tool cannot: it knows generic secrets alone.
 *
 *   hmac_key MODULE TOKEN PIN FILE LABEL    FILE holds the 32 bytes; an empty PIN logs nobody in
 *
 * It ends with 0, or with 1 and the token's answer to C_CreateObject, or with 2 if it does not get as far as that.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CKF_SERIAL_SESSION = 4, CKF_RW_SESSION = 2, CKF_OS_LOCKING_OK = 2, CKU_USER = 1 };
enum { CKO_SECRET_KEY = 4, CKK_SHA256_HMAC = 0x2B };
enum {
    CKA_CLASS = 0,
    CKA_TOKEN = 1,
    CKA_PRIVATE = 2,
    CKA_LABEL = 3,
    CKA_VALUE = 0x11,
    CKA_KEY_TYPE = 0x100,
    CKA_SENSITIVE = 0x103,
    CKA_SIGN = 0x108,
    CKA_EXTRACTABLE = 0x162,
};

/* The orders of functions in CK_FUNCTION_LIST. */
enum { INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, CREATE_OBJECT = 20, FUNCTIONS = 68 };

struct function_list {
    unsigned char version[2];
    void *functions[FUNCTIONS];
};

struct initialize_args {
    void *mutex_functions[4];
    unsigned long flags;
    void *reserved;
};

struct attribute {
    unsigned long type;
    void *value;
    unsigned long length;
};

static struct function_list *module;

static void need(const char *what, unsigned long rv, int code) {
    if (rv == 0)
        return;
    fprintf(stderr, "%s: 0x%lx\n", what, rv);
    exit(code);
}

#define CALL(name, types, ...) (((unsigned long (*) types)module->functions[name])(__VA_ARGS__))

static unsigned long slot_of(const char *token) {
    unsigned long slots[64], count = 64;
    need("C_GetSlotList", CALL(GET_SLOT_LIST, (unsigned char, unsigned long *, unsigned long *), 1, slots, &count), 2);
    for (unsigned long at = 0; at < count; at++) {
        char info[512] = {0};
        size_t length = strlen(token);
        if (CALL(GET_TOKEN_INFO, (unsigned long, void *), slots[at], info) != 0)
            continue;
        /* The label, which is padded with blanks. */
        if (strncmp(info, token, length) == 0 && (length == 32 || info[length] == ' '))
            return slots[at];
    }
    need("no such token", 1, 2);
    return 0;
}

int main(int count, char **arguments) {
    unsigned char key[32];
    FILE *file = count == 6 ? fopen(arguments[4], "rb") : NULL;
    void *library = count == 6 ? dlopen(arguments[1], RTLD_NOW) : NULL;
    unsigned long (*list)(struct function_list **) = NULL;
    if (library != NULL)
        *(void **)&list = dlsym(library, "C_GetFunctionList");
    if (file == NULL || fread(key, 1, sizeof key, file) != sizeof key || list == NULL)
        need("MODULE TOKEN PIN FILE LABEL", 1, 2);
    need("C_GetFunctionList", list(&module), 2);
    struct initialize_args args = {{0}, CKF_OS_LOCKING_OK, NULL};
    need("C_Initialize", CALL(INITIALIZE, (void *), &args), 2);

    char *pin = arguments[3], *label = arguments[5];
    unsigned long session = 0, slot = slot_of(arguments[2]);
    need("C_OpenSession",
         CALL(OPEN_SESSION, (unsigned long, unsigned long, void *, void *, unsigned long *), slot,
              CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
         2);
    if (*pin != '\0')
        need("C_Login",
             CALL(LOGIN, (unsigned long, unsigned long, void *, unsigned long), session, CKU_USER, pin, strlen(pin)), 2);

    unsigned long class = CKO_SECRET_KEY, type = CKK_SHA256_HMAC, object = 0;
    unsigned char yes = 1, no = 0;
    struct attribute attributes[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_TOKEN, &yes, 1},
        {CKA_PRIVATE, &yes, 1},            {CKA_SENSITIVE, &yes, 1},           {CKA_EXTRACTABLE, &no, 1},
        {CKA_SIGN, &yes, 1},               {CKA_LABEL, label, strlen(label)},  {CKA_VALUE, key, sizeof key},
    };
    need("C_CreateObject",
         CALL(CREATE_OBJECT, (unsigned long, struct attribute *, unsigned long, unsigned long *), session, attributes,
              sizeof attributes / sizeof attributes[0], &object),
         1);
    return 0;
}
