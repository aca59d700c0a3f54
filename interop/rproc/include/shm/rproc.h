/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file rproc.h
 * Coprocessors for libshm: the cores that Linux runs by remoteproc, and that answer over RPMsg.
 *
 * A coprocessor is one struct metal_device. A buffer that is attached to it has device addresses, the ones
 * under which its firmware sees the memory; metal_shm_rproc_share() tells the firmware of it, and from then
 * on metal_shm_sync_for_device() gives bytes to the firmware (GIVE) and metal_shm_sync_for_cpu() waits until
 * it gives them back (RETURN). docs/coprocessor.md explains it, docs/coprocessor-protocol.md has each byte.
 *
 *	metal_shm_rproc_open("remoteproc0", &dsp);
 *	metal_shm_rproc_start(dsp, "filter.elf", METAL_SHM_RPROC_STOP_WITH_US);
 *	shm = metal_shm_allocate_for(1 << 20, &dsp, 1, 0);
 *	view = metal_shm_attach(shm, dsp);
 *	metal_shm_rproc_share(dsp, shm, METAL_SHM_DIR_DEV_RW, &id);
 *	metal_shm_sync_for_device(shm, dsp, METAL_SHM_DIR_DEV_RW);
 *	metal_shm_sync_for_cpu_timeout(shm, METAL_SHM_DIR_DEV_RW, 1000000000);
 *
 * A coprocessor is opened by metal_shm_device_open("rproc:NAME") as well. "rproc:NAME/CARVEOUT" is a source: the
 * memory that the firmware's resource table and the core's driver set aside under this name, by the kernel module
 * shm_carveout. It answers -ENODEV the module is not loaded, or there is no such remoteproc; -ENOENT the core
 * doesn't run, or has no such carveout; -EACCES it is not exported yet, which root may do (the reason says how);
 * -EEXIST it is exported by another name; -EBUSY remoteproc allocated it itself, or the kernel uses it.
 *
 * A core without an IOMMU reaches all memory and may write late. So what it was given is the program's again
 * only when it says so or when remoteproc reports that the core was stopped: a core that doesn't answer keeps
 * its bytes (LOST) however long that takes. When the core crashes or is stopped, the next owner of what it
 * held gets -EIO, and its attachments are void: detach, and attach again once it runs.
 *
 * The conventions of shm.h hold. Any function may be called from any thread. Every descriptor is
 * close-on-exec.
 */
#ifndef METAL_SHM_RPROC_H
#define METAL_SHM_RPROC_H

#include <shm/shm.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The RPMsg service that a firmware with libshm's protocol announces. */
#define METAL_SHM_RPROC_SERVICE "libshm"

/** What a core does, as remoteproc reports it. */
enum metal_shm_rproc_state {
	METAL_SHM_RPROC_OFFLINE = 1,
	METAL_SHM_RPROC_SUSPENDED,
	METAL_SHM_RPROC_RUNNING,
	METAL_SHM_RPROC_CRASHED,
	METAL_SHM_RPROC_ATTACHED, /**< running, and somebody else started it */
	METAL_SHM_RPROC_DETACHED, /**< running, without Linux */
	METAL_SHM_RPROC_UNKNOWN,  /**< a state that this library doesn't know */
};

/** metal_shm_rproc_start(): the kernel stops the core when this device or the process ends. */
#define METAL_SHM_RPROC_STOP_WITH_US (1u << 0)

/** An RPMsg channel of a core: a service that its firmware announced, or an endpoint that a program made. */
struct metal_shm_rproc_channel {
	char service[32]; /**< its name */
	char device[64];  /**< the kernel's name for it, e.g. "virtio0.rpmsg-raw.-1.1024" */
	char node[32];    /**< its character device below /dev, e.g. "rpmsg0"; "": it has none */
	uint32_t source;  /**< address on this side; UINT32_MAX any */
	uint32_t destination; /**< address on the firmware's side; UINT32_MAX any */
};

/** Memory that is set aside for a core. */
struct metal_shm_rproc_carveout {
	char name[32];
	uint64_t
		virtual_address; /**< of the kernel, as it shows it: hashed, or 0 where it hides it */
	uint64_t dma_address;    /**< as the bus of the core's parent sees it; UINT64_MAX unknown */
	uint64_t device_address; /**< as the core sees it; UINT64_MAX unknown */
	uint64_t length;         /**< bytes */
};

