// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a coprocessor sees a DMA-BUF.
 *
 * Three things state it, and nothing is taken for granted beside them:
 *
 * - Without an IOMMU of its own the remoteproc's device maps the buffer. Its DMA addresses are what stands
 *   on its bus, with what "dma-ranges" says about it (dev->dma_range_map), and remoteproc hands firmware
 *   such addresses for memory that it allocates itself.
 * - Where there are neither dma-ranges nor an IOMMU, and the memory lies in a carveout of the driver's, the
 *   carveout's table says at which device address: drivers of cores with a bus of their own have such entries.
 * - With an IOMMU of its own (rproc->has_iommu) addresses are chosen by whoever fills rproc->domain. What
 *   firmware keeps free for it, only its integrator knows: the module's parameter iova.
 *
 * Pages of the scatter list are never looked at: exporters needn't have any (CONFIG_DMABUF_DEBUG).
 *
 * Kernel: Documentation/driver-api/dma-buf.rst, Documentation/core-api/dma-api.rst,
 * drivers/remoteproc/remoteproc_core.c (rproc_alloc_carveout).
 */
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/ioport.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "importer.h"
#include "translated.h"
#include "versions.h"

/*
 * A device behind no IOMMU, to which physical addresses are DMA addresses. For memory that goes into
 * rproc->domain, since the remoteproc's own device would be given addresses of a domain in which it isn't; and
 * to see beforehand whether memory is within reach.
 */
static struct platform_device *plain;

void mapping_prepare(struct device *device)
{
	if (device->dma_parms && !device->dma_parms->max_segment_size)
		dma_set_max_seg_size(device, UINT_MAX);
}

int mapping_init(void)
{
	int error;

	plain = platform_device_register_simple("shm-importer", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(plain))
		return PTR_ERR(plain);
	error = dma_set_mask_and_coherent(&plain->dev, DMA_BIT_MASK(64));
	if (error)
		platform_device_unregister(plain);
	else
		mapping_prepare(&plain->dev);
	return error;
}

void mapping_exit(void)
{
	platform_device_unregister(plain);
}

static bool has_iommu(const struct coprocessor *coprocessor)
{
	return coprocessor->rproc->has_iommu;
}

static struct device *mapper(const struct coprocessor *coprocessor)
{
	return has_iommu(coprocessor) ? &plain->dev : coprocessor->parent;
}

u32 mapping_flags(const struct coprocessor *coprocessor)
{
	u32 flags = has_iommu(coprocessor) ? SHM_IMPORT_IOMMU : 0;

	if (dev_is_dma_coherent(mapper(coprocessor)))
		flags |= SHM_IMPORT_COHERENT;
	return flags;
}

u64 mapping_highest(const struct coprocessor *coprocessor)
{
	struct device *parent = coprocessor->parent;
	const struct bus_dma_region *region = parent->dma_range_map;
	u64 highest = dma_get_mask(parent), end = 0;

	if (has_iommu(coprocessor))
		return coprocessor->window_end > coprocessor->window ? coprocessor->window_end - 1
								     : 0;
	if (parent->bus_dma_limit)
		highest = min(highest, parent->bus_dma_limit);
	for (; region && region->size; region++)
		end = max_t(u64, end, region->dma_start + region->size);
	return end ? min(highest, end - 1) : highest;
}

/* What the table of carveouts makes of addresses that nothing else states. The core runs, so the list stays. */
static int translate(const struct coprocessor *coprocessor, struct shm_import_segment *segment)
{
	const struct rproc_mem_entry *entry;

	if (coprocessor->parent->dma_range_map || is_translated(coprocessor->parent))
		return 0;
	list_for_each_entry(entry, &coprocessor->rproc->carveouts, node) {
		u64 start = entry->dma, end = start + entry->len;

		if (entry->da == start || entry->da == (u32)FW_RSC_ADDR_ANY)
			continue;
		if (segment->address + segment->length <= start || segment->address >= end)
			continue;
		/* one piece that isn't one for the coprocessor */
		if (segment->address < start || segment->address + segment->length > end)
			return -ERANGE;
		segment->address = entry->da + (segment->address - start);
		return 0;
	}
	return 0;
}

