/* Reads cases, one in a line, verifies each through bulla.h, and prints what came out, as verify.py does. */

#include <bulla.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

struct text {
    char bytes[16384];
    size_t length;
};

static void add(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text->length += (size_t)vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, arguments);
    va_end(arguments);
}

/* A part of a route's requirements, with every byte of its value escaped. */
static void require(struct text *text, const char *name, const char *hex) {
    add(text, "%s%s:", text->length > 0 ? "," : "", name);
    for (; *hex != '\0'; hex += 2) add(text, "%%%.2s", hex);
}

enum { BATCH = 19 };

/* A line is: folder, realms, scopes, audience, address, now, API key; texts in hexadecimal. */
static void run(char *line) {
    static struct text settings, required;
    char *folder = take(&line, '\t'), *realms = take(&line, '\t'), *scopes = take(&line, '\t'), *audience = take(&line, '\t');
    char *address = decode(take(&line, '\t'), NULL), *api_key, *realm;
    bulla_gate *gate = NULL;
    bulla_expected *expected = NULL;
    bulla_answer answer, batch[BATCH], alone, headers;
    char error[BULLA_ERROR_SIZE], id[BULLA_API_KEY_ID_SIZE];
    const char *keys[BATCH], *name, *value;
    size_t length = 0, lengths[BATCH], at;
    uint64_t now = strtoull(take(&line, '\t'), NULL, 10);
    int status;

    settings.length = required.length = 0;
    required.bytes[0] = '\0';
    add(&settings, "revocations = 'none'\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n");
    while (*realms != '\0') {
        require(&required, "realm", realm = take(&realms, ','));
        add(&settings, "[realms.%s]\n", decode(realm, NULL));
    }
    while (*scopes != '\0') require(&required, "scope", take(&scopes, ','));
    if (strcmp(audience, "-") != 0) require(&required, "aud", audience);
    api_key = decode(take(&line, '\n'), &length);

    if (bulla2_gate_open_text(settings.bytes, settings.length, folder, NULL, 0, &gate, error, sizeof error) != BULLA_ACCEPTED ||
        bulla2_expected_open(gate, required.bytes, &expected, error, sizeof error) != BULLA_ACCEPTED) {
        printf("open: %s\n", error);
        return;
    }
    status = bulla2_verify(gate, expected, api_key, length, address, now, &answer);
    printf("%d\t%s\t%s\t%s\t%" PRIu32 "\t", status, answer.reason, answer.api_key_id, answer.realm, answer.version);
    for (at = 0; at < sizeof answer.app_uuid; at++) printf("%02x", answer.app_uuid[at]);
    printf("\t%" PRIu64 "\t%" PRIu64 "\t%s\t", answer.issued_at, answer.expires_at, answer.scopes);

    /* The other ways in say the same, except of what no header can carry. */
    for (at = 0; at < BATCH; at++) {
        keys[at] = at % 5 == 3 ? NULL : api_key;
        lengths[at] = at % 3 == 2 ? length / 2 : length;
    }
    if (bulla2_verify_batch(gate, expected, keys, lengths, BATCH, address, now, batch) != (length > 0 ? BULLA_FAILED : BULLA_ACCEPTED))
        printf("batch\t");
    for (at = 0; at < BATCH; at++) {
        bulla2_verify(gate, expected, keys[at], lengths[at], address, now, &alone);
        if (batch[at].status != alone.status || strcmp(batch[at].reason, alone.reason) != 0 || strcmp(batch[at].app_id, alone.app_id) != 0 ||
            strcmp(batch[at].api_key_id, alone.api_key_id) != 0 || strcmp(batch[at].scopes, alone.scopes) != 0)
            printf("batch, %zu: %s\t", at, batch[at].reason);
    }
    if (bulla2_check(gate, expected, NULL, 0, api_key, length, address, now, &headers) != status && headers.status != 401)
        printf("check: %s\t", headers.reason);
    for (at = 0; bulla2_answer_header(&answer, at, &name, &value) == BULLA_ACCEPTED; at++)
        if (strncmp(name, "x-bulla-", 8) != 0 || strlen(value) > BULLA_SCOPES_SIZE) printf("header: %s\t", name);
    if (at != (status == BULLA_ACCEPTED ? 6 : 0)) printf("headers: %zu\t", at);

    status = bulla2_api_key_id(api_key, length, id);
    printf("%d\t%s\n", status, id);
    bulla2_expected_free(expected);
    bulla2_gate_free(gate);
}