/**
 * Open a coprocessor.
 *
 * It need not run: see metal_shm_rproc_start().
 *
 * @param name     the kernel's name for it ("remoteproc0") or its own (/sys/class/remoteproc/...'s file
 *                 name). Behind it, what nobody else tells of its reach: "dsp,address_bits=31,max_segments=1"
 *                 for a core (or firmware) with addresses of 16 to 64 bits that takes a buffer in 1 to 65535
 *                 segments. What reaches less counts, this or what the kernel module knows. Memory is chosen
 *                 by it, and attaching other memory is ERANGE
 * @param ret_dev  receives the device; end it with metal_shm_device_close()
 * @return 0; -EINVAL NULL, a bad name or limit; -ENODEV there is no such remoteproc (the reason names those there
 *         are); -ENOTUNIQ several have that name; -ENOMEM, -EMFILE, -ENFILE
 */
int metal_shm_rproc_open(const char *name, struct metal_device **ret_dev);

/**
 * The kernel's name of a coprocessor.
 *
 * @param dev  a coprocessor
 * @return e.g. "remoteproc0", valid as long as the device; NULL with errno EINVAL
 */
const char *metal_shm_rproc_id(const struct metal_device *dev);

/**
 * What the core does now. Reads one file of sysfs.
 *
 * @param dev  a coprocessor
 * @return an enum metal_shm_rproc_state; -EINVAL; -ENODEV the remoteproc is gone
 */
int metal_shm_rproc_state(struct metal_device *dev);

/**
 * The firmware that the core runs, or will run.
 *
 * @param dev       a coprocessor
 * @param ret_name  receives the file's name, relative to where the kernel looks for firmware; "unknown" for
 *                  a core that somebody else started
 * @param size      bytes of @p ret_name
 * @return 0; -EINVAL; -ENAMETOOLONG it needs more bytes; -ENODEV the remoteproc is gone
 */
int metal_shm_rproc_firmware(struct metal_device *dev, char *ret_name, size_t size);

/**
 * Choose the firmware for the next start.
 *
 * @param dev   a coprocessor that doesn't run
 * @param name  a file's name, relative to where the kernel looks for firmware (/lib/firmware and what
 *              /sys/module/firmware_class/parameters/path names)
 * @return 0; -EINVAL; -EBUSY it runs; -EACCES not permitted; -ENODEV the remoteproc is gone
 */
int metal_shm_rproc_set_firmware(struct metal_device *dev, const char *name);

/**
 * Start the core.
 *
 * Answers when the kernel has started it, which says nothing of its firmware: see metal_shm_rproc_connect().
 *
 * @param dev       a coprocessor that doesn't run
 * @param firmware  as for metal_shm_rproc_set_firmware(); NULL: what is chosen already
 * @param flags     METAL_SHM_RPROC_STOP_WITH_US or 0
 * @return 0; -EINVAL also for unknown flags; -EALREADY it runs; -ENOENT there is no such firmware (the
 *         reason names the folders); -ENOEXEC the core doesn't take it (the reason says for which processor
 *         it is); -EACCES not permitted (the reason names the file and its rights); -ENOTSUP
 *         METAL_SHM_RPROC_STOP_WITH_US on a kernel without CONFIG_REMOTEPROC_CDEV; -ENODEV the remoteproc
 *         is gone; or the kernel's error
 */
int metal_shm_rproc_start(struct metal_device *dev, const char *firmware, uint32_t flags);

/**
 * Stop the core, also one that has crashed.
 *
 * What it held is the CPU's then, with -EIO to the next owner.
 *
 * @param dev  a coprocessor
 * @return 0, also when it doesn't run; -EINVAL; -EBUSY another program started it too, so the kernel keeps
 *         it running until that stops it; -EACCES not permitted; -ENODEV the remoteproc is gone; or the
 *         kernel's error
 */
int metal_shm_rproc_stop(struct metal_device *dev);

/**
 * List the RPMsg channels of a core. Source: seed 002's open question which remoteproc an RPMsg device is
 * attached to.
 *
 * @param dev           a coprocessor
 * @param ret_channels  receives them; may be NULL when @p max is 0
 * @param max           room for so many
 * @return how many there are, which may be more than @p max; -EINVAL; or the error of the system call
 */
int metal_shm_rproc_channels(struct metal_device *dev, struct metal_shm_rproc_channel *ret_channels,
			     size_t max);

/**
 * The coprocessor that an RPMsg device is of.
 *
 * @param channel   a character device ("rpmsg0", "/dev/rpmsg0", "rpmsg_ctrl0") or an RPMsg device
 *                  ("virtio0.rpmsg-raw.-1.1024")
 * @param ret_name  receives the kernel's name of the remoteproc, e.g. "remoteproc0"
 * @param size      bytes of @p ret_name
 * @return 0; -EINVAL; -ENODEV there is no such device; -ENOTSUP it is no remoteproc's (a virtio device of
 *         a virtual machine, GLINK); -ENAMETOOLONG it needs more bytes
 */
int metal_shm_rproc_of_channel(const char *channel, char *ret_name, size_t size);

