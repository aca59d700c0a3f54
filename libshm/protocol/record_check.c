/* SPDX-License-Identifier: BSD-3-Clause */
/* What no record may say, whatever was said before. */
#include <stdbool.h>

#include "record_check.h"

#define MAX_CODE 0xffffu

static bool is_dir(uint32_t dir)
{
	return dir >= SHM__WIRE_READS && dir <= (SHM__WIRE_READS | SHM__WIRE_WRITES);
}

static bool overflows(uint64_t start, uint64_t length)
{
	return length > UINT64_MAX - start;
}

enum shm__code shm__check_segment(const struct shm__wire_segment *segment)
{
	if (!segment->length || overflows(segment->address, segment->length))
		return SHM__CODE_RANGE;
	return SHM__CODE_OK;
}

static enum shm__code check_hello(const struct shm__wire_hello *hello)
{
	if (!hello->session)
		return SHM__CODE_MALFORMED;
	if (!hello->oldest || hello->oldest > hello->version ||
	    hello->oldest > SHM__PROTOCOL_VERSION)
		return SHM__CODE_VERSION;
	return SHM__CODE_OK;
}

static enum shm__code check_table(const struct shm__wire_share *share)
{
	const struct shm__wire_segment *table = &share->segment[0];

	if (share->segments <= SHM__SEGMENTS_MAX)
		return SHM__CODE_MALFORMED;
	if (table->length != (uint64_t)share->segments * SHM__SEGMENT_SIZE)
		return SHM__CODE_RANGE;
	return shm__check_segment(table);
}

static enum shm__code check_segments(const struct shm__wire_share *share)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < share->segments; i++) {
		enum shm__code code = shm__check_segment(&share->segment[i]);

		if (code)
			return code;
		if (overflows(sum, share->segment[i].length))
			return SHM__CODE_RANGE;
		sum += share->segment[i].length;
	}
	return sum == share->size ? SHM__CODE_OK : SHM__CODE_RANGE;
}

enum shm__code shm__check_share(const struct shm__wire_share *share)
{
	if (share->flags & ~(SHM__SHARE_DESCRIPTOR | SHM__SHARE_TABLE))
		return SHM__CODE_FIELD;
	if (!share->id || !share->generation || !is_dir(share->dir))
		return SHM__CODE_MALFORMED;
	if (!share->size || overflows(share->offset, share->size))
		return SHM__CODE_RANGE;
	if (share->flags & SHM__SHARE_DESCRIPTOR)
		return share->flags & SHM__SHARE_TABLE || share->segments ? SHM__CODE_MALFORMED
									  : SHM__CODE_OK;
	if (!share->segments || share->offset)
		return SHM__CODE_MALFORMED;
	if (!(share->flags & SHM__SHARE_TABLE) && share->segments > SHM__SEGMENTS_MAX)
		return SHM__CODE_MALFORMED;
	return SHM__CODE_OK;
}

static enum shm__code check_all_of_share(const struct shm__wire_share *share)
{
	enum shm__code code = shm__check_share(share);

	if (code || share->flags & SHM__SHARE_DESCRIPTOR)
		return code;
	return share->flags & SHM__SHARE_TABLE ? check_table(share) : check_segments(share);
}

static enum shm__code check_range(uint16_t type, const struct shm__wire_range *range)
{
	if (!range->id || !range->generation)
		return SHM__CODE_MALFORMED;
	if (type == SHM__RECORD_GIVE ? !is_dir(range->dir) : range->dir != 0)
		return SHM__CODE_MALFORMED;
	if (range->code > (type == SHM__RECORD_RETURN ? MAX_CODE : 0))
		return SHM__CODE_MALFORMED;
	if (!range->length || overflows(range->offset, range->length))
		return SHM__CODE_RANGE;
	return SHM__CODE_OK;
}

enum shm__code shm__check_record(const struct shm__record *record)
{
	switch (record->type) {
	case SHM__RECORD_HELLO:
		return check_hello(&record->hello);
	case SHM__RECORD_SHARE:
		return check_all_of_share(&record->share);
	case SHM__RECORD_GIVE:
	case SHM__RECORD_RETURN:
	case SHM__RECORD_RECALL:
		return check_range(record->type, &record->range);
	case SHM__RECORD_REQUEST:
		return record->request.size && record->request.tag ? SHM__CODE_OK
								   : SHM__CODE_MALFORMED;
	case SHM__RECORD_REFUSE:
		return record->refuse.tag && record->refuse.code && record->refuse.code <= MAX_CODE
			       ? SHM__CODE_OK
			       : SHM__CODE_MALFORMED;
	case SHM__RECORD_UNSHARE:
	case SHM__RECORD_UNSHARED:
		return record->unshare.id && record->unshare.generation ? SHM__CODE_OK
									: SHM__CODE_MALFORMED;
	case SHM__RECORD_ERROR:
		return record->error.code ? SHM__CODE_OK : SHM__CODE_MALFORMED;
	case SHM__RECORD_USER:
		return record->user.length && record->user.length <= SHM__USER_MAX
			       ? SHM__CODE_OK
			       : SHM__CODE_MALFORMED;
	default:
		return SHM__CODE_OK;
	}
}
