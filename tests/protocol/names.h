/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocol's numbers, in words, for texts that people read. */
#ifndef PROTOCOL_NAMES_H
#define PROTOCOL_NAMES_H

#include <stdio.h>
#include <string.h>

#include "session.h"

static const char *const record_names[] = {
	[SHM__RECORD_HELLO] = "HELLO",     [SHM__RECORD_SHARE] = "SHARE",
	[SHM__RECORD_GIVE] = "GIVE",       [SHM__RECORD_RETURN] = "RETURN",
	[SHM__RECORD_REQUEST] = "REQUEST", [SHM__RECORD_REFUSE] = "REFUSE",
	[SHM__RECORD_UNSHARE] = "UNSHARE", [SHM__RECORD_UNSHARED] = "UNSHARED",
	[SHM__RECORD_ERROR] = "ERROR",     [SHM__RECORD_CREDIT] = "CREDIT",
	[SHM__RECORD_USER] = "USER",
};
static const char *const code_names[] = {
	[SHM__CODE_OK] = "OK",
	[SHM__CODE_MALFORMED] = "MALFORMED",
	[SHM__CODE_VERSION] = "VERSION",
	[SHM__CODE_TYPE] = "TYPE",
	[SHM__CODE_FIELD] = "FIELD",
	[SHM__CODE_ORDER] = "ORDER",
	[SHM__CODE_UNKNOWN] = "UNKNOWN",
	[SHM__CODE_STALE] = "STALE",
	[SHM__CODE_RANGE] = "RANGE",
	[SHM__CODE_DIRECTION] = "DIRECTION",
	[SHM__CODE_HELD] = "HELD",
	[SHM__CODE_NOT_HELD] = "NOT_HELD",
	[SHM__CODE_FULL] = "FULL",
	[SHM__CODE_MEMORY] = "MEMORY",
	[SHM__CODE_REFUSED] = "REFUSED",
	[SHM__CODE_FAILED] = "FAILED",
	[SHM__CODE_CANCELLED] = "CANCELLED",
	[SHM__CODE_NO_MEMORY] = "NO_MEMORY",
};
static const char *const event_names[] = {
	[SHM__EVENT_NONE] = "NONE",
	[SHM__EVENT_UP] = "UP",
	[SHM__EVENT_SHARED] = "SHARED",
	[SHM__EVENT_GIVEN] = "GIVEN",
	[SHM__EVENT_RETURNED] = "RETURNED",
	[SHM__EVENT_RECALLED] = "RECALLED",
	[SHM__EVENT_REQUESTED] = "REQUESTED",
	[SHM__EVENT_REFUSED] = "REFUSED",
	[SHM__EVENT_UNSHARE] = "UNSHARE",
	[SHM__EVENT_UNSHARED] = "UNSHARED",
	[SHM__EVENT_USER] = "USER",
	[SHM__EVENT_ERROR] = "ERROR",
	[SHM__EVENT_NO_VERSION] = "NO_VERSION",
};

static inline const char *name_of(const char *const names[], size_t count, unsigned value)
{
	return value < count && names[value] ? names[value] : "unknown";
}

#define NAME(names, value) name_of(names, sizeof(names) / sizeof((names)[0]), value)

static inline const char *record_name(uint16_t type)
{
	return type == SHM__RECORD_RECALL ? "RECALL" : NAME(record_names, type);
}

/* What a record has of its own, in words. */
static inline void describe_body(const struct shm__record *r, FILE *to)
{
	switch (r->type) {
	case SHM__RECORD_HELLO:
		fprintf(to, " session 0x%x version %u oldest %u shares %u gives %u",
			r->hello.session, r->hello.version, r->hello.oldest, r->hello.shares,
			r->hello.gives);
		break;
	case SHM__RECORD_SHARE:
		fprintf(to, " id %u generation %u size %llu offset %llu tag %u dir %u flags %u",
			r->share.id, r->share.generation, (unsigned long long)r->share.size,
			(unsigned long long)r->share.offset, r->share.tag, r->share.dir,
			r->share.flags);
		fprintf(to, " segments %u", r->share.segments);
		for (uint32_t i = 0;
		     i < (r->share.flags & SHM__SHARE_TABLE ? 1 : r->share.segments); i++)
			fprintf(to, " 0x%llx+%llu", (unsigned long long)r->share.segment[i].address,
				(unsigned long long)r->share.segment[i].length);
		break;
	case SHM__RECORD_GIVE:
	case SHM__RECORD_RETURN:
	case SHM__RECORD_RECALL:
		fprintf(to, " id %u generation %u offset %llu length %llu", r->range.id,
			r->range.generation, (unsigned long long)r->range.offset,
			(unsigned long long)r->range.length);
		if (r->type == SHM__RECORD_GIVE)
			fprintf(to, " dir %u", r->range.dir);
		if (r->type == SHM__RECORD_RETURN)
			fprintf(to, " code %s", NAME(code_names, r->range.code));
		break;
	case SHM__RECORD_REQUEST:
		fprintf(to, " size %llu type 0x%x tag %u", (unsigned long long)r->request.size,
			r->request.type, r->request.tag);
		break;
	case SHM__RECORD_REFUSE:
		fprintf(to, " tag %u code %s", r->refuse.tag, NAME(code_names, r->refuse.code));
		break;
	case SHM__RECORD_UNSHARE:
	case SHM__RECORD_UNSHARED:
		fprintf(to, " id %u generation %u", r->unshare.id, r->unshare.generation);
		break;
	case SHM__RECORD_ERROR:
		fprintf(to, " of %u %s code %s id %u generation %u", r->error.number,
			record_name(r->error.type), NAME(code_names, r->error.code), r->error.id,
			r->error.generation);
		break;
	case SHM__RECORD_USER:
		fprintf(to, " length %u %.*s", r->user.length, (int)r->user.length,
			(const char *)r->user.data);
		break;
	default:
		break;
	}
}

static inline void describe(const struct shm__record *r, FILE *to)
{
	fprintf(to, "%s to 0x%x number %u limit %u", record_name(r->type), r->session, r->number,
		r->limit);
	describe_body(r, to);
}

#endif
