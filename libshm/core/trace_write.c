/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timeline as a file of Chrome's trace event format, an event on each line. The format is that of
 * "Trace Event Format" by the Chromium authors, as ui.perfetto.dev reads it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "timeline.h"

/* The longest line has a name in which each byte became 6, and some figures. */
#define LONGEST 1536

struct out {
	int os_handle;
	int error;
	uint32_t process;
	const struct shm__trace_copy *copy;
	uint64_t bytes, copied; /* the counters' last values */
	bool first;
	size_t used;
	char text[16384];
};

static void flush(struct out *out)
{
	if (!out->error && out->used)
		out->error = shm__os_write(out->os_handle, out->text, out->used);
	out->used = 0;
}

static void __attribute__((format(printf, 2, 3))) put(struct out *out, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(out->text + out->used, sizeof(out->text) - out->used, format, arguments);
	va_end(arguments);
	if (n > 0)
		out->used += (size_t)n;
}

/* Bytes of the character that stands there, in UTF-8 as JSON wants it; 0: it is none. */
static size_t utf8_length(const unsigned char *text)
{
	size_t n = 0;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] < 0xf5)
		n = 2u + (text[0] >= 0xe0) + (text[0] >= 0xf0);
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* what a shorter one says, halves of pairs, and what is above the last */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
		return 0;
	return n;
}

/* Devices' names are paths, and a path may have any byte. */
static void put_text(struct out *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t n = utf8_length(at);

		if (!n)
			put(out, "\\ufffd");
		else if (*at == '"' || *at == '\\')
			put(out, "\\%c", *at);
		else if (*at < ' ')
			put(out, "\\u%04x", *at);
		else
			put(out, "%.*s", (int)n, (const char *)at);
		at += n ? n : 1;
	}
}

/* What each event begins with; put_end() ends it. */
static void put_begin(struct out *out, const char *phase)
{
	if (sizeof(out->text) - out->used < LONGEST)
		flush(out);
	put(out, "%s{\"ph\":\"%s\",\"pid\":%" PRIu32, out->first ? "\n" : ",\n", phase,
	    out->process);
	out->first = false;
}

static void put_end(struct out *out)
{
	put(out, "}");
}

/*
 * Microseconds, in eighths: readers have them as doubles, which hold these exactly, so that no stretch
 * overlaps its neighbour by what was rounded.
 */
static void put_time(struct out *out, const char *key, int64_t begin_ns, int64_t end_ns)
{
	uint64_t eighths = (uint64_t)end_ns / 125 - (uint64_t)begin_ns / 125;

	put(out, ",\"%s\":%" PRIu64 ".%03u", key, eighths / 8, (unsigned)(eighths % 8) * 125);
}

static uint32_t tid_of(uint32_t track, uint32_t lane)
{
	return track * SHM__LANES + lane + 1;
}

static void put_place(struct out *out, const struct shm__item *item)
{
	put(out, ",\"tid\":%" PRIu32, tid_of(item->track, item->lane));
	put_time(out, "ts", 0, item->begin);
}

static void name_track(struct out *out, uint32_t track, uint32_t lane)
{
	uint32_t tid = tid_of(track, lane);

	put_begin(out, "M");
	put(out, ",\"name\":\"thread_name\",\"tid\":%" PRIu32 ",\"args\":{\"name\":\"", tid);
	put_text(out, out->copy->names[track]);
	if (lane)
		put(out, " (%" PRIu32 ")", lane + 1);
	put(out, "\"}");
	put_end(out);
	put_begin(out, "M");
	put(out,
	    ",\"name\":\"thread_sort_index\",\"tid\":%" PRIu32 ",\"args\":{\"sort_index\":%" PRIu32
	    "}",
	    tid, tid);
	put_end(out);
}

static const char *access_name(int dir)
{
	static const char *const names[] = { "", ",\"access\":\"reads\"", ",\"access\":\"writes\"",
					     ",\"access\":\"reads and writes\"" };

	return names[dir & METAL_SHM_DIR_DEV_RW];
}

static const char *needed_name(unsigned needed)
{
	static const char *const names[] = { ",\"needed\":\"nothing\"", ",\"needed\":\"START\"",
					     ",\"needed\":\"END\"",
					     ",\"needed\":\"START and END\"" };

	return needed ? names[needed & (SHM__NEEDED_START | SHM__NEEDED_END)] : "";
}

static void put_range(struct out *out, const struct shm__item *item)
{
	put(out,
	    ",\"args\":{\"buffer\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"thread\":%" PRIu32,
	    item->memory, item->offset, item->size, item->thread);
}

static void put_flow(struct out *out, const struct shm__item *item)
{
	const char phase[] = { item->flow, '\0' };

	put_begin(out, phase);
	put(out, ",\"name\":\"buffer %" PRIu32 "\",\"cat\":\"flow\",\"id\":%" PRIu32, item->memory,
	    item->memory);
	put_place(out, item);
	if (item->flow != 's')
		put(out, ",\"bp\":\"e\"");
	put_end(out);
}

