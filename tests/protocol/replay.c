/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inputs that were kept, one after another, without a fuzzer: `replay CORPUS [--list]`, where CORPUS has
 * one a line in hexadecimal, behind comments. Prints TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define LINE 8192

static size_t parse(const char *line, uint8_t *bytes)
{
	size_t count = 0;
	unsigned value;

	while (sscanf(line + 2 * count, "%2x", &value) == 1)
		bytes[count++] = (uint8_t)value;
	return count;
}

/* In memory of just its size, so that a sanitizer sees what is read behind it. */
static int feed(const char *line)
{
	static uint8_t bytes[LINE];
	size_t size = parse(line, bytes);
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		return -1;
	memcpy(exact, bytes, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned inputs = 0, failures = 0;
	char line[LINE];
	FILE *from;

	if (argc > 2) {
		printf("kept_inputs_find_nothing\n");
		return 0;
	}
	from = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!from) {
		fprintf(stderr, "usage: replay CORPUS [--list]\n");
		return 2;
	}
	while (fgets(line, sizeof(line), from)) {
		if (line[0] == '#')
			continue;
		failures += feed(line) != 0;
		inputs++;
	}
	fclose(from);
	printf("1..1\n# %u inputs\n", inputs);
	printf("%s 1 - kept_inputs_find_nothing\n", inputs && !failures ? "ok" : "not ok");
	return !inputs || failures;
}
