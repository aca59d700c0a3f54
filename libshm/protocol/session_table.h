/* SPDX-License-Identifier: BSD-3-Clause */
/* What is shared, and who has which bytes of it: the tables of one side of a session. */
#ifndef SHM_SESSION_TABLE_H
#define SHM_SESSION_TABLE_H

#include "session.h"

void shm__side_reset(struct shm__session_side *side);

/*
 * The entry of an id in its newest generation, also one that is free again: whoever freed it said so, and
 * the other end may not have heard it yet.
 */
enum shm__code shm__side_find(struct shm__session_side *side, uint32_t id, uint32_t generation,
			      struct shm__share **ret);
/* The same in the program's words; NULL: no such id in use. */
struct shm__share *shm__side_used(struct shm__session_side *side, uint32_t id);

/* A free entry for what is shared now; below room, which the other end has. NULL: there is none. */
struct shm__share *shm__side_free_share(struct shm__session_side *side, uint32_t room);

/* The gives that end with it. */
uint32_t shm__side_unshare(struct shm__session_side *side, struct shm__share *share);

/* Whether bytes may be given: OK, ENDING's UNKNOWN, DIRECTION, RANGE, HELD or FULL. */
enum shm__code shm__side_may_give(const struct shm__session_side *side,
				  const struct shm__share *share, uint64_t offset, uint64_t length,
				  unsigned dir);
void shm__side_give(struct shm__session_side *side, struct shm__share *share,
		    const struct shm__give *give);

/* The link to a give of exactly these bytes, or of this number; NULL: there is none. */
uint32_t *shm__side_find_give(struct shm__session_side *side, struct shm__share *share,
			      uint64_t offset, uint64_t length);
uint32_t *shm__side_numbered_give(struct shm__session_side *side, struct shm__share *share,
				  uint32_t number);
struct shm__give shm__side_return(struct shm__session_side *side, struct shm__share *share,
				  uint32_t *link);
/* Whether any of the bytes are given. */
bool shm__side_has_given(const struct shm__session_side *side, const struct shm__share *share,
			 uint64_t offset, uint64_t length);

/* A request's place; tag 0 finds an empty one. NULL: there is none. */
struct shm__session_request *shm__request_find(struct shm__session_request *requests, uint32_t tag);

#endif
