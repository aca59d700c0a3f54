/* SPDX-License-Identifier: BSD-3-Clause */
/* What the other end says: checked against what is known, and only then taken in. */
#include <string.h>

#include "session_send.h"

/* What a record is about, for an ERROR. */
static void name_subject(const struct shm__record *record, struct shm__wire_error *error)
{
	error->number = record->number;
	error->type = record->type;
	switch (record->type) {
	case SHM__RECORD_SHARE:
		error->id = record->share.id;
		error->generation = record->share.generation;
		break;
	case SHM__RECORD_GIVE:
	case SHM__RECORD_RETURN:
	case SHM__RECORD_RECALL:
		error->id = record->range.id;
		error->generation = record->range.generation;
		break;
	case SHM__RECORD_UNSHARE:
	case SHM__RECORD_UNSHARED:
		error->id = record->unshare.id;
		error->generation = record->unshare.generation;
		break;
	default:
		break;
	}
}

static void complain(struct shm__session *s, const struct shm__record *about, enum shm__code code,
		     struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_ERROR };

	s->faults++;
	record.error.code = (uint16_t)code;
	name_subject(about, &record.error);
	shm__emit(s, &record, out);
}

void shm__session_reject(struct shm__session *s, const struct shm__event *event,
			 enum shm__code code, struct shm__out *out)
{
	const struct shm__wire_range *range = &event->record.range;
	uint32_t *link;

	out->size = 0;
	if (event->kind == SHM__EVENT_SHARED) {
		shm__side_unshare(&s->theirs, event->share);
	} else if (event->kind == SHM__EVENT_GIVEN) {
		link = shm__side_find_give(&s->theirs, event->share, range->offset, range->length);
		if (link)
			shm__side_return(&s->theirs, event->share, link);
	} else {
		return;
	}
	complain(s, &event->record, code, out);
}

/* The other end begins, or answers; its record is right in itself. */
static enum shm__code take_hello(struct shm__session *s, const struct shm__record *record,
				 struct shm__event *event, struct shm__out *out)
{
	const struct shm__wire_hello *hello = &record->hello;
	bool begins = !record->session;

	if (!begins && record->session != s->me) {
		s->stale++;
		return SHM__CODE_DOWN;
	}
	if (!begins && s->up)
		return hello->session == s->other ? SHM__CODE_OK : SHM__CODE_ORDER;
	if (begins)
		shm__session_forget(s);
	s->up = true;
	s->other = hello->session;
	s->version =
		hello->version < SHM__PROTOCOL_VERSION ? hello->version : SHM__PROTOCOL_VERSION;
	s->may_send = record->limit;
	s->their_shares = hello->shares;
	s->their_gives = hello->gives;
	event->kind = SHM__EVENT_UP;
	if (begins)
		shm__hello(s, out);
	return SHM__CODE_OK;
}

static enum shm__code take_share(struct shm__session *s, const struct shm__record *record,
				 struct shm__event *event)
{
	const struct shm__wire_share *what = &record->share;
	struct shm__session_request *request = NULL;
	struct shm__share *share;

	if (what->id > s->theirs.share_count)
		return SHM__CODE_FULL;
	share = &s->theirs.shares[what->id - 1];
	if (share->generation && !shm__is_after(what->generation, share->generation))
		return SHM__CODE_STALE;
	if (share->state != SHM__SHARE_FREE)
		return SHM__CODE_HELD;
	if (what->tag) {
		request = shm__request_find(s->my_requests, what->tag);
		if (!request)
			return SHM__CODE_UNKNOWN;
		request->tag = 0;
	}
	*share = (struct shm__share){
		.size = what->size,
		.generation = what->generation,
		.number = record->number,
		.state = SHM__SHARE_ACTIVE,
		.dir = (uint8_t)what->dir,
	};
	event->kind = SHM__EVENT_SHARED;
	event->share = share;
	return SHM__CODE_OK;
}

/*
 * What they say of something that they share. This end may have let go of it before it could know: then
 * there is nothing to do, and ret is NULL.
 */
static enum shm__code find_theirs(struct shm__session *s, uint32_t id, uint32_t generation,
				  struct shm__share **ret)
{
	enum shm__code code = shm__side_find(&s->theirs, id, generation, ret);

	if (!code && (*ret)->state == SHM__SHARE_FREE)
		*ret = NULL;
	return code;
}

/* What they say of something that this end shares. */
static enum shm__code find_mine(struct shm__session *s, uint32_t id, uint32_t generation,
				struct shm__share **ret)
{
	enum shm__code code = shm__side_find(&s->mine, id, generation, ret);

	return !code && (*ret)->state == SHM__SHARE_FREE ? SHM__CODE_UNKNOWN : code;
}

static enum shm__code take_give(struct shm__session *s, const struct shm__record *record,
				struct shm__event *event)
{
	const struct shm__wire_range *range = &record->range;
	struct shm__give give = {
		.offset = range->offset,
		.length = range->length,
		.number = record->number,
		.dir = (uint8_t)range->dir,
	};
	struct shm__share *share;
	enum shm__code code = find_theirs(s, range->id, range->generation, &share);

