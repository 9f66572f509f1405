/* Verifies the API keys on standard input, one in a line, with the keyring in `demo`.
 *
 *     cargo rustc --release -p bulla --features capi --crate-type cdylib
 *     cc -I keys/include docs/examples/capi/verify.c -L target/release -lbulla -o verify
 */
#include <bulla.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int main(void) {
    const char *realms[] = {"live"}, *scopes[] = {"orders.read"}, *trusted[] = {"file:"};
    const bulla_keyring keyring = {
        .keyring = "keyring.toml", .mac_source = "file:keyring-mac.key", .folder = "demo",
        .realms = realms, .realms_len = 1, .trusted_sources = trusted, .trusted_sources_len = 1,
    };
    const bulla_expected expected = {.realms = realms, .realms_len = 1, .scopes = scopes, .scopes_len = 1};
    bulla_verifier *verifier;
    bulla_verified verified;
    char error[512], line[1024];

    if (bulla_abi() != BULLA_ABI) return 2;
    if (bulla_verifier_open(&keyring, &verifier, error, sizeof error) != BULLA_ACCEPTED) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t length = strcspn(line, "\n");
        if (bulla_verify(verifier, line, length, &expected, (uint64_t)time(NULL), &verified) == BULLA_ACCEPTED)
            printf("accepted %s\n", verified.api_key_id);
        else
            printf("not accepted: %s\n", verified.reason);
    }
    bulla_verifier_free(verifier);
    return 0;
}
