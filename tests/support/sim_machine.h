/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sim_machine.h
 * A simulated machine whose devices don't see the CPU's cache.
 *
 * Each memory has its bytes twice: in the cache, which is what a mapping shows, and in DRAM, which is
 * what devices see that move bytes by DMA. Between them lines of SIM_LINE bytes are moved by syncs,
 * and by sim_step(): as on real machines a dirty line may be written back, whole, and a clean one read
 * in again at any moment. A line is dirty if sim_cpu_write() wrote it, or if it differs from what was
 * read in, which tells of writes straight through the mapping. No line is ever invalid: nobody could
 * trap the access that would fill it, so an operation that invalidates reads in at once.
 *
 * A machine is used by one thread at a time.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include <shm/device.h>

#define SIM_LINE 64u
#define SIM_PAGE 4096u

/** Random numbers that are the same on every machine: a state that starts as the seed. */
struct sim_rng {
	uint64_t state;
};

/** The next number, below @p n. */
unsigned sim_random(struct sim_rng *rng, unsigned n);

/** What a memory's exporter does when it is asked for a sync. */
enum sim_kind {
	SIM_WHOLE,  /**< acts on all of the memory, whatever range it is given, as dma-heaps do;
		       *   without a DMA attachment on nothing */
	SIM_RANGED, /**< acts on the lines that overlap the range */
	SIM_BOUNCING, /**< as SIM_WHOLE, and every DMA attachment has a copy of the bytes for itself */
	SIM_WINDOWED, /**< acts on all of the memory, by address, as udmabuf does; some of its pages can be
		       *   exported once more: sim_memory_window() */
	SIM_KINDS,
};

extern const char *const sim_kind_names[SIM_KINDS];

/** What a machine did, in calls and in lines. */
struct sim_counts {
	uint64_t starts, ends;     /**< syncs asked for */
	uint64_t lines_in;         /**< lines that these read in */
	uint64_t lines_out;        /**< lines that these wrote back */
	uint64_t lines_hidden;     /**< lines that attaching and detaching moved */
	uint64_t evictions, fills; /**< lines that moved by themselves */
};

/** Mistakes that a machine makes when it is told to, so that tests can be seen to fail. */
#define SIM_FORGETS_STARTS (1u << 0)
#define SIM_FORGETS_ENDS   (1u << 1)

struct sim_machine {
	struct sim_ram *rams;
	struct sim_counts counts;
	unsigned memories; /**< that are not ended */
	unsigned mistakes; /**< SIM_FORGETS_* */
	bool forked;       /**< this is a child, where memories end with their ports */
};

/** A memory, or a window of one. */
struct sim_memory {
	struct sim_machine *machine;
	struct sim_ram *ram;
	enum sim_kind kind;
	size_t offset, size; /**< of its bytes in the ram; both multiples of SIM_LINE */
	bool started;        /**< an END before any START is refused */
};

/** What one device sees of a memory. */
struct sim_port {
	struct sim_memory *memory;
	struct sim_port *next;
	unsigned char *bounce; /**< a DMA device's own copy of the whole memory, or NULL */
	bool by_cpu;           /**< goes through the cache */
};

/** A machine without memory. Ended by sim_machine_end(), when all its memories are. */
struct sim_machine *sim_machine_new(void);
void sim_machine_end(struct sim_machine *machine);

/**
 * Make a memory. Its bytes are neither 0 nor those of another one.
 *
 * @param machine  the machine
 * @param kind     what its exporter is like
 * @param size     bytes, rounded up to SIM_LINE
 * @return ended by sim_memory_end(), when its ports and windows are
 */
struct sim_memory *sim_memory_new(struct sim_machine *machine, enum sim_kind kind, size_t size);
/** A memory of some pages of another: the same bytes, synced by themselves. NULL: not of SIM_WINDOWED,
 *  or not of whole pages. The bytes stay as long as either does. */
struct sim_memory *sim_memory_window(struct sim_memory *memory, size_t offset, size_t size);
void sim_memory_end(struct sim_memory *memory);

/** Where the CPU sees the memory's first byte. */
unsigned char *sim_memory_address(const struct sim_memory *memory);

/** Write as the program does, at an address of the mapping. */
void sim_cpu_write(struct sim_machine *machine, void *address, const void *bytes, size_t n);
void sim_cpu_read(const struct sim_machine *machine, const void *address, void *bytes, size_t n);

/** The exporter's syncs, before the CPU's access and after it; as in struct metal_shm_device_ops.
 *  0; -EINVAL an END before any START, or a range outside the memory. */
int sim_start(struct sim_memory *memory, const struct metal_shm_range *range,
	      enum metal_shm_dir dir);
int sim_end(struct sim_memory *memory, const struct metal_shm_range *range, enum metal_shm_dir dir);

/**
 * Attach a device. For one that uses DMA it is a hidden END, and its end is a hidden START.
 *
 * @param memory  the memory
 * @param by_cpu  the device moves bytes with the CPU
 * @return ended by sim_port_end()
 */
struct sim_port *sim_port_new(struct sim_memory *memory, bool by_cpu);
void sim_port_end(struct sim_port *port);

/** What the device does; @p offset is in the memory. */
void sim_port_read(const struct sim_port *port, size_t offset, void *bytes, size_t n);
void sim_port_write(struct sim_port *port, size_t offset, const void *bytes, size_t n);

/** What a cache does by itself to the line at an offset: write it back if it is dirty; read it in
 *  if it is clean. */
void sim_evict(struct sim_memory *memory, size_t offset);
void sim_fill(struct sim_memory *memory, size_t offset);
/** Either of them, to some lines of some memory. */
void sim_step(struct sim_machine *machine, struct sim_rng *rng);

#endif