static int add_segment(struct shm_import *import, u64 address, u64 length, u32 flags)
{
	struct shm_import_segment segment = { .address = address,
					      .length = length,
					      .flags = flags };
	struct shm_import_segment *last;
	int error;

	if (!length || address + length - 1 < address ||
	    address + length - 1 > mapping_highest(import->coprocessor))
		return -ERANGE;
	error = translate(import->coprocessor, &segment);
	if (error)
		return error;
	if (import->count) {
		last = &import->segments[import->count - 1];
		if (last->address + last->length == segment.address && last->flags == flags) {
			last->length += length;
			return 0;
		}
	}
	import->segments[import->count++] = segment;
	return 0;
}

/* What this piece of the mapping is, as the DMA API tells. */
static u32 piece_flags(struct device *device, dma_addr_t address)
{
	if (!dma_need_sync(device, address))
		return 0;
	/* With coherent caches only copies need it; for devices behind an IOMMU older kernels always say so. */
	if (dev_is_dma_coherent(device) && !is_translated(device))
		return SHM_IMPORT_NEEDS_SYNC | SHM_IMPORT_BOUNCED;
	return SHM_IMPORT_NEEDS_SYNC;
}

static int describe(struct shm_import *import)
{
	struct device *device = mapper(import->coprocessor);
	struct scatterlist *piece;
	u64 size = 0;
	u32 flags;
	int error, i;

	for_each_sgtable_dma_sg(import->table, piece, i) {
		flags = piece_flags(device, sg_dma_address(piece));
		import->flags |= flags;
		size += sg_dma_len(piece);
		error = add_segment(import, sg_dma_address(piece), sg_dma_len(piece), flags);
		if (error)
			return error;
	}
	return size < import->buffer->size ? -EIO : 0;
}

/* Whether nothing is there, neither an attachment nor what the firmware's resource table asked for. */
static bool is_free(struct coprocessor *coprocessor, u64 start, u64 size, u64 *ret_next)
{
	struct iommu_domain *domain = coprocessor->rproc->domain;
	struct shm_import *other;
	unsigned long id;
	u64 place;

	xa_for_each(&coprocessor->imports, id, other) {
		if (!other->size_mapped || other->iova >= start + size ||
		    other->iova + other->size_mapped <= start)
			continue;
		*ret_next = other->iova + other->size_mapped;
		return false;
	}
	for (place = start; place < start + size; place += PAGE_SIZE) {
		if (!iommu_iova_to_phys(domain, place))
			continue;
		*ret_next = place + PAGE_SIZE;
		return false;
	}
	return true;
}

static int find_place(struct coprocessor *coprocessor, u64 size, u64 *ret_start)
{
	u64 start = coprocessor->window;

	if (coprocessor->window == coprocessor->window_end)
		return -EOPNOTSUPP;
	while (start < coprocessor->window_end && size <= coprocessor->window_end - start) {
		if (is_free(coprocessor, start, size, &start)) {
			*ret_start = start;
			return 0;
		}
	}
	return -ENOSPC;
}

static int enter_domain(struct shm_import *import)
{
	struct coprocessor *coprocessor = import->coprocessor;
	struct scatterlist *piece;
	size_t size = 0;
	u32 flags = 0;
	int may = 0, error, i;

	if (import->access & SHM_IMPORT_READ)
		may |= IOMMU_READ;
	if (import->access & SHM_IMPORT_WRITE)
		may |= IOMMU_WRITE;
	for_each_sgtable_dma_sg(import->table, piece, i)
		size += sg_dma_len(piece);
	if (size < import->buffer->size)
		return -EIO;
	error = find_place(coprocessor, size, &import->iova);
	if (error)
		return error;
	for_each_sgtable_dma_sg(import->table, piece, i) {
		error = map_into_domain(
			coprocessor->rproc->domain, import->iova + import->size_mapped,
			dma_to_phys(&plain->dev, sg_dma_address(piece)), sg_dma_len(piece), may);
		if (error)
			return error;
		import->size_mapped += sg_dma_len(piece);
		flags |= piece_flags(&plain->dev, sg_dma_address(piece));
	}
	import->flags |= flags;
	import->count = 1;
	import->segments[0] = (struct shm_import_segment){ .address = import->iova,
							   .length = size,
							   .flags = flags };
	return 0;
}

void mapping_leave_domain(struct shm_import *import)
{
	if (import->size_mapped)
		iommu_unmap(import->coprocessor->rproc->domain, import->iova, import->size_mapped);
	import->size_mapped = 0;
}

