"""Functions that allocate, free, and count references: which argument they take, and what undoes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allocator:
    """A function whose value is new memory or a new object."""

    frees: tuple[str, ...]  # functions that give it back; empty for managed memory
    gfp: bool = True  # one argument holds GFP flags
    managed: bool = False  # the driver core frees it when the device is unbound
    sleeps: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A function that takes or drops a reference on the object in its first argument."""

    take: bool
    may_fail: bool = False


_KFREE = ("kfree", "kfree_sensitive", "kfree_rcu", "kvfree", "kfree_rcu_mightsleep")
_KVFREE = ("kvfree", "kvfree_rcu", "kvfree_sensitive")
_PAGES = ("__free_pages", "__free_page", "put_page", "free_pages")
_SKB = ("kfree_skb", "consume_skb", "dev_kfree_skb", "dev_kfree_skb_any", "__kfree_skb", "kfree_skb_reason")


def _allocators() -> dict[str, Allocator]:
    table: dict[str, Allocator] = {}

    def add(names: str, frees: tuple[str, ...], **more: bool) -> None:
        table.update(dict.fromkeys(names.split(), Allocator(frees, **more)))

    add("kmalloc kzalloc kcalloc kmalloc_array kmalloc_node kzalloc_node kcalloc_node kmalloc_array_node krealloc "
        "krealloc_array kmemdup kmemdup_nul kstrdup kstrndup kasprintf kvasprintf kstrdup_const kmalloc_track_caller "
        "kmalloc_node_track_caller", _KFREE)  # fmt: skip
    add("kmalloc_obj kzalloc_obj kmalloc_objs kzalloc_objs kmalloc_flex kzalloc_flex", _KFREE)
    add("kvmalloc kvzalloc kvcalloc kvmalloc_array kvmalloc_node kvzalloc_node kvmemdup", _KVFREE)
    add("memdup_user strndup_user memdup_user_nul", _KFREE, gfp=False, sleeps=True)
    add("vmemdup_user", _KVFREE, gfp=False, sleeps=True)
    add("vmalloc vzalloc vmalloc_user vmalloc_node vzalloc_node vmalloc_32", ("vfree",), gfp=False, sleeps=True)
    add("kmem_cache_alloc kmem_cache_zalloc kmem_cache_alloc_node kmem_cache_alloc_lru", ("kmem_cache_free",))
    add("mempool_alloc", ("mempool_free",))
    add("alloc_pages alloc_page alloc_pages_node", _PAGES)
    add("__get_free_page __get_free_pages get_zeroed_page", ("free_page", "free_pages"))
    add("folio_alloc", ("folio_put",))
    add("alloc_percpu __alloc_percpu", ("free_percpu",), gfp=False, sleeps=True)
    add("alloc_percpu_gfp __alloc_percpu_gfp", ("free_percpu",))
    add("alloc_skb __alloc_skb alloc_skb_with_frags netdev_alloc_skb_ip_align", _SKB)
    add("dev_alloc_skb netdev_alloc_skb", _SKB, gfp=False)
    add("skb_clone skb_copy pskb_copy skb_copy_expand", _SKB)
    add("bio_alloc bio_alloc_bioset bio_kmalloc", ("bio_put",))
    add("usb_alloc_urb", ("usb_free_urb",))
    add("dma_alloc_coherent", ("dma_free_coherent",))
    add("dma_pool_alloc dma_pool_zalloc", ("dma_pool_free",))
    add("alloc_etherdev alloc_etherdev_mq alloc_netdev alloc_netdev_mqs", ("free_netdev",), gfp=False, sleeps=True)
    add("alloc_workqueue alloc_ordered_workqueue create_singlethread_workqueue", ("destroy_workqueue",), gfp=False,
        sleeps=True)  # fmt: skip
    add("ioremap ioremap_wc ioremap_cache ioremap_np of_iomap", ("iounmap",), gfp=False)
    add("sk_alloc", ("sk_free",))
    add("kmem_cache_create kmem_cache_create_usercopy", ("kmem_cache_destroy",), gfp=False, sleeps=True)
    add("wakeup_source_register", ("wakeup_source_unregister",), gfp=False)
    add("devm_ioremap devm_ioremap_resource devm_platform_ioremap_resource", ("devm_iounmap",), gfp=False, managed=True)
    add("bitmap_alloc bitmap_zalloc", ("bitmap_free",))
    add("devm_kmalloc devm_kzalloc devm_kcalloc devm_kmalloc_array devm_kmemdup devm_kstrdup devm_kasprintf "
        "devm_krealloc", ("devm_kfree",), managed=True)  # fmt: skip
    return table


ALLOCATORS: dict[str, Allocator] = _allocators()

