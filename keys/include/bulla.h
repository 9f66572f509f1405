/*
 * bulla: API keys that verify themselves. Verifying them in process, from any language that can call C.
 *
 * Build the library with the feature `capi`, and link with -lbulla:
 *
 *     cargo rustc --release -p bulla --features capi --crate-type cdylib      (target/release/libbulla.so)
 *
 * A gate is opened once from its settings, reads the credential of a request, and has the answer ready. It follows the revocation
 * feed on threads of its own, or applies messages that the host fetches. It issues nothing, and checks no secret halves: a key that
 * has one is "could not tell". docs/EMBEDDING.md has forks, threads, reloads, unloading and garbage collectors.
 *
 * Every text that goes in is UTF-8 and ends in a NUL, except where it has a length. The library keeps no pointer that it is given.
 * Give back what it allocates with the function that has `free` in its name. No function unwinds into its caller. Times are Unix
 * seconds.
 *
 * The functions have the number of the ABI in their names, so that two libraries in one process never bind to each other.
 */
#ifndef BULLA_H
#define BULLA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes, with the prefix of the functions, whenever something in this file does that a caller was compiled against. */
#define BULLA_ABI 2

/* The header's BULLA_ABI in the library. */
uint32_t bulla2_abi(void);

/* What functions return. Only BULLA_ACCEPTED is a yes. */
#define BULLA_ACCEPTED 0       /* the key holds; what was asked for is there, or was done */
#define BULLA_REJECTED 1       /* the key does not hold */
#define BULLA_COULD_NOT_TELL 2 /* a secret half, or revocations that are not known */
#define BULLA_FAILED 3         /* the arguments, settings, keyring or message are wrong */

/* Bytes that texts take, with the NUL. */
#define BULLA_APP_ID_SIZE 37
#define BULLA_API_KEY_ID_SIZE 48
#define BULLA_REALM_SIZE 25
#define BULLA_SCOPES_SIZE 241
#define BULLA_EXPIRES_SIZE 32
#define BULLA_CLAIMS_SIZE 241
#define BULLA_REASON_SIZE 32
#define BULLA_ERROR_SIZE 256

/* Verifies keys by one set of settings. Any number of threads may use it at once, except to free it. */
typedef struct bulla_gate bulla_gate;

/* What a route requires. It is a copy, so a garbage collector may move or drop the text it came from. Threads may share it. */
typedef struct bulla_expected bulla_expected;

/* A file of the settings that the caller hands over, in the place of the one on the disk: for a process that may not read it. */
typedef struct bulla_file {
    const char *name;  /* as the settings have it, such as "edge.key" */
    const void *bytes; /* its content; NULL where `fd` is read */
    size_t len;
    int fd; /* an open descriptor, which stays the caller's */
} bulla_file;

/* One header of a request. Neither text needs a NUL. */
typedef struct bulla_header {
    const char *name; /* in any case */
    size_t name_len;
    const char *value;
    size_t value_len;
} bulla_header;

/* An answer, in memory of the caller's, which may be reused. Texts end in a NUL, and are empty unless the key was accepted. */
typedef struct bulla_answer {
    uint64_t issued_at;
    uint64_t expires_at;    /* 0 is never */
    const char *challenge;  /* the value of WWW-Authenticate, or NULL; it lives as long as the bulla_expected */
    uint32_t version;       /* the key version that sealed it */
    uint16_t status;        /* 200, 401, 403 or 503; 500 where the function returns BULLA_FAILED */
    uint16_t audiences_len; /* how many texts `audiences` has */
    uint16_t meta_len;      /* how many pairs `meta` has */
    uint8_t app_uuid[16];
    char app_id[BULLA_APP_ID_SIZE];         /* X-Bulla-App-Id */
    char api_key_id[BULLA_API_KEY_ID_SIZE]; /* X-Bulla-Api-Key-Id */
    char realm[BULLA_REALM_SIZE];           /* X-Bulla-Realm */
    char scopes[BULLA_SCOPES_SIZE];         /* X-Bulla-Scopes: separated by single spaces */
    char expires[BULLA_EXPIRES_SIZE];       /* X-Bulla-Expires-At: RFC 3339; empty for never */
    char audiences[BULLA_CLAIMS_SIZE];      /* one behind the other, each with its NUL; one with a NUL inside is left out */
    char meta[BULLA_CLAIMS_SIZE];           /* name, NUL, value, NUL, and so on; a pair with a NUL inside is left out */
    char reason[BULLA_REASON_SIZE];         /* why it is not accepted, for logs and never for the client; empty if it is */
} bulla_answer;

/* A gate's numbers. */
typedef struct bulla_status {
    uint64_t accepted;
    uint64_t rejected;
    uint64_t could_not_tell;
    uint64_t feed_age;         /* how old the knowledge of revocations is, in seconds; UINT64_MAX where nothing is known */
    uint64_t seq;              /* the place in the log */
    uint64_t revocations;      /* revoked ids, suspended ids and rules */
    uint64_t keyring_serial;   /* of the newest keyring that the feed named */
    uint64_t refused_messages; /* messages of the feed that were refused */
    uint32_t failures;         /* failed questions to the feed in a row */
    uint32_t started_in;       /* the process in which the threads run; 0 for none */
    uint32_t forked;           /* 1 where this process was forked from that one: here nothing keeps the gate current */
    char error[BULLA_ERROR_SIZE]; /* what failed last, of feed, reload, disk and report; empty for nothing */
} bulla_status;

