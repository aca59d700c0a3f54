/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's virt machine, alone: every hart begins here. The first one clears .bss and runs main, others
 * wait for bare_second.
 */
	.section .text.start, "ax"
	.globl _start
_start:
	.option push
	.option norelax
	la gp, __global_pointer$
	.option pop
	csrr s0, mhartid
	la t0, bare_trap
	csrw mtvec, t0
	la sp, bare_stacks
	li t0, BARE_STACK
	addi t1, s0, 1
	mul t0, t0, t1
	add sp, sp, t0
	la tp, bare_tls
	li t0, BARE_TLS
	mul t0, t0, s0
	add tp, tp, t0
	bnez s0, park
	la t0, __bss_start
	la t1, __bss_end
1:	bgeu t0, t1, 2f
	sd zero, 0(t0)
	addi t0, t0, 8
	j 1b
2:	call bare_main

park:	la t0, bare_second
1:	ld t1, 0(t0)
	beqz t1, 1b
	fence
	jalr t1
	la t0, bare_second
	fence
	sd zero, 0(t0)
	j park

	.balign 4
bare_trap:
	csrr a0, mcause
	csrr a1, mepc
	csrr a2, mtval
	call bare_trapped

	.section .stacks, "aw", @nobits
	.balign 16
bare_stacks:
	.space BARE_STACK * 2
bare_tls:
	.space BARE_TLS * 2
	.section .data
	.balign 8
	.globl bare_second
bare_second:
	.dword 0
