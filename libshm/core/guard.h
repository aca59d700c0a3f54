/* SPDX-License-Identifier: BSD-3-Clause */
/* A guarded memory's record: see guard.c and unreported.c. Under the memory's lock. */
#ifndef SHM_GUARD_H
#define SHM_GUARD_H

#include "core.h"

/* Bytes that the program changed without a word, where it had begun to say which. */
struct shm__unreported {
	size_t offset, length; /* the first ones in a row */
	size_t bytes;          /* all; 0: none */
};

struct shm__guard {
	char *bytes;                  /* the core's own mapping, until the memory goes */
	struct shm__guarded *mapping; /* the program's; NULL: off */
	char *before;                 /* what was there when the program's turn with them began */
	struct shm__unreported found; /* by the hand-over that is being made */
	size_t *locks;                /* where lock words are */
	size_t lock_count;
};

int shm__unreported_begin(struct shm__root *root);
void shm__unreported_end(struct shm__guard *guard);
void shm__unreported_tell(struct metal_generic_shm *view, const char *site);

#endif
