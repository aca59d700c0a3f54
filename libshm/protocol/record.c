/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records to and from bytes: little-endian, byte by byte, so that neither the machine's order nor alignment
 * matters. One walk over a record's fields both reads and writes.
 */
#include <stdbool.h>
#include <string.h>

#include "record_check.h"

struct cursor {
	uint8_t *at; /* not written through while reading */
	size_t left;
	bool write;
	bool bad; /* a field ends behind the record, or reserved bytes are not 0 */
};

/* The next bytes of the record, or NULL. */
static uint8_t *take(struct cursor *c, size_t size)
{
	uint8_t *at = c->at;

	if (c->bad || c->left < size) {
		c->bad = true;
		return NULL;
	}
	c->at += size;
	c->left -= size;
	return at;
}

static uint64_t number(struct cursor *c, uint64_t value, size_t size)
{
	uint8_t *at = take(c, size);
	uint64_t read = 0;

	if (!at)
		return 0;
	for (size_t i = 0; i < size; i++) {
		if (c->write)
			at[i] = (uint8_t)(value >> 8 * i);
		else
			read |= (uint64_t)at[i] << 8 * i;
	}
	return c->write ? value : read;
}

static void u16(struct cursor *c, uint16_t *value)
{
	*value = (uint16_t)number(c, *value, 2);
}

static void u32(struct cursor *c, uint32_t *value)
{
	*value = (uint32_t)number(c, *value, 4);
}

static void u64(struct cursor *c, uint64_t *value)
{
	*value = number(c, *value, 8);
}

static void zero(struct cursor *c, size_t size)
{
	if (number(c, 0, size))
		c->bad = true;
}

static void segment(struct cursor *c, struct shm__wire_segment *at)
{
	u64(c, &at->address);
	u64(c, &at->length);
}

static enum shm__code share(struct cursor *c, struct shm__wire_share *at)
{
	enum shm__code code;
	uint32_t count;

	u32(c, &at->id);
	u32(c, &at->generation);
	u64(c, &at->size);
	u64(c, &at->offset);
	u32(c, &at->tag);
	u16(c, &at->dir);
	u16(c, &at->flags);
	u32(c, &at->segments);
	zero(c, 4);
	code = c->bad ? SHM__CODE_MALFORMED : shm__check_share(at);
	if (code)
		return code;
	count = at->flags & SHM__SHARE_TABLE ? 1 : at->segments;
	for (uint32_t i = 0; i < count; i++)
		segment(c, &at->segment[i]);
	return SHM__CODE_OK;
}

static enum shm__code user(struct cursor *c, struct shm__wire_user *at)
{
	uint8_t *data;

	u32(c, &at->length);
	zero(c, 4);
	if (c->bad || at->length > SHM__USER_MAX)
		return SHM__CODE_MALFORMED;
	data = take(c, at->length);
	if (data && c->write)
		memcpy(data, at->data, at->length);
	else
		at->data = data;
	zero(c, -at->length & 3);
	return SHM__CODE_OK;
}

static void range(struct cursor *c, struct shm__wire_range *at)
{
	u32(c, &at->id);
	u32(c, &at->generation);
	u64(c, &at->offset);
	u64(c, &at->length);
	u32(c, &at->dir);
	u32(c, &at->code);
}

static void hello(struct cursor *c, struct shm__wire_hello *at)
{
	u32(c, &at->session);
	u16(c, &at->version);
	u16(c, &at->oldest);
	u32(c, &at->shares);
	u32(c, &at->gives);
}

static void error(struct cursor *c, struct shm__wire_error *at)
{
	u32(c, &at->number);
	u16(c, &at->type);
	u16(c, &at->code);
	u32(c, &at->id);
	u32(c, &at->generation);
}

