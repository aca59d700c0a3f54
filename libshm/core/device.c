/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices: drivers by scheme, life, dispatch. */
#include <string.h>

#include "core.h"

#define MAX_DRIVERS 32

static shm__mutex drivers_lock = SHM__MUTEX_INITIALISER;
static const struct metal_shm_driver *drivers[MAX_DRIVERS];
static size_t driver_count;

int shm__not_a_device(void)
{
	return shm__error(EINVAL, "not a device of libshm");
}

bool shm__gives(const struct metal_device *dev)
{
	return dev->ops->allocate != NULL;
}

bool shm__uses(const struct metal_device *dev)
{
	return dev->ops->attach != NULL;
}

static int add_driver(const struct metal_shm_driver *driver)
{
	for (size_t i = 0; i < driver_count; i++)
		if (!strcmp(drivers[i]->scheme, driver->scheme))
			return shm__error(EEXIST, "scheme %s has a driver already", driver->scheme);
	if (driver_count == MAX_DRIVERS)
		return shm__error(ENOSPC, "more than %d drivers", MAX_DRIVERS);
	drivers[driver_count++] = driver;
	return 0;
}

/* The library's own come first: linked adapters register from constructors, in any order. */
static void lock_drivers(void)
{
	shm__mutex_lock(&drivers_lock);
	if (driver_count && drivers[0] == shm__os_drivers[0])
		return;
	if (!shm__os_drivers[0])
		return;
	driver_count = 0;
	for (size_t i = 0; shm__os_drivers[i]; i++)
		add_driver(shm__os_drivers[i]);
}

int metal_shm_driver_register(const struct metal_shm_driver *driver)
{
	int error = shm__enter();

	if (error)
		return error;
	if (!driver || driver->struct_size < sizeof(*driver) || !driver->scheme || !driver->open ||
	    !driver->scheme[0] || strchr(driver->scheme, ':'))
		return shm__error(EINVAL, "a driver needs struct_size, scheme and open");
	lock_drivers();
	error = add_driver(driver);
	shm__mutex_unlock(&drivers_lock);
	return error;
}

int shm__each_driver(int (*each)(void *user, const struct metal_shm_driver *driver), void *user)
{
	const struct metal_shm_driver *copy[MAX_DRIVERS];
	size_t n;
	int ret = 0;

	lock_drivers();
	n = driver_count;
	memcpy(copy, drivers, n * sizeof(copy[0]));
	shm__mutex_unlock(&drivers_lock);
	for (size_t i = 0; i < n && !ret; i++)
		ret = each(user, copy[i]);
	return ret;
}

struct by_scheme {
	const char *name;
	size_t length;
	const struct metal_shm_driver *found;
};

static int match_scheme(void *user, const struct metal_shm_driver *driver)
{
	struct by_scheme *want = user;

	if (strlen(driver->scheme) != want->length ||
	    strncmp(driver->scheme, want->name, want->length) != 0)
		return 0;
	want->found = driver;
	return 1;
}

int metal_shm_device_open(const char *name, struct metal_device **ret_dev)
{
	struct by_scheme want = { .name = name };
	const char *rest;
	int error = shm__enter();

	if (error)
		return error;
	if (!name || !ret_dev)
		return shm__error(EINVAL, "metal_shm_device_open: NULL");
	rest = strchr(name, ':');
	want.length = rest ? (size_t)(rest - name) : strlen(name);
	if (!want.length || want.length > 31)
		return shm__error(EINVAL, "'%.40s' is not SCHEME or SCHEME:REST", name);
	if (!shm__each_driver(match_scheme, &want))
		return shm__error(
			EPROTONOSUPPORT,
			"no driver for '%.*s': link or load libshm-%.*s, or mend the name",
			(int)want.length, name, (int)want.length, name);
	return want.found->open(rest ? rest + 1 : "", ret_dev);
}

/* Cut where there is no room. */
void shm__set_name(char *to, size_t size, const char *name)
{
	while (--size && *name)
		*to++ = *name++;
	*to = '\0';
}

/* All of a group of operations or none. */
static int check_group(const char *what, unsigned have, unsigned all)
{
	if (have && have != all)
		return shm__error(EINVAL, "half-filled operations: %s go together", what);
	return 0;
}

