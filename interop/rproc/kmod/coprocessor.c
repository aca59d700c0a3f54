// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coprocessors: how they are found, and what becomes of attachments when they start, stop, crash and go.
 *
 * Kernel: Documentation/staging/remoteproc.rst, drivers/remoteproc/remoteproc_core.c. Its calls on a subdevice
 * say less than is needed: "stop" comes while the core still runs, and "unprepare" after it was stopped as well
 * as after it was only left alone (rproc_detach()). Which it was is told by rproc->state, later.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "importer.h"
#include "remoteproc_find.h"

static uint limit_mb = 512;
module_param(limit_mb, uint, 0644);
MODULE_PARM_DESC(limit_mb,
		 "MiB that may be attached to one coprocessor at once, held ones included");

static char *iova[16];
static int iova_count;
module_param_array(iova, charp, &iova_count, 0444);
MODULE_PARM_DESC(
	iova,
	"addresses behind a coprocessor's IOMMU that its firmware keeps free: NAME:START+SIZE,...");

static LIST_HEAD(coprocessors);
static LIST_HEAD(lost); /* running, without a driver: what they use is listed, and never freed */
static DEFINE_MUTEX(coprocessors_lock);

u64 coprocessor_limit(void)
{
	return (u64)READ_ONCE(limit_mb) << 20;
}

struct coprocessor *coprocessor_find(const char *name)
{
	struct rproc *rproc = remoteproc_find(name);
	struct coprocessor *coprocessor;

	if (IS_ERR(rproc))
		return ERR_CAST(rproc);
	coprocessor = coprocessor_get(rproc);
	put_device(&rproc->dev);
	return coprocessor;
}

/* ---- the core starts and ends ---------------------------------------------------------------------------- */

static void stopped(struct coprocessor *coprocessor)
{
	mutex_lock(&coprocessor->lock);
	coprocessor->stopped = coprocessor->run;
	import_drop_stopped(coprocessor);
	mutex_unlock(&coprocessor->lock);
}

static int core_prepare(struct rproc_subdev *subdev)
{
	struct coprocessor *coprocessor = container_of(subdev, struct coprocessor, subdev);

	/* A crash is recovered from without letting the lock go, so this comes before the work below. */
	if (coprocessor->rproc->state == RPROC_OFFLINE)
		stopped(coprocessor);
	return 0;
}

static int core_start(struct rproc_subdev *subdev)
{
	struct coprocessor *coprocessor = container_of(subdev, struct coprocessor, subdev);

	mutex_lock(&coprocessor->lock);
	coprocessor->run++;
	coprocessor->running = true;
	coprocessor->crashed = false;
	mutex_unlock(&coprocessor->lock);
	return 0;
}

static void core_stop(struct rproc_subdev *subdev, bool crashed)
{
	struct coprocessor *coprocessor = container_of(subdev, struct coprocessor, subdev);

	mutex_lock(&coprocessor->lock);
	coprocessor->running = false;
	coprocessor->crashed = crashed;
	coprocessor->ends++;
	mutex_unlock(&coprocessor->lock);
	wake_up_interruptible_all(&coprocessor->ended);
}

static void core_unprepare(struct rproc_subdev *subdev)
{
	struct coprocessor *coprocessor = container_of(subdev, struct coprocessor, subdev);

	mutex_lock(&coprocessor->lock);
	import_leave_domain(coprocessor);
	mutex_unlock(&coprocessor->lock);
	schedule_work(&coprocessor->settle);
}

static void settle(struct work_struct *work)
{
	struct coprocessor *coprocessor = container_of(work, struct coprocessor, settle);

	mutex_lock(&coprocessor->rproc->lock);
	if (coprocessor->rproc->state == RPROC_OFFLINE)
		stopped(coprocessor);
	mutex_unlock(&coprocessor->rproc->lock);
}

/* ---- the driver comes and goes --------------------------------------------------------------------------- */

static void coprocessor_free(struct kref *references)
{
	struct coprocessor *coprocessor = container_of(references, struct coprocessor, references);

	xa_destroy(&coprocessor->imports);
	if (coprocessor->rproc)
		put_device(&coprocessor->rproc->dev);
	put_device(coprocessor->parent);
	kfree(coprocessor);
}

void coprocessor_put(struct coprocessor *coprocessor)
{
	kref_put(&coprocessor->references, coprocessor_free);
}

/* With the parent's lock. */
static void forget(struct coprocessor *coprocessor)
{
	struct rproc *rproc = coprocessor->rproc;
	bool all;

	mutex_lock(&coprocessors_lock);
	list_del(&coprocessor->node);
	mutex_unlock(&coprocessors_lock);
	mutex_lock(&rproc->lock);
	rproc_remove_subdev(rproc, &coprocessor->subdev);
	if (rproc->state == RPROC_OFFLINE)
		stopped(coprocessor);
	mutex_unlock(&rproc->lock);
	cancel_work_sync(&coprocessor->settle);
	mutex_lock(&coprocessor->lock);
	coprocessor->gone = true;
	coprocessor->running = false;
	coprocessor->ends++;
	all = import_unmap_all(coprocessor);
	mutex_unlock(&coprocessor->lock);
	wake_up_interruptible_all(&coprocessor->ended);
	if (all) {
		/* its number is free for the next at once, whoever still has a descriptor */
		coprocessor->rproc = NULL;
		put_device(&rproc->dev);
		coprocessor_put(coprocessor);
	} else {
		/* Worse than to lose memory is to give it to somebody else. */
		mutex_lock(&coprocessors_lock);
		list_add_tail(&coprocessor->node, &lost);
		mutex_unlock(&coprocessors_lock);
		dev_err(&rproc->dev,
			"its driver goes and leaves it running: what it uses is lost\n");
	}
}

