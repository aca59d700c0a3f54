/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sim_sequence.h
 * Sequences of operations on a simulated machine: made at random, run again, shrunk, printed.
 */
#ifndef SIM_SEQUENCE_H
#define SIM_SEQUENCE_H

#include "sim_world.h"

struct sim_sequence {
	struct sim_op *ops;
	size_t count;
};

/**
 * Make a sequence while it runs, up to its first failure.
 *
 * @param seed          what it is made from
 * @param most          operations
 * @param mistakes      the machine's
 * @param ret_sequence  receives it; its ops are ended by free()
 * @return what came of it
 */
struct sim_outcome sim_sequence_make(uint64_t seed, size_t most, unsigned mistakes,
				     struct sim_sequence *ret_sequence);

/** Run a sequence, in a world of its own. */
struct sim_outcome sim_sequence_run(const struct sim_op ops[], size_t count, unsigned mistakes);

/** Take operations away, and make others simpler, as long as it still fails. */
void sim_sequence_shrink(struct sim_sequence *sequence, unsigned mistakes);

/** Print a sequence as a test case that fails with it. */
void sim_sequence_print(const struct sim_sequence *sequence, const char *why, const char *name);

/** What several sequences did together. */
void sim_tally_add(struct sim_tally *sum, const struct sim_tally *tally);
void sim_tally_print(const struct sim_tally *tally);

/** Run a sequence as a case of cmocka. */
void sim_sequence_must_hold(const struct sim_op ops[], size_t count);

#endif
