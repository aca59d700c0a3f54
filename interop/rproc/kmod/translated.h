/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TRANSLATED_H
#define TRANSLATED_H

#include <linux/iommu.h>

/* Whether an IOMMU that the DMA API fills translates what the device says: then it reaches all memory. */
static inline bool is_translated(struct device *device)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(device);

	return domain && (domain->type & __IOMMU_DOMAIN_PAGING);
}

#endif
