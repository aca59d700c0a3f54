/* SPDX-License-Identifier: BSD-3-Clause */
/* How the programs of the group bad-input say what a call must answer, and why. */
#ifndef BAD_INPUT_H
#define BAD_INPUT_H

#include "drm_card.h"
#include "v4l2_board.h"

/* A call that answers NULL, or an error. */
#define refused(call, error, word)                                                          \
	do {                                                                                \
		errno = 0;                                                                  \
		if (call)                                                                   \
			fail_msg("%s is not refused", #call);                               \
		if (errno != (error))                                                       \
			fail_msg("%s: errno %d, %s", #call, errno, metal_shm_last_error()); \
		assert_reason(word);                                                        \
	} while (0)

#define fails(call, error, word)                                                     \
	do {                                                                         \
		int ret_ = (call);                                                   \
		if (ret_ != -(error))                                                \
			fail_msg("%s: %d, %s", #call, ret_, metal_shm_last_error()); \
		assert_reason(word);                                                 \
	} while (0)

static inline uint64_t misuses(void)
{
	struct metal_shm_stats stats = { .struct_size = sizeof(stats) };

	ok(metal_shm_stats(&stats));
	return stats.misuse;
}

/* A void call that changes nothing but what it leaves to be read. */
#define is_misuse(call, word)                             \
	do {                                              \
		uint64_t before_ = misuses();             \
		errno = 0;                                \
		call;                                     \
		assert_int_equal(errno, EINVAL);          \
		assert_reason(word);                      \
		assert_int_equal(misuses(), before_ + 1); \
	} while (0)

#endif
