"""Names, their definitions, and the nearest names."""

from __future__ import annotations

import pytest

from kexpert.core.symbols import Kind
from kexpert.features.named.definitions import AskedName, asked_name, definitions, inside, nearest_names
from kexpert.view import FilterError
from tests.support.memory_view import MemoryView, files_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vfs_read", AskedName("vfs_read")),
        (" vfs_read() ", AskedName("vfs_read")),
        ("struct file", AskedName("file")),
        ("struct file.f_op", AskedName("f_op", "file")),
        ("file_operations->open", AskedName("open", "file_operations")),
        ("a b", None),
        ("", None),
        ("open; rm -rf", None),
        ("é", None),
    ],
)
def test_names_are_read_as_people_write_them(text: str, expected: AskedName | None) -> None:
    assert asked_name(text) == expected


@pytest.mark.parametrize(
    ("path", "found", "expected"),
    [
        ("", "fs/open.c", True),
        ("fs", "fs/open.c", True),
        ("fs/", "fs/open.c", True),
        ("fs", "fsx/open.c", False),
        ("./fs/open.c", "fs/open.c", True),
        ("fs/*.c", "fs/open.c", True),
        ("*.h", "fs/open.c", False),
    ],
)
def test_a_path_is_a_file_a_folder_or_a_pattern(path: str, found: str, expected: bool) -> None:
    assert inside(path)(found) is expected


def test_a_pattern_that_could_take_long_is_refused() -> None:
    with pytest.raises(FilterError):
        inside("*a*b*c*d*e*f")


def test_the_kernel_comes_before_tools_and_x86_before_other_architectures() -> None:
    view = MemoryView(
        files_of(
            "//- tools/lib/x.c\nint probe(void) { return 0; }\n"
            "//- arch/arm/x.c\nint probe(void) { return 1; }\n"
            "//- arch/x86/x.c\nint probe(void) { return 2; }\n"
            "//- include/linux/x.h\nint probe(void);\n"
        )
    )
    found = definitions(view, AskedName("probe"))
    assert [symbol.path for symbol in found.symbols] == ["arch/x86/x.c", "arch/arm/x.c", "tools/lib/x.c"]
    assert found.total == 3


def test_declarations_count_where_there_is_no_definition() -> None:
    view = MemoryView(files_of("//- include/linux/x.h\nint only_declared(void);\n"))
    assert [each.kind for each in definitions(view, AskedName("only_declared")).symbols] == [Kind.PROTOTYPE]


def test_members_give_way_to_what_else_has_the_name() -> None:
    view = MemoryView(files_of("//- a.h\nstruct kref { int count; };\nstruct user { struct kref kref; };\n"))
    found = definitions(view, AskedName("kref"))
    assert [each.kind for each in found.symbols] == [Kind.STRUCT]
    assert found.members == 1
    of_owner = definitions(view, AskedName("kref", "user"))
    assert [each.kind for each in of_owner.symbols] == [Kind.MEMBER]


def test_misspelt_names_lead_to_the_nearest_of_the_wanted_kind() -> None:
    functions = "int folio_wait_writeback(void) { return 0; }\nint other(void) { return 0; }\n"
    view = MemoryView(files_of(f"//- a.c\n{functions}int folio_wait;\n"))
    near = nearest_names(view, "folio_wait_writebak", (Kind.FUNCTION,))
    assert near[0].name == "folio_wait_writeback"
    assert near[-1].kind is Kind.VARIABLE


def test_what_headers_share_comes_before_what_a_file_or_a_boot_loader_has_for_itself() -> None:
    view = MemoryView(files_of("""\
//- arch/x86/boot/string.h
#define __init
//- crypto/jitter.c
#define __init 0
static int __init_of(void) { return 0; }
//- drivers/hw.h
#define __init 3
//- include/acpi/types.h
#define __init 1
//- include/linux/init.h
#define __init __section(".init.text")
"""))
    found = definitions(view, AskedName("__init")).symbols
    assert [symbol.path for symbol in found] == [
        "include/linux/init.h", "drivers/hw.h", "include/acpi/types.h", "crypto/jitter.c", "arch/x86/boot/string.h",
    ]  # fmt: skip


def test_a_struct_that_headers_share_comes_before_a_static_function() -> None:
    view = MemoryView(files_of(
        "//- lib/test.c\nstatic void dentry(void) { }\n//- include/linux/d.h\nstruct dentry { int x; };\n"
    ))  # fmt: skip
    found = definitions(view, AskedName("dentry")).symbols
    assert [symbol.path for symbol in found] == ["include/linux/d.h", "lib/test.c"]
