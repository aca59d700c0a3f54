/* SPDX-License-Identifier: BSD-3-Clause */
/* What is shared, and who has which bytes of it. */
#include "session_table.h"

void shm__side_reset(struct shm__session_side *side)
{
	for (uint32_t i = 0; i < side->share_count; i++) {
		struct shm__share *share = &side->shares[i];

		/* generations go on: the other end may have kept its own */
		*share = (struct shm__share){ .generation = share->generation };
	}
	for (uint32_t i = 0; i < side->give_count; i++)
		side->gives[i] = (struct shm__give){ .next = i + 1 < side->give_count ? i + 2 : 0 };
	side->free_give = side->give_count ? 1 : 0;
	side->given = 0;
}

enum shm__code shm__side_find(struct shm__session_side *side, uint32_t id, uint32_t generation,
			      struct shm__share **ret)
{
	struct shm__share *share;

	if (!id || id > side->share_count)
		return SHM__CODE_UNKNOWN;
	share = &side->shares[id - 1];
	if (!share->generation)
		return SHM__CODE_UNKNOWN;
	if (share->generation != generation)
		return SHM__CODE_STALE;
	*ret = share;
	return SHM__CODE_OK;
}

struct shm__share *shm__side_used(struct shm__session_side *side, uint32_t id)
{
	if (!id || id > side->share_count || side->shares[id - 1].state == SHM__SHARE_FREE)
		return NULL;
	return &side->shares[id - 1];
}

/* In turn, so that an id rests before it is used again. */
struct shm__share *shm__side_free_share(struct shm__session_side *side, uint32_t room)
{
	uint32_t count = side->share_count < room ? side->share_count : room;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = (side->next_share + i) % count;

		if (side->shares[at].state == SHM__SHARE_FREE)
			return &side->shares[at];
	}
	return NULL;
}

static struct shm__give *give_at(const struct shm__session_side *side, uint32_t link)
{
	return link ? &side->gives[link - 1] : NULL;
}

struct shm__give shm__side_return(struct shm__session_side *side, struct shm__share *share,
				  uint32_t *link)
{
	uint32_t at = *link;
	struct shm__give *give = give_at(side, at), was = *give;

	*link = give->next;
	give->next = side->free_give;
	side->free_give = at;
	side->given--;
	share->gives_count--;
	return was;
}

uint32_t shm__side_unshare(struct shm__session_side *side, struct shm__share *share)
{
	uint32_t count = share->gives_count;

	while (share->gives)
		shm__side_return(side, share, &share->gives);
	share->state = SHM__SHARE_FREE;
	return count;
}

static bool overlap(const struct shm__give *give, uint64_t offset, uint64_t length)
{
	return give->offset < offset + length && offset < give->offset + give->length;
}

static bool inside(const struct shm__share *share, uint64_t offset, uint64_t length)
{
	return offset < share->size && length && length <= share->size - offset;
}

enum shm__code shm__side_may_give(const struct shm__session_side *side,
				  const struct shm__share *share, uint64_t offset, uint64_t length,
				  unsigned dir)
{
	if (share->state != SHM__SHARE_ACTIVE)
		return SHM__CODE_UNKNOWN;
	if (!dir || (dir & ~(unsigned)share->dir))
		return SHM__CODE_DIRECTION;
	if (!inside(share, offset, length))
		return SHM__CODE_RANGE;
	for (const struct shm__give *give = give_at(side, share->gives); give;
	     give = give_at(side, give->next))
		if (overlap(give, offset, length) && ((give->dir | dir) & SHM__WIRE_WRITES))
			return SHM__CODE_HELD;
	return side->free_give ? SHM__CODE_OK : SHM__CODE_FULL;
}

void shm__side_give(struct shm__session_side *side, struct shm__share *share,
		    const struct shm__give *from)
{
	uint32_t link = side->free_give;
	struct shm__give *give = give_at(side, link);

	side->free_give = give->next;
	*give = *from;
	give->next = share->gives;
	share->gives = link;
	share->gives_count++;
	side->given++;
}

uint32_t *shm__side_find_give(struct shm__session_side *side, struct shm__share *share,
			      uint64_t offset, uint64_t length)
{
	for (uint32_t *link = &share->gives; *link; link = &give_at(side, *link)->next)
		if (give_at(side, *link)->offset == offset &&
		    give_at(side, *link)->length == length)
			return link;
	return NULL;
}

uint32_t *shm__side_numbered_give(struct shm__session_side *side, struct shm__share *share,
				  uint32_t number)
{
	for (uint32_t *link = &share->gives; *link; link = &give_at(side, *link)->next)
		if (give_at(side, *link)->number == number)
			return link;
	return NULL;
}

bool shm__side_has_given(const struct shm__session_side *side, const struct shm__share *share,
			 uint64_t offset, uint64_t length)
{
	for (const struct shm__give *give = give_at(side, share->gives); give;
	     give = give_at(side, give->next))
		if (overlap(give, offset, length))
			return true;
	return false;
}

struct shm__session_request *shm__request_find(struct shm__session_request *requests, uint32_t tag)
{
	for (uint32_t i = 0; i < SHM__SESSION_REQUESTS; i++)
		if (requests[i].tag == tag)
			return &requests[i];
	return NULL;
}