/*
 * The driver's remove() is over, and what devm_ functions undo is still to come. Where rproc_del() is among
 * that, the core runs, and is stopped a moment earlier than it would be: afterwards the device can't unmap.
 */
static void driver_leaves(void *data)
{
	struct coprocessor *coprocessor = data;

	while (atomic_read(&coprocessor->rproc->power) > 0 && !rproc_shutdown(coprocessor->rproc))
		;
	forget(coprocessor);
}

static void read_window(struct coprocessor *coprocessor)
{
	const char *name = coprocessor->rproc->name;
	size_t length = strlen(name);
	u64 start, size;
	int i;

	for (i = 0; i < iova_count; i++) {
		if (strncmp(iova[i], name, length) || iova[i][length] != ':')
			continue;
		if (sscanf(iova[i] + length + 1, "%lli+%lli", &start, &size) != 2 || !size ||
		    start + size < start || !PAGE_ALIGNED(start | size) ||
		    start + size - 1 > dma_get_mask(coprocessor->parent)) {
			dev_warn(&coprocessor->rproc->dev,
				 "iova=%s: no window of whole pages that it reaches\n", iova[i]);
			continue;
		}
		coprocessor->window = start;
		coprocessor->window_end = start + size;
	}
}

static struct coprocessor *make(struct rproc *rproc)
{
	struct coprocessor *coprocessor = kzalloc(sizeof(*coprocessor), GFP_KERNEL);

	if (!coprocessor)
		return NULL;
	kref_init(&coprocessor->references);
	mutex_init(&coprocessor->lock);
	init_waitqueue_head(&coprocessor->ended);
	xa_init(&coprocessor->imports);
	INIT_WORK(&coprocessor->settle, settle);
	get_device(&rproc->dev);
	coprocessor->rproc = rproc;
	coprocessor->parent = get_device(rproc->dev.parent);
	coprocessor->subdev.prepare = core_prepare;
	coprocessor->subdev.start = core_start;
	coprocessor->subdev.stop = core_stop;
	coprocessor->subdev.unprepare = core_unprepare;
	read_window(coprocessor);
	return coprocessor;
}

static struct coprocessor *known(struct rproc *rproc)
{
	struct coprocessor *each, *found = NULL;

	mutex_lock(&coprocessors_lock);
	list_for_each_entry(each, &coprocessors, node) {
		if (each->rproc == rproc) {
			kref_get(&each->references);
			found = each;
		}
	}
	mutex_unlock(&coprocessors_lock);
	return found;
}

/* With the parent's lock. */
static struct coprocessor *add(struct rproc *rproc)
{
	struct coprocessor *coprocessor = known(rproc);
	int error;

	if (coprocessor)
		return coprocessor;
	/* Only its driver's end tells when nothing can be mapped any more. */
	if (!rproc->dev.parent->driver || !device_is_registered(&rproc->dev))
		return ERR_PTR(-ENODEV);
	coprocessor = make(rproc);
	if (!coprocessor)
		return ERR_PTR(-ENOMEM);
	error = devm_add_action(coprocessor->parent, driver_leaves, coprocessor);
	if (error) {
		coprocessor_put(coprocessor);
		return ERR_PTR(error);
	}
	mapping_prepare(coprocessor->parent);
	mutex_lock(&rproc->lock);
	rproc_add_subdev(rproc, &coprocessor->subdev);
	coprocessor->running = rproc->state == RPROC_RUNNING || rproc->state == RPROC_ATTACHED;
	coprocessor->run = coprocessor->running;
	mutex_unlock(&rproc->lock);

	kref_get(&coprocessor->references);
	mutex_lock(&coprocessors_lock);
	list_add_tail(&coprocessor->node, &coprocessors);
	mutex_unlock(&coprocessors_lock);
	return coprocessor;
}

struct coprocessor *coprocessor_get(struct rproc *rproc)
{
	struct coprocessor *coprocessor = known(rproc);
	struct device *parent;

	if (coprocessor)
		return coprocessor;
	parent = get_device(rproc->dev.parent);
	if (!parent)
		return ERR_PTR(-ENODEV);
	device_lock(parent);
	coprocessor = add(rproc);
	device_unlock(parent);
	put_device(parent);
	return coprocessor;
}

void coprocessor_each(void (*tell)(struct coprocessor *coprocessor, void *data), void *data)
{
	struct list_head *const lists[] = { &coprocessors, &lost };
	struct coprocessor *coprocessor;
	int i;

	mutex_lock(&coprocessors_lock);
	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		list_for_each_entry(coprocessor, lists[i], node) {
			mutex_lock(&coprocessor->lock);
			tell(coprocessor, data);
			mutex_unlock(&coprocessor->lock);
		}
	}
	mutex_unlock(&coprocessors_lock);
}

void coprocessor_forget_all(void)
{
	struct coprocessor *coprocessor;

	for (;;) {
		mutex_lock(&coprocessors_lock);
		coprocessor = list_first_entry_or_null(&coprocessors, struct coprocessor, node);
		if (coprocessor)
			kref_get(&coprocessor->references);
		mutex_unlock(&coprocessors_lock);
		if (!coprocessor)
			return;
		device_lock(coprocessor->parent);
		if (!coprocessor->gone) {
			devm_remove_action(coprocessor->parent, driver_leaves, coprocessor);
			forget(coprocessor);
		}
		device_unlock(coprocessor->parent);
		coprocessor_put(coprocessor);
	}
}
