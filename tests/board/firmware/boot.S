# SPDX-License-Identifier: BSD-3-Clause
# The coprocessor's boot ROM, in flash. It runs the firmware in supervisor mode and keeps the timer for
# itself, so that it can take the core back from a firmware that hangs, as a reset line would.
#include "coprocessor.h"

#define CONTROL (COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_CONTROL)
#define MTIME 0x200bff8 /* 10 MHz */
#define MTIMECMP 0x2004000
#define TICK 5000 /* 0.5 ms */
#define MTIE 0x80
#define MPP_SUPERVISOR 0x800
#define TIMER_INTERRUPT 0x8000000000000007

	.section .text
	.globl _start
_start:
	la t0, trap
	csrw mtvec, t0
	li t0, MTIE
	csrw mie, t0
	li t0, -1		# the firmware may reach all memory
	csrw pmpaddr0, t0
	li t0, 0x1f
	csrw pmpcfg0, t0
	li t0, 7		# and read the counters
	csrw mcounteren, t0
	li s0, CONTROL
	sw zero, COPROCESSOR_GO(s0)
	sw zero, COPROCESSOR_STATE(s0)
	fence
	li t0, COPROCESSOR_ALIVE
	sw t0, COPROCESSOR_MAGIC(s0)

wait:
	li s0, CONTROL
	li t0, COPROCESSOR_STOPPED
	fence
	sw t0, COPROCESSOR_STATE(s0)
	call tick
	wfi
	lw t0, COPROCESSOR_GO(s0)
	li t1, 1
	bne t0, t1, wait

	# What QEMU translated of another firmware: it notices stores of this core alone, and fence.i drops
	# nothing. So each word is stored once more.
	li t0, COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_FIRMWARE
	li t1, COPROCESSOR_BASE + COPROCESSOR_OFFSET + COPROCESSOR_FIRMWARE + COPROCESSOR_FIRMWARE_SIZE
renew:
	ld t2, 0(t0)
	sd t2, 0(t0)
	addi t0, t0, 8
	bltu t0, t1, renew

	lwu t0, COPROCESSOR_ENTRY(s0)
	csrw mepc, t0
	csrw satp, zero
	li t0, COPROCESSOR_RUNNING
	sw t0, COPROCESSOR_STATE(s0)
	addi t0, s0, COPROCESSOR_SAVED - 0x400
	addi t0, t0, 0x400
	csrw mscratch, t0
	li t0, 0x1800		# MPP: both bits off, then supervisor
	csrc mstatus, t0
	li t0, MPP_SUPERVISOR
	csrs mstatus, t0
	call tick
	fence
	fence.i
	mret

# The next interrupt of the timer.
tick:
	li t0, MTIME
	ld t1, 0(t0)
	li t0, TICK
	add t1, t1, t0
	li t0, MTIMECMP
	sd t1, 0(t0)
	ret

	.balign 4
trap:
	csrrw t0, mscratch, t0
	sd t1, 0(t0)
	sd ra, 8(t0)
	sd s0, 16(t0)
	mv s0, t0		# the saved registers; mscratch has t0
	csrr t0, mcause
	li t1, TIMER_INTERRUPT
	bne t0, t1, trapped
	call tick
	li t0, CONTROL
	lw t0, COPROCESSOR_GO(t0)
	li t1, 1
	bne t0, t1, wait
	mv t0, s0
	ld t1, 0(t0)
	ld ra, 8(t0)
	ld s0, 16(t0)
	csrrw t0, mscratch, t0
	mret

trapped:
	li s0, CONTROL
	sd t0, COPROCESSOR_CAUSE(s0)
	csrr t0, mepc
	sd t0, COPROCESSOR_TRAP_PC(s0)
	csrr t0, mtval
	sd t0, COPROCESSOR_TRAP_VALUE(s0)
	fence
	li t0, COPROCESSOR_TRAPPED
	sw t0, COPROCESSOR_STATE(s0)
stuck:				# until the driver takes the core back
	call tick
	wfi
	lw t0, COPROCESSOR_GO(s0)
	li t1, 1
	beq t0, t1, stuck
	j wait
