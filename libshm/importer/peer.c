/* SPDX-License-Identifier: BSD-3-Clause */
/* Another process as a device: what is attached to it is shared with it, by a socket. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptor.h"
#include "peer.h"

/* Enough for all records of a window, whatever the program had set. */
#define SOCKET_ROOM (1 << 18)

static struct shm__peer *peer_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &shm__peer_ops);
}

static int peer_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			    struct metal_shm_constraints *ret)
{
	(void)frame;
	ret->required = atomic_load(&peer_of(dev)->needs);
	ret->access = METAL_SHM_ACCESS_CPU_USER;
	return 0;
}

static int peer_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		       struct metal_shm_view *ret_view)
{
	struct shm__peer *peer = peer_of(dev);
	struct shm__peer_piece *piece;

	ret_view->access = METAL_SHM_ACCESS_CPU_USER;
	shm__mutex_lock(&peer->lock);
	piece = peer->arriving;
	if (piece && (!shm__os_is_thread(peer->hearer) || piece->shm != at->shm->source))
		piece = NULL;
	shm__mutex_unlock(&peer->lock);
	if (!piece)
		return shm__peer_share(peer, at, ret_view);
	ret_view->data = piece;
	ret_view->flags = SHM__VIEW_OWNER;
	return 0;
}

static void peer_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			struct metal_shm_view *view)
{
	(void)at;
	if (*(enum shm__peer_kind *)view->data == SHM__PEER_OUT)
		shm__peer_unshare(peer_of(dev), view->data);
	else
		shm__os_free(view->data);
}

static int peer_give(struct metal_device *dev, struct metal_shm_view *view,
		     const struct metal_shm_range *range, enum metal_shm_dir dir)
{
	struct shm__peer *peer = peer_of(dev);

	(void)range; /* the view's own */
	if (*(enum shm__peer_kind *)view->data == SHM__PEER_OUT)
		return shm__peer_give(peer, view->data, dir);
	return shm__peer_give_back(peer, view->data, dir);
}

static int peer_poll_handle(struct metal_device *dev)
{
	return peer_of(dev)->fd;
}

static int peer_dispatch(struct metal_device *dev)
{
	return shm__peer_hear(peer_of(dev));
}

static void peer_shutdown(struct metal_device *dev)
{
	shm__peer_end(peer_of(dev));
}

static void peer_free(struct shm__peer *peer)
{
	metal_shm_device_close(peer->source);
	if (peer->unsent_fd >= 0)
		close(peer->unsent_fd);
	close(peer->fd);
	shm__mutex_destroy(&peer->lock);
	shm__mutex_destroy(&peer->hearing);
	shm__os_free(peer);
}

static void peer_close(struct metal_device *dev)
{
	struct shm__peer *peer = peer_of(dev);

	while (peer->items_count) {
		metal_shm_free(peer->items[peer->items_first].shm, NULL);
		peer->items_first = (peer->items_first + 1) % SHM__PEER_ITEMS;
		peer->items_count--;
	}
	peer_free(peer);
}

const struct metal_shm_device_ops shm__peer_ops = {
	.struct_size = sizeof(shm__peer_ops),
	.constraints = peer_constraints,
	.attach = peer_attach,
	.detach = peer_detach,
	.give = peer_give,
	.poll_handle = peer_poll_handle,
	.dispatch = peer_dispatch,
	.shutdown = peer_shutdown,
	.close = peer_close,
};

static void begin(struct shm__peer *peer)
{
	const struct shm__session_setup setup = {
		.mine = { .shares = peer->mine,
			  .gives = peer->given,
			  .share_count = SHM__PEER_SHARES,
			  .give_count = SHM__PEER_GIVES },
		.theirs = { .shares = peer->theirs,
			    .gives = peer->taken,
			    .share_count = SHM__PEER_SHARES,
			    .give_count = SHM__PEER_GIVES },
		.session = 1,
		.window = SHM__PEER_WINDOW,
	};
	struct shm__out out;

	shm__session_init(&peer->session, &setup);
	shm__session_begin(&peer->session, (uint32_t)shm__os_now_ns() | 1, &out);
	shm__peer_answer(peer, &out);
}

static int open_peer(int fd, struct metal_device **ret_dev)
{
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	int room = SOCKET_ROOM;
	struct shm__peer *peer;
	char name[32];
	int error;

	peer = shm__os_alloc(sizeof(*peer));
	if (!peer)
		return shm__error(ENOMEM, "no memory for a process");
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	snprintf(name, sizeof(name), "peer:%d", (int)who.pid);
	peer->fd = fd;
	peer->unsent_fd = -1;
	peer->wishes_end = &peer->wishes;
	shm__mutex_init(&peer->lock);
	shm__mutex_init(&peer->hearing);
	error = shm__import_source(name, &peer->source);
	if (error)
		goto free_peer;
	error = metal_shm_device_create(&shm__peer_ops, name, peer, &peer->dev);
	if (error)
		goto close_source;
	begin(peer);
	*ret_dev = peer->dev;
	return 0;
close_source:
	metal_shm_device_close(peer->source);
free_peer:
	shm__mutex_destroy(&peer->lock);
	shm__mutex_destroy(&peer->hearing);
	shm__os_free(peer);
	return error;
}

int metal_shm_peer_open(int take_socket, struct metal_device **ret_dev)
{
	int error = shm__enter();

	if (!error && !ret_dev)
		error = shm__error(EINVAL, "metal_shm_peer_open: NULL");
	if (!error)
		error = shm__channel_check(take_socket);
	if (!error)
		error = open_peer(take_socket, ret_dev);
	return error;
}
