/* SPDX-License-Identifier: BSD-3-Clause */
#include "shm_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Kernel drivers drop their last reference a little after the close that asked for it. */
#define SETTLE_TRIES 50
#define SETTLE_NS    10000000

struct resources {
	long descriptors;
	long shared_mappings;
	long dmabufs;
};

static char skip_reason[256];
static const char *keep_reason;
static char notes[2048];

void shm_test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(skip_reason, sizeof(skip_reason), format, args);
	va_end(args);
	for (char *c = skip_reason; *c; c++) {
		if (*c == '\n')
			*c = ' ';
	}
	_skip(__FILE__, __LINE__);
	abort();
}

void shm_test_keeps(const char *reason)
{
	keep_reason = reason;
}

void shm_test_note(const char *format, ...)
{
	size_t at = strlen(notes);
	va_list args;

	if (sizeof(notes) - at < 4)
		return;
	va_start(args, format);
	at += (size_t)snprintf(notes + at, sizeof(notes) - at, "# ");
	vsnprintf(notes + at, sizeof(notes) - at - 1, format, args);
	va_end(args);
	strcat(notes, "\n");
}

static long count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	long n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Private mappings come and go with malloc and threads; shared ones are ours. */
static long count_shared_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4352];
	long n = 0;

	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps)) {
		char perms[5];

		if (sscanf(line, "%*x-%*x %4s", perms) == 1 && perms[3] == 's')
			n++;
	}
	fclose(maps);
	return n;
}

static long count_dmabufs(void)
{
	FILE *info;
	char line[512];
	long n = -1;

	if (!getenv("SHM_TEST_BOARD"))
		return -1;
	info = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	if (!info)
		return -1;
	while (fgets(line, sizeof(line), info))
		sscanf(line, "Total %ld objects", &n);
	fclose(info);
	return n;
}

static struct resources count_resources(void)
{
	return (struct resources){
		.descriptors = count_descriptors(),
		.shared_mappings = count_shared_mappings(),
		.dmabufs = count_dmabufs(),
	};
}

static bool same_resources(const struct resources *a, const struct resources *b)
{
	return a->descriptors == b->descriptors && a->shared_mappings == b->shared_mappings &&
	       a->dmabufs == b->dmabufs;
}

static bool left_behind(FILE *tap, const struct resources *before)
{
	struct resources after = count_resources();
	const struct timespec pause = { .tv_nsec = SETTLE_NS };

	for (int i = 0; i < SETTLE_TRIES && !same_resources(before, &after); i++) {
		nanosleep(&pause, NULL);
		after = count_resources();
	}
	if (same_resources(before, &after))
		return false;
	fprintf(tap, "# descriptors %ld -> %ld, shared mappings %ld -> %ld, DMA-BUFs %ld -> %ld\n",
		before->descriptors, after.descriptors, before->shared_mappings,
		after.shared_mappings, before->dmabufs, after.dmabufs);
	return true;
}

static bool run_case(FILE *tap, size_t number, const struct CMUnitTest *test)
{
	struct resources before = count_resources();
	pid_t self = getpid();
	bool failed, leaked = false;

	skip_reason[0] = '\0';
	keep_reason = NULL;
	notes[0] = '\0';
	failed = _cmocka_run_group_tests(test->name, test, 1, NULL, NULL) != 0;
	fflush(stdout);
	/* A child that an assertion threw back here has no say in what its parent reports. */
	if (getpid() != self)
		_exit(1);
	fputs(notes, tap);
	if (keep_reason)
		fprintf(tap, "# keeps: %s\n", keep_reason);
	else
		leaked = left_behind(tap, &before);

	/* A skip in the set-up reaches cmocka as an error. */
	if (skip_reason[0] && !leaked) {
		fprintf(tap, "ok %zu - %s # SKIP %s\n", number, test->name, skip_reason);
		return true;
	}
	failed |= leaked;
	fprintf(tap, "%s %zu - %s\n", failed ? "not ok" : "ok", number, test->name);
	return !failed;
}

/* cmocka and the cases keep printing to stdout, which becomes stderr. */
static FILE *take_stdout(void)
{
	int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	FILE *tap = fd < 0 ? NULL : fdopen(fd, "w");

	if (!tap || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		perror("stdout");
		exit(2);
	}
	setvbuf(tap, NULL, _IOLBF, BUFSIZ);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	setenv("CMOCKA_MESSAGE_OUTPUT", "SUBUNIT", 1);
	return tap;
}

int shm_test_main(int argc, char **argv, const struct CMUnitTest tests[], size_t count)
{
	const char *pattern = "*";
	bool list = false;
	size_t selected = 0, number = 0;
	int status = 0;
	FILE *tap;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list")) {
			list = true;
		} else if (!strcmp(argv[i], "--only") && i + 1 < argc) {
			pattern = argv[++i];
		} else {
			fprintf(stderr, "%s [--list] [--only PATTERN]\n", argv[0]);
			return 2;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (fnmatch(pattern, tests[i].name, 0))
			continue;
		selected++;
		if (list)
			puts(tests[i].name);
	}
	if (!selected) {
		fprintf(stderr, "no case matches %s\n", pattern);
		return 2;
	}
	if (list)
		return 0;

	tap = take_stdout();
	fprintf(tap, "1..%zu\n", selected);
	for (size_t i = 0; i < count; i++) {
		if (fnmatch(pattern, tests[i].name, 0))
			continue;
		if (!run_case(tap, ++number, &tests[i]))
			status = 1;
	}
	fclose(tap);
	return status;
}
