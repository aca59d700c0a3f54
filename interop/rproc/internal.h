/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A coprocessor, as its files share it.
 *
 * Its lock comes after none and before none: with it held nothing of libshm's core is called. What the core
 * is to be told is written down as works and told when the lock is free.
 */
#ifndef SHM_RPROC_INTERNAL_H
#define SHM_RPROC_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <shm/device.h>
#include <shm/linux.h>
#include <shm/rproc.h>

#include "ring_end.h"
#include "session.h"
#include "sysfs.h"

#define SHM__RPROC_SHARES   256 /* at a time */
#define SHM__RPROC_GIVES    256 /* one for each share */
#define SHM__RPROC_WINDOW   32  /* records that the firmware may send ahead */
#define SHM__RPROC_UNSENT   64  /* records that wait for room in the channel */
#define SHM__RPROC_MESSAGES 64  /* of the firmware's program that wait for ours */

/* endpoint.c: a channel to the firmware, with an endpoint of our own */
struct shm__rproc_endpoint {
	int control_fd; /* of the control device: locked while the endpoint is ours */
	int fd;         /* of the endpoint; -1: none */
	struct metal_shm_rproc_channel channel;
};

/* rings.c: a channel through shared memory instead, whose endpoint's fd is what tells of records */
struct shm__rproc_rings {
	struct metal_generic_shm
		*shm; /* a reference, mapped; NULL: there are none, RPMsg is spoken */
	unsigned char *to, *from;
	size_t size; /* of each */
	uint32_t slots;
	struct shm__ring_end out, in;
	int bell_fd; /* the program's; -1: look each look_ns */
	int64_t look_ns;
	void (*kick)(void *user);
	void *user;
};

enum shm__rproc_give {
	SHM__RPROC_NOTHING = 0,
	SHM__RPROC_QUEUED, /* the GIVE is still to be sent */
	SHM__RPROC_GIVEN,
	SHM__RPROC_LOST, /* nobody knows what the core does with it */
	SHM__RPROC_BACK, /* libshm is to be told that it came back */
};

/* An attachment: what the core reaches, whether its firmware was told or not. */
struct shm__rproc_map {
	struct shm__rproc_map *next;
	struct metal_generic_shm *view;        /* NULL: detached, but the core may still use it */
	const struct metal_shm_memory *memory; /* while there is a view */
	struct metal_shm_range range;
	bool elsewhere;                     /* the memory is a copy or window of a part */
	const struct shm__rproc_way *way;   /* by which the addresses are known */
	uint64_t import_id;                 /* that way's */
	struct metal_shm_physical physical; /* the other's */
	bool read_only, bounced, coherent;  /* it says */
	struct metal_shm_segment *segments;
	size_t segment_count;
	struct metal_generic_shm *table; /* of segments, for a SHARE that has too many; its view */
	struct metal_generic_shm *grant; /* the core asked for it: a reference that ends with it */

	uint32_t id;    /* of the share in this session; 0: none */
	bool told;      /* the firmware may know it, of whichever session */
	int over;       /* -errno: it was shared, and isn't any more */
	bool gone;      /* the core was stopped since it was attached: the addresses are void */
	bool unshare;   /* UNSHARE is still to be sent */
	bool late;      /* the firmware was asked for it in vain */
	bool dead;      /* the core can't use it any more: to be ended */
	uint32_t asked; /* ms: when that began */
	enum metal_shm_dir dir;

	enum shm__rproc_give give;
	enum metal_shm_dir give_dir;
	int error;     /* with SHM__RPROC_BACK */
	bool wanted;   /* somebody waits for the bytes */
	bool recalled; /* and the firmware knows */
};

struct shm__rproc_message {
	uint32_t size;
	uint8_t data[SHM__USER_MAX];
};

/* A thread that waits; lives on its stack. */
struct shm__rproc_waiter {
	int fd;
	struct shm__rproc_waiter *next;
};

struct shm__rproc {
	struct metal_device *dev;
	char id[SHM__RPROC_TEXT]; /* "remoteproc0" */
	uint64_t said_highest;    /* device address, as the program says; 0 nothing */
	unsigned max_segments;    /* likewise */
	int epoll_fd, timer_fd, state_fd;

