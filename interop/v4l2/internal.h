/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node is an open descriptor; it has one queue, or two that share it (memory-to-memory). A queue is
 * one struct metal_device.
 *
 * Lock order: a node's control, then a queue's lock, then what libshm locks inside. No queue's lock is
 * held while waiting, nor in calls that may come back through the table of operations: hold and unhold,
 * attach and detach, free, the pool's feed.
 */
#ifndef SHM_V4L2_INTERNAL_H
#define SHM_V4L2_INTERNAL_H

#include <linux/videodev2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <shm/device.h>
#include <shm/v4l2.h>

/* vb2's limit too. A ring holds each buffer once and as many reports of damaged frames. */
#define SHM__V4L2_BUFFERS 32
#define SHM__V4L2_RING    (2 * SHM__V4L2_BUFFERS)

struct shm__v4l2_queue;

/* A buffer index: reserved by attach, the buffer's until detach. Under the queue's lock, but for pin. */
struct shm__v4l2_slot {
	struct shm__v4l2_queue *queue;
	uint32_t index;
	int fd;
	uint32_t length;
	bool attached;
	bool queued;  /* the driver has it */
	bool held;    /* metal_shm_hold() was called for shm */
	bool stuck;   /* it could not be queued: shm waits for another try */
	bool fetched; /* it is in the ring */
	bool report;
	struct metal_generic_shm *view; /* while attached */
	struct metal_generic_shm *shm;  /* the queue's reference while queued or stuck */
	/* The view, attached once more while the driver maps the memory: it must be settled first. */
	struct metal_generic_shm *_Atomic pin;
};

/* A buffer that the driver is done with. */
struct shm__v4l2_done {
	struct metal_generic_shm *shm; /* a reference; NULL for a frame that was not good */
	bool held;                     /* metal_shm_unhold() is still to be called for shm */
	bool report;
	struct metal_shm_v4l2_info info;
};

struct shm__v4l2_queue {
	struct shm__v4l2_node *node;
	struct metal_device *dev;
	const char *name; /* dev's */
	enum v4l2_buf_type type;
	bool output;
	bool multiplanar;
	uint32_t numerator, denominator; /* of the interval asked for; 0: none. Under control */
	bool started;                    /* under control */

	pthread_mutex_t lock; /* all below */
	struct metal_shm_pool *pool;
	atomic_bool queueing; /* buffers are accepted; also read ahead of the lock */
	bool streaming;
	int lost;         /* -errno that ended the queue */
	uint32_t moved;   /* the byte at which the driver puts the picture */
	unsigned session; /* counts starts and stops */
	uint32_t buffers; /* that the driver has indices for */
	uint32_t size;    /* bytes of a frame, as the driver counts */
	uint64_t least;   /* bytes of a whole picture */
	unsigned queued;  /* slots that are */
	unsigned stuck;   /* slots that are */
	int stuck_error;  /* why the first of them is, not reported yet */
	unsigned reports; /* queued to be reported, not reported yet */
	struct shm__v4l2_slot slot[SHM__V4L2_BUFFERS];

	struct shm__v4l2_done ring[SHM__V4L2_RING];
	unsigned ring_head, ring_count, ring_bad;

	/* One of the threads that wait polls; it is woken by wake_fd, the others by turn. */
	bool polled;
	bool starved; /* it waits for a frame to be queued */
	unsigned followers;
	pthread_cond_t turn;
	int wake_fd;
};

struct shm__v4l2_node {
	atomic_uint refs; /* its queues */
	int fd;
	atomic_bool gone; /* unplugged, and the driver's file is closed: fd is another's */
	int epoll_fd;     /* has fd while a queue streams */
	enum metal_shm_access access;
	char name[96];
	pthread_mutex_t control;          /* formats, start, stop, trials */
	unsigned streams;                 /* under control */
	struct shm__v4l2_queue *queue[2]; /* that live as long as the node */
};

/* format.c */
uint32_t shm__v4l2_split_format(uint32_t fourcc);
const char *shm__v4l2_fourcc_text(uint32_t fourcc, char text[5]);

/* node.c */
extern const struct metal_shm_device_ops shm__v4l2_ops;
struct shm__v4l2_queue *shm__v4l2_queue_of(const struct metal_device *dev);
int shm__v4l2_ioctl(const struct shm__v4l2_node *node, unsigned long request, void *argument);
void shm__v4l2_let_go(struct shm__v4l2_node *node);
int shm__v4l2_failed(const struct shm__v4l2_queue *queue, int error, const char *call);
int shm__v4l2_make(int fd, const char *name, bool m2m, struct metal_device **ret_output,
		   struct metal_device **ret_capture);

/* layout.c */
int shm__v4l2_set_frame(struct shm__v4l2_queue *queue, const struct metal_shm_frame *frame,
			uint32_t *ret_size);
uint64_t shm__v4l2_picture_bytes(const struct metal_shm_frame *frame);
int shm__v4l2_layout(struct metal_device *dev, const struct metal_shm_frame *frame,
		     struct metal_shm_layout *ret);
int shm__v4l2_constraints(struct metal_device *dev, const struct metal_shm_frame *frame,
			  struct metal_shm_constraints *ret);

/* memory.c */
int shm__v4l2_attach(struct metal_device *dev, const struct metal_shm_attachment *at,
		     struct metal_shm_view *ret_view);
void shm__v4l2_detach(struct metal_device *dev, const struct metal_shm_attachment *at,
		      struct metal_shm_view *view);

/* buffers.c */
int shm__v4l2_qbuf(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot, uint32_t index,
		   const struct metal_shm_v4l2_work *work);
int shm__v4l2_dqbuf(struct shm__v4l2_queue *queue, struct shm__v4l2_done *ret);

/* queue.c */
void shm__v4l2_idle(struct metal_device *dev, struct metal_generic_shm *shm);
int shm__v4l2_give(struct shm__v4l2_queue *queue, struct metal_generic_shm *shm);
int shm__v4l2_unstick(struct shm__v4l2_queue *queue, int64_t timeout_ns);

/* dispatch.c */
void shm__v4l2_wake(struct shm__v4l2_queue *queue);
bool shm__v4l2_pop(struct shm__v4l2_queue *queue, struct shm__v4l2_done *ret);
int shm__v4l2_dispatch(struct metal_device *dev);
int shm__v4l2_poll_handle(struct metal_device *dev);

/* stream.c */
int shm__v4l2_request(struct shm__v4l2_queue *queue, uint32_t *count);
void shm__v4l2_lose(struct shm__v4l2_queue *queue);
int shm__v4l2_stop(struct shm__v4l2_queue *queue);

/* trial.c */
int shm__v4l2_try_map(struct shm__v4l2_queue *queue, const struct shm__v4l2_slot *slot,
		      const struct metal_shm_attachment *at);
int shm__v4l2_trial(struct metal_device *dev, struct metal_generic_shm *shm);

#endif