	if (code || !share)
		return code;
	code = shm__side_may_give(&s->theirs, share, range->offset, range->length, range->dir);
	if (code)
		return code;
	shm__side_give(&s->theirs, share, &give);
	event->kind = SHM__EVENT_GIVEN;
	event->share = share;
	return SHM__CODE_OK;
}

static enum shm__code take_return(struct shm__session *s, const struct shm__record *record,
				  struct shm__event *event)
{
	const struct shm__wire_range *range = &record->range;
	struct shm__share *share;
	enum shm__code code = find_mine(s, range->id, range->generation, &share);
	uint32_t *link;

	if (code)
		return code;
	link = shm__side_find_give(&s->mine, share, range->offset, range->length);
	if (!link)
		return SHM__CODE_NOT_HELD;
	shm__side_return(&s->mine, share, link);
	event->kind = SHM__EVENT_RETURNED;
	event->share = share;
	event->code = (enum shm__code)range->code;
	return SHM__CODE_OK;
}

static enum shm__code take_recall(struct shm__session *s, const struct shm__record *record,
				  struct shm__event *event)
{
	const struct shm__wire_range *range = &record->range;
	struct shm__share *share;
	enum shm__code code = find_theirs(s, range->id, range->generation, &share);

	if (code || !share)
		return code;
	if (range->offset >= share->size || range->length > share->size - range->offset)
		return SHM__CODE_RANGE;
	/* returned meanwhile */
	if (!shm__side_has_given(&s->theirs, share, range->offset, range->length))
		return SHM__CODE_OK;
	event->kind = SHM__EVENT_RECALLED;
	event->share = share;
	return SHM__CODE_OK;
}

static enum shm__code take_unshare(struct shm__session *s, const struct shm__record *record,
				   struct shm__event *event)
{
	struct shm__share *share;
	enum shm__code code =
		find_theirs(s, record->unshare.id, record->unshare.generation, &share);

	if (code || !share)
		return code;
	if (share->state != SHM__SHARE_ACTIVE)
		return SHM__CODE_UNKNOWN;
	share->state = SHM__SHARE_ENDING;
	event->kind = SHM__EVENT_UNSHARE;
	event->share = share;
	return SHM__CODE_OK;
}

static void end_mine(struct shm__session *s, struct shm__share *share, enum shm__code why,
		     struct shm__event *event)
{
	event->returned = shm__side_unshare(&s->mine, share);
	event->kind = SHM__EVENT_UNSHARED;
	event->share = share;
	event->code = why;
}

static enum shm__code take_unshared(struct shm__session *s, const struct shm__record *record,
				    struct shm__event *event)
{
	struct shm__share *share;
	enum shm__code code = find_mine(s, record->unshare.id, record->unshare.generation, &share);

	if (!code)
		end_mine(s, share, SHM__CODE_OK, event);
	return code;
}

static enum shm__code take_request(struct shm__session *s, const struct shm__record *record,
				   struct shm__event *event)
{
	struct shm__session_request *request = shm__request_find(s->their_requests, 0);

	if (!request)
		return SHM__CODE_FULL;
	if (shm__request_find(s->their_requests, record->request.tag))
		return SHM__CODE_HELD;
	*request = (struct shm__session_request){ record->request.tag, record->number };
	event->kind = SHM__EVENT_REQUESTED;
	return SHM__CODE_OK;
}

static enum shm__code take_refuse(struct shm__session *s, const struct shm__record *record,
				  struct shm__event *event)
{
	struct shm__session_request *request =
		shm__request_find(s->my_requests, record->refuse.tag);

	if (!request)
		return SHM__CODE_UNKNOWN;
	request->tag = 0;
	event->kind = SHM__EVENT_REFUSED;
	event->code = (enum shm__code)record->refuse.code;
	return SHM__CODE_OK;
}

/* A GIVE of this end was refused: the bytes are as if they had been returned. */
static bool undo_give(struct shm__session *s, struct shm__share *share,
		      const struct shm__wire_error *error, struct shm__event *event)
{
	uint32_t *link = shm__side_numbered_give(&s->mine, share, error->number);
	struct shm__give give;

	if (!link)
		return false;
	give = shm__side_return(&s->mine, share, link);
	event->kind = SHM__EVENT_RETURNED;
	event->share = share;
	event->record.range = (struct shm__wire_range){
		.id = error->id,
		.generation = error->generation,
		.offset = give.offset,
		.length = give.length,
		.code = error->code,
	};
	return true;
}

static bool undo_request(struct shm__session *s, const struct shm__wire_error *error,
			 struct shm__event *event)
{
	for (uint32_t i = 0; i < SHM__SESSION_REQUESTS; i++) {
		struct shm__session_request *request = &s->my_requests[i];

		if (!request->tag || request->number != error->number)
			continue;
		event->kind = SHM__EVENT_REFUSED;
		event->record.refuse =
			(struct shm__wire_refuse){ .tag = request->tag, .code = error->code };
		request->tag = 0;
		return true;
	}
	return false;
}

