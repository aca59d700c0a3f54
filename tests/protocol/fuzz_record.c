/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes: they are refused, or they are a record that comes out again as it went in. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[SHM__RECORD_MAX], third[SHM__RECORD_MAX];
	struct shm__record record, other;
	struct shm__wire_segment segment;
	size_t written, rewritten;

	if (size >= SHM__SEGMENT_SIZE && !shm__segment_decode(data, &segment) &&
	    (shm__segment_encode(&segment, again) != SHM__SEGMENT_SIZE ||
	     memcmp(again, data, SHM__SEGMENT_SIZE) != 0))
		abort();
	if (shm__record_decode(data, size, &record))
		return 0;
	written = shm__record_encode(&record, again);
	if (!written) {
		/* what was skipped is not written */
		if (record.type & SHM__OPTIONAL)
			return 0;
		abort();
	}
	/* fields that were skipped are not written, nor what says that they were there */
	if (written > size || memcmp(again, data, 2) != 0 ||
	    memcmp(again + 4, data + 4, written - 4) != 0)
		abort();
	if (shm__record_decode(again, written, &other))
		abort();
	rewritten = shm__record_encode(&other, third);
	if (rewritten != written || memcmp(again, third, written) != 0)
		abort();
	return 0;
}
