/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file fake.h
 * Devices for tests of the core: a source and an importer over the operations table, which write down
 * what they were asked and fail on command. Their memory is ordinary and coherent.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>

#include <shm/device.h>

/** A source. Its log has a letter for each operation: a r m u S<dir> E<dir>. */
struct fake_source {
	struct metal_device *dev;
	struct metal_shm_properties properties;
	char log[256];
	unsigned live;
	struct metal_shm_range last;                       /* of the last S or E */
	int fail_allocate, fail_map, fail_start, fail_end; /* -errno */
};

/** An importer. Its log has: A D T G<dir> and, if it is a giver, C for a recall. */
struct fake_importer {
	struct metal_device *dev;
	enum metal_shm_access access;
	uint32_t flags; /* METAL_SHM_VIEW_* */
	struct metal_shm_constraints constraints;
	struct metal_shm_layout layout;
	int layout_error, fail_attach, fail_trial, fail_give, fail_recall; /* -errno */
	struct metal_shm_segment
		pieces[3]; /* what its views answer; of contiguous memory the first */
	size_t piece_count;
	bool trial_wants_contiguous;
	unsigned lucky; /* > 0: of memory in pieces it takes this many less one, then refuses it */
	char log[256];
	struct metal_generic_shm *queued[64];
	unsigned queued_count, completions; /* completions: of these, done at the next dispatch */
	int error;                          /* that they complete with */
	struct metal_shm_range recalled;    /* by the last recall */
	/* What attach and detach do first. */
	void (*inside)(struct fake_importer *importer, const struct metal_shm_attachment *at);
	void *user; /* the test's */
	int event_fd;
	bool closed;
};

/**
 * Make a source named @p name whose memory needs syncs, or not.
 *
 * @param name   the device's
 * @param syncs  whether it has sync operations
 * @return ended by fake_source_end()
 */
struct fake_source *fake_source_new(const char *name, bool syncs);
void fake_source_end(struct fake_source *source);

/**
 * Make an importer.
 *
 * @param name    the device's
 * @param access  what its views answer
 * @return ended by fake_importer_end()
 */
struct fake_importer *fake_importer_new(const char *name, enum metal_shm_access access);
/** The same with the operation give, as a coprocessor has it. */
struct fake_importer *fake_importer_new_giver(const char *name);
void fake_importer_end(struct fake_importer *importer);

/** Hold @p shm as queued work, like an adapter's verb. 0 or -errno. */
int fake_queue(struct fake_importer *importer, struct metal_generic_shm *shm,
	       enum metal_shm_dir dir);

/** Let @p n of the queued works complete at the next dispatch. May be called from another thread. */
void fake_complete(struct fake_importer *importer, unsigned n);

/** Make what the library keeps for a thread that waits: a descriptor, counted as no case's. */
void fake_warm_up(void);

/** The bytes that the importer's view of @p shm stands for, asserted. */
char *fake_view_bytes(struct fake_importer *importer, struct metal_generic_shm *shm);

/** A buffer of @p size bytes of @p source, asserted. */
struct metal_generic_shm *fake_buffer(struct fake_source *source, size_t size);

#endif
