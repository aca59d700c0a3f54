/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools: equal buffers, attached once, that come back by themselves. A buffer is idle when nobody
 * references it and no work has it; it is then in its pool's list, or on its way there.
 */
#include <stdio.h>

#include "core.h"

#define MAX_BUFFERS 64

struct metal_shm_pool {
	_Atomic uint64_t tag;
	shm__mutex lock;
	struct metal_generic_shm *idle[MAX_BUFFERS];
	unsigned idle_count;
	unsigned count;     /* as made */
	unsigned remaining; /* not given back yet, once destroyed */
	bool destroyed;
	struct metal_device *devs[SHM__MAX_DEVICES];
	size_t n;
	struct shm__waiter *waiters;
	struct metal_device *feeder;
	void (*feed)(struct metal_device *dev, struct metal_generic_shm *shm);
	bool feeding;
	bool has_frame;
	struct metal_shm_frame frame;
};

static int pool_check(const struct metal_shm_pool *pool)
{
	int error = shm__enter();

	if (error)
		return error;
	if (!pool || atomic_load_explicit(&pool->tag, memory_order_relaxed) != SHM__POOL_TAG)
		return shm__error(EINVAL, "not a pool of libshm");
	return 0;
}

/* Fixed from the pool's creation to its end. */
size_t shm__pool_devices(const struct metal_shm_pool *pool, struct metal_device *const **ret_devs)
{
	*ret_devs = pool->devs;
	return pool->n;
}

static void wake_up(struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;

	shm__mutex_lock(&root->lock);
	root->idle = false;
	atomic_store(&shm->refs, 1);
	shm__mutex_unlock(&root->lock);
}

static void free_pool(struct metal_shm_pool *pool)
{
	for (size_t i = 0; i < pool->n; i++)
		shm__device_unref(pool->devs[i]);
	shm__mutex_destroy(&pool->lock);
	atomic_store(&pool->tag, SHM__DEAD_TAG);
	shm__quarantine(pool);
}

/* Under the pool's lock. Its feeder still knows a pool that was destroyed, and ends the feeding. */
static bool is_over(const struct metal_shm_pool *pool)
{
	return pool->destroyed && !pool->remaining && !pool->feeding && !pool->feeder;
}

/* An idle buffer of a pool that ended. It has one reference here, so nothing ends too early. */
static void retire(struct metal_shm_pool *pool, struct metal_generic_shm *shm)
{
	struct shm__root *root = shm->root;
	bool last;

	wake_up(shm);
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
		free_pool(pool);
}

/*
 * Give idle buffers to the feeder, under the pool's lock, which is open meanwhile. What it can't take
 * comes back to the list while it runs, so one pass is bounded; the next buffer that comes back starts
 * another. True: the pool ended meanwhile and nobody else frees it.
 */
static bool feed_idle(struct metal_shm_pool *pool)
{
	unsigned passes;

	if (!pool->feed || pool->feeding)
		return false;
	pool->feeding = true;
	for (passes = pool->count; passes && pool->idle_count && pool->feed; passes--) {
		struct metal_generic_shm *shm = pool->idle[--pool->idle_count];
		void (*feed)(struct metal_device * dev, struct metal_generic_shm * shm) =
			pool->feed;
		struct metal_device *feeder = pool->feeder;

		shm__mutex_unlock(&pool->lock);
		wake_up(shm);
		feed(feeder, shm);
		shm__mutex_lock(&pool->lock);
	}
	pool->feeding = false;
	return is_over(pool);
}

/* The memory is idle and nobody else knows of it. */
void shm__pool_return(struct shm__root *root)
{
	struct metal_shm_pool *pool = root->pool;
	bool last;

	shm__mutex_lock(&pool->lock);
	if (pool->destroyed) {
		shm__mutex_unlock(&pool->lock);
		retire(pool, root->buffer);
		return;
	}
	pool->idle[pool->idle_count++] = root->buffer;
	shm__wake_all(pool->waiters);
	last = feed_idle(pool);
	shm__mutex_unlock(&pool->lock);
	if (last)
		free_pool(pool);
}

