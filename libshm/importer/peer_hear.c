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

struct metal_generic_shm *shm__peer_unready(struct shm__peer *peer, const struct shm__peer_in *in)
{
	struct metal_generic_shm *shm;
	unsigned at = 0;

	while (at < peer->items_count && item_at(peer, at)->in != in)
		at++;
	if (at == peer->items_count)
		return NULL;
	shm = item_at(peer, at)->shm;
	for (peer->items_count--; at < peer->items_count; at++)
		*item_at(peer, at) = *item_at(peer, at + 1);
	return shm;
}

/* One work of a view is over. Its last one keeps the view alive up to here. */
static void done(struct shm__peer *peer, struct shm__peer_out *out, int error)
{
	struct metal_generic_shm *view = out->view;

	out->given--;
	shm__mutex_unlock(&peer->lock);
	metal_shm_unhold(view, peer->dev, error);
	shm__mutex_lock(&peer->lock);
}

void shm__peer_out_end(struct shm__peer *peer, struct shm__peer_out *out)
{
	struct shm__peer_out **at = &peer->outs;

	while (*at && *at != out)
		at = &(*at)->next;
	if (*at)
		*at = out->next;
	shm__mutex_unlock(&peer->lock);
	shm__root_put(out->root);
	shm__os_free(out);
	shm__mutex_lock(&peer->lock);
}

/* GIVEs that waited and then were refused. Under lock. */
static void tell_failed(struct shm__peer *peer)
{
	struct shm__peer_wish *wish;

	while ((wish = peer->failed) != NULL) {
		struct shm__peer_out *out = wish->out;

		peer->failed = wish->next;
		shm__os_free(wish);
		done(peer, out, -ENODEV);
	}
}

/* Under lock; false: somebody else is ending it. */
static bool unlink_in(struct shm__peer *peer, struct shm__peer_in *in)
{
	struct shm__peer_in **at = &peer->ins;

	if (in->gone)
		return false;
	while (*at != in)
		at = &(*at)->next;
	*at = in->next;
	in->gone = true;
	return true;
}

/* The other process's memory is not this view's any more. Under lock, which it lets go of. */
static void end_in(struct shm__peer *peer, struct shm__peer_in *in)
{
	struct metal_generic_shm *shm = in->shm, *view = in->view;
	bool ours = in->ours;

	shm__mutex_unlock(&peer->lock);
	if (!ours)
		metal_shm_unhold(shm, peer->dev, -ENODEV);
	metal_shm_detach(view, peer->dev);
	metal_shm_free(shm, NULL);
	shm__mutex_lock(&peer->lock);
}

void shm__peer_leave(struct shm__peer *peer, struct shm__peer_in *in)
{
	const struct shm__peer_wish wish = { .type = SHM__RECORD_UNSHARED, .id = in->id };

	if (!unlink_in(peer, in))
		return;
	shm__peer_say(peer, &wish, NULL);
	end_in(peer, in);
}

/* Nothing goes any more. Under both locks. What was given to the program before it still hears. */
static void die(struct shm__peer *peer, int error)
{
	struct shm__peer_out *out;
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
	do {
		for (out = peer->outs; out && !out->given && out->view; out = out->next)
			;
		if (out && out->given)
			done(peer, out, -ENODEV);
		else if (out)
			shm__peer_out_end(peer, out);
	} while (out);
	while (peer->ins) {
		struct shm__peer_in *in = peer->ins;

		unlink_in(peer, in);
		end_in(peer, in);
	}
	if (peer->waiters)
		shm__wake_all(peer->waiters);
}

/* Make a buffer of what is shared, and the other process its holder. */
static int arrive(struct shm__peer *peer, const struct shm__message *message,
		  const struct shm__wire_share *what, struct shm__peer_in **ret_in)
{
	struct shm__peer_in *in;
	int error;

	in = shm__os_alloc(sizeof(*in));
	if (!in)
		return shm__error(ENOMEM, "no memory for what %s shares", peer->dev->name);
	in->kind = SHM__PEER_IN;
	in->id = what->id;
	in->size = what->size;
	error = shm__message_memory(message, what, peer->source, &in->shm);
	if (error)
		goto free_in;
	shm__mutex_lock(&peer->lock);
	peer->arriving = in;
	peer->hearer = shm__os_thread();
	shm__mutex_unlock(&peer->lock);
	in->view = metal_shm_attach(in->shm, peer->dev);
	if (!in->view)
		error = -errno;
	shm__mutex_lock(&peer->lock);
	peer->arriving = NULL;
	shm__mutex_unlock(&peer->lock);
	if (!in->view)
		goto free_shm;
	if (in->view->view.data != in) {
		error = shm__error(EEXIST, "%s shares the same bytes twice", peer->dev->name);
		metal_shm_detach(in->view, peer->dev);
		goto free_shm;
	}
	error = metal_shm_hold(in->shm, peer->dev, METAL_SHM_DIR_DEV_RW, 0);
	if (error) {
		struct metal_generic_shm *shm = in->shm;

		metal_shm_detach(in->view, peer->dev); /* and in with it */
		metal_shm_free(shm, NULL);
		return error;
	}
	*ret_in = in;
	return 0;
free_shm:
	metal_shm_free(in->shm, NULL);
free_in:
	shm__os_free(in);
	return error;
}

