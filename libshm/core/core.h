/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The core's own records. Lock order: a memory's attach_lock, the registry, a memory's lock, a pool's
 * lock or that of the sums of counters. A device's operations run with none of these held, but for its source's sync and map, and for
 * attach and detach, which run under attach_lock.
 */
#ifndef SHM_CORE_H
#define SHM_CORE_H

#include <errno.h>
#include <stdatomic.h>

#include <shm/device.h>
#include <shm/frame.h>
#include <shm/observe.h>
#include <shm/shm.h>

#include "ranges.h"
#include "reason.h"
#include "system.h"

#define SHM__DEVICE_TAG UINT64_C(0x6d6574616c646576)
#define SHM__HANDLE_TAG UINT64_C(0x6d6574616c73686d)
#define SHM__POOL_TAG   UINT64_C(0x6d6574616c706f6c)
#define SHM__DEAD_TAG   UINT64_C(0x6d6574616c646561)

/* In the order of struct metal_shm_stats. */
enum shm__counter {
	SHM__BUFFERS_LIVE,
	SHM__BYTES_LIVE,
	SHM__DEFERRED,
	SHM__ALLOCATIONS,
	SHM__IMPORTS,
	SHM__MAPPINGS,
	SHM__ATTACHES,
	SHM__ATTACH_HITS,
	SHM__HANDOVERS,
	SHM__STARTS,
	SHM__ENDS,
	SHM__ELIDED,
	SHM__WAITS,
	SHM__BYTES_COPIED,
	SHM__TRIALS,
	SHM__REFUSALS,
	SHM__MISUSE,
	SHM__RANGED,
	SHM__BYTES_OUT,
	SHM__BYTES_BACK,
	SHM__WINDOWS,
	SHM__SPARES,
	SHM__SPARES_USED,
	SHM__COUNTERS,
};

struct shm__counters {
	_Atomic uint64_t value[SHM__COUNTERS];
};

/* A thread that waits for something under some lock; lives on its stack. */
struct shm__waiter {
	struct shm__wake *wake;
	struct shm__waiter *next;
};

/* What a trial of a source with a device said. */
struct shm__verdict {
	struct shm__verdict *next;
	char source[128];
	struct metal_shm_frame frame; /* all 0 for a plain buffer */
	size_t size;
	int error;
	char reason[160];
};

struct metal_device {
	_Atomic uint64_t tag;
	const struct metal_shm_device_ops *ops;
	void *data;
	char name[128];
	_Atomic uint32_t track; /* of the trace; 0: not looked up yet */
	atomic_uint refs;       /* the program's, and one for each memory, view and pool */
	atomic_uint closed;     /* a word: some processors exchange no bytes */
	atomic_uint
		pending; /* queued works, of all memories: without any it has no event to tell */
	shm__mutex lock; /* the verdicts */
	struct shm__verdict *verdicts;
	struct shm__counters counters;
};

enum shm__kind { SHM__BUFFER = 1, SHM__PART, SHM__VIEW };

struct metal_generic_shm {
	_Atomic uint64_t tag;
	enum shm__kind kind;
	atomic_uint refs; /* the program's; a view's count of attachments */
	unsigned uses;    /* parts and views made from it; under the memory's lock */
	unsigned parts;   /* the parts among them */
	struct shm__root *root;
	size_t offset, size;
	uint32_t flags;
	struct metal_generic_shm *source; /* what a part or view was made from */
	unsigned map_users[2];            /* by READ, by WRITE; under the memory's lock */

	/* views only */
	struct metal_device *dev;
	RB_ENTRY(metal_generic_shm) node; /* among the memory's views, by shm__view_order() */
	struct metal_generic_shm *next;   /* among those that ended; shadows: that are kept */
	unsigned slot;                    /* of the device: see struct shm__root */
	unsigned pending;                 /* queued works that have the bytes */
	struct metal_shm_attachment at;
	struct metal_shm_view view;
	struct metal_generic_shm
		*shadow; /* the buffer that it stands for; NULL: the memory itself */
	uint64_t copied; /* the memory's count of changes that the shadow has; SHM__NEVER */
	struct shm__window *window; /* through which it sees the memory; NULL: as it is */
	const char *why;            /* it doesn't see it as it is; NULL: it does */
};

