/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guard mode: while devices have bytes, the pages of these are closed in the program's mapping. The core
 * reaches the bytes by a mapping of its own. Everything under the memory's lock, but for the texts.
 */
#include <string.h>

#include "guard.h"

struct text {
	struct text *next;
	char text[];
};

static shm__mutex texts_lock = SHM__MUTEX_INITIALISER;
static struct text *texts;

/* For the life of the process: who reads it in a handler of faults holds nothing back. NULL: no memory. */
static const char *keep(const char *string)
{
	size_t size = strlen(string) + 1;
	struct text *text;

	shm__mutex_lock(&texts_lock);
	for (text = texts; text && strcmp(text->text, string) != 0; text = text->next)
		;
	if (!text) {
		text = shm__os_alloc(sizeof(*text) + size);
		if (text) {
			memcpy(text->text, string, size);
			text->next = texts;
			texts = text;
		}
	}
	shm__mutex_unlock(&texts_lock);
	return text ? text->text : NULL;
}

char *shm__guard_bytes(const struct shm__root *root)
{
	return root->guard->bytes;
}

static bool is_written(const struct shm__range *range)
{
	for (unsigned i = 0; i < range->holders; i++)
		if (range->holder[i].dir & METAL_SHM_DIR_DEV_W)
			return true;
	return false;
}

/* What a device wrote and nobody took back: the CPU's cache or the memory has older bytes. */
static bool is_stale(const struct shm__root *root, const struct shm__range *range)
{
	return range->newest || ((range->flags & SHM__DEV_DIRTY) && !shm__is_coherent(root));
}

/* What the program may do with a range: 0, METAL_SHM_READ, or all that it ever may. */
static int access_of(const struct shm__root *root, const struct shm__range *range)
{
	if (!range->holders || (range->flags & SHM__OWNED))
		return root->prot;
	return is_written(range) || is_stale(root, range) ? 0 : METAL_SHM_READ;
}

/* Of the page at an offset: it stays open for any byte that is the program's. */
static int access_of_page(struct shm__root *root, size_t at, size_t page)
{
	int prot = 0;

	SHM__EACH_RANGE(range, &root->ranges, at, at + page)
		prot |= access_of(root, range);
	return prot;
}

/* What the handler of faults says of the memory. */
static void publish(struct shm__root *root)
{
	struct shm__guarded *mapping = root->guard->mapping;
	size_t n = 0, room;

	SHM__EACH_RANGE(range, &root->ranges, 0, root->size)
		n += range->holders != 0;
	room = shm__os_guard_write(mapping, n);
	n = 0;
	SHM__EACH_RANGE(range, &root->ranges, 0, root->size) {
		const struct shm__holder *holder = shm__main_holder(range);
		struct shm__mark mark = { .start = range->start, .end = range->end };

		if (!holder || n == room)
			continue;
		mark.who = keep(root->slots[holder->slot].dev->name);
		mark.where = holder->site;
		mark.since_ms = holder->since_ms;
		mark.what = is_written(range)       ? SHM__MARK_WRITES
			    : is_stale(root, range) ? SHM__MARK_STALE
						    : SHM__MARK_READS;
		shm__os_guard_mark(mapping, n++, &mark);
	}
	shm__os_guard_written(mapping, n);
}

static int protect(struct shm__root *root, size_t start, size_t end, int prot)
{
	return shm__os_protect((char *)root->address + start, end - start, prot);
}

/* Of a range's pages at its ends others may have bytes; all that it has alone are alike. */
static int protect_pages(struct shm__root *root, size_t start, size_t end, size_t page)
{
	int error = 0;

	for (size_t at = start - start % page; !error && at < end;) {
		const struct shm__range *range = shm__range_at(&root->ranges, at);
		int prot = access_of_page(root, at, page);
		size_t to = at + page;

		if (to < range->end)
			to = range->end / page * page;
		error = protect(root, at, to, prot);
		at = to;
	}
	return error;
}

