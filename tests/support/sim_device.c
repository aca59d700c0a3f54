/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_device.h"

#include <stdlib.h>

#include "shm_test.h"

/* What a view of it is: a range of some memory, the buffer's own or one that stands for it. */
struct sim_attached {
	struct sim_port *port;
	struct metal_shm_range range;
};

static const struct metal_shm_device_ops device_ops;

static struct sim_device *device_of(const struct metal_device *dev)
{
	return metal_shm_device_data(dev, &device_ops);
}

static int device_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			      struct metal_shm_constraints *ret)
{
	(void)frame;
	ret->access = device_of(dev)->access;
	if (device_of(dev)->needs_whole)
		ret->flags |= METAL_SHM_NEEDS_WHOLE;
	return 0;
}

static int device_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			 struct metal_shm_view *ret_view)
{
	struct sim_device *device = device_of(dev);
	struct sim_attached *attached = calloc(1, sizeof(*attached));

	assert_non_null(attached);
	attached->port = sim_port_new(at->memory->data, device->by_cpu);
	attached->range = at->range;
	ret_view->data = attached;
	ret_view->access = device->access;
	if (attached->port->bounce)
		ret_view->flags |= METAL_SHM_VIEW_BOUNCES;
	device->attached++;
	return 0;
}

static void device_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			  struct metal_shm_view *ended)
{
	struct sim_attached *attached = ended->data;

	assert_ptr_equal(attached->port->memory, at->memory->data);
	sim_port_end(attached->port);
	free(attached);
	device_of(dev)->attached--;
}

static void device_close(struct metal_device *dev)
{
	device_of(dev)->closed = true;
}

static const struct metal_shm_device_ops device_ops = {
	.struct_size = sizeof(device_ops),
	.constraints = device_constraints,
	.attach = device_attach,
	.detach = device_detach,
	.close = device_close,
};

struct sim_device *sim_device_new(enum metal_shm_access access, const char *name)
{
	struct sim_device *device = calloc(1, sizeof(*device));

	assert_non_null(device);
	device->access = access;
	device->by_cpu =
		access == METAL_SHM_ACCESS_CPU_KERNEL || access == METAL_SHM_ACCESS_CPU_USER;
	assert_int_equal(metal_shm_device_create(&device_ops, name, device, &device->dev), 0);
	return device;
}

void sim_device_end(struct sim_device *device)
{
	metal_shm_device_close(device->dev);
	assert_int_equal(device->attached, 0);
	assert_true(device->closed);
	free(device);
}

struct sim_attached *sim_device_view(const struct sim_device *device, struct metal_generic_shm *shm)
{
	struct sim_attached *attached = metal_shm_view_data(shm, device->dev);

	assert_non_null(attached);
	return attached;
}

static size_t offset_of(const struct sim_attached *attached, size_t offset, size_t n)
{
	assert_true(offset <= attached->range.length && n <= attached->range.length - offset);
	return attached->range.offset + offset;
}

void sim_device_read(const struct sim_attached *attached, size_t offset, void *bytes, size_t n)
{
	sim_port_read(attached->port, offset_of(attached, offset, n), bytes, n);
}

void sim_device_write(struct sim_attached *attached, size_t offset, const void *bytes, size_t n)
{
	sim_port_write(attached->port, offset_of(attached, offset, n), bytes, n);
}