static void put_stretch(struct out *out, const struct shm__item *item)
{
	bool waits = item->kind == SHM__ITEM_WAITS;

	put_begin(out, "X");
	put(out, ",\"name\":\"%sbuffer %" PRIu32 "\",\"cat\":\"%s\"", waits ? "waits for " : "",
	    item->memory, waits ? "wait" : "hold");
	put_place(out, item);
	put_time(out, "dur", item->begin, item->end);
	put_range(out, item);
	if (waits)
		put(out, ",\"for\":\"%s\"", item->detail ? "a fence" : "work");
	else if (item->detail)
		put(out, ",\"error\":%" PRId32, item->detail);
	put(out, "%s%s%s%s}", access_name(item->dir), needed_name(item->needed),
	    item->no_begin ? ",\"begin\":\"unknown\"" : "",
	    item->no_end ? ",\"end\":\"unknown\"" : "");
	put_end(out);
	if (item->flow)
		put_flow(out, item);
}

static void put_counter(struct out *out, const struct shm__item *item, const char *name,
			uint64_t value)
{
	put_begin(out, "C");
	put(out, ",\"name\":\"%s\"", name);
	put_time(out, "ts", 0, item->begin);
	put(out, ",\"args\":{\"bytes\":%" PRIu64 "}", value);
	put_end(out);
}

/* What was allocated before the trace began isn't counted, so neither is its end. */
static void count(struct out *out, const struct shm__item *item)
{
	switch (item->event) {
	case SHM__TRACE_BORN:
		put_counter(out, item, "memory", out->bytes += item->size);
		break;
	case SHM__TRACE_FREED:
		if (!item->no_begin)
			put_counter(out, item, "memory", out->bytes -= item->size);
		break;
	case SHM__TRACE_COPIED:
	case SHM__TRACE_COPIED_OUT:
	case SHM__TRACE_COPIED_BACK:
		put_counter(out, item, "copied", out->copied += item->size);
		break;
	}
}

static void put_instant(struct out *out, const struct shm__item *item)
{
	static const struct {
		const char *name, *category;
	} names[] = {
		[SHM__TRACE_BORN] = { "new", "memory" },
		[SHM__TRACE_IMPORTED] = { "import of", "memory" },
		[SHM__TRACE_SHADOW] = { "shadow is", "memory" },
		[SHM__TRACE_WINDOW] = { "window of", "memory" },
		[SHM__TRACE_FREED] = { "end of", "memory" },
		[SHM__TRACE_MAPPED] = { "map", "memory" },
		[SHM__TRACE_ATTACHED] = { "attach", "memory" },
		[SHM__TRACE_DETACHED] = { "detach", "memory" },
		[SHM__TRACE_START] = { "START", "cache" },
		[SHM__TRACE_END] = { "END", "cache" },
		[SHM__TRACE_COPIED_OUT] = { "copy out of", "copy" },
		[SHM__TRACE_COPIED_BACK] = { "copy back to", "copy" },
		[SHM__TRACE_COPIED] = { "copy of", "copy" },
	};
	bool cache = item->event == SHM__TRACE_START || item->event == SHM__TRACE_END;

	put_begin(out, "i");
	put(out, ",\"s\":\"t\",\"name\":\"%s buffer %" PRIu32 "\",\"cat\":\"%s\"",
	    names[item->event].name, item->memory, names[item->event].category);
	put_place(out, item);
	put_range(out, item);
	put(out, "%s}", cache ? access_name(item->detail) : "");
	put_end(out);
	count(out, item);
}

static void put_all(struct out *out, const struct shm__timeline *timeline)
{
	const char *program = shm__os_program(&out->process);

	put(out,
	    "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"libshm\":\"%s\",\"records\":%zu,"
	    "\"lost\":%" PRIu64 ",\"left out\":%" PRIu64 "},\"traceEvents\":[",
	    metal_shm_version(), out->copy->count, out->copy->lost, timeline->left_out);
	put_begin(out, "M");
	put(out, ",\"name\":\"process_name\",\"args\":{\"name\":\"");
	put_text(out, program);
	put(out, "\"}");
	put_end(out);
	for (uint32_t track = 0; track < out->copy->tracks; track++)
		for (uint32_t lane = 0; lane < timeline->lanes[track]; lane++)
			name_track(out, track, lane);
	if (out->copy->lost && timeline->count) {
		put_begin(out, "i");
		put(out, ",\"s\":\"p\",\"name\":\"%" PRIu64 " records are lost\"", out->copy->lost);
		put_place(out, &timeline->items[0]);
		put_end(out);
	}
	for (size_t i = 0; i < timeline->count; i++) {
		if (timeline->items[i].kind == SHM__ITEM_INSTANT)
			put_instant(out, &timeline->items[i]);
		else
			put_stretch(out, &timeline->items[i]);
	}
	put(out, "\n]}\n");
	flush(out);
}

int metal_shm_trace_write(int borrow_fd)
{
	struct shm__timeline timeline;
	struct shm__trace_copy copy;
	struct out *out = NULL;
	int error = shm__enter();

	if (!error)
		error = shm__trace_copy(&copy);
	if (error)
		return error;
	error = shm__timeline(&copy, &timeline);
	if (error)
		goto free_copy;
	out = shm__os_alloc(sizeof(*out));
	if (out) {
		out->os_handle = borrow_fd;
		out->copy = &copy;
		out->first = true;
		put_all(out, &timeline);
		error = out->error;
		shm__os_free(out);
	} else {
		error = shm__error(ENOMEM, "no memory for a timeline");
	}
	shm__os_free(timeline.items);
free_copy:
	shm__os_free(copy.entries);
	shm__os_free(copy.names);
	return error;
}
