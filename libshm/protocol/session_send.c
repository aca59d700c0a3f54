/* SPDX-License-Identifier: BSD-3-Clause */
/* What the program wants of the other end, as records. */
#include <string.h>

#include "session_send.h"

/* The highest number that the other end may use. What was granted once is not taken back. */
static uint32_t limit_of(const struct shm__session *s)
{
	uint32_t limit = s->received + s->window - s->unread;

	return shm__is_after(limit, s->granted) ? limit : s->granted;
}

enum shm__code shm__may_send(const struct shm__session *s)
{
	if (!s->up)
		return SHM__CODE_DOWN;
	return shm__is_after(s->may_send, s->sent) ? SHM__CODE_OK : SHM__CODE_AGAIN;
}

enum shm__code shm__emit(struct shm__session *s, struct shm__record *record, struct shm__out *out)
{
	bool counts = shm__record_counts(record->type);

	record->session = s->other;
	record->number = counts ? shm__next_number(s->sent) : 0;
	record->limit = limit_of(s);
	out->size = shm__record_encode(record, out->data);
	if (!out->size)
		return SHM__CODE_INVALID;
	s->granted = record->limit;
	if (counts)
		s->sent = record->number;
	return SHM__CODE_OK;
}

void shm__session_forget(struct shm__session *s)
{
	shm__side_reset(&s->mine);
	shm__side_reset(&s->theirs);
	for (uint32_t i = 0; i < s->theirs.share_count; i++)
		s->theirs.shares[i].generation = 0;
	memset(s->my_requests, 0, sizeof(s->my_requests));
	memset(s->their_requests, 0, sizeof(s->their_requests));
	s->up = false;
	s->other = 0;
	s->sent = s->may_send = s->received = s->granted = 0;
}

void shm__session_init(struct shm__session *s, const struct shm__session_setup *setup)
{
	memset(s, 0, sizeof(*s));
	s->mine = setup->mine;
	s->theirs = setup->theirs;
	s->me = setup->session;
	s->window = setup->window;
	for (uint32_t i = 0; i < s->mine.share_count; i++)
		s->mine.shares[i].generation = 0;
	s->mine.next_share = 0;
	shm__session_forget(s);
}

void shm__hello(struct shm__session *s, struct shm__out *out)
{
	struct shm__record record = {
		.type = SHM__RECORD_HELLO,
		.hello = {
			.session = s->me,
			.version = SHM__PROTOCOL_VERSION,
			.oldest = SHM__PROTOCOL_VERSION,
			.shares = s->theirs.share_count,
			.gives = s->theirs.give_count,
		},
	};

	shm__emit(s, &record, out);
}

void shm__session_begin(struct shm__session *s, uint32_t session, struct shm__out *out)
{
	shm__session_forget(s);
	s->me = session;
	shm__hello(s, out);
}

void shm__credit(struct shm__session *s, struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_CREDIT };

	if (!out->size && limit_of(s) - s->granted >= (s->window + 1) / 2)
		shm__emit(s, &record, out);
}

void shm__session_credit(struct shm__session *s, struct shm__out *out)
{
	out->size = 0;
	if (s->up)
		shm__credit(s, out);
}

enum shm__code shm__session_share(struct shm__session *s, const struct shm__wire_share *what,
				  void *user, uint32_t *ret_id, struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_SHARE, .share = *what };
	struct shm__session_request *request = NULL;
	enum shm__code code = shm__may_send(s);
	struct shm__share *share;

	out->size = 0;
	if (code)
		return code;
	if (what->tag) {
		request = shm__request_find(s->their_requests, what->tag);
		if (!request)
			return SHM__CODE_UNKNOWN;
	}
	share = shm__side_free_share(&s->mine, s->their_shares);
	if (!share)
		return SHM__CODE_FULL;
	record.share.id = (uint32_t)(share - s->mine.shares) + 1;
	record.share.generation = shm__next_number(share->generation);
	code = shm__emit(s, &record, out);
	if (code)
		return code;
	if (request)
		request->tag = 0;
	*share = (struct shm__share){
		.size = what->size,
		.user = user,
		.generation = record.share.generation,
		.number = record.number,
		.state = SHM__SHARE_ACTIVE,
		.dir = (uint8_t)what->dir,
	};
	*ret_id = s->mine.next_share = record.share.id;
	return SHM__CODE_OK;
}

enum shm__code shm__session_give(struct shm__session *s, uint32_t id, uint64_t offset,
				 uint64_t length, unsigned dir, struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_GIVE };
	struct shm__share *share = shm__side_used(&s->mine, id);
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (!code && !share)
		code = SHM__CODE_UNKNOWN;
	if (!code)
		code = shm__side_may_give(&s->mine, share, offset, length, dir);
	if (!code && s->mine.given >= s->their_gives)
		code = SHM__CODE_FULL;
	if (code)
		return code;
	record.range = (struct shm__wire_range){
		.id = id,
		.generation = share->generation,
		.offset = offset,
		.length = length,
		.dir = dir,
	};
	code = shm__emit(s, &record, out);
	if (!code)
		shm__side_give(&s->mine, share,
			       &(struct shm__give){ .offset = offset,
						    .length = length,
						    .number = record.number,
						    .dir = (uint8_t)dir });
	return code;
}

