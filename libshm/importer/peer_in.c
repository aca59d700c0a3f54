/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What another process shares. The device holds the bytes that the other process has, in pieces: one at first,
 * and where some of a piece are given, others for the rest of it. A piece that was given and returned stays, so
 * that the same bytes come as the same handle again.
 */
#include "peer.h"

static uint64_t end_of(const struct shm__peer_piece *piece)
{
	return piece->offset + piece->size;
}

static bool overlaps(const struct shm__peer_piece *piece, uint64_t offset, uint64_t size)
{
	return piece->offset < offset + size && offset < end_of(piece);
}

static void link_piece(struct shm__peer *peer, struct shm__peer_in *in,
		       struct shm__peer_piece *piece)
{
	shm__mutex_lock(&peer->lock);
	piece->next = in->pieces;
	in->pieces = piece;
	in->count++;
	shm__mutex_unlock(&peer->lock);
}

/* Nobody has it any more: its record goes when the program has no more use for the view either. */
static void drop_piece(struct shm__peer *peer, struct shm__peer_in *in,
		       struct shm__peer_piece *piece)
{
	struct metal_generic_shm *shm = piece->shm, *view = piece->view;
	struct shm__peer_piece **at;

	shm__mutex_lock(&peer->lock);
	for (at = &in->pieces; *at != piece; at = &(*at)->next)
		;
	*at = piece->next;
	in->count--;
	piece->in = NULL;
	shm__mutex_unlock(&peer->lock);
	metal_shm_detach(view, peer->dev);
	metal_shm_free(shm, NULL);
}

/* A view of some bytes, among none of the pieces yet. By the thread that hears. */
static int make_view(struct shm__peer *peer, struct shm__peer_piece *piece)
{
	shm__mutex_lock(&peer->lock);
	peer->arriving = piece;
	peer->hearer = shm__os_thread();
	shm__mutex_unlock(&peer->lock);
	piece->view = metal_shm_attach(piece->shm, peer->dev);
	shm__mutex_lock(&peer->lock);
	peer->arriving = NULL;
	shm__mutex_unlock(&peer->lock);
	if (!piece->view)
		return -errno;
	if (piece->view->view.data == piece)
		return 0;
	metal_shm_detach(piece->view, peer->dev);
	return shm__error(EEXIST, "%s shares the same bytes twice", peer->dev->name);
}

/* A piece more, whose bytes are the other process's or are about to be given. */
static int add_piece(struct shm__peer *peer, struct shm__peer_in *in, uint64_t offset,
		     uint64_t size, bool theirs, struct shm__peer_piece **ret_piece)
{
	struct shm__peer_piece *piece = shm__os_alloc(sizeof(*piece));
	int error;

	if (!piece)
		return shm__error(ENOMEM, "no memory for what %s shares", peer->dev->name);
	piece->kind = SHM__PEER_IN;
	piece->in = in;
	piece->offset = offset;
	piece->size = size;
	if (size == in->size)
		piece->shm = metal_shm_ref(in->shm);
	else
		piece->shm = metal_shm_sub(in->shm, (size_t)offset, (size_t)size, 0);
	error = piece->shm ? make_view(peer, piece) : -errno;
	if (error)
		goto free_piece;
	if (theirs) {
		error = shm__hold_theirs(piece->view);
		if (error) {
			struct metal_generic_shm *shm = piece->shm;

			metal_shm_detach(piece->view, peer->dev); /* and the piece with it */
			metal_shm_free(shm, NULL);
			return error;
		}
	}
	link_piece(peer, in, piece);
	if (ret_piece)
		*ret_piece = piece;
	return 0;
free_piece:
	metal_shm_free(piece->shm, NULL);
	shm__os_free(piece);
	return error;
}

/* The program's, or another piece's, from here on. */
static void let_go(struct shm__peer *peer, struct shm__peer_in *in, struct shm__peer_piece *piece)
{
	metal_shm_unhold(piece->shm, peer->dev, 0);
	drop_piece(peer, in, piece);
}

