/* Answers for the API keys on standard input, one in a line, with the gate of `demo/gate.toml`.
 *
 *     cargo rustc --release -p bulla --features capi --crate-type cdylib
 *     cc -I keys/include docs/examples/capi/verify.c -L target/release -lbulla -o verify
 */
#include <bulla.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bulla_gate *gate;
static bulla_expected *expected;
static char error[BULLA_ERROR_SIZE];

static int opened(void) {
    /* As root, before the process forks: this reads the keys. */
    if (bulla2_gate_open("demo/gate.toml", &gate, error, sizeof error) != BULLA_ACCEPTED) return 0;
    if (bulla2_expected_open(gate, "realm:live,scope:orders.read", &expected, error, sizeof error) != BULLA_ACCEPTED) return 0;
    /* In the process that serves, after the fork. */
    return bulla2_gate_start(gate, error, sizeof error) == BULLA_ACCEPTED;
}

int main(void) {
    bulla_answer answer;
    char line[1024];

    if (bulla2_abi() != BULLA_ABI) return 2;
    if (!opened()) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t length = strcspn(line, "\n"), at;
        const char *name, *value;
        /* Only BULLA_ACCEPTED is a yes. */
        if (bulla2_check(gate, expected, NULL, 0, line, length, NULL, (uint64_t)time(NULL), &answer) == BULLA_ACCEPTED) {
            printf("accepted %s\n", answer.api_key_id);
            for (at = 0; bulla2_answer_header(&answer, at, &name, &value) == BULLA_ACCEPTED; at++) fprintf(stderr, "%s: %s\n", name, value);
        } else
            printf("%d: %s\n", answer.status, answer.reason);
        fflush(stdout);
    }
    bulla2_expected_free(expected);
    bulla2_gate_free(gate);
    return 0;
}
