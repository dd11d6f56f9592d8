"""What code does with a member: every case as code in which the member is ``x``."""

from __future__ import annotations

import pytest

from kexpert.core.c.access import Access, access_at
from kexpert.core.c.tokens import Tokens


def access(code: str, is_array: bool | None = False) -> Access:
    tokens = Tokens(f"{{ {code} }}".encode())
    at = next(at for at in range(len(tokens)) if tokens[at] == "x")
    return access_at(tokens, at, is_array)


@pytest.mark.parametrize(
    "code",
    [
        "y = p->x;", "f(p->x);", "return p->x;", "if (p->x == 1) ;", "p->x->y = 1;", "p->x(1);", "a = b & p->x;",
        "p->x[1] = 2;", "a & p->x;", "(a) & p->x;", "*p->x = 1;", "READ_ONCE(p->x);", "sizeof(p->x);",
        "y[p->x] = 1;", "WRITE_ONCE(p->y, p->x);", "a = p->y = p->x;", "sizeof(u32) & p->x;", "(a + b) & p->x;",
        "f(1) & p->x;", 'asm("nop" : "=r"(y) : "r" (p->x));', 'f("=" "r", p->x);', "if (a) b = (p->x);",
    ],
)  # fmt: skip
def test_reads(code: str) -> None:
    assert access(code) is Access.READ


@pytest.mark.parametrize(
    "code",
    [
        "p->x = 1;", "p->x |= 1;", "p->x++;", "--p->x;", "(p->x) = 1;", "p->x.y = 1;", "p->x.y[2].z++;",
        "a[f(1)].x = 2;", "f(1)->x = 2;", "(*p).x = 2;", "s = (struct s) { .x = 1 };", "t[] = { [1].x = 1 };",
        "s = { .a = 2, .x.y = 1 };",
        "WRITE_ONCE(p->x, 1);", "rcu_assign_pointer(p->x, y);", "swap(a, p->x);",
        "smp_store_release(&p->x, 1);", "atomic_inc(&p->x);", "set_bit(1, &p->x);", "atomic_add(1, &p->x);",
        "p->x <<= 2;", 'asm("nop" : "=r"(p->x));', 'asm volatile("inc %0" : [v] "+m" (p->x), "=&r"(y) : "r" (1));',
        'asm("nop" : "=r"(y), "+A" (p->x.y));', "p++->x = 1;", "WRITE_ONCE(p++->x, 1);", "*(u32 *)&p->x = 1;",
    ],
)  # fmt: skip
def test_writes(code: str) -> None:
    assert access(code) is Access.WRITE


@pytest.mark.parametrize(
    "code",
    [
        "y = &p->x;", "f(&p->x);", "f(1, &p->x.y);", "container_of(q, struct s, x);", "offsetof(struct s, x);",
        "list_for_each_entry(a, b, x) ;", "return &p->x;", "INIT_LIST_HEAD(&p->x);", "f((void *)&p->x);",
        "(void)&p->x;", "y = (unsigned long)&p->x;", "y = (u64)&p->x + 8;",
        "y = (struct z __iomem *)&(p->x);", "y = (uintptr_t)&p->x.y;",
    ],
)  # fmt: skip
def test_addresses(code: str) -> None:
    assert access(code) is Access.ADDRESS


def test_an_array_is_written_by_its_elements_and_passed_on_by_its_address() -> None:
    assert access("p->x[1] = 2;", is_array=True) is Access.WRITE
    assert access("p->x[1] = 2;", is_array=None) is Access.WRITE
    assert access("memcpy(p->x, y, 2);", is_array=True) is Access.ADDRESS
    assert access("y = p->x[1];", is_array=True) is Access.READ
    assert access("sizeof(p->x);", is_array=True) is Access.READ
