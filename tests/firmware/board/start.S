/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the firmware begins: the loader has filled its memory, .bss included. */
	.section .text.start, "ax"
	.globl _start
_start:
	.option push
	.option norelax
	la gp, __global_pointer$
	.option pop
	la sp, board_stack_end
	la tp, board_tls
	call main
1:	wfi
	j 1b

	.section .bss.start, "aw", @nobits
	.balign 16
board_tls:
	.space 64
	.space 16384
	.balign 16
board_stack_end:
