// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fixture of the board, not for products: the remoteproc driver of the RISC-V core in the second QEMU, such
 * as a SoC's vendor has in their kernel. The memory is shared, at other addresses, which the device's
 * dma_range_map states, as "dma-ranges" of a device tree would.
 *
 * Kernel: Documentation/staging/remoteproc.rst, Documentation/core-api/dma-api.rst.
 */
#include <linux/delay.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/ioport.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/remoteproc.h>
#include <linux/slab.h>

#include "coprocessor.h"

/* Exported, and declared only in the kernel's private header. */
irqreturn_t rproc_vq_interrupt(struct rproc *rproc, int vq_id);

static ulong reach = COPROCESSOR_OFFSET;
module_param(reach, ulong, 0444);
MODULE_PARM_DESC(reach, "bytes of memory, from its beginning, that the coprocessor reaches");

static bool ranges = true;
module_param(ranges, bool, 0444);
MODULE_PARM_DESC(ranges, "the bus has dma-ranges; else only the table of carveouts has addresses");

static bool booted;
module_param(booted, bool, 0444);
MODULE_PARM_DESC(booted, "somebody has started the core before: it waits, and is attached");

static bool stuck;
module_param(stuck, bool, 0600);
MODULE_PARM_DESC(stuck, "the core can't be stopped");

struct core {
	struct rproc *rproc;
	void *carveout;
	void *control;
	struct rproc_subdev doorbell;
	struct task_struct *listener;
};

static struct platform_device *platform;

static u32 control_read(struct core *core, unsigned int offset)
{
	u32 value = READ_ONCE(*(u32 *)(core->control + offset));

	rmb();
	return value;
}

static void control_write(struct core *core, unsigned int offset, u32 value)
{
	wmb();
	WRITE_ONCE(*(u32 *)(core->control + offset), value);
}

/* There is no interrupt between the machines: doorbells are counters, and somebody looks at them. */
static int listen(void *argument)
{
	struct core *core = argument;
	bool crashed = false;
	u32 seen[2] = {}, now;
	int ring;

	while (!kthread_should_stop()) {
		for (ring = 0; ring < 2; ring++) {
			now = control_read(core, COPROCESSOR_TO_HOST + 4 * ring);
			if (now == seen[ring])
				continue;
			seen[ring] = now;
			rproc_vq_interrupt(core->rproc, ring);
		}
		if (!crashed && control_read(core, COPROCESSOR_STATE) == COPROCESSOR_TRAPPED) {
			crashed = true;
			dev_err(&core->rproc->dev, "trap %llu at %#llx\n",
				*(u64 *)(core->control + COPROCESSOR_CAUSE),
				*(u64 *)(core->control + COPROCESSOR_TRAP_PC));
			rproc_report_crash(core->rproc, RPROC_FATAL_ERROR);
		}
		usleep_range(200, 400);
	}
	return 0;
}

static int doorbell_start(struct rproc_subdev *subdev)
{
	struct core *core = container_of(subdev, struct core, doorbell);
	struct task_struct *listener = kthread_run(listen, core, "board-coprocessor");

	if (IS_ERR(listener))
		return PTR_ERR(listener);
	core->listener = listener;
	return 0;
}

static void doorbell_stop(struct rproc_subdev *subdev, bool crashed)
{
	struct core *core = container_of(subdev, struct core, doorbell);

	/* again, where the core couldn't be stopped the time before */
	if (core->listener)
		kthread_stop(core->listener);
	core->listener = NULL;
}

static int add_carveout(struct core *core, const char *name, u32 offset, u32 size)
{
	u32 address = COPROCESSOR_BASE + COPROCESSOR_OFFSET + offset;
	struct rproc_mem_entry *entry;

	entry = rproc_mem_entry_init(core->rproc->dev.parent, core->carveout + offset,
				     ranges ? address : COPROCESSOR_BASE + offset, size, address,
				     NULL, NULL, "%s", name);
	if (!entry)
		return -ENOMEM;
	rproc_add_carveout(core->rproc, entry);
	return 0;
}

static int core_prepare(struct rproc *rproc)
{
	struct core *core = rproc->priv;
	int error;

	error = add_carveout(core, "firmware", COPROCESSOR_FIRMWARE, COPROCESSOR_FIRMWARE_SIZE);
	if (!error)
		error = add_carveout(core, "vdev0vring0", COPROCESSOR_VRING,
				     COPROCESSOR_VRING_SIZE);
	if (!error)
		error = add_carveout(core, "vdev0vring1",
				     COPROCESSOR_VRING + COPROCESSOR_VRING_SIZE,
				     COPROCESSOR_VRING_SIZE);
	if (!error)
		error = add_carveout(core, "shared", COPROCESSOR_SHARED, COPROCESSOR_SHARED_SIZE);
	return error;
}

static int wait_for(struct core *core, bool stopped)
{
	u32 state;

	return read_poll_timeout(control_read, state, (state == COPROCESSOR_STOPPED) == stopped,
				 500, 5000000, false, core, COPROCESSOR_STATE);
}

static int core_start(struct rproc *rproc)
{
	struct core *core = rproc->priv;
	int error, ring;

	if (control_read(core, COPROCESSOR_MAGIC) != COPROCESSOR_ALIVE)
		return -ENODEV;
	for (ring = 0; ring < 2; ring++) {
		control_write(core, COPROCESSOR_TO_REMOTE + 4 * ring, 0);
		control_write(core, COPROCESSOR_TO_HOST + 4 * ring, 0);
	}
	control_write(core, COPROCESSOR_ENTRY, rproc->bootaddr);
	control_write(core, COPROCESSOR_GO, 1);
	error = wait_for(core, false);
	if (error) {
		control_write(core, COPROCESSOR_GO, 0);
		return error;
	}
	/* Behind the virtio device in the list, so that no doorbell rings while that goes away. */
	rproc_add_subdev(rproc, &core->doorbell);
	return 0;
}

