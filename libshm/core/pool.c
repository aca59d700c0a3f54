/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pools: equal buffers, attached once, that come back by themselves. A buffer is idle when nobody
 * references it and no work has it; it is then in its pool's list, or on its way there.
 */
#include <stdio.h>

#include "pool.h"

int shm__pool_check(const struct metal_shm_pool *pool)
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

void shm__pool_free(struct metal_shm_pool *pool)
{
	for (size_t i = 0; i < pool->n; i++)
		shm__device_unref(pool->devs[i]);
	shm__mutex_destroy(&pool->lock);
	atomic_store(&pool->tag, SHM__DEAD_TAG);
	shm__quarantine(pool);
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
		shm__pool_free(pool);
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

	if (!size || !count || count > SHM__POOL_BUFFERS || n > SHM__MAX_DEVICES || (n && !devs) ||
	    !ret_pool)
		return shm__error(EINVAL,
				  "a pool has 1 to %d buffers of at least a byte, and at "
				  "most %d devices",
				  SHM__POOL_BUFFERS, SHM__MAX_DEVICES);
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

/*
 * Under the pool's lock, which is open meanwhile. A thread that is awake is in nobody's list: it looks
 * again before it sleeps again, so what its own dispatching brings back signals nothing.
 */
static int sleep_once(struct metal_shm_pool *pool, int os_handle, struct shm__deadline *deadline)
{
	struct shm__waiter waiter = { .wake = shm__os_thread_wake(), .next = pool->waiters };
	int error;

	if (!waiter.wake)
		return shm__error(EMFILE, "no descriptor left to wait with");
	pool->waiters = &waiter;
	shm__count(NULL, NULL, SHM__WAITS, 1);
	shm__mutex_unlock(&pool->lock);
	error = shm__sleep(pool->devs, pool->n, waiter.wake, os_handle, deadline);
	shm__mutex_lock(&pool->lock);
	shm__waiter_remove(&pool->waiters, &waiter);
	if (error && error != -ETIMEDOUT)
		return error;
	shm__mutex_unlock(&pool->lock);
	shm__dispatch_all(pool->devs, pool->n);
	shm__mutex_lock(&pool->lock);
	return error;
}

struct metal_generic_shm *metal_shm_pool_get(struct metal_shm_pool *pool, int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	struct metal_generic_shm *shm;
	int error = shm__pool_check(pool);

	if (error)
		return NULL;
	shm__mutex_lock(&pool->lock);
	shm = pop(pool);
	while (!shm && !error) {
		error = sleep_once(pool, -1, &deadline);
		shm = pop(pool);
	}
	shm__mutex_unlock(&pool->lock);
	if (!shm) {
		if (error == -ETIMEDOUT)
			shm__error(ETIMEDOUT, "all %u buffers of the pool are in use", pool->count);
		return NULL;
	}
	shm__pool_wake_up(shm);
	return shm;
}

static bool is_ready(int os_handle)
{
	return os_handle >= 0 && !shm__os_wait(NULL, &os_handle, 1, 0);
}

int metal_shm_pool_wait(struct metal_shm_pool *pool, int borrow_fd, int64_t timeout_ns)
{
	struct shm__deadline deadline = { .timeout_ns = timeout_ns };
	int error = shm__pool_check(pool);
	bool ready = false;
	unsigned before;

	if (error)
		return error;
	shm__mutex_lock(&pool->lock);
	before = pool->returns;
	do {
		error = sleep_once(pool, borrow_fd, &deadline);
		if (error || pool->returns != before)
			break;
		shm__mutex_unlock(&pool->lock);
		ready = is_ready(borrow_fd);
		shm__mutex_lock(&pool->lock);
	} while (!ready && pool->returns == before);
	if (error == -ETIMEDOUT) {
		if (pool->returns != before)
			error = 0;
		else
			shm__error(ETIMEDOUT, "no buffer came back to the pool in time");
	}
	shm__mutex_unlock(&pool->lock);
	return error;
}

const struct metal_shm_frame *metal_shm_pool_frame(const struct metal_shm_pool *pool)
{
	if (shm__pool_check(pool))
		return NULL;
	if (!pool->has_frame) {
		shm__error(ENODATA, "the pool's buffers are no frames");
		return NULL;
	}
	return &pool->frame;
}

struct metal_shm_pool *metal_shm_pool_of(const struct metal_generic_shm *shm)
{
	struct metal_shm_pool *pool;

	if (shm__handle_alive(shm))
		return NULL;
	shm__mutex_lock(&shm->root->lock);
	pool = shm->root->pool;
	shm__mutex_unlock(&shm->root->lock);
	if (!pool)
		shm__error(ENODATA, "the buffer is of no pool");
	return pool;
}

unsigned metal_shm_pool_count(const struct metal_shm_pool *pool)
{
	return shm__pool_check(pool) ? 0 : pool->count;
}

void metal_shm_pool_destroy(struct metal_shm_pool *pool)
{
	struct metal_generic_shm *idle[SHM__POOL_BUFFERS];
	unsigned n;

	if (!pool || shm__os_forked())
		return;
	if (shm__pool_check(pool)) {
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
		shm__pool_retire(pool, idle[i]);
}