/*
 * Opens a gate by the settings in a file, or in a text whose relative paths begin at `folder`. All files are read here, and the key
 * sources are asked; no thread stays. So open it as root, before the process forks; the children use it.
 *
 * `*gate` is then the caller's, who gives it back with bulla2_gate_free; it is NULL if this fails. The reason is put into `error`, cut to
 * `error_size` bytes with its NUL, as by all functions that have it; `error` may be NULL.
 */
int bulla2_gate_open(const char *settings_path, bulla_gate **gate, char *error, size_t error_size);
int bulla2_gate_open_text(const char *settings, size_t settings_len, const char *folder, const bulla_file *files, size_t files_len,
                          bulla_gate **gate, char *error, size_t error_size);

/*
 * The gate of this process for the settings in a file: the first call opens it, and every later one with the same path gets the same
 * gate. So a host with a state of its language for each thread has one copy of the keys and one follower. It lives as long as the
 * process: do not give it back.
 */
int bulla2_gate_shared(const char *settings_path, bulla_gate **gate, char *error, size_t error_size);

/* Stops a gate, and gives it back. Nobody may use it any more. NULL is allowed. */
void bulla2_gate_free(bulla_gate *gate);

/*
 * Begins to follow the feed, to report the place to it and to watch the files with keys, on threads, until it is stopped. Call it in the process that serves,
 * after the last fork; a second call there does nothing. In a process that was forked after the start this fails, and every check is
 * BULLA_COULD_NOT_TELL with the reason "forked".
 */
int bulla2_gate_start(bulla_gate *gate, char *error, size_t error_size);

/* Ends the threads at once, and waits until they are gone: afterwards the library may be unloaded. What is known stays in force. */
void bulla2_gate_stop(bulla_gate *gate);

/* Loads keyring or exports anew, and swaps them in place while requests go on. What fails changes nothing. */
int bulla2_gate_reload(bulla_gate *gate, char *error, size_t error_size);

/*
 * Without threads: the host fetches, from a node or a relay of its choice, the path that bulla2_gate_question puts into `path` (128 bytes
 * are enough), and applies the body of the answer. The server waits up to `wait` seconds for news. bulla2_gate_apply returns
 * BULLA_ACCEPTED at the end of the log, and BULLA_REJECTED where there is more to fetch at once. Call bulla2_gate_tick once a second.
 */
int bulla2_gate_question(const bulla_gate *gate, uint32_t wait, char *path, size_t path_size);
int bulla2_gate_apply(bulla_gate *gate, const void *message, size_t message_len, uint64_t now, char *error, size_t error_size);
void bulla2_gate_tick(bulla_gate *gate, uint64_t now);

/* The gate's numbers. */
int bulla2_gate_status(const bulla_gate *gate, uint64_t now, bulla_status *status);

/*
 * Reads the requirements of a route, in the syntax of /v1/authorize/ (docs/GATEWAYS.md): "realm:live,scope:orders.read", or "-" for
 * the defaults. `*expected` is the caller's, who gives it back with bulla2_expected_free.
 */
int bulla2_expected_open(const bulla_gate *gate, const char *requirements, bulla_expected **expected, char *error,
                         size_t error_size);

/* The name, in lower case, of header number `at` that the key is read from; NULL behind the last. Remove them from what goes on. */
const char *bulla2_expected_header(const bulla_expected *expected, size_t at);

/* Gives it back, with the challenges of answers by it. NULL is allowed. */
void bulla2_expected_free(bulla_expected *expected);

/*
 * May the request go on? The first text is the value of Authorization, the second one of the other header that the key is read from, as
 * a rule X-API-Key; NULL where there is none. Several values of one header are joined by a comma. `address` is the client's, such as
 * "192.0.2.1", or NULL.
 *
 * The reasons are those of docs/FORMAT.md, "no_credential", "several_credentials", "stale" and "forked"; those of BULLA_FAILED are
 * "null_pointer", "not_utf8", "not_an_address", "does_not_fit" and "panic".
 */
int bulla2_check(const bulla_gate *gate, const bulla_expected *expected, const char *authorization, size_t authorization_len,
                 const char *api_key, size_t api_key_len, const char *address, uint64_t now, bulla_answer *answer);

/* The same from the headers of a request. Those that the key is not read from are passed over. */
int bulla2_check_headers(const bulla_gate *gate, const bulla_expected *expected, const bulla_header *headers, size_t headers_len,
                         const char *address, uint64_t now, bulla_answer *answer);

/* The same for a text that is the API key already, with whatever bytes it has. */
int bulla2_verify(const bulla_gate *gate, const bulla_expected *expected, const char *api_key, size_t api_key_len,
                  const char *address, uint64_t now, bulla_answer *answer);

/* The same for `count` keys, each with an answer of its own. BULLA_ACCEPTED says that all answers are there, and nothing of the keys. */
int bulla2_verify_batch(const bulla_gate *gate, const bulla_expected *expected, const char *const *api_keys,
                        const size_t *api_key_lens, size_t count, const char *address, uint64_t now, bulla_answer *answers);

/*
 * Identity header number `at` of an answer, for the request that goes on: its name in lower case, and its value. BULLA_REJECTED behind the
 * last, and where the key is not accepted. Set all of them, and remove the client's own of these names.
 */
int bulla2_answer_header(const bulla_answer *answer, size_t at, const char **name, const char **value);

/*
 * Reads the id off an API key whose shape and checksum are right: BULLA_ACCEPTED, else BULLA_REJECTED and an empty text. It
 * proves nothing: whether the key is genuine only bulla2_verify tells. `id` has room for BULLA_API_KEY_ID_SIZE bytes.
 */
int bulla2_api_key_id(const char *api_key, size_t api_key_len, char *id);

#ifdef __cplusplus
}
#endif

#endif
