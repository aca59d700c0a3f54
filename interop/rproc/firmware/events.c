/* SPDX-License-Identifier: BSD-3-Clause */
/* What the host said: the core's books and the program's callbacks. */
#include "host.h"

/* Nothing of it came to anybody. */
static enum shm__code undo_share(struct host_share *share, enum shm__code code)
{
	if (share->buffer)
		metal_shm_free(share->buffer, NULL);
	share->state = SHARE_NONE;
	return code;
}

/* A buffer of it, attached, all of it the host's. */
static enum shm__code make_buffer(struct host *host, struct host_share *share)
{
	struct metal_generic_shm *view;
	struct host_piece *piece;

	host->adopted = share;
	share->buffer = metal_shm_allocate((size_t)share->size, host->dev, 0);
	host->adopted = NULL;
	if (!share->buffer)
		return SHM__CODE_FULL;
	view = metal_shm_attach(share->buffer, host->dev);
	if (!view)
		return SHM__CODE_FULL;
	piece = metal_shm_view_data(view, host->dev);
	if (!shm__piece_hold(host, piece, METAL_SHM_DIR_DEV_RW)) {
		metal_shm_detach(view, host->dev);
		return SHM__CODE_FULL;
	}
	piece->shm = metal_shm_ref(share->buffer);
	return SHM__CODE_OK;
}

static enum shm__code on_shared(struct host *host, const struct shm__event *event)
{
	const struct shm__wire_share *what = &event->record.share;
	struct host_share *share;
	enum shm__code code;
	int error;

	if (what->tag && what->tag != host->tag)
		return SHM__CODE_REFUSED; /* nobody waits for it any more */
	code = shm__share_take(host, what, &share);
	if (code)
		return code;
	event->share->user = share;
	if (what->tag) {
		share->state = SHARE_LIVE;
		host->answer = share;
		return SHM__CODE_OK;
	}
	code = make_buffer(host, share);
	if (code)
		return undo_share(share, code);
	error = host->events.shared ? host->events.shared(host->setup.user, share->buffer,
							  (enum metal_shm_dir)share->dir)
				    : 0;
	if (error) {
		shm__pieces_end(host, share);
		return undo_share(share, SHM__CODE_REFUSED);
	}
	share->state = SHARE_LIVE;
	return SHM__CODE_OK;
}

static enum shm__code on_given(struct host *host, const struct shm__event *event)
{
	const struct shm__wire_range *range = &event->record.range;
	struct host_share *share = event->share->user;
	struct host_piece *piece;
	enum shm__code code;

	if (!share)
		return SHM__CODE_UNKNOWN;
	if (share == host->answer)
		return SHM__CODE_OK;
	code = shm__piece_give(host, share, range, &piece);
	if (!code && host->events.given)
		host->events.given(host->setup.user, piece->shm ? piece->shm : piece->view,
				   (enum metal_shm_dir)range->dir);
	return code;
}

static void on_recalled(struct host *host, const struct shm__event *event)
{
	const struct shm__wire_range *range = &event->record.range;
	struct host_share *share = event->share->user;

	for (int i = 0; share && host->events.recalled && i < SHM_HOST_PIECES; i++) {
		struct host_piece *piece = &host->pieces[i];

		if (piece->share == share &&
		    shm__piece_overlaps(piece, range->offset, range->length) &&
		    shm__host_is_given(host, share, piece->offset, piece->length))
			host->events.recalled(host->setup.user,
					      piece->shm ? piece->shm : piece->view);
	}
}

static void on_unshare(struct host *host, const struct shm__event *event)
{
	struct host_share *share = event->share->user;

	if (!share)
		return;
	share->ending = true;
	if (share == host->answer) {
		share->state = SHARE_LEAVING;
		host->answer = NULL;
		host->refusal = SHM__CODE_REFUSED;
	} else if (host->events.unshare && share->buffer) {
		host->events.unshare(host->setup.user, share->buffer);
	}
}

/* The host knows nothing any more. */
static void on_up(struct host *host)
{
	memset(host->returns, 0, sizeof(host->returns));
	for (int i = 0; i < SHM_HOST_SHARES; i++) {
		struct host_share *share = &host->shares[i];

		if (share->state == SHARE_LIVE)
			share->state = SHARE_VOID;
		else if (share->state == SHARE_LEAVING)
			share->state = SHARE_NONE;
		share->ending = true;
	}
	if (host->answer)
		host->answer->state = SHARE_NONE;
	host->answer = NULL;
	if (host->tag)
		host->refusal = SHM__CODE_DOWN;
	if (host->events.began)
		host->events.began(host->setup.user);
}

/* A coprocessor's memory is the host's to set aside. Unanswered where no message may go: it asks in vain. */
static void refuse_request(struct host *host, uint32_t tag)
{
	struct shm__out out;

	shm__session_refuse(&host->session, tag, SHM__CODE_NO_MEMORY, &out);
	shm__host_push(host, &out);
}

static enum shm__code handle(struct host *host, const struct shm__event *event)
{
	switch (event->kind) {
	case SHM__EVENT_UP:
		on_up(host);
		break;
	case SHM__EVENT_SHARED:
		return on_shared(host, event);
	case SHM__EVENT_GIVEN:
		return on_given(host, event);
	case SHM__EVENT_RECALLED:
		on_recalled(host, event);
		break;
	case SHM__EVENT_REQUESTED:
		refuse_request(host, event->record.request.tag);
		break;
	case SHM__EVENT_REFUSED:
		if (event->record.refuse.tag == host->tag)
			host->refusal = (enum shm__code)event->record.refuse.code;
		break;
	case SHM__EVENT_UNSHARE:
		on_unshare(host, event);
		break;
	case SHM__EVENT_USER:
		if (host->events.message)
			host->events.message(host->setup.user, event->record.user.data,
					     event->record.user.length);
		break;
	default:
		break;
	}
	return SHM__CODE_OK;
}

void metal_shm_host_received(struct metal_device *dev, const void *message, size_t size)
{
	struct host *host = metal_shm_device_data(dev, &shm__host_ops);
	struct shm__event event;
	struct shm__out out;
	enum shm__code code;

	if (!host)
		return;
	shm__session_receive(&host->session, message, size, &event, &out);
	shm__host_push(host, &out);
	code = handle(host, &event);
	if (!code)
		return;
	shm__session_reject(&host->session, &event, code, &out);
	shm__host_push(host, &out);
}

/* What the host wants back, or forgot, goes as soon as nothing of it is ours. */
static void settle(struct host *host)
{
	shm__pieces_detached(host);
	for (int i = 0; i < SHM_HOST_SHARES; i++) {
		struct host_share *share = &host->shares[i];
		struct metal_generic_shm *buffer = share->buffer;
		const struct shm__share *theirs;

		if (!share->ending || !buffer)
			continue;
		theirs = &host->session.theirs.shares[share->id - 1];
		if (share->state == SHARE_LIVE && theirs->gives_count)
			continue;
		share->buffer = NULL;
		shm__pieces_end(host, share);
		metal_shm_free(buffer, NULL);
	}
}

void shm__host_pump(struct host *host)
{
	const struct metal_shm_channel *channel = host->setup.channel;

	if (host->dispatching)
		return;
	host->dispatching = true;
	do {
		settle(host);
		shm__host_flush(host);
		/* room for what a message leads to; who grants no more may be about to */
	} while (!host->outs[0].size && channel->poll(channel->data, host->dev));
	host->dispatching = false;
}
