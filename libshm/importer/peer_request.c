/* SPDX-License-Identifier: BSD-3-Clause */
/* What one process asks of the other: memory, and bytes back. */
#include "peer.h"

int metal_shm_peer_on_request(struct metal_device *dev,
			      int (*grant)(void *user, uint64_t size, metal_shm_type type,
					   struct metal_generic_shm **ret),
			      void *user)
{
	struct shm__peer *peer = shm__open_peer_of(dev);

	if (!peer)
		return -errno;
	shm__mutex_lock(&peer->lock);
	peer->grant = grant;
	peer->grant_user = user;
	shm__mutex_unlock(&peer->lock);
	return 0;
}

int metal_shm_peer_on_recall(struct metal_device *dev,
			     void (*recalled)(void *user, struct metal_generic_shm *shm),
			     void *user)
{
	struct shm__peer *peer = shm__open_peer_of(dev);

	if (!peer)
		return -errno;
	shm__mutex_lock(&peer->lock);
	peer->recalled = recalled;
	peer->recalled_user = user;
	shm__mutex_unlock(&peer->lock);
	return 0;
}

/* The SHARE has the tag. With no lock. */
static int share_for(struct shm__peer *peer, struct metal_generic_shm *shm, uint32_t tag,
		     struct metal_generic_shm **ret_view)
{
	struct metal_generic_shm *view;
	bool told;

	shm__mutex_lock(&peer->lock);
	peer->answering = tag;
	peer->hearer = shm__os_thread();
	shm__mutex_unlock(&peer->lock);
	view = metal_shm_attach(shm, peer->dev);
	shm__mutex_lock(&peer->lock);
	told = !peer->answering;
	peer->answering = 0;
	shm__mutex_unlock(&peer->lock);
	if (!view)
		return -errno;
	if (told) {
		*ret_view = view;
		return 0;
	}
	metal_shm_detach(view, peer->dev);
	return shm__error(EBUSY, "%s was told of the memory before", peer->dev->name);
}

/* The reference is the other process's from here on, until it is through with the memory. */
static int hand_out(struct shm__peer *peer, struct metal_generic_shm *shm, uint32_t tag)
{
	struct metal_generic_shm *view = NULL;
	struct shm__peer_out *out;
	int error = share_for(peer, shm, tag, &view);

	if (!view)
		return error;
	shm__mutex_lock(&peer->lock);
	out = ((struct shm__peer_lot *)view->view.data)->out;
	out->grant = shm;
	out->grant_view = view;
	shm__mutex_unlock(&peer->lock);
	/* whoever asked sees what this can't do: it isn't given the bytes */
	if (metal_shm_sync_for_device_timeout(shm, peer->dev, METAL_SHM_DIR_DEV_RW, 0))
		shm__log(METAL_SHM_LOG_ERROR, "%s isn't given what was granted: %s",
			 peer->dev->name, metal_shm_last_error());
	return 0;
}

void shm__peer_requested(struct shm__peer *peer, const struct shm__wire_request *request)
{
	struct shm__peer_wish wish = { .type = SHM__RECORD_REFUSE, .id = request->tag };
	int (*grant)(void *user, uint64_t size, metal_shm_type type,
		     struct metal_generic_shm **ret) = peer->grant;
	struct metal_generic_shm *shm = NULL;
	void *user = peer->grant_user;
	int error;

	shm__mutex_unlock(&peer->lock);
	error = grant ? grant(user, request->size, request->type, &shm) : -ECONNREFUSED;
	if (!error && (!shm || metal_shm_size(shm) < request->size))
		error = -ENOMEM;
	if (!error)
		error = hand_out(peer, shm, request->tag);
	if (error)
		metal_shm_free(shm, NULL);
	shm__mutex_lock(&peer->lock);
	if (!error)
		return;
	wish.code = error == -ENOMEM ? SHM__CODE_NO_MEMORY : SHM__CODE_REFUSED;
	shm__peer_say(peer, &wish, NULL);
}

void shm__peer_ask_back(struct shm__peer *peer, const struct shm__event *event)
{
	void (*recalled)(void *user, struct metal_generic_shm *shm) = peer->recalled;
	struct metal_generic_shm *shm[SHM__PEER_GIVES];
	void *user = peer->recalled_user;
	unsigned count = recalled ? shm__peer_recalled(event, shm) : 0;

	shm__mutex_unlock(&peer->lock);
	for (unsigned i = 0; i < count; i++) {
		recalled(user, shm[i]);
		metal_shm_free(shm[i], NULL);
	}
	shm__mutex_lock(&peer->lock);
}

/* Under lock. */
static struct shm__peer_asked *find_asked(struct shm__peer *peer, uint32_t tag)
{
	struct shm__peer_asked *asked = peer->asked;

	while (asked && (!tag || asked->tag != tag || asked->shm || asked->error))
		asked = asked->next;
	return asked;
}

bool shm__peer_answered(struct shm__peer *peer, uint32_t tag, struct metal_generic_shm *shm)
{
	struct shm__peer_asked *asked = find_asked(peer, tag);

	if (!asked)
		return false;
	asked->shm = shm;
	shm__wake_all(peer->waiters);
	return true;
}

