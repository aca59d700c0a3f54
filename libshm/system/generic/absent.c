/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a processor of its own does without, where the core asks for it: pools and choosing, guarded
 * pages, fences, traces, drivers by name. What can't be done so is refused.
 */
#include "core.h"

struct shm__ring *_Atomic shm__trace_ring;
const struct metal_shm_driver *const shm__os_drivers[] = { NULL };

void shm__trace_record(const struct shm__root *root, const struct metal_device *dev,
		       enum shm__trace_event event, uint64_t offset, uint64_t size, int detail)
{
	(void)root;
	(void)dev;
	(void)event;
	(void)offset;
	(void)size;
	(void)detail;
}

/* It never ends. */
int shm__os_at_exit(void (*function)(void))
{
	(void)function;
	return -ENOTSUP;
}

void shm__tell_held(void)
{
}

const char *shm__os_declared_in(const char *device)
{
	(void)device;
	return NULL;
}

int shm__os_identity(int os_handle, struct shm__identity *ret)
{
	(void)ret;
	return shm__error(ENOTSUP, "%d is no descriptor here", os_handle);
}

struct metal_generic_shm *metal_shm_allocate_for(size_t size, struct metal_device *const devs[],
						 size_t n, metal_shm_type shm_type)
{
	(void)size;
	(void)devs;
	(void)n;
	(void)shm_type;
	shm__error(ENOTSUP, "nothing to choose from here: name the device that gives the memory");
	return NULL;
}

int shm__wait_fences(struct shm__root *root, const struct shm__turn *turn,
		     struct shm__deadline *deadline)
{
	(void)root;
	(void)turn;
	(void)deadline;
	return 0;
}

void shm__fences_drop(struct shm__root *root)
{
	(void)root;
}

void shm__pool_return(struct shm__root *root)
{
	(void)root;
}

size_t shm__pool_devices(const struct metal_shm_pool *pool, struct metal_device *const **ret_devs)
{
	(void)pool;
	(void)ret_devs;
	return 0;
}

bool shm__os_guard_wanted(void)
{
	return false;
}

int shm__guard_begin(struct shm__root *root)
{
	(void)root;
	return shm__error(ENOTSUP, "no pages to guard here");
}

void shm__guard_update(struct shm__root *root, size_t start, size_t end)
{
	(void)root;
	(void)start;
	(void)end;
}

void shm__guard_given(struct metal_generic_shm *view, const void *site)
{
	(void)view;
	(void)site;
}

void shm__guard_remember(struct shm__root *root, size_t start, size_t end)
{
	(void)root;
	(void)start;
	(void)end;
}

void shm__guard_lock_word(struct shm__root *root, size_t offset)
{
	(void)root;
	(void)offset;
}

void shm__guard_compare(struct metal_generic_shm *view)
{
	(void)view;
}

void shm__guard_end(struct shm__root *root)
{
	(void)root;
}

char *shm__guard_bytes(const struct shm__root *root)
{
	return root->address;
}
