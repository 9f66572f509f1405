/* Reads cases, one in a line, verifies each through bulla.h, and prints what came out, as verify.py does. */

#include <bulla.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 16

static unsigned char digit(char c) { return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10); }

/* Decodes hexadecimal in place, puts a NUL behind it, and says how long it is. "-" is no text at all. */
static char *decode(char *text, size_t *length) {
    size_t at = 0;
    if (strcmp(text, "-") == 0) return NULL;
    for (; text[2 * at] != '\0'; at++) text[at] = (char)(digit(text[2 * at]) << 4 | digit(text[2 * at + 1]));
    text[at] = '\0';
    if (length != NULL) *length = at;
    return text;
}

/* Takes the text up to `end` off the front of `*rest`. */
static char *take(char **rest, char end) {
    char *text = *rest, *at = strchr(text, end);
    if (at == NULL) at = text + strlen(text);
    *rest = *at == '\0' ? at : at + 1;
    *at = '\0';
    return text;
}

static size_t list(char *text, const char **array) {
    size_t len = 0;
    while (*text != '\0') array[len++] = decode(take(&text, ','), NULL);
    return len;
}

/* A line is: folder, realms, scopes, audience, address, now, API key; texts in hexadecimal. */
static void run(char *line) {
    const char *realms[MOST], *scopes[MOST];
    char *folder = take(&line, '\t');
    bulla_keyring keyring = {.keyring = "keyring.toml", .mac_source = "file:mac.key", .folder = folder, .realms = realms};
    bulla_expected expected = {.realms = realms, .scopes = scopes};
    bulla_verifier *verifier = NULL;
    bulla_verified verified;
    char error[256], id[BULLA_API_KEY_ID_SIZE], *api_key;
    size_t length = 0, at;
    uint64_t now;
    int status;

    keyring.realms_len = expected.realms_len = list(take(&line, '\t'), realms);
    expected.scopes_len = list(take(&line, '\t'), scopes);
    expected.audience = decode(take(&line, '\t'), NULL);
    expected.address = decode(take(&line, '\t'), NULL);
    now = strtoull(take(&line, '\t'), NULL, 10);
    api_key = decode(take(&line, '\n'), &length);

    if (bulla_verifier_open(&keyring, &verifier, error, sizeof error) != BULLA_ACCEPTED) {
        printf("open: %s\n", error);
        return;
    }
    status = bulla_verify(verifier, api_key, length, &expected, now, &verified);
    printf("%d\t%s\t%s\t%s\t%" PRIu32 "\t", status, verified.reason, verified.api_key_id, verified.realm, verified.version);
    for (at = 0; at < sizeof verified.app_id; at++) printf("%02x", verified.app_id[at]);
    printf("\t%" PRIu64 "\t%" PRIu64 "\t%s\t", verified.issued_at, verified.expires_at, verified.scopes);
    status = bulla_api_key_id(api_key, length, id);
    printf("%d\t%s\n", status, id);
    bulla_verifier_free(verifier);
}

/* What breaks the rules fails, and is told. */
static int misuse(void) {
    const char *realms[] = {"acme_live", NULL};
    bulla_keyring keyring = {.keyring = "nowhere.toml", .mac_source = "file:mac.key", .realms = realms, .realms_len = 1};
    bulla_expected expected = {.realms = realms, .realms_len = 1};
    bulla_verifier *verifier = (bulla_verifier *)realms;
    bulla_verified verified;
    char error[64] = "", small[8];
    int right = bulla_abi() == BULLA_ABI;

    right &= bulla_verifier_open(&keyring, &verifier, error, sizeof error) == BULLA_FAILED && verifier == NULL;
    right &= strstr(error, "nowhere.toml") != NULL;
    right &= bulla_verifier_open(&keyring, &verifier, small, sizeof small) == BULLA_FAILED && strcmp(small, "cannot ") == 0;
    right &= bulla_verifier_open(&keyring, &verifier, NULL, 0) == BULLA_FAILED;
    keyring.realms_len = 2;
    right &= bulla_verifier_open(&keyring, &verifier, error, sizeof error) == BULLA_FAILED;
    right &= strcmp(error, "a pointer is NULL that must not be") == 0;
    right &= bulla_verifier_open(NULL, &verifier, error, sizeof error) == BULLA_FAILED;
    right &= bulla_verifier_open(&keyring, NULL, error, sizeof error) == BULLA_FAILED;
    right &= bulla_verify(NULL, "k", 1, &expected, 0, &verified) == BULLA_FAILED;
    right &= strcmp(verified.reason, "null_pointer") == 0;
    right &= bulla_verify(NULL, "k", 1, &expected, 0, NULL) == BULLA_FAILED;
    right &= bulla_api_key_id("k", 1, NULL) == BULLA_FAILED;
    bulla_verifier_free(NULL);
    return right ? 0 : 1;
}

int main(void) {
    static char line[8192];
    while (fgets(line, sizeof line, stdin) != NULL) run(line);
    return misuse();
}