static int misuse(void) {
    static const char nowhere[] = "revocations = 'none'\n[keyring]\nsource = 'file:nowhere.toml'\nmac_source = 'file:mac.key'\n"
                                  "[realms.live]\n";
    const bulla_file files[2] = {{.name = "mac.key", .bytes = NULL, .len = 0, .fd = -1}, {.name = NULL, .bytes = "", .len = 0, .fd = -1}};
    bulla_gate *gate = (bulla_gate *)files;
    bulla_expected *expected = (bulla_expected *)files;
    bulla_answer answer;
    bulla_status status;
    const char *name, *value;
    char error[BULLA_ERROR_SIZE] = "", small[8];
    int right = bulla2_abi() == BULLA_ABI;

    right &= bulla2_gate_open("nowhere/gate.toml", &gate, error, sizeof error) == BULLA_FAILED && gate == NULL;
    right &= strstr(error, "nowhere/gate.toml") != NULL;
    right &= bulla2_gate_open("nowhere/gate.toml", &gate, small, sizeof small) == BULLA_FAILED && strcmp(small, "cannot ") == 0;
    right &= bulla2_gate_open("nowhere/gate.toml", &gate, NULL, 0) == BULLA_FAILED;
    right &= bulla2_gate_open(NULL, &gate, error, sizeof error) == BULLA_FAILED;
    right &= strcmp(error, "a required pointer is NULL") == 0;
    right &= bulla2_gate_open("nowhere/gate.toml", NULL, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_open_text(nowhere, sizeof nowhere - 1, "", NULL, 0, &gate, error, sizeof error) == BULLA_FAILED;
    right &= strstr(error, "nowhere.toml") != NULL;
    right &= bulla2_gate_open_text(nowhere, sizeof nowhere - 1, "", files, 1, &gate, error, sizeof error) == BULLA_FAILED;
    right &= strstr(error, "mac.key, which was handed over, cannot be read") != NULL;
    right &= bulla2_gate_open_text(nowhere, sizeof nowhere - 1, "", files + 1, 1, &gate, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_open_text(NULL, 1, "", NULL, 0, &gate, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_start(NULL, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_reload(NULL, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_apply(NULL, "", 0, 0, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_question(NULL, 0, error, sizeof error) == BULLA_FAILED;
    right &= bulla2_gate_status(NULL, 0, &status) == BULLA_FAILED;
    right &= bulla2_expected_open(NULL, "-", &expected, error, sizeof error) == BULLA_FAILED && expected == NULL;
    right &= bulla2_expected_header(NULL, 0) == NULL;
    right &= bulla2_verify(NULL, NULL, "k", 1, NULL, 0, &answer) == BULLA_FAILED && answer.status == 500;
    right &= strcmp(answer.reason, "null_pointer") == 0;
    right &= bulla2_verify(NULL, NULL, "k", 1, NULL, 0, NULL) == BULLA_FAILED;
    right &= bulla2_check(NULL, NULL, "k", 1, NULL, 0, NULL, 0, &answer) == BULLA_FAILED;
    right &= bulla2_check_headers(NULL, NULL, NULL, 1, NULL, 0, &answer) == BULLA_FAILED;
    right &= bulla2_verify_batch(NULL, NULL, NULL, NULL, 1, NULL, 0, &answer) == BULLA_FAILED;
    right &= bulla2_answer_header(&answer, 0, &name, &value) == BULLA_REJECTED;
    right &= bulla2_answer_header(NULL, 0, &name, &value) == BULLA_FAILED;
    right &= bulla2_answer_header(&answer, 0, NULL, NULL) == BULLA_FAILED;
    right &= bulla2_api_key_id("k", 1, NULL) == BULLA_FAILED;
    bulla2_gate_tick(NULL, 0);
    bulla2_gate_stop(NULL);
    bulla2_gate_free(NULL);
    bulla2_expected_free(NULL);
    return right ? 0 : 1;
}

int main(void) {
    static char line[8192];
    while (fgets(line, sizeof line, stdin) != NULL) run(line);
    return misuse();
}