/* A record of this end was refused. What it would have changed there is changed back here. */
static void take_error(struct shm__session *s, const struct shm__record *record,
		       struct shm__event *event)
{
	const struct shm__wire_error error = record->error;
	struct shm__share *share = NULL;

	s->refusals++;
	event->kind = SHM__EVENT_ERROR;
	event->code = (enum shm__code)error.code;
	if (error.type == SHM__RECORD_REQUEST && undo_request(s, &error, event))
		return;
	if (find_mine(s, error.id, error.generation, &share))
		return;
	if (error.type == SHM__RECORD_GIVE && undo_give(s, share, &error, event))
		return;
	if ((error.type == SHM__RECORD_SHARE && error.number == share->number) ||
	    (error.type == SHM__RECORD_UNSHARE && share->state == SHM__SHARE_ENDING &&
	     error.number == share->ending))
		end_mine(s, share, event->code, event);
}

static enum shm__code take(struct shm__session *s, const struct shm__record *record,
			   struct shm__event *event)
{
	switch (record->type) {
	case SHM__RECORD_SHARE:
		return take_share(s, record, event);
	case SHM__RECORD_GIVE:
		return take_give(s, record, event);
	case SHM__RECORD_RETURN:
		return take_return(s, record, event);
	case SHM__RECORD_RECALL:
		return take_recall(s, record, event);
	case SHM__RECORD_REQUEST:
		return take_request(s, record, event);
	case SHM__RECORD_REFUSE:
		return take_refuse(s, record, event);
	case SHM__RECORD_UNSHARE:
		return take_unshare(s, record, event);
	case SHM__RECORD_UNSHARED:
		return take_unshared(s, record, event);
	case SHM__RECORD_ERROR:
		take_error(s, record, event);
		return SHM__CODE_OK;
	case SHM__RECORD_CREDIT:
		return SHM__CODE_OK;
	case SHM__RECORD_USER:
		event->kind = SHM__EVENT_USER;
		return SHM__CODE_OK;
	default:
		s->skipped++;
		return SHM__CODE_OK;
	}
}

/* The next in order, within what was granted. It is used up, whatever else is wrong with it. */
static enum shm__code count(struct shm__session *s, const struct shm__record *record)
{
	if (!shm__record_counts(record->type))
		return SHM__CODE_OK;
	if (record->number != shm__next_number(s->received) ||
	    !shm__is_after(s->granted, s->received))
		return SHM__CODE_ORDER;
	s->received = record->number;
	return SHM__CODE_OK;
}

/* Without a session nobody is told, but for the one thing that keeps it from beginning. */
static enum shm__code outside(struct shm__session *s, struct shm__event *event, enum shm__code code)
{
	const struct shm__record *record = &event->record;

	if (!code && record->type == SHM__RECORD_ERROR && record->session == s->me && !s->up &&
	    record->error.code == SHM__CODE_VERSION) {
		event->kind = SHM__EVENT_NO_VERSION;
		return SHM__CODE_OK;
	}
	s->stale++;
	return SHM__CODE_DOWN;
}

static enum shm__code refuse_hello(struct shm__session *s, struct shm__event *event,
				   enum shm__code code, struct shm__out *out)
{
	const struct shm__record *record = &event->record;
	uint32_t other = s->other;

	if (code == SHM__CODE_VERSION && (!record->session || record->session == s->me)) {
		if (!s->up)
			event->kind = SHM__EVENT_NO_VERSION;
		/* to whoever said it */
		s->other = record->hello.session;
		complain(s, record, code, out);
		s->other = other;
		return code;
	}
	if (s->up)
		complain(s, record, code, out);
	else
		s->faults++;
	return code;
}

enum shm__code shm__session_receive(struct shm__session *s, const void *data, size_t size,
				    struct shm__event *ret_event, struct shm__out *out)
{
	struct shm__record *record = &ret_event->record;
	enum shm__code code = shm__record_decode(data, size, record), order;

	ret_event->kind = SHM__EVENT_NONE;
	ret_event->code = SHM__CODE_OK;
	ret_event->share = NULL;
	ret_event->returned = 0;
	out->size = 0;
	if (record->type == SHM__RECORD_HELLO) {
		if (!code)
			code = take_hello(s, record, ret_event, out);
		return code && code != SHM__CODE_DOWN ? refuse_hello(s, ret_event, code, out)
						      : code;
	}
	if (!s->up || (record->session != s->me && size >= SHM__RECORD_HEADER))
		return outside(s, ret_event, code);
	order = count(s, record);
	if (!code)
		code = order;
	if (!code)
		code = take(s, record, ret_event);
	if (code) {
		complain(s, record, code, out);
		return code;
	}
	if (shm__is_after(record->limit, s->may_send))
		s->may_send = record->limit;
	shm__credit(s, out);
	return SHM__CODE_OK;
}