#: Function -> index of the argument that it gives back.
FREES: dict[str, int] = {
    **dict.fromkeys(
        ("kfree", "kfree_sensitive", "kfree_const", "kvfree", "kvfree_sensitive", "vfree", "free_percpu", "free_netdev",
         "bio_put", "usb_free_urb", "kfree_skb", "consume_skb", "dev_kfree_skb", "dev_kfree_skb_any",
         "dev_kfree_skb_irq", "dev_consume_skb_any", "__kfree_skb", "kfree_skb_list", "kfree_skb_reason",
         "destroy_workqueue", "iounmap", "bitmap_free", "__free_page", "__free_pages", "free_page", "free_pages",
         "mempool_destroy", "kmem_cache_destroy", "sk_free", "wakeup_source_unregister"), 0,
    ),
    **dict.fromkeys(("kfree_rcu", "kvfree_rcu", "kfree_rcu_mightsleep"), 0),
    **dict.fromkeys(("kmem_cache_free", "devm_kfree", "devm_iounmap"), 1),
    "mempool_free": 0,
    "dma_free_coherent": 2,
    "dma_pool_free": 1,
}  # fmt: skip


_TAKES = (
    "kref_get", "kobject_get", "of_node_get", "fwnode_handle_get", "folio_get", "css_get", "cgroup_get",
    "path_get", "get_device", "get_page", "get_task_struct", "get_pid", "get_cred", "get_file", "get_net",
    "get_user_ns", "get_pid_ns", "get_uts_ns", "get_ipc_ns", "get_mnt_ns", "get_bh", "get_group_info", "dget",
    "dev_hold", "sock_hold", "refcount_inc", "mntget", "ihold", "pci_dev_get", "usb_get_dev", "usb_get_intf",
    "mmget", "mmgrab", "dma_fence_get", "drm_gem_object_get", "scsi_host_get", "dst_hold", "skb_get",
    "netdev_hold", "__module_get", "in6_dev_hold", "__iget",
)  # fmt: skip
_TAKES_OR_FAILS = (
    "try_module_get", "kref_get_unless_zero", "refcount_inc_not_zero", "kobject_get_unless_zero", "igrab",
    "mmget_not_zero", "get_file_rcu", "folio_try_get", "css_tryget", "css_tryget_online", "dst_hold_safe",
    "scsi_device_get", "maybe_get_net",
)  # fmt: skip
_DROPS = (
    "kref_put", "kobject_put", "of_node_put", "fwnode_handle_put", "folio_put", "css_put", "cgroup_put",
    "path_put", "put_device", "put_page", "put_task_struct", "put_pid", "put_cred", "fput", "put_net",
    "put_user_ns", "put_pid_ns", "put_uts_ns", "put_ipc_ns", "put_mnt_ns", "put_bh", "put_group_info", "dput",
    "dev_put", "sock_put", "refcount_dec", "mntput", "iput", "pci_dev_put", "usb_put_dev", "usb_put_intf",
    "mmput", "mmdrop", "dma_fence_put", "drm_gem_object_put", "scsi_host_put", "dst_release", "netdev_put",
    "module_put", "kref_put_mutex", "kref_put_lock", "refcount_dec_and_test", "mmput_async",
    "refcount_dec_and_lock", "refcount_dec_and_mutex_lock", "scsi_device_put", "in6_dev_put",
)  # fmt: skip

REFERENCES: dict[str, Reference] = {
    **dict.fromkeys(_TAKES, Reference(True)),
    **dict.fromkeys(_TAKES_OR_FAILS, Reference(True, may_fail=True)),
    **dict.fromkeys(_DROPS, Reference(False)),
}

#: Functions whose value is an object with a new reference.
GETS: dict[str, Reference] = {
    **dict.fromkeys(("get_task_cred", "dget_parent"), Reference(True)),
    **dict.fromkeys(
        ("get_task_mm", "get_pid_task", "find_get_pid", "find_get_task_by_vpid", "fget", "fget_raw", "proc_ns_fget",
         "ilookup", "ilookup5", "iget_locked", "iget5_locked", "fops_get", "of_find_node_by_name",
         "of_find_node_by_path", "of_find_compatible_node", "of_parse_phandle", "of_get_parent",
         "of_get_child_by_name", "dev_get_by_name", "dev_get_by_index", "get_net_ns_by_fd", "get_net_ns_by_pid",
         "bus_find_device", "class_find_device", "pci_get_device", "pci_get_domain_bus_and_slot", "find_get_page"),
        Reference(True, may_fail=True),
    ),
}  # fmt: skip
#: Atomic operations that take or drop a reference if the counter is called so.
COUNTS: dict[str, Reference] = {
    **dict.fromkeys(("atomic_inc", "atomic_long_inc"), Reference(True)),
    "atomic_inc_not_zero": Reference(True, may_fail=True),
    **dict.fromkeys(("atomic_dec", "atomic_dec_and_test", "atomic_long_dec"), Reference(False)),
}