/* What is left of the pieces at a range's ends becomes pieces by itself. */
static int cut(struct shm__peer *peer, struct shm__peer_in *in, uint64_t offset, uint64_t end,
	       struct shm__peer_piece *ret_rest[2])
{
	struct shm__peer_piece *piece, *left = NULL, *right = NULL;
	int error = 0;

	for (piece = in->pieces; piece; piece = piece->next) {
		if (!overlaps(piece, offset, end - offset))
			continue;
		if (piece->offset < offset)
			left = piece;
		if (end_of(piece) > end)
			right = piece;
	}
	if (left)
		error = add_piece(peer, in, left->offset, offset - left->offset, true,
				  &ret_rest[0]);
	if (!error && right)
		error = add_piece(peer, in, end, end_of(right) - end, true, &ret_rest[1]);
	return error;
}

/* Pieces of the other process's that follow one another without a gap become one. */
static int join_from(struct shm__peer *peer, struct shm__peer_in *in, struct shm__peer_piece *first)
{
	uint64_t offset = first->offset, end = end_of(first);
	struct shm__peer_piece *piece, *next, *joined;
	int error;

	for (piece = in->pieces; piece; piece = next) {
		next = piece->next;
		if (piece->ours || piece->offset != end)
			continue;
		end = end_of(piece);
		next = in->pieces;
	}
	if (end == end_of(first))
		return 0;
	error = add_piece(peer, in, offset, end - offset, true, &joined);
	for (piece = in->pieces; piece && !error; piece = next) {
		next = piece->next;
		if (piece != joined && overlaps(piece, offset, end - offset))
			let_go(peer, in, piece);
	}
	return error;
}

static bool follows_another(const struct shm__peer_in *in, const struct shm__peer_piece *piece)
{
	for (const struct shm__peer_piece *other = in->pieces; other; other = other->next)
		if (!other->ours && end_of(other) == piece->offset)
			return true;
	return false;
}

static int join(struct shm__peer *peer, struct shm__peer_in *in)
{
	struct shm__peer_piece *piece = in->pieces;
	unsigned count = in->count;
	int error = 0;

	while (piece && !error) {
		if (!piece->ours && !follows_another(in, piece))
			error = join_from(peer, in, piece);
		if (in->count < count)
			piece = in->pieces;
		else
			piece = piece->next;
		count = in->count;
	}
	return error;
}

/* A piece of just these bytes, cut out of others, which have them until they are let go of. */
static int cut_out(struct shm__peer *peer, struct shm__peer_in *in, uint64_t offset, uint64_t size,
		   struct shm__peer_piece **ret_piece)
{
	struct shm__peer_piece *rest[2] = { NULL, NULL };
	int error = in->count < SHM__PEER_PIECES ? 0 : join(peer, in);

	if (!error)
		error = cut(peer, in, offset, offset + size, rest);
	if (!error)
		error = add_piece(peer, in, offset, size, false, ret_piece);
	for (int i = 0; i < 2 && error; i++)
		if (rest[i])
			let_go(peer, in, rest[i]);
	return error;
}

static struct shm__peer_piece *find_piece(const struct shm__peer_in *in, uint64_t offset,
					  uint64_t size)
{
	struct shm__peer_piece *piece = in->pieces;

	while (piece && (piece->offset != offset || piece->size != size))
		piece = piece->next;
	return piece;
}

/* No byte is given twice at a time, whatever the records allow. */
static bool has_any(const struct shm__peer_in *in, const struct shm__wire_range *range)
{
	for (const struct shm__peer_piece *piece = in->pieces; piece; piece = piece->next)
		if (piece->ours && overlaps(piece, range->offset, range->length))
			return true;
	return false;
}

struct metal_generic_shm *shm__peer_given(struct shm__peer *peer, const struct shm__event *event,
					  struct shm__peer_piece **ret_piece,
					  enum shm__code *ret_code)
{
	const struct shm__wire_range *range = &event->record.range;
	struct shm__peer_in *in = event->share->user;
	struct shm__peer_piece *piece, *other, *next;
	struct metal_generic_shm *shm;
	bool known;
	int error = 0;