#define SHM__NEVER UINT64_MAX

/* metal_shm_view: the memory is the device's, which writes it also where nobody here may. */
#define SHM__VIEW_OWNER (1u << 31)

RB_HEAD(shm__view_tree, metal_generic_shm);

/* Some pages of a memory, exported by themselves. The counts are attach_lock's and the memory's lock's. */
struct shm__window {
	RB_ENTRY(shm__window) node; /* among the memory's, by place */
	struct metal_shm_memory memory;
	size_t from, to; /* bytes of the memory that it is of, behind whose size it may end */
	unsigned users;  /* views */
	bool started;    /* a START was issued */
	bool fences;     /* some device puts them on it */
};

RB_HEAD(shm__window_tree, shm__window);

/* A device with views of a memory. Holders name it by its place in the memory's table. */
struct shm__slot {
	struct metal_device *dev;
	unsigned views;
	size_t start, end;          /* all bytes that these views stood for */
	_Atomic uint64_t handovers; /* to the device, by these views: see shm__count_one() */
};

/* What makes a memory's hand-overs longer than they mostly are. */
#define SHM__SHARED  1u /* exported or foreign: others may have it mapped */
#define SHM__FENCES  2u /* some device puts them on the memory */
#define SHM__SHADOWS 4u /* some view has one */
#define SHM__FAILED  8u /* some range has a failure to tell */

/* A memory. Its users are its handles and views; the registry's lock guards the count. */
struct shm__root {
	/* Attachments and detachments come one at a time. Waited for with no lock held; tried under lock. */
	shm__mutex attach_lock;
	shm__mutex lock;                            /* all below it */
	struct shm__root *next, **at;               /* among all; the registry's lock */
	struct shm__root *summed_next, **summed_at; /* among those that stats.c sums up */
	struct metal_device *src;
	struct metal_shm_memory memory;
	struct shm__identity identity;
	struct metal_shm_properties properties;
	size_t size;
	size_t granule; /* bytes in whose multiples it can be synced; 0: only all */
	unsigned users;
	uint32_t number; /* no other memory of the process has it, nor had */
	char name[64];
	struct metal_generic_shm *buffer; /* the handle of the whole, while there is one */
	struct metal_shm_pool *pool;
	char *origin;
	void *address;            /* of the cached mapping */
	struct shm__guard *guard; /* NULL: never guarded */
	int prot;                 /* of the mapping */
	bool read_only;           /* imported so: devices may not write it either */
	bool freed;               /* counted as deferred, since freed_ms */
	bool idle;                /* in its pool */
	bool unguarded;           /* the program wants no guard, whatever the environment says */
	uint32_t freed_ms;        /* shm__os_now_ms() */

	unsigned pending;  /* queued works of all views */
	unsigned unusual;  /* SHM__SHARED to SHM__FAILED */
	bool started;      /* a START was ever issued: some exporters refuse an END before */
	bool device_dirty; /* some range may be SHM__DEV_DIRTY */
	bool cpu_dirty;    /* some range may be SHM__CPU_DIRTY or SHM__WRITTEN */
	bool has_frame;
	struct shm__view_tree views;
	struct shm__window_tree windows;
	struct metal_generic_shm *recent;  /* of these, the one found last */
	struct metal_generic_shm *ended;   /* that whoever has attach_lock ends before it lets go */
	struct metal_generic_shm *orphans; /* see orphan.c */
	struct shm__waiter *waiters;
	struct shm__fence *kept; /* imported ones: see fence.c */
	struct shm__ranges ranges;
	struct shm__slot slots[SHM__MAX_DEVICES];
	uint64_t changes;                  /* counted while there are shadows */
	size_t changed_start, changed_end; /* where ranges say when they changed */
	struct metal_generic_shm *spares;  /* shadows kept, the last one first */
	size_t spare_bytes;
	unsigned spare_count;
	unsigned shadows;             /* views with one */
	unsigned dma_views, bouncing; /* views in place that use DMA; of these, bouncing ones */
	char failed_by[64];           /* who failed last */

