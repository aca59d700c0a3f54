/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sim_model.h
 * What every byte of a buffer is, and who may touch it: the rules of docs/ownership.md byte by byte,
 * without caches, since to whoever keeps to the rules there are none.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <shm/shm.h>

/** Views of all buffers together, each a bit. */
#define SIM_VIEWS 16u

/** What else is to be known of a byte: bits. */
#define SIM_UNKNOWN 1u /**< it was lost, and not written since */
#define SIM_FAILED  2u /**< its holder failed: whoever would read it next is told */

struct sim_model {
	size_t size;
	unsigned char *value;
	uint32_t *reads, *writes; /**< the views that may, of each byte */
	unsigned char *cpu;    /**< METAL_SHM_READ and _WRITE: what the program may, of each byte */
	unsigned char *fate;   /**< what else is to be known, of each byte */
	unsigned char *newest; /**< the view that alone has it, in its shadow; SIM_VIEWS: none */
	uint32_t shadows;      /**< the views that stand for a copy */
};

/** A buffer that is the program's. Ended by sim_model_end(). */
struct sim_model *sim_model_new(const void *bytes, size_t size);
void sim_model_end(struct sim_model *model);

/**
 * Whether an access has to wait for queued work of others.
 *
 * @param model   the model
 * @param others  views of other devices that have work queued, in bits
 * @param dir     the access
 */
bool sim_model_waits(const struct sim_model *model, size_t offset, size_t size, uint32_t others,
		     enum metal_shm_dir dir);

/**
 * Hand bytes over to a view. Whoever held them and can't share them has them no more.
 *
 * @param model    the model
 * @param view     who gets them
 * @param dir      what for; with work queued already it is added to what that is for
 * @param pending  views that have work queued, in bits: they keep what they have
 */
void sim_model_give(struct sim_model *model, size_t offset, size_t size, unsigned view,
		    enum metal_shm_dir dir, uint32_t pending);

/** The program takes bytes back. */
void sim_model_take(struct sim_model *model, size_t offset, size_t size, enum metal_shm_dir dir);
/** Whether it may: 0; -EINVAL a holder keeps a write that isn't named; -ETIMEDOUT queued work has the
 *  bytes. */
int sim_model_may_take(const struct sim_model *model, size_t offset, size_t size,
		       enum metal_shm_dir dir, uint32_t pending);

/**
 * Somebody takes bytes, and is told by then.
 *
 * @param model   the model
 * @param error   what the call answers: -EIO they are lost
 * @param reader  the taker would read them, so it would have been told
 */
void sim_model_settle(struct sim_model *model, size_t offset, size_t size, int error, bool reader);

/** Whether some bytes are so: SIM_UNKNOWN or SIM_FAILED. */
bool sim_model_are(const struct sim_model *model, size_t offset, size_t size, unsigned fate);

/** A holder failed. */
void sim_model_fail(struct sim_model *model, size_t offset, size_t size);

/**
 * A view ends: it holds nothing any more, and nobody has got it.
 *
 * @param model   the model
 * @param view    the view
 */
void sim_model_drop(struct sim_model *model, unsigned view);

/** Put down what was written: the bytes are known. */
void sim_model_write(struct sim_model *model, size_t offset, const void *bytes, size_t n);

/**
 * The next run of bytes of which a mask has all the bits.
 *
 * @param model   the model
 * @param view    the view that must be allowed to write them, or SIM_VIEWS for the program
 * @param offset  where to begin; receives the run's beginning
 * @param end     where to stop
 * @return its length; 0 there is none
 */
size_t sim_model_writable(const struct sim_model *model, unsigned view, size_t *offset, size_t end);

#endif