	pthread_mutex_t lock; /* all below */
	int owner_fd;         /* of /dev/remoteprocN while the core is to stop with us; -1 */
	int importer_fd;      /* of the kernel module, bound to this core; -1 */
	uint64_t highest;     /* device address, as it says; 0 unknown */
	bool coherent;        /* the core sees what the CPU's caches hold */
	struct shm__rproc_map *maps;
	unsigned queued;      /* GIVEs, UNSHAREs and REFUSEs that wait for leave to be sent */
	unsigned due;         /* maps of which something is to be told or ended */
	unsigned dispatching; /* threads that will see to it */
	int64_t patience_ns;
	bool closed;     /* by the program */
	bool ending;     /* a run of the core is over, and it may not have been stopped yet */
	bool no_version; /* the firmware speaks another protocol */
	bool armed, armed_soon; /* the timer */

	struct shm__rproc_rings rings;
	struct shm__rproc_endpoint endpoint;
	struct shm__rproc_epoch epoch; /* of the core's start that the endpoint is of */
	bool readable;                 /* the endpoint may have something */
	uint32_t watched;              /* epoll's events for it; 0: not there */
	unsigned turns;                /* dispatches, counted */
	struct shm__session session;
	struct shm__share shares[SHM__RPROC_SHARES];
	struct shm__give gives[SHM__RPROC_GIVES];
	unsigned unsent_head, unsent_count;
	struct shm__out unsent[SHM__RPROC_UNSENT];

	unsigned message_head, message_count;
	uint64_t messages_lost;
	struct shm__rproc_message messages[SHM__RPROC_MESSAGES];
	int (*grant)(void *user, uint64_t size, metal_shm_type type,
		     struct metal_generic_shm **ret);
	void *grant_user;
	unsigned refusal_count; /* that wait for leave to be sent */
	struct shm__wire_refuse refusals[SHM__SESSION_REQUESTS];
	struct shm__rproc_waiter *waiters;
	uint64_t stops;      /* counted */
	uint32_t stopped_ms; /* when the last one was noticed */
	bool seen_off;       /* nothing began since */
	bool off;            /* the program stopped it */
};

/* What is to be done without the lock. */
struct shm__rproc_work {
	struct metal_generic_shm *unhold; /* a view whose bytes came back */
	int error;                        /* with this */
	struct metal_generic_shm *detach; /* a view that the core's REQUEST made, */
	struct metal_generic_shm *free;   /* and its buffer */
	struct shm__rproc_map *end;
	struct shm__wire_request request; /* tag 0: none */
};

extern const struct metal_shm_device_ops shm__rproc_ops;

/* NULL with errno EINVAL and a reason: not a coprocessor. */
struct shm__rproc *shm__rproc_of(const struct metal_device *dev);

/* state.c */
#define SHM__RPROC_PATH (SHM__RPROC_TEXT + 64)
void shm__rproc_path(const struct shm__rproc *rproc, const char *file,
		     char ret_path[static SHM__RPROC_PATH]);
int shm__rproc_state_open(struct shm__rproc *rproc);
int shm__rproc_state(const struct shm__rproc *rproc);
const char *shm__rproc_state_name(int state);

/* firmware.c: what to say of a firmware that the core didn't take; error is positive */
int shm__rproc_firmware_error(const struct shm__rproc *rproc, int error);

/* endpoint.c; -EAGAIN without a reason: the firmware hasn't announced the service yet */
int shm__rproc_endpoint_open(const struct shm__rproc *rproc, struct shm__rproc_endpoint *ret);
void shm__rproc_endpoint_close(struct shm__rproc_endpoint *endpoint);

/* rings.c. Under the lock, but for the end. */
void shm__rproc_rings_begin(struct shm__rproc *rproc);
int shm__rproc_rings_open(struct shm__rproc *rproc, struct shm__rproc_endpoint *ret);
ssize_t shm__rproc_rings_send(struct shm__rproc *rproc, const struct shm__out *out);
ssize_t shm__rproc_rings_receive(struct shm__rproc *rproc, uint8_t data[static SHM__RECORD_MAX]);
void shm__rproc_rings_end(const struct shm__rproc_rings *rings);