static enum shm__code body(struct cursor *c, struct shm__record *record)
{
	switch (record->type) {
	case SHM__RECORD_HELLO:
		hello(c, &record->hello);
		break;
	case SHM__RECORD_SHARE:
		return share(c, &record->share);
	case SHM__RECORD_GIVE:
	case SHM__RECORD_RETURN:
	case SHM__RECORD_RECALL:
		range(c, &record->range);
		break;
	case SHM__RECORD_REQUEST:
		u64(c, &record->request.size);
		u32(c, &record->request.type);
		u32(c, &record->request.tag);
		break;
	case SHM__RECORD_REFUSE:
		u32(c, &record->refuse.tag);
		u32(c, &record->refuse.code);
		break;
	case SHM__RECORD_UNSHARE:
	case SHM__RECORD_UNSHARED:
		u32(c, &record->unshare.id);
		u32(c, &record->unshare.generation);
		break;
	case SHM__RECORD_ERROR:
		error(c, &record->error);
		break;
	case SHM__RECORD_CREDIT:
		break;
	case SHM__RECORD_USER:
		return user(c, &record->user);
	default:
		return SHM__CODE_TYPE;
	}
	return SHM__CODE_OK;
}

static void header(struct cursor *c, struct shm__record *record, uint16_t *size)
{
	u16(c, &record->type);
	u16(c, size);
	u32(c, &record->session);
	u32(c, &record->number);
	u32(c, &record->limit);
}

/* What later versions add stands behind the rest: kind, length, bytes up to the next multiple of 4. */
static enum shm__code skip_fields(struct cursor *c)
{
	uint16_t kind = 0, length = 0;

	while (c->left) {
		u16(c, &kind);
		u16(c, &length);
		take(c, ((size_t)length + 3) & ~(size_t)3);
		if (c->bad)
			return SHM__CODE_MALFORMED;
		if (!(kind & SHM__OPTIONAL))
			return SHM__CODE_FIELD;
	}
	return SHM__CODE_OK;
}

bool shm__record_counts(uint16_t type)
{
	return type != SHM__RECORD_HELLO && type != SHM__RECORD_ERROR && type != SHM__RECORD_CREDIT;
}

enum shm__code shm__record_decode(const void *data, size_t size, struct shm__record *ret)
{
	struct cursor c = { .at = (uint8_t *)(uintptr_t)data, .left = size };
	uint16_t said = 0;
	enum shm__code code;

	memset(ret, 0, sizeof(*ret));
	if (size < SHM__RECORD_HEADER || size > SHM__RECORD_MAX)
		return SHM__CODE_MALFORMED;
	header(&c, ret, &said);
	if (said != size || size % 4 || shm__record_counts(ret->type) != (ret->number != 0))
		return SHM__CODE_MALFORMED;
	code = body(&c, ret);
	if (code == SHM__CODE_TYPE && (ret->type & SHM__OPTIONAL))
		return SHM__CODE_OK;
	if (!code)
		code = c.bad ? SHM__CODE_MALFORMED : shm__check_record(ret);
	return code ? code : skip_fields(&c);
}

size_t shm__record_encode(const struct shm__record *record, uint8_t buffer[static SHM__RECORD_MAX])
{
	struct cursor c = { .at = buffer, .left = SHM__RECORD_MAX, .write = true };
	struct shm__record copy = *record;
	uint16_t size = 0;

	if (shm__record_counts(copy.type) != (copy.number != 0) || shm__check_record(&copy))
		return 0;
	header(&c, &copy, &size);
	if (body(&c, &copy))
		return 0;
	size = (uint16_t)(SHM__RECORD_MAX - c.left);
	c = (struct cursor){ .at = buffer + 2, .left = 2, .write = true };
	u16(&c, &size);
	return size;
}

enum shm__code shm__segment_decode(const uint8_t entry[static SHM__SEGMENT_SIZE],
				   struct shm__wire_segment *ret)
{
	struct cursor c = { .at = (uint8_t *)(uintptr_t)entry, .left = SHM__SEGMENT_SIZE };

	segment(&c, ret);
	return shm__check_segment(ret);
}

size_t shm__segment_encode(const struct shm__wire_segment *from,
			   uint8_t entry[static SHM__SEGMENT_SIZE])
{
	struct cursor c = { .at = entry, .left = SHM__SEGMENT_SIZE, .write = true };
	struct shm__wire_segment copy = *from;

	if (shm__check_segment(from))
		return 0;
	segment(&c, &copy);
	return SHM__SEGMENT_SIZE;
}
