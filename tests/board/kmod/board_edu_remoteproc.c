// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fixture of the board, not for products: QEMU's edu device as a remoteproc that has an IOMMU of its own, so
 * that remoteproc keeps a domain for it, or, with own_iommu=0, one behind the IOMMU of the DMA API. It runs nothing; a test has it move bytes by its registers. It is started
 * when the module is loaded, and stopped when it goes.
 *
 * QEMU: docs/specs/edu.txt. Kernel: Documentation/staging/remoteproc.rst.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/remoteproc.h>

static bool own_iommu = true;
module_param(own_iommu, bool, 0444);
MODULE_PARM_DESC(own_iommu, "remoteproc fills its IOMMU; else the DMA API does");

static int edu_load(struct rproc *rproc, const struct firmware *firmware)
{
	return 0;
}

static int edu_start(struct rproc *rproc)
{
	return 0;
}

static int edu_stop(struct rproc *rproc)
{
	return 0;
}

static const struct rproc_ops edu_operations = {
	.load = edu_load,
	.start = edu_start,
	.stop = edu_stop,
};

static int edu_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct rproc *rproc;
	int error;

	error = pcim_enable_device(pci);
	if (error)
		return error;
	error = dma_set_mask_and_coherent(&pci->dev, DMA_BIT_MASK(28));
	if (error)
		return error;
	pci_set_master(pci);
	rproc = devm_rproc_alloc(&pci->dev, "edu", &edu_operations, "board-coprocessor.elf", 0);
	if (!rproc)
		return -ENOMEM;
	rproc->auto_boot = false;
	rproc->has_iommu = own_iommu;
	error = devm_rproc_add(&pci->dev, rproc);
	return error ? error : rproc_boot(rproc);
}

static const struct pci_device_id edu_ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };

static struct pci_driver edu_driver = {
	.name = "board-edu-remoteproc",
	.id_table = edu_ids,
	.probe = edu_probe,
};

module_pci_driver(edu_driver);
MODULE_DESCRIPTION("Test fixture: a remoteproc with an IOMMU");
MODULE_LICENSE("GPL");