static int core_attach(struct rproc *rproc)
{
	struct core *core = rproc->priv;

	rproc_add_subdev(rproc, &core->doorbell);
	return 0;
}

static int core_detach(struct rproc *rproc)
{
	struct core *core = rproc->priv;

	rproc_remove_subdev(rproc, &core->doorbell);
	return 0;
}

/* The ROM takes the core back whatever the firmware does. */
static int core_stop(struct rproc *rproc)
{
	struct core *core = rproc->priv;
	int error;

	if (READ_ONCE(stuck))
		return -EBUSY;
	control_write(core, COPROCESSOR_GO, 0);
	error = wait_for(core, true);
	if (!error)
		rproc_remove_subdev(rproc, &core->doorbell);
	return error;
}

static void core_kick(struct rproc *rproc, int ring)
{
	struct core *core = rproc->priv;
	unsigned int doorbell = COPROCESSOR_TO_REMOTE + 4 * (ring & 1);

	control_write(core, doorbell, control_read(core, doorbell) + 1);
}

static const struct rproc_ops core_operations = {
	.prepare = core_prepare,
	.start = core_start,
	.stop = core_stop,
	.attach = core_attach,
	.detach = core_detach,
	.kick = core_kick,
};

/* What of_dma_configure() makes of "dma-ranges"; the driver core frees it. */
static int state_addresses(struct device *device)
{
	struct bus_dma_region *map;

	if (ranges) {
		map = kcalloc(2, sizeof(*map), GFP_KERNEL);
		if (!map)
			return -ENOMEM;
		map->dma_start = COPROCESSOR_OFFSET;
		map->size = reach;
		map->offset = (u64)0 - COPROCESSOR_OFFSET;
		device->dma_range_map = map;
	}
	return dma_set_mask_and_coherent(device, DMA_BIT_MASK(32));
}

static void stop_booted(void *data)
{
	struct core *core = data;

	if (!READ_ONCE(stuck)) {
		control_write(core, COPROCESSOR_GO, 0);
		wait_for(core, true);
	}
}

/* What a boot loader may have done, if it hasn't: the core runs an instruction that jumps to itself. */
static int boot(struct device *device, struct core *core)
{
	int error;

	if (control_read(core, COPROCESSOR_MAGIC) != COPROCESSOR_ALIVE)
		return -ENODEV;
	if (control_read(core, COPROCESSOR_STATE) == COPROCESSOR_STOPPED) {
		*(u32 *)(core->carveout + COPROCESSOR_FIRMWARE) = 0x0000006f;
		control_write(core, COPROCESSOR_ENTRY,
			      COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_FIRMWARE);
		control_write(core, COPROCESSOR_GO, 1);
		error = wait_for(core, false);
		if (error)
			return error;
	}
	core->rproc->state = RPROC_DETACHED;
	return devm_add_action_or_reset(device, stop_booted, core);
}

/* A core that remoteproc doesn't stop when its driver goes has nobody who listens any more. */
static void end_listener(void *core)
{
	doorbell_stop(&((struct core *)core)->doorbell, true);
}

static int core_probe(struct platform_device *device)
{
	struct rproc *rproc;
	struct core *core;
	int error;

	error = state_addresses(&device->dev);
	if (error)
		return error;
	rproc = devm_rproc_alloc(&device->dev, "board", &core_operations, "board-coprocessor.elf",
				 sizeof(*core));
	if (!rproc)
		return -ENOMEM;
	rproc->auto_boot = false;
	core = rproc->priv;
	core->rproc = rproc;
	core->doorbell.start = doorbell_start;
	core->doorbell.stop = doorbell_stop;
	if (region_intersects(COPROCESSOR_BASE, COPROCESSOR_SIZE, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		dev_err(&device->dev,
			"the kernel uses the carveout: the board has no coprocessor\n");
		return -ENODEV;
	}
	core->carveout =
		devm_memremap(&device->dev, COPROCESSOR_BASE, COPROCESSOR_SIZE, MEMREMAP_WB);
	if (IS_ERR(core->carveout))
		return PTR_ERR(core->carveout);
	core->control = core->carveout + COPROCESSOR_CONTROL;
	if (booted) {
		error = boot(&device->dev, core);
		if (error)
			return error;
	}
	error = devm_add_action_or_reset(&device->dev, end_listener, core);
	return error ? error : devm_rproc_add(&device->dev, rproc);
}

static struct platform_driver driver = {
	.probe = core_probe,
	.driver = { .name = "board-coprocessor" },
};

static int __init coprocessor_init(void)
{
	int error = platform_driver_register(&driver);

	if (error)
		return error;
	platform =
		platform_device_register_simple("board-coprocessor", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(platform)) {
		platform_driver_unregister(&driver);
		return PTR_ERR(platform);
	}
	return 0;
}

static void __exit coprocessor_exit(void)
{
	platform_device_unregister(platform);
	platform_driver_unregister(&driver);
}

module_init(coprocessor_init);
module_exit(coprocessor_exit);
MODULE_DESCRIPTION("Test fixture: the remoteproc of the board's RISC-V core");
MODULE_LICENSE("GPL");