static bool reaches(struct coprocessor *coprocessor, struct sg_table *table)
{
	struct device *parent = coprocessor->parent;
	struct scatterlist *piece;
	phys_addr_t first;
	dma_addr_t low, high;
	int i;

	for_each_sgtable_dma_sg(table, piece, i) {
		first = dma_to_phys(&plain->dev, sg_dma_address(piece));
		low = phys_to_dma(parent, first);
		high = phys_to_dma(parent, first + sg_dma_len(piece) - 1);
		if (low == DMA_MAPPING_ERROR || high == DMA_MAPPING_ERROR ||
		    high - low != sg_dma_len(piece) - 1 || high > mapping_highest(coprocessor))
			return false;
	}
	return true;
}

struct span {
	u64 first, last;
};

static int widen(struct resource *memory, void *data)
{
	struct span *all = data;

	all->first = min_t(u64, all->first, memory->start);
	all->last = max_t(u64, all->last, memory->end);
	return 0;
}

/* Whether no memory of the machine is out of reach, nor what lies between its pieces. */
static bool reaches_all(const struct coprocessor *coprocessor)
{
	const struct bus_dma_region *region = coprocessor->parent->dma_range_map;
	u64 highest = mapping_highest(coprocessor);
	struct span memory = { .first = U64_MAX };

	walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0, U64_MAX,
			    &memory, widen);
	if (memory.first > memory.last)
		return false;
	if (!region)
		return memory.last <= highest;
	for (; region->size; region++) {
		if (memory.first >= region->cpu_start &&
		    memory.last - region->cpu_start < region->size)
			return region->dma_start + (memory.last - region->cpu_start) <= highest;
	}
	return false;
}

/*
 * To map memory that a device doesn't reach is a bug of its driver in the eyes of the kernel, which either warns
 * or gives it a copy elsewhere. So where a part of the machine's memory is out of reach the addresses are looked at
 * beforehand, which costs an attachment and a mapping more, for reading, which undoes nothing.
 */
static int check_reach(struct coprocessor *coprocessor, struct dma_buf *buffer)
{
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	int error = 0;

	if (is_translated(coprocessor->parent) || reaches_all(coprocessor))
		return 0;
	attachment = dma_buf_attach(buffer, &plain->dev);
	if (IS_ERR(attachment))
		return 0; /* not for everyone; the device that it is for will be told */
	table = map_attachment(attachment, DMA_TO_DEVICE);
	if (IS_ERR(table)) {
		error = PTR_ERR(table);
	} else {
		error = reaches(coprocessor, table) ? 0 : -ERANGE;
		unmap_attachment(attachment, table, DMA_TO_DEVICE);
	}
	dma_buf_detach(buffer, attachment);
	return error;
}

int mapping_make(struct shm_import *import, struct dma_buf *buffer)
{
	struct coprocessor *coprocessor = import->coprocessor;
	int error = has_iommu(coprocessor) ? 0 : check_reach(coprocessor, buffer);

	if (error)
		return error;
	import->attachment = dma_buf_attach(buffer, mapper(coprocessor));
	if (IS_ERR(import->attachment))
		return PTR_ERR(import->attachment);
	/* Both ways where it writes: it may leave bytes as they were, and those have to be there. */
	import->direction = import->access == SHM_IMPORT_READ ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
	import->table = map_attachment(import->attachment, import->direction);
	if (IS_ERR(import->table)) {
		error = PTR_ERR(import->table);
		import->table = NULL;
		dma_buf_detach(buffer, import->attachment);
		return error;
	}
	get_dma_buf(buffer);
	import->buffer = buffer;

	import->segments = kvcalloc(import->table->nents, sizeof(*import->segments), GFP_KERNEL);
	if (!import->segments)
		error = -ENOMEM;
	else if (has_iommu(coprocessor))
		error = enter_domain(import);
	else
		error = describe(import);
	if (error)
		mapping_end(import);
	else if (has_iommu(coprocessor))
		import->flags |= SHM_IMPORT_IOMMU;
	if (!(import->flags & SHM_IMPORT_NEEDS_SYNC))
		import->flags |= SHM_IMPORT_COHERENT;
	return error;
}

void mapping_end(struct shm_import *import)
{
	if (!import->table)
		return;
	mapping_leave_domain(import);
	unmap_attachment(import->attachment, import->table, import->direction);
	dma_buf_detach(import->buffer, import->attachment);
	dma_buf_put(import->buffer);
	kvfree(import->segments);
	import->table = NULL;
	import->segments = NULL;
	import->count = 0;
}