static void reject(struct shm__peer *peer, const struct shm__event *event, enum shm__code code)
{
	struct shm__out out;

	shm__session_reject(&peer->session, event, code, &out);
	shm__peer_answer(peer, &out);
}

/* What follows takes an event of the session's. Under lock. */

static void take_shared(struct shm__peer *peer, const struct shm__message *message,
			const struct shm__event *event)
{
	struct shm__peer_in *in = NULL;

	shm__mutex_unlock(&peer->lock);
	arrive(peer, message, &event->record.share, &in);
	if (!in)
		shm__log(METAL_SHM_LOG_ERROR, "%s: %s", peer->dev->name, metal_shm_last_error());
	shm__mutex_lock(&peer->lock);
	if (!in) {
		reject(peer, event, SHM__CODE_MEMORY);
		return;
	}
	event->share->user = in;
	in->next = peer->ins;
	peer->ins = in;
}

static bool take_given(struct shm__peer *peer, const struct shm__event *event)
{
	const struct shm__wire_range *range = &event->record.range;
	struct shm__peer_in *in = event->share->user;
	struct metal_generic_shm *shm;
	struct shm__peer_item *item;

	if (range->offset || range->length != in->size || in->ours) {
		reject(peer, event, SHM__CODE_REFUSED);
		return false;
	}
	in->ours = true;
	in->dir = (enum metal_shm_dir)range->dir;
	in->result = SHM__CODE_OK;
	shm = metal_shm_ref(in->shm);
	shm__mutex_unlock(&peer->lock);
	metal_shm_unhold(shm, peer->dev, 0);
	shm__mutex_lock(&peer->lock);
	/* unless the program knew the buffer and was faster */
	if (in->ours) {
		item = new_item(peer);
		item->shm = shm;
		item->in = in;
		item->dir = in->dir;
		item->size = 0;
		return true;
	}
	shm__mutex_unlock(&peer->lock);
	metal_shm_free(shm, NULL);
	shm__mutex_lock(&peer->lock);
	return true;
}

static bool take_returned(struct shm__peer *peer, const struct shm__event *event)
{
	done(peer, event->share->user, event->code ? -EIO : 0);
	return true;
}

static bool take_unshared(struct shm__peer *peer, const struct shm__event *event)
{
	struct shm__peer_out *out = event->share->user;

	event->share->user = NULL;
	out->gone = true;
	if (!out->view) {
		shm__peer_out_end(peer, out);
		return false;
	}
	shm__log(METAL_SHM_LOG_INFO, "%s has ended what was shared with it (%u)", peer->dev->name,
		 (unsigned)event->code);
	for (uint32_t i = 0; i < event->returned; i++)
		done(peer, out, -ENODEV);
	return true;
}

static bool take_message(struct shm__peer *peer, const struct shm__wire_user *user)
{
	struct shm__peer_item *item = new_item(peer);

	item->shm = NULL;
	item->in = NULL;
	item->size = user->length;
	memcpy(item->data, user->data, user->length);
	peer->session.unread++;
	return true;
}

static bool take_event(struct shm__peer *peer, const struct shm__message *message,
		       const struct shm__event *event)
{
	struct shm__peer_in *in;

	switch (event->kind) {
	case SHM__EVENT_UP:
		/* a process that begins anew has another socket */
		if (peer->met)
			die(peer, -ENODEV);
		peer->met = true;
		return false;
	case SHM__EVENT_SHARED:
		take_shared(peer, message, event);
		return false;
	case SHM__EVENT_GIVEN:
		return take_given(peer, event);
	case SHM__EVENT_RETURNED:
		return take_returned(peer, event);
	case SHM__EVENT_UNSHARE:
		in = event->share->user;
		in->ending = true;
		if (!in->ours)
			shm__peer_leave(peer, in);
		return false;
	case SHM__EVENT_UNSHARED:
		return take_unshared(peer, event);
	case SHM__EVENT_USER:
		return take_message(peer, &event->record.user);
	case SHM__EVENT_REQUESTED: {
		struct shm__out out;

		shm__session_refuse(&peer->session, event->record.request.tag, SHM__CODE_REFUSED,
				    &out);
		shm__peer_answer(peer, &out);
		return false;
	}
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
	bool news = false;
	int error, got;

	for (;;) {
		shm__mutex_lock(&peer->lock);
		if (atomic_load(&peer->over))
			die(peer, -ENODEV);
		if (!peer->dead)
			shm__peer_flush(peer);
		tell_failed(peer);
		error = peer->dead;
		shm__mutex_unlock(&peer->lock);
		if (error)
			return shm__error(-error, "%s has ended", peer->dev->name);
		if (news)
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
	} while (!error && atomic_load(&peer->over));
	return error;
}

void shm__peer_end(struct shm__peer *peer)
{
	atomic_store(&peer->over, true);
	shm__peer_hear(peer);
}
