/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows: some pages of a memory, exported once more as a memory of their own. A part that has one is
 * neither copied nor synced with all the rest. Where a source gives windows its memories count as synced
 * by pages: what no window of a view reaches alone is reached by one for the moment.
 */
#include "core.h"

/* How many windows before a place are looked at for one that reaches over it. */
#define LOOKS 4

static int compare(const struct shm__window *a, const struct shm__window *b)
{
	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return (a->to > b->to) - (a->to < b->to);
}

RB_PROTOTYPE(shm__window_tree, shm__window, node, compare)
RB_GENERATE(shm__window_tree, shm__window, node, compare)

/* Of a source that gives windows the pages of these, else what it can sync; 0: only all of a memory. */
size_t shm__granule_of(const struct metal_device *src, const struct metal_shm_properties *is)
{
	return src->ops->window ? is->granularity : is->sync_granule;
}

/* The pages that the bytes lie in. */
static struct shm__reach pages_of(const struct shm__root *root, size_t start, size_t end)
{
	struct shm__reach reach = { start - start % root->granule, root->memory.size };
	size_t after = end % root->granule ? root->granule - end % root->granule : 0;

	if (root->memory.size - end > after)
		reach.to = end + after;
	return reach;
}

/* Ended by the source's release. */
static int export_pages(struct shm__root *root, const struct shm__reach *pages,
			struct metal_shm_memory *ret_memory)
{
	const struct metal_shm_range range = { pages->from, pages->to - pages->from };
	struct metal_shm_memory memory = { .os_handle = -1 };
	int error = root->src->ops->window(root->src, &root->memory, &range, &memory);

	if (error)
		return error;
	*ret_memory = memory;
	shm__count(root, root->src, SHM__WINDOWS, 1);
	return 0;
}

/* One for the view, or that of another view of the same pages. With no lock but attach_lock. */
int shm__window_take(struct metal_generic_shm *view)
{
	struct shm__root *root = view->root;
	struct shm__reach pages = pages_of(root, view->offset, view->offset + view->size);
	struct shm__window key = { .from = pages.from, .to = pages.to }, *window;
	int error;

	shm__mutex_lock(&root->lock);
	window = RB_FIND(shm__window_tree, &root->windows, &key);
	if (window)
		window->users++;
	shm__mutex_unlock(&root->lock);
	view->window = window;
	if (window)
		return 0;
	window = shm__os_alloc(sizeof(*window));
	if (!window)
		return shm__error(ENOMEM, "no memory for a window's record");
	error = export_pages(root, &pages, &window->memory);
	if (error) {
		shm__os_free(window);
		return error;
	}
	window->from = pages.from;
	window->to = pages.to;
	window->users = 1;
	shm__mutex_lock(&root->lock);
	RB_INSERT(shm__window_tree, &root->windows, window);
	shm__mutex_unlock(&root->lock);
	view->window = window;
	return 0;
}

/* Under the memory's lock: nobody finds it any more if it was the last view's. */
void shm__window_leave(struct metal_generic_shm *view)
{
	if (!--view->window->users)
		RB_REMOVE(shm__window_tree, &view->root->windows, view->window);
}

/* After that, with no lock but attach_lock. */
void shm__window_drop(struct metal_generic_shm *view)
{
	struct shm__window *window = view->window;

	view->window = NULL;
	if (window->users)
		return;
	view->root->src->ops->release(view->root->src, &window->memory);
	shm__os_free(window);
}

/* A window of some view that reaches over the pages and destroys nothing there. */
static struct shm__window *find_window(struct shm__root *root, const struct shm__reach *pages,
				       bool back)
{
	struct shm__window key = { .from = pages->from, .to = SIZE_MAX };
	struct shm__window *window = RB_NFIND(shm__window_tree, &root->windows, &key);

	window = window ? RB_PREV(shm__window_tree, &root->windows, window)
			: RB_MAX(shm__window_tree, &root->windows);
	for (int i = 0; window && i < LOOKS; i++) {
		if (window->to >= pages->to &&
		    !shm__sync_destroys(root, window->from, window->to, back))
			return window;
		window = RB_PREV(shm__window_tree, &root->windows, window);
	}
	return NULL;
}

static int sync_memory(struct shm__root *root, struct metal_shm_memory *memory, bool *started,
		       bool back, unsigned dir)
{
	const struct metal_shm_device_ops *ops = root->src->ops;
	const struct metal_shm_range all = { 0, memory->size };
	int error = 0;

	/* moves nothing, and some exporters want it */
	if (back && !*started) {
		error = ops->sync_for_cpu(root->src, memory, &all, METAL_SHM_DIR_DEV_R);
		if (error)
			return error;
		shm__count(root, root->src, SHM__STARTS, 1);
	}
	*started = true;
	return back ? ops->sync_for_device(root->src, memory, &all, (enum metal_shm_dir)dir)
		    : ops->sync_for_cpu(root->src, memory, &all, (enum metal_shm_dir)dir);
}

static int sync_for_the_moment(struct shm__root *root, const struct shm__reach *pages, bool back,
			       unsigned dir)
{
	struct metal_shm_memory memory;
	bool started = false;
	int error = export_pages(root, pages, &memory);

	if (error)
		return error;
	error = sync_memory(root, &memory, &started, back, dir);
	root->src->ops->release(root->src, &memory);
	return error;
}

/*
 * A START, or an END where back, that acts on the bytes [start, end), by the smallest that is there and
 * destroys nobody's bytes. Under the memory's lock. ret_reach: what it did act on.
 */
int shm__window_sync(struct shm__root *root, size_t start, size_t end, bool back, unsigned dir,
		     struct shm__reach *ret_reach)
{
	struct shm__reach pages = pages_of(root, start, end);
	struct shm__window *window = find_window(root, &pages, back);
	int error;

	if (window) {
		pages = (struct shm__reach){ window->from, window->to };
		error = sync_memory(root, &window->memory, &window->started, back, dir);
	} else if (!shm__sync_destroys(root, 0, root->size, back)) {
		pages = (struct shm__reach){ 0, root->memory.size };
		error = sync_memory(root, &root->memory, &root->started, back, dir);
	} else {
		error = sync_for_the_moment(root, &pages, back, dir);
	}
	if (!error)
		*ret_reach = pages;
	return error;
}

/* The next window in order that some driver puts fences on, over any of these bytes; NULL: there is none. */
struct shm__window *shm__window_fenced(struct shm__root *root, const struct shm__window *after,
				       size_t start, size_t end)
{
	struct shm__window key, *window;

	if (after) {
		key = (struct shm__window){ .from = after->from, .to = after->to + 1 };
		window = RB_NFIND(shm__window_tree, &root->windows, &key);
	} else {
		window = RB_MIN(shm__window_tree, &root->windows);
	}
	for (; window && window->from < end;
	     window = RB_NEXT(shm__window_tree, &root->windows, window))
		if (window->fences && window->to > start)
			return window;
	return NULL;
}
