// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-BUFs of memory that was set aside.
 *
 * The kernel has no mapping of its own of such memory, and often no struct page. So what the DMA API does with
 * ordinary memory is not for it: it has no caches written back, no copies made, and tells devices its addresses as
 * the API would (phys_to_dma()), or has the IOMMU map it as it maps a device's registers.
 *
 * Kernel: Documentation/driver-api/dma-buf.rst, Documentation/core-api/dma-api.rst.
 */
#include <linux/bitmap.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "carveout.h"
#include "translated.h"
#include "uapi/shm_carveout.h"
#include "versions.h"

struct buffer {
	struct region *region;
	size_t first, pages;
};

static phys_addr_t address_of(const struct buffer *buffer)
{
	return buffer->region->start + ((phys_addr_t)buffer->first << PAGE_SHIFT);
}

static size_t size_of(const struct buffer *buffer)
{
	return buffer->pages << PAGE_SHIFT;
}

static void *bytes_of(const struct buffer *buffer)
{
	return buffer->region->memory + (buffer->first << PAGE_SHIFT);
}

static bool is_listed(const struct region *region, const struct device *device)
{
	int i;

	for (i = 0; i < region->device_count; i++) {
		if (!strcmp(region->devices[i], dev_name(device)))
			return true;
	}
	return false;
}

/* What phys_to_dma() makes of it lies within what the device can say. */
static bool is_reached(struct device *device, phys_addr_t start, size_t size)
{
	u64 highest = min_not_zero(dma_get_mask(device), device->bus_dma_limit);
	dma_addr_t low = phys_to_dma(device, start), high = phys_to_dma(device, start + size - 1);

	return low != DMA_MAPPING_ERROR && high != DMA_MAPPING_ERROR && high - low == size - 1 &&
	       high <= highest;
}

static int carveout_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	const struct buffer *buffer = dmabuf->priv;
	struct device *device = attachment->dev;

	if ((buffer->region->flags & SHM_CARVEOUT_SECURE) && !is_listed(buffer->region, device))
		return -EACCES;
	if ((buffer->region->flags & SHM_CARVEOUT_CACHED) && !dev_is_dma_coherent(device))
		return -EOPNOTSUPP;
	if (!device->dma_mask)
		return -EINVAL;
	if (!is_translated(device) && !is_reached(device, address_of(buffer), size_of(buffer)))
		return -ERANGE;
	return 0;
}

/* What a device has, and how it came to it: its domain may be another when it is given back. */
struct mapping {
	struct sg_table table;
	bool translated;
};

static struct sg_table *carveout_map(struct dma_buf_attachment *attachment,
				     enum dma_data_direction direction)
{
	const struct buffer *buffer = attachment->dmabuf->priv;
	struct mapping *mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	struct scatterlist *piece;
	dma_addr_t address;
	int error;

	if (!mapping)
		return ERR_PTR(-ENOMEM);
	error = sg_alloc_table(&mapping->table, 1, GFP_KERNEL);
	if (error)
		goto free_mapping;
	mapping->translated = is_translated(attachment->dev);
	if (mapping->translated) {
		address = dma_map_resource(attachment->dev, address_of(buffer), size_of(buffer),
					   direction, DMA_ATTR_SKIP_CPU_SYNC);
		error = dma_mapping_error(attachment->dev, address);
		if (error)
			goto free_table;
	} else {
		address = phys_to_dma(attachment->dev, address_of(buffer));
	}
	piece = mapping->table.sgl;
	sg_set_page(piece, NULL, size_of(buffer), 0);
	sg_dma_address(piece) = address;
	sg_dma_len(piece) = size_of(buffer);
	return &mapping->table;

free_table:
	sg_free_table(&mapping->table);
free_mapping:
	kfree(mapping);
	return ERR_PTR(error);
}

static void carveout_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			   enum dma_data_direction direction)
{
	struct mapping *mapping = container_of(table, struct mapping, table);

	if (mapping->translated)
		dma_unmap_resource(attachment->dev, sg_dma_address(table->sgl),
				   sg_dma_len(table->sgl), direction, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(table);
	kfree(mapping);
}

static int carveout_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction direction)
{
	const struct buffer *buffer = dmabuf->priv;

	return buffer->region->flags & SHM_CARVEOUT_SECURE ? -EACCES : 0;
}

/* Devices see cached bytes by themselves, and others once write-combining buffers are drained. */
static int carveout_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction direction)
{
	wmb();
	return 0;
}

static int carveout_mmap(struct dma_buf *dmabuf, struct vm_area_struct *area)
{
	const struct buffer *buffer = dmabuf->priv;
	phys_addr_t start = address_of(buffer) + ((phys_addr_t)area->vm_pgoff << PAGE_SHIFT);

	if (buffer->region->flags & SHM_CARVEOUT_SECURE)
		return -EACCES;
	/* dma_buf_mmap() saw to it that the range lies within the buffer */
	if (!(buffer->region->flags & SHM_CARVEOUT_CACHED))
		area->vm_page_prot = pgprot_writecombine(area->vm_page_prot);
	add_area_flags(area, VM_DONTEXPAND | VM_DONTDUMP);
	return remap_pfn_range(area, area->vm_start, PHYS_PFN(start), area->vm_end - area->vm_start,
			       area->vm_page_prot);
}

static int carveout_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	const struct buffer *buffer = dmabuf->priv;

	if (buffer->region->flags & SHM_CARVEOUT_SECURE)
		return -EACCES;
	iosys_map_set_vaddr(map, bytes_of(buffer));
	return 0;
}

static void carveout_release(struct dma_buf *dmabuf)
{
	struct buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->region->lock);
	bitmap_clear(buffer->region->used, buffer->first, buffer->pages);
	mutex_unlock(&buffer->region->lock);
	kfree(buffer);
}

static const struct dma_buf_ops operations = {
	.attach = carveout_attach,
	.map_dma_buf = carveout_map,
	.unmap_dma_buf = carveout_unmap,
	.begin_cpu_access = carveout_begin_cpu_access,
	.end_cpu_access = carveout_end_cpu_access,
	.mmap = carveout_mmap,
	.vmap = carveout_vmap,
	.release = carveout_release,
};

struct dma_buf *buffer_new(struct region *region, size_t size, int fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	struct buffer *buffer;

	if (!size || size > SIZE_MAX - PAGE_SIZE)
		return ERR_PTR(-EINVAL);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->region = region;
	buffer->pages = PAGE_ALIGN(size) >> PAGE_SHIFT;

	mutex_lock(&region->lock);
	buffer->first =
		bitmap_find_next_zero_area(region->used, region->pages, 0, buffer->pages, 0);
	if (buffer->pages > region->pages || buffer->first >= region->pages) {
		mutex_unlock(&region->lock);
		kfree(buffer);
		return ERR_PTR(-ENOMEM);
	}
	bitmap_set(region->used, buffer->first, buffer->pages);
	mutex_unlock(&region->lock);

	if (region->memory) {
		memset(bytes_of(buffer), 0, size_of(buffer));
		wmb(); /* before a device looks */
	}
	info.ops = &operations;
	info.size = size_of(buffer);
	info.flags = fd_flags;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		mutex_lock(&region->lock);
		bitmap_clear(region->used, buffer->first, buffer->pages);
		mutex_unlock(&region->lock);
		kfree(buffer);
	}
	return dmabuf;
}