	struct metal_shm_frame frame;
	struct shm__counters counters;
};

/* error.c */
bool shm__logs(enum metal_shm_log_level level);
void shm__log_at_end(const char *format, ...) __attribute__((format(printf, 1, 2)));
int shm__refuse_fork(void);

/* stats.c */
extern struct shm__counters shm__process;
void shm__count_back(enum shm__counter counter, uint64_t n);
void shm__sum_root(struct shm__root *root);
void shm__retire_root(struct shm__root *root);
void shm__sum_slot(struct shm__slot *slot, struct metal_device *dev);
void shm__retire_slot(struct shm__slot *slot);

/* device.c */
int shm__not_a_device(void);
void shm__set_name(char *to, size_t size, const char *name);
void shm__device_ref(struct metal_device *dev);
void shm__device_unref(struct metal_device *dev);
int shm__device_dispatch(struct metal_device *dev);
int shm__each_driver(int (*each)(void *user, const struct metal_shm_driver *driver), void *user);
bool shm__gives(const struct metal_device *dev);
bool shm__uses(const struct metal_device *dev);

/* handle.c */
int shm__not_a_handle(void);
int shm__freed_handle(void);
int shm__not_alive(const struct metal_generic_shm *shm, const struct metal_device *dev);
struct metal_generic_shm *shm__handle_new(enum shm__kind kind, struct shm__root *root,
					  size_t offset, size_t size);
void shm__handle_drop_use(struct metal_generic_shm *shm, bool part);
void shm__handle_bury(struct metal_generic_shm *shm);
void shm__quarantine(void *memory);

/* root.c */
extern shm__mutex shm__registry;
extern struct shm__root *shm__roots;
int shm__root_create(struct metal_device *src, const struct metal_shm_memory *memory, size_t size,
		     struct metal_generic_shm **ret_shm);
void shm__try_roots(void (*each)(struct shm__root *root));
struct metal_generic_shm *shm__root_find(const struct shm__identity *identity, const char *name);
void shm__root_put(struct shm__root *root);
int shm__require(const struct metal_shm_properties *have, metal_shm_type type, const char *name,
		 const char *needs);
struct metal_generic_shm *shm__allocate(size_t size, struct metal_device *src, metal_shm_type type);
struct metal_generic_shm *shm__allocate_more(size_t size, struct metal_device *src,
					     metal_shm_type type);
int shm__type_check(metal_shm_type type);
bool shm__is_shortage(int error);

/* give.c */
int shm__hold_theirs(struct metal_generic_shm *view);

/* decision.c */
#define SHM__PROGRAM 255u /* who takes: the program itself; else an enum metal_shm_access */
struct shm__dirt {
	bool cpu;    /* a CPU may have written since the last END with WRITE */
	bool device; /* a DMA device may have written since the last START with READ */
	bool busy;   /* and may be writing now */
};
struct shm__question {
	struct shm__dirt in, out; /* the bytes that change hands; all others of the memory */
	unsigned taker;
	enum metal_shm_dir dir;
	bool coherent;
	bool ranged;   /* the source can sync just the bytes that change hands */
	bool started;  /* a START was ever issued */
	bool paranoid; /* what destroys nothing is issued, needed or not */
};
enum shm__refusal {
	SHM__START_DESTROYS = 1, /* what the CPU wrote */
	SHM__END_DESTROYS,       /* what a device wrote */
	SHM__STILL_WRITES,       /* a device, elsewhere: one of these two would come of it */
};
struct shm__plan {
	unsigned start; /* device directions for sync_for_cpu; 0 none */
	unsigned end;   /* for sync_for_device, after the start; 0 none */
	enum shm__refusal refusal;
};
struct shm__plan shm__decide(const struct shm__question *q);