/**
 * List the memory that is set aside for a core: what remoteproc's debugfs tells while it runs.
 *
 * @param dev            a coprocessor
 * @param ret_carveouts  receives them; may be NULL when @p max is 0
 * @param max            room for so many
 * @return how many there are, which may be more than @p max; -EINVAL; -EACCES debugfs may not be read;
 *         -ENOENT debugfs isn't mounted or the kernel has none; -EBADMSG it says something else than this
 *         library knows
 */
int metal_shm_rproc_carveouts(struct metal_device *dev,
			      struct metal_shm_rproc_carveout *ret_carveouts, size_t max);

/**
 * Wait until the firmware answers.
 *
 * Other calls connect by themselves; this one tells whether and when. A firmware has to announce the RPMsg
 * service METAL_SHM_RPROC_SERVICE and to speak libshm's protocol.
 *
 * @param dev         a coprocessor
 * @param timeout_ns  nanoseconds; 0 looks once; METAL_SHM_FOREVER
 * @return 0, also when it is connected already; -EINVAL; -ENOTCONN the core doesn't run; -ETIMEDOUT the
 *         firmware announced no such service, or doesn't answer (the reason says which); -EBUSY another
 *         program has the channel; -EPROTONOSUPPORT the firmware speaks another version; -EACCES the
 *         channel's nodes may not be opened; -ENOTSUP the kernel has no CONFIG_RPMSG_CTRL or _CHAR; -EMFILE;
 *         or the error of the system call
 */
int metal_shm_rproc_connect(struct metal_device *dev, int64_t timeout_ns);

/**
 * Two rings in shared memory, by which a firmware without RPMsg is spoken to. Set struct_size.
 *
 * docs/coprocessor-protocol.md has their bytes, and libshm's firmware side has them as <shm/ring.h>. Where they
 * lie is agreed on by whoever builds both programs: mostly in a carveout.
 */
struct metal_shm_rproc_rings {
	uint32_t struct_size;
	uint32_t slots; /**< records that each has room for: a power of two up to 1024 */
	/** Memory that program and core see coherently, or uncached; any handle. */
	struct metal_generic_shm *shm;
	size_t to_core;   /**< offset in @ref shm of the ring to the firmware: a multiple of 64 */
	size_t from_core; /**< and of the one from it */
	/** An eventfd, or the like, that is readable once the firmware rang; 8 bytes are read of it. It is
	 * duplicated when the firmware is connected. -1: no doorbell reaches the program. */
	int borrow_bell_fd;
	/** Without a bell: how often the ring is looked at, in nanoseconds; 0 is 1 ms. */
	int64_t look_ns;
	/** Rings the firmware's doorbell, in any thread, and calls nothing of libshm. NULL: it looks by itself. */
	void (*kick)(void *user);
	void *user; /**< for kick */
};

/**
 * Bytes that one ring takes.
 *
 * @param slots  as in struct metal_shm_rproc_rings
 * @return bytes; 0 for a number that no ring has
 */
size_t metal_shm_rproc_ring_size(uint32_t slots);

/**
 * Speak with the firmware through rings in shared memory, instead of RPMsg.
 *
 * Before metal_shm_rproc_connect(). While the core is offline the rings are made anew, also by
 * metal_shm_rproc_start(); where it runs, and there are rings, they go on, so that a program takes over from one
 * that was killed. Without a bell whoever waits looks each look_ns, and metal_shm_device_poll_fd() is readable as
 * often: that costs wake-ups, and up to look_ns for each answer.
 *
 * The memory is the device's too until the device is closed, or other rings are set. So that nobody else gets it
 * while the firmware may write it, also if the program is killed: attach it to the coprocessor as well, or take it
 * where it is given to nobody.
 *
 * Source: coprocessors of kernels without RPMsg.
 *
 * @param dev    a coprocessor that isn't connected
 * @param rings  copied; NULL: RPMsg again
 * @return 0; -EINVAL, also for rings that overlap or aren't aligned; -ERANGE they aren't in the memory; -ENOTSUP
 *         nobody says that the memory is coherent or uncached; -EBUSY it is connected; or as metal_shm_map().
 *         Once a firmware wrote what no ring has, connecting is -EPIPE until the core was stopped
 */
int metal_shm_rproc_set_rings(struct metal_device *dev, const struct metal_shm_rproc_rings *rings);

/**
 * Say how long the firmware may take to answer.
 *
 * A firmware that was asked for bytes back, or told that memory isn't shared any more, and doesn't answer in
 * this time has lost its credit: whoever waits for the bytes gets -ETIMEDOUT, and until it answers after all
 * or the core is stopped they are neither the program's nor anybody's (lost). It is no limit to what a
 * firmware may work while nobody waits. 10 s unless it is set.
 *
 * @param dev          a coprocessor
 * @param patience_ns  nanoseconds; METAL_SHM_FOREVER
 * @return 0; -EINVAL
 */
