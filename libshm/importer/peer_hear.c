/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes in. One thread at a time hears, and tells the core without holding the lock. */
#include <string.h>
#include <sys/socket.h>

#include "peer.h"

static struct shm__peer_item *item_at(struct shm__peer *peer, unsigned at)
{
	return &peer->items[(peer->items_first + at) % SHM__PEER_ITEMS];
}

/* Something for the program: whoever waits for it is awake after this. Under lock. */
static struct shm__peer_item *new_item(struct shm__peer *peer)
{
	const struct shm__wake *own = peer->waiters ? shm__os_thread_wake() : NULL;

	/* but who hears for itself, and looks then */
	for (struct shm__waiter *waiter = peer->waiters; waiter; waiter = waiter->next)
		if (waiter->wake != own)
			shm__os_wake_signal(waiter->wake);
	return item_at(peer, peer->items_count++);
}

struct metal_generic_shm *shm__peer_unready(struct shm__peer *peer,
					    const struct shm__peer_piece *piece)
{
	struct metal_generic_shm *shm;
	unsigned at = 0;

	while (at < peer->items_count && item_at(peer, at)->shm != piece->shm)
		at++;
	if (at == peer->items_count)
		return NULL;
	shm = item_at(peer, at)->shm;
	for (peer->items_count--; at < peer->items_count; at++)
		*item_at(peer, at) = *item_at(peer, at + 1);
	return shm;
}

/* GIVEs that waited and then were refused. Under lock. */
static void tell_failed(struct shm__peer *peer)
{
	struct shm__peer_wish *wish;

	while ((wish = peer->failed) != NULL) {
		struct shm__peer_lot *lot = wish->lot;

		peer->failed = wish->next;
		shm__os_free(wish);
		shm__peer_done(peer, lot, -ENODEV);
	}
}

/* Nothing goes any more. Under both locks. What was given to the program before it still hears. */
static void die(struct shm__peer *peer, int error)
{
	struct shm__peer_wish *wish;

	if (peer->dead)
		return;
	peer->dead = error;
	shutdown(peer->fd, SHUT_RDWR);
	shm__peer_forget(peer, NULL);
	while ((wish = peer->failed) != NULL) {
		peer->failed = wish->next;
		shm__os_free(wish);
	}
	shm__peer_end_outs(peer);
	shm__peer_end_ins(peer);
	if (peer->waiters)
		shm__wake_all(peer->waiters);
}

static void reject(struct shm__peer *peer, const struct shm__event *event, enum shm__code code)
{
	struct shm__out out;

	shm__session_reject(&peer->session, event, code, &out);
	shm__peer_answer(peer, &out);
}

/* What follows takes an event of the session's. Under lock. */

static bool take_given(struct shm__peer *peer, const struct shm__event *event)
{
	struct shm__peer_piece *piece;
	enum shm__code code;
	struct metal_generic_shm *shm = shm__peer_given(peer, event, &piece, &code);
	struct shm__peer_item *item;

	if (!shm) {
		reject(peer, event, code);
		return false;
	}
	if (piece->in->tag) {
		uint32_t tag = piece->in->tag;

		piece->in->tag = 0;
		if (shm__peer_answered(peer, tag, shm))
			return true;
	}
	/* unless the program knew the buffer and was faster */
	if (piece->ours) {
		item = new_item(peer);
		item->shm = shm;
		item->dir = piece->dir;
		item->size = 0;
		return true;
	}
	shm__mutex_unlock(&peer->lock);
	metal_shm_free(shm, NULL);
	shm__mutex_lock(&peer->lock);
	return true;
}

static bool take_message(struct shm__peer *peer, const struct shm__wire_user *user)
{
	struct shm__peer_item *item = new_item(peer);

	item->shm = NULL;
	item->size = user->length;
	memcpy(item->data, user->data, user->length);
	peer->session.unread++;
	return true;
}

