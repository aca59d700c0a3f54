/* SPDX-License-Identifier: BSD-3-Clause */
/* remoteproc's table of the memory that is set aside for a core. */
#ifndef SHM_RPROC_CARVEOUTS_H
#define SHM_RPROC_CARVEOUTS_H

#include "internal.h"

struct shm__carveouts {
	struct metal_shm_rproc_carveout *carveout; /* ended with free() */
	size_t count;
};

/* One of remoteproc's files in debugfs; ended with free(). */
int shm__rproc_debug_file(const struct shm__rproc *rproc, const char *file, char **ret_text);
/* "words: value" or "words value": the value; NULL: the line begins otherwise. */
const char *shm__rproc_value(const char *line, const char *words);
/* A hexadecimal number that ends the line, or has "Bytes" behind it. */
bool shm__rproc_number(const char *value, uint64_t *ret);

int shm__rproc_carveouts(const struct shm__rproc *rproc, struct shm__carveouts *ret);

#endif
