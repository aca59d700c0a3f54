/* SPDX-License-Identifier: BSD-3-Clause */
/* What the programs here share: an end with a reason, the time, the middle one of many times. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <shm/observe.h>

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, metal_shm_last_error());
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline int compare_times(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static inline uint64_t median(uint64_t times[], size_t n)
{
	qsort(times, n, sizeof(*times), compare_times);
	return times[n / 2];
}

#endif