/* link.c: records to and from the firmware. Under the lock, but for the last three. */
uint32_t shm__rproc_random(void); /* not 0 */
int shm__rproc_link_open(struct shm__rproc *rproc);
void shm__rproc_link_lose(struct shm__rproc *rproc);
void shm__rproc_post(struct shm__rproc *rproc, const struct shm__out *out);
bool shm__rproc_may_post(const struct shm__rproc *rproc);
void shm__rproc_wake(struct shm__rproc *rproc);
void shm__rproc_watch_importer(struct shm__rproc *rproc);
int shm__rproc_events_open(struct shm__rproc *rproc);
int shm__rproc_code_error(enum shm__code code);
const char *shm__rproc_code_name(enum shm__code code);
int shm__rproc_dispatch(struct metal_device *dev);
/*
 * Dispatch until look, which is called under the lock, answers something else than -EAGAIN. deadline_ns is of
 * shm__rproc_now_ns(), or -1; what it answers with then is -ETIMEDOUT without a reason.
 */
int shm__rproc_wait(struct shm__rproc *rproc, int64_t deadline_ns,
		    int (*look)(struct shm__rproc *rproc, void *user), void *user);

/* take.c: what the firmware says. Under the lock. */
void shm__rproc_take(struct shm__rproc *rproc, const void *data, size_t size,
		     struct shm__rproc_work *work);
/* Send what waited for leave. */
void shm__rproc_flush(struct shm__rproc *rproc);
/* The session is over, and the core runs on, or may. */
void shm__rproc_forget(struct shm__rproc *rproc);
/* The core was stopped: error is for who takes what it had. */
void shm__rproc_stopped(struct shm__rproc *rproc, int error);
/* The next that is due; false: nothing. */
bool shm__rproc_due(struct shm__rproc *rproc, struct shm__rproc_work *work);

/* watch.c: whether the core lives. Under the lock, but for the clocks. */
uint32_t shm__rproc_now_ms(void);
int64_t shm__rproc_now_ns(void);
void shm__rproc_arm(struct shm__rproc *rproc);
void shm__rproc_kick(struct shm__rproc *rproc);
void shm__rproc_tick(struct shm__rproc *rproc);

/* importer.c. Under the lock: whether it says that the core runs, which it then began anew. */
bool shm__rproc_importer_runs(struct shm__rproc *rproc);

/* share.c: tag is of the REQUEST that it answers, or 0 */
int shm__rproc_share(struct shm__rproc *rproc, struct metal_generic_shm *shm,
		     enum metal_shm_dir dir, uint32_t tag, uint32_t *ret_id);
/* Under the lock. */
int shm__rproc_not_connected(const struct shm__rproc *rproc);
int64_t shm__rproc_deadline(int64_t timeout_ns);
/* Of a wait that begins now. Takes the lock. */
int64_t shm__rproc_patience(struct shm__rproc *rproc);
int shm__rproc_connect_until(struct shm__rproc *rproc, int64_t deadline_ns);
int shm__rproc_give(struct metal_device *dev, struct metal_shm_view *view,
		    const struct metal_shm_range *range, enum metal_shm_dir dir);
int shm__rproc_recall(struct metal_device *dev, const struct metal_shm_memory *memory,
		      const struct metal_shm_range *range);

/* table.c: a table of segments in memory that the core reaches */
int shm__rproc_table(struct shm__rproc *rproc, const struct shm__rproc_map *map,
		     struct metal_generic_shm **ret_view);
void shm__rproc_table_end(struct shm__rproc *rproc, struct metal_generic_shm *view);

/* request.c: the core asked for memory */
void shm__rproc_answer(struct shm__rproc *rproc, const struct shm__wire_request *request);

/* limits.c: a core's name, and what the program says of its reach behind it */
int shm__rproc_parse(const char *text, char ret_name[static SHM__RPROC_TEXT],
		     struct shm__rproc *rproc);
int shm__rproc_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			   struct metal_shm_constraints *ret);

/* map.c */
int shm__rproc_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *ret_view);
void shm__rproc_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		       struct metal_shm_view *view);
/* One that is taken out of the list already. Without the lock. */
void shm__rproc_map_end(struct shm__rproc *rproc, struct shm__rproc_map *map);

#endif