void shm__guard_update(struct shm__root *root, size_t start, size_t end)
{
	size_t page = shm__os_page_size();
	int error;

	if (!root->guard->mapping)
		return;
	publish(root);
	error = protect_pages(root, start, end, page);
	if (!error)
		return;
	/* opening some may need more records of the system's than opening all */
	shm__log(METAL_SHM_LOG_ERROR, "guard: %s can't be protected: error %d", root->src->name,
		 -error);
	protect(root, 0, root->memory.size, root->prot);
}

void shm__guard_given(struct metal_generic_shm *view, const void *site)
{
	size_t start = view->offset, end = start + view->size;
	struct shm__root *root = view->root;
	char text[SHM__SITE_SIZE];
	const char *kept;

	shm__os_call_site(site, text);
	kept = keep(text);
	SHM__EACH_RANGE(range, &root->ranges, start, end) {
		struct shm__holder *holder = shm__range_holder(range, view->slot);

		if (holder)
			holder->site = kept;
	}
	shm__unreported_tell(view, text);
	shm__guard_update(root, start, end);
}

/* A source that maps its memory anew each time has pages that are nobody else's. */
static int map_again(struct shm__root *root, char **ret_bytes)
{
	const struct metal_shm_device_ops *ops = root->src->ops;
	void *bytes;
	int error = ops->map(root->src, &root->memory, root->prot, &bytes);

	if (error)
		return error;
	if (bytes == root->address || (uintptr_t)root->address % shm__os_page_size()) {
		ops->unmap(root->src, &root->memory, bytes, root->memory.size);
		return shm__error(ENOTSUP, "%s: the memory has no pages of its own to protect",
				  root->src->name);
	}
	shm__count(root, root->src, SHM__MAPPINGS, 1);
	*ret_bytes = bytes;
	return 0;
}

int shm__guard_begin(struct shm__root *root)
{
	struct shm__guard *guard = root->guard;
	int error;

	if (guard && guard->mapping)
		return 0;
	if (!guard) {
		guard = shm__os_alloc(sizeof(*guard));
		if (!guard)
			return shm__error(ENOMEM, "no memory for a guard's record");
		error = map_again(root, &guard->bytes);
		if (error) {
			shm__os_free(guard);
			return error;
		}
		root->guard = guard;
	}
	error = shm__unreported_begin(root);
	if (error)
		return error;
	guard->mapping = shm__os_guard_new(root->address, root->memory.size, root->size,
					   root->prot & METAL_SHM_WRITE, keep(root->src->name),
					   root->name[0] ? keep(root->name) : NULL);
	if (!guard->mapping) {
		shm__unreported_end(guard);
		return shm__error(ENOMEM, "no memory for a guard's record");
	}
	shm__guard_update(root, 0, root->size);
	return 0;
}

static void stop(struct shm__root *root)
{
	struct shm__guard *guard = root->guard;

	if (!guard || !guard->mapping)
		return;
	protect(root, 0, root->memory.size, root->prot);
	shm__os_guard_end(guard->mapping);
	guard->mapping = NULL;
	shm__unreported_end(guard);
}

/* With the memory, before its mappings; in a forked child too. */
void shm__guard_end(struct shm__root *root)
{
	struct shm__guard *guard = root->guard;

	if (!guard)
		return;
	stop(root);
	root->src->ops->unmap(root->src, &root->memory, guard->bytes, root->memory.size);
	root->guard = NULL;
	shm__os_free(guard->locks);
	shm__os_free(guard);
}

int metal_shm_guard(struct metal_generic_shm *shm, bool on)
{
	int error = shm__handle_check(shm);

	if (error)
		return error;
	shm__mutex_lock(&shm->root->lock);
	shm->root->unguarded = !on;
	if (on)
		error = shm__map_locked(shm->root, METAL_SHM_READ);
	if (on && !error)
		error = shm__guard_begin(shm->root);
	if (!on)
		stop(shm->root);
	shm__mutex_unlock(&shm->root->lock);
	return error;
}
