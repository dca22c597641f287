/* Two entries into long mode, and the tables that it needs. AT&T syntax. */

/* Where to enter without paging: XEN_ELFNOTE_PHYS32_ENTRY. QEMU reads eight bytes. */
.section .note.Xen, "a", @note
.balign 4
.long 4, 8, 18
.asciz "Xen"
.quad pvh_entry

.section .text.boot, "ax", @progbits
.code32
/* PVH and multiboot: protected mode, flat segments, no stack; ebx has the information, eax tells multiboot. */
.global pvh_entry
pvh_entry:
    cli
    cld
    mov %eax, %edi
    lgdt gdt_pointer
    mov %cr4, %eax
    or $0x20, %eax                      /* PAE */
    mov %eax, %cr4
    mov $page_map, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER.LME */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax                /* PG */
    mov %eax, %cr0
    mov %ebx, %esi
    ljmp $8, $long_mode

.code64
/* Linux boot protocol, 64 bit: long mode, of memory the first GiB may be all that is mapped; rsi has the zero page. */
.global linux_entry
linux_entry:
    cli
    cld
    mov $stack_end, %rsp
    lgdt gdt_pointer
    mov $page_map, %rax
    mov %rax, %cr3
    mov $0x53726448, %edi               /* "HdrS" */
    pushq $8
    pushq $long_mode
    lretq

long_mode:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_end, %rsp
    xor %ebp, %ebp
    call virtio_start

/* The timer has waked the processor, that is all: end of interrupt. */
.global timer_interrupt
timer_interrupt:
    push %rax
    mov $0xfee000b0, %eax
    movl $0, (%rax)
    pop %rax
.global spurious_interrupt
spurious_interrupt:
    iretq

.global exception
exception:
    mov %rsp, %rdi
    and $-16, %rsp
    call virtio_exception

.section .data.boot, "aw", @progbits
/* Flat code and data, both marked as accessed. */
.balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .quad gdt

/* The first 4 GiB where they are, the last of them, where devices are, not cached; then the window at 512 GiB. */
.balign 4096
page_map:
    .quad low + 3, window_directory + 3
    .fill 510, 8, 0
low:
    .quad pages + 3, pages + 0x1003, pages + 0x2003, pages + 0x3003
    .fill 508, 8, 0
pages:
    .set page, 0
    .rept 1536
    .quad (page << 21) | 0x83
    .set page, page + 1
    .endr
    .rept 512
    .quad (page << 21) | 0x9b
    .set page, page + 1
    .endr
window_directory:
    .quad virtio_window + 3
    .fill 511, 8, 0
.global virtio_window
virtio_window:
    .fill 512, 8, 0

.section .bss.stack, "aw", @nobits
.balign 16
    .skip 0x100000
stack_end:
