/* SPDX-License-Identifier: BSD-3-Clause */
/* What the firmware says, and what becomes of what it was given. All under the lock. */
#include <errno.h>
#include <string.h>

#include "internal.h"

static void drop_queued(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	rproc->queued -= map->give == SHM__RPROC_QUEUED;
	rproc->queued -= map->unshare;
	map->unshare = false;
}

/* Who dispatches sees to it; where nobody does just now, somebody has to be woken. */
static void be_due(struct shm__rproc *rproc)
{
	if (!rproc->due++ && !rproc->dispatching)
		shm__rproc_kick(rproc);
}

/* The bytes are not the core's any more, with this to tell to whoever takes them. */
static void back(struct shm__rproc *rproc, struct shm__rproc_map *map, int error)
{
	if (map->give == SHM__RPROC_NOTHING || map->give == SHM__RPROC_BACK)
		return;
	map->give = SHM__RPROC_BACK;
	map->error = error;
	map->wanted = map->recalled = map->late = false;
	be_due(rproc);
}

static void die(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	if (map->dead)
		return;
	map->dead = true;
	be_due(rproc);
}

/* What the core asked for ends with the core's use of it, all else when the program detaches it. */
static void end_use(struct shm__rproc *rproc, struct shm__rproc_map *map, int over, int error)
{
	drop_queued(rproc, map);
	map->id = 0;
	map->over = over;
	map->told = map->late = false;
	back(rproc, map, error);
	if (!map->view || map->grant)
		die(rproc, map);
}

void shm__rproc_forget(struct shm__rproc *rproc)
{
	for (struct shm__rproc_map *map = rproc->maps; map; map = map->next) {
		if (!map->id)
			continue;
		drop_queued(rproc, map);
		map->id = 0;
		map->over = -ECONNRESET;
		map->asked = shm__rproc_now_ms();
		map->late = false;
		if (map->give == SHM__RPROC_QUEUED)
			back(rproc, map, -EIO);
		else if (map->give == SHM__RPROC_GIVEN)
			map->give = SHM__RPROC_LOST;
	}
	rproc->queued -= rproc->refusal_count;
	rproc->refusal_count = 0;
	shm__rproc_arm(rproc);
	shm__rproc_wake(rproc);
}

void shm__rproc_stopped(struct shm__rproc *rproc, int error)
{
	/* what it has to tell of this end is known, and must not be taken for the end of the next run */
	shm__rproc_importer_runs(rproc);
	shm__rproc_link_lose(rproc);
	for (struct shm__rproc_map *map = rproc->maps; map; map = map->next) {
		map->gone = true;
		end_use(rproc, map, -ENODEV, error);
	}
	rproc->ending = false;
	rproc->stops += !rproc->seen_off;
	rproc->seen_off = true;
	shm__rproc_wake(rproc);
}

bool shm__rproc_due(struct shm__rproc *rproc, struct shm__rproc_work *work)
{
	struct shm__rproc_map **at = &rproc->maps, *map;

	if (!rproc->due)
		return false;
	while (*at && (*at)->give != SHM__RPROC_BACK && !(*at)->dead)
		at = &(*at)->next;
	map = *at;
	if (!map) {
		rproc->due = 0;
		return false;
	}
	rproc->due--;
	if (map->give == SHM__RPROC_BACK) {
		map->give = SHM__RPROC_NOTHING;
		work->unhold = map->view;
		work->error = map->error;
		return true;
	}
	map->dead = false;
	if (map->view) {
		work->detach = map->view;
		work->free = map->grant;
		map->grant = NULL;
		return true;
	}
	*at = map->next;
	work->end = map;
	return true;
}

static void keep_message(struct shm__rproc *rproc, const struct shm__wire_user *user)
{
	struct shm__rproc_message *message;

	if (rproc->message_count == SHM__RPROC_MESSAGES) {
		rproc->messages_lost++;
		return;
	}
	message = &rproc->messages[(rproc->message_head + rproc->message_count++) %
				   SHM__RPROC_MESSAGES];
	message->size = user->length;
	memcpy(message->data, user->data, user->length);
}