enum shm__code shm__session_recall(struct shm__session *s, uint32_t id, uint64_t offset,
				   uint64_t length, struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_RECALL };
	struct shm__share *share = shm__side_used(&s->mine, id);
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (code)
		return code;
	if (!share)
		return SHM__CODE_UNKNOWN;
	if (!shm__side_has_given(&s->mine, share, offset, length))
		return SHM__CODE_NOT_HELD;
	record.range.id = id;
	record.range.generation = share->generation;
	record.range.offset = offset;
	record.range.length = length;
	return shm__emit(s, &record, out);
}

static enum shm__code send_unshare(struct shm__session *s, uint16_t type, uint32_t id,
				   const struct shm__share *share, uint32_t *ret_number,
				   struct shm__out *out)
{
	struct shm__record record = {
		.type = type,
		.unshare = { .id = id, .generation = share->generation },
	};
	enum shm__code code = shm__emit(s, &record, out);

	if (!code)
		*ret_number = record.number;
	return code;
}

enum shm__code shm__session_unshare(struct shm__session *s, uint32_t id, struct shm__out *out)
{
	struct shm__share *share = shm__side_used(&s->mine, id);
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (code)
		return code;
	if (!share || share->state != SHM__SHARE_ACTIVE)
		return SHM__CODE_UNKNOWN;
	code = send_unshare(s, SHM__RECORD_UNSHARE, id, share, &share->ending, out);
	if (!code)
		share->state = SHM__SHARE_ENDING;
	return code;
}

enum shm__code shm__session_return(struct shm__session *s, uint32_t id, uint64_t offset,
				   uint64_t length, enum shm__code result, struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_RETURN };
	struct shm__share *share = shm__side_used(&s->theirs, id);
	enum shm__code code = shm__may_send(s);
	uint32_t *link;

	out->size = 0;
	if (code)
		return code;
	if (!share)
		return SHM__CODE_UNKNOWN;
	link = shm__side_find_give(&s->theirs, share, offset, length);
	if (!link)
		return SHM__CODE_NOT_HELD;
	record.range = (struct shm__wire_range){
		.id = id,
		.generation = share->generation,
		.offset = offset,
		.length = length,
		.code = (uint32_t)result,
	};
	code = shm__emit(s, &record, out);
	if (!code)
		shm__side_return(&s->theirs, share, link);
	return code;
}

enum shm__code shm__session_unshared(struct shm__session *s, uint32_t id, struct shm__out *out)
{
	struct shm__share *share = shm__side_used(&s->theirs, id);
	enum shm__code code = shm__may_send(s);
	uint32_t number;

	out->size = 0;
	if (code)
		return code;
	if (!share)
		return SHM__CODE_UNKNOWN;
	code = send_unshare(s, SHM__RECORD_UNSHARED, id, share, &number, out);
	if (!code)
		shm__side_unshare(&s->theirs, share);
	return code;
}

enum shm__code shm__session_request(struct shm__session *s, uint64_t size, uint32_t type,
				    uint32_t *ret_tag, struct shm__out *out)
{
	struct shm__record record = {
		.type = SHM__RECORD_REQUEST,
		.request = { .size = size, .type = type, .tag = shm__next_number(s->last_tag) },
	};
	struct shm__session_request *request = shm__request_find(s->my_requests, 0);
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (code)
		return code;
	if (!request)
		return SHM__CODE_FULL;
	code = shm__emit(s, &record, out);
	if (code)
		return code;
	*request = (struct shm__session_request){ record.request.tag, record.number };
	*ret_tag = s->last_tag = record.request.tag;
	return SHM__CODE_OK;
}

enum shm__code shm__session_refuse(struct shm__session *s, uint32_t tag, enum shm__code why,
				   struct shm__out *out)
{
	struct shm__record record = {
		.type = SHM__RECORD_REFUSE,
		.refuse = { .tag = tag, .code = (uint32_t)why },
	};
	struct shm__session_request *request =
		tag ? shm__request_find(s->their_requests, tag) : NULL;
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (code)
		return code;
	if (!request)
		return SHM__CODE_UNKNOWN;
	code = shm__emit(s, &record, out);
	if (!code)
		request->tag = 0;
	return code;
}

enum shm__code shm__session_send(struct shm__session *s, const void *data, size_t size,
				 struct shm__out *out)
{
	struct shm__record record = { .type = SHM__RECORD_USER };
	enum shm__code code = shm__may_send(s);

	out->size = 0;
	if (code)
		return code;
	if (size > SHM__USER_MAX)
		return SHM__CODE_INVALID;
	record.user.length = (uint32_t)size;
	record.user.data = data;
	return shm__emit(s, &record, out);
}
