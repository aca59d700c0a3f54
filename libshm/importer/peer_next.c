/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program asks of another process: what came, a word, a refusal. */
#include <string.h>

#include "peer.h"

struct shm__peer *shm__open_peer_of(struct metal_device *dev)
{
	return shm__device_check(dev) ? NULL : metal_shm_device_data(dev, &shm__peer_ops);
}

/* Under lock; false: nothing is there. */
static bool take_item(struct shm__peer *peer, struct metal_shm_peer_event *ret)
{
	const struct shm__peer_item *item = &peer->items[peer->items_first];
	struct metal_shm_peer_event event = { .struct_size = ret->struct_size };
	struct shm__out out;

	if (!peer->items_count)
		return false;
	event.shm = item->shm;
	event.dir = item->shm ? item->dir : 0;
	event.size = item->size;
	memcpy(event.data, item->data, item->size);
	peer->items_first = (peer->items_first + 1) % SHM__PEER_ITEMS;
	peer->items_count--;
	if (!event.shm && !peer->dead) {
		peer->session.unread--;
		shm__session_credit(&peer->session, &out);
		shm__peer_answer(peer, &out);
	}
	memcpy(ret, &event, ret->struct_size < sizeof(event) ? ret->struct_size : sizeof(event));
	return true;
}

/* 0 with an item in ret; -EAGAIN nothing there yet; or why nothing comes any more. Under lock. */
static int look_for_item(struct shm__peer *peer, void *ret)
{
	if (take_item(peer, ret))
		return 0;
	return peer->dead ? peer->dead : -EAGAIN;
}

static int look_once(struct shm__peer *peer, int (*look)(struct shm__peer *peer, void *user),
		     void *user)
{
	int error;

	shm__mutex_lock(&peer->lock);
	error = look(peer, user);
	shm__mutex_unlock(&peer->lock);
	return error;
}

int shm__peer_wait(struct shm__peer *peer, int64_t timeout_ns,
		   int (*look)(struct shm__peer *peer, void *user), void *user)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	int error = look_once(peer, look, user), late = 0;
	struct shm__waiter waiter;

	if (error != -EAGAIN)
		return error;
	waiter.wake = shm__os_thread_wake();
	if (!waiter.wake)
		return shm__error(EMFILE, "no descriptor left to wait with");
	shm__mutex_lock(&peer->lock);
	waiter.next = peer->waiters;
	peer->waiters = &waiter;
	shm__mutex_unlock(&peer->lock);
	/* another thread may have heard before it knew that this one waits */
	while ((error = look_once(peer, look, user)) == -EAGAIN && !late) {
		late = shm__sleep(NULL, 0, waiter.wake, peer->fd, &deadline);
		shm__peer_hear(peer); /* its errors stay in the peer */
	}
	shm__mutex_lock(&peer->lock);
	shm__waiter_remove(&peer->waiters, &waiter);
	shm__mutex_unlock(&peer->lock);
	return error == -EAGAIN ? late : error;
}

int metal_shm_peer_next(struct metal_device *dev, int64_t timeout_ns,
			struct metal_shm_peer_event *ret_event)
{
	struct shm__peer *peer = shm__open_peer_of(dev);
	int error;

	if (!peer)
		return -errno;
	if (!ret_event || ret_event->struct_size < offsetof(struct metal_shm_peer_event, data))
		return shm__error(EINVAL, "metal_shm_peer_next: struct_size is not set");
	shm__device_ref(dev);
	error = shm__peer_wait(peer, timeout_ns, look_for_item, ret_event);
	shm__device_unref(dev);
	if (error == -ETIMEDOUT)
		return shm__error(ETIMEDOUT, "%s gave nothing", dev->name);
	if (error)
		return shm__error(-error, "%s has ended", dev->name);
	return 0;
}

int metal_shm_peer_needs(struct metal_device *dev, metal_shm_type type)
{
	struct shm__peer *peer = shm__open_peer_of(dev);
	int error = peer ? shm__type_check(type) : -errno;

	if (!error)
		atomic_store(&peer->needs, type);
	return error;
}

int metal_shm_peer_say(struct metal_device *dev, const void *data, size_t size)
{
	const struct shm__peer_wish wish = { .type = SHM__RECORD_USER, .length = (uint32_t)size };
	struct shm__peer *peer = shm__open_peer_of(dev);
	int error;

	if (!peer)
		return -errno;
	if (!data || !size || size > METAL_SHM_PEER_MESSAGE)
		return shm__error(EINVAL, "a message has 1 to %u bytes", METAL_SHM_PEER_MESSAGE);
	shm__mutex_lock(&peer->lock);
	error = shm__peer_say(peer, &wish, data);
	shm__mutex_unlock(&peer->lock);
	return error;
}

int metal_shm_peer_fail(struct metal_generic_shm *shm, struct metal_device *dev)
{
	struct shm__peer *peer = shm__open_peer_of(dev);
	struct shm__peer_piece *piece;

	if (!peer)
		return -errno;
	piece = metal_shm_view_data(shm, dev);
	if (!piece || piece->kind != SHM__PEER_IN)
		return shm__error(EINVAL, "%s shares no such bytes", dev->name);
	shm__mutex_lock(&peer->lock);
	piece->result = SHM__CODE_FAILED;
	shm__mutex_unlock(&peer->lock);
	return metal_shm_sync_for_device(shm, dev, METAL_SHM_DIR_DEV_RW);
}
