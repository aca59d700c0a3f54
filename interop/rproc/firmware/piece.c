/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges that are attached to the host. What the host hasn't given it holds in the core's books, so that
 * whoever takes such bytes waits: as one piece first, and in more where it gives parts.
 */
#include "host.h"

static struct host *host_of(struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__host_ops);
}

/* Memory of another source can't be shared with the host yet. */
static bool is_ours(const struct host *host, const void *share)
{
	for (int i = 0; i < SHM_HOST_SHARES; i++)
		if (share == &host->shares[i])
			return true;
	return false;
}

/* Where the range lies, if that is in one place. */
static struct metal_shm_segment place_of(const struct host *host, const struct host_share *share,
					 uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < share->count; i++) {
		const struct metal_shm_segment *segment = &host->segments[share->first + i];

		if (offset < segment->length)
			return length <= segment->length - offset
				       ? (struct metal_shm_segment){ segment->device_address +
									     offset,
								     length }
				       : (struct metal_shm_segment){ 0 };
		offset -= segment->length;
	}
	return (struct metal_shm_segment){ 0 };
}

int shm__host_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *ret_view)
{
	struct host *host = host_of(dev);
	struct host_share *share = at->memory->data;
	struct host_piece *piece = host->pieces;

	if (!is_ours(host, share))
		return shm__refuse(ENOTSUP, "%s uses no memory but its own",
				   metal_shm_device_name(dev));
	while (piece < host->pieces + SHM_HOST_PIECES && piece->share)
		piece++;
	if (piece == host->pieces + SHM_HOST_PIECES)
		return shm__refuse(ENOSPC, "%d ranges are attached to %s already", SHM_HOST_PIECES,
				   metal_shm_device_name(dev));
	*piece = (struct host_piece){
		.share = share,
		.view = at->shm,
		.segment = place_of(host, share, at->range.offset, at->range.length),
		.offset = at->range.offset,
		.length = at->range.length,
	};
	/* more than was asked for goes to and fro with the rest */
	if (!piece->offset && piece->length == share->asked)
		piece->length = share->size;
	ret_view->data = piece;
	ret_view->access = METAL_SHM_ACCESS_DMA;
	if (piece->length == share->size) {
		ret_view->segments = &host->segments[share->first];
		ret_view->segment_count = share->count;
	} else if (piece->segment.length) {
		ret_view->segments = &piece->segment;
		ret_view->segment_count = 1;
	}
	return 0;
}

void shm__host_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *view)
{
	struct host_piece *piece = view->data;

	(void)dev;
	(void)at;
	piece->share = NULL;
}

static struct host_piece *find(struct host *host, const struct host_share *share, uint64_t offset,
			       uint64_t length)
{
	for (int i = 0; i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];

		if (piece->share == share && piece->offset == offset && piece->length == length)
			return piece;
	}
	return NULL;
}

/* What there is, or a part of the whole, attached. */
struct host_piece *shm__piece_make(struct host *host, struct host_share *share, uint64_t offset,
				   uint64_t length)
{
	struct host_piece *piece = find(host, share, offset, length);
	struct host_piece *whole = find(host, share, 0, share->size);
	struct metal_generic_shm *shm, *view;

	if (piece || !whole)
		return piece;
	shm = metal_shm_sub(whole->view, (size_t)offset, (size_t)length, 0);
	view = shm ? metal_shm_attach(shm, host->dev) : NULL;
	if (!view) {
		metal_shm_free(shm, NULL);
		return NULL;
	}
	piece = metal_shm_view_data(view, host->dev);
	piece->shm = shm;
	return piece;
}

bool shm__piece_hold(struct host *host, struct host_piece *piece, unsigned dir)
{
	if (metal_shm_hold(piece->view, host->dev, (enum metal_shm_dir)dir, 0))
		return false;
	piece->held++;
	piece->dir = dir;
	return true;
}

static void let_go(struct host *host, struct host_piece *piece)
{
	for (; piece->held; piece->held--)
		metal_shm_unhold(piece->view, host->dev, 0);
}

bool shm__piece_overlaps(const struct host_piece *piece, uint64_t offset, uint64_t length)
{
	return piece->offset < offset + length && offset < piece->offset + piece->length;
}

/* What the host goes on to hold of a piece of which it gave a range: one before, one behind. */
static bool keep_rest(struct host *host, const struct host_piece *piece, uint64_t offset,
		      uint64_t length)
{
	uint64_t end = offset + length, piece_end = piece->offset + piece->length;
	struct host_share *share = piece->share;
	unsigned dir = piece->dir;
	struct host_piece *rest;

	if (piece->offset < offset) {
		rest = shm__piece_make(host, share, piece->offset, offset - piece->offset);
		if (!rest || !shm__piece_hold(host, rest, dir))
			return false;
	}
	if (piece_end > end) {
		rest = shm__piece_make(host, share, end, piece_end - end);
		if (!rest || !shm__piece_hold(host, rest, dir))
			return false;
	}
	return true;
}

/*
 * The host gives bytes. If it fails the host holds as much as before, some of it twice, which ends with the
 * next one that succeeds.
 */
enum shm__code shm__piece_give(struct host *host, struct host_share *share,
			       const struct shm__wire_range *range, struct host_piece **ret_piece)
{
	struct host_piece *given = shm__piece_make(host, share, range->offset, range->length);

	if (!given)
		return SHM__CODE_FULL;
	for (int i = 0; i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];

		if (piece->share == share && piece->held &&
		    shm__piece_overlaps(piece, range->offset, range->length) &&
		    !keep_rest(host, piece, range->offset, range->length))
			return SHM__CODE_FULL;
	}
	for (int i = 0; i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];

		if (piece->share == share &&
		    shm__piece_overlaps(piece, range->offset, range->length))
			let_go(host, piece);
	}
	/* it goes on to read; who takes the bytes to write waits until it doesn't */
	if (range->dir == SHM__WIRE_READS)
		shm__piece_hold(host, given, METAL_SHM_DIR_DEV_R);
	*ret_piece = given;
	return SHM__CODE_OK;
}

/*
 * The program detached memory that it had asked for while the host has it. The view lasts as long as it is
 * held, and nobody but this end would end that.
 */
void shm__pieces_detached(struct host *host)
{
	for (int i = 0; i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];

		if (piece->share && piece->held && !piece->shm && !metal_shm_size(piece->view))
			let_go(host, piece);
	}
}

/* Nothing of it is held any more; what was attached here is not, either. */
void shm__pieces_end(struct host *host, struct host_share *share)
{
	for (int i = 0; i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];
		struct metal_generic_shm *shm = piece->shm;

		if (piece->share != share)
			continue;
		let_go(host, piece);
		if (!shm)
			continue;
		piece->shm = NULL;
		metal_shm_detach(piece->view, host->dev);
		metal_shm_free(shm, NULL);
	}
}
