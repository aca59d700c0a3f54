/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A remoteproc by its name. remoteproc has no such look-up, and its class isn't exported. What is:
 * rproc_get_by_child(), which knows its devices from others. So a child is made up whose parent is the candidate.
 */
#ifndef REMOTEPROC_FIND_H
#define REMOTEPROC_FIND_H

#include <linux/device.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>
#include <linux/slab.h>
#include <linux/string.h>

struct remoteproc_search {
	const char *name;
	struct device *probe;
	struct rproc *found;
};

static int remoteproc_is_searched(struct device *candidate, void *data)
{
	struct remoteproc_search *search = data;
	struct rproc *rproc;

	search->probe->parent = candidate;
	rproc = rproc_get_by_child(search->probe);
	if (!rproc || &rproc->dev != candidate)
		return 0;
	if (strcmp(search->name, dev_name(candidate)) && strcmp(search->name, rproc->name))
		return 0;
	get_device(candidate);
	search->found = rproc;
	return 1;
}

static int remoteproc_has_searched(struct device *parent, void *data)
{
	return device_for_each_child(parent, data, remoteproc_is_searched);
}

/* By its name or its device's, "remoteproc0". A reference for put_device(&rproc->dev), or an ERR_PTR. */
static struct rproc *remoteproc_find(const char *name)
{
	struct remoteproc_search search = { .name = name };

	search.probe = kzalloc(sizeof(*search.probe), GFP_KERNEL);
	if (!search.probe)
		return ERR_PTR(-ENOMEM);
	/* Every driver in the kernel is a platform driver; cards have PCI. */
	bus_for_each_dev(&platform_bus_type, NULL, &search, remoteproc_has_searched);
#ifdef CONFIG_PCI
	if (!search.found)
		bus_for_each_dev(&pci_bus_type, NULL, &search, remoteproc_has_searched);
#endif
	kfree(search.probe);
	return search.found ? search.found : ERR_PTR(-ENODEV);
}

#endif
