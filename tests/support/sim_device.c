/* SPDX-License-Identifier: BSD-3-Clause */
#include "sim_device.h"

#include <stdlib.h>

#include "shm_test.h"

/* What a view of it is: a range of some memory, the buffer's own or one that stands for it. */
struct view {
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
	(void)dev;
	(void)frame;
	(void)ret;
	return 0;
}

static int device_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
			 struct metal_shm_view *ret_view)
{
	struct sim_device *device = device_of(dev);
	struct view *view = calloc(1, sizeof(*view));

	assert_non_null(view);
	view->port = sim_port_new(at->memory->data, device->by_cpu);
	view->range = at->range;
	ret_view->data = view;
	ret_view->access = device->access;
	device->attached++;
	return 0;
}

static void device_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
			  struct metal_shm_view *ended)
{
	struct view *view = ended->data;

	assert_ptr_equal(view->port->memory, at->memory->data);
	sim_port_end(view->port);
	free(view);
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

static struct view *view_of(struct sim_device *device, struct metal_generic_shm *shm, size_t offset,
			    size_t n)
{
	struct view *view = metal_shm_view_data(shm, device->dev);

	assert_non_null(view);
	assert_true(offset <= view->range.length && n <= view->range.length - offset);
	return view;
}

void sim_device_read(struct sim_device *device, struct metal_generic_shm *shm, size_t offset,
		     void *bytes, size_t n)
{
	struct view *view = view_of(device, shm, offset, n);

	sim_port_read(view->port, view->range.offset + offset, bytes, n);
}

void sim_device_write(struct sim_device *device, struct metal_generic_shm *shm, size_t offset,
		      const void *bytes, size_t n)
{
	struct view *view = view_of(device, shm, offset, n);

	sim_port_write(view->port, view->range.offset + offset, bytes, n);
}