static int check_ops(const struct metal_shm_device_ops *ops)
{
	int error;

	if (!ops || ops->struct_size < sizeof(*ops))
		return shm__error(EINVAL, "operations without struct_size");
	error = check_group("allocate, release and properties",
			    !!ops->allocate + !!ops->release * 2u + !!ops->properties * 4u, 7);
	if (!error)
		error = check_group("map and unmap", !!ops->map + !!ops->unmap * 2u, 3);
	if (!error)
		error = check_group("sync_for_cpu and sync_for_device",
				    !!ops->sync_for_cpu + !!ops->sync_for_device * 2u, 3);
	if (!error)
		error = check_group("constraints, attach and detach",
				    !!ops->constraints + !!ops->attach * 2u + !!ops->detach * 4u,
				    7);
	if (!error && ops->window && (!ops->allocate || !ops->sync_for_cpu))
		error = shm__error(EINVAL, "half-filled operations: window needs allocate and both "
					   "syncs");
	if (!error && !ops->allocate && !ops->attach)
		error = shm__error(EINVAL, "a device gives memory, uses it, or both");
	return error;
}

int metal_shm_device_create(const struct metal_shm_device_ops *ops, const char *name, void *data,
			    struct metal_device **ret_dev)
{
	struct metal_device *dev;
	int error = shm__enter();

	if (error)
		return error;
	if (!name || !name[0] || !ret_dev)
		return shm__error(EINVAL, "metal_shm_device_create: NULL or no name");
	error = check_ops(ops);
	if (error)
		return error;
	dev = shm__os_alloc(sizeof(*dev));
	if (!dev)
		return shm__error(ENOMEM, "no memory for a device");
	dev->ops = ops;
	dev->data = data;
	shm__set_name(dev->name, sizeof(dev->name), name);
	atomic_init(&dev->refs, 1);
	shm__mutex_init(&dev->lock);
	atomic_store(&dev->tag, SHM__DEVICE_TAG);
	*ret_dev = dev;
	return 0;
}

void shm__device_ref(struct metal_device *dev)
{
	atomic_fetch_add(&dev->refs, 1);
}

void shm__device_unref(struct metal_device *dev)
{
	struct shm__verdict *verdict;

	if (atomic_fetch_sub(&dev->refs, 1) != 1)
		return;
	if (dev->ops->close)
		dev->ops->close(dev);
	while ((verdict = dev->verdicts) != NULL) {
		dev->verdicts = verdict->next;
		shm__os_free(verdict);
	}
	shm__mutex_destroy(&dev->lock);
	atomic_store(&dev->tag, SHM__DEAD_TAG);
	shm__quarantine(dev);
}

void metal_shm_device_close(struct metal_device *dev)
{
	if (!dev || shm__os_forked())
		return;
	if (shm__device_check(dev) || atomic_exchange(&dev->closed, 1u)) {
		shm__misuse("metal_shm_device_close", "not an open device");
		return;
	}
	if (dev->ops->shutdown)
		dev->ops->shutdown(dev);
	if (shm__gives(dev))
		shm__spares_drop(dev);
	shm__device_unref(dev);
}

const char *metal_shm_device_name(const struct metal_device *dev)
{
	return shm__device_check(dev) ? NULL : dev->name;
}

void *metal_shm_device_data(const struct metal_device *dev, const struct metal_shm_device_ops *ops)
{
	/* also in a forked child, where operations that give memory back may run */
	if (!dev || atomic_load_explicit(&dev->tag, memory_order_relaxed) != SHM__DEVICE_TAG) {
		shm__error(EINVAL, "not a device of libshm");
		return NULL;
	}
	if (dev->ops != ops) {
		shm__error(EINVAL, "%s is another kind of device", dev->name);
		return NULL;
	}
	return dev->data;
}

int shm__device_dispatch(struct metal_device *dev)
{
	return dev->ops->dispatch ? dev->ops->dispatch(dev) : 0;
}

int metal_shm_device_dispatch(struct metal_device *dev)
{
	int error = shm__device_check(dev);

	if (error)
		return error;
	shm__device_ref(dev);
	error = shm__device_dispatch(dev);
	shm__device_unref(dev);
	return error;
}

int metal_shm_device_properties(const struct metal_device *dev, struct metal_shm_properties *ret)
{
	struct metal_shm_properties properties = { .struct_size = sizeof(properties) };
	uint32_t size;
	int error = shm__device_check(dev);

	if (error)
		return error;
	if (!ret || ret->struct_size < sizeof(ret->struct_size))
		return shm__error(EINVAL, "metal_shm_properties: struct_size is not set");
	if (!shm__gives(dev))
		return shm__error(ENOTSUP, "%s gives no memory", dev->name);
	error = dev->ops->properties((struct metal_device *)(uintptr_t)dev, NULL, &properties);
	if (error)
		return error;
	size = ret->struct_size;
	memcpy(ret, &properties, size < sizeof(properties) ? size : sizeof(properties));
	ret->struct_size = size;
	return 0;
}