int metal_shm_rproc_set_patience(struct metal_device *dev, int64_t patience_ns);

/**
 * Tell the firmware of a buffer.
 *
 * It stays shared until it is detached, or the firmware refuses it or lets go of it. Who has its bytes is
 * another question: the firmware may touch them from metal_shm_sync_for_device() on, until it gives them
 * back. Connects first if need be.
 *
 * @param dev     a coprocessor
 * @param shm     any handle attached to @p dev
 * @param dir     the most that the firmware will be given it for
 * @param ret_id  receives the number by which the firmware knows it, for messages between the two programs;
 *                may be NULL
 * @return 0, also when it is shared so already; -EINVAL; -ENOTCONN not attached, or the core doesn't run;
 *         -EACCES @p dir writes memory that was imported read-only; -EBUSY shared for another direction, or
 *         lost; -ENOSPC the firmware has no room for it; -ENODEV the core was stopped since the buffer was
 *         attached; or as metal_shm_rproc_connect(). A firmware refuses a buffer later, if it does:
 *         metal_shm_sync_for_device() tells then
 */
int metal_shm_rproc_share(struct metal_device *dev, struct metal_generic_shm *shm,
			  enum metal_shm_dir dir, uint32_t *ret_id);

/** The most bytes of one message. */
#define METAL_SHM_RPROC_MESSAGE_MAX 472

/**
 * Send a message of the program's own to the firmware.
 *
 * Messages keep their order, among themselves and with what is shared and given. Connects first if need be.
 *
 * @param dev   a coprocessor
 * @param data  the message
 * @param size  bytes, 1 to METAL_SHM_RPROC_MESSAGE_MAX
 * @return 0; -EINVAL; -EMSGSIZE too long; -ETIMEDOUT the firmware takes none; or as
 *         metal_shm_rproc_connect()
 */
int metal_shm_rproc_send(struct metal_device *dev, const void *data, size_t size);

/**
 * Take the firmware's next message. 64 wait at most.
 *
 * @param dev         a coprocessor
 * @param ret_data    receives it
 * @param size        bytes of @p ret_data
 * @param timeout_ns  nanoseconds; 0 looks once; METAL_SHM_FOREVER
 * @return bytes of the message; -EINVAL; -ETIMEDOUT; -EMSGSIZE it is longer than @p size, and still there;
 *         -EOVERFLOW messages were lost because more than 64 waited (told once); -ENOTCONN the core doesn't
 *         run, or its firmware isn't connected; -EMFILE no descriptor left to wait with
 */
int metal_shm_rproc_receive(struct metal_device *dev, void *ret_data, size_t size,
			    int64_t timeout_ns);

/**
 * Say who grants memory that the firmware asks for.
 *
 * @p grant is called while somebody dispatches the device, in whatever thread that is. The buffer that it
 * answers with is attached, shared and given to the firmware at once, for reading and writing. Its reference
 * is the firmware's from then on, and ends when the firmware says that it uses the buffer no more, or the
 * core stops: a program that wants the bytes keeps a reference of its own (metal_shm_ref()) and takes them
 * with metal_shm_sync_for_cpu().
 *
 * @param dev    a coprocessor
 * @param grant  answers 0 with a buffer of at least @p size bytes that meets @p type, or -errno: the
 *               firmware is told that there is no memory (-ENOMEM) or that it is refused. NULL: every
 *               request is refused, as before the first call
 * @param user   passed to @p grant
 * @return 0; -EINVAL
 */
int metal_shm_rproc_on_request(struct metal_device *dev,
			       int (*grant)(void *user, uint64_t size, metal_shm_type type,
					    struct metal_generic_shm **ret),
			       void *user);

/** How a coprocessor stands. Set struct_size before the call. */
struct metal_shm_rproc_info {
	uint32_t struct_size;
	uint32_t version; /**< of the protocol that is spoken; 0: not connected */
	uint32_t shared;  /**< buffers that the firmware knows */
	uint32_t given;   /**< of these, those that it has */
	uint32_t
		lost; /**< buffers that it was asked for in vain, or has of a session that is over */
	uint32_t
		faults; /**< records of the firmware that broke the protocol, and changed nothing */
	uint32_t stale; /**< records of it that belonged to a session that was over */
	uint32_t refusals; /**< records of ours that it refused */
	uint64_t stops;    /**< how often the core was found stopped, with all that it had ended */
};

/**
 * Look at how a coprocessor stands. Counts since it was opened.
 *
 * @param dev  a coprocessor
 * @param ret  struct_size set by the caller, the rest filled; fields beyond its size are left out
 * @return 0; -EINVAL
 */
int metal_shm_rproc_info(struct metal_device *dev, struct metal_shm_rproc_info *ret);

#ifdef __cplusplus
}
#endif
#endif
