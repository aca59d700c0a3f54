/* SPDX-License-Identifier: GPL-2.0-only */
/* What kernels from 6.1 on call by different names, all in one place. README.md tells which were tried. */
#ifndef VERSIONS_H
#define VERSIONS_H

#include <linux/dma-buf.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define IMPORT_DMA_BUF MODULE_IMPORT_NS("DMA_BUF")
#else
#define IMPORT_DMA_BUF MODULE_IMPORT_NS(DMA_BUF)
#endif

/* Without the reservation's lock, which before took who needed it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 55)
#define map_attachment   dma_buf_map_attachment_unlocked
#define unmap_attachment dma_buf_unmap_attachment_unlocked
#else
#define map_attachment   dma_buf_map_attachment
#define unmap_attachment dma_buf_unmap_attachment
#endif

static inline void add_area_flags(struct vm_area_struct *area, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(area, flags);
#else
	area->vm_flags |= flags;
#endif
}

static inline int map_into_domain(struct iommu_domain *domain, u64 iova, phys_addr_t physical,
				  size_t size, int may)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return iommu_map(domain, iova, physical, size, may, GFP_KERNEL);
#else
	return iommu_map(domain, iova, physical, size, may);
#endif
}

#endif
