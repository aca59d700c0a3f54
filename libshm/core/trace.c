/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of records. A writer claims a place by counting, and the slot of that place by its turn,
 * which is odd while somebody writes it: a writer that a whole round has overtaken finds the slot taken
 * and drops its record instead of waiting. A reader that finds a slot changed under it drops it too.
 */
#include <stdio.h>
#include <string.h>

#include "timeline.h"

#define MAX_RECORDS ((size_t)1 << 22)
#define WORDS       5

struct slot {
	_Atomic uint64_t turn; /* of place p: 2p + 1 while it is written, 2p + 2 after */
	_Atomic uint64_t word[WORDS];
};

struct shm__ring {
	_Atomic uint64_t next; /* place */
	size_t mask;
	shm__mutex lock; /* the names; a device's is looked up once */
	uint32_t tracks;
	char names[SHM__TRACKS][SHM__TRACK_NAME];
	struct slot slot[];
};

struct shm__ring *_Atomic shm__trace_ring;

int metal_shm_trace_start(size_t records)
{
	struct shm__ring *ring, *none = NULL;
	size_t size = 1;
	int error = shm__enter();

	if (error)
		return error;
	if (!records || records > MAX_RECORDS)
		return shm__error(EINVAL, "a trace has 1 to %zu records, not %zu", MAX_RECORDS,
				  records);
	while (size < records)
		size *= 2;
	ring = shm__os_alloc(sizeof(*ring) + size * sizeof(ring->slot[0]));
	if (!ring)
		return shm__error(ENOMEM, "no memory for %zu records", size);
	ring->mask = size - 1;
	ring->tracks = 1;
	snprintf(ring->names[0], sizeof(ring->names[0]), "the program");
	shm__mutex_init(&ring->lock);
	if (atomic_compare_exchange_strong(&shm__trace_ring, &none, ring))
		return 0;
	shm__mutex_destroy(&ring->lock);
	shm__os_free(ring);
	return shm__error(EALREADY, "the trace is on already");
}

/* By name, so that what is closed and opened again goes on in its track. The last track is for the rest. */
static uint32_t add_track(struct shm__ring *ring, const char *name)
{
	uint32_t track = 1;

	shm__mutex_lock(&ring->lock);
	while (track < ring->tracks && strcmp(ring->names[track], name) != 0)
		track++;
	if (track == SHM__TRACKS) {
		track--;
	} else if (track == ring->tracks) {
		snprintf(ring->names[track], sizeof(ring->names[track]), "%s",
			 track < SHM__TRACKS - 1 ? name : "other devices");
		ring->tracks++;
	}
	shm__mutex_unlock(&ring->lock);
	return track;
}

static uint32_t track_of(struct shm__ring *ring, const struct metal_device *dev)
{
	_Atomic uint32_t *known = dev ? (_Atomic uint32_t *)(uintptr_t)&dev->track : NULL;
	uint32_t track;

	if (!dev)
		return 0;
	track = atomic_load_explicit(known, memory_order_relaxed);
	if (!track) {
		track = add_track(ring, dev->name);
		atomic_store_explicit(known, track, memory_order_relaxed);
	}
	return track;
}

void shm__trace_record(const struct shm__root *root, const struct metal_device *dev,
		       enum shm__trace_event event, uint64_t offset, uint64_t size, int detail)
{
	struct shm__ring *ring = atomic_load(&shm__trace_ring);
	uint64_t place, turn, word[WORDS];
	struct slot *slot;

	if (shm__os_forked())
		return;
	word[0] = (uint64_t)shm__os_now_ns();
	word[1] = (uint64_t)root->number << 32 | shm__os_thread_number();
	word[2] = offset;
	word[3] = size;
	word[4] = (uint64_t)(uint32_t)detail << 32 | track_of(ring, dev) << 8 | (uint32_t)event;
	place = atomic_fetch_add_explicit(&ring->next, 1, memory_order_relaxed);
	slot = &ring->slot[place & ring->mask];
	turn = atomic_load_explicit(&slot->turn, memory_order_relaxed);
	if (turn & 1 || turn > 2 * place ||
	    !atomic_compare_exchange_strong(&slot->turn, &turn, 2 * place + 1))
		return;
	/* each with release, each read with acquire: who sees a word of this turn sees the turn */
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&slot->word[i], word[i], memory_order_release);
	atomic_store_explicit(&slot->turn, 2 * place + 2, memory_order_release);
}

static bool read_slot(struct slot *slot, uint64_t place, struct shm__trace_entry *ret)
{
	uint64_t word[WORDS];

	if (atomic_load_explicit(&slot->turn, memory_order_acquire) != 2 * place + 2)
		return false;
	for (int i = 0; i < WORDS; i++)
		word[i] = atomic_load_explicit(&slot->word[i], memory_order_acquire);
	if (atomic_load_explicit(&slot->turn, memory_order_relaxed) != 2 * place + 2)
		return false;
	*ret = (struct shm__trace_entry){
		.time_ns = (int64_t)word[0],
		.place = place,
		.memory = (uint32_t)(word[1] >> 32),
		.thread = (uint32_t)word[1],
		.offset = word[2],
		.size = word[3],
		.event = (uint8_t)word[4],
		.track = (uint16_t)(word[4] >> 8),
		.detail = (int32_t)(word[4] >> 32),
	};
	return true;
}

int shm__trace_copy(struct shm__trace_copy *ret)
{
	struct shm__ring *ring = atomic_load(&shm__trace_ring);
	struct shm__trace_copy copy = { 0 };
	uint64_t end, place;

	if (!ring)
		return shm__error(ENODATA, "the trace was never switched on");
	copy.entries = shm__os_alloc((ring->mask + 1) * sizeof(copy.entries[0]));
	copy.names = shm__os_alloc(sizeof(ring->names));
	if (!copy.entries || !copy.names) {
		shm__os_free(copy.entries);
		shm__os_free(copy.names);
		return shm__error(ENOMEM, "no memory for a copy of the trace");
	}
	end = atomic_load(&ring->next);
	place = end > ring->mask + 1 ? end - ring->mask - 1 : 0;
	for (; place < end; place++)
		copy.count += read_slot(&ring->slot[place & ring->mask], place,
					&copy.entries[copy.count]);
	copy.lost = end - copy.count;
	/* after the entries, so that none names a track that is not there */
	shm__mutex_lock(&ring->lock);
	copy.tracks = ring->tracks;
	memcpy(copy.names, ring->names, sizeof(ring->names));
	shm__mutex_unlock(&ring->lock);
	*ret = copy;
	return 0;
}
