/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What another process is told of. A memory is shared once and whole, however much of it is attached: its
 * descriptor reaches all of it anyway, and what may be touched is said by GIVE.
 */
#include "peer.h"

/* Under lock. */
static struct shm__peer_out *find_out(struct shm__peer *peer, const struct shm__root *root)
{
	struct shm__peer_out *out = peer->outs;

	while (out && (out->root != root || out->gone || out->ending))
		out = out->next;
	return out;
}

/* Under lock. */
static int tell(struct shm__peer *peer, struct shm__peer_out *out)
{
	const struct shm__peer_wish wish = { .type = SHM__RECORD_SHARE, .out = out };
	int error = shm__peer_say(peer, &wish, NULL);

	if (error)
		return error;
	out->next = peer->outs;
	peer->outs = out;
	return 0;
}

/* With a reference to the memory, which is given up where it is shared already. */
static int share(struct shm__peer *peer, struct shm__peer_lot *lot, struct shm__root *root,
		 struct shm__peer_out *fresh)
{
	struct shm__peer_out *out;
	int error = 0;

	fresh->root = root;
	shm__mutex_lock(&peer->lock);
	out = find_out(peer, root);
	if (!out) {
		out = fresh;
		if (peer->answering && shm__os_is_thread(peer->hearer)) {
			out->tag = peer->answering;
			peer->answering = 0;
		}
		error = tell(peer, out);
	} else if (peer->dead) {
		error = shm__error(-peer->dead, "%s has ended", peer->dev->name);
	}
	if (!error) {
		lot->out = out;
		lot->next = out->lots;
		out->lots = lot;
	}
	shm__mutex_unlock(&peer->lock);
	if (!error && out == fresh)
		return 0;
	shm__root_put(root);
	shm__os_free(fresh);
	return error;
}

int shm__peer_share(struct shm__peer *peer, const struct metal_shm_attachment *at,
		    struct metal_shm_view *ret_view)
{
	struct shm__root *root = at->shm->root;
	struct shm__peer_lot *lot;
	struct shm__peer_out *out;
	int error;

	if (root->src == peer->source)
		return shm__error(EINVAL, "the bytes are %s's: it gives them, and gets them back",
				  peer->dev->name);
	error = shm__channel_may_share(root->memory.os_handle, root->src->name);
	if (error)
		return error;
	lot = shm__os_alloc(sizeof(*lot));
	out = shm__os_alloc(sizeof(*out));
	if (!lot || !out) {
		shm__os_free(out);
		shm__os_free(lot);
		return shm__error(ENOMEM, "no memory for what %s is told of", peer->dev->name);
	}
	out->dir = root->read_only ? SHM__WIRE_READS : shm__channel_dir(root->memory.os_handle);
	lot->kind = SHM__PEER_OUT;
	lot->view = at->shm;
	lot->offset = at->range.offset;
	lot->size = at->range.length;
	shm__mutex_lock(&shm__registry);
	root->users++;
	shm__mutex_unlock(&shm__registry);
	error = share(peer, lot, root, out);
	if (error)
		shm__os_free(lot);
	else
		ret_view->data = lot;
	return error;
}

/* What was detached is used by nobody any more. Under lock, which it lets go of meanwhile. */
static void end_out(struct shm__peer *peer, struct shm__peer_out *out)
{
	struct shm__peer_out **at = &peer->outs;

	if (out->kept)
		return;
	while (*at != out)
		at = &(*at)->next;
	*at = out->next;
	shm__mutex_unlock(&peer->lock);
	shm__root_put(out->root);
	shm__os_free(out);
	shm__mutex_lock(&peer->lock);
}

/*
 * The memory stays until the other process has said that it is through. Some need that more than others: where a
 * udmabuf is still mapped when its memfd goes, Linux 6.1 frees pages that are in use.
 */
void shm__peer_unshare(struct shm__peer *peer, struct shm__peer_lot *lot)
{
	struct shm__peer_wish wish = { .type = SHM__RECORD_UNSHARE };
	struct shm__peer_out *out = lot->out;
	struct shm__peer_lot **at = &out->lots;

	shm__mutex_lock(&peer->lock);
	while (*at != lot)
		at = &(*at)->next;
	*at = lot->next;
	if (!out->lots) {
		shm__peer_forget(peer, out);
		out->ending = true;
		wish.id = out->id;
		if (!out->id || out->gone || peer->dead || shm__peer_say(peer, &wish, NULL))
			end_out(peer, out);
	}
	shm__mutex_unlock(&peer->lock);
	shm__os_free(lot);
}