/*
 * Allocate one buffer, say what it is, attach it everywhere. It ends up idle in the pool. A device that
 * refuses the memory is named.
 */
static int fill_one(struct metal_shm_pool *pool, struct metal_device *src, size_t size,
		    metal_shm_type type, const char *why, struct metal_device **ret_refused)
{
	struct metal_generic_shm *shm = shm__allocate(size, src, type);
	int error = 0;
	size_t i;

	if (!shm)
		return -errno;
	if (why) {
		size_t length = 0;

		while (why[length])
			length++;
		shm->root->origin = shm__os_alloc(length + 1);
		if (shm->root->origin)
			snprintf(shm->root->origin, length + 1, "%s", why);
	}
	if (pool->has_frame)
		error = metal_shm_frame_set(shm, &pool->frame);
	for (i = 0; i < pool->n && !error; i++) {
		if (!shm__uses(pool->devs[i]) || metal_shm_attach(shm, pool->devs[i]))
			continue;
		error = -errno;
		if (error == -ENOTSUP)
			*ret_refused = pool->devs[i];
	}
	if (error) {
		while (i-- > 0) {
			struct metal_generic_shm *view = NULL;

			if (shm__uses(pool->devs[i]))
				view = shm__view_find(shm->root, 0, shm->size, pool->devs[i]);
			if (view)
				metal_shm_detach(view, pool->devs[i]);
		}
		metal_shm_free(shm, NULL);
		return error;
	}
	pool->remaining++;
	shm__mutex_lock(&shm->root->lock);
	shm->root->pool = pool;
	shm__mutex_unlock(&shm->root->lock);
	metal_shm_free(shm, NULL);
	return 0;
}

static struct metal_shm_pool *new_pool(const struct metal_shm_frame *frame, unsigned count,
				       struct metal_device *const devs[], size_t n)
{
	struct metal_shm_pool *pool = shm__os_alloc(sizeof(*pool));

	if (!pool) {
		shm__error(ENOMEM, "no memory for a pool");
		return NULL;
	}
	shm__mutex_init(&pool->lock);
	pool->count = count;
	for (; pool->n < n; pool->n++) {
		pool->devs[pool->n] = devs[pool->n];
		shm__device_ref(devs[pool->n]);
	}
	if (frame) {
		pool->frame = *frame;
		pool->has_frame = true;
	}
	atomic_store(&pool->tag, SHM__POOL_TAG);
	return pool;
}

/* With memory of the source that is chosen now. -EAGAIN: a device refused it only now; choose again. */
static int create_once(size_t size, const struct metal_shm_frame *frame, unsigned count,
		       struct metal_device *const devs[], size_t n, metal_shm_type type,
		       struct metal_shm_pool **ret_pool)
{
	struct metal_device *src = NULL, *refused = NULL;
	struct metal_shm_pool *pool;
	char *why = NULL;
	int error;

	error = shm__choose(size, frame, devs, n, type, &src, &why);
	if (error)
		return error;
	pool = new_pool(frame, count, devs, n);
	if (!pool) {
		error = -ENOMEM;
		goto drop_choice;
	}
	for (unsigned i = 0; i < count && !error; i++)
		error = fill_one(pool, src, size, type, why, &refused);
	if (!error) {
		*ret_pool = pool;
		goto drop_choice;
	}
	if (refused && shm__choice_revoke(size, frame, devs, n, refused, src, error))
		error = -EAGAIN;
	if (pool->remaining)
		metal_shm_pool_destroy(pool);
	else
		free_pool(pool);
drop_choice:
	shm__os_free(why);
	shm__device_unref(src);
	return error;
}

static int create(size_t size, const struct metal_shm_frame *frame, unsigned count,
		  struct metal_device *const devs[], size_t n, metal_shm_type type,
		  struct metal_shm_pool **ret_pool)
{
	int error = 0;

	if (!size || !count || count > MAX_BUFFERS || n > SHM__MAX_DEVICES || (n && !devs) ||
	    !ret_pool)
		return shm__error(EINVAL,
				  "a pool has 1 to %d buffers of at least a byte, and at "
				  "most %d devices",
				  MAX_BUFFERS, SHM__MAX_DEVICES);
	for (size_t i = 0; i < n && !error; i++)
		error = shm__device_check(devs[i]);
	if (error)
		return error;
	do {
		error = create_once(size, frame, count, devs, n, type, ret_pool);
	} while (error == -EAGAIN);
	return error;
}