static void take_returned(struct shm__rproc *rproc, struct shm__rproc_map *map, enum shm__code code)
{
	if (code == SHM__CODE_OK || code == SHM__CODE_CANCELLED)
		back(rproc, map, 0);
	else
		back(rproc, map, -EIO);
}

void shm__rproc_take(struct shm__rproc *rproc, const void *data, size_t size,
		     struct shm__rproc_work *work)
{
	struct shm__rproc_map *map;
	struct shm__event event;
	struct shm__out out;

	shm__session_receive(&rproc->session, data, size, &event, &out);
	if (event.kind == SHM__EVENT_UP) {
		shm__rproc_forget(rproc); /* a firmware that begins anew remembers nothing */
		rproc->epoch = shm__rproc_epoch(rproc->id);
	}
	shm__rproc_post(rproc, &out);
	map = event.share ? event.share->user : NULL;
	switch (event.kind) {
	case SHM__EVENT_RETURNED:
		if (map)
			take_returned(rproc, map, event.code);
		break;
	case SHM__EVENT_UNSHARED:
		if (!map)
			break;
		end_use(rproc, map, event.code ? -shm__rproc_code_error(event.code) : -ECONNRESET,
			-EIO);
		break;
	case SHM__EVENT_REQUESTED:
		work->request = event.record.request;
		break;
	case SHM__EVENT_USER:
		keep_message(rproc, &event.record.user);
		break;
	case SHM__EVENT_NO_VERSION:
		rproc->no_version = true;
		break;
	default:
		break;
	}
	if (rproc->queued)
		shm__rproc_flush(rproc);
	shm__rproc_wake(rproc);
}

static enum shm__code send_give(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	struct shm__out out;
	enum shm__code code = shm__session_give(&rproc->session, map->id, 0, map->range.length,
						(unsigned)map->give_dir, &out);

	if (code == SHM__CODE_AGAIN || code == SHM__CODE_FULL)
		return code;
	rproc->queued--;
	if (code) {
		map->give = SHM__RPROC_GIVEN;
		back(rproc, map, -EIO);
		return SHM__CODE_OK;
	}
	map->give = SHM__RPROC_GIVEN;
	shm__rproc_post(rproc, &out);
	return SHM__CODE_OK;
}

static enum shm__code send_unshare(struct shm__rproc *rproc, struct shm__rproc_map *map)
{
	struct shm__out out;
	enum shm__code code = shm__session_unshare(&rproc->session, map->id, &out);

	if (code == SHM__CODE_AGAIN)
		return code;
	rproc->queued--;
	map->unshare = false;
	shm__rproc_post(rproc, &out);
	return SHM__CODE_OK;
}

static enum shm__code send_refusal(struct shm__rproc *rproc)
{
	const struct shm__wire_refuse *refusal = &rproc->refusals[rproc->refusal_count - 1];
	struct shm__out out;
	enum shm__code code = shm__session_refuse(&rproc->session, refusal->tag,
						  (enum shm__code)refusal->code, &out);

	if (code == SHM__CODE_AGAIN)
		return code;
	rproc->queued--;
	rproc->refusal_count--;
	shm__rproc_post(rproc, &out);
	return SHM__CODE_OK;
}

void shm__rproc_flush(struct shm__rproc *rproc)
{
	enum shm__code code = SHM__CODE_OK;

	while (rproc->refusal_count && !code && shm__rproc_may_post(rproc))
		code = send_refusal(rproc);
	for (struct shm__rproc_map *map = rproc->maps; map && !code; map = map->next) {
		if (!shm__rproc_may_post(rproc))
			return;
		if (map->give == SHM__RPROC_QUEUED)
			code = send_give(rproc, map);
		else if (map->unshare)
			code = send_unshare(rproc, map);
	}
}
