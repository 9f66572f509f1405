/*
 * bulla: API keys that verify themselves. Verifying them in process, from any language that can call C.
 *
 * Build the library with the feature `capi`, and link with -lbulla:
 *
 *     cargo rustc --release -p bulla --features capi --crate-type cdylib      (target/release/libbulla.so)
 *
 * It verifies, and reads the id of a key. It issues nothing, and does not follow the revocation feed.
 *
 * Every text that goes in is UTF-8 and ends in a NUL, except API keys, which have a length. The library keeps nothing
 * that it is given, and allocates nothing that the caller has to give back but the verifier. No function unwinds into its
 * caller. The library reads no clock: times are Unix seconds.
 */
#ifndef BULLA_H
#define BULLA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever something in this file does that a caller was compiled against. */
#define BULLA_ABI 1

/* The header's BULLA_ABI in the library: refuse to go on where they differ. */
uint32_t bulla_abi(void);

/* What functions return. Only BULLA_ACCEPTED is a yes. */
#define BULLA_ACCEPTED 0       /* the key holds; what was asked for is there */
#define BULLA_REJECTED 1       /* the key does not hold: 401, or 403 where the reason is "scope" */
#define BULLA_COULD_NOT_TELL 2 /* the key has a secret half, which is not checked here: 503 */
#define BULLA_FAILED 3         /* the arguments or the keyring are wrong: 500 */

/* Bytes that texts take, with the NUL. */
#define BULLA_API_KEY_ID_SIZE 48
#define BULLA_REALM_SIZE 25
#define BULLA_REASON_SIZE 32
#define BULLA_SCOPES_SIZE 241

/* Verifies the keys of one keyring. It never changes, so any number of threads may use it at once. */
typedef struct bulla_verifier bulla_verifier;

/* What a verifier is opened from. */
typedef struct bulla_keyring {
    const char *keyring;    /* the file of the keyring document */
    const char *mac_source; /* the source of the key that authenticates it, such as "file:keyring-mac.key" */
    const char *folder;     /* where relative paths begin, those of sources too; NULL is the working directory */
    const char *const *realms; /* the realms whose keys are to be verified */
    size_t realms_len;
    const char *const *secret_realms; /* those among them that require a secret half; no other may stand here */
    size_t secret_realms_len;
    const char *const *trusted_sources; /* beginnings of source URIs; NULL trusts every source that the keyring names */
    size_t trusted_sources_len;
} bulla_keyring;

/* What an API key is held to. */
typedef struct bulla_expected {
    const char *const *realms; /* a key of any other is rejected; among those of the verifier */
    size_t realms_len;
    const char *const *scopes; /* all of them are needed; may be NULL with a length of 0 */
    size_t scopes_len;
    const char *audience; /* the caller's own; NULL rejects keys that are bound to audiences */
    const char *address;  /* the client's, such as "192.0.2.1"; NULL rejects keys that are bound to addresses */
} bulla_expected;

/* What is known of an API key. All but `reason` is zero unless the key was accepted. */
typedef struct bulla_verified {
    uint64_t issued_at;  /* Unix seconds */
    uint64_t expires_at; /* Unix seconds; 0 is never */
    uint32_t version;    /* the key version that sealed it */
    uint8_t app_id[16];  /* the UUID of whom it belongs to */
    char api_key_id[BULLA_API_KEY_ID_SIZE];
    char realm[BULLA_REALM_SIZE];
    char scopes[BULLA_SCOPES_SIZE]; /* separated by single spaces; empty for none */
    char reason[BULLA_REASON_SIZE]; /* why it is not accepted, for logs and never for the client; empty if it is */
} bulla_verified;

/*
 * Opens a verifier. The key sources are asked here, and never for an API key. A keyring that changed is opened anew.
 *
 * `*verifier` is then the caller's, who gives it back with bulla_verifier_free; it is NULL if this fails. The reason is put
 * into `error`, cut to `error_size` bytes with its NUL; `error` may be NULL.
 *
 * Returns BULLA_ACCEPTED or BULLA_FAILED.
 */
int bulla_verifier_open(const bulla_keyring *keyring, bulla_verifier **verifier, char *error, size_t error_size);

/* Gives a verifier back, which nobody may use any more. NULL is allowed. */
void bulla_verifier_free(bulla_verifier *verifier);

/*
 * Verifies the `api_key_len` bytes at `api_key`, at the time `now`. A text that is no API key is BULLA_REJECTED, with
 * whatever bytes it has. The reasons are those of docs/FORMAT.md; those of BULLA_FAILED are "null_pointer", "not_utf8",
 * "not_a_realm", "not_an_address", "does_not_fit" and "panic".
 */
int bulla_verify(const bulla_verifier *verifier, const char *api_key, size_t api_key_len, const bulla_expected *expected,
                 uint64_t now, bulla_verified *verified);

/*
 * Reads the id off an API key whose shape and checksum are right: BULLA_ACCEPTED, else BULLA_REJECTED and an empty text. It
 * proves nothing: whether the key is genuine only bulla_verify tells. `id` has room for BULLA_API_KEY_ID_SIZE bytes.
 */
int bulla_api_key_id(const char *api_key, size_t api_key_len, char *id);

#ifdef __cplusplus
}
#endif

#endif
