/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the layer did, for whoever wants to know that it was there: with LIBSHM_CL_STATS=FILE a line
 * for each counter is added to FILE when the process ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "layer.h"

static atomic_ulong counts[LAYER_COUNTS];

static const char *const names[LAYER_COUNTS] = {
	[LAYER_IMPORTS] = "imports",   [LAYER_FORCED] = "forced",
	[LAYER_BRACKETS] = "brackets", [LAYER_STARTS] = "starts",
	[LAYER_ENDS] = "ends",         [LAYER_FAILED_SYNCS] = "failed_syncs",
};

void layer_stats_add(enum layer_count which)
{
	atomic_fetch_add_explicit(&counts[which], 1, memory_order_relaxed);
}

static void write_stats(void)
{
	const char *path = secure_getenv("LIBSHM_CL_STATS");
	FILE *file = path ? fopen(path, "ae") : NULL;

	if (!file)
		return;
	for (int i = 0; i < LAYER_COUNTS; i++)
		fprintf(file, "%ld %s %lu\n", (long)getpid(), names[i], atomic_load(&counts[i]));
	fclose(file);
}

__attribute__((destructor)) static void process_ends(void)
{
	layer_engine_stop();
	write_stats();
}