	*ret_code = SHM__CODE_REFUSED;
	if (has_any(in, range))
		return NULL;
	shm__mutex_unlock(&peer->lock);
	piece = find_piece(in, range->offset, range->length);
	known = piece;
	if (!known)
		error = cut_out(peer, in, range->offset, range->length, &piece);
	if (error)
		shm__log(METAL_SHM_LOG_ERROR, "%s: %s", peer->dev->name, metal_shm_last_error());
	shm__mutex_lock(&peer->lock);
	*ret_code = SHM__CODE_FULL;
	if (error)
		return NULL;
	piece->ours = true;
	piece->dir = (enum metal_shm_dir)range->dir;
	piece->result = SHM__CODE_OK;
	shm = metal_shm_ref(piece->shm);
	shm__mutex_unlock(&peer->lock);
	if (known)
		metal_shm_unhold(shm, peer->dev, 0);
	for (other = in->pieces; other && !known; other = next) {
		next = other->next;
		if (other != piece && overlaps(other, range->offset, range->length))
			let_go(peer, in, other);
	}
	shm__mutex_lock(&peer->lock);
	*ret_piece = piece;
	return shm;
}

static bool has_ours(const struct shm__peer_in *in)
{
	const struct shm__peer_piece *piece = in->pieces;

	while (piece && !piece->ours)
		piece = piece->next;
	return piece;
}

/* Nobody finds it any more. Under lock. */
static void unlink_in(struct shm__peer *peer, struct shm__peer_in *in)
{
	struct shm__peer_in **at = &peer->ins;

	while (*at != in)
		at = &(*at)->next;
	*at = in->next;
	for (struct shm__peer_piece *piece = in->pieces; piece; piece = piece->next)
		piece->in = NULL;
}

/* The other process's memory is not these views' any more. Under lock, which it lets go of. */
static void end_in(struct shm__peer *peer, struct shm__peer_in *in)
{
	struct shm__peer_piece *piece, *next;

	shm__mutex_unlock(&peer->lock);
	for (piece = in->pieces; piece; piece = next) {
		struct metal_generic_shm *shm = piece->shm;

		next = piece->next;
		if (!piece->ours)
			metal_shm_unhold(shm, peer->dev, -ENODEV);
		metal_shm_detach(piece->view, peer->dev);
		metal_shm_free(shm, NULL);
	}
	metal_shm_free(in->shm, NULL);
	shm__os_free(in);
	shm__mutex_lock(&peer->lock);
}

/*
 * The program is through with what the other process ends, and says so when it has unmapped it: the other one may
 * free it then. Under lock, which it lets go of.
 */
static void leave(struct shm__peer *peer, struct shm__peer_in *in)
{
	const struct shm__peer_wish wish = { .type = SHM__RECORD_UNSHARED, .id = in->id };

	unlink_in(peer, in);
	end_in(peer, in);
	shm__peer_say(peer, &wish, NULL);
}

/* What nobody was told of yet isn't told. Under lock, which it lets go of. */
static void forget_told(struct shm__peer *peer, struct shm__peer_in *in)
{
	for (struct shm__peer_piece *piece = in->pieces; piece; piece = piece->next) {
		struct metal_generic_shm *told = shm__peer_unready(peer, piece);

		shm__mutex_unlock(&peer->lock);
		metal_shm_free(told, NULL);
		shm__mutex_lock(&peer->lock);
	}
}

void shm__peer_leave_left(struct shm__peer *peer)
{
	struct shm__peer_in *in;

	do {
		for (in = peer->ins; in && !in->left; in = in->next)
			;
		if (in) {
			forget_told(peer, in);
			leave(peer, in);
		}
	} while (in);
}

unsigned shm__peer_recalled(const struct shm__event *event,
			    struct metal_generic_shm *ret_shm[SHM__PEER_GIVES])
{
	const struct shm__wire_range *range = &event->record.range;
	const struct shm__peer_in *in = event->share->user;
	unsigned count = 0;

