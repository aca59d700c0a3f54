/* SPDX-License-Identifier: BSD-3-Clause */
/* Between the files of the firmware's library. */
#ifndef SHM_FIRMWARE_HOST_H
#define SHM_FIRMWARE_HOST_H

#include <errno.h>
#include <string.h>

#include <shm/device.h>
#include <shm/firmware.h>
#include <shm/generic.h>

#include "refuse.h"
#include "session.h"

/* Set on the compiler's command line where a firmware needs others. */
#ifndef SHM_HOST_SHARES
#define SHM_HOST_SHARES 8 /* at a time; no more than there are buffers */
#endif
#ifndef SHM_HOST_GIVES
#define SHM_HOST_GIVES 16 /* ranges that are ours at a time */
#endif
#ifndef SHM_HOST_SEGMENTS
#define SHM_HOST_SEGMENTS 128 /* of all shares together */
#endif
#ifndef SHM_HOST_PIECES
#define SHM_HOST_PIECES 24 /* ranges that are attached: shares, and parts that were ever given */
#endif

enum share_state {
	SHARE_NONE,
	SHARE_LIVE,
	SHARE_VOID,    /* the host forgot it; the firmware still has a handle */
	SHARE_LEAVING, /* nothing is left of it but to say so */
};

/* Memory of the host's. */
struct host_share {
	enum share_state state;
	uint32_t id;
	uint32_t tag; /* of the REQUEST that it answers; 0: of none */
	uint64_t size;
	uint64_t asked;        /* of it, by the REQUEST: what the program's handle stands for */
	uint32_t first, count; /* of the segments */
	unsigned dir;
	bool ending; /* the host wants it back */
	struct metal_generic_shm
		*buffer; /* ours, until it is unshared; NULL: the program's alone */
};

/* An attached range, and how often the host holds it in the core's books. */
struct host_piece {
	struct host_share *share; /* NULL: free */
	struct metal_generic_shm *view;
	struct metal_generic_shm *shm; /* what was attached, where that was done here; else NULL */
	struct metal_shm_segment segment; /* where it lies in one */
	uint64_t offset, length;
	unsigned held;
	unsigned dir; /* of what is held */
};

struct host_return {
	struct host_share *share; /* NULL: none */
	uint64_t offset, length;
	enum shm__code code;
};

struct host {
	struct metal_device *dev;
	struct metal_shm_host_setup setup;
	struct metal_shm_host_events events;
	struct shm__session session;
	struct shm__share session_shares[SHM_HOST_SHARES];
	struct shm__give session_gives[SHM_HOST_GIVES];
	struct host_share shares[SHM_HOST_SHARES];
	struct host_piece pieces[SHM_HOST_PIECES];
	struct host_return returns[SHM_HOST_GIVES]; /* that found no room, in order */
	struct metal_shm_segment segments[SHM_HOST_SEGMENTS];
	struct shm__out outs[2]; /* that the channel had no room for, in order */
	bool dispatching;
	enum shm__code returning; /* the next return's */

	/* a REQUEST that waits */
	uint32_t tag;
	struct host_share *answer;
	enum shm__code refusal;
	struct host_share *adopted; /* by the allocation that is being made */
};

/* host.c */
extern const struct metal_shm_device_ops shm__host_ops;
int shm__host_error(enum shm__code code, const char *what);
bool shm__host_flush(struct host *host);
void shm__host_push(struct host *host, const struct shm__out *out);
bool shm__host_is_given(struct host *host, const struct host_share *share, uint64_t offset,
			uint64_t length);

/* events.c */
void shm__host_pump(struct host *host);

/* memory.c */
enum shm__code shm__share_take(struct host *host, const struct shm__wire_share *what,
			       struct host_share **ret_share);
void shm__share_for_cpu(const struct host *host, const struct host_share *share, uint64_t offset,
			uint64_t length, enum metal_shm_dir dir);
int shm__host_allocate(struct metal_device *dev, size_t size, metal_shm_type type,
		       struct metal_shm_memory *ret_memory);
void shm__host_release(struct metal_device *dev, struct metal_shm_memory *memory);
int shm__host_properties(struct metal_device *dev, const struct metal_shm_memory *memory,
			 struct metal_shm_properties *ret);
int shm__host_map(struct metal_device *dev, struct metal_shm_memory *memory, int prot,
		  void **ret_address);
void shm__host_unmap(struct metal_device *dev, struct metal_shm_memory *memory, void *address,
		     size_t length);
int shm__host_for_cpu(struct metal_device *dev, struct metal_shm_memory *memory,
		      const struct metal_shm_range *range, enum metal_shm_dir dir);
int shm__host_for_device(struct metal_device *dev, struct metal_shm_memory *memory,
			 const struct metal_shm_range *range, enum metal_shm_dir dir);

/* piece.c */
int shm__host_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *ret_view);
void shm__host_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *view);
struct host_piece *shm__piece_make(struct host *host, struct host_share *share, uint64_t offset,
				   uint64_t length);
bool shm__piece_overlaps(const struct host_piece *piece, uint64_t offset, uint64_t length);
bool shm__piece_hold(struct host *host, struct host_piece *piece, unsigned dir);
enum shm__code shm__piece_give(struct host *host, struct host_share *share,
			       const struct shm__wire_range *range, struct host_piece **ret_piece);
void shm__pieces_detached(struct host *host);
void shm__pieces_end(struct host *host, struct host_share *share);

#endif
