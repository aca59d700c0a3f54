/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers that come back to their pool: given on to the feeder, to whoever waits, or to the source. */
#include "pool.h"

void shm__pool_wake_up(struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;

	shm__mutex_lock(&root->lock);
	root->idle = false;
	atomic_store(&shm->refs, 1);
	shm__mutex_unlock(&root->lock);
}

/* Under the pool's lock. Its feeder still knows a pool that was destroyed, and ends the feeding. */
static bool is_over(const struct metal_shm_pool *pool)
{
	return pool->destroyed && !pool->remaining && !pool->passes && !pool->feeder;
}

/* An idle buffer of a pool that ended. It has one reference here, so nothing ends too early. */
void shm__pool_retire(struct metal_shm_pool *pool, struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;
	bool last;

	shm__pool_wake_up(shm);
	shm__mutex_lock(&root->lock);
	root->pool = NULL;
	shm__mutex_unlock(&root->lock);
	for (size_t i = 0; i < pool->n; i++) {
		struct metal_generic_shm *view = NULL;

		if (shm__uses(pool->devs[i]))
			view = metal_shm_view(shm, pool->devs[i]);
		if (view)
			metal_shm_detach(view, pool->devs[i]);
	}
	metal_shm_free(shm, NULL);
	shm__mutex_lock(&pool->lock);
	pool->remaining--;
	last = is_over(pool);
	shm__mutex_unlock(&pool->lock);
	if (last)
		shm__pool_free(pool);
}

/* What was idle longest, so that a pass meets each buffer once: what is declined goes to the end. */
static struct metal_generic_shm *take_oldest(struct metal_shm_pool *pool)
{
	struct metal_generic_shm *shm = pool->idle[0];

	pool->idle_count--;
	for (unsigned i = 0; i < pool->idle_count; i++)
		pool->idle[i] = pool->idle[i + 1];
	return shm;
}

/*
 * Offer what is idle now to the feeder, each buffer once, under the pool's lock, which is open
 * meanwhile. What comes back then is offered by the thread that brings it, so nothing waits for another
 * return. True: the pool ended meanwhile and nobody else frees it.
 */
static bool feed_idle(struct metal_shm_pool *pool)
{
	struct shm__pass pass = { .left = pool->idle_count, .next = pool->passes };
	struct shm__pass **at;

	if (!pool->feed)
		return false;
	pass.thread = shm__os_thread();
	pool->passes = &pass;
	for (; pass.left && pool->idle_count && pool->feed; pass.left--) {
		void (*feed)(struct metal_device * dev, struct metal_generic_shm * shm) =
			pool->feed;
		struct metal_device *feeder = pool->feeder;

		pass.offered = take_oldest(pool);
		pass.turn = pool->turn;
		shm__mutex_unlock(&pool->lock);
		shm__pool_wake_up(pass.offered);
		feed(feeder, pass.offered);
		shm__mutex_lock(&pool->lock);
	}
	for (at = &pool->passes; *at != &pass; at = &(*at)->next)
		;
	*at = pass.next;
	return is_over(pool);
}

/*
 * Under the pool's lock. True where this thread is on the way to offer buffers already: one that comes
 * back out of the feeder's callback is not offered from inside it.
 */
static bool is_left_to_pass(struct metal_shm_pool *pool, const struct metal_generic_shm *shm)
{
	struct shm__pass *pass = pool->passes;

	while (pass && !shm__os_is_thread(pass->thread))
		pass = pass->next;
	if (!pass)
		return false;
	/* what the callback itself gave back is declined, but only by the feeder that it was offered to */
	if (shm != pass->offered || pass->turn != pool->turn)
		pass->left++;
	return true;
}

/* The memory is idle and nobody else knows of it. */
void shm__pool_return(struct shm__root *root)
{
	struct metal_shm_pool *pool = root->pool;
	bool last = false;

	shm__mutex_lock(&pool->lock);
	if (pool->destroyed) {
		shm__mutex_unlock(&pool->lock);
		shm__pool_retire(pool, root->buffer);
		return;
	}
	pool->idle[pool->idle_count++] = root->buffer;
	pool->returns++;
	shm__wake_all(pool->waiters);
	if (!is_left_to_pass(pool, root->buffer))
		last = feed_idle(pool);
	shm__mutex_unlock(&pool->lock);
	if (last)
		shm__pool_free(pool);
}

static bool has_device(const struct metal_shm_pool *pool, const struct metal_device *dev)
{
	for (size_t i = 0; i < pool->n; i++)
		if (pool->devs[i] == dev)
			return true;
	return false;
}

int metal_shm_pool_feed(struct metal_shm_pool *pool, struct metal_device *dev,
			void (*idle)(struct metal_device *dev, struct metal_generic_shm *shm))
{
	int error = shm__pool_check(pool);
	bool last = false;

	if (!error)
		error = shm__device_check(dev);
	if (!error && !has_device(pool, dev))
		error = shm__error(EINVAL, "%s is no device of the pool", dev->name);
	if (error)
		return error;
	shm__mutex_lock(&pool->lock);
	if (pool->feeder && pool->feeder != dev) {
		error = shm__error(EBUSY, "%s takes the pool's idle buffers", pool->feeder->name);
	} else if (pool->destroyed && idle) {
		error = shm__error(EINVAL, "the pool was destroyed");
	} else {
		pool->feed = idle;
		pool->feeder = idle ? dev : NULL;
		pool->turn++;
		last = idle ? feed_idle(pool) : is_over(pool);
	}
	shm__mutex_unlock(&pool->lock);
	if (last)
		shm__pool_free(pool);
	return error;
}
