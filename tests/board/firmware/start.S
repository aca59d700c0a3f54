# SPDX-License-Identifier: BSD-3-Clause
# Where the firmware begins: the loader has filled its memory, .bss included.
	.section .text.start, "ax"
	.globl _start
_start:
	la sp, stack_end
	call firmware_main
stop:
	wfi
	j stop
