/* Does what standard input says, one command in a line, with the gate of a settings file, and prints what came out. */

#define _POSIX_C_SOURCE 200809L
#include <bulla.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bulla_gate *gate;
static bulla_expected *expected;
static char error[BULLA_ERROR_SIZE];
static unsigned char message[1 << 16];

static uint64_t now(void) { return (uint64_t)time(NULL); }

static const char *said(int status) { return status == BULLA_FAILED ? error : status == BULLA_ACCEPTED ? "done" : "more"; }

static long milliseconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static void check(char *key) {
    const bulla_header headers[2] = {
        {.name = "Cookie", .name_len = 6, .value = "a=b", .value_len = 3},
        {.name = "X-Api-Key", .name_len = 9, .value = key, .value_len = strlen(key)},
    };
    bulla_answer one, other;
    bulla2_check(gate, expected, NULL, 0, key, strlen(key), NULL, now(), &one);
    bulla2_check_headers(gate, expected, headers, 2, NULL, now(), &other);
    printf("%d %s %s\n", one.status, one.reason, strcmp(one.reason, other.reason) == 0 && one.status == other.status ? "" : "differs");
}

static size_t decode(const char *hex) {
    size_t at = 0;
    unsigned byte;
    for (; sscanf(hex + 2 * at, "%2x", &byte) == 1; at++) message[at] = (unsigned char)byte;
    return at;
}

/* What a child sees that was forked after the start. */
static void in_child(char *key) {
    fflush(stdout);
    if (fork() == 0) {
        const struct timespec moment = {.tv_sec = 0, .tv_nsec = 10000000};
        uint64_t begun = now();
        bulla_status status;
        bulla2_gate_status(gate, begun, &status);
        /* The pid is looked at once in a second. */
        while (now() == begun) nanosleep(&moment, NULL);
        printf("child: forked %" PRIu32 ", started in the parent %d, ", status.forked, status.started_in == (uint32_t)getppid());
        printf("start: %s, ", said(bulla2_gate_start(gate, error, sizeof error)));
        check(key);
        /* It has no threads to wait for. */
        bulla2_gate_stop(gate);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

/* What a worker does that runs as nobody: the master hands open files over. */
static void by_descriptors(char *path) {
    static char settings[16384];
    char name[1024];
    bulla_file files[2] = {{.name = "mac.key", .bytes = NULL, .len = 0, .fd = -1}, {.name = "master-7.key", .bytes = NULL, .len = 0, .fd = -1}};
    bulla_gate *other = NULL;
    char *folder = strrchr(path, '/');
    FILE *file = fopen(path, "r");
    size_t length = fread(settings, 1, sizeof settings, file), at;
    fclose(file);
    *folder = '\0';
    for (at = 0; at < 2; at++) {
        snprintf(name, sizeof name, "%s/%s", path, files[at].name);
        files[at].fd = open(name, O_RDONLY);
        unlink(name);
    }
    printf("%s\n", said(bulla2_gate_open_text(settings, length, path, files, 2, &other, error, sizeof error)));
    for (at = 0; at < 2; at++) close(files[at].fd);
    bulla2_gate_free(other);
}

/* What a host does with a state of its language for each thread. */
static void shared(const char *path) {
    bulla_gate *one = NULL, *same = NULL;
    int found = bulla2_gate_shared(path, &one, error, sizeof error) == BULLA_ACCEPTED &&
                bulla2_gate_shared(path, &same, error, sizeof error) == BULLA_ACCEPTED && one != NULL && one == same;
    found = found && bulla2_gate_shared("/nowhere", &same, error, sizeof error) == BULLA_FAILED && same == NULL;
    printf("%s\n", found ? "one" : error);
}

int main(int count, char **arguments) {
    static char line[1 << 17];
    if (count != 3 || bulla2_gate_open(arguments[1], &gate, error, sizeof error) != BULLA_ACCEPTED ||
        bulla2_expected_open(gate, arguments[2], &expected, error, sizeof error) != BULLA_ACCEPTED) {
        printf("%s\n", error);
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *argument = strchr(line, ' ');
        line[strcspn(line, "\n")] = '\0';
        if (argument != NULL) *argument++ = '\0';
        if (strcmp(line, "check") == 0) check(argument);
        if (strcmp(line, "start") == 0) printf("%s\n", said(bulla2_gate_start(gate, error, sizeof error)));
        if (strcmp(line, "reload") == 0) printf("%s\n", said(bulla2_gate_reload(gate, error, sizeof error)));
        if (strcmp(line, "fork") == 0) in_child(argument);
        if (strcmp(line, "shared") == 0) shared(argument);
        if (strcmp(line, "descriptors") == 0) by_descriptors(argument);
        if (strcmp(line, "stop") == 0) {
            long begun = milliseconds();
            bulla2_gate_stop(gate);
            printf("%ld\n", milliseconds() - begun);
        }
        if (strcmp(line, "question") == 0) {
            bulla2_gate_question(gate, 25, error, sizeof error);
            printf("%s\n", error);
        }
        if (strcmp(line, "apply") == 0)
            printf("%s\n", said(bulla2_gate_apply(gate, message, decode(argument), now(), error, sizeof error)));
        if (strcmp(line, "status") == 0) {
            bulla_status status;
            bulla2_gate_tick(gate, now());
            bulla2_gate_status(gate, now(), &status);
            printf("%" PRIu64 " %" PRIu64 " %d %s\n", status.seq, status.revocations, status.feed_age == UINT64_MAX, status.error);
        }
        fflush(stdout);
    }
    bulla2_expected_free(expected);
    bulla2_gate_free(gate);
    return 0;
}