	for (struct shm__peer_piece *piece = in->pieces; piece; piece = piece->next)
		if (piece->ours && overlaps(piece, range->offset, range->length) &&
		    count < SHM__PEER_GIVES)
			ret_shm[count++] = metal_shm_ref(piece->shm);
	return count;
}

void shm__peer_ends_in(struct shm__peer *peer, struct shm__peer_in *in)
{
	in->ending = true;
	if (!has_ours(in))
		leave(peer, in);
}

void shm__peer_end_ins(struct shm__peer *peer)
{
	while (peer->ins) {
		struct shm__peer_in *in = peer->ins;

		unlink_in(peer, in);
		end_in(peer, in);
	}
}

int shm__peer_give_back(struct shm__peer *peer, struct shm__peer_piece *piece,
			enum metal_shm_dir dir)
{
	struct shm__peer_wish wish = { .type = SHM__RECORD_RETURN };
	struct metal_generic_shm *told = NULL;
	struct shm__peer_in *in;
	int error;

	if (dir != METAL_SHM_DIR_DEV_RW)
		return shm__error(EINVAL,
				  "the buffer is %s's: it goes back with METAL_SHM_DIR_DEV_RW",
				  peer->dev->name);
	shm__mutex_lock(&peer->lock);
	in = piece->in;
	if (!in || peer->dead) {
		error = shm__error(ENODEV, "%s has ended", peer->dev->name);
	} else if (!piece->ours) {
		error = shm__error(EBUSY, "%s has not given the buffer", peer->dev->name);
	} else {
		wish.id = in->id;
		wish.offset = piece->offset;
		wish.size = piece->size;
		wish.code = piece->result;
		error = shm__peer_say(peer, &wish, NULL);
	}
	if (!error) {
		piece->ours = false;
		told = shm__peer_unready(peer, piece);
		if (in->ending && !has_ours(in))
			leave(peer, in);
	}
	shm__mutex_unlock(&peer->lock);
	metal_shm_free(told, NULL);
	return error;
}

/* Bytes of one memory are in one share: who has them would be said twice. Under lock. */
static int check_apart(const struct shm__peer *peer, const struct metal_generic_shm *shm)
{
	for (const struct shm__peer_in *in = peer->ins; in; in = in->next)
		if (in->shm->root == shm->root && in->shm->offset < shm->offset + shm->size &&
		    shm->offset < in->shm->offset + in->shm->size)
			return shm__error(EEXIST, "%s shares the same bytes twice",
					  peer->dev->name);
	return 0;
}

static int arrive(struct shm__peer *peer, const struct shm__message *message,
		  const struct shm__wire_share *what, struct shm__peer_in **ret_in)
{
	struct shm__peer_in *in = shm__os_alloc(sizeof(*in));
	int error;

	if (!in)
		return shm__error(ENOMEM, "no memory for what %s shares", peer->dev->name);
	in->id = what->id;
	in->size = what->size;
	in->tag = what->tag;
	error = shm__message_memory(message, what, peer->source, &in->shm);
	if (error)
		goto free_in;
	shm__mutex_lock(&peer->lock);
	error = check_apart(peer, in->shm);
	shm__mutex_unlock(&peer->lock);
	if (!error)
		error = add_piece(peer, in, 0, in->size, true, NULL);
	if (error)
		goto free_shm;
	*ret_in = in;
	return 0;
free_shm:
	metal_shm_free(in->shm, NULL);
free_in:
	shm__os_free(in);
	return error;
}

int shm__peer_arrive(struct shm__peer *peer, const struct shm__message *message,
		     const struct shm__event *event)
{
	struct shm__peer_in *in = NULL;
	int error;

	shm__mutex_unlock(&peer->lock);
	error = arrive(peer, message, &event->record.share, &in);
	if (error)
		shm__log(METAL_SHM_LOG_ERROR, "%s: %s", peer->dev->name, metal_shm_last_error());
	shm__mutex_lock(&peer->lock);
	if (error)
		return error;
	event->share->user = in;
	in->next = peer->ins;
	peer->ins = in;
	return 0;
}