/* coherence.c */
extern atomic_bool shm__paranoid;
bool shm__is_coherent(const struct shm__root *root);
bool shm__busy_writer(const struct shm__range *range);
void shm__note_writes(struct shm__root *root, size_t start, size_t end);
int shm__prepare_dirty(struct shm__root *root, size_t start, size_t end, unsigned taker,
		       enum metal_shm_dir dir);
int shm__settle_locked(struct shm__root *root);

bool shm__sync_destroys(struct shm__root *root, size_t from, size_t to, bool back);
int shm__settle_range(struct shm__root *root, size_t start, size_t end);

/* window.c */
struct shm__reach {
	size_t from, to;
};
size_t shm__granule_of(const struct metal_device *src, const struct metal_shm_properties *is);
int shm__window_take(struct metal_generic_shm *view);
void shm__window_leave(struct metal_generic_shm *view);
void shm__window_drop(struct metal_generic_shm *view);
int shm__window_sync(struct shm__root *root, size_t start, size_t end, bool back, unsigned dir,
		     struct shm__reach *ret_reach);
struct shm__window *shm__window_fenced(struct shm__root *root, const struct shm__window *after,
				       size_t start, size_t end);

/* ownership.c */
#define SHM__IS_DIR(dir) ((dir) >= METAL_SHM_DIR_DEV_R && (dir) <= METAL_SHM_DIR_DEV_RW)
int shm__report_failure(struct shm__root *root, size_t start, size_t end);
void shm__not_taken(struct metal_generic_shm *view, uint64_t handovers);
int shm__fetch(struct shm__root *root, size_t start, size_t end,
	       const struct metal_generic_shm *but);
void shm__join(struct shm__root *root, size_t start, size_t end);
int shm__check_granule(struct shm__root *root, size_t start, size_t end, unsigned taker,
		       enum metal_shm_dir dir);

/* shadow.c */
void shm__choose_mode(const struct metal_generic_shm *shm, const struct metal_shm_constraints *want,
		      enum metal_shm_view_mode *ret_mode, const char **ret_why);
int shm__check_copy(const struct metal_generic_shm *shm, const struct metal_device *dev,
		    const char *why);
int shm__shadow_make(struct metal_generic_shm *view, struct metal_device *dev,
		     const struct metal_shm_constraints *want);
int shm__shadow_give(struct metal_generic_shm *view, enum metal_shm_dir dir);
bool shm__in_shadows(struct shm__root *root, size_t start, size_t end,
		     const struct metal_generic_shm *but);
int shm__shadows_home(struct shm__root *root, size_t start, size_t end,
		      const struct metal_generic_shm *but);
void shm__shadow_leave(struct metal_generic_shm *view);
void shm__shadow_gone(struct shm__root *root);

/* orphan.c */
int shm__orphan(struct metal_generic_shm *view);
struct metal_generic_shm *shm__orphans_take(struct shm__root *root, bool all);
void shm__orphans_free(struct metal_generic_shm *list);

/* spare.c */
void shm__shadow_end(struct metal_generic_shm *view);
struct metal_generic_shm *shm__spare_take(struct metal_generic_shm *view, metal_shm_type type);
void shm__spares_end(struct shm__root *root);
bool shm__spares_drop(const struct metal_device *src);

/* held.c */
void shm__tell_held(void);

/* map.c */
int shm__map_locked(struct shm__root *root, int prot);

