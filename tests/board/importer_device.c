/* SPDX-License-Identifier: BSD-3-Clause */
#include "importer_device.h"

#include "fence.h"
#include "importer.h"

struct mapped {
	int device; /* an opening of the module's node */
	int memory; /* the DMA-BUF */
	uint64_t offset;
	struct board_attachment attachment;
	struct metal_shm_segment segment;
};

static const struct metal_shm_device_ops ops;

static int constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
		       struct metal_shm_constraints *ret)
{
	(void)dev;
	(void)frame;
	ret->required = METAL_SHM_DMABUF;
	ret->access = METAL_SHM_ACCESS_DMA;
	return 0;
}

static int map(struct mapped *mapped)
{
	int error;

	mapped->attachment.fd = mapped->memory;
	mapped->device = importer_open();
	if (mapped->device < 0)
		return metal_shm_set_error(errno, "/dev/" BOARD_IMPORTER ": %s", strerror(errno));
	if (!ioctl(mapped->device, BOARD_ATTACH, &mapped->attachment))
		return 0;
	error = metal_shm_set_error(errno, "attach: %s", strerror(errno));
	close(mapped->device);
	return error;
}

static int attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		  struct metal_shm_view *ret_view)
{
	struct importer_device *device = metal_shm_device_data(dev, &ops);
	struct mapped *mapped = calloc(1, sizeof(*mapped));
	int error;

	if (!mapped)
		return metal_shm_set_error(ENOMEM, "no memory");
	mapped->memory = at->memory->os_handle;
	mapped->offset = at->range.offset;
	error = map(mapped);
	if (error) {
		free(mapped);
		return error;
	}
	ret_view->data = mapped;
	ret_view->access = METAL_SHM_ACCESS_DMA;
	if (mapped->attachment.bounced)
		ret_view->flags |= METAL_SHM_VIEW_BOUNCES;
	if (device->fences)
		ret_view->flags |= METAL_SHM_VIEW_FENCES;
	if (mapped->attachment.pieces == 1) {
		mapped->segment = (struct metal_shm_segment){
			.device_address = mapped->attachment.address + at->range.offset,
			.length = at->range.length,
		};
		ret_view->segments = &mapped->segment;
		ret_view->segment_count = 1;
	}
	device->views++;
	return 0;
}

static void detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		   struct metal_shm_view *view)
{
	struct importer_device *device = metal_shm_device_data(dev, &ops);
	struct mapped *mapped = view->data;

	(void)at;
	close(mapped->device);
	free(mapped);
	device->views--;
}

static void closed(struct metal_device *dev)
{
	struct importer_device *device = metal_shm_device_data(dev, &ops);

	device->dev = NULL;
}

static const struct metal_shm_device_ops ops = {
	.struct_size = sizeof(ops),
	.constraints = constraints,
	.attach = attach,
	.detach = detach,
	.close = closed,
};

void importer_device_open(struct importer_device *device, const char *name)
{
	*device = (struct importer_device){ 0 };
	if (metal_shm_device_create(&ops, name, device, &device->dev))
		fail_msg("%s: %s", name, metal_shm_last_error());
}

void importer_device_close(struct importer_device *device)
{
	assert_int_equal(device->views, 0);
	metal_shm_device_close(device->dev);
	assert_null(device->dev);
}

static const struct mapped *mapped_of(const struct importer_device *device,
				      struct metal_generic_shm *shm)
{
	const struct mapped *mapped = metal_shm_view_data(shm, device->dev);

	if (!mapped)
		fail_msg("%s", metal_shm_last_error());
	return mapped;
}

const struct board_attachment *importer_device_look(const struct importer_device *device,
						    struct metal_generic_shm *shm)
{
	return &mapped_of(device, shm)->attachment;
}

void importer_device_read(const struct importer_device *device, struct metal_generic_shm *shm,
			  size_t offset, void *ret_bytes, size_t size)
{
	const struct mapped *mapped = mapped_of(device, shm);

	assert_int_equal(pread(mapped->device, ret_bytes, size, (off_t)(mapped->offset + offset)),
			 size);
}

void importer_device_write(const struct importer_device *device, struct metal_generic_shm *shm,
			   size_t offset, const void *bytes, size_t size)
{
	const struct mapped *mapped = mapped_of(device, shm);

	assert_int_equal(pwrite(mapped->device, bytes, size, (off_t)(mapped->offset + offset)),
			 size);
}

int importer_device_fence(const struct importer_device *device, struct metal_generic_shm *shm,
			  uint32_t access)
{
	return put_fence(mapped_of(device, shm)->memory, access);
}