int metal_shm_pool_create(size_t size, unsigned count, struct metal_device *const devs[], size_t n,
			  metal_shm_type t, struct metal_shm_pool **ret_pool)
{
	int error = shm__enter();

	if (!error)
		error = shm__type_check(t);
	return error ? error : create(size, NULL, count, devs, n, t, ret_pool);
}

int metal_shm_pool_create_frames(const struct metal_shm_frame *frame,
				 struct metal_device *const devs[], size_t n, unsigned count,
				 struct metal_shm_pool **ret_pool)
{
	int error = shm__enter();

	if (error)
		return error;
	if (!frame || !frame->size)
		return shm__error(EINVAL, "negotiate the frame first");
	if (frame->size > SIZE_MAX)
		return shm__error(EOVERFLOW, "the frame exceeds the address space");
	error = shm__frame_check(frame, frame->size);
	return error ? error : create((size_t)frame->size, frame, count, devs, n, 0, ret_pool);
}

static struct metal_generic_shm *pop(struct metal_shm_pool *pool)
{
	return pool->idle_count ? pool->idle[--pool->idle_count] : NULL;
}

struct metal_generic_shm *metal_shm_pool_get(struct metal_shm_pool *pool, int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	struct shm__waiter waiter = { 0 };
	struct metal_generic_shm *shm;
	int error = pool_check(pool);

	if (error)
		return NULL;
	shm__mutex_lock(&pool->lock);
	shm = pop(pool);
	while (!shm && !error) {
		waiter.wake = shm__os_thread_wake();
		if (!waiter.wake) {
			error = shm__error(EMFILE, "no descriptor left to wait with");
			break;
		}
		waiter.next = pool->waiters;
		pool->waiters = &waiter;
		shm__count(NULL, NULL, SHM__WAITS, 1);
		shm__mutex_unlock(&pool->lock);
		error = shm__wait_devices(pool->devs, pool->n, waiter.wake, &deadline);
		shm__mutex_lock(&pool->lock);
		shm__waiter_remove(&pool->waiters, &waiter);
		shm = pop(pool);
	}
	shm__mutex_unlock(&pool->lock);
	if (!shm) {
		if (error == -ETIMEDOUT)
			shm__error(ETIMEDOUT, "all %u buffers of the pool are in use", pool->count);
		return NULL;
	}
	wake_up(shm);
	return shm;
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
	int error = pool_check(pool);
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
		last = idle ? feed_idle(pool) : is_over(pool);
	}
	shm__mutex_unlock(&pool->lock);
	if (last)
		free_pool(pool);
	return error;
}

const struct metal_shm_frame *metal_shm_pool_frame(const struct metal_shm_pool *pool)
{
	if (pool_check(pool))
		return NULL;
	if (!pool->has_frame) {
		shm__error(ENODATA, "the pool's buffers are no frames");
		return NULL;
	}
	return &pool->frame;
}

unsigned metal_shm_pool_count(const struct metal_shm_pool *pool)
{
	return pool_check(pool) ? 0 : pool->count;
}

void metal_shm_pool_destroy(struct metal_shm_pool *pool)
{
	struct metal_generic_shm *idle[MAX_BUFFERS];
	unsigned n;

	if (!pool || shm__os_forked())
		return;
	if (pool_check(pool)) {
		shm__misuse("metal_shm_pool_destroy", "not a pool, or destroyed before");
		return;
	}
	shm__mutex_lock(&pool->lock);
	if (pool->destroyed) {
		shm__mutex_unlock(&pool->lock);
		shm__misuse("metal_shm_pool_destroy", "destroyed before");
		return;
	}
	pool->destroyed = true;
	pool->feed = NULL;
	n = pool->idle_count;
	pool->idle_count = 0;
	for (unsigned i = 0; i < n; i++)
		idle[i] = pool->idle[i];
	shm__mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < n; i++)
		retire(pool, idle[i]);
}