static bool has_any(const struct shm__peer_out *out, const struct shm__peer_lot *of)
{
	for (const struct shm__peer_lot *lot = out->lots; lot; lot = lot->next)
		if (lot->given && lot->offset < of->offset + of->size &&
		    of->offset < lot->offset + lot->size)
			return true;
	return false;
}

int shm__peer_give(struct shm__peer *peer, struct shm__peer_lot *lot, enum metal_shm_dir dir)
{
	const struct shm__peer_wish wish = { .type = SHM__RECORD_GIVE, .lot = lot, .dir = dir };
	int error;

	shm__mutex_lock(&peer->lock);
	if (lot->out->gone)
		error = shm__error(ENODEV, "%s doesn't take the buffer, or takes it no more",
				   peer->dev->name);
	else if ((unsigned)dir & ~(unsigned)lot->out->dir)
		error = shm__error(EACCES, "the memory is sealed: %s may only read it",
				   peer->dev->name);
	else if (has_any(lot->out, lot))
		error = shm__error(EBUSY, "%s has these bytes already", peer->dev->name);
	else
		error = shm__peer_say(peer, &wish, NULL);
	if (!error)
		lot->given = true;
	shm__mutex_unlock(&peer->lock);
	return error;
}

/* It keeps the view alive up to here. */
void shm__peer_done(struct shm__peer *peer, struct shm__peer_lot *lot, int error)
{
	struct metal_generic_shm *view = lot->view;

	lot->given = false;
	shm__mutex_unlock(&peer->lock);
	metal_shm_unhold(view, peer->dev, error);
	shm__mutex_lock(&peer->lock);
}

static struct shm__peer_lot *given_lot(const struct shm__peer_out *out)
{
	struct shm__peer_lot *lot = out->lots;

	while (lot && !lot->given)
		lot = lot->next;
	return lot;
}

void shm__peer_returned(struct shm__peer *peer, const struct shm__event *event)
{
	const struct shm__wire_range *range = &event->record.range;
	const struct shm__peer_out *out = event->share->user;
	struct shm__peer_lot *lot = out->lots;

	while (lot && !(lot->given && lot->offset == range->offset && lot->size == range->length))
		lot = lot->next;
	if (lot)
		shm__peer_done(peer, lot, event->code ? -EIO : 0);
}

/* Memory that was asked for, and is used no more. Under lock, which it lets go of. */
static void end_grant(struct shm__peer *peer, struct shm__peer_out *out)
{
	struct metal_generic_shm *shm = out->grant, *view = out->grant_view;

	out->grant = NULL;
	shm__mutex_unlock(&peer->lock);
	metal_shm_detach(view, peer->dev);
	metal_shm_free(shm, NULL);
	shm__mutex_lock(&peer->lock);
}

bool shm__peer_unshared(struct shm__peer *peer, const struct shm__event *event)
{
	struct shm__peer_out *out = event->share->user;
	struct shm__peer_lot *lot;

	event->share->user = NULL;
	out->gone = true;
	if (!out->lots) {
		end_out(peer, out);
		return false;
	}
	shm__log(METAL_SHM_LOG_INFO, "%s has ended what was shared with it (%u)", peer->dev->name,
		 (unsigned)event->code);
	shm__peer_forget(peer, out);
	out->kept = true;
	while ((lot = given_lot(out)) != NULL)
		shm__peer_done(peer, lot, out->grant ? 0 : -ENODEV);
	if (out->grant)
		end_grant(peer, out);
	out->kept = false;
	if (!out->lots)
		end_out(peer, out);
	return true;
}

void shm__peer_end_outs(struct shm__peer *peer)
{
	struct shm__peer_out *out = peer->outs;

	while (out) {
		struct shm__peer_lot *lot = given_lot(out);

		if (!lot && out->lots && !out->grant) {
			out = out->next;
			continue;
		}
		if (lot)
			shm__peer_done(peer, lot, -ENODEV);
		else if (out->grant)
			end_grant(peer, out);
		else
			end_out(peer, out);
		/* from the first again, since each may have gone meanwhile */
		out = peer->outs;
	}
}
