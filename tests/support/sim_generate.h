/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SIM_GENERATE_H
#define SIM_GENERATE_H

#include "sim_world.h"

/** The next operation of a world, at random. */
struct sim_op sim_generate(const struct sim_world *world, struct sim_rng *rng);

#endif