/* guard.c: all under the memory's lock, but for its end */
int shm__guard_begin(struct shm__root *root);
void shm__guard_update(struct shm__root *root, size_t start, size_t end);
void shm__guard_given(struct metal_generic_shm *view, const void *site);
void shm__guard_end(struct shm__root *root);
char *shm__guard_bytes(const struct shm__root *root);

/* unreported.c: likewise */
void shm__guard_remember(struct shm__root *root, size_t start, size_t end);
void shm__guard_lock_word(struct shm__root *root, size_t offset);
void shm__guard_compare(struct metal_generic_shm *view);

/* turn.c */
struct shm__deadline;
struct shm__turn {
	size_t start, end;
	const struct metal_device *taker; /* NULL: the program */
	enum metal_shm_dir dir;           /* what it will do; for the program what ends */
	bool writes;
};
const struct shm__holder *shm__main_holder(const struct shm__range *range);
int shm__error_held(const struct shm__root *root, const struct shm__range *range, int error,
		    const char *what);

/* fence.c */
void shm__fences_look(struct shm__root *root);
/* Unlocks the memory for it. */
int shm__wait_fences(struct shm__root *root, const struct shm__turn *turn,
		     struct shm__deadline *deadline);
void shm__fences_drop(struct shm__root *root);
int shm__fence_import(struct metal_generic_shm *shm, const struct metal_device *dev,
		      enum metal_shm_dir dir, int os_handle);
int shm__fence_export(struct metal_generic_shm *shm, enum metal_shm_dir dir);

/* wait.c */
struct shm__deadline {
	int64_t timeout_ns;
	int64_t at_ns; /* 0: not looked at the clock yet */
};
int64_t shm__deadline_ns(struct shm__deadline *deadline);
int shm__sleep(struct metal_device *const devs[], size_t n, struct shm__wake *wake, int os_handle,
	       struct shm__deadline *deadline);
void shm__dispatch_all(struct metal_device *const devs[], size_t n);
int shm__wait_long(struct shm__root *root, const struct shm__turn *turn,
		   struct shm__deadline *deadline);
int shm__wait_devices(struct metal_device *const devs[], size_t n, struct shm__wake *wake,
		      struct shm__deadline *deadline);
void shm__wake_all(struct shm__waiter *list);
void shm__waiter_remove(struct shm__waiter **list, struct shm__waiter *waiter);

/* backing.c */
int shm__refuse_copy(const struct metal_generic_shm *shm, const struct metal_generic_shm *view);
int shm__attachment_settle(struct metal_generic_shm *view);
int shm__view_back(struct metal_generic_shm *view, const struct metal_shm_constraints *want);

/* view.c */
RB_PROTOTYPE(shm__view_tree, metal_generic_shm, node, )
bool shm__view_end_locked(struct metal_generic_shm *view);
void shm__attach_unlock(struct shm__root *root);

/* feed.c */
void shm__pool_return(struct shm__root *root);

/* pool.c */
size_t shm__pool_devices(const struct metal_shm_pool *pool, struct metal_device *const **ret_devs);

/* reach.c */
int shm__check_reach(const struct metal_generic_shm *view,
		     const struct metal_shm_constraints *want);
bool shm__limits_reach(const struct metal_shm_constraints *want);
bool shm__promises_pieces(const struct metal_shm_properties *promise,
			  const struct metal_shm_constraints *want, size_t size);

/* choose.c */
int shm__choose(size_t size, const struct metal_shm_frame *frame, struct metal_device *const devs[],
		size_t n, metal_shm_type type, struct metal_device **ret_src, char **ret_why);
bool shm__choice_revoke(size_t size, const struct metal_shm_frame *frame,
			struct metal_device *const devs[], size_t n, struct metal_device *dev,
			const struct metal_device *src, int error);

/* format.c */
const char *shm__fourcc(uint32_t fourcc, char text[static 12]);

/* frame.c */
int shm__frame_check(const struct metal_shm_frame *frame, uint64_t size);

#include "fast.h"
#include "trace.h"

#endif
