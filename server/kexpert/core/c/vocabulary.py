"""Words of kernel C that the grammar does not know, grouped by the masking rule that handles them."""

from __future__ import annotations

ANNOTATIONS = frozenset(
    b"""
    __volatile__ __ALIGNED__ STATIC INDIRECT_CALLABLE_SCOPE randomized_struct_fields_start
    randomized_struct_fields_end MPI_POINTER __bpf_aligned __failure __success __init __exit __initdata __initconst
    __exitdata __exitconst __init_or_module __initdata_or_module __initconst_or_module __init_memblock
    __initdata_memblock __init_refok __initmv __init_or_cpufreq __devinit __devexit __devinitdata __cpuinit
    __cpuinitdata __cpuexit __meminit __meminitdata __meminitconst __memexit __memexitdata __ref __refdata __refconst
    __net_init __net_exit __net_initdata __net_exitdata __init_task_data __init_thread_info __user __kernel __iomem
    __percpu __rcu __force __nocast __bitwise __bitwise__ __guest __kptr __kptr_ref __must_check __must_check_overflow
    __maybe_unused __always_unused __used __weak __cold __hot __pure __attribute_const__ __noreturn __packed
    __packed2__ __deprecated __malloc __read_mostly __ro_after_init __lsm_ro_after_init __always_inline __gnu_inline
    __no_inline __noinline noinline noinline_for_stack __no_kasan_or_inline __no_sanitize_or_inline __no_kcsan
    __no_kmsan_checks __no_sanitize_address __no_sanitize_memory __no_sanitize_undefined __no_sanitize_coverage
    __no_sanitize_thread __no_sanitize_hwaddress __no_sanitize_cfi __no_profile __no_stack_protector
    __no_caller_saved_registers __noscs __nocfi __noretpoline __noendbr __noinitretpoline __noclone __nostackprotector
    __naked __notrace notrace __nosavedata __noreturn__ nokprobe_inline __kprobes __sched __lockfunc __cpuidle
    __softirq_entry __irq_entry __exception_irq_entry __entry_text noinstr __noinstr __noinstr_section __visible
    __visible_for_testing __flatten __latent_entropy __randomize_layout __no_randomize_layout __designated_init
    __nonstring __cacheline_aligned __cacheline_aligned_in_smp ____cacheline_aligned ____cacheline_aligned_in_smp
    ____cacheline_internodealigned_in_smp __page_aligned_data __page_aligned_bss __aligned_largest __efiapi
    __paginginit __nonnull__ __fastcall fastcall asmlinkage __asmlinkage __ksym __kconfig __weakref __nomips16
    __bpf_kfunc __trusted __arena __counted_by_ptr __extern_weak __restrict __noderef __always_inline__ __noinline__
    ACPI_INTERNAL_VAR_XFACE ACPI_SYSTEM_XFACE ACPI_INIT_FUNCTION ZEXTERN ZEXPORT ZSTDLIB_API ZSTDLIB_STATIC_API
    ZSTDERRORLIB_API FORCE_INLINE FORCE_INLINE_TEMPLATE FORCE_INLINE_ATTR MEM_STATIC HINT_INLINE UNUSED_ATTR XZ_EXTERN
    XZ_FUNC STACK_FRAME_NON_STANDARD_FP LIBBPF_API LIBBPF_DEPRECATED CRYPTO_MINALIGN_ATTR __net_initconst __nofpu
    __flatten__ __const
    """.split()
)
"""Annotations of a declaration: without them it is still a declaration."""

ANNOTATION_CALLS = frozenset(
    b"""
    __free __msg __log_level __attribute__ __attribute __declspec __aligned __printf __scanf __section __acquires
    __releases __must_hold __cond_acquires __guarded_by __pt_guarded_by __counted_by __counted_by_le __counted_by_be
    __sized_by __alloc_size __realloc_size __alias __mode __cleanup __no_sanitize __nonnull __assume_aligned
    __compiletime_error __compiletime_warning __copy __diagnose_as __pass_object_size __acquires_shared
    __releases_shared __must_hold_shared __access __aligned__ __format_arg __alloc_align ACPI_PRINTF_LIKE_ __target
    __no_sanitize__ SEC
    """.split()
)
"""Annotations with an argument list, which masking removes too."""

TYPE_ARGUMENT_MACROS = frozenset(
    b"""
    va_arg container_of container_of_const min_t max_t clamp_t sizeof_field offsetofend list_entry list_first_entry
    list_last_entry list_first_entry_or_null list_next_entry list_prev_entry hlist_entry hlist_entry_safe rb_entry
    rb_entry_safe FIELD_SIZEOF typecheck typecheck_fn typecheck_pointer alloc_percpu alloc_percpu_gfp
    devm_alloc_percpu __alloc_percpu kmalloc_obj kmalloc_objs kzalloc_obj kzalloc_objs kvmalloc_obj kvzalloc_obj
    kmalloc_flex kzalloc_flex netdev_alloc_pcpu_stats devm_netdev_alloc_pcpu_stats list_entry_rcu list_entry_is_head
    list_first_or_null_rcu list_next_or_null_rcu llist_entry __same_type __builtin_types_compatible_p __builtin_va_arg
    is_signed_type is_unsigned_type typeof_member BPF_CORE_READ bpf_core_type_exists bpf_core_type_size
    bpf_core_enum_value bpf_core_enum_value_exists
    """.split()
)
"""Macros with a type among their arguments: ``va_arg(ap, char *)``."""

ARRAY_MACROS = frozenset(b"DECLARE_BITMAP DECLARE_HASHTABLE DEFINE_HASHTABLE DECLARE_KFIFO DEFINE_KFIFO "
                          b"DECLARE_KFIFO_PTR __uint __type __array __ulong".split())  # fmt: skip
#: Machine descriptions of arch/arm.
MACHINES = frozenset(b"MACHINE_START MACHINE_END DT_MACHINE_START".split())
TYPEOFS = frozenset(b"typeof __typeof__ __typeof __alignof__ _Alignof alignof".split())
#: Definitions of BPF programs.
PROGRAMS = frozenset(
    b"BPF_PROG BPF_PROG2 BPF_KPROBE BPF_KRETPROBE BPF_UPROBE BPF_URETPROBE BPF_USDT BPF_KSYSCALL".split()
)
#: Macro -> number of its arguments before the members.
GROUP_MACROS = {b"struct_group": 1, b"struct_group_attr": 2, b"struct_group_tagged": 2, b"__struct_group": 3}

TYPE_OPERATORS = frozenset(
    b"sizeof typeof __typeof__ __typeof alignof __alignof__ __alignof _Alignof if while return typeof_unqual".split()
)
