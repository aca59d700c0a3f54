/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From records to what can be drawn. The records are gone through one memory at a time, so that all there
 * is to remember is who has that memory's bytes now.
 *
 * A device has bytes from the hand-over until its work is done; where none was queued until somebody else
 * takes them, which is also when the program's turn ends.
 */
#include <stdlib.h>

#include "timeline.h"

#define MAX_OPEN 128

struct open {
	struct shm__item *item;
	unsigned pending;
	unsigned left; /* accesses that the program has not ended */
};

struct scene {
	struct shm__timeline *out;
	size_t room;
	int64_t first_ns, last_ns;
	struct open open[MAX_OPEN]; /* of one memory */
	size_t n;
	unsigned needed; /* for the next hand-over */
	bool born;
};

static struct shm__item *add(struct scene *scene, const struct shm__trace_entry *entry,
			     enum shm__item_kind kind)
{
	struct shm__item *item;

	if (scene->out->count == scene->room) {
		scene->out->left_out++;
		return NULL;
	}
	item = &scene->out->items[scene->out->count];
	*item = (struct shm__item){
		.begin = entry->time_ns,
		.end = entry->time_ns,
		.offset = entry->offset,
		.size = entry->size,
		.serial = (uint32_t)scene->out->count++,
		.memory = entry->memory,
		.thread = entry->thread,
		.detail = entry->detail,
		.track = entry->track,
		.kind = (uint8_t)kind,
		.event = entry->event,
	};
	return item;
}

/* It stays until close_item(). */
static struct open *open_item(struct scene *scene, const struct shm__trace_entry *entry,
			      enum shm__item_kind kind)
{
	struct open *open = NULL;

	if (scene->n == MAX_OPEN) {
		scene->out->left_out++;
		return NULL;
	}
	open = &scene->open[scene->n];
	*open = (struct open){ .item = add(scene, entry, kind) };
	if (!open->item)
		return NULL;
	if (kind == SHM__ITEM_HOLDS) {
		open->item->detail = 0;
		open->item->dir = (uint8_t)entry->detail;
		open->left = (unsigned)entry->detail;
	}
	scene->n++;
	return open;
}

/* The others may be at other places afterwards: those after it come earlier. */
static void close_item(struct scene *scene, size_t i, int64_t time_ns)
{
	scene->open[i].item->end = time_ns;
	for (scene->n--; i < scene->n; i++)
		scene->open[i] = scene->open[i + 1];
}

static bool overlaps(const struct shm__item *item, const struct shm__trace_entry *entry)
{
	return item->kind == SHM__ITEM_HOLDS && item->offset < entry->offset + entry->size &&
	       entry->offset < item->offset + item->size;
}

static bool same_range(const struct shm__item *item, const struct shm__trace_entry *entry)
{
	return item->kind == SHM__ITEM_HOLDS && item->track == entry->track &&
	       item->offset == entry->offset && item->size == entry->size;
}

static void keep_rest(struct scene *scene, const struct open *of, int64_t time_ns, uint64_t offset,
		      uint64_t end)
{
	const struct shm__trace_entry rest = {
		.time_ns = time_ns,
		.offset = offset,
		.size = end - offset,
		.memory = of->item->memory,
		.thread = of->item->thread,
		.detail = (int32_t)of->left,
		.track = of->item->track,
		.event = of->item->event,
	};
	struct open *open = offset < end ? open_item(scene, &rest, SHM__ITEM_HOLDS) : NULL;

	if (open)
		open->item->rest = true;
}

/* In the entry's range there is left what is said; where that is nothing somebody else has it. */
static void cut(struct scene *scene, size_t i, const struct shm__trace_entry *entry, unsigned left)
{
	struct open of = scene->open[i];
	uint64_t start = of.item->offset, end = start + of.item->size;
	uint64_t from = entry->offset > start ? entry->offset : start;
	uint64_t to = entry->offset + entry->size < end ? entry->offset + entry->size : end;

	close_item(scene, i, entry->time_ns);
	keep_rest(scene, &of, entry->time_ns, start, from);
	keep_rest(scene, &of, entry->time_ns, to, end);
	of.left = left;
	if (left)
		keep_rest(scene, &of, entry->time_ns, from, to);
}

static void mark_needed(struct scene *scene, struct shm__item *item)
{
	item->needed |= (uint8_t)(scene->needed ? scene->needed : SHM__NEEDED_NOTHING);
	scene->needed = 0;
}

/* Other accesses than before are a stretch of their own, with the work that was there. */
static struct open *give_again(struct scene *scene, struct open *had,
			       const struct shm__trace_entry *entry)
{
	struct open before = *had;
	/* what it had without work the new work doesn't add to */
	unsigned dir = (before.pending ? before.left : 0) | (unsigned)entry->detail;
	struct open *open = had;

	if (dir != before.item->dir) {
		close_item(scene, (size_t)(had - scene->open), entry->time_ns);
		open = open_item(scene, entry, SHM__ITEM_HOLDS);
		if (!open)
			return NULL;
		open->item->dir = (uint8_t)dir;
		open->item->rest = true;
		open->pending = before.pending;
	}
	open->left = dir;
	return open;
}

static void give(struct scene *scene, const struct shm__trace_entry *entry)
{
	struct open *own = NULL;

	/* backwards: what a cut leaves is added behind */
	for (size_t i = scene->n; i-- > 0;) {
		const struct open *open = &scene->open[i];

		if (!overlaps(open->item, entry) || open->item->track == entry->track)
			continue;
		if (!open->item->track ||
		    (!open->pending &&
		     (open->left | (unsigned)entry->detail) & METAL_SHM_DIR_DEV_W))
			cut(scene, i, entry, 0);
	}
	for (size_t i = 0; i < scene->n; i++)
		if (same_range(scene->open[i].item, entry))
			own = &scene->open[i];
	own = own ? give_again(scene, own, entry) : open_item(scene, entry, SHM__ITEM_HOLDS);
	if (!own)
		return;
	mark_needed(scene, own->item);
	own->pending += entry->event == SHM__TRACE_QUEUED;
}

static void finish(struct scene *scene, const struct shm__trace_entry *entry)
{
	struct shm__item *item = NULL;
	size_t found = scene->n;

	for (size_t i = 0; i < scene->n; i++)
		if (scene->open[i].pending && scene->open[i].item->track == entry->track &&
		    (found == scene->n || same_range(scene->open[i].item, entry)))
			found = i;
	if (found < scene->n) {
		item = scene->open[found].item;
		if (entry->event == SHM__TRACE_DONE)
			close_item(scene, found, entry->time_ns);
	} else if (entry->event == SHM__TRACE_DONE) {
		item = add(scene, entry, SHM__ITEM_HOLDS);
		if (item) {
			item->begin = scene->first_ns;
			item->no_begin = true;
		}
	}
	if (item && entry->detail)
		item->detail = entry->detail;
}

static void take(struct scene *scene, const struct shm__trace_entry *entry)
{
	struct open *own;

	for (size_t i = scene->n; i-- > 0;) {
		unsigned left = scene->open[i].left & ~(unsigned)entry->detail;

		if (!overlaps(scene->open[i].item, entry) || scene->open[i].pending)
			continue;
		if (!left || left != scene->open[i].left)
			cut(scene, i, entry, left);
	}
	own = open_item(scene, entry, SHM__ITEM_HOLDS);
	if (!own)
		return;
	own->item->dir = 0;
	own->left = 0;
	mark_needed(scene, own->item);
}

static void stop_waiting(struct scene *scene, const struct shm__trace_entry *entry)
{
	for (size_t i = 0; i < scene->n; i++) {
		const struct shm__item *item = scene->open[i].item;

		if (item->kind == SHM__ITEM_WAITS && item->thread == entry->thread) {
			close_item(scene, i, entry->time_ns);
			return;
		}
	}
}

static void detach(struct scene *scene, const struct shm__trace_entry *entry)
{
	for (size_t i = scene->n; i-- > 0;)
		if (!scene->open[i].pending && same_range(scene->open[i].item, entry))
			close_item(scene, i, entry->time_ns);
}

/* Those that go on when the memory's last record is reached have no end in the trace. */
static void close_all(struct scene *scene, int64_t time_ns, bool no_end)
{
	while (scene->n) {
		scene->open[scene->n - 1].item->no_end = no_end;
		close_item(scene, scene->n - 1, time_ns);
	}
}

static void instant(struct scene *scene, const struct shm__trace_entry *entry)
{
	struct shm__item *item = add(scene, entry, SHM__ITEM_INSTANT);
	struct shm__trace_entry program = *entry;

	switch (entry->event) {
	case SHM__TRACE_START:
		scene->needed |= SHM__NEEDED_START;
		return;
	case SHM__TRACE_END:
		scene->needed |= SHM__NEEDED_END;
		return;
	case SHM__TRACE_COPIED_OUT:
	case SHM__TRACE_COPIED_BACK:
	case SHM__TRACE_COPIED:
		return;
	case SHM__TRACE_BORN:
		scene->born = true;
		program.track = 0;
		open_item(scene, &program, SHM__ITEM_HOLDS);
		break;
	case SHM__TRACE_FREED:
		if (item)
			item->no_begin = !scene->born;
		close_all(scene, entry->time_ns, false);
		break;
	case SHM__TRACE_SHADOW: /* not the program's after all */
		close_all(scene, entry->time_ns, false);
		break;
	case SHM__TRACE_DETACHED:
		detach(scene, entry);
		break;
	}
	/* a hand-over follows its own at once; others' are an attachment's or a mapping's */
	scene->needed = 0;
}

static void play(struct scene *scene, const struct shm__trace_entry *entry)
{
	switch (entry->event) {
	case SHM__TRACE_QUEUED:
	case SHM__TRACE_GIVEN:
		give(scene, entry);
		break;
	case SHM__TRACE_PART_DONE:
	case SHM__TRACE_DONE:
		finish(scene, entry);
		break;
	case SHM__TRACE_TAKEN:
		take(scene, entry);
		break;
	case SHM__TRACE_WAIT:
		open_item(scene, entry, SHM__ITEM_WAITS);
		break;
	case SHM__TRACE_WAITED:
		stop_waiting(scene, entry);
		break;
	default:
		instant(scene, entry);
		break;
	}
}

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int entries_by_memory(const void *left, const void *right)
{
	const struct shm__trace_entry *a = left, *b = right;
	int by = order(a->memory, b->memory);

	if (!by)
		by = order((uint64_t)a->time_ns, (uint64_t)b->time_ns);
	return by ? by : order(a->place, b->place);
}

static int items_by_time(const void *left, const void *right)
{
	const struct shm__item *a = left, *b = right;
	int by = order((uint64_t)a->begin, (uint64_t)b->begin);

	return by ? by : order(a->serial, b->serial);
}

static int items_by_memory(const void *left, const void *right)
{
	const struct shm__item *a = left, *b = right;
	int by = order(a->memory, b->memory);

	return by ? by : items_by_time(left, right);
}

static void sort_items(struct shm__timeline *timeline, int (*by)(const void *, const void *))
{
	if (timeline->count)
		qsort(timeline->items, timeline->count, sizeof(timeline->items[0]), by);
}

/* The first that is free. What finds none is left out. */
static int choose_lanes(struct shm__timeline *timeline)
{
	int64_t(*free_ns)[SHM__LANES] = shm__os_alloc(SHM__TRACKS * sizeof(*free_ns));
	size_t kept = 0;

	if (!free_ns)
		return shm__error(ENOMEM, "no memory for a timeline");
	for (size_t i = 0; i < timeline->count; i++) {
		struct shm__item *item = &timeline->items[i];
		int64_t *free_at = free_ns[item->track];

		if (item->kind != SHM__ITEM_INSTANT) {
			while (item->lane < SHM__LANES && free_at[item->lane] > item->begin)
				item->lane++;
			if (item->lane == SHM__LANES) {
				timeline->left_out++;
				continue;
			}
			free_at[item->lane] = item->end;
		}
		if (timeline->lanes[item->track] <= item->lane)
			timeline->lanes[item->track] = (uint8_t)(item->lane + 1);
		timeline->items[kept++] = *item;
	}
	timeline->count = kept;
	shm__os_free(free_ns);
	return 0;
}

/* From one who gets a memory's bytes to the next. */
static void draw_flows(struct shm__timeline *timeline)
{
	struct shm__item *before = NULL;

	sort_items(timeline, items_by_memory);
	for (size_t i = 0; i < timeline->count; i++) {
		struct shm__item *item = &timeline->items[i];

		if (item->kind != SHM__ITEM_HOLDS || item->no_begin || item->rest)
			continue;
		if (before && before->memory == item->memory) {
			before->flow = before->flow ? 't' : 's';
			item->flow = 'f';
		}
		before = item;
	}
	sort_items(timeline, items_by_time);
}

int shm__timeline(struct shm__trace_copy *copy, struct shm__timeline *ret)
{
	struct shm__timeline timeline = { 0 };
	struct scene scene = { .out = &timeline, .room = 3 * copy->count + MAX_OPEN };
	const struct shm__trace_entry *entry;
	int error;

	timeline.items = shm__os_alloc(scene.room * sizeof(timeline.items[0]));
	if (!timeline.items)
		return shm__error(ENOMEM, "no memory for a timeline");
	if (copy->count)
		qsort(copy->entries, copy->count, sizeof(copy->entries[0]), entries_by_memory);
	for (size_t i = 0; i < copy->count; i++) {
		entry = &copy->entries[i];
		if (!i || entry->time_ns < scene.first_ns)
			scene.first_ns = entry->time_ns;
		if (!i || entry->time_ns > scene.last_ns)
			scene.last_ns = entry->time_ns;
	}
	for (size_t i = 0; i < copy->count; i++) {
		entry = &copy->entries[i];
		play(&scene, entry);
		if (i + 1 < copy->count && entry[1].memory == entry->memory)
			continue;
		close_all(&scene, scene.last_ns, true);
		scene.needed = 0;
		scene.born = false;
	}
	sort_items(&timeline, items_by_time);
	error = choose_lanes(&timeline);
	if (error) {
		shm__os_free(timeline.items);
		return error;
	}
	draw_flows(&timeline);
	*ret = timeline;
	return 0;
}
