/* SPDX-License-Identifier: BSD-3-Clause */
/* The platform as the firmware described it: locks, time, reasons. */
#include <errno.h>

#include <shm/lock.h>

#include "core.h"
#include "platform.h"
#include "tables.h"

#define NS_PER_MS 1000000

struct metal_shm_platform shm__platform;

static char error_text[SHM_PROCESSORS][SHM__REASON_SIZE];
static struct {
	unsigned depth;
	unsigned long state;
} masked[SHM_PROCESSORS];

static int check(const struct metal_shm_platform *platform)
{
	if (!platform || platform->struct_size < sizeof(*platform) || !platform->now_ns)
		return shm__error(EINVAL, "a platform needs struct_size and now_ns");
	if (platform->cache_line & (platform->cache_line - 1))
		return shm__error(EINVAL, "a cache's line of %u bytes",
				  (unsigned)platform->cache_line);
	if (platform->cache_line && (!platform->cache_clean || !platform->cache_invalidate))
		return shm__error(EINVAL, "a cache without its operations");
	if (!platform->mask != !platform->unmask)
		return shm__error(EINVAL, "mask and unmask go together");
	if (platform->lock_owner < METAL_SHM_LOCK_FIRMWARE ||
	    platform->lock_owner > METAL_SHM_LOCK_OWNER - (SHM_PROCESSORS - 1))
		return shm__error(EINVAL, "lock owner 0x%x is not a firmware's",
				  (unsigned)platform->lock_owner);
	if (shm__platform.now_ns)
		return shm__error(EALREADY, "the platform is set already");
	return 0;
}

int metal_shm_platform_set(const struct metal_shm_platform *platform)
{
	int error = check(platform);

	if (error)
		return error;
	shm__platform = *platform;
	return shm__memory_begin();
}

const struct metal_shm_platform *metal_shm_platform(void)
{
	return shm__platform.now_ns ? &shm__platform : NULL;
}

/* One more than there is room for would write over another's: it shares the last one's. */
unsigned shm__os_processor(void)
{
	unsigned number = shm__platform.processor ? shm__platform.processor() : 0;

	return number < SHM_PROCESSORS ? number : SHM_PROCESSORS - 1;
}

void shm__os_relax(void)
{
	if (shm__platform.relax)
		shm__platform.relax();
}

/* The state is put down only once this hart is alone with it. */
void shm__os_mask(void)
{
	unsigned long state = shm__platform.mask ? shm__platform.mask() : 0;
	unsigned processor = shm__os_processor();

	if (!masked[processor].depth++)
		masked[processor].state = state;
}

void shm__os_unmask(void)
{
	unsigned processor = shm__os_processor();
	unsigned long state = masked[processor].state;

	if (!--masked[processor].depth && shm__platform.unmask)
		shm__platform.unmask(state);
}

void shm__mutex_init(shm__mutex *mutex)
{
	atomic_init(&mutex->taken, 0);
}

void shm__mutex_destroy(shm__mutex *mutex)
{
	(void)mutex;
}

bool shm__mutex_trylock(shm__mutex *mutex)
{
	shm__os_mask();
	if (!atomic_exchange_explicit(&mutex->taken, 1, memory_order_acquire))
		return true;
	shm__os_unmask();
	return false;
}

/* Only another hart can have it for long. */
void shm__mutex_lock(shm__mutex *mutex)
{
	while (!shm__mutex_trylock(mutex))
		;
}

void shm__mutex_unlock(shm__mutex *mutex)
{
	atomic_store_explicit(&mutex->taken, 0, memory_order_release);
	shm__os_unmask();
}

shm__thread shm__os_thread(void)
{
	return shm__os_processor();
}

bool shm__os_is_thread(shm__thread thread)
{
	return thread == shm__os_processor();
}

int64_t shm__os_now_ns(void)
{
	return shm__platform.now_ns ? shm__platform.now_ns() : 0;
}

uint32_t shm__os_now_ms(void)
{
	return (uint32_t)((uint64_t)shm__os_now_ns() / NS_PER_MS);
}

size_t shm__os_cache_line(void)
{
	return shm__platform.cache_line ? shm__platform.cache_line : 1;
}

char *shm__os_error_text(size_t *ret_size)
{
	*ret_size = SHM__REASON_SIZE;
	return error_text[shm__os_processor()];
}

void shm__os_set_errno(int error)
{
	errno = error;
}