void shm__peer_refused(struct shm__peer *peer, uint32_t tag, enum shm__code code)
{
	struct shm__peer_asked *asked = find_asked(peer, tag);

	if (!asked)
		return;
	asked->error = code == SHM__CODE_NO_MEMORY ? -ENOMEM
		       : code == SHM__CODE_MEMORY  ? -ENOTSUP
						   : -ECONNREFUSED;
	shm__wake_all(peer->waiters);
}

static int look_for_answer(struct shm__peer *peer, void *user)
{
	const struct shm__peer_asked *asked = user;

	if (asked->shm)
		return 0;
	if (asked->error)
		return asked->error;
	return peer->dead ? peer->dead : -EAGAIN;
}

/* An answer that comes later is like anything that is given. Under lock. */
static void ask_no_more(struct shm__peer *peer, struct shm__peer_asked *asked)
{
	struct shm__peer_asked **at = &peer->asked;
	struct shm__peer_wish **wish = &peer->wishes;

	while (*at != asked)
		at = &(*at)->next;
	*at = asked->next;
	while (*wish) {
		struct shm__peer_wish *one = *wish;

		if (one->asked == asked) {
			*wish = one->next;
			shm__os_free(one);
		} else {
			wish = &one->next;
		}
	}
	peer->wishes_end = wish;
}

static int explain(const struct shm__peer *peer, int error)
{
	const char *name = peer->dev->name;

	switch (error) {
	case -ENOMEM:
		return shm__error(ENOMEM, "%s has no such memory", name);
	case -ECONNREFUSED:
		return shm__error(ECONNREFUSED, "%s grants no memory, or not this", name);
	case -ENOTSUP:
		return shm__error(ENOTSUP, "%s gave memory that can't be used", name);
	case -EBUSY:
		return shm__error(EBUSY, "%s was asked for memory too often at a time", name);
	case -ETIMEDOUT:
		return shm__error(ETIMEDOUT, "%s doesn't answer", name);
	case -EMFILE:
		return error;
	default:
		return shm__error(-error, "%s has ended", name);
	}
}

static int request(struct shm__peer *peer, struct shm__peer_wish *wish, int64_t timeout_ns)
{
	int error;

	shm__mutex_lock(&peer->lock);
	wish->asked->next = peer->asked;
	peer->asked = wish->asked;
	error = shm__peer_say(peer, wish, NULL);
	shm__mutex_unlock(&peer->lock);
	if (error == -ENOSPC)
		error = explain(peer, -EBUSY);
	if (!error) {
		error = shm__peer_wait(peer, timeout_ns, look_for_answer, wish->asked);
		if (error)
			error = explain(peer, error);
	}
	shm__mutex_lock(&peer->lock);
	ask_no_more(peer, wish->asked);
	shm__mutex_unlock(&peer->lock);
	/* it came in the last moment */
	return wish->asked->shm ? 0 : error;
}

int metal_shm_peer_request(struct metal_device *dev, size_t size, metal_shm_type type,
			   int64_t timeout_ns, struct metal_generic_shm **ret_shm)
{
	struct shm__peer *peer = shm__open_peer_of(dev);
	struct shm__peer_asked asked = { 0 };
	struct shm__peer_wish wish = {
		.type = SHM__RECORD_REQUEST, .asked = &asked, .size = size, .memory = type
	};
	int error;

	if (!peer)
		return -errno;
	if (!size || !ret_shm)
		return shm__error(EINVAL, "metal_shm_peer_request: 0 bytes, or NULL");
	error = shm__type_check(type);
	if (error)
		return error;
	shm__device_ref(dev);
	error = request(peer, &wish, timeout_ns);
	shm__device_unref(dev);
	if (!error)
		*ret_shm = asked.shm;
	return error;
}

int metal_shm_peer_recall(struct metal_generic_shm *shm, struct metal_device *dev)
{
	struct shm__peer_wish wish = { .type = SHM__RECORD_RECALL };
	struct shm__peer *peer = shm__open_peer_of(dev);
	struct shm__peer_lot *lot;
	int error = 0;

	if (!peer)
		return -errno;
	lot = metal_shm_view_data(shm, dev);
	if (!lot)
		return -errno;
	if (lot->kind != SHM__PEER_OUT)
		return shm__error(EINVAL, "the bytes are %s's", dev->name);
	shm__mutex_lock(&peer->lock);
	wish.out = lot->out;
	wish.offset = lot->offset;
	wish.size = lot->size;
	if (lot->given)
		error = shm__peer_say(peer, &wish, NULL);
	shm__mutex_unlock(&peer->lock);
	return error;
}

int metal_shm_peer_leave(struct metal_generic_shm *shm, struct metal_device *dev)
{
	struct shm__peer *peer = shm__open_peer_of(dev);
	struct shm__peer_piece *piece;
	int error = 0;

	if (!peer)
		return -errno;
	piece = metal_shm_view_data(shm, dev);
	if (!piece)
		return -errno;
	if (piece->kind != SHM__PEER_IN)
		return shm__error(EINVAL, "%s shares no such bytes", dev->name);
	shm__mutex_lock(&peer->lock);
	if (!piece->in)
		error = shm__error(ENODEV, "%s has ended", dev->name);
	else
		piece->in->left = true;
	shm__mutex_unlock(&peer->lock);
	if (error)
		return error;
	atomic_store(&peer->leaving, true);
	shm__peer_hear(peer);
	return 0;
}