static bool take_event(struct shm__peer *peer, const struct shm__message *message,
		       const struct shm__event *event)
{
	switch (event->kind) {
	case SHM__EVENT_UP:
		/* a process that begins anew has another socket */
		if (peer->met)
			die(peer, -ENODEV);
		peer->met = true;
		return false;
	case SHM__EVENT_SHARED:
		if (!shm__peer_arrive(peer, message, event))
			return false;
		reject(peer, event, SHM__CODE_MEMORY);
		shm__peer_refused(peer, event->record.share.tag, SHM__CODE_MEMORY);
		return true;
	case SHM__EVENT_GIVEN:
		return take_given(peer, event);
	case SHM__EVENT_RETURNED:
		shm__peer_returned(peer, event);
		return true;
	case SHM__EVENT_UNSHARE:
		shm__peer_ends_in(peer, event->share->user);
		return false;
	case SHM__EVENT_UNSHARED:
		return shm__peer_unshared(peer, event);
	case SHM__EVENT_USER:
		return take_message(peer, &event->record.user);
	case SHM__EVENT_REQUESTED:
		shm__peer_requested(peer, &event->record.request);
		return false;
	case SHM__EVENT_REFUSED:
		shm__peer_refused(peer, event->record.refuse.tag,
				  (enum shm__code)event->record.refuse.code);
		return true;
	case SHM__EVENT_RECALLED:
		shm__peer_ask_back(peer, event);
		return false;
	case SHM__EVENT_NO_VERSION:
		die(peer, -EPROTONOSUPPORT);
		return false;
	case SHM__EVENT_ERROR:
		shm__log(METAL_SHM_LOG_ERROR, "%s refused a record of type %u: %u", peer->dev->name,
			 event->record.error.type, event->record.error.code);
		return false;
	default:
		return false;
	}
}

/* One message; true: the program may wait for what came of it. */
static bool take(struct shm__peer *peer, struct shm__message *message)
{
	struct shm__event event;
	struct shm__out out;
	bool news;

	shm__mutex_lock(&peer->lock);
	shm__session_receive(&peer->session, message->data, message->size, &event, &out);
	shm__peer_answer(peer, &out);
	news = take_event(peer, message, &event);
	shm__mutex_unlock(&peer->lock);
	shm__message_drop(message);
	return news;
}

/* Under hearing. */
static int hear(struct shm__peer *peer)
{
	struct shm__message message;
	unsigned heard = 0;
	bool news = false;
	int error, got;

	for (;;) {
		shm__mutex_lock(&peer->lock);
		if (atomic_load(&peer->over))
			die(peer, -ENODEV);
		if (atomic_exchange(&peer->leaving, false))
			shm__peer_leave_left(peer);
		if (!peer->dead)
			shm__peer_flush(peer);
		tell_failed(peer);
		error = peer->dead;
		shm__mutex_unlock(&peer->lock);
		if (error)
			return shm__error(-error, "%s has ended", peer->dev->name);
		/* one that talks without end keeps nobody from the others */
		if (news || heard++ == SHM__PEER_HEARS)
			return 0;
		got = shm__channel_receive(peer->fd, &message, false);
		if (got == -EAGAIN)
			return 0;
		if (got > 0) {
			news = take(peer, &message);
			continue;
		}
		shm__mutex_lock(&peer->lock);
		die(peer, -ENODEV);
		shm__mutex_unlock(&peer->lock);
	}
}

int shm__peer_hear(struct shm__peer *peer)
{
	int error = 0;

	/* whoever ended it meanwhile couldn't do it itself */
	do {
		if (!shm__mutex_trylock(&peer->hearing))
			return 0;
		error = hear(peer);
		shm__mutex_unlock(&peer->hearing);
	} while (!error && (atomic_load(&peer->over) || atomic_load(&peer->leaving)));
	return error;
}

void shm__peer_end(struct shm__peer *peer)
{
	atomic_store(&peer->over, true);
	shm__peer_hear(peer);
}
